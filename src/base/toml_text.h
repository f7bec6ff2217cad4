// Texts as TOML writes them.
#pragma once

#include <string>
#include <string_view>

namespace hearth {

// UTF-8 as Unicode 15 defines it (table 3-7): no overlong forms, no surrogates, nothing above U+10FFFF.
bool valid_utf8(std::string_view text);

// A basic string (TOML 1.0, String), which is one of JSON, too. Of text that is no UTF-8, what is not ASCII becomes
// U+FFFD.
std::string quoted(std::string_view text);

// A key, as it stands in a dotted path or before a '=': plain where it can be.
std::string key_text(std::string_view key);

}  // namespace hearth
