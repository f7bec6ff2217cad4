// Numbers without libm, which is 130 KiB of the supervisor's memory: std::llround, and std::from_chars of a double, would
// bring it. What needs those is in scalars.cc, which the supervisor does not link.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>
#include <system_error>

namespace hearth::config {

// An unsigned decimal number and nothing else.
inline std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

// Of 0 to 2^52.
constexpr std::int64_t nearest_integer(double number) {
  return static_cast<std::int64_t>(number + 0.5);
}
// As documents keep numbers that are no integers.
constexpr std::int64_t in_thousandths(double number) {
  return nearest_integer(number * 1000);
}

}  // namespace hearth::config
