// The programs of an upgrade, and their trial: whether they could go on with what the running hearth has. Nothing of it
// changes the instance.
#pragma once

#include <string>
#include <sys/types.h>

#include "base/result.h"
#include "base/time.h"
#include "cli/interrupt.h"

namespace hearth::cli {

struct Trial {
  std::string supervisor, logger, keeper;                 // paths, absolute
  std::string supervisor_file, logger_file, keeper_file;  // which files were tried (os::program_identity)
  std::string version;                                    // of the supervisor that was tried
  std::string report, keeper_report;                      // the programs' own words, JSON
};

// hearth-supervisor, hearth-logger and hearth-keeper in `directory`, or where this `hearth` belongs: they are of one build, as
// far as their formats tell. `keeper`: of the instance in `instance_directory`. The program for it is tried, too, where it is not
// to be replaced: it is what is started when that one dies. Each program has `patience` for its answer; when the watch is
// interrupted it is killed. The error says why they are refused.
Result<Trial> try_programs(const std::string& directory, const std::string& instance_directory, pid_t keeper,
                           SpanNs patience, InterruptWatch& watch);

}  // namespace hearth::cli
