// Whether a process may be one of a run's.
//
// The slot table names runs by PID and start time, and spawners write in it: what stands there may be a mistake, or the wish
// of somebody who has taken one over. So before a process is handed to a keeper, or a sweep is made around it, it has to show
// one thing that runs have and others have not:
//
//   cookie   HEARTH_RUN in its environment, as long as it does not write over that; of another run it speaks against it
//   leaf     its cgroup is a leaf of that run, or below: of each run that has one, until somebody moves it elsewhere
//   mark     a number in RLIMIT_LOCKS (sweep.h): of each run that has no leaf
//   copy     it still is what a spawner has made, and has executed nothing
//
// No proof, which is not to be had: a wall against numbers that are wrong. What cannot be read, as that of a zombie, or in
// the middle of execve(2), says nothing against it.
#pragma once

#include <sys/types.h>

#include "base/ids.h"

namespace hearth::os {

bool may_be_of_run(pid_t pid, RunId run);

}  // namespace hearth::os
