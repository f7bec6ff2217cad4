// The log page: where output goes and how far it is. One memfd; the supervisor configures streams, the logger
// records progress; parked at the keeper, so that a killed logger's successor loses and doubles nothing.
//
// Model
// -----
// A *stream* is the output of one slot: a directory of numbered files. FIFOs of the slot's runs (usually one,
// two during an overlap or while descendants of an old run live) feed it. The logger moves one *batch* at a
// time through one in-flight pipe and one buffer. `commit_word` = {stream, file number, state}:
//
//   idle(N)     stored before the splice, with the batch's stream. splice(FIFO -> in-flight pipe) moves a
//               batch atomically; whatever the pipe holds belongs to this stream.
//   read        `batch.length` and `batch.wall_ns` stored first; then read(in-flight -> buffer): what FIONREAD
//               still shows is exactly what has not been copied yet.
//   write       `batch.offset` (where in file N the batch begins) stored first; then format, pwrite at offset,
//               go on in file N + 1 where rotation is due; then the stream's `file` and `offset` advance; then
//               the next batch's idle word.
//
// Recovery of a successor: idle and the pipe not empty: the batch's length is FIONREAD, go on as read; read:
// copy the rest; write: cut file N to batch.offset, remove files N + 1 .. that the dead one began, write again.
// Formatting is a function of the buffer and `batch` alone, so bytes written twice are the same bytes, and a
// reader of the file never sees one that is taken back for good.
//
// Space for a batch is reserved (fallocate KEEP_SIZE) before its splice: a full disk leaves the bytes in the
// FIFO, and only that stream waits.
// docs/formats/log-page.md
#pragma once

#include <stdint.h>

#include <atomic>

#include "base/ids.h"
#include "wire/slot_table.h"

namespace hearth::wire {

inline constexpr uint32_t log_page_magic = 0x314c5448;  // "HTL1"
inline constexpr uint32_t log_page_version = 1;
inline constexpr uint32_t log_buffer_bytes = 1u << 20;
inline constexpr uint64_t log_file_max_size_default = 10u << 20;
inline constexpr uint32_t log_max_files_default = 10;

enum class LogFormat : uint32_t {
  raw = 0,      // bytes as they came
  stamped = 1,  // each line preceded by the batch's time, RFC 3339 with microseconds and Z, and a space
  json = 2,     // one object a line: {"ts": ..., "run": ..., "text": ...}
};

enum class BatchState : uint32_t { idle = 0, read = 1, write = 2 };

// commit_word: bits 63..48 stream (slot index), 47..8 file number, 7..0 state.
constexpr uint64_t pack_commit(SlotIndex stream, uint64_t file, BatchState state) {
  return (static_cast<uint64_t>(stream) << 48) | ((file & ((uint64_t{1} << 40) - 1)) << 8) |
         static_cast<uint64_t>(state);
}
constexpr SlotIndex commit_stream(uint64_t word) { return static_cast<SlotIndex>(word >> 48); }
constexpr uint64_t commit_file(uint64_t word) { return (word >> 8) & ((uint64_t{1} << 40) - 1); }
constexpr BatchState commit_state(uint64_t word) { return static_cast<BatchState>(word & 0xff); }

struct LogBatch {
  RunId run;         // whose output it is
  uint64_t length;   // raw bytes
  int64_t wall_ns;   // CLOCK_REALTIME when the splice was done; the stamp of all its lines
  uint64_t offset;   // in the file of commit_word, where it begins
  uint64_t at_line_start;  // 1 when the stream was at a line start before this batch
};

struct alignas(64) LogStream {
  // Written by the supervisor before the stream's first FIFO is parked; changed only between runs.
  char directory[128];   // one path component below the log directory, NUL-terminated; "" = not configured
  uint64_t max_size;     // bytes of a file before rotation at the next line end; 0 = never
  uint32_t max_files;    // files kept, the current one included; at least 1
  LogFormat format;
  int64_t full_wait_ns;  // how long bytes wait in the FIFO when the disk is full; then they are discarded
  uint32_t uid, gid;     // owner of directory and files; UINT32_MAX = hearth's own
  std::atomic<RunId> ended_run;    // the newest run whose leader has exited

  // Written by the logger.
  std::atomic<RunId> drained_run;  // ended_run as it was when a later read of its FIFO gave nothing
  std::atomic<uint64_t> file;      // number of the current file, from 1; 0 = none yet
  std::atomic<uint64_t> offset;    // bytes of it that are committed
  std::atomic<uint64_t> written;   // bytes committed over all files
  std::atomic<uint64_t> discarded; // raw bytes thrown away because the disk was full
  std::atomic<uint32_t> gaps;      // how many times that happened
  std::atomic<int32_t> error;      // errno that holds the stream up now, 0 = none
  std::atomic<uint32_t> mid_line;  // 1 when the last committed byte was not a newline
  uint32_t reserved;
};
static_assert(sizeof(LogStream) == 256);

struct LogPage {
  uint32_t magic;
  uint32_t version;
  uint64_t size;
  std::atomic<uint64_t> commit_word;
  LogBatch batch;
  std::atomic<uint64_t> batches;  // counts finished batches, for tests and bench
  alignas(64) LogStream stream[max_slots];
};

inline void log_page_init(LogPage& page) {
  page.magic = log_page_magic;
  page.version = log_page_version;
  page.size = sizeof(LogPage);
}
inline bool log_page_valid(const LogPage& page, uint64_t mapped) {
  return mapped >= sizeof(LogPage) && page.magic == log_page_magic && page.version == log_page_version &&
         page.size == sizeof(LogPage);
}

}  // namespace hearth::wire
