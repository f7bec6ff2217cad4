// System calls that a service can be denied, by name and in groups. What becomes of them: os/seccomp.h
//
// Groups have the names of systemd.exec(5), "System Call Filtering", where they are alike (@signal is not: there it is how a
// process handles signals, here how it sends them); "@default" is all of them but @signal: what daemons do not need and attackers
// do, much as containers are denied it. A name stands for the system call, as in syscalls(2). Of `clone` only new namespaces
// are denied, and `clone3` with it; that answers ENOSYS, so that libraries use clone.
#pragma once

#include <span>
#include <string_view>
#include <vector>

namespace hearth {

struct SystemCallGroup {
  std::string_view name;  // "@mount"
  std::span<const std::string_view> calls;
  bool in_default = true;
};

// But for @default.
std::span<const SystemCallGroup> system_call_groups();
// All that can be denied, in groups or not; in the order of their names.
std::span<const std::string_view> system_call_names();
// What one word stands for; none: it is no such word.
std::vector<std::string_view> system_calls_of(std::string_view word);

}  // namespace hearth
