// One service's log, as far as a question asks for it.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "cli/answers.h"
#include "cli/log_pattern.h"
#include "logs/lines.h"

namespace hearth::cli {

struct LogQuery {
  std::optional<WallNs> since, until;
  std::optional<LogPattern> pattern;
  bool invert = false;
  std::optional<std::size_t> lines;  // so many of the last that are selected; none: all

  bool filters() const { return since || until || pattern; }
  // All but `until`.
  bool selects(const logs::Line& line) const;
};

// First open(), and next() until it says false: what stood in the log when it was opened. Then, to follow, begin_following() and
// next_live(). Lines are valid until the next call.
class LogSource {
 public:
  // `query` outlives the source.
  LogSource(SlotNews slot, const LogQuery& query) : slot_(std::move(slot)), query_(&query) {}

  Status open();
  // Instead of open(): what stands before is not shown.
  void start_at(logs::Cursor from) { read_from(from); }
  Result<bool> next(logs::Line& line);
  // The unfinished line at the end; after next(), by who does not follow.
  bool finish(logs::Line& line);

  // From where next() has come to; of a source that was not opened, from the beginning of its log.
  Status begin_following(logs::Watcher& watcher);
  bool has_news() const { return live_->follower().has_news(); }
  Result<bool> next_live(logs::Line& line);

  // What stood between the line before and the next one is gone; true once.
  bool take_gap();
  const SlotNews& slot() const { return slot_; }

 private:
  struct Kept {
    std::string text;
    WallNs wall_ns;
    bool stamped;
  };

  void read_from(logs::Cursor from);
  Result<bool> next_selected(logs::Line& line);
  Status keep_last(logs::Cursor from);

  SlotNews slot_;
  const LogQuery* query_;
  std::unique_ptr<logs::LineReader> reader_, live_;
  logs::Cursor end_;
  bool past_until_ = false;
  bool gap_ = false;
  bool keeps_ = false;     // the last lines were searched for
  std::deque<Kept> kept_;  // and are these
  Kept shown_;
};

}  // namespace hearth::cli
