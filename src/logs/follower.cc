#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "logs/log_file.h"
#include "logs/reader.h"

namespace hearth::logs {
namespace {

constexpr std::size_t read_bytes = 64u << 10;
// A watch of a directory tells of writes to the files in it, too.
constexpr std::uint32_t log_events = IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_DELETE_SELF;

std::string directory_above(const std::string& path) {
  std::size_t end = path.find_last_not_of('/');
  std::size_t slash = path.find_last_of('/', end);
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Result<Follower> Follower::create(std::string directory, Cursor from, Watcher* shared) {
  Follower follower(std::move(directory), from);
  follower.watcher_ = shared;
  if (shared == nullptr) {
    Result<Watcher> watcher = Watcher::create();
    if (!watcher) return failure(watcher.error());
    follower.own_ = std::make_unique<Watcher>(std::move(*watcher));
    follower.watcher_ = follower.own_.get();
  }
  if (Status watched = follower.watch(); !watched) return failure(watched.error());
  return follower;
}

Status Follower::open_directory() {
  directory_.reset(open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory_ && errno != ENOENT) return errno_failure("open", path_, errno);
  return {};
}

// Watches the directory, or the one above until it appears. Before anything is read: what is written between
// the last read and the first wait is an event then.
Status Follower::watch() {
  if (watcher_ == nullptr) return open_directory();
  int done = watcher_->watch(path_, log_events | IN_ONLYDIR);
  if (done == -ENOENT) {
    const std::string above = directory_above(path_);
    watch_ = watcher_->watch(above, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
    if (watch_ < 0) return errno_failure("watch", above, -watch_);
    // It may have come in between.
    done = watcher_->watch(path_, log_events | IN_ONLYDIR);
    if (done == -ENOENT) return {};
  }
  if (done < 0) return errno_failure("watch", path_, -done);
  watch_ = done;
  seen_ = UINT64_MAX;  // the other watch's count says nothing about this one
  return open_directory();
}

Result<bool> Follower::take(const PieceHandler& handler) {
  // What the events say is found out by looking.
  if (own_) own_->take_events();
  if (watcher_ != nullptr) seen_ = watcher_->events_of(watch_);
  for (;;) {
    Result<Step> done = step(handler);
    if (!done) return failure(done.error());
    if (*done == Step::enough) return false;
    if (*done == Step::nothing) return true;
  }
}

Status Follower::follow(const PieceHandler& handler, int stop) {
  for (;;) {
    Result<bool> more = take(handler);
    if (!more) return failure(more.error());
    if (!*more) return {};
    pollfd fds[2] = {{descriptor(), POLLIN, 0}, {stop, POLLIN, 0}};
    if (poll(fds, 2, -1) < 0 && errno != EINTR) return errno_failure("wait for", path_, errno);
    if (fds[1].revents != 0) return {};
  }
}

Result<Follower::Step> Follower::step(const PieceHandler& handler) {
  if (!directory_) {
    if (Status watched = watch(); !watched) return failure(watched.error());
    if (!directory_) return Step::nothing;
  }
  if (!file_ && cursor_.file != 0) {
    Result<LogFile> opened = LogFile::open(directory_.get(), cursor_.file);
    if (!opened) return failure(opened.error());
    file_ = std::move(*opened);
  }
  return file_ ? read_on(handler) : find_file(handler);
}

Follower::Step Follower::move_to(Cursor next, bool gap, const PieceHandler& handler) {
  Cursor begin = cursor_;
  cursor_ = next;
  file_.reset();
  if (!gap) return Step::delivered;
  return handler({.bytes = {}, .begin = begin, .next = next, .gap = true}) ? Step::delivered : Step::enough;
}

Result<Follower::Step> Follower::read_on(const PieceHandler& handler) {
  buffer_.resize(read_bytes);
  auto read_here = [&] { return file_.read_at(buffer_.data(), read_bytes, cursor_.offset); };
  Result<std::size_t> got = read_here();
  bool next_stands = false;
  if (got && *got == 0) {
    Result<bool> stands_there = stands(cursor_.file + 1);
    if (!stands_there) return failure(stands_there.error());
    next_stands = *stands_there;
    // This file was complete before the next one was made; but it may have grown since our read.
    if (next_stands) got = read_here();
  }
  if (!got) return failure(got.error());
  if (*got > 0) {
    Cursor begin = cursor_;
    cursor_.offset += *got;
    Piece piece{.bytes = std::string_view(buffer_).substr(0, *got), .begin = begin, .next = cursor_, .gap = false};
    return handler(piece) ? Step::delivered : Step::enough;
  }
  // Removed while we had it open: as too old, or by a logger that recovers and makes it again. Looked at after
  // the next file was seen: then what stands under our number is complete, and it may not be what we hold.
  const Result<LogFile::Facts> facts = file_.facts();
  if (!facts) return failure(facts.error());
  if (!facts->linked) {
    Result<bool> again = stands(cursor_.file);
    if (!again) return failure(again.error());
    if (*again) {
      file_.reset();
      return Step::delivered;
    }
  }
  bool cut = facts->size < cursor_.offset;
  if (next_stands) return move_to({cursor_.file + 1, 0}, cut, handler);
  return facts->linked ? Step::nothing : find_file(handler);
}

// The cursor's file is not there. A later one is where to go on; none is something to wait for.
Result<Follower::Step> Follower::find_file(const PieceHandler& handler) {
  Result<std::vector<std::uint64_t>> numbers = list_files(path_);
  if (!numbers && numbers.error().code == ENOENT) {
    // The whole directory is gone; the next step watches for a new one.
    directory_.reset();
    file_.reset();
    return Step::delivered;
  }
  if (!numbers) return failure(numbers.error());
  for (std::uint64_t number : *numbers) {
    if (number == cursor_.file) return Step::delivered;  // it came meanwhile
    if (number < cursor_.file) continue;
    // All of an open file that was removed has been read: only files between it and the next are missing.
    bool nothing_missing = cursor_.file == 0 || (file_ && number == cursor_.file + 1);
    return move_to({number, 0}, !nothing_missing, handler);
  }
  return Step::nothing;
}

Result<bool> Follower::stands(std::uint64_t number) const {
  struct stat info{};
  for (const std::string& name : {file_name(number), compressed_name(number)}) {
    if (fstatat(directory_.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) return true;
    if (errno != ENOENT) return errno_failure("read", path_ + "/" + name, errno);
  }
  return false;
}

}  // namespace hearth::logs
