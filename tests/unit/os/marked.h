// A process of the test that stands for a run's: it has a mark (os/sweep.h), as runs without a leaf have.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <gtest/gtest.h>

namespace hearth::test {

inline void set_mark(pid_t pid, rlim_t mark) {
  rlimit locks{};
  ASSERT_EQ(0, ::prlimit(pid, RLIMIT_LOCKS, nullptr, &locks));
  locks.rlim_cur = mark;
  ASSERT_EQ(0, ::prlimit(pid, RLIMIT_LOCKS, &locks, nullptr));
}

inline void mark_as_run(pid_t pid) {
  set_mark(pid, rlim_t{1} << 40);
}
inline void unmark(pid_t pid) {
  set_mark(pid, RLIM_INFINITY);
}

}  // namespace hearth::test
