// How much memory processes use, as /proc has it: what max_memory is held against, and what `hearth top` shows.
//
// Of each process the kernel keeps the *resident* set counted, so that it costs nothing to ask for, however great it is.
// But what processes share (a model that was loaded before a fork, a file that several have mapped) is in the set of each.
// In *proportional* sets each page is divided by the number of those who have it; they are never more, and to tell them
// the kernel walks through all pages of the process. So the resident sets are added up, and where that is more than
// anybody would mind, the proportional ones decide. `hearth top` shows the first, `hearth top --pss` the second sum.
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

// Of all together. Not more than `enough_kib`: resident. More: proportional, and of one whose proportional set may not be
// read the resident one. Who has ended meanwhile counts nothing.
std::uint64_t memory_kib(const std::vector<RunMember>& members, std::uint64_t enough_kib);

// The same of a run. An error when no process of it can be seen: it has just ended, or /proc cannot be read; nobody
// should conclude anything from that. Nothing of it was read before `asked`. May take long (run_members.h, and the
// proportional sets): not on the thread that supervises.
Result<std::uint64_t> memory_kib(Census& census, const RunIdentity& run, std::uint64_t enough_kib, MonoNs asked);

}  // namespace hearth::os
