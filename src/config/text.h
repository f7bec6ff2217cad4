// Small pure helpers on text.
#pragma once

#include <string>
#include <string_view>

namespace hearth::config {

// How many characters `text` has, counting bytes that continue one as nothing.
std::size_t character_count(std::string_view text);

// Lower-case hexadecimal digits and back; from_hex answers false for anything else than pairs of digits.
std::string to_hex(std::string_view bytes);
bool from_hex(std::string_view digits, std::string& bytes);

// The text in double quotes, for a message: control characters escaped, cut after 60 bytes at a character
// boundary with "...".
std::string quote(std::string_view text);

}  // namespace hearth::config
