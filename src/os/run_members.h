// Which processes are of a run, whatever has become of their parents.
//
//   with a leaf     who is in it: the kernel knows, and nobody leaves it by himself
//   without         HEARTH_INSTANCE and HEARTH_RUN in its environment. Where that says nothing of hearth (it was cleared, or
//                   the program has written a title over it): the mark of the service in a limit (sweep.h), and not begun
//                   before the run
//
// Of what is found the *roots* have a parent that is not of the run: the leader has gone, and they are the orphans that
// some reaper has taken over. A daemon that has workers is the only root.
#pragma once

#include <cstdint>
#include <string>
#include <sys/types.h>
#include <vector>

#include "base/ids.h"
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

// Zombies do not count. Without leaves all of /proc is read (some milliseconds).
std::vector<RunMember> members_of(const CgroupTree& cgroups, const RunIdentity& run);
// Whether this one is. `member` is filled when it is.
bool is_member_of(const CgroupTree& cgroups, const RunIdentity& run, pid_t pid, RunMember& member);
std::vector<RunMember> roots_of(const std::vector<RunMember>& members);

}  // namespace hearth::os
