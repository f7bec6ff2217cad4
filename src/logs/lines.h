// A log as lines with times, and the place of a time in it. On top of reader.h, with the same promises.
//
// A line's time is, in this order: the stamp that it begins with (log.format = "stamped" and "json"); that of its
// first byte by the time index of its file (wire/log_index.h), exact to 10 ms; the time of the line before it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "logs/reader.h"
#include "logs/time_index.h"
#include "wire/log_index.h"

namespace hearth::logs {

// So much younger than its time a line may be that has it from the index.
inline constexpr SpanNs time_doubt = wire::log_index_span_ns;

// Digits of the second in the time of a line.
inline constexpr int stamp_digits = 6;

// The time that a stamped or json line begins with (docs/formats/log-files.md), as it stands there: such texts
// sort by time. Empty for a line that has none.
std::string_view stamp_of(std::string_view line);
// Of what stamp_of found; 0 for a date that is none.
WallNs stamp_time(std::string_view stamp);

// The beginning of the first line that came at `since` or later. Where no index tells, a place before it. A few reads,
// however long the log is.
Result<Cursor> place_of(const std::string& directory, WallNs since);
// Behind the last byte that stands there now.
Result<Cursor> end_of(const std::string& directory);

struct Line {
  std::string_view text;  // without its end; until the next call
  WallNs wall_ns = 0;     // 0 = not known
  bool stamped = false;   // the time is the line's own
};

class LineReader {
 public:
  enum class Got { line, gap, nothing };

  explicit LineReader(Follower follower) : follower_(std::move(follower)) {}

  // Nothing is taken from there on; for who does not follow.
  void stop_at(Cursor end) { end_ = end; }
  // The next line that has come to its end. A line longer than a mebibyte comes in pieces: somebody who writes no
  // newline shall not fill our memory.
  Result<Got> next(Line& line);
  // What stands behind the last newline. False: nothing.
  bool finish(Line& line);

  // Where the first line begins that was not handed out yet.
  Cursor place() const;

  const Follower& follower() const { return follower_; }

 private:
  Result<Got> take_piece();
  void hand_out(std::string_view text, Line& line);

  Follower follower_;
  Cursor end_;  // file 0: none
  std::string piece_;
  Cursor begin_;        // of piece_
  std::size_t at_ = 0;  // in piece_
  std::string rest_;    // of a line whose end has not come yet
  Cursor rest_begin_;
  std::string line_;  // handed out: it was in several pieces
  TimeLine times_;
  WallNs index_ns_ = 0;  // of the line in hand, by the index
  WallNs last_ns_ = 0;   // of the last line
};

}  // namespace hearth::logs
