// Hard reset (L9): everything of one instance ends, whatever state it is in, and its files go.
//
// Model
// -----
// For when a shutdown does not help: hearth is stopped or hung, or dead with services left. Nothing is ever found by the
// name of a command. Evidence, in this order:
//
//   hearth     who has the instance's lock file open. Killed until nobody has and the lock can be taken: it may be on its
//              way between two of them. It is kept to the end, so that no `up` begins meanwhile
//   services   what runs.json names, by PID and start time; what has the instance in its environment; and what a sweep
//              finds beginning from those (os/sweep.h: lineage, cookie, output, mark); and what is in the instance's
//              cgroups. Of another PID namespace nothing can be seen but that an output is open: that one survives
//   files      sockets, names of runs, state, documents, credentials. What stays: logs, hearth.log, the lock, and
//              the number of the next run, so that no number is used twice
//
// What could not be ended is named. Logs stay. Killed anywhere in between it may be repeated.
#pragma once

#include <string>
#include <vector>

#include "cli/context.h"

namespace hearth::cli {

struct Killed {
  std::string what;  // "hearth-keeper ...", "shop.web.0"
  int pid = 0;
};

struct ResetReport {
  std::vector<Killed> hearth;         // processes of hearth itself
  std::vector<std::string> services;  // labels of what was swept
  int processes = 0;                  // of services, that were killed
  std::vector<std::string> survivors;
  std::size_t files = 0;  // removed
  std::string trouble;    // why it could not be done to its end; "" = it was
};

ResetReport reset_instance(const os::Instance& instance);

}  // namespace hearth::cli
