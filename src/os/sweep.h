// Finding and ending what is left of a service where there are no cgroups (containers, login sessions).
//
// Model
// -----
// A process belongs to the service when there is evidence:
//   lineage   its session or process group is the leader's, or its parent belongs to the service
//   cookie    HEARTH_SLOT and HEARTH_INSTANCE in its environment
//   output    it holds a FIFO of the service open for writing (also after `setsid env -i`)
//   leaf      its cgroup is a leaf of the service, in whatever tree (cgroup.h)
//   mark      its soft RLIMIT_LOCKS is the service's own number. Children inherit limits through everything, this
//             one has had no meaning since Linux 2.4.25 (getrlimit(2)), and nobody sets it: what has closed all
//             descriptors, lost its environment and its parents still has it
// and none against it: a cookie of another service speaks against `output` (the descriptor was handed to it on
// purpose). Cookie, leaf and mark of who is in a PID namespace below ours are not his own (run_identity.h): a
// container's hearth may have the same. And the sweep is of a run: whoever is of a later one of the service that is
// there already (leave()), by his cookie or leaf, as its leader or below one of these, is left to that one's end. Runs
// before it are ended with it, as a restart sweeps nobody. Who holds the output and has no environment to ask (in the
// middle of execve(2) and of its exit nobody has one) is unclear: it is looked at again in the next pass, and left
// alone when it stays so. What began before the leader may be left of an earlier run, and is known by its mark alone.
// Hearth's own processes are never candidates. What is only suspicious is listed and left alone.
//
//   freezing   each pass: SIGSTOP to everything that is newly found. A frozen process makes no children, so a pass
//              that finds nothing new has found all. Who ends between being found and being held (a chain of
//              processes that fork and end) is stopped by its process group, which the kernel does at one stroke.
//   killing    SIGKILL to all, then passes until they are gone. Something new: freezing again.
//   done | incomplete   who is left is named (another user's; one that hangs in the kernel; a fork bomb that outran us;
//              whoever is unclear still), or that nobody could look (descriptors or memory were short).
//
// When it gives up: what forks faster than we look is not waited for, but looked at at most hunts_max times. Who was
// killed needs a processor for its end, and time to give its memory back: seconds where the machine is busy or the
// memory large, so that counting passes would call a slow end a survivor. It has limit, and who is unclear
// limit_of_unclear, as has a look that is not possible. Neither ends a sweep before waits_min looks in a row: a hearth
// that was itself held up (stopped, or without a processor) has not waited. For a writer to the output whom nobody can
// find there are only those looks.
//
// One pass reads /proc once, 3 to 5 ms with 470 processes: one per turn of the supervisor, and never on the way of
// a restart. Signals go through pidfds that were checked against the start time, so that no PID used again is hit.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <sys/types.h>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "os/fd.h"
#include "os/proc_stat.h"

namespace hearth::os {

// The number in RLIMIT_LOCKS of a service's processes; never 0, always below RLIM_INFINITY.
std::uint64_t sweep_mark(const std::string& instance, const std::string& label);

struct SweepTarget {
  std::string instance;    // directory, as in HEARTH_INSTANCE
  std::string label;       // as in HEARTH_SLOT
  std::uint64_t mark = 0;  // 0 = its processes have none
  pid_t leader = 0;
  std::uint64_t leader_ticks = 0;  // 0 = unknown: then lineage is no evidence
  std::vector<int> outputs;        // an end of each FIFO; only looked at when the sweep is made
  std::vector<pid_t> spare;        // hearth's own processes
};

struct FoundProcess {
  pid_t pid = 0;
  std::string command;
};

class Sweep {
 public:
  static constexpr int hunts_max = 20;
  static constexpr int waits_min = 20;
  static constexpr SpanNs limit = seconds(10);
  static constexpr SpanNs limit_of_unclear = seconds(2);
  static constexpr int calm_passes_wanted = 5;

  explicit Sweep(SweepTarget target);

  enum class State { again, done, incomplete };
  // A later run of the service, which begins or goes on meanwhile: 0 = none, and no leader yet.
  void leave(RunId run, pid_t leader) { later_ = run, later_leader_ = leader; }
  // One pass. Not called again once it is done or incomplete.
  State step(MonoNs now);
  // Pause before the next step; 0 while freezing. Longer and longer while somebody is waited for: most are gone, or
  // unclear no more, at the next look, and who is not may take the time that there is.
  SpanNs pause() const { return killing_ ? milliseconds(2) << (patience_ > 0 ? std::min(waits_ / 4, 5) : 0) : 0; }

  const std::vector<FoundProcess>& survivors() const { return survivors_; }
  // That hold the output and are another run's: left alone.
  const std::vector<FoundProcess>& suspects() const { return suspects_; }
  // That hold the output, and nobody could tell whose they are: left alone. With them a sweep is incomplete.
  const std::vector<FoundProcess>& unclear() const { return unclear_; }
  // In the last pass not every process could be looked at: descriptors or memory were short. With that a sweep is
  // incomplete.
  bool is_blind() const { return blind_; }
  int hunts() const { return hunts_; }
  int killed() const { return killed_; }

 private:
  struct Held {
    pid_t pid;
    std::uint64_t ticks;
    Fd pidfd;
    bool killed = false;
    bool gone = false;
    bool refused = false;  // EPERM: another user's
  };
  enum class Evidence { none, unclear, suspicious, later, belongs };
  struct FifoIdentity {
    dev_t device;
    ino_t inode;
  };

  using Stats = std::unordered_map<pid_t, ProcStat>;
  Stats read_all_stats();
  bool stop_groups_of_the_dead();
  Evidence direct_evidence(pid_t pid, const ProcStat& stat, bool leader_holds) const;
  static Evidence shown(pid_t pid, const ProcStat& stat, Evidence evidence);
  bool writes_to_output(pid_t pid) const;
  bool marked(pid_t pid, bool read_file_too) const;
  std::vector<pid_t> find_all(const Stats& stats);
  bool freeze_new(const std::vector<pid_t>& found, const Stats& stats);
  void kill_all();
  int signal_of_group() const;
  bool all_gone();
  bool output_is_held() const;
  void name_survivors();
  bool holds(pid_t pid, std::uint64_t ticks) const;

  SweepTarget target_;
  const std::string tree_name_;
  RunId later_ = no_run;
  pid_t later_leader_ = 0;
  std::vector<FifoIdentity> outputs_;
  std::vector<Fd> output_ends_;
  std::vector<Held> held_;
  std::vector<std::pair<pid_t, ProcStat>> zombies_;  // of the last pass
  std::vector<pid_t> stopped_groups_;
  std::vector<FoundProcess> survivors_;
  std::vector<FoundProcess> suspects_;  // of the last pass
  std::vector<FoundProcess> unclear_;   // likewise
  MonoNs began_ = 0;
  SpanNs patience_ = limit;  // since began_, for whom it waits as of the last pass
  int hunts_ = 0;            // passes that found somebody new, or whom they could not hold
  int waits_ = 0;            // passes that did not, in a row
  int killed_ = 0;
  int vanished_ = 0;     // processes that ended between the listing and the look, in the last pass
  int calm_passes_ = 0;  // in a row that found nothing while some vanished
  bool killing_ = false;
  bool blind_ = false;
  std::vector<FoundProcess> outran_;  // belonged, and were gone before they could be held; of the last pass
};

}  // namespace hearth::os
