#include "store/journal.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "os/crash_point.h"
#include "os/own_file.h"
#include "store/event_line.h"

namespace hearth::store {
namespace {

constexpr std::size_t chunk_bytes = 16 * 1024;
constexpr std::size_t lines_kept = 64 * 1024;

std::string segment_name(EventId first) {
  return segment_prefix + std::to_string(first);
}

// From the instance directory.
std::string path_of(EventId first) {
  return std::string(wire::state_directory_name) + "/" + segment_name(first);
}

EventId first_of(std::string_view name) {
  constexpr std::string_view prefix = segment_prefix;
  if (!name.starts_with(prefix)) return no_event;
  name.remove_prefix(prefix.size());
  EventId first = no_event;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), first);
  return error == std::errc() && end == name.data() + name.size() ? first : no_event;
}

// A next try may find it. What fails otherwise is not there, or is none of ours.
bool may_pass(int error) {
  return is_shortage(error) || error == EIO;
}

bool write_exactly(int file, std::string_view bytes, std::uint64_t at) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
    at += static_cast<std::uint64_t>(n);
  }
  return true;
}

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

// Of the newest segment readers believe no byte behind the committed end, and the next line is written over them: there a cut
// that fails harms nobody.
bool cut(int file, std::uint64_t size) {
  return ::ftruncate(file, static_cast<off_t>(size)) == 0;
}

}  // namespace

bool read_exactly(int file, char* bytes, std::size_t count, std::uint64_t at) {
  while (count > 0) {
    const ssize_t n = ::pread(file, bytes, count, static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) errno = EIO;
    if (n <= 0) return false;
    bytes += n;
    count -= static_cast<std::size_t>(n);
    at += static_cast<std::uint64_t>(n);
  }
  return true;
}

std::optional<ports::JournalMark> end_of_journal(int file) {
  struct stat found{};
  if (::fstat(file, &found) < 0) return std::nullopt;
  std::string text;
  for (auto from = static_cast<std::uint64_t>(found.st_size); from > 0;) {
    const std::uint64_t piece = std::min<std::uint64_t>(from, chunk_bytes);
    from -= piece;
    std::string chunk(piece, '\0');
    if (!read_exactly(file, chunk.data(), piece, from)) return std::nullopt;
    text.insert(0, chunk);
    // Not from the middle of a line, unless it is the first.
    const std::size_t begin = from == 0 ? 0 : text.find('\n') + 1;
    if (from != 0 && begin == 0) continue;
    const EventId last = last_event_in(std::string_view(text).substr(begin));
    if (last != no_event || from == 0) return ports::JournalMark{last, from + end_of_lines(text)};
  }
  return ports::JournalMark{};
}

namespace {

// Where the first line begins that begins at or behind `at`, with its id. {size, no_event}: none does.
struct Found {
  std::uint64_t begin = 0;
  EventId id = no_event;
};
Found line_behind(int file, std::uint64_t size, std::uint64_t at) {
  char window[2 * event_line_max];
  const std::uint64_t from = at > 0 ? at - 1 : 0;
  const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(sizeof window, size - from));
  if (!read_exactly(file, window, count, from)) return {size, no_event};
  const std::string_view text(window, count);
  const std::size_t end = at > 0 ? text.find('\n') : 0;
  const std::size_t begin = at > 0 && end != text.npos ? end + 1 : end;
  if (begin >= count) return {size, no_event};
  return {from + begin, event_id_of(text.substr(begin))};
}

}  // namespace

// Bisection over blocks, then line by line.
std::uint64_t find_line(int file, std::uint64_t size, EventId after) {
  std::uint64_t low = 0;  // block whose first line does not come too late
  std::uint64_t high = (size + chunk_bytes - 1) / chunk_bytes;
  while (high - low > 1) {
    const std::uint64_t middle = low + (high - low) / 2;
    const Found found = line_behind(file, size, middle * chunk_bytes);
    (found.begin < size && found.id <= after ? low : high) = middle;
  }
  std::uint64_t at = low * chunk_bytes;
  while (at < size) {
    const Found found = line_behind(file, size, at);
    if (found.begin >= size || found.id > after) return found.begin;
    at = found.begin + 1;
  }
  return size;
}

Result<ports::JournalMark> Journal::resume(std::optional<ports::JournalMark> mark, EventId floor) {
  segments_.clear();
  const Result<EventId> found = find_segments();
  if (!found) return failure(found.error());
  // Begun by a turn that was never committed.
  const auto uncommitted = std::find_if(segments_.begin(), segments_.end(),
                                        [&](const Segment& segment) { return mark && segment.first > mark->last; });
  const std::vector<Segment> unwanted(uncommitted, segments_.end());
  segments_.erase(uncommitted, segments_.end());
  for (Segment& segment : segments_) {
    const Result<std::uint64_t> size = os::file_size(segment.file->get(), path_of(segment.first));
    if (!size) return failure(size.error());
    segment.size = *size;
  }
  ports::JournalMark now = mark.value_or(ports::JournalMark{});
  if (!mark && !segments_.empty()) {
    const std::optional<ports::JournalMark> end = end_of_journal(segments_.back().file->get());
    if (!end) return errno_failure("read", path_of(segments_.back().first), errno);
    now = *end;
  }
  const EventId newest_seen = segments_.empty() ? no_event : segments_.back().first;
  begins_another_ = *found > newest_seen && (!mark || *found <= mark->last);
  if (begins_another_) {
    now.last = std::max(now.last, *found);
  } else if (!segments_.empty()) {
    Segment& newest = segments_.back();
    // Shorter than what was committed: somebody has cut it. Its lines go on where it ends now.
    now.end = std::min(now.end, newest.size);
    if (newest.size > now.end) (void)cut(newest.file->get(), now.end);
    newest.size = now.end;
  } else {
    now.end = 0;
  }
  for (const Segment& segment : unwanted) remove(segment);
  now.of_copy = !mark && (begins_another_ || floor > now.last);
  now.last = std::max(now.last, floor);
  last_ = now.last;
  return now;
}

