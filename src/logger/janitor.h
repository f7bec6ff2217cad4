// Has the complete files of streams compressed and bounded (tidy.h): by a child at the least priority, one stream at a
// time, so that neither output nor anybody else's work waits for it. The child dies with the logger; what it has not
// done is found again when the stream is written next.
#pragma once

#include <deque>
#include <sys/types.h>

#include "base/ids.h"
#include "logger/system.h"
#include "os/fd.h"
#include "wire/log_page.h"

namespace hearth::logger {

class Janitor {
 public:
  // The child's end is an event of `epoll` with this token. Everything borrowed outlives the janitor.
  Janitor(System& system, wire::LogPage& page, int log_directory, int epoll, uint64_t token)
      : system_(system), page_(page), log_directory_(log_directory), epoll_(epoll), token_(token) {}
  ~Janitor();
  Janitor(const Janitor&) = delete;
  Janitor& operator=(const Janitor&) = delete;

  // The stream has files that were not looked at yet. Asked again before its turn, it is one turn.
  void ask(SlotIndex slot);
  // The token's event.
  void child_ended();

 private:
  void begin();
  bool start_child(SlotIndex slot);

  System& system_;
  wire::LogPage& page_;
  int log_directory_;
  int epoll_;
  uint64_t token_;
  std::deque<SlotIndex> asked_;
  SlotIndex slot_ = 0;  // of the child
  pid_t child_ = -1;
  os::Fd pidfd_;
};

}  // namespace hearth::logger
