// A PID namespace below ours with a first process, which waits, and a child of it: as in a container.
#pragma once

#include <fcntl.h>
#include <functional>
#include <sched.h>
#include <signal.h>
#include <string>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "os/fd.h"
#include "os/proc_stat.h"

namespace hearth::test {

struct Container {
  pid_t maker = 0;
  pid_t first = 0;   // number 1 there; these numbers are ours
  pid_t inside = 0;  // 0: no namespace can be had here

  using Body = std::function<void()>;
  // What each does as it begins, or the last one executes. By default the maker and the first do nothing.
  explicit Container(const Body& of_inside, const Body& of_first = [] {}, const Body& of_maker = [] {}) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0) return;
    const os::Fd from(ends[0]);
    os::Fd to(ends[1]);
    maker = ::fork();
    if (maker == 0) {
      of_maker();
      const bool apart = ::unshare(CLONE_NEWPID) == 0 || ::unshare(CLONE_NEWUSER | CLONE_NEWPID) == 0;
      const pid_t child = apart ? ::fork() : -1;
      if (child == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        of_first();
        if (::fork() == 0) of_inside();
      } else if (child > 0) {
        (void)!::write(to.get(), "!", 1);
      }
      to.reset();
      for (;;) ::pause();
    }
    to.reset();
    char byte = 0;
    const bool is_made = ::read(from.get(), &byte, 1) == 1;
    if (!is_made || ::read(from.get(), &byte, 1) != 0) return;
    first = child_of(maker);
    inside = child_of(first);
    EXPECT_GT(inside, 1);
  }
  ~Container() {
    for (const pid_t pid : {first, maker})
      if (pid > 1) ::kill(pid, SIGKILL);
    if (maker > 1) ::waitpid(maker, nullptr, 0);
  }
  Container(const Container&) = delete;
  Container& operator=(const Container&) = delete;

  // With this environment and nothing else.
  [[noreturn]] static void become(const std::vector<std::string>& environment) {
    std::vector<char*> env;
    for (const std::string& pair : environment) env.push_back(const_cast<char*>(pair.c_str()));
    env.push_back(nullptr);
    char* const arguments[] = {const_cast<char*>("sleep"), const_cast<char*>("1000"), nullptr};
    ::execve("/bin/sleep", arguments, env.data());
    ::_exit(127);
  }
  static pid_t child_of(pid_t parent) {
    for (const pid_t pid : os::list_processes()) {
      os::ProcStat stat;
      if (parent > 1 && os::read_stat(pid, stat) && stat.parent == parent) return pid;
    }
    return 0;
  }
};

}  // namespace hearth::test
