// Ctrl-C while the client waits: a descriptor that becomes readable, so that one poll(2) sees it beside the socket.
#pragma once

#include "os/fd.h"

namespace hearth::cli {

// While it lives, the first SIGINT or SIGTERM does not end the process but is remembered. From when it has been
// noticed, a second one ends the process at once, whatever it does then; where interrupts are held, it is the next
// watch's. One at a time.
class InterruptWatch {
 public:
  InterruptWatch();
  ~InterruptWatch();
  InterruptWatch(const InterruptWatch&) = delete;
  InterruptWatch& operator=(const InterruptWatch&) = delete;

  int fd() const { return fd_.get(); }
  // Sticky: true from the first signal on.
  bool came();

 private:
  os::Fd fd_;
  bool came_ = false;
};

// While it lives, a signal that comes between two watches is the next one's, and none ends the process by itself: for
// commands that do several things one after the other and must not be interrupted in between. Each wait needs a watch:
// without one nothing interrupts it.
class HeldInterrupts {
 public:
  HeldInterrupts();
  ~HeldInterrupts();
  HeldInterrupts(const HeldInterrupts&) = delete;
  HeldInterrupts& operator=(const HeldInterrupts&) = delete;
};

}  // namespace hearth::cli
