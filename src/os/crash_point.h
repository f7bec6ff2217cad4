// Places where a test may kill the supervisor. A test sets the hook and throws from it, as if SIGKILL had come
// there; the successor it then makes must end in the same world. Nothing but a test sets it.
#pragma once

namespace hearth::os {

using CrashHook = void (*)(const char* place);
inline CrashHook crash_hook = nullptr;

inline void crash_point(const char* place) {
  if (crash_hook != nullptr) crash_hook(place);
}

}  // namespace hearth::os
