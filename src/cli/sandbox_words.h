// What a service's sandbox keeps it from, for people.
#pragma once

#include <string>

#include "model/service_spec.h"

namespace hearth::cli {

// "writes only below /srv/data; reads nothing; denies @default (57 system calls)"; "" without a sandbox.
std::string sandbox_words(const Sandbox& sandbox);

}  // namespace hearth::cli
