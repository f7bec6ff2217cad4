#include "importers/percent.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "importers/draft.h"

namespace hearth::importers {
namespace {

constexpr std::size_t most_digits = 9;  // {index+N} takes no more

// The N of an index_number().
std::optional<std::uint64_t> more_of(std::string_view value) {
  const std::string none = index_number(0);
  const std::string begin = none.substr(0, none.size() - 1);
  if (value == none) return 0;
  if (!value.starts_with(begin + "+") || !value.ends_with(none.back())) return std::nullopt;
  value = value.substr(begin.size() + 1, value.size() - begin.size() - 2);
  std::uint64_t more = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), more);
  return error == std::errc() && end == value.data() + value.size() ? std::optional(more) : std::nullopt;
}

// "80" before a number of two digits is eight thousand more.
void append_index(std::string& out, std::uint64_t more, std::size_t width) {
  std::size_t begin = out.size();
  while (begin > 0 && out[begin - 1] >= '0' && out[begin - 1] <= '9') --begin;
  const std::size_t digits = out.size() - begin;
  if (width > 0 && digits > 0 && out[begin] != '0' && digits + width <= most_digits) {
    std::uint64_t before = 0;
    for (const char c : std::string_view(out).substr(begin)) before = before * 10 + static_cast<std::uint64_t>(c - '0');
    for (std::size_t i = 0; i < width; ++i) before *= 10;
    out.resize(begin);
    more += before;
  }
  out += index_number(more);
}

}  // namespace

std::optional<std::string> expanded(std::string_view text, const Names& names, std::string& missing) {
  std::string out;
  while (!text.empty()) {
    const std::size_t percent = std::min(text.find('%'), text.size());
    out += text.substr(0, percent);
    text.remove_prefix(percent);
    if (text.empty()) break;
    if (text.starts_with("%%")) {
      out += '%';
      text.remove_prefix(2);
      continue;
    }
    const std::size_t close = text.find(')');
    if (!text.starts_with("%(") || close == text.npos) {
      out += '%';
      text.remove_prefix(1);
      continue;
    }
    const std::string name(text.substr(2, close - 2));
    text.remove_prefix(close + 1);
    std::size_t width = 0;
    const bool zeros = text.starts_with("0");
    while (!text.empty() && text[0] >= '0' && text[0] <= '9') {
      width = std::min(width * 10 + static_cast<std::size_t>(text[0] - '0'), std::size_t{1000});
      text.remove_prefix(1);
    }
    // s or d. Of anything longer than a byte none is taken: what is left has to stay text.
    if (!text.empty() && static_cast<unsigned char>(text[0]) < 0x80) text.remove_prefix(1);
    const auto found = names.find(name);
    if (found == names.end()) {
      missing = name;
      return std::nullopt;
    }
    if (const std::optional<std::uint64_t> more = more_of(found->second)) {
      append_index(out, *more, zeros ? width : 0);
      continue;
    }
    if (width < 100 && found->second.size() < width) out.append(width - found->second.size(), zeros ? '0' : ' ');
    out += found->second;
  }
  return out;
}

}  // namespace hearth::importers
