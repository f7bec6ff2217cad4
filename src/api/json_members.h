// The members of a JSON object as pieces of its text, so that a large one ("document") is parsed once, by those
// who know it, and not copied into a tree before.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace hearth::api {

// Keys without quotes (those with escapes are left as they are) and the text of their values, which borrow
// from `text`. Finds where values end by brackets and quotes; whoever uses a value checks its insides.
Result<std::vector<std::pair<std::string_view, std::string_view>>> json_members(std::string_view text);

}  // namespace hearth::api
