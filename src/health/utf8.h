// UTF-8 as Unicode 15 defines it (table 3-7): no overlong forms, no surrogates, nothing above U+10FFFF. For
// what services say of themselves, which ends up in JSON and on terminals.
#pragma once

#include <string>
#include <string_view>

namespace hearth::health {

// `text` with each maximal part that is no UTF-8 replaced by U+FFFD. Valid text comes back unchanged.
std::string valid_utf8(std::string_view text);

// The longest beginning of valid UTF-8 `text` that has at most `bytes` bytes and ends between two characters.
std::string_view cut_utf8(std::string_view text, std::size_t bytes);

}  // namespace hearth::health
