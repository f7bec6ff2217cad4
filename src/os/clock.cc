#include "os/clock.h"

#include <time.h>
#include <unistd.h>

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

std::uint64_t read_boot_ticks() {
  const auto per_tick = static_cast<std::uint64_t>(ns_per_s / ::sysconf(_SC_CLK_TCK));
  return static_cast<std::uint64_t>(read(CLOCK_BOOTTIME)) / per_tick;
}

}  // namespace hearth::os
