// What a string in JSON may hold as it is.
#pragma once

#include <cstddef>
#include <string_view>

namespace hearth {

// Length of what at the front of `text` is printable ASCII and neither a quotation mark nor a backslash: nearly all of
// what is ever written, and appended in one piece.
inline std::size_t plain_prefix(std::string_view text) {
  std::size_t length = 0;
  while (length < text.size() && text[length] >= ' ' && text[length] < 0x7f && text[length] != '"' &&
         text[length] != '\\')
    ++length;
  return length;
}

}  // namespace hearth
