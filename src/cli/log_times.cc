#include "cli/log_times.h"

#include <charconv>
#include <ctime>
#include <optional>
#include <string>

#include "config/numbers.h"
#include "config/scalars.h"

namespace hearth::cli {
namespace {

// Takes from the front of a text.
class Taker {
 public:
  explicit Taker(std::string_view text) : left_(text) {}

  bool empty() const { return left_.empty(); }
  bool literal(char c) {
    if (left_.empty() || left_[0] != c) return false;
    left_.remove_prefix(1);
    return true;
  }
  // Exactly `count` digits, the number within bounds.
  bool number(std::size_t count, int least, int greatest, int& out) {
    if (left_.size() < count) return false;
    int value = 0;
    for (char c : left_.substr(0, count)) {
      if (c < '0' || c > '9') return false;
      value = value * 10 + (c - '0');
    }
    if (value < least || value > greatest) return false;
    left_.remove_prefix(count);
    out = value;
    return true;
  }
  // ".25" as nanoseconds.
  bool fraction(SpanNs& out) {
    SpanNs unit = ns_per_s;
    std::size_t count = 0;
    for (; count < left_.size() && left_[count] >= '0' && left_[count] <= '9'; ++count) {
      unit /= 10;
      out += (left_[count] - '0') * unit;
    }
    left_.remove_prefix(count);
    return count > 0;
  }

 private:
  std::string_view left_;
};

std::tm local_time(WallNs wall_ns) {
  const std::time_t whole = wall_ns / ns_per_s;
  std::tm local{};
  localtime_r(&whole, &local);
  local.tm_isdst = -1;
  return local;
}

std::optional<WallNs> from_local(std::tm time, SpanNs fraction) {
  time.tm_isdst = -1;
  const std::time_t whole = std::mktime(&time);
  if (whole < 0) return std::nullopt;
  return static_cast<WallNs>(whole) * ns_per_s + fraction;
}

// "12:00", "12:00:30", "12:00:30.5"
bool take_clock(Taker& text, std::tm& time, SpanNs& fraction) {
  time.tm_sec = 0;
  if (!text.number(2, 0, 23, time.tm_hour) || !text.literal(':') || !text.number(2, 0, 59, time.tm_min)) return false;
  if (!text.literal(':')) return true;
  return text.number(2, 0, 60, time.tm_sec) && (!text.literal('.') || text.fraction(fraction));
}

std::optional<WallNs> parse_date(std::string_view words) {
  Taker text(words);
  std::tm time{};
  SpanNs fraction = 0;
  if (!text.number(4, 1970, 2262, time.tm_year) || !text.literal('-') || !text.number(2, 1, 12, time.tm_mon) ||
      !text.literal('-') || !text.number(2, 1, 31, time.tm_mday))
    return std::nullopt;
  time.tm_year -= 1900;
  time.tm_mon -= 1;
  if (text.empty()) return from_local(time, 0);
  if (!text.literal('T') && !text.literal('t') && !text.literal(' ')) return std::nullopt;
  if (!take_clock(text, time, fraction)) return std::nullopt;
  if (text.empty()) return from_local(time, fraction);
  int sign = 0, hours = 0, minutes = 0;
  if (!text.literal('Z') && !text.literal('z')) {
    sign = text.literal('+') ? 1 : text.literal('-') ? -1 : 0;
    if (sign == 0 || !text.number(2, 0, 23, hours)) return std::nullopt;
    text.literal(':');
    if (!text.number(2, 0, 59, minutes)) return std::nullopt;
  }
  if (!text.empty()) return std::nullopt;
  return static_cast<WallNs>(timegm(&time) - sign * (hours * 3600 + minutes * 60)) * ns_per_s + fraction;
}

std::optional<WallNs> parse_day(std::string_view words, WallNs now) {
  int back = 0;
  if (words.starts_with("today")) {
    words.remove_prefix(5);
  } else if (words.starts_with("yesterday")) {
    words.remove_prefix(9);
    back = 1;
  } else {
    return std::nullopt;
  }
  std::tm time = local_time(now);
  time.tm_mday -= back;
  time.tm_hour = time.tm_min = time.tm_sec = 0;
  SpanNs fraction = 0;
  Taker text(words);
  if (!text.empty() && (!text.literal(' ') || !take_clock(text, time, fraction) || !text.empty())) return std::nullopt;
  return from_local(time, fraction);
}

std::optional<WallNs> parse_clock(std::string_view words, WallNs now) {
  std::tm time = local_time(now);
  SpanNs fraction = 0;
  Taker text(words);
  if (!take_clock(text, time, fraction) || !text.empty()) return std::nullopt;
  const std::optional<WallNs> today = from_local(time, fraction);
  if (!today || *today <= now) return today;
  --time.tm_mday;
  return from_local(time, fraction);
}

std::optional<WallNs> parse_any(std::string_view text, WallNs now) {
  if (text == "now") return now;
  if (text.starts_with('@')) {
    const std::optional<std::uint64_t> whole = config::parse_number(text.substr(1));
    if (!whole || *whole > 9'000'000'000) return std::nullopt;
    return static_cast<WallNs>(*whole) * ns_per_s;
  }
  if (const auto day = parse_day(text, now)) return day;
  if (const auto date = parse_date(text)) return date;
  if (const auto clock = parse_clock(text, now)) return clock;
  std::string_view span = text;
  if (span.ends_with(" ago")) span.remove_suffix(4);
  const std::optional<SpanNs> back = config::parse_duration(span);
  if (!back || *back > now) return std::nullopt;
  return now - *back;
}

}  // namespace

Result<WallNs> parse_moment(std::string_view option, std::string_view text, WallNs now) {
  if (const std::optional<WallNs> moment = parse_any(text, now)) return *moment;
  return failure(Remedy::fix_input, "understand", std::string(option) + " \"" + std::string(text) + "\"",
                 "it is no point in time",
                 R"(write "5m" (ago), "14:30", "yesterday", "2025-01-31 14:30" or "2025-01-31T14:30:00Z")");
}

WallNs end_after(WallNs begin, std::string_view text, WallNs end) {
  Taker words(text);
  std::tm time = local_time(end);
  SpanNs fraction = 0;
  if (end >= begin || !take_clock(words, time, fraction) || !words.empty()) return end;
  ++time.tm_mday;
  return from_local(time, fraction).value_or(end);
}

}  // namespace hearth::cli
