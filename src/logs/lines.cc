#include "logs/lines.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <utility>
#include <vector>

#include "logs/log_file.h"

namespace hearth::logs {
namespace {

constexpr std::size_t longest_line = 1u << 20;
constexpr std::string_view stamp_form = "0000-00-00T00:00:00.000000Z";

std::int64_t digits(std::string_view text, std::size_t from, std::size_t count) {
  std::int64_t value = 0;
  for (char c : text.substr(from, count)) value = value * 10 + (c - '0');
  return value;
}

// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": days from 1970-01-01.
std::int64_t days_from_civil(std::int64_t year, std::int64_t month, std::int64_t day) {
  year -= month <= 2;
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  const std::int64_t of_era = year - era * 400;
  const std::int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146'097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719'468;
}

// When the first byte of a file came; 0 = nobody knows.
Result<WallNs> first_time(int directory, std::uint64_t number) {
  const Result<TimeIndex> index = TimeIndex::open(directory, number);
  if (!index) return failure(index.error());
  if (index->count() == 0) return WallNs{0};
  const Result<wire::LogIndexRecord> first = index->record(0);
  if (!first) return failure(first.error());
  return first->wall_ns;
}

// The last file that is known to begin not later than `since`; 0 = there is none.
Result<std::uint64_t> file_of(int directory, const std::vector<std::uint64_t>& numbers, WallNs since) {
  std::uint64_t best = 0;
  std::size_t low = 0, high = numbers.size();
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    std::size_t at = middle;
    Result<WallNs> begin = first_time(directory, numbers[at]);
    while (begin && *begin == 0 && at > low) begin = first_time(directory, numbers[--at]);
    if (!begin) return failure(begin.error());
    if (*begin > since) {
      high = at;
    } else {
      if (*begin != 0) best = numbers[at];
      low = middle + 1;
    }
  }
  return best;
}

// The first line that begins at `offset` or behind it.
Result<std::uint64_t> line_at(int directory, std::uint64_t number, std::uint64_t offset) {
  if (offset == 0) return offset;
  Result<LogFile> file = LogFile::open(directory, number);
  if (!file) return failure(file.error());
  std::array<char, 4096> block;
  for (std::uint64_t at = offset - 1; *file;) {
    const Result<std::size_t> got = file->read_at(block.data(), block.size(), at);
    if (!got) return failure(got.error());
    if (*got == 0) return std::max(at, offset);
    if (const void* end = memchr(block.data(), '\n', *got); end != nullptr)
      return at + static_cast<std::uint64_t>(static_cast<const char*>(end) - block.data()) + 1;
    at += *got;
  }
  return offset;
}

}  // namespace

std::string_view stamp_of(std::string_view line) {
  constexpr std::string_view json = "{\"ts\":\"";
  if (line.starts_with(json)) line.remove_prefix(json.size());
  if (line.size() < stamp_form.size()) return {};
  for (std::size_t i = 0; i < stamp_form.size(); ++i) {
    const bool digit = line[i] >= '0' && line[i] <= '9';
    if (stamp_form[i] == '0' ? !digit : line[i] != stamp_form[i]) return {};
  }
  return line.substr(0, stamp_form.size());
}

WallNs stamp_time(std::string_view stamp) {
  if (stamp.size() != stamp_form.size()) return 0;
  const std::int64_t month = digits(stamp, 5, 2), day = digits(stamp, 8, 2), hour = digits(stamp, 11, 2);
  const std::int64_t minute = digits(stamp, 14, 2), second = digits(stamp, 17, 2);
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60) return 0;
  const std::int64_t days = days_from_civil(digits(stamp, 0, 4), month, day);
  if (days < 0 || days > 106'000) return 0;  // what nanoseconds can count
  return (((days * 24 + hour) * 60 + minute) * 60 + second) * ns_per_s + digits(stamp, 20, 6) * ns_per_us;
}

Result<Cursor> end_of(const std::string& directory) {
  const Result<Tail> tail = last_lines(directory, 0);
  if (!tail) return failure(tail.error());
  return tail->end;
}

