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
// Not every batch has bytes from a FIFO: a change of file, a note or the end of a line left open is a batch of
// length 0 that begins in `write` (BatchKind), so that `file` and `offset` never change outside that state. All
// a batch adds to a stream's counters is stored as absolute values made from `batch`: doing it twice counts once.
//
// Space for a batch is reserved (fallocate KEEP_SIZE) before its splice: a full disk leaves the bytes in the
// FIFO, and only that stream waits.
//
// One logger at a time: it holds a POSIX write lock (fcntl F_SETLKW, whole file) on the page's memfd, because a
// new keeper may start its logger while that of the dead one still drains.
// docs/formats/log-page.md
#pragma once

#include <atomic>
#include <stdint.h>

#include "base/ids.h"
#include "wire/slot_table.h"

namespace hearth::wire {

inline constexpr uint32_t log_page_magic = 0x314c5448;  // "HTL1"
inline constexpr uint32_t log_page_version = 2;
inline constexpr uint32_t log_buffer_bytes = 1u << 20;
inline constexpr uint64_t log_file_max_size_default = 10u << 20;

enum class LogFormat : uint32_t {
  raw = 0,      // bytes as they came
  stamped = 1,  // each line preceded by the batch's time, RFC 3339 with microseconds and Z, and a space
  json = 2,     // one object a line: {"ts": ..., "run": ..., "text": ...}
};

// Where lines go besides the files; at most once, and never waited for.
enum class LogSink : uint32_t { none = 0, out = 1, journal = 2, syslog = 3 };  // out: hearth's stdout

enum class BatchState : uint32_t { idle = 0, read = 1, write = 2 };

// commit_word: bits 63..48 stream (slot index), 47..8 file number, 7..0 state.
constexpr uint64_t pack_commit(SlotIndex stream, uint64_t file, BatchState state) {
  return (static_cast<uint64_t>(stream) << 48) | ((file & ((uint64_t{1} << 40) - 1)) << 8) |
         static_cast<uint64_t>(state);
}
constexpr SlotIndex commit_stream(uint64_t word) {
  return static_cast<SlotIndex>(word >> 48);
}
constexpr uint64_t commit_file(uint64_t word) {
  return (word >> 8) & ((uint64_t{1} << 40) - 1);
}
constexpr BatchState commit_state(uint64_t word) {
  return static_cast<BatchState>(word & 0xff);
}

enum class BatchKind : uint32_t {
  data = 0,    // bytes of a FIFO, to be written
  discard,     // bytes of a FIFO, to be counted and thrown away
  rotate,      // length 0, as all below: go on in the next file
  close_line,  // end a line that was left open (json, at the end of its FIFO)
  lost,        // a line that says how many bytes were discarded
  removed,     // a line that says that the current file was deleted by somebody; in the next file
  truncated,   // likewise, cut by somebody
};

struct LogBatch {
  RunId run;               // whose output it is
  uint64_t length;         // raw bytes
  int64_t wall_ns;         // CLOCK_REALTIME when the splice was done; the stamp of all its lines
  uint64_t offset;         // in the file of commit_word, where it begins
  uint64_t at_line_start;  // 1 when the stream was at a line start before this batch

  // The rest of what formatting and counting depend on, as it was when the batch entered `write` (`kind`: when
  // it began): the stream's own fields may have moved on when a successor does it again.
  BatchKind kind;
  LogFormat format;
  uint64_t max_size;
  uint64_t written, discarded, gap_bytes;
  uint32_t gaps;
  uint32_t line_tail;    // as LogStream::line_tail
  uint32_t close_first;  // 1: an open line of another run is ended first
  int32_t note_error;    // errno that `lost` names
  uint64_t note_bytes;   // bytes that the note speaks of
};

struct alignas(64) LogStream {
  // Written by the supervisor before the stream's first FIFO is parked; changed only between runs. Who changes
  // `directory` stores file = 0 first.
  char directory[128];  // one path component below the log directory, NUL-terminated; "" = not configured
  uint64_t max_size;    // bytes of a file before rotation at the next line end; 0 = never
  uint32_t max_files;   // files kept, the current one included; at least 1
  LogFormat format;
  int64_t full_wait_ns;          // how long bytes wait in the FIFO when the disk is full; then they are discarded
  uint32_t uid, gid;             // owner of directory and files; UINT32_MAX = hearth's own
  std::atomic<RunId> ended_run;  // the newest run whose leader has exited

  // Written by the logger.
  std::atomic<RunId> drained_run;   // ended_run as it was when a later read of its FIFO gave nothing
  std::atomic<uint64_t> file;       // number of the current file, from 1; 0 = none yet
  std::atomic<uint64_t> offset;     // bytes of it that are committed
  std::atomic<uint64_t> written;    // bytes committed over all files
  std::atomic<uint64_t> discarded;  // raw bytes thrown away because the disk was full
  std::atomic<uint32_t> gaps;       // how many times that happened
  std::atomic<int32_t> error;       // errno that holds the stream up now, 0 = none
  std::atomic<uint32_t> mid_line;   // 1 when the last committed byte was not a newline
  std::atomic<uint32_t> line_tail;  // of the open line. Bits 0..3: how many bytes of a character that is not
                                    // complete yet are held back (json), 4..7: its LogFormat, 8..31: the bytes
  std::atomic<RunId> line_run;      // whose line is open
  std::atomic<RunId> eof_run;       // the newest run whose FIFO has come to its end (all writers gone)
  std::atomic<uint64_t> gap_bytes;  // discarded and not yet told by a line in the file
  std::atomic<int32_t> gap_error;   // why
};
static_assert(sizeof(LogStream) == 256);

// What is done with a stream's files besides writing them. Apart from LogStream, which the logger looks at for every
// batch.
struct alignas(64) LogPolicy {
  // Written by the supervisor, when it writes LogStream.
  int64_t max_age_ns;  // of a file until the next one is begun; 0 = any
  uint64_t max_total;  // bytes of all files; 0 = any
  uint32_t compress;   // 1: files that are complete
  LogSink sink;
  uint32_t per_process;        // 1: a file holds the output of one run, and NAME_PID.log is a link to its newest
  std::atomic<int32_t> pid;    // of the leader of pid_run; stored first
  std::atomic<RunId> pid_run;  // the newest run of which the PID is known

  // Written by the logger.
  std::atomic<uint64_t> sink_dropped;  // lines that the sink did not take
  std::atomic<int32_t> tidy_error;     // errno of the last attempt to compress or remove, 0 = none
  std::atomic<int32_t> sink_error;     // errno of the last line that the sink did not take
};
static_assert(sizeof(LogPolicy) == 64);

struct LogPage {
  uint32_t magic;
  uint32_t version;
  uint64_t size;
  std::atomic<uint64_t> commit_word;
  LogBatch batch;
  std::atomic<uint64_t> batches;  // counts finished batches, for tests and bench
  alignas(64) LogStream stream[max_slots];
  LogPolicy policy[max_slots];
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
