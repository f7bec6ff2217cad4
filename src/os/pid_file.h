// The number in a file that a daemon has written. Its path is the service's business, and may lead to a disk that hangs, so
// it is read by a thread (docs/decisions/0018-users-paths-are-followed-by-threads.md). What it says is a claim and no
// evidence: who believes it asks first whether that process is of the run.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <sys/types.h>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "os/left_behind.h"

namespace hearth::os {

struct PidFile {
  pid_t pid = 0;        // 0 = it says none:
  std::string problem;  // "/run/x.pid is not there", for people
};

// In the calling thread: an ordinary file, of which the first line is a number.
PidFile read_pid_file(const std::string& path);

class PidFiles {
 public:
  static constexpr SpanNs patience = milliseconds(5);
  static constexpr SpanNs hangs_after = seconds(2);
  static constexpr std::size_t at_once_max = 8;  // left_behind.h; by path

  // Reads it, for this run. Waits for `patience` at most: for the first time that it is asked and then not again until the
  // answer is there. Each answer is given once.
  PidFile read(RunId run, const std::string& path);
  // Nobody wants to know any more.
  void forget(RunId run) { reads_.erase(run); }

 private:
  struct Read;
  // Shared with its thread, whose call may not have returned when nobody waits for it any more.
  std::map<RunId, std::shared_ptr<Read>> reads_;
  LeftBehind left_behind_{at_once_max, hangs_after};
};

}  // namespace hearth::os
