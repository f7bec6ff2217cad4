#include "processes.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {
#include <sys/pidfd.h>  // glibc 2.36 forgot to say so itself
}

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "os/clock.h"
#include "os/fd.h"

namespace hearth::support {
namespace {

// A process may end while it is looked at, and then streams throw.
std::string slurp(const std::string& path) {
  return os::read_file(path).value_or("");
}

// The first thread of one that was killed is a zombie before the last has given back what they share: the instance's
// lock, too.
bool has_other_threads(pid_t pid) {
  DIR* tasks = opendir(("/proc/" + std::to_string(pid) + "/task").c_str());
  if (tasks == nullptr) return false;
  int threads = 0;
  while (const dirent* task = readdir(tasks)) threads += task->d_name[0] != '.';
  closedir(tasks);
  return threads > 1;
}

}  // namespace

void become_reaper() {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
}

std::vector<pid_t> children() {
  std::vector<pid_t> pids;
  DIR* tasks = opendir("/proc/self/task");
  while (const dirent* task = tasks == nullptr ? nullptr : readdir(tasks)) {
    if (task->d_name[0] == '.') continue;
    std::istringstream in(slurp("/proc/self/task/" + std::string(task->d_name) + "/children"));
    for (pid_t pid = 0; in >> pid;) pids.push_back(pid);
  }
  if (tasks != nullptr) closedir(tasks);
  return pids;
}

std::vector<Ended> reap() {
  std::vector<Ended> ended;
  int status = 0;
  for (pid_t pid = 0; (pid = waitpid(-1, &status, WNOHANG | __WALL | __WNOTHREAD)) > 0;) ended.push_back({pid, status});
  return ended;
}

bool lives(pid_t pid) {
  const std::string stat = slurp("/proc/" + std::to_string(pid) + "/stat");
  const std::size_t paren = stat.rfind(')');  // the name before may hold anything
  if (paren == stat.npos || paren + 2 >= stat.size() || stat[paren + 2] == 'X') return false;
  return stat[paren + 2] != 'Z' || has_other_threads(pid);
}

std::string program_of(pid_t pid) {
  char buffer[4096];
  const ssize_t n = readlink(("/proc/" + std::to_string(pid) + "/exe").c_str(), buffer, sizeof buffer);
  const std::string path(buffer, n <= 0 ? 0 : static_cast<std::size_t>(n));
  return path.substr(path.rfind('/') + 1);
}

std::string describe(pid_t pid) {
  std::string command = slurp("/proc/" + std::to_string(pid) + "/cmdline");
  std::replace(command.begin(), command.end(), '\0', ' ');
  return program_of(pid) + " (PID " + std::to_string(pid) + "): " + command;
}

bool kill_all_below() {
  const MonoNs deadline = os::read_mono() + seconds(10);
  for (;;) {
    reap();
    const std::vector<pid_t> left = children();
    if (left.empty()) return true;
    if (os::read_mono() > deadline) return false;
    for (const pid_t pid : left) {
      const os::Fd handle(pidfd_open(pid, 0));
      if (!handle) continue;
      pidfd_send_signal(handle.get(), SIGKILL, nullptr, 0);
      pollfd wait{handle.get(), POLLIN, 0};
      poll(&wait, 1, 1'000);
    }
  }
}

}  // namespace hearth::support
