// One inotify instance for any number of directories: a user has 128 of them (fs.inotify.max_user_instances).
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "base/result.h"
#include "os/fd.h"

namespace hearth::logs {

class Watcher {
 public:
  static Result<Watcher> create();

  // Becomes readable when something has happened; take_events() clears it.
  int descriptor() const { return inotify_.get(); }
  void take_events();

  // Returns the watch's number (the same one for a path that is watched already, `events` are added), or -errno.
  int watch(const std::string& path, std::uint32_t events);
  // How many events of it were taken so far: whoever remembers the last count knows whether there were more. All of
  // them change when the kernel's queue has overflowed.
  std::uint64_t events_of(int watch) const;

 private:
  os::Fd inotify_;
  std::unordered_map<int, std::uint64_t> events_;
  std::uint64_t overflows_ = 0;
};

}  // namespace hearth::logs
