// Places where a test may kill the supervisor. A test sets the hook and throws from it, as if SIGKILL had come
// there; the successor it then makes must end in the same world. Or it does there what somebody else might do just then.
// Nothing but a test sets it. Atomic, because the store's writer is a thread that a test may leave behind.
#pragma once

#include <atomic>

namespace hearth::os {

using CrashHook = void (*)(const char* place);
inline std::atomic<CrashHook> crash_hook = nullptr;

inline void crash_point(const char* place) {
  if (const CrashHook hook = crash_hook.load(std::memory_order_relaxed)) hook(place);
}

}  // namespace hearth::os
