// A compressed log file, NUMBER.log.zst: what NUMBER.log was, as zstd frames of log_frame_bytes each (the last one
// shorter), then a table by which one can begin in the middle: the "seekable format" of zstd's contrib directory, without
// checksums of its own, since each frame has one. `zstd -d` and `zstdcat` take such a file as it is.
//
//   frames, each with its content size and checksum
//   skippable frame: magic, size of what follows; per frame LogFrameEntry; LogFrameFooter
//
// docs/formats/log-files.md
#pragma once

#include <stdint.h>

namespace hearth::wire {

inline constexpr uint32_t log_frame_bytes = 1u << 20;
inline constexpr uint32_t log_frame_table_magic = 0x184d2a5e;
inline constexpr uint32_t log_frame_footer_magic = 0x8f92eab1;

struct LogFrameTableHeader {
  uint32_t magic;
  uint32_t size;
};
struct LogFrameEntry {
  uint32_t compressed;
  uint32_t content;
};
struct __attribute__((packed)) LogFrameFooter {
  uint32_t frames;
  uint8_t descriptor;  // 0: entries have no checksums
  uint32_t magic;
};
static_assert(sizeof(LogFrameFooter) == 9);

}  // namespace hearth::wire
