#include "base/rfc3339.h"

#include <chrono>

namespace hearth {
namespace {

void put(std::string& text, unsigned value, unsigned length) {
  text.append(length, '0');
  for (std::size_t at = text.size(); value != 0 && length != 0; --length, value /= 10)
    text[--at] = static_cast<char>('0' + value % 10);
}

}  // namespace

std::string rfc3339(WallNs at, int digits) {
  using namespace std::chrono;
  // By hand: chrono's floor() overflows in the first day that nanoseconds can count.
  constexpr std::int64_t ns_per_day = 86'400 * ns_per_s;
  std::int64_t day = at / ns_per_day;
  std::int64_t of_day = at % ns_per_day;
  if (of_day < 0) --day, of_day += ns_per_day;
  const year_month_day date{sys_days(days(day))};
  const auto second = static_cast<unsigned>(of_day / ns_per_s);
  auto fraction = static_cast<unsigned>(of_day % ns_per_s);
  for (int dropped = 9; dropped > digits; --dropped) fraction /= 10;

  std::string text;
  text.reserve(32);
  put(text, static_cast<unsigned>(static_cast<int>(date.year())), 4);
  put(text += '-', static_cast<unsigned>(date.month()), 2);
  put(text += '-', static_cast<unsigned>(date.day()), 2);
  put(text += 'T', second / 3600, 2);
  put(text += ':', second / 60 % 60, 2);
  put(text += ':', second % 60, 2);
  if (digits > 0) put(text += '.', fraction, static_cast<unsigned>(digits));
  return text += 'Z';
}

}  // namespace hearth
