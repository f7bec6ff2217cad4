#include "logs/watcher.h"

#include <cerrno>
#include <sys/inotify.h>
#include <unistd.h>

namespace hearth::logs {

Result<Watcher> Watcher::create() {
  Watcher watcher;
  watcher.inotify_.reset(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!watcher.inotify_) return errno_failure("watch", "the logs", errno);
  return watcher;
}

void Watcher::take_events() {
  alignas(inotify_event) char buffer[16 << 10];
  for (;;) {
    const ssize_t got = read(inotify_.get(), buffer, sizeof buffer);
    if (got <= 0) return;
    for (ssize_t at = 0; at < got;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
      if ((event->mask & IN_Q_OVERFLOW) != 0) {
        ++overflows_;
      } else {
        ++events_[event->wd];
      }
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
    }
  }
}

int Watcher::watch(const std::string& path, std::uint32_t events) {
  const int watch = inotify_add_watch(inotify_.get(), path.c_str(), events | IN_MASK_ADD);
  return watch >= 0 ? watch : -errno;
}

std::uint64_t Watcher::events_of(int watch) const {
  const auto found = events_.find(watch);
  return overflows_ + (found != events_.end() ? found->second : 0);
}

}  // namespace hearth::logs
