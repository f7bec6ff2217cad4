// Which processes are of a run, whatever has become of their parents.
//
//   with a leaf     who is in it: the kernel knows, and nobody leaves it by himself
//   without         a leaf of the run in another tree (cgroup.h), or HEARTH_INSTANCE and HEARTH_RUN in its environment.
//                   Where that says nothing of hearth (it was cleared, or the program has written a title over it): the
//                   mark of the service in a limit (sweep.h), and not begun before the run.
//                   Of who is in a PID namespace below ours another one is asked (run_identity.h)
//
// Of what is found the *roots* have a parent that is not of the run: the leader has gone, and they are the orphans that
// some reaper has taken over. A daemon that has workers is the only root.
//
// Who asks for many runs asks a *census*. Where runs have no leaf it reads /proc once for all that were asked for
// before it began to: a look at a thousand runs costs what one costs, however many processes the machine has.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "os/cgroup.h"

namespace hearth::os {

struct RunIdentity {
  std::string instance;  // directory
  std::string label;
  RunId run = no_run;
  std::uint64_t leader_ticks = 0;  // 0 = unknown
};

struct RunMember {
  pid_t pid = 0;
  std::uint64_t ticks = 0;
  pid_t parent = 0;
  std::uint64_t resident_kib = 0;
};

// Zombies do not count. Without a leaf all of /proc is read (some milliseconds). `all`: as of CgroupTree::processes().
std::vector<RunMember> members_of(const CgroupTree& cgroups, const RunIdentity& run, bool* all = nullptr);
// Whether this one is. `member` is filled when it is.
bool is_member_of(const CgroupTree& cgroups, const RunIdentity& run, pid_t pid, RunMember& member);
std::vector<RunMember> roots_of(const std::vector<RunMember>& members);

// What a process tells of whose it is.
struct RunClaim {
  RunMember process;
  bool foreign = false;  // it names another instance
  bool named = false;    // its environment names instance and run
  bool has_run = false;
  RunId run = no_run;      // the one that it names
  std::uint64_t mark = 0;  // in its limit, where its environment does not tell; 0 = none
  std::string cgroup;      // its path, likewise, when that is below a tree of the instance
};

// Any thread.
class Census {
 public:
  // `cgroups` outlives all who ask; of it only what never changes is used. `instance`: the directory, of all runs.
  Census(const CgroupTree& cgroups, std::string instance) : cgroups_(cgroups), instance_(std::move(instance)) {}

  // As members_of() above, but nothing of it was read before `asked`.
  std::vector<RunMember> members_of(const RunIdentity& run, MonoNs asked);

 private:
  const CgroupTree& cgroups_;
  const std::string instance_;
  std::mutex mutex_;
  MonoNs begun_ = -1;             // the last reading
  std::vector<RunClaim> claims_;  // ... found these, of our instance
};

}  // namespace hearth::os
