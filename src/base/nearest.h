// "Did you mean ...?": the valid word nearest to what somebody typed.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace hearth {

// Damerau-Levenshtein distance in its restricted form (optimal string alignment): insertions, deletions,
// substitutions and swaps of neighbours, no substring edited twice. Counts bytes. Distances above `limit` are
// answered as limit + 1, so that long strangers cost little.
std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t limit);

// The word of `valid` at the least distance: at most 2, at most 1 for a name of up to four letters, always less
// than its length. The first of equals; "" when none is near. The answer views into `valid`.
std::string_view nearest(std::string_view name, std::span<const std::string_view> valid);

}  // namespace hearth
