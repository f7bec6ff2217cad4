// What the tool says at its end.
#pragma once

#include <string>

#include "options.h"
#include "storm.h"

namespace hearth::chaos {

std::string text_of(const Result& result, const Options& options);
std::string json_of(const Result& result, const Options& options);
// Why a run without violations proves nothing; "" = it does.
std::string too_little(const Result& result, const Options& options);

}  // namespace hearth::chaos
