#include "os/clock.h"

#include <time.h>

namespace hearth::os {
namespace {

std::int64_t read(clockid_t clock) {
  timespec ts{};
  ::clock_gettime(clock, &ts);
  return static_cast<std::int64_t>(ts.tv_sec) * ns_per_s + ts.tv_nsec;
}

}  // namespace

Now read_clock() {
  return {read(CLOCK_MONOTONIC), read(CLOCK_REALTIME)};
}

MonoNs read_mono() {
  return read(CLOCK_MONOTONIC);
}

}  // namespace hearth::os