// Those that are files of ours. Returns the first id of the newest one that is there and could not be opened.
Result<EventId> Journal::find_segments() {
  if (state_ < 0) return no_event;
  os::Fd again(::openat(state_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const std::unique_ptr<DIR, CloseDirectory> listed(again ? ::fdopendir(again.get()) : nullptr);
  if (listed == nullptr) return errno_failure("read", wire::state_directory_name, errno);
  (void)again.release();
  EventId unopened = no_event;
  for (errno = 0; const dirent* entry = ::readdir(listed.get()); errno = 0) {
    const EventId first = first_of(entry->d_name);
    if (first == no_event) continue;
    os::Fd file(::openat(state_, entry->d_name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    const std::optional<bool> is_plain = file ? os::is_plain_file(file.get()) : std::nullopt;
    if (!is_plain && may_pass(errno)) return errno_failure("open", path_of(first), errno);
    // Whoever has put something else there shall find it as it was.
    if (is_plain.value_or(false))
      segments_.push_back({first, std::make_shared<const os::Fd>(std::move(file)), 0});
    else if (is_plain || errno != ENOENT)
      unopened = std::max(unopened, first);
  }
  // ENOENT: the directory itself was removed, and has nothing.
  if (errno != 0 && errno != ENOENT) return errno_failure("read", wire::state_directory_name, errno);
  std::sort(segments_.begin(), segments_.end(), [](const Segment& a, const Segment& b) { return a.first < b.first; });
  return unopened;
}

void Journal::remove(const Segment& segment) {
  if (state_ >= 0) ::unlinkat(state_, segment_name(segment.first).c_str(), 0);
}

Status Journal::begin_segment(EventId first) {
  os::Fd file;
  if (state_ >= 0) {
    const std::string name = segment_name(first);
    ::unlinkat(state_, name.c_str(), 0);  // of a turn that was never committed, or no file of ours
    file = os::Fd(::openat(state_, name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) return errno_failure("begin", name, errno);
  } else {
    Result<os::Fd> made = os::make_memfd("hearth-events", 0);
    if (!made) return failure(made.error());
    file = std::move(*made);
  }
  segments_.push_back({first, std::make_shared<const os::Fd>(std::move(file)), 0});
  return {};
}

Result<std::uint64_t> Journal::append(const std::vector<EventRecord>& events) {
  lines_.clear();
  for (const EventRecord& event : events) append_event_line(lines_, event);
  const bool begins = segments_.empty() || begins_another_ || segments_.back().size >= segment_size_;
  if (begins) {
    // From now on its size is what the file has: nothing of a turn that did not happen may be behind it.
    if (!segments_.empty() && !cut(segments_.back().file->get(), segments_.back().size))
      return errno_failure("cut", segment_name(segments_.back().first), errno);
    if (const Status made = begin_segment(events.front().id); !made) return failure(made.error());
  }
  os::crash_point("events segment");
  Segment& newest = segments_.back();
  const std::uint64_t end = newest.size + lines_.size();
  const bool written = write_exactly(newest.file->get(), lines_, newest.size);
  const int error = errno;
  if (lines_.capacity() > lines_kept) std::string().swap(lines_);
  os::crash_point("events written");
  if (written) begins_another_ = false;
  if (written) return end;
  const std::string name = segment_name(newest.first);
  (void)cut(newest.file->get(), newest.size);
  if (begins) {
    remove(newest);
    segments_.pop_back();
  }
  return errno_failure("write", name, error);
}

void Journal::committed(ports::JournalMark mark) {
  last_ = mark.last;
  if (segments_.empty() || begins_another_) return;
  segments_.back().size = mark.end;
  while (segments_.size() > segments_kept) {
    remove(segments_.front());
    segments_.erase(segments_.begin());
  }
}

ports::EventLines Journal::read(EventId after, std::size_t most_bytes) const {
  ports::EventLines out;
  out.newest = last_;
  out.oldest = segments_.empty() || segments_.front().size == 0 ? last_ + 1 : segments_.front().first;
  if (after >= last_) return out;
  for (std::size_t i = 0; i < segments_.size() && out.text.empty(); ++i) {
    if (i + 1 < segments_.size() && segments_[i + 1].first <= after + 1) continue;
    const Segment& segment = segments_[i];
    const std::uint64_t begin = find_line(segment.file->get(), segment.size, after);
    const std::uint64_t left = segment.size - begin;
    if (left == 0) continue;
    out.text.resize(static_cast<std::size_t>(std::min<std::uint64_t>(left, std::max(most_bytes, event_line_max))));
    if (!read_exactly(segment.file->get(), out.text.data(), out.text.size(), begin)) out.text.clear();
    out.text.resize(end_of_lines(out.text));
  }
  return out;
}

}  // namespace hearth::store
