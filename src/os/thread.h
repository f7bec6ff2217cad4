// A thread beside the one that works: for what may not return (a disk, somebody's file system).
#pragma once

#include <cstddef>
#include <functional>
#include <pthread.h>

namespace hearth::os {

// Of address space; what these threads do touches little. Sanitizers need more than that.
inline constexpr std::size_t helper_stack_bytes = 256 * 1024;

// All signals are blocked in it: what is sent to this process is for its other threads. `body` is destroyed when it has
// returned, so what it needs it holds (a shared_ptr): the thread may outlive its maker. Joined or detached by the caller.
// 0, or errno; nothing has begun then.
int start_thread(pthread_t& thread, std::function<void()> body, std::size_t stack_bytes = helper_stack_bytes);

}  // namespace hearth::os
