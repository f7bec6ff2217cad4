#include "os/found_runs.h"

#include <cstdlib>

#include "os/proc_stat.h"
#include "os/run_identity.h"

namespace hearth::os {

std::map<RunId, FoundRun> find_runs(const std::string& instance_directory) {
  std::map<RunId, FoundRun> found;
  for (pid_t pid : list_processes()) {
    ProcStat stat;
    if (!read_stat(pid, stat) || stat.session != pid || stat.state == 'Z') continue;
    if (environment_of(pid, "HEARTH_INSTANCE") != instance_directory) continue;
    const RunId run = std::strtoull(environment_of(pid, "HEARTH_RUN").c_str(), nullptr, 10);
    if (run == no_run) continue;
    const pid_t judge = judged_by(pid);
    if (judge != 0 && judge != pid) continue;
    FoundRun candidate{pid, stat.start_ticks, environment_of(pid, "HEARTH_SLOT")};
    // Read again: between the two the PID may have become another's.
    if (start_ticks(pid) != stat.start_ticks) continue;
    auto [at, added] = found.emplace(run, candidate);
    if (!added && candidate.ticks < at->second.ticks) at->second = candidate;
  }
  return found;
}

}  // namespace hearth::os
