// Runs of an instance that can be seen in /proc: session leaders with HEARTH_RUN and this HEARTH_INSTANCE in their
// environment. For who comes after everybody's death, and knows no better or not enough. Those of a hearth in a
// container are none (run_identity.h).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <sys/types.h>

#include "base/ids.h"
#include "base/result.h"

namespace hearth::os {

struct FoundRun {
  pid_t pid = 0;
  std::uint64_t ticks = 0;
  std::string label;  // PROJECT.SERVICE.INDEX
};

// By run: of several session leaders with one run the earliest is it, the others descend from it. Zombies do not count, nor
// whom we may not look at. Fails where descriptors or memory are short: who was found by then may not be all.
Result<std::map<RunId, FoundRun>> find_runs(const std::string& instance_directory);

}  // namespace hearth::os
