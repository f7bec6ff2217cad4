#include "importers/supervisord_values.h"

#include <algorithm>
#include <charconv>
#include <iterator>

#include "importers/draft.h"
#include "importers/words.h"

namespace hearth::importers {

std::optional<long> number_of(std::string_view text) {
  long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

std::optional<bool> boolean_of(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  if (text == "true" || text == "yes" || text == "on" || text == "1") return true;
  if (text == "false" || text == "no" || text == "off" || text == "0") return false;
  return std::nullopt;
}

bool is_own_output(std::string_view path) {
  constexpr std::string_view names[] = {"/dev/stdout", "/dev/stderr",     "/dev/fd/1",
                                        "/dev/fd/2",   "/proc/self/fd/1", "/proc/self/fd/2"};
  return std::find(std::begin(names), std::end(names), path) != std::end(names);
}

std::string umask_text(const std::string& text) {
  return text.size() == 4 && text[0] == '0' ? text.substr(1) : text;
}

std::optional<Variables> environment_of(const std::string& text) {
  Variables all;
  std::string item;
  char quote = 0;
  const auto take = [&]() {
    const std::string one = trimmed(item);
    item.clear();
    if (one.empty()) return true;
    const std::size_t sign = one.find('=');
    if (sign == one.npos || sign == 0) return false;
    // Nothing is escaped there: quotes around it go, and a backslash is one (shlex without POSIX rules).
    const std::string value = trimmed(one.substr(sign + 1));
    const std::size_t first = value.find_first_not_of("'\""), last = value.find_last_not_of("'\"");
    all.emplace_back(trimmed(one.substr(0, sign)), first == value.npos ? "" : value.substr(first, last - first + 1));
    return true;
  };
  for (const char c : text) {
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == ',' || c == '\n') {
      if (!take()) return std::nullopt;
      continue;
    }
    item += c;
  }
  if (quote != 0 || !take()) return std::nullopt;
  return all;
}

std::string size_text(std::string text) {
  if (text.size() > 2 && text.ends_with("B")) text.insert(text.size() - 1, "i");
  return number_of(text) ? text : quoted(text);
}

}  // namespace hearth::importers
