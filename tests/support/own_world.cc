#include "own_world.h"

#include <cstdio>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/fd.h"

namespace hearth::support {
namespace {

pid_t first_process = -1;

void pass_on(int signal) {
  kill(first_process, signal);
}

[[noreturn]] void end_as_it_does() {
  struct sigaction action{};
  action.sa_handler = pass_on;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
  int status = 0;
  while (waitpid(first_process, &status, 0) < 0) {
  }
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

bool write_to(const char* path, const std::string& text) {
  const os::Fd fd(open(path, O_WRONLY | O_CLOEXEC));
  return fd && write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// Everybody remains who he is: programs that are executed there have no more rights than outside.
bool enter_user_namespace() {
  const std::string user = std::to_string(geteuid()) + " " + std::to_string(geteuid()) + " 1";
  const std::string group = std::to_string(getegid()) + " " + std::to_string(getegid()) + " 1";
  return unshare(CLONE_NEWUSER) == 0 && write_to("/proc/self/uid_map", user) &&
         write_to("/proc/self/setgroups", "deny") && write_to("/proc/self/gid_map", group);
}

}  // namespace

World enter_own_world(bool user_namespace) {
  if (geteuid() != 0 && user_namespace && !enter_user_namespace()) return {};
  if (unshare(CLONE_NEWPID | CLONE_NEWNS) < 0) return {};
  first_process = fork();
  if (first_process < 0) return {};
  if (first_process != 0) end_as_it_does();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  World world{true, mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0};
  if (!world.can_mount || mount("proc", "/proc", "proc", 0, nullptr) < 0)
    std::fputs("no /proc of our own here: the rest of the machine is seen, too\n", stderr);
  return world;
}

}  // namespace hearth::support
