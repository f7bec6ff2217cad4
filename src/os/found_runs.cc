#include "os/found_runs.h"

#include <cerrno>
#include <cstdlib>
#include <optional>
#include <utility>

#include "os/proc_stat.h"
#include "os/run_identity.h"

namespace hearth::os {
namespace {

// None: it is of no run of that instance, or gone, or not ours to look at.
Result<std::optional<std::pair<RunId, FoundRun>>> run_led_by(pid_t pid, const std::string& instance_directory) {
  ProcStat stat;
  errno = 0;
  if (!read_stat(pid, stat)) {
    if (is_shortage(errno)) return errno_failure("look at", "PID " + std::to_string(pid), errno);
    return std::nullopt;
  }
  if (stat.session != pid || stat.state == 'Z') return std::nullopt;
  const Result<std::string> environment = read_environment(pid);
  if (!environment && is_shortage(environment.error().code)) return failure(environment.error());
  if (!environment || value_in(*environment, "HEARTH_INSTANCE") != instance_directory) return std::nullopt;
  const RunId run = std::strtoull(value_in(*environment, "HEARTH_RUN").c_str(), nullptr, 10);
  const pid_t judge = judged_by(pid);
  if (run == no_run || (judge != 0 && judge != pid)) return std::nullopt;
  // Read again: between the two the PID may have become another's.
  const std::uint64_t its = start_ticks(pid);
  if (its != 0 && its != stat.start_ticks) return std::nullopt;
  return std::pair(run, FoundRun{pid, stat.start_ticks, value_in(*environment, "HEARTH_SLOT")});
}

}  // namespace

Result<std::map<RunId, FoundRun>> find_runs(const std::string& instance_directory) {
  const Result<std::vector<pid_t>> processes = read_process_list();
  if (!processes) return failure(processes.error());
  std::map<RunId, FoundRun> found;
  for (const pid_t pid : *processes) {
    const auto led = run_led_by(pid, instance_directory);
    if (!led) return failure(led.error());
    if (!*led) continue;
    const auto& [run, candidate] = **led;
    auto [at, added] = found.emplace(run, candidate);
    if (!added && candidate.ticks < at->second.ticks) at->second = candidate;
  }
  return found;
}

}  // namespace hearth::os
