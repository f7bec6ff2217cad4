#include "logs/time_index.h"

#include <algorithm>
#include <cerrno>
#include <sys/stat.h>

#include "logs/log_file.h"

namespace hearth::logs {
namespace {

using wire::LogIndexHeader;
using wire::LogIndexRecord;

constexpr std::uint64_t header_bytes = sizeof(LogIndexHeader);
constexpr std::uint64_t record_bytes = sizeof(LogIndexRecord);
constexpr std::size_t block_records = 512;

}  // namespace

Result<TimeIndex> TimeIndex::open(int directory, std::uint64_t number) {
  TimeIndex index;
  index.name_ = index_name(number);
  Result<os::Fd> file = open_named(directory, index.name_);
  if (!file) return failure(file.error());
  if (!*file) return index;
  LogIndexHeader header{};
  const Result<std::size_t> got = read_at(file->get(), &header, header_bytes, 0, index.name_);
  if (!got) return failure(got.error());
  if (*got < header_bytes || header.magic != wire::log_index_magic || header.version != wire::log_index_version ||
      header.file != number)
    return index;
  index.file_ = std::move(*file);
  if (Status looked = index.refresh(); !looked) return failure(looked.error());
  return index;
}

Status TimeIndex::refresh() {
  if (!file_) return {};
  struct stat info{};
  if (fstat(file_.get(), &info) < 0) return errno_failure("read", name_, errno);
  const auto size = static_cast<std::uint64_t>(info.st_size);
  count_ = size > header_bytes ? (size - header_bytes) / record_bytes : 0;
  // What a power loss has left at the end: records never have a time of 0.
  while (count_ > 0) {
    const Result<LogIndexRecord> last = record(count_ - 1);
    if (!last) return failure(last.error());
    if (last->wall_ns > 0) break;
    --count_;
  }
  return {};
}

Result<LogIndexRecord> TimeIndex::record(std::uint64_t at) const {
  LogIndexRecord found{};
  const Result<std::size_t> got = read_at(file_.get(), &found, record_bytes, header_bytes + at * record_bytes, name_);
  if (!got) return failure(got.error());
  if (*got < record_bytes) found = {};
  return found;
}

Result<std::vector<LogIndexRecord>> TimeIndex::records(std::uint64_t at, std::size_t count) const {
  std::vector<LogIndexRecord> found(
      static_cast<std::size_t>(std::min<std::uint64_t>(count, count_ - std::min(at, count_))));
  const Result<std::size_t> got =
      read_at(file_.get(), found.data(), found.size() * record_bytes, header_bytes + at * record_bytes, name_);
  if (!got) return failure(got.error());
  found.resize(*got / record_bytes);
  return found;
}

template <typename Before>
Result<std::uint64_t> TimeIndex::halve(Before before) const {
  std::uint64_t low = 0, high = count_;
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    const Result<LogIndexRecord> one = record(middle);
    if (!one) return failure(one.error());
    if (before(*one)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

Result<std::uint64_t> TimeIndex::not_later(WallNs wall_ns) const {
  return halve([=](const LogIndexRecord& one) { return one.wall_ns <= wall_ns; });
}
Result<std::uint64_t> TimeIndex::not_behind(std::uint64_t offset) const {
  return halve([=](const LogIndexRecord& one) { return one.offset <= offset; });
}

Status TimeLine::open(int directory, std::uint64_t number, std::uint64_t offset) {
  Result<TimeIndex> index = TimeIndex::open(directory, number);
  if (!index) return failure(index.error());
  const Result<std::uint64_t> count = index->not_behind(offset);
  if (!count) return failure(count.error());
  index_ = std::move(*index);
  number_ = number;
  block_.clear();
  used_ = 0;
  next_ = *count > 0 ? *count - 1 : 0;
  now_ = 0;
  return {};
}

Status TimeLine::look_again() {
  return index_.refresh();
}

Result<WallNs> TimeLine::at(std::uint64_t offset) {
  for (;;) {
    while (used_ < block_.size() && block_[used_].offset <= offset) now_ = block_[used_++].wall_ns;
    if (used_ < block_.size() || next_ >= index_.count()) return now_;
    Result<std::vector<LogIndexRecord>> more = index_.records(next_, block_records);
    if (!more) return failure(more.error());
    block_ = std::move(*more);
    used_ = 0;
    next_ += block_.size();
    if (block_.empty()) return now_;  // it was cut meanwhile
  }
}

}  // namespace hearth::logs
