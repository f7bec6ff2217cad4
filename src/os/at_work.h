// Is a thread of this process at something that may not return? The keeper has to know when the process dies: a thread that
// the kernel holds keeps its process from ending, which tells nobody (keeper/held.cc has the model).
//
// One of the process, as its death is. Any thread.
#pragma once

#include "base/time.h"

namespace hearth::os {

// While one lives, a thread is at it. The first sets the timer, the last clears it.
class AtWork {
 public:
  AtWork();
  ~AtWork();
  AtWork(const AtWork&) = delete;
  AtWork& operator=(const AtWork&) = delete;
};

// What is done takes less, on a disk that answers.
inline constexpr SpanNs work_is_long_after = milliseconds(20);

// Expires each work_is_long_after while a thread is at work; for others to read. Made with the first call, and stays. -1:
// descriptors are short (errno).
int work_timer();

}  // namespace hearth::os
