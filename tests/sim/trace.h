// What happened, one line per event. The hash is always made, so that two runs of one seed can be compared; the
// lines are kept only when somebody will read them.
#pragma once

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "base/time.h"

namespace hearth::sim {

class Trace {
 public:
  explicit Trace(bool keep) : keep_(keep) {}

  __attribute__((format(printf, 3, 4))) void note(MonoNs now, const char* format, ...) {
    char line[256];
    int used = std::snprintf(line, sizeof line, "%12.4f ms  ", static_cast<double>(now - origin) / 1e6);
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(line + used, sizeof line - static_cast<std::size_t>(used), format, arguments);
    va_end(arguments);
    for (char* c = line; *c != 0; ++c)
      if (*c == '\n') *c = ' ';
    for (const char* c = line; *c != 0; ++c) hash_ = (hash_ ^ static_cast<unsigned char>(*c)) * 0x100000001b3ULL;
    ++events_;
    if (keep_) lines_.emplace_back(line);
  }

  std::uint64_t hash() const { return hash_; }
  std::uint64_t events() const { return events_; }
  const std::vector<std::string>& lines() const { return lines_; }

  // CLOCK_MONOTONIC at the beginning; lines count from there.
  static constexpr MonoNs origin = seconds(1'000);

 private:
  bool keep_;
  std::uint64_t hash_ = 0xcbf29ce484222325ULL;
  std::uint64_t events_ = 0;
  std::vector<std::string> lines_;
};

}  // namespace hearth::sim
