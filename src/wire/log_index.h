// The time index of a log file: NUMBER.idx beside NUMBER.log. Written by the logger, read by whoever looks for a
// time in a log whose lines carry none.
//
// Model
// -----
// A header, then records {time, offset} in the order of writing: the bytes of NUMBER.log from `offset` on were taken
// from the service at that time or later, those before it at that time or earlier. Both fields only grow: while the
// clock stands behind the last record's time (it was set back), no record is made, so that a search by halving finds
// what was written then, labelled with the time before the step.
//
// A record is made at most each log_index_span_ns: that is how exact a time is. It is written before the bytes that it
// speaks of and is true whether these come or not, so a killed logger needs no care for it. What is torn (a size that
// is no whole number of records) or cannot be true (a place behind the end of the log, a time of 0) is cut off by the
// next writer and passed over by readers. A missing index costs only that the log cannot be searched by time.
// docs/formats/log-files.md
#pragma once

#include <stdint.h>

namespace hearth::wire {

inline constexpr uint32_t log_index_magic = 0x31495448;  // "HTI1"
inline constexpr uint32_t log_index_version = 1;
inline constexpr int64_t log_index_span_ns = 10'000'000;

struct LogIndexHeader {
  uint32_t magic;
  uint32_t version;
  uint64_t file;  // NUMBER
};
struct LogIndexRecord {
  int64_t wall_ns;
  uint64_t offset;
};
static_assert(sizeof(LogIndexHeader) == 16 && sizeof(LogIndexRecord) == 16);

}  // namespace hearth::wire
