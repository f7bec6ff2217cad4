// How much memory processes use, as /proc has it: what max_memory is held against, and what `hearth top` shows.
//
// Of each process the kernel keeps the *resident* set counted, so that it costs nothing to ask for, however great it is.
// But what processes share (a model that was loaded before a fork, a file that several have mapped) is in the set of each.
// In *proportional* sets each page is divided by the number of those who have it; they are never more, and to tell them
// the kernel walks through all pages of the process, which takes seconds where there are a hundred GiB. `hearth top` shows
// the sum of the first, `hearth top --pss` of the second. Whether a run has more than `enough` is told by what is cheap, as
// far as that is certain:
//
//   all resident sets together are not more       not more: they only count too much
//   one resident set alone is more                more: a process has nothing twice. So of a run of one process the
//                                                 resident set decides, and of n when they are more than n times `enough`
//   else                                          what the proportional sets are together
//
// So the walk goes through less than n times `enough`, and where it takes too long nothing is known: a service whose workers
// share what it has loaded must not be ended because of the sum in which that is counted n times.
//
// Rejected: memory.current of the run's cgroup. It counts the page cache of files that were only read, which the kernel
// takes back when it likes, and is another figure on each machine: leaves have no memory controller, or no leaf is there.
#pragma once

#include <cstdint>
#include <optional>
#include <sys/types.h>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "os/run_members.h"

namespace hearth::os {

// Nothing: it cannot be read (the process is somebody else's, or has changed its user; the kernel does not have it). 0: the
// process is gone.
std::optional<std::uint64_t> proportional_kib(pid_t pid);

// Of all together, as above. Of one that is more than `enough_kib` alone the figure is its own. Where a proportional set may
// not be read the resident one counts. Who has ended meanwhile counts nothing.
std::uint64_t memory_kib(const std::vector<RunMember>& members, std::uint64_t enough_kib);

// The same of a run. An error when no process of it can be seen: it has just ended, or /proc cannot be read; nobody
// should conclude anything from that. Nothing of it was read before `asked`. May take long (run_members.h, and the
// proportional sets): not on the thread that supervises.
Result<std::uint64_t> memory_kib(Census& census, const RunIdentity& run, std::uint64_t enough_kib, MonoNs asked);

}  // namespace hearth::os
