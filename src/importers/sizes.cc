#include "importers/sizes.h"

#include <algorithm>
#include <charconv>
#include <iterator>

namespace hearth::importers {

std::optional<std::uint64_t> bytes_of(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc() || number < 0) return std::nullopt;
  std::string unit(end, text.data() + text.size());
  while (unit.starts_with(' ')) unit.erase(0, 1);
  for (char& c : unit) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
  if (unit.size() > 1 && unit.ends_with("B")) unit.pop_back();
  if (unit.size() > 1 && unit.ends_with("I")) unit.pop_back();
  if (unit == "B") unit.clear();
  if (unit.size() > 1) return std::nullopt;
  if (!unit.empty()) {
    const std::size_t power = std::string_view("KMGTP").find(unit[0]);
    if (power == std::string_view::npos) return std::nullopt;
    for (std::size_t i = 0; i <= power; ++i) number *= 1024;
  }
  if (!(number < 9e18)) return std::nullopt;
  return static_cast<std::uint64_t>(number);
}

std::string size_of_bytes(std::uint64_t bytes) {
  constexpr std::string_view units[] = {"", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (unit + 1 < std::size(units) && bytes != 0 && bytes % 1024 == 0) bytes /= 1024, ++unit;
  return std::to_string(bytes) + std::string(units[unit]);
}

std::string max_memory_remedy(std::optional<std::uint64_t> bytes) {
  return "max_memory = \"" + (bytes ? size_of_bytes(std::max(*bytes, least_max_memory)) : "4GiB") + "\"";
}

}  // namespace hearth::importers
