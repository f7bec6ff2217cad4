#include "os/at_work.h"

#include <cstdint>
#include <mutex>
#include <sys/timerfd.h>

namespace hearth::os {
namespace {

// Never taken apart: threads outlive the end of main().
struct Work {
  std::mutex mutex;
  std::uint32_t threads = 0;
  int timer = -1;
};

Work& work() {
  static Work* const one = new Work;
  return *one;
}

void set(int timer, bool on) {
  itimerspec spec{};
  if (on) spec.it_value.tv_nsec = spec.it_interval.tv_nsec = work_is_long_after;
  (void)::timerfd_settime(timer, 0, &spec, nullptr);
}

}  // namespace

AtWork::AtWork() {
  Work& all = work();
  const std::lock_guard lock(all.mutex);
  if (all.threads++ == 0 && all.timer >= 0) set(all.timer, true);
}

AtWork::~AtWork() {
  Work& all = work();
  const std::lock_guard lock(all.mutex);
  if (--all.threads == 0 && all.timer >= 0) set(all.timer, false);
}

int work_timer() {
  Work& all = work();
  const std::lock_guard lock(all.mutex);
  if (all.timer >= 0) return all.timer;
  all.timer = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (all.timer >= 0 && all.threads > 0) set(all.timer, true);
  return all.timer;
}

}  // namespace hearth::os
