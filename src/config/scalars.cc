#include "config/scalars.h"

#include <array>
#include <charconv>
#include <utility>

#include <fmt/core.h>

#include "base/nearest.h"
#include "config/limits.h"
#include "config/numbers.h"

namespace hearth::config {
namespace {

struct Unit {
  std::string_view name;
  SpanNs length;
};
constexpr std::array<Unit, 6> units = {{{"d", 24 * 3600 * ns_per_s},
                                        {"h", 3600 * ns_per_s},
                                        {"m", 60 * ns_per_s},
                                        {"s", ns_per_s},
                                        {"ms", ns_per_ms},
                                        {"us", ns_per_us}}};

// As on x86, ARM and RISC-V (signal(7)).
constexpr std::array<std::pair<std::string_view, int>, 33> signals = {{
    {"HUP", 1},   {"INT", 2},     {"QUIT", 3},  {"ILL", 4},    {"TRAP", 5},    {"ABRT", 6},  {"BUS", 7},
    {"FPE", 8},   {"KILL", 9},    {"USR1", 10}, {"SEGV", 11},  {"USR2", 12},   {"PIPE", 13}, {"ALRM", 14},
    {"TERM", 15}, {"STKFLT", 16}, {"CHLD", 17}, {"CONT", 18},  {"STOP", 19},   {"TSTP", 20}, {"TTIN", 21},
    {"TTOU", 22}, {"URG", 23},    {"XCPU", 24}, {"XFSZ", 25},  {"VTALRM", 26}, {"PROF", 27}, {"WINCH", 28},
    {"IO", 29},   {"PWR", 30},    {"SYS", 31},  {"RTMIN", 34}, {"RTMAX", 64},
}};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// A decimal number with an optional fraction at the start of `text`, which it is removed from.
std::optional<double> take_number(std::string_view& text) {
  std::size_t end = 0;
  while (end < text.size() && (is_digit(text[end]) || text[end] == '.')) ++end;
  double value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + end, value, std::chars_format::fixed);
  if (end == 0 || error != std::errc() || stop != text.data() + end || !is_digit(text[0])) return std::nullopt;
  text.remove_prefix(end);
  return value;
}

std::string_view take_letters(std::string_view& text) {
  std::size_t end = 0;
  while (end < text.size() && !is_digit(text[end]) && text[end] != '.') ++end;
  const std::string_view letters = text.substr(0, end);
  text.remove_prefix(end);
  return letters;
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

}  // namespace

std::optional<SpanNs> parse_duration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  double total = 0;
  std::size_t next_unit = 0;
  while (!text.empty()) {
    const std::optional<double> number = take_number(text);
    const std::string_view name = take_letters(text);
    std::size_t unit = next_unit;
    while (unit < units.size() && units[unit].name != name) ++unit;
    if (!number || unit == units.size()) return std::nullopt;
    total += *number * static_cast<double>(units[unit].length);
    next_unit = unit + 1;
  }
  if (!(total <= static_cast<double>(max_span))) return std::nullopt;
  return nearest_integer(total);
}

std::string duration_text(SpanNs span) {
  std::string out;
  for (const Unit& unit : units) {
    const SpanNs count = span / unit.length;
    if (count == 0) continue;
    out += std::to_string(count);
    out += unit.name;
    span -= count * unit.length;
  }
  return out.empty() ? "0s" : out;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  const std::optional<double> number = take_number(text);
  if (!number) return std::nullopt;
  std::string unit = upper(text);
  double base = 1024;
  if (unit.size() == 2 && unit.ends_with('B')) base = 1000;
  if (unit.size() == 3 && unit.ends_with("IB")) unit.pop_back();
  if (unit.size() > 2 || (unit.size() == 2 && unit[1] != 'B' && unit[1] != 'I')) return std::nullopt;
  double factor = 1;
  if (!unit.empty() && unit != "B") {
    const std::size_t power = std::string_view("KMGT").find(unit[0]);
    if (power == std::string_view::npos) return std::nullopt;
    for (std::size_t i = 0; i <= power; ++i) factor *= base;
  }
  const double bytes = *number * factor;
  if (!(bytes < 9e18)) return std::nullopt;
  const auto whole = static_cast<std::uint64_t>(bytes);
  if (static_cast<double>(whole) != bytes) return std::nullopt;
  return whole;
}

std::string size_text(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 5> names = {"", "KiB", "MiB", "GiB", "TiB"};
  std::size_t power = 0;
  while (power + 1 < names.size() && bytes != 0 && bytes % 1024 == 0) {
    bytes /= 1024;
    ++power;
  }
  return fmt::format("{}{}", bytes, names[power]);
}

std::optional<int> parse_signal(std::string_view text) {
  std::string name = upper(text);
  if (name.starts_with("SIG")) name.erase(0, 3);
  for (const auto& [known, number] : signals) {
    if (known == name) return number;
  }
  const bool from_min = name.starts_with("RTMIN+");
  if (!from_min && !name.starts_with("RTMAX-")) return std::nullopt;
  const auto offset = parse_number(std::string_view(name).substr(6));
  if (!offset || *offset > 30) return std::nullopt;
  return from_min ? 34 + static_cast<int>(*offset) : 64 - static_cast<int>(*offset);
}

std::string signal_text(int signal) {
  for (const auto& [name, number] : signals) {
    if (number == signal) return std::string(name);
  }
  return std::to_string(signal);
}

std::string nearest_signal(std::string_view text) {
  std::string name = upper(text);
  if (name.starts_with("SIG")) name.erase(0, 3);
  std::array<std::string_view, signals.size()> names;
  for (std::size_t i = 0; i < signals.size(); ++i) names[i] = signals[i].first;
  return std::string(nearest(name, names));
}

}  // namespace hearth::config
