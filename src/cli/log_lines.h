// What a service has written, for commands: read from the log files themselves.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cli/answers.h"

namespace hearth::cli {

// The last lines of all runs, oldest first, without line ends. Empty when there is nothing, or it cannot be read.
std::vector<std::string> last_lines(const SlotNews& slot, std::size_t count);

}  // namespace hearth::cli
