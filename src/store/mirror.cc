#include "store/mirror.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "os/clock.h"
#include "os/crash_point.h"
#include "wire/state.h"

namespace hearth::store {
namespace {

// Text that is made before it is written; a line has 400 bytes at most.
constexpr std::size_t text_bytes = 16 * 1024;
// Lines made under one lock: a few microseconds.
constexpr std::size_t lines_at_once = 32;
constexpr std::size_t copied_at_once = 16 * 1024;

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

// As readdir(3), with errno 0 at the end.
const dirent* next_entry(DIR* directory) {
  errno = 0;
  return ::readdir(directory);
}

ssize_t read_at(int fd, char* bytes, std::size_t count, off_t at) {
  for (;;) {
    const ssize_t n = ::pread(fd, bytes, count, at);
    if (n >= 0 || errno != EINTR) return n;
  }
}

bool write_bytes(int fd, const char* bytes, std::size_t count) {
  while (count > 0) {
    const ssize_t n = ::write(fd, bytes, count);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes += n;
    count -= static_cast<std::size_t>(n);
  }
  return true;
}

bool same_bytes(int a, int b) {
  struct stat of_a{};
  struct stat of_b{};
  if (::fstat(a, &of_a) < 0 || ::fstat(b, &of_b) < 0 || of_a.st_size != of_b.st_size) return false;
  char left[4096];
  char right[sizeof left];
  for (off_t at = 0; at < of_a.st_size;) {
    const ssize_t n = read_at(a, left, sizeof left, at);
    if (n <= 0 || read_at(b, right, static_cast<std::size_t>(n), at) != n ||
        std::memcmp(left, right, static_cast<std::size_t>(n)) != 0)
      return false;
    at += n;
  }
  return true;
}

bool copy_bytes(int from, int to) {
  char buffer[copied_at_once];
  for (off_t at = 0;;) {
    const ssize_t n = read_at(from, buffer, sizeof buffer, at);
    if (n < 0) return false;
    if (n == 0) return true;
    if (!write_bytes(to, buffer, static_cast<std::size_t>(n))) return false;
    at += n;
  }
}

// Not in what other names lead to: a link goes, and so does the one name of a file that has several.
os::Fd make_temporary(int directory, const std::string& name) {
  struct stat st{};
  if (::fstatat(directory, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 && (S_ISLNK(st.st_mode) || st.st_nlink > 1))
    ::unlinkat(directory, name.c_str(), 0);
  return os::Fd(::openat(directory, name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
}

// Under its name once `good`, away otherwise; errno stays that of what failed first. Closed before: NFS says only there
// that the disk is full.
bool put_in_place(int directory, os::Fd written, const std::string& temporary, const std::string& name, bool good) {
  int error = errno;
  if (::close(written.release()) < 0 && good) {
    good = false;
    error = errno;
  }
  if (good && ::renameat(directory, temporary.c_str(), directory, name.c_str()) == 0) return true;
  if (good) error = errno;
  ::unlinkat(directory, temporary.c_str(), 0);
  errno = error;
  return false;
}

}  // namespace

std::string state_name(std::uint64_t version) {
  return wire::document_file_prefix + std::to_string(version);
}

std::string spec_name(std::uint64_t version) {
  return "spec/" + std::to_string(version) + ".json";
}

std::uint64_t version_of(std::string_view name) {
  if (name.ends_with(".new")) name.remove_suffix(4);
  constexpr std::string_view prefix = wire::document_file_prefix;
  if (name.starts_with(prefix))
    name.remove_prefix(prefix.size());
  else if (name.ends_with(".json"))
    name.remove_suffix(5);
  else
    return 0;
  std::uint64_t version = 0;
  const auto [end, problem] = std::from_chars(name.data(), name.data() + name.size(), version);
  return problem == std::errc() && end == name.data() + name.size() ? version : 0;
}

class Mirror::Doing {
 public:
  Doing(Mirror& mirror, Step step) : mirror_(mirror) { set(step); }
  ~Doing() { set({}); }
  Doing(const Doing&) = delete;
  Doing& operator=(const Doing&) = delete;

 private:
  void set(Step step) {
    const MonoNs now = os::read_mono();
    const std::lock_guard lock(mirror_.mutex_);
    mirror_.step_ = step;
    mirror_.step_since_ = now;
  }
  Mirror& mirror_;
};

Mirror::Mirror(Place place) : place_(std::move(place)), journal_(place_.instance.get()) {
  line_.reserve(text_bytes);
}

Mirror::Wanted* Mirror::find(std::uint64_t version) {
  const auto found =
      std::find_if(documents_.begin(), documents_.end(), [&](const Wanted& each) { return each.version == version; });
  return found == documents_.end() ? nullptr : &*found;
}

void Mirror::want(std::uint64_t version, os::Fd memory) {
  os::Fd old;
  const std::lock_guard lock(mutex_);
  Wanted* wanted = find(version);
  if (wanted == nullptr) wanted = &documents_.emplace_back();
  old = std::exchange(wanted->memory, std::move(memory));
  wanted->version = version;
  wanted->serial = ++serial_;
  wanted->written = false;
}

void Mirror::drop(std::uint64_t version) {
  const std::lock_guard lock(mutex_);
  std::erase_if(documents_, [&](const Wanted& each) { return each.version == version; });
  removal_due_ = true;
}

bool Mirror::note(const std::vector<ports::SlotNote>& changed, RunId next_run) {
  const std::lock_guard lock(mutex_);
  if (finished_) return false;
  bool other = next_run != next_run_ || !noted_once_;
  // Only now: documents that the supervisor goes on with are all here when it has noted its runs.
  removal_due_ = removal_due_ || !noted_once_;
  noted_once_ = true;
  next_run_ = next_run;
  for (const ports::SlotNote& each : changed) {
    if (each.slot >= runs_.size()) runs_.resize(each.slot + 1);
    if (runs_[each.slot] == each.note) continue;
    runs_[each.slot] = each.note;
    other = true;
  }
  runs_serial_ += other;
  return other;
}

// Before the first note() there is no list, and the one of before must stay.
bool Mirror::note_event(EventId last) {
  const std::lock_guard lock(mutex_);
  const EventId floor = last / event_floor_step * event_floor_step;
  if (floor <= event_floor_) return false;
  event_floor_ = floor;
  if (!noted_once_) return false;
  ++runs_serial_;
  return true;
}

void Mirror::finish(RunId next_run, EventId last_event) {
  const std::lock_guard lock(mutex_);
  if (finished_) return;
  finished_ = removal_due_ = noted_once_ = true;
  documents_.clear();
  runs_.clear();
  next_run_ = next_run;
  last_event_ = last_event;
  ++runs_serial_;
}

bool Mirror::wants(std::uint64_t version) const {
  const std::lock_guard lock(mutex_);
  return std::any_of(documents_.begin(), documents_.end(), [&](const Wanted& each) { return each.version == version; });
}

bool Mirror::settled() const {
  if (!journal_.settled()) return false;
  const std::lock_guard lock(mutex_);
  return runs_written_ == runs_serial_ && !removal_due_ && step_.act == Act::none &&
         std::all_of(documents_.begin(), documents_.end(), [](const Wanted& each) { return each.written; });
}

bool Mirror::pass() {
  ++pass_;
  first_failed_ = {};
  bool good = write_documents();
  good = write_runs() && good;
  good = copy_events() && good;
  // What is not wanted any more is what a next hearth would go on with as long as the rest is not written.
  if (good) good = remove_unwanted();
  const WallNs wall = os::read_clock().wall;
  const std::lock_guard lock(mutex_);
  if (good) {
    failed_ = {};
    tries_ = 0;
    failing_since_ = 0;
    return true;
  }
  failed_ = first_failed_;
  error_ = first_error_;
  ++tries_;
  if (failing_since_ == 0) failing_since_ = wall;
  return false;
}

bool Mirror::fail(Step step) {
  if (first_failed_.act != Act::none) return false;
  first_error_ = errno;
  first_failed_ = step;
  return false;
}

bool Mirror::write_documents() {
  bool good = true;
  for (;;) {
    Step step{Act::document, 0};
    std::uint64_t serial = 0;
    os::Fd memory;
    {
      const std::lock_guard lock(mutex_);
      const auto next = std::find_if(documents_.begin(), documents_.end(),
                                     [&](const Wanted& each) { return !each.written && each.tried != pass_; });
      if (next == documents_.end()) return good;
      next->tried = pass_;
      step.version = next->version;
      serial = next->serial;
      memory = std::move(next->memory);
    }
    const bool written = write_document(step, memory) || fail(step);
    good = good && written;
    const std::lock_guard lock(mutex_);
    Wanted* wanted = find(step.version);
    if (wanted == nullptr || wanted->serial != serial) continue;  // dropped, or another one
    wanted->written = written;
    if (!written) wanted->memory = std::move(memory);
  }
}

bool Mirror::write_document(Step step, os::Fd& memory) {
  os::Fd opened;
  if (!memory && !place_.state) return true;  // descriptors were short when it was wanted: the next supervisor's
  if (!memory) opened = os::Fd(::openat(place_.state.get(), state_name(step.version).c_str(), O_RDONLY | O_CLOEXEC));
  const int from = memory ? memory.get() : opened.get();
  if (from < 0) return errno == ENOENT;  // dropped meanwhile
  const Doing doing(*this, step);
  const std::string name = spec_name(step.version);
  const std::string temporary = name + ".new";
  const int directory = place_.instance.get();
  // Not what something else would block at: it is no document then, and is replaced.
  if (const os::Fd there(::openat(directory, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
      there && same_bytes(from, there.get()))
    return true;
  os::Fd fd = make_temporary(directory, temporary);
  if (!fd) return false;
  const bool copied = copy_bytes(from, fd.get());
  os::crash_point("document copied");
  const bool good = put_in_place(directory, std::move(fd), temporary, name, copied);
  os::crash_point("document in place");
  return good;
}

bool Mirror::write_runs() {
  {
    const std::lock_guard lock(mutex_);
    if (runs_serial_ == runs_written_) return true;
  }
  const Step step{Act::runs, 0};
  const Doing doing(*this, step);
  const int directory = place_.instance.get();
  const std::string temporary = std::string(runs_file) + ".new";
  std::uint64_t serial = 0;
  bool good = false;
  if (os::Fd fd = make_temporary(directory, temporary)) {
    good = write_run_lines(fd.get(), serial);
    os::crash_point("runs written");
    good = put_in_place(directory, std::move(fd), temporary, runs_file, good);
    os::crash_point("runs in place");
  }
  // At a deliberate end, on a full disk: better no list than one by which the next hearth would start what was stopped.
  if (!good && !without_list(serial)) return fail(step);
  const std::lock_guard lock(mutex_);
  runs_written_ = serial;
  return true;
}

bool Mirror::copy_events() {
  if (journal_.settled()) return true;
  const Step step{Act::events, 0};
  const Doing doing(*this, step);
  return journal_.pass() || fail(step);
}

bool Mirror::without_list(std::uint64_t& serial) {
  const int error = errno;
  {
    const std::lock_guard lock(mutex_);
    if (!finished_) return false;
    serial = runs_serial_;
  }
  if (::unlinkat(place_.instance.get(), runs_file, 0) == 0 || errno == ENOENT) return true;
  errno = error;
  return false;
}

// The lines are of different moments; `serial` is of the first.
bool Mirror::write_run_lines(int fd, std::uint64_t& serial) {
  std::size_t slot = 0;
  std::size_t end = 0;
  bool first = true;
  line_.clear();
  do {
    {
      const std::lock_guard lock(mutex_);
      if (slot == 0) {
        serial = runs_serial_;
        append_run_list_head(line_, place_.boot_id, place_.pid_namespace, place_.directory, next_run_, last_event_,
                             event_floor_);
      }
      end = runs_.size();
      for (std::size_t made = 0; slot < end && made < lines_at_once; ++slot) {
        if (runs_[slot].label.empty()) continue;
        append_run(line_, runs_[slot], first);
        first = false;
        ++made;
      }
    }
    if (slot >= end) append_run_list_end(line_, first);
    if (!write_bytes(fd, line_.data(), line_.size())) return false;
    line_.clear();
  } while (slot < end);
  return true;
}

bool Mirror::remove_unwanted() {
  {
    const std::lock_guard lock(mutex_);
    if (!removal_due_) return true;
    removal_due_ = false;
  }
  Step step{Act::removal, 0};
  if (remove_from_spec(step)) return true;
  (void)fail(step);
  const std::lock_guard lock(mutex_);
  removal_due_ = true;
  return false;
}

bool Mirror::remove_from_spec(Step& step) {
  const Doing doing(*this, step);
  os::Fd fd(::openat(place_.instance.get(), "spec", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  const std::unique_ptr<DIR, CloseDirectory> listed(fd ? ::fdopendir(fd.get()) : nullptr);
  if (listed == nullptr) return errno == ENOENT;
  (void)fd.release();
  bool good = true;
  int error = 0;
  while (const dirent* entry = next_entry(listed.get())) {
    const std::uint64_t version = version_of(entry->d_name);
    if (version == 0) continue;
    if (wants(version)) continue;
    if (::unlinkat(::dirfd(listed.get()), entry->d_name, 0) < 0 && errno != ENOENT) {
      if (good) error = errno;
      good = false;
      step.version = version;
    }
    os::crash_point("document removed");
  }
  if (good && errno != 0) return false;  // the directory cannot be read to its end
  if (!good) errno = error;
  return good;
}

std::string Mirror::subject(Step step) const {
  switch (step.act) {
    case Act::none: return "";
    case Act::events: return place_.directory + "/" + events_file;
    case Act::runs: return place_.directory + "/" + runs_file;
    case Act::document: return place_.directory + "/" + spec_name(step.version);
    case Act::removal:
      return place_.directory + "/" + (step.version == 0 ? std::string("spec") : spec_name(step.version));
  }
  return "";
}

Mirror::Condition Mirror::condition() const {
  const auto word = [](Act act) { return act == Act::none ? "" : act == Act::removal ? "remove" : "write"; };
  const std::lock_guard lock(mutex_);
  Condition out;
  out.doing = word(step_.act);
  out.doing_subject = subject(step_);
  out.doing_since = step_since_;
  out.failed = word(failed_.act);
  out.failed_subject = subject(failed_);
  out.error = error_;
  out.failing_since = failing_since_;
  out.tries = tries_;
  return out;
}

}  // namespace hearth::store
