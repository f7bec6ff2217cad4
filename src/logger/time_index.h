// The time index of the file that a stream is written to (wire/log_index.h). Nothing here can fail in a way that
// matters: a file whose index cannot be written goes without.
#pragma once

#include <stdint.h>

#include "base/time.h"
#include "logger/system.h"
#include "os/fd.h"
#include "wire/log_page.h"

namespace hearth::logger {

struct OpenFile;

// What this process has open of an index.
struct OpenIndex {
  os::Fd fd;
  uint64_t number = 0;  // of the log file; 0 = not looked yet
  uint64_t size = 0;    // of the index; 0 = it is no use
  int64_t next_ns = 0;  // no record before this time
  uint64_t last_offset = 0;
  WallNs begun_ns = 0;  // when the file's first byte came, as far as is known; 0 = nothing has come
};

// Notes that the bytes of `file` from `offset` on come at `wall_ns`. Cheap when the last record is young.
void note_time(System& system, int log_directory, const wire::LogStream& stream, OpenFile& file, WallNs wall_ns,
               uint64_t offset);

// When the first byte of `file` came, `end` being where it ends; 0 = nobody knows.
WallNs begun_at(System& system, int log_directory, const wire::LogStream& stream, OpenFile& file, uint64_t end);

}  // namespace hearth::logger
