#include "health/utf8.h"

#include <cstdint>

namespace hearth::health {
namespace {

struct Range {
  unsigned char low = 0x80;
  unsigned char high = 0xbf;
};

// What may follow `lead`, and how many bytes in all; 0 for what cannot lead. Only the second byte is special.
int sequence_length(unsigned char lead, Range& second) {
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return 2;
  if (lead >= 0xe0 && lead <= 0xef) {
    if (lead == 0xe0) second.low = 0xa0;
    if (lead == 0xed) second.high = 0x9f;
    return 3;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    if (lead == 0xf0) second.low = 0x90;
    if (lead == 0xf4) second.high = 0x8f;
    return 4;
  }
  return 0;
}

// Length of the sequence at the beginning of `text`; valid tells whether it is a whole character, else it is the
// part to replace.
std::size_t sequence(std::string_view text, bool& valid) {
  Range second;
  const int length = sequence_length(static_cast<unsigned char>(text[0]), second);
  valid = false;
  if (length == 0) return 1;
  for (int i = 1; i < length; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const Range range = i == 1 ? second : Range{};
    if (at == text.size()) return at;
    const auto c = static_cast<unsigned char>(text[at]);
    if (c < range.low || c > range.high) return at;
  }
  valid = true;
  return static_cast<std::size_t>(length);
}

}  // namespace

std::string valid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    bool valid = false;
    const std::size_t length = sequence(text, valid);
    if (valid) {
      out += text.substr(0, length);
    } else {
      out += "\xef\xbf\xbd";
    }
    text.remove_prefix(length);
  }
  return out;
}

std::string_view cut_utf8(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xc0) == 0x80) --bytes;
  return text.substr(0, bytes);
}

}  // namespace hearth::health
