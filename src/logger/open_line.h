// Reads the line that stands open at the end of a stream's files.
#pragma once

#include <stdint.h>
#include <string_view>

#include "logger/system.h"
#include "logger/torn_line.h"
#include "wire/log_page.h"

namespace hearth::logger {

inline constexpr size_t open_line_most = 64u << 10;

struct OpenLine {
  std::string_view tail;  // its last bytes, at most open_line_most; empty = no line is open
  LineView view = LineView::whole;
  int64_t error = 0;  // a negative errno: what is in file `number` could not be read
};

// `fd`: file `number`, `size` bytes long. A line may have begun in a file before that. `buffer`: of open_line_most, borrowed
// by the result.
OpenLine read_open_line(System& system, int directory, uint64_t number, int fd, uint64_t size,
                        const wire::LogStream& stream, char* buffer);

}  // namespace hearth::logger
