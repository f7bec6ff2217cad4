#include "os/run_identity.h"

#include <string>
#include <sys/resource.h>

#include "os/notify_sender.h"
#include "os/proc_stat.h"

namespace hearth::os {
namespace {

// Has none: as far as we may look.
bool has_no_mark(pid_t pid) {
  rlimit locks{};
  return ::prlimit(pid, RLIMIT_LOCKS, nullptr, &locks) == 0 && locks.rlim_cur == RLIM_INFINITY;
}

}  // namespace

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
