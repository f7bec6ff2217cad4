// The caller's environment, for the services it starts.
#pragma once

#include <string>
#include <vector>

#include "config/environment.h"

namespace hearth::cli {

// All NAME=VALUE lines of this process. Lines of another form are left out.
std::vector<std::string> own_environment();

// What of it is handed on to services and to hearth itself: see config::Environment::captured.
std::vector<std::string> captured_environment();

}  // namespace hearth::cli