Result<Cursor> place_of(const std::string& directory, WallNs since) {
  const os::Fd opened(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened && errno == ENOENT) return Cursor{};
  if (!opened) return errno_failure("open", directory, errno);
  const Result<std::vector<std::uint64_t>> numbers = list_files(directory);
  if (!numbers) return failure(numbers.error());
  const Result<std::uint64_t> number = file_of(opened.get(), *numbers, since);
  if (!number) return failure(number.error());
  if (*number == 0) return numbers->empty() ? Cursor{} : Cursor{numbers->front(), 0};
  const Result<TimeIndex> index = TimeIndex::open(opened.get(), *number);
  if (!index) return failure(index.error());
  // What a record speaks of may have come a little later than it says.
  const Result<std::uint64_t> before = index->not_later(since - wire::log_index_span_ns);
  if (!before) return failure(before.error());
  if (*before == 0) return Cursor{*number, 0};
  // All of it is older, as far as the index goes: from its last record on.
  const Result<wire::LogIndexRecord> record = index->record(std::min(*before, index->count() - 1));
  if (!record) return failure(record.error());
  const Result<std::uint64_t> offset = line_at(opened.get(), *number, record->offset);
  if (!offset) return failure(offset.error());
  return Cursor{*number, *offset};
}

Result<LineReader::Got> LineReader::take_piece() {
  Got got = Got::nothing;
  const Result<bool> taken = follower_.take([&](const Piece& piece) {
    got = piece.gap ? Got::gap : Got::line;
    piece_.assign(piece.bytes);
    begin_ = piece.begin;
    at_ = 0;
    return false;
  });
  if (!taken) return failure(taken.error());
  if (got != Got::line) return got;
  if (end_.file != 0) {
    if (begin_.file > end_.file || (begin_.file == end_.file && begin_.offset >= end_.offset)) {
      piece_.clear();
      begin_ = end_;
      return Got::nothing;
    }
    if (begin_.file == end_.file && piece_.size() > end_.offset - begin_.offset)
      piece_.resize(static_cast<std::size_t>(end_.offset - begin_.offset));
  }
  if (times_.number() != begin_.file) {
    if (Status opened = times_.open(follower_.directory(), begin_.file, begin_.offset); !opened)
      return failure(opened.error());
  } else if (Status looked = times_.look_again(); !looked) {
    return failure(looked.error());
  }
  return got;
}

void LineReader::hand_out(std::string_view text, Line& line) {
  line.text = text;
  const std::string_view own = stamp_of(text);
  WallNs time = own.empty() ? 0 : stamp_time(own);
  line.stamped = time != 0;
  if (time == 0) time = index_ns_;
  if (time == 0) time = last_ns_;
  line.wall_ns = last_ns_ = time;
}

Result<LineReader::Got> LineReader::next(Line& line) {
  for (;;) {
    if (at_ == piece_.size()) {
      const Result<Got> got = take_piece();
      if (!got || *got != Got::line) return got;
    }
    const std::string_view left = std::string_view(piece_).substr(at_);
    if (rest_.empty()) {
      const Result<WallNs> time = times_.at(begin_.offset + at_);
      if (!time) return failure(time.error());
      index_ns_ = *time;
      rest_begin_ = {begin_.file, begin_.offset + at_};
    }
    const std::size_t end = left.find('\n');
    at_ += end == left.npos ? left.size() : end + 1;
    if (end != left.npos && rest_.empty()) {
      hand_out(left.substr(0, end), line);
      return Got::line;
    }
    rest_ += left.substr(0, end);
    if (end == left.npos && rest_.size() < longest_line) continue;
    line_ = std::exchange(rest_, {});
    hand_out(line_, line);
    return Got::line;
  }
}

Cursor LineReader::place() const {
  if (!rest_.empty()) return rest_begin_;
  return begin_.file == 0 ? follower_.cursor() : Cursor{begin_.file, begin_.offset + at_};
}

bool LineReader::finish(Line& line) {
  if (rest_.empty()) return false;
  line_ = std::exchange(rest_, {});
  hand_out(line_, line);
  return true;
}

}  // namespace hearth::logs
