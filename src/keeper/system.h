// System calls as the keeper wants them: EINTR retried, and what this libc has no names for.
#pragma once

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

namespace hearth::keeper {

inline constexpr int64_t ms = 1'000'000;  // in ns

inline int64_t now_ns() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

// <linux/pidfd.h> of Linux 6.15. The exit status is in the encoding of wait(2).
struct PidfdInfo {
  uint64_t mask;
  uint64_t cgroup_id;
  uint32_t ids[11];
  int32_t exit_code;
};
static_assert(sizeof(PidfdInfo) == 64);
inline constexpr uint64_t pidfd_info_exit = 1u << 3;
inline constexpr unsigned long pidfd_get_info = _IOWR(0xff, 11, PidfdInfo);
inline constexpr unsigned pidfd_signal_group = 1u << 2;  // Linux 6.9

// Debian 12's <sys/pidfd.h> declares these without extern "C".
inline int pidfd_open(pid_t pid) {
  return static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
}
inline int pidfd_signal(int pidfd, int signal, unsigned flags = 0) {
  return static_cast<int>(syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, flags));
}

// waitid that never blocks. 1: `info` is of a child that has exited; 0: it has not; -1: errno.
// `use`: what it has used; glibc's waitid does not ask the kernel for that.
inline int wait_now(idtype_t type, int id, siginfo_t& info, int flags = 0, struct rusage* use = nullptr) {
  memset(&info, 0, sizeof info);
  int result;
  do {
    result = static_cast<int>(syscall(SYS_waitid, type, id, &info, WEXITED | WNOHANG | __WALL | flags, use));
  } while (result < 0 && errno == EINTR);
  return result < 0 ? -1 : info.si_pid != 0;
}

// For eventfds: a full counter is as good as a written one.
inline void ring(int eventfd) {
  const uint64_t one = 1;
  while (write(eventfd, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

inline void drain(int eventfd) {
  uint64_t count;
  while (read(eventfd, &count, sizeof count) < 0 && errno == EINTR) {
  }
}

inline void close_fd(int& fd) {
  if (fd >= 0) close(fd);
  fd = -1;
}

}  // namespace hearth::keeper
