// Texts taken apart line by line and word by word, without std::istream: one use of that brings a third of a MiB of
// locales into a program that lives for years.
#pragma once

#include <algorithm>
#include <optional>
#include <string_view>

namespace hearth {

// The next line of `rest`, without its newline, which is taken off; the last one needs none. Nothing when `rest` is empty.
inline std::optional<std::string_view> take_line(std::string_view& rest) {
  if (rest.empty()) return std::nullopt;
  const std::size_t end = rest.find('\n');
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
  return line;
}

// The next word of `rest`, between blanks and newlines. Nothing when there is none.
inline std::optional<std::string_view> take_word(std::string_view& rest) {
  constexpr std::string_view blanks = " \t\n";
  rest.remove_prefix(std::min(rest.find_first_not_of(blanks), rest.size()));
  if (rest.empty()) return std::nullopt;
  const std::size_t end = std::min(rest.find_first_of(blanks), rest.size());
  const std::string_view word = rest.substr(0, end);
  rest.remove_prefix(end);
  return word;
}

// Whether one of the words of `text` is that.
inline bool has_word(std::string_view text, std::string_view wanted) {
  while (const auto word = take_word(text))
    if (*word == wanted) return true;
  return false;
}

}  // namespace hearth
