#include "importers/systemd_values.h"

#include <charconv>
#include <map>
#include <string_view>

#include "importers/draft.h"

namespace hearth::importers {

std::optional<std::int64_t> milliseconds_of(const std::string& text) {
  static const std::map<std::string, double, std::less<>> units = {
      {"", 1},          {"s", 1},           {"sec", 1},      {"second", 1},   {"seconds", 1},
      {"m", 60},        {"min", 60},        {"minute", 60},  {"minutes", 60}, {"h", 3600},
      {"hr", 3600},     {"hour", 3600},     {"hours", 3600}, {"ms", 0.001},   {"msec", 0.001},
      {"us", 0.000001}, {"usec", 0.000001}, {"d", 86400},    {"day", 86400},  {"days", 86400}};
  double total = 0;
  bool any = false;
  std::string_view rest = text;
  while (!rest.empty()) {
    if (rest[0] == ' ') {
      rest.remove_prefix(1);
      continue;
    }
    double value = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
    if (error != std::errc()) return std::nullopt;
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    while (rest.starts_with(" ")) rest.remove_prefix(1);
    std::size_t letters = 0;
    while (letters < rest.size() && rest[letters] >= 'a' && rest[letters] <= 'z') ++letters;
    const auto unit = units.find(rest.substr(0, letters));
    if (unit == units.end()) return std::nullopt;
    rest.remove_prefix(letters);
    total += value * unit->second;
    any = true;
  }
  if (!any || !(total >= 0 && total < 1e12)) return std::nullopt;
  return static_cast<std::int64_t>(total * 1000 + 0.5);
}

std::optional<std::string> span_of(const std::string& text) {
  const std::optional<std::int64_t> ms = milliseconds_of(text);
  if (!ms) return std::nullopt;
  return quoted(*ms % 1000 == 0 ? std::to_string(*ms / 1000) + "s" : std::to_string(*ms) + "ms");
}

std::optional<std::int64_t> count_of(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

}  // namespace hearth::importers
