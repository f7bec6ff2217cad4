#include "os/run_identity.h"

#include <cerrno>
#include <string>
#include <string_view>
#include <sys/resource.h>

#include "base/split.h"
#include "os/notify_sender.h"
#include "os/proc_stat.h"

namespace hearth::os {
namespace {

// Has none: as far as we may look.
bool has_no_mark(pid_t pid) {
  rlimit locks{};
  return ::prlimit(pid, RLIMIT_LOCKS, nullptr, &locks) == 0 && locks.rlim_cur == RLIM_INFINITY;
}

// How many PID namespaces from ours on it has a number in: 1 in ours. 0 with errno. Unlike the links in /proc/PID/ns
// this is for everybody to read, also of who may not be traced.
std::size_t namespaces_of(pid_t pid) {
  const Result<std::string> text = read_file("/proc/" + std::to_string(pid) + "/status", 1u << 16);
  if (!text) {
    errno = text.error().code;
    return 0;
  }
  constexpr std::string_view key = "\nNSpid:";
  const std::size_t at = text->find(key);
  if (at == std::string::npos) return 1;  // a kernel without namespaces
  std::string_view rest = std::string_view(*text).substr(at + key.size());
  rest = rest.substr(0, rest.find('\n'));
  std::size_t count = 0;
  while (take_word(rest)) ++count;
  return count;
}

}  // namespace

pid_t judged_by(pid_t pid) {
  std::size_t its = namespaces_of(pid);
  for (pid_t gone = 0; its > 1;) {
    ProcStat stat;
    errno = ENOENT;
    if (!read_stat(pid, stat)) return 0;
    const std::size_t of_parent = namespaces_of(stat.parent);
    if (of_parent == 0 && is_shortage(errno)) return 0;
    // The parent that it had may have ended just now, and it has another one. One that /proc hides stays hidden, and is
    // the machine's first process, which has taken an orphan over: root's.
    if (of_parent == 1 || (of_parent == 0 && gone == stat.parent)) return pid;
    gone = of_parent == 0 ? stat.parent : 0;
    if (of_parent != 0) pid = stat.parent, its = of_parent;
  }
  return its == 1 ? pid : 0;
}

bool is_in_our_pid_namespace(pid_t pid) {
  return namespaces_of(pid) == 1;
}

bool may_be_of_run(pid_t pid, RunId run) {
  bool has_cookie = false;
  const std::string environment = environment_text(pid);
  const std::string cookie = value_in(environment, "HEARTH_RUN", &has_cookie);
  if (has_cookie) return cookie == std::to_string(run);
  if (!has_no_mark(pid) || !leaf_in(cgroup_of(pid), run).empty()) return true;
  if (environment.empty()) return !has_empty_environment(pid);
  ProcStat stat;
  return !read_stat(pid, stat) || stat.state == 'Z' || stat.name == "hearth-spawner";
}

}  // namespace hearth::os
