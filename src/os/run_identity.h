// Whether a process may be one of a run's.
//
// The slot table names runs by PID and start time, and spawners write in it: what stands there may be a mistake, or the
// wish of somebody who has taken one over. So before a process is handed to a keeper, or a sweep is made around it, it
// has to show one thing that runs have and others have not:
//
//   cookie   HEARTH_RUN in its environment, as long as it does not write over that; of another run it speaks against it
//   leaf     its cgroup is a leaf of that run, or below: of each run that has one, until somebody moves it elsewhere
//   mark     a number in RLIMIT_LOCKS (sweep.h): of each run that has no leaf
//   copy     it still is what a spawner has made, and has executed nothing
//
// No proof, which is not to be had: a wall against numbers that are wrong. What cannot be read, as that of a zombie, or
// in the middle of execve(2), says nothing against it.
#pragma once

#include <sys/types.h>

#include "base/ids.h"

namespace hearth::os {

bool may_be_of_run(pid_t pid, RunId run);

// Whose environment, mark and leaf say of which run a process is: its own, where it is in our PID namespace. A hearth
// in a container may be at the same path as ours, and what it runs then shows the same of itself. So of who is in a
// namespace below ours, that one is asked with whom it begins for us: the highest above it whose parent is in ours. In
// a container that is its first process, or who was put into it, and none of a run's; below a service of ours it is
// that service's, and shows it, also when its parent has gone.
//
// 0 with errno: it cannot be told, because it is gone (ENOENT, ESRCH), or descriptors or memory are short.
pid_t judged_by(pid_t pid);
// False also when it cannot be told.
bool is_in_our_pid_namespace(pid_t pid);

}  // namespace hearth::os
