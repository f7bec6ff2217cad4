// Finding and ending what is left of a run where there are no cgroups (containers, login sessions).
//
// Model
// -----
// A process belongs to the run when there is evidence:
//   lineage   its session or process group is the leader's, or its parent belongs to the run
//   cookie    HEARTH_RUN and HEARTH_INSTANCE in its environment
//   output    it holds the run's FIFO open for writing (also after `setsid env -i`)
// and none against it: a cookie of another run speaks against `output` (the descriptor was handed to it on
// purpose), and nothing that began before the leader can descend from it. Hearth's own processes are never
// candidates. What is only suspicious is listed and left alone.
//
//   freezing   each pass: SIGSTOP to everything that is newly found. A frozen process makes no children, so a pass
//              that finds nothing new has found all.
//   killing    SIGKILL to all, then passes until they are gone. Something new: freezing again.
//   done | incomplete   after at most passes_max passes or limit; who is left is named (another user's; one that
//              hangs in the kernel; a fork bomb that outran us).
//
// One pass reads /proc once, 3 to 5 ms with 470 processes: one per turn of the supervisor, and never on the way of
// a restart. Signals go through pidfds that were checked against the start time, so that no PID used again is hit.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "os/fd.h"
#include "os/proc_stat.h"

namespace hearth::os {

struct SweepTarget {
  RunId run = no_run;
  std::string instance;          // directory, as in HEARTH_INSTANCE
  pid_t leader = 0;
  std::uint64_t leader_ticks = 0;  // 0 = unknown: then lineage is no evidence
  int output = -1;               // an end of the run's FIFO, -1 = none; borrowed for the sweep's life
  std::vector<pid_t> spare;      // hearth's own processes
};

struct FoundProcess {
  pid_t pid = 0;
  std::string command;
};

class Sweep {
 public:
  static constexpr int passes_max = 20;
  static constexpr SpanNs limit = seconds(2);

  explicit Sweep(SweepTarget target);

  enum class State { again, done, incomplete };
  // One pass. Not called again once it is done or incomplete.
  State step(MonoNs now);
  // Pause before the next step; 0 while freezing.
  SpanNs pause() const { return killing_ ? milliseconds(2) : 0; }

  const std::vector<FoundProcess>& survivors() const { return survivors_; }
  const std::vector<FoundProcess>& suspects() const { return suspects_; }
  int passes() const { return passes_; }
  int killed() const { return killed_; }

 private:
  struct Held {
    pid_t pid;
    std::uint64_t ticks;
    Fd pidfd;
    bool gone = false;
    bool refused = false;  // EPERM: another user's
  };
  enum class Evidence { none, suspicious, belongs };

  using Stats = std::unordered_map<pid_t, ProcStat>;
  Stats read_all_stats() const;
  Evidence direct_evidence(pid_t pid, const ProcStat& stat, bool leader_holds) const;
  bool writes_to_output(pid_t pid) const;
  std::vector<pid_t> find_all(const Stats& stats);
  bool freeze_new(const std::vector<pid_t>& found, const Stats& stats);
  void kill_all();
  bool all_gone();
  void name_survivors();
  bool holds(pid_t pid, std::uint64_t ticks) const;

  SweepTarget target_;
  dev_t output_device_ = 0;
  ino_t output_inode_ = 0;
  std::vector<Held> held_;
  std::vector<FoundProcess> survivors_;
  std::vector<FoundProcess> suspects_;
  MonoNs began_ = 0;
  int passes_ = 0;
  int killed_ = 0;
  bool killing_ = false;
};

}  // namespace hearth::os
