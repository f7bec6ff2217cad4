// What stands behind stdout and stderr.
#pragma once

#include <cstddef>

namespace hearth::cli {

struct Terminal {
  bool interactive = false;  // a terminal on which lines can be rewritten
  bool color = false;        // a terminal, NO_COLOR (no-color.org) not set
  std::size_t columns = 0;   // 0: not a terminal, no limit
  std::size_t rows = 0;
};

// Asks now, so that a terminal that was resized meanwhile is seen as it is.
Terminal look_at_terminal(int fd);

}  // namespace hearth::cli
