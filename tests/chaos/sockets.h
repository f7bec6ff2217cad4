// The listening sockets that hearth holds for services, as the world sees them: "unix:PATH" and "tcp:ADDRESS:PORT".
#pragma once

#include <cstdint>
#include <string>

#include "os/fd.h"

namespace hearth::chaos {

// Somebody who connects, and does not wait for it.
struct Call {
  explicit Call(const std::string& address);
  // What has been said to him by now, more or less.
  std::string heard();

  int error = 0;  // errno; 0 = connected, or in the backlog, or on the way there

 private:
  os::Fd fd_;
  std::string text_;
};

// Of the socket that is listened on there, as fstat(2) has it. 0 = nobody listens. It needs no service and no hearth: the
// kernel is asked.
std::uint64_t listening_inode(const std::string& address);

}  // namespace hearth::chaos
