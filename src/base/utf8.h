// A character as UTF-8.
#pragma once

#include <cstdint>
#include <string>

namespace hearth {

// `code`: no surrogate, and not above 0x10FFFF.
inline void append_utf8(std::string& out, std::uint32_t code) {
  const auto byte = [&out](std::uint32_t value) { out += static_cast<char>(static_cast<unsigned char>(value)); };
  const auto rest = [&](unsigned shift) { byte(0x80 | (code >> shift & 0x3F)); };
  if (code < 0x80) return byte(code);
  if (code < 0x800) return byte(0xC0 | code >> 6), rest(0);
  if (code < 0x10000) return byte(0xE0 | code >> 12), rest(6), rest(0);
  byte(0xF0 | code >> 18), rest(12), rest(6), rest(0);
}

}  // namespace hearth
