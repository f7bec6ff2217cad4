#include "cli/log_source.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace hearth::cli {

bool LogQuery::selects(const logs::Line& line) const {
  // A line by the index may be a little younger than it seems.
  const SpanNs doubt = line.stamped ? 0 : logs::time_doubt;
  if (since && line.wall_ns < *since - doubt) return false;
  return !pattern || pattern->matches(line.text) != invert;
}

void LogSource::read_from(logs::Cursor from) {
  reader_ = std::make_unique<logs::LineReader>(logs::Follower::unwatched(slot_.log_directory, from));
  reader_->stop_at(end_);
  past_until_ = false;
}

Status LogSource::open() {
  const bool plain_tail = query_->lines && !query_->filters();
  const Result<logs::Tail> tail = logs::last_lines(slot_.log_directory, plain_tail ? *query_->lines : 0);
  if (!tail) return failure(tail.error());
  end_ = tail->end;
  logs::Cursor from = plain_tail ? tail->begin : logs::Cursor{};
  if (query_->since) {
    const Result<logs::Cursor> place = logs::place_of(slot_.log_directory, *query_->since);
    if (!place) return failure(place.error());
    from = *place;
  }
  if (query_->lines && !plain_tail) return keep_last(from);
  read_from(from);
  return {};
}

// The last so many lines that are selected, from the end: in the last file first, then in twice as many each time, so
// that little is read where they are near.
Status LogSource::keep_last(logs::Cursor from) {
  keeps_ = true;
  std::vector<std::uint64_t> numbers;
  if (end_.file != 0) {
    Result<std::vector<std::uint64_t>> listed = logs::list_files(slot_.log_directory);
    if (!listed) return failure(listed.error());
    numbers = std::move(*listed);
  }
  std::erase_if(numbers, [&](std::uint64_t number) { return number <= from.file || number > end_.file; });
  for (std::size_t files = 1;; files *= 2) {
    const bool whole = files > numbers.size() || (from.file == 0 && files == numbers.size());
    kept_.clear();
    read_from(whole ? from : logs::Cursor{numbers[numbers.size() - files], 0});
    logs::Line line;
    const auto keep = [&] {
      kept_.push_back({std::string(line.text), line.wall_ns, line.stamped});
      if (kept_.size() > *query_->lines) kept_.pop_front();
    };
    for (;;) {
      const Result<bool> got = next_selected(line);
      if (!got) return failure(got.error());
      if (!*got) break;
      keep();
    }
    if (whole || kept_.size() == *query_->lines) return {};
  }
}

Result<bool> LogSource::next_selected(logs::Line& line) {
  while (!past_until_) {
    const Result<logs::LineReader::Got> got = reader_->next(line);
    if (!got) return failure(got.error());
    if (*got == logs::LineReader::Got::nothing) return false;
    if (*got == logs::LineReader::Got::gap) {
      gap_ = true;
      continue;
    }
    past_until_ = query_->until && line.wall_ns > *query_->until;
    if (!past_until_ && query_->selects(line)) return true;
  }
  return false;
}

Result<bool> LogSource::next(logs::Line& line) {
  if (!keeps_) return next_selected(line);
  if (kept_.empty()) return false;
  shown_ = std::move(kept_.front());
  kept_.pop_front();
  line = {.text = shown_.text, .wall_ns = shown_.wall_ns, .stamped = shown_.stamped};
  return true;
}

bool LogSource::finish(logs::Line& line) {
  if (past_until_ || !reader_->finish(line)) return false;
  return !(query_->until && line.wall_ns > *query_->until) && query_->selects(line);
}

Status LogSource::begin_following(logs::Watcher& watcher) {
  Result<logs::Follower> follower =
      logs::Follower::create(slot_.log_directory, reader_ ? reader_->place() : logs::Cursor{}, &watcher);
  if (!follower) return failure(follower.error());
  live_ = std::make_unique<logs::LineReader>(std::move(*follower));
  reader_.reset();
  return {};
}

Result<bool> LogSource::next_live(logs::Line& line) {
  for (;;) {
    const Result<logs::LineReader::Got> got = live_->next(line);
    if (!got) return failure(got.error());
    if (*got == logs::LineReader::Got::nothing) return false;
    if (*got == logs::LineReader::Got::gap) {
      gap_ = true;
    } else if (query_->selects(line)) {
      return true;
    }
  }
}

bool LogSource::take_gap() {
  return std::exchange(gap_, false);
}

}  // namespace hearth::cli
