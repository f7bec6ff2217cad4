// Trees that do not want to end:  hearth-test-tree STAGE KIND
// Each member enters the stage before it hides, so that the test holds a pidfd of it.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "stage.h"

extern char** environ;

namespace {

using hearth::nasty::enter_stage;

void ignore_everything() {
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_IGN);
  signal(SIGCHLD, SIG_DFL);
}

[[noreturn]] void wait_forever() {
  for (;;) pause();
}

// The textbook daemon, and without anything by which one could know it: no environment (it is executed anew),
// another session, another directory, another name. `keep`: descriptors that it keeps, or -1.
void daemonize(const char* self, const char* stage, const char* then) {
  if (fork() != 0) return;
  setsid();
  if (fork() != 0) _exit(0);
  (void)!chdir("/");
  const char* const words[] = {"[kworker/7:3]", stage, then, nullptr};
  const char* const nothing[] = {nullptr};
  execve(self, const_cast<char* const*>(words), const_cast<char* const*>(nothing));
  _exit(95);
}

// What the daemonized one does.
[[noreturn]] void hidden(const char* stage, const std::string& kind) {
  ignore_everything();
  if (kind == "hidden-closed") {
    // Its last trace would be the pipe: gone as well. Lineage is gone, too: its parent is dead.
    enter_stage(stage, kind);
    for (int fd = 0; fd < 1024; ++fd) close(fd);
  } else {
    enter_stage(stage, kind);
  }
  wait_forever();
}

void pin_pipe_only() {
  const int null = open("/dev/null", O_RDWR);
  dup2(null, 0);
  dup2(null, 1);  // stderr stays: the pipe
}

// A child that makes a child and ends, for ever: nobody is there for long.
[[noreturn]] void walk(int stage) {
  signal(SIGCHLD, SIG_IGN);
  for (;;) {
    const pid_t child = fork();
    if (child > 0) _exit(0);
    if (child < 0) sched_yield();
    (void)stage;  // held open by whoever walks: its end is seen on the stage
  }
}

void fork_fast(int stage, int count) {
  signal(SIGTERM, SIG_IGN);
  for (int i = 0;; ++i) {
    const pid_t child = fork();
    if (child == 0) _exit(0);
    if (child > 0) waitpid(child, nullptr, 0);
    if (i == count) (void)!send(stage, "forked", 6, MSG_NOSIGNAL);
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 3) return 64;
  const char* stage = arguments[1];
  const std::string kind = arguments[2];
  char self[4096] = {};
  if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) return 65;
  if (kind.starts_with("hidden")) hidden(stage, kind);

  if (kind == "ignores-term") {
    ignore_everything();
    enter_stage(stage, kind);
  } else if (kind == "double-fork") {
    daemonize(self, stage, "hidden");
    enter_stage(stage, kind);
  } else if (kind == "closes-all") {
    daemonize(self, stage, "hidden-closed");
    enter_stage(stage, kind);
    for (int fd = 0; fd < 1024; ++fd) close(fd);
  } else if (kind == "holds-pipe") {
    // Leaves the group, keeps the output, and outlives its parent.
    if (fork() == 0) {
      setsid();
      ignore_everything();
      pin_pipe_only();
      environ = nullptr;
      enter_stage(stage, "pipe-holder");
      wait_forever();
    }
    enter_stage(stage, kind);
  } else if (kind == "forks-fast") {
    const int fd = enter_stage(stage, kind);
    fork_fast(fd, 10'000);
  } else if (kind == "walks") {
    const int fd = enter_stage(stage, kind);
    if (fork() == 0) {
      setsid();
      walk(fd);
    }
    (void)!send(fd, "walking", 7, MSG_NOSIGNAL);
    close(fd);
  } else if (kind == "becomes-root") {  // installed set-user-ID root
    if (setresuid(0, 0, 0) < 0) return 66;
    ignore_everything();
    enter_stage(stage, kind);
  } else {
    return 64;
  }
  wait_forever();
}
