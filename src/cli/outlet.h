// stdout or stderr of a command that must go on while nobody reads it: the log driver of a container that is stuck, a
// pager that waits for a key. What cannot be written at once is kept.
#pragma once

#include <string>
#include <string_view>

#include "os/fd.h"

namespace hearth::cli {

class Outlet {
 public:
  // `fd`: borrowed, and left as it is: whoever shares it, as a shell does, does not find it non-blocking afterwards.
  explicit Outlet(int fd);

  // Writes what can be written without waiting; the rest waits for flush(). What nobody will ever read is forgotten.
  void write(std::string_view text);
  // True: something was written.
  bool flush();
  std::size_t waiting() const { return waiting_.size(); }
  // Writable when flush() can go on.
  int descriptor() const { return own_ ? own_.get() : fd_; }

 private:
  enum class Kind { other, pipe, socket };

  // As write(2), but EAGAIN instead of waiting.
  ssize_t write_some(std::string_view text) const;

  int fd_;
  Kind kind_ = Kind::other;
  os::Fd own_;  // the same pipe or terminal opened anew, non-blocking; none: it could not be
  std::string waiting_;
};

}  // namespace hearth::cli
