#include "base/memory_words.h"

#include <cstdio>

namespace hearth {

std::string memory_words(std::uint64_t used, std::uint64_t most) {
  struct Unit {
    double bytes;
    const char* name;
  };
  constexpr Unit units[] = {{1u << 30, "GiB"}, {1u << 20, "MiB"}, {1u << 10, "KiB"}, {1, "bytes"}};
  std::string of_used, of_most;
  for (const Unit& unit : units) {
    const auto words = [&](std::uint64_t bytes) {
      char text[32];
      std::snprintf(text, sizeof text, "%.1f", static_cast<double>(bytes) / unit.bytes);
      std::string number = text;
      if (number.ends_with(".0")) number.resize(number.size() - 2);
      return number + " " + unit.name;
    };
    of_used = words(used);
    of_most = words(most);
    if (static_cast<double>(most) >= unit.bytes && of_used != of_most) break;
  }
  return "it used " + of_used + " of memory, and max_memory is " + of_most;
}

}  // namespace hearth
