// Patterns of the shell's kind.
#pragma once

#include <string_view>

namespace hearth {

// "*" and "?" as in the shell, nothing else; the whole text must match. At worst |pattern| * |text| steps.
bool matches_glob(std::string_view pattern, std::string_view text);

}  // namespace hearth
