#include "store/journal_copy.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "os/crash_point.h"
#include "os/own_file.h"
#include "store/event_line.h"

namespace hearth::store {
namespace {

constexpr std::size_t copied_at_once = 16 * 1024;

os::Fd open_existing(int directory, const char* name) {
  return os::Fd(::openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
}

// Nothing is there, or something that is no file: a link, a socket, a directory.
bool is_no_file(int error) {
  return error == ENOENT || error == ELOOP || error == ENXIO || error == EISDIR;
}

bool append(int file, const char* bytes, std::size_t count, std::uint64_t at) {
  while (count > 0) {
    const ssize_t n = ::pwrite(file, bytes, count, static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes += n;
    count -= static_cast<std::size_t>(n);
    at += static_cast<std::uint64_t>(n);
  }
  return true;
}

}  // namespace

Result<EventId> last_event_on_disk(int directory) {
  for (const char* name : {events_file, events_file_before}) {
    const os::Fd file = open_existing(directory, name);
    const std::optional<ports::JournalMark> end = file ? end_of_journal(file.get()) : std::nullopt;
    if (!end && !is_no_file(errno)) return errno_failure("read", name, errno);
    if (end && end->last != no_event) return end->last;
  }
  return no_event;
}

EventId least_event_on_disk(int directory) {
  const os::Fd file = open_existing(directory, events_file_before);
  const std::optional<ports::JournalMark> end = file ? end_of_journal(file.get()) : std::nullopt;
  return std::max<EventId>(end ? end->last : no_event, 1);
}

void JournalCopy::offer(const std::vector<Segment>& segments) {
  const std::lock_guard lock(mutex_);
  offered_ = segments;
  ++offers_;
}

bool JournalCopy::settled() const {
  const std::lock_guard lock(mutex_);
  return written_ == offers_;
}

bool JournalCopy::pass() {
  std::vector<Segment> segments;
  std::uint64_t offer = 0;
  {
    const std::lock_guard lock(mutex_);
    if (written_ == offers_) return true;
    segments = offered_;
    offer = offers_;
  }
  bool good = open();
  for (std::size_t i = 0; good && i < segments.size(); ++i)
    if (i + 1 >= segments.size() || segments[i + 1].first > last_ + 1) good = copy(segments[i]);
  if (!good) {
    const int error = errno;
    file_.reset();  // whoever comes next looks at what is there
    errno = error;
    return false;
  }
  const std::lock_guard lock(mutex_);
  written_ = offer;
  if (offer == offers_) offered_.clear();
  return true;
}

bool JournalCopy::open() {
  struct stat there{};
  struct stat ours{};
  // Somebody may have moved or removed it: people do that with files that grow.
  if (file_ && ::fstatat(directory_, events_file, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
      ::fstat(file_.get(), &ours) == 0 && there.st_ino == ours.st_ino && there.st_dev == ours.st_dev &&
      static_cast<std::uint64_t>(ours.st_size) == size_)
    return true;
  if (last_ == no_event) {
    const Result<EventId> last = last_event_on_disk(directory_);
    if (!last) return errno = last.error().code, false;
    last_ = *last;
  }
  constexpr int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  file_ = os::Fd(::openat(directory_, events_file, flags, 0600));
  if (!file_) return false;
  const std::optional<bool> is_plain = os::is_plain_file(file_.get());
  if (!is_plain) return false;
  // No file, or one that has another name as well (cp -al makes those): it is left as it is, and a new one begun.
  if (!*is_plain) {
    file_.reset();
    if (::renameat(directory_, events_file, directory_, events_file_before) < 0) return false;
    file_ = os::Fd(::openat(directory_, events_file, flags | O_EXCL, 0600));
    if (!file_) return false;
  }
  const std::optional<ports::JournalMark> end = end_of_journal(file_.get());
  if (!end) return false;  // what cannot be read now is not cut off
  last_ = std::max(last_, end->last);
  size_ = end->end;
  return ::ftruncate(file_.get(), static_cast<off_t>(size_)) == 0;
}

bool JournalCopy::rotate() {
  if (::renameat(directory_, events_file, directory_, events_file_before) < 0) return false;
  os::crash_point("events renamed");
  file_.reset();
  return open();
}

bool JournalCopy::copy(const Segment& segment) {
  const int from = segment.file->get();
  std::string lines;
  for (std::uint64_t at = find_line(from, segment.size, last_); at < segment.size;) {
    if (size_ >= most_bytes_ && !rotate()) return false;
    lines.resize(static_cast<std::size_t>(std::min<std::uint64_t>(copied_at_once, segment.size - at)));
    if (!read_exactly(from, lines.data(), lines.size(), at)) return false;
    lines.resize(end_of_lines(lines));
    if (lines.empty()) return true;  // no line of ours is so long
    if (!append(file_.get(), lines.data(), lines.size(), size_)) return false;
    os::crash_point("events copied");
    at += lines.size();
    size_ += lines.size();
    last_ = std::max(last_, last_event_in(lines));
  }
  return true;
}

}  // namespace hearth::store
