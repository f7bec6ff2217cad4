#include "cli/processes.h"

#include <charconv>
#include <set>
#include <string>

#include "os/clock.h"

namespace hearth::cli {

Snapshot take_snapshot() {
  Snapshot snapshot;
  snapshot.at = os::read_mono();
  for (const pid_t pid : os::list_processes()) {
    os::ProcStat process;
    if (os::read_stat(pid, process)) snapshot.processes.emplace(pid, std::move(process));
  }
  return snapshot;
}

std::vector<std::vector<pid_t>> members_of(const Snapshot& snapshot, const std::vector<SlotNews>& slots, pid_t keeper,
                                           const std::function<std::uint64_t(pid_t)>& run_of) {
  std::vector<std::vector<pid_t>> members(slots.size());
  std::map<pid_t, std::size_t> slot_by_leader;
  std::map<std::uint64_t, std::size_t> slot_by_run;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    if (slots[i].pid == 0) continue;
    slot_by_leader.emplace(static_cast<pid_t>(slots[i].pid), i);
    slot_by_run.emplace(slots[i].run, i);
  }
  std::map<pid_t, std::size_t> owner;
  for (const auto& [pid, process] : snapshot.processes) {
    const auto leader = slot_by_leader.find(pid);
    const auto session = slot_by_leader.find(process.session);
    if (leader != slot_by_leader.end()) {
      owner[pid] = leader->second;
    } else if (session != slot_by_leader.end()) {
      owner[pid] = session->second;
    } else if (keeper != 0 && process.parent == keeper) {
      const auto run = slot_by_run.find(run_of(pid));
      if (run != slot_by_run.end()) owner[pid] = run->second;
    }
  }
  // Descendants: up until somebody is found who belongs somewhere.
  for (const auto& [pid, process] : snapshot.processes) {
    std::set<pid_t> way;
    pid_t at = pid;
    while (!owner.contains(at) && way.insert(at).second) {
      const auto found = snapshot.processes.find(at);
      if (found == snapshot.processes.end()) break;
      at = found->second.parent;
    }
    const auto found = owner.find(at);
    if (found == owner.end()) continue;
    const std::size_t slot = found->second;
    for (const pid_t each : way) owner[each] = slot;
  }
  for (const auto& [pid, slot] : owner) members[slot].push_back(pid);
  return members;
}

Use use_of(const std::vector<pid_t>& members, const Snapshot& before, const Snapshot& now, long ticks_per_second) {
  Use use;
  std::uint64_t ticks = 0;
  for (const pid_t pid : members) {
    const auto process = now.processes.find(pid);
    if (process == now.processes.end()) continue;
    const auto earlier = before.processes.find(pid);
    const bool same = earlier != before.processes.end() && earlier->second.start_ticks == process->second.start_ticks;
    const std::uint64_t had = same ? earlier->second.ticks : 0;
    ticks += process->second.ticks > had ? process->second.ticks - had : 0;
    use.memory_kib += process->second.resident_kib;
    use.threads += process->second.threads;
    ++use.processes;
  }
  const double elapsed = static_cast<double>(now.at - before.at) / ns_per_s;
  if (elapsed > 0 && ticks_per_second > 0)
    use.cpu_percent = 100.0 * static_cast<double>(ticks) / static_cast<double>(ticks_per_second) / elapsed;
  return use;
}

std::uint64_t run_in_environment(pid_t pid) {
  const std::string text = os::environment_of(pid, "HEARTH_RUN");
  std::uint64_t run = 0;
  std::from_chars(text.data(), text.data() + text.size(), run);
  return run;
}

}  // namespace hearth::cli
