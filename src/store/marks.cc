#include "store/marks.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <mutex>
#include <set>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "base/rfc3339.h"
#include "os/crash_point.h"
#include "os/fd.h"
#include "os/whole_file.h"
#include "store/flat_json.h"

namespace hearth::store {
namespace {

constexpr std::size_t mark_bytes_max = 8192;
constexpr int reads_most = 16;  // of events, at one look: 256 each
// A name less (IN_ATTRIB: the number of names is an attribute), another name, the end; other contents, once they are
// written: who goes on writing would wake us with each byte.
constexpr std::uint32_t touched = IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF | IN_CLOSE_WRITE;
// Of its directory, nothing of what is in there: that may be much.
constexpr std::uint32_t led_astray = IN_MOVE_SELF | IN_DELETE_SELF | IN_ONLYDIR;

// A directory that is held while we work in it cannot be exchanged for another.
struct Place {
  os::Fd directory;
  std::string name;
};

Place place_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string parent = slash == 0 ? "/" : path.substr(0, slash);
  return {os::Fd(::open(parent.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)), path.substr(slash + 1)};
}

enum class Found { nothing, same, ours, foreign, failed };

// Whether what is there was made by us: to replace or remove it is no harm.
Found look_at(const Place& place, const std::string& wanted, bool is_pid, const std::string& begin) {
  const os::Fd file(
      ::openat(place.directory.get(), place.name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file) return errno == ENOENT ? Found::nothing : errno == ELOOP ? Found::foreign : Found::failed;
  struct stat st{};
  if (::fstat(file.get(), &st) < 0) return Found::failed;
  if (!S_ISREG(st.st_mode) || st.st_uid != ::geteuid()) return Found::foreign;
  const Result<std::string> text = os::read_all(file.get(), mark_bytes_max, place.name);
  if (!text) return Found::foreign;
  if (!wanted.empty() && *text == wanted) return Found::same;
  if (!is_pid) return text->starts_with(begin) ? Found::ours : Found::foreign;
  const std::size_t digits = std::min(text->find_first_not_of("0123456789"), text->size());
  return digits > 0 && digits <= 10 && text->substr(digits) == "\n" ? Found::ours : Found::foreign;
}

// False: errno.
bool write_mark(const Place& place, const std::string& text) {
  const std::string beside = "." + place.name + ".hearth";
  ::unlinkat(place.directory.get(), beside.c_str(), 0);  // what a killed predecessor left
  const os::Fd file(
      ::openat(place.directory.get(), beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!file) return false;
  const Status written = os::write_all(file.get(), text, place.name);
  os::crash_point("mark written");
  if (written && ::fchmod(file.get(), 0644) == 0 &&
      os::rename_unless_there(place.directory.get(), beside.c_str(), place.name.c_str()))
    return true;
  const int code = written ? errno : written.error().code;
  ::unlinkat(place.directory.get(), beside.c_str(), 0);
  errno = code;
  return false;
}

bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

}  // namespace

std::string ready_text(const std::string& instance_directory, const ports::Mark& mark) {
  std::string text;
  FlatWriter object(text);
  object.add("hearth", instance_directory)
      .add("service", mark.label)
      .add("run", mark.run)
      .add("pid", static_cast<std::uint64_t>(std::max(mark.pid, 0)))
      .add("ready_since", rfc3339(mark.since));
  object.close();
  return text + "\n";
}

struct Marks::Shared {
  struct Wanted {
    std::string text;  // "" = shall not be there
    bool is_pid = false;
    std::string label;         // of whose it is, or was
    bool named = true;         // by a slot: else it is forgotten when it is gone
    SlotIndex slot = no_slot;  // the last that said what shall be there
    bool done = false;
    bool was_there = false;  // as it is wanted now
    bool removal_told = false;
    std::uint64_t serial = 0;  // another one when it is wanted otherwise, or somebody has touched it
    std::string told;          // the last trouble
    std::string note = {};     // and its words, as they were told
  };

  // Numbers of inotify(7), which are not given again; -1 = none.
  struct Watches {
    int file = -1, directory = -1;
  };

  bool pass();
  std::string make_so(const std::string& path, const Wanted& wanted, int watcher, const char*& undone);
  bool keep_watch(const Place& place, const std::string& path, int watcher);
  void set_watches(const std::string& path, int watcher, Watches now);
  void forget_watch(const std::string& path, int number);

  std::string begin;  // of our ready files
  std::mutex mutex;
  std::map<std::string, Wanted> files;
  std::uint64_t serial = 0;
  std::vector<Note> notes;
  std::vector<std::string> settled;              // notes that are true no more
  os::Fd inotify;                                // of the first file on; once it is there it stays
  std::map<int, std::set<std::string>> watched;  // which files, by the number of their watch
  std::map<std::string, Watches> watches;        // and the other way round
};

// What was opened, whatever has its name now. -1: it cannot be watched.
int watch_number(int watcher, int fd, std::uint32_t what) {
  return ::inotify_add_watch(watcher, ("/proc/self/fd/" + std::to_string(fd)).c_str(), what);
}

// Those from now on; none of -1. A file that has another name by now, or a second one, lives on, and so would its watch.
// Under the lock.
void Marks::Shared::set_watches(const std::string& path, int watcher, Watches now) {
  const auto known = watches.find(path);
  const Watches before = known != watches.end() ? known->second : Watches{};
  for (const int old : {before.file, before.directory}) {
    const auto at = watched.find(old);
    if (old == now.file || old == now.directory || at == watched.end()) continue;
    at->second.erase(path);
    if (!at->second.empty()) continue;
    ::inotify_rm_watch(watcher, old);
    watched.erase(at);
  }
  for (const int each : {now.file, now.directory})
    if (each >= 0) watched[each].insert(path);
  if (now.file < 0 && now.directory < 0)
    watches.erase(path);
  else
    watches[path] = now;
}

// The kernel has removed it. Under the lock.
void Marks::Shared::forget_watch(const std::string& path, int number) {
  const auto known = watches.find(path);
  if (known == watches.end()) return;
  if (known->second.file == number) known->second.file = -1;
  if (known->second.directory == number) known->second.directory = -1;
}

// False: it is not there any more. `watcher`: -1 = there is none.
bool Marks::Shared::keep_watch(const Place& place, const std::string& path, int watcher) {
  const os::Fd file(::openat(place.directory.get(), place.name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!file) return errno != ENOENT;
  if (watcher < 0) return true;
  const Watches now = {watch_number(watcher, file.get(), touched),
                       watch_number(watcher, place.directory.get(), led_astray)};
  {
    const std::lock_guard lock(mutex);
    set_watches(path, watcher, now);
  }
  if (now.file < 0) return true;
  // What happened before its number was known told nobody.
  struct stat ours{}, there{};
  return ::fstat(file.get(), &ours) == 0 &&
         ::fstatat(place.directory.get(), place.name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 &&
         same_file(ours, there);
}

// Why it could not be made so; "" = it is. With what is not ours nothing more can be done: that is said, and done.
// `undone`: it had been made so before, and somebody has done this to it; else it is left alone.
std::string Marks::Shared::make_so(const std::string& path, const Wanted& wanted, int watcher, const char*& undone) {
  const Place place = place_of(path);
  if (wanted.text.empty() && watcher >= 0) {
    const std::lock_guard lock(mutex);
    set_watches(path, watcher, {});
  }
  if (!place.directory) {
    if (wanted.text.empty() && (errno == ENOENT || errno == ENOTDIR)) return {};
    return std::strerror(errno);
  }
  switch (look_at(place, wanted.text, wanted.is_pid, begin)) {
    case Found::failed: return std::strerror(errno);
    case Found::same: return keep_watch(place, path, watcher) ? "" : std::strerror(ENOENT);
    case Found::foreign:
      return wanted.text.empty() ? ""
                                 : "something that is not of this hearth has that name: remove it, or choose another";
    case Found::ours:
      if (::unlinkat(place.directory.get(), place.name.c_str(), 0) < 0 && errno != ENOENT) return std::strerror(errno);
      if (wanted.was_there) undone = "overwritten";
      break;
    case Found::nothing:
      if (wanted.was_there) undone = "removed";
      break;
  }
  os::crash_point("mark removed");
  if (wanted.text.empty()) return {};
  if (!write_mark(place, wanted.text)) return std::strerror(errno);
  return keep_watch(place, path, watcher) ? "" : "somebody removes it as soon as it is there";
}

bool Marks::Shared::pass() {
  bool all = true;
  std::unique_lock lock(mutex);
  std::vector<std::string> paths;
  for (const auto& [path, mark] : files)
    if (!mark.done) paths.push_back(path);
  for (const std::string& path : paths) {
    const auto before = files.find(path);
    if (before == files.end()) continue;
    const Wanted mark = before->second;
    const int watcher = inotify.get();
    lock.unlock();
    const char* undone = nullptr;
    const std::string trouble = make_so(path, mark, watcher, undone);
    os::crash_point("mark made");
    lock.lock();
    const auto after = files.find(path);
    if (after == files.end()) continue;
    Wanted& now = after->second;
    const std::string name = (mark.is_pid ? "the PID file " : "the readiness file ") + path;
    if (trouble != now.told && !now.note.empty()) settled.push_back(std::exchange(now.note, {}));
    if (!trouble.empty() && trouble != now.told) {
      const char* what = mark.text.empty() ? " cannot be removed: " : " cannot be written: ";
      now.note = name + what + trouble;
      std::erase(settled, now.note);  // it is true again before anybody has asked
      notes.push_back({0, now.note, mark.label});
    }
    const bool news = undone != nullptr && trouble.empty() && now.told.empty();
    if (news && !std::exchange(now.removal_told, true))
      notes.push_back({0, name + " was " + undone + " by somebody and is put back, this time and each time from now on",
                       mark.label});
    // So that the next look waits for its turn, and the one after it longer: he may go on with it.
    all = all && undone == nullptr;
    now.told = trouble;
    // Also when it was touched after we had looked at it: whoever was told of that has asked for another look.
    if (!trouble.empty() || now.serial != mark.serial) {
      all = false;
      continue;
    }
    now.done = true;
    now.was_there = !now.text.empty();
    if (!now.named) files.erase(after);
  }
  return all;
}

Marks::Marks(std::string instance_directory, BehindOptions options)
    : directory_(std::move(instance_directory)),
      shared_(std::make_shared<Shared>()),
      behind_("hearth-marks", [shared = shared_] { return shared->pass(); }, options) {
  FlatWriter(shared_->begin).add("hearth", directory_);
  shared_->begin += ',';
}

void Marks::want(SlotIndex slot, const std::vector<ports::Mark>& marks) {
  const auto known = paths_.find(slot);
  if (marks.empty() && known == paths_.end()) return;
  std::set<std::string> named;
  bool changed = false;
  {
    const std::lock_guard lock(shared_->mutex);
    if (!shared_->inotify) shared_->inotify.reset(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    const auto set = [&](const std::string& path, const std::string& text, bool is_pid, bool is_named,
                         const std::string& label) {
      auto [at, fresh] = shared_->files.try_emplace(path);
      Shared::Wanted& wanted = at->second;
      // Of a service that was renamed, say: whose file it is now says what is in it, and who had it has no say.
      const bool other = !fresh && wanted.slot != slot && wanted.named;
      if (other && (text.empty() || !is_named)) return;
      wanted.slot = slot;
      wanted.label = label;
      if (!fresh && wanted.text == text && wanted.named == is_named) return;
      wanted.text = text;
      wanted.is_pid = is_pid;
      wanted.named = is_named;
      wanted.done = wanted.was_there = false;
      wanted.serial = ++shared_->serial;
      changed = true;
    };
    for (const ports::Mark& mark : marks) {
      const bool is_pid = mark.kind == ports::Mark::Kind::pid;
      std::string text;
      if (mark.there) text = is_pid ? std::to_string(mark.pid) + "\n" : ready_text(directory_, mark);
      set(mark.path, text, is_pid, true, mark.label);
      named.insert(mark.path);
    }
    if (known != paths_.end()) {
      for (const std::string& path : known->second) {
        if (named.contains(path)) continue;
        const auto at = shared_->files.find(path);
        if (at != shared_->files.end()) set(path, "", at->second.is_pid, false, at->second.label);
      }
    }
  }
  if (named.empty())
    paths_.erase(slot);
  else
    paths_[slot].assign(named.begin(), named.end());
  if (changed) behind_.post();
}

int Marks::watch() const {
  return shared_->inotify.get();
}

void Marks::look_again() {
  bool some = false;
  alignas(inotify_event) char events[4096];
  for (int reads = 0; reads < reads_most; ++reads) {
    const ssize_t n = ::read(shared_->inotify.get(), events, sizeof events);
    if (n <= 0) break;
    const std::lock_guard lock(shared_->mutex);
    const auto touch = [&](const std::string& path) {
      const auto at = shared_->files.find(path);
      if (at == shared_->files.end() || at->second.text.empty()) return;
      at->second.done = false;
      at->second.serial = ++shared_->serial;
      some = true;
    };
    for (ssize_t at = 0; at < n;) {
      const auto* event = reinterpret_cast<const inotify_event*>(events + at);
      at += static_cast<ssize_t>(sizeof *event + event->len);
      if ((event->mask & IN_Q_OVERFLOW) != 0)
        for (const auto& [path, wanted] : shared_->files) touch(path);
      const auto known = shared_->watched.find(event->wd);
      if (known == shared_->watched.end()) continue;
      for (const std::string& path : known->second) touch(path);
      if ((event->mask & IN_IGNORED) == 0) continue;
      for (const std::string& path : known->second) shared_->forget_watch(path, event->wd);
      shared_->watched.erase(known);
    }
  }
  if (some) behind_.post(false);
}

std::vector<Note> Marks::take_notes() {
  const std::lock_guard lock(shared_->mutex);
  return std::exchange(shared_->notes, {});
}

std::vector<std::string> Marks::take_settled() {
  const std::lock_guard lock(shared_->mutex);
  return std::exchange(shared_->settled, {});
}

bool Marks::pass() {
  return behind_.pass();
}

}  // namespace hearth::store
