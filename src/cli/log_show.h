// The lines of services on stdout, and our own on stderr, by a command that never waits for whoever reads them.
//
// There is a buffer for each, and while that of stdout is full nothing more is read from the logs: they are files, and keep
// it. One descriptor tells of both, new lines and room for them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/interrupt.h"
#include "cli/log_tail.h"
#include "cli/outlet.h"
#include "os/fd.h"

namespace hearth::cli {

class LogShow {
 public:
  LogShow();

  // Of the service with this full name: what it wrote before is not shown.
  void begin(const std::string& full_name, const std::string& log_directory) { tail_.begin(full_name, log_directory); }
  // These are the services now.
  void follow(const std::vector<SlotNews>& slots);
  // To stderr.
  void say(std::string_view text);

  // Becomes readable when there is something to do; then call go_on().
  int descriptor() const { return news_.get(); }
  // It tells of new lines, too; else go_on() again and again.
  bool tells_all() const { return news_ && tail_.descriptor() >= 0; }
  // True: something was read or written.
  bool go_on();

  // The last lines, which may still be on their way into their files, and all that is not yet written. For as long as it
  // takes, unless somebody `hurries`, or does so meanwhile. Returns how many bytes were not shown.
  std::size_t finish(InterruptWatch& watch, bool hurries);

 private:
  bool has_room() const;
  void watch(int fd, std::uint32_t events, std::uint32_t& watched);
  void watch_all();
  bool is_done() const { return out_.waiting() == 0 && err_.waiting() == 0 && !tail_.more(); }

  LogTail tail_;
  Outlet out_, err_;
  os::Fd news_;   // epoll
  os::Fd again_;  // always readable: watched when there is something to do at once
  std::uint32_t tail_events_ = 0, out_events_ = 0, err_events_ = 0, again_events_ = 0;
};

}  // namespace hearth::cli
