// A leader with a FIFO as its output, which is swept.
#pragma once

#include <cstdint>
#include <fcntl.h>
#include <functional>
#include <poll.h>
#include <signal.h>
#include <string>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "os/clock.h"
#include "os/sweep.h"
#include "unit/os/temp_directory.h"

namespace hearth::os {

// Other tests sweep at the same time: each program is an instance of its own, also seen from its children, of which one
// may be the first to ask.
inline const std::string instance_name = "/instance." + std::to_string(::getpid());
inline const std::string& instance() {
  return instance_name;
}

// A leader that runs `body` in its own session and writes a byte when everything is set up.
struct SweepTest : ::testing::Test {
  test::TempDirectory directory;
  Fd output;
  int ready[2];
  pid_t leader = 0;
  std::vector<pid_t> others;

  SweepTest() {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    EXPECT_EQ(0, ::mkfifo((directory / "o").c_str(), 0600));
    output = Fd(::open((directory / "o").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    EXPECT_EQ(0, ::pipe2(ready, O_CLOEXEC));
  }
  ~SweepTest() override {
    if (leader > 0) ::kill(-leader, SIGKILL);
    for (pid_t pid : others) ::kill(pid, SIGKILL);
    while (::waitpid(-1, nullptr, 0) > 0) {
    }
    ::close(ready[0]);
    ::close(ready[1]);
  }
  void tell() {
    const pid_t self = ::getpid();
    (void)!::write(ready[1], &self, sizeof self);
  }
  pid_t heard() {
    pollfd polled{ready[0], POLLIN, 0};
    pid_t pid = 0;
    EXPECT_EQ(1, ::poll(&polled, 1, 30'000));
    EXPECT_EQ(static_cast<ssize_t>(sizeof pid), ::read(ready[0], &pid, sizeof pid));
    return pid;
  }
  void lead(const std::function<void()>& body) {
    leader = ::fork();
    if (leader == 0) {
      ::setsid();
      body();
      for (;;) ::pause();
    }
  }
  [[noreturn]] void execute(const std::vector<std::string>& environment,
                            const std::string& script = "exec sleep 1000") {
    std::vector<char*> env;
    for (const std::string& pair : environment) env.push_back(const_cast<char*>(pair.c_str()));
    env.push_back(nullptr);
    char* const arguments[] = {const_cast<char*>("sh"), const_cast<char*>("-c"), const_cast<char*>(script.c_str()),
                               nullptr};
    ::execve("/bin/sh", arguments, env.data());
    ::_exit(1);
  }
  // As hearth does it: without its pauses nobody who was killed might get a processor for his end.
  Sweep::State sweep(Sweep& sweep, bool reaps = true) {
    for (;;) {
      const Sweep::State state = sweep.step(read_mono());
      while (reaps && ::waitpid(-1, nullptr, WNOHANG) > 0) {
      }
      if (state != Sweep::State::again) return state;
      ::poll(nullptr, 0, static_cast<int>(sweep.pause() / ns_per_ms));
    }
  }
  SweepTarget target() {
    SweepTarget out;
    out.instance = instance();
    out.label = "shop.web.0";
    out.leader = leader;
    out.leader_ticks = start_ticks(leader);
    out.outputs = {output.get()};
    return out;
  }
  static bool alive(pid_t pid) {
    ProcStat stat;
    return read_stat(pid, stat) && stat.state != 'Z';
  }
};

}  // namespace hearth::os
