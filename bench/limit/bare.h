// What the limit programs share: the calls themselves, with nothing around them.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

extern char** environ;

namespace limit {

// What svc.cc writes.
struct Stamp {
  int32_t id;
  int32_t pid;
  int64_t ns;
};

inline int64_t now_ns() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

[[noreturn]] inline void give_up(const char* what) {
  perror(what);
  exit(1);
}

[[noreturn, gnu::noinline]] inline void child(char** argv, int output) {
  if (output >= 0) {
    dup2(output, 1);
    dup2(output, 2);
  }
  setsid();
  execve(argv[0], argv, environ);
  _exit(127);
}

[[gnu::noinline]] inline pid_t start_vfork(char** argv) {
  const pid_t pid = vfork();
  if (pid == 0) child(argv, -1);
  return pid;
}

// clone3 on the parent's stack, as vfork does: the child never returns from here, and the parent sleeps until exec.
[[gnu::noinline]] inline pid_t start_into(char** argv, int leaf, int output, uint64_t more_flags = 0) {
  clone_args args{};
  args.flags = CLONE_VM | CLONE_VFORK | CLONE_CLEAR_SIGHAND | (leaf >= 0 ? CLONE_INTO_CGROUP : 0) | more_flags;
  args.exit_signal = (more_flags & CLONE_PARENT) != 0 ? 0 : SIGCHLD;  // the parent's own, then
  args.cgroup = leaf >= 0 ? static_cast<uint64_t>(leaf) : 0;
  long result;
  asm volatile("syscall" : "=a"(result) : "a"(SYS_clone3), "D"(&args), "S"(sizeof args) : "rcx", "r11", "memory");
  if (result == 0) child(argv, output);
  if (result < 0) {
    errno = static_cast<int>(-result);
    give_up("clone3");
  }
  return static_cast<pid_t>(result);
}

// The cgroup v2 mount, hybrid or not; "" when a leaf cannot be made.
inline std::string leaf_parent() {
  for (const char* root : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
    if (access((std::string(root) + "/cgroup.procs").c_str(), F_OK) != 0) continue;
    const std::string parent = std::string(root) + "/hearth-limit-" + std::to_string(getpid());
    if (mkdir(parent.c_str(), 0755) == 0) return parent;
  }
  return "";
}

}  // namespace limit
