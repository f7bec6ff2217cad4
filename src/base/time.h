// Time as data. Deadlines are points on CLOCK_MONOTONIC, which no clock step moves and which stands still
// while the machine is suspended; what people read is CLOCK_REALTIME and is never compared.
#pragma once

#include <cstdint>

namespace hearth {

// Nanoseconds on CLOCK_MONOTONIC. 0 is never a valid reading and means "none".
using MonoNs = std::int64_t;
// Nanoseconds since the epoch on CLOCK_REALTIME; for display only. 0 means "never".
using WallNs = std::int64_t;
// A span in nanoseconds.
using SpanNs = std::int64_t;

inline constexpr SpanNs ns_per_us = 1'000;
inline constexpr SpanNs ns_per_ms = 1'000'000;
inline constexpr SpanNs ns_per_s = 1'000'000'000;
inline constexpr MonoNs never = INT64_MAX;

constexpr SpanNs milliseconds(std::int64_t n) {
  return n * ns_per_ms;
}
constexpr SpanNs seconds(std::int64_t n) {
  return n * ns_per_s;
}

// The later point, saturating at `never`.
constexpr MonoNs after(MonoNs now, SpanNs span) {
  return span >= never - now ? never : now + span;
}

// A reading of both clocks, taken once per turn: time stands still within a turn.
struct Now {
  MonoNs mono = 0;
  WallNs wall = 0;
};

}  // namespace hearth
