// The processes of services, as /proc has them: read by the client, so that nobody who looks costs the supervisor
// anything.
//
// To a run belong its leader, what is in the leader's session, what descends from any of these, and of what has been
// adopted by the keeper whoever has the run's number in its environment. What cannot be read belongs to nobody.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <sys/types.h>
#include <vector>

#include "base/time.h"
#include "cli/answers.h"
#include "os/proc_stat.h"

namespace hearth::cli {

struct Snapshot {
  MonoNs at = 0;
  std::map<pid_t, os::ProcStat> processes;
};
Snapshot take_snapshot();

// By the position of the slot. `run_of`: HEARTH_RUN of a process, 0 if unknown; asked for children of the keeper only.
std::vector<std::vector<pid_t>> members_of(const Snapshot& snapshot, const std::vector<SlotNews>& slots, pid_t keeper,
                                           const std::function<std::uint64_t(pid_t)>& run_of);

struct Use {
  double cpu_percent = 0;  // of one processor
  std::uint64_t memory_kib = 0;
  std::uint64_t threads = 0;
  std::size_t processes = 0;
};
// What members have used between two snapshots. Who was not there before counts from its start.
Use use_of(const std::vector<pid_t>& members, const Snapshot& before, const Snapshot& now, long ticks_per_second);

std::uint64_t run_in_environment(pid_t pid);

}  // namespace hearth::cli
