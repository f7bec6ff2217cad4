#include "os/state_directory.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <string_view>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "os/crash_point.h"
#include "os/fd.h"
#include "wire/state.h"

namespace hearth::os {
namespace {

constexpr char name_of_instance[] = "instance";

bool on_tmpfs(int fd) {
  struct statfs fs{};
  return ::fstatfs(fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

std::string link_target(int directory, const char* name) {
  char target[512];
  const ssize_t n = ::readlinkat(directory, name, target, sizeof target);
  return n <= 0 ? "" : std::string(target, static_cast<std::size_t>(n));
}

std::string hash_name(const std::string& path, int directory) {
  const std::uint64_t hash = hash_bytes(path + " " + std::to_string(file_identity(directory)));
  char name[17];
  std::snprintf(name, sizeof name, "%016llx", static_cast<unsigned long long>(hash));
  return name;
}

std::string mount_namespace() {
  return link_target(AT_FDCWD, "/proc/self/ns/mnt");
}

// How many there were.
std::size_t remove_all_of(int state, std::string_view prefix) {
  std::size_t removed = 0;
  Fd listed(::openat(state, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  DIR* directory = listed ? ::fdopendir(listed.get()) : nullptr;
  if (directory == nullptr) return removed;
  (void)listed.release();
  while (const dirent* entry = ::readdir(directory))
    if (std::string_view(entry->d_name).starts_with(prefix)) removed += ::unlinkat(state, entry->d_name, 0) == 0;
  ::closedir(directory);
  return removed;
}

// The page first: without it nothing is left that a next hearth would go on with (state_is_left). Events stay: their ids
// go on.
void remove_files(int state) {
  for (const std::string file : {wire::decision_page_file, wire::slot_table_file}) {
    ::unlinkat(state, file.c_str(), 0);
    crash_point("state file removed");
    ::unlinkat(state, (file + wire::put_aside_suffix).c_str(), 0);
  }
  remove_all_of(state, wire::document_file_prefix);
}

// A write lease is given only when nobody else has the file open or mapped. Somebody who opens it in that moment makes
// the kernel send us a signal: one that does nothing, instead of SIGIO.
bool nobody_has(int state, const char* file) {
  const Fd fd(::openat(state, file, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd) return errno == ENOENT;
  return ::fcntl(fd.get(), F_SETSIG, SIGURG) == 0 && ::fcntl(fd.get(), F_SETLEASE, F_WRLCK) == 0;
}

// The instance directory that it was made for: absolute. "": it is of another mount namespace, or nobody says.
std::string path_made_for(int state) {
  const std::string made_for = link_target(state, name_of_instance);
  const std::string space = mount_namespace() + " ";
  return made_for.starts_with(space + "/") ? made_for.substr(space.size()) : "";
}

// As a slot table has it (StateIdentity).
std::uint64_t device_of(const std::string& path) {
  struct statx x{};
  if (::statx(AT_FDCWD, path.c_str(), 0, STATX_INO, &x) < 0) return 0;
  return std::uint64_t{x.stx_dev_major} << 32 | x.stx_dev_minor;
}

// What is left of the path of a directory that is gone lies on the file system that the directory was on. Not so when that
// is not mounted now: it may be again, with the directory in it.
bool is_mounted(int state, std::string path) {
  const Fd table(::openat(state, wire::slot_table_file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!table) return errno == ENOENT;  // ended on purpose: nobody comes back to it
  std::uint64_t device = 0;
  constexpr off_t at = offsetof(wire::SlotTable, identity) + offsetof(wire::StateIdentity, device);
  if (::pread(table.get(), &device, sizeof device, at) != sizeof device) return true;  // no slot table of anybody
  while (path.size() > 1 && device_of(path) == 0) path.erase(std::max<std::size_t>(path.rfind('/'), 1));
  return device == 0 || device_of(path) == device;
}

// That directory cannot come back to it. What cannot be told is no.
bool orphaned(int state, const std::string& name) {
  const std::string path = path_made_for(state);
  if (path.empty()) return false;
  const Fd directory(::open(path.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory) return (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) && is_mounted(state, path);
  return hash_name(path, directory.get()) != name && is_mounted(state, path);
}

// Earlier versions took its name away and left the events of it behind. One that is just being made has none yet.
bool is_remains(int state) {
  struct stat st{};
  if (::fstatat(state, name_of_instance, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT) return false;
  if (::fstatat(state, wire::slot_table_file, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT) return false;
  return true;
}

// `ours` is /dev/shm/hearth-UID, locked.
void remove_orphans(int ours, uid_t uid) {
  Fd listed(::openat(ours, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  DIR* directory = listed ? ::fdopendir(listed.get()) : nullptr;
  if (directory == nullptr) return;
  (void)listed.release();
  while (const dirent* entry = ::readdir(directory)) {
    const std::string name = entry->d_name;
    if (name.size() != 16) continue;
    const Fd state(::openat(ours, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat st{};
    if (!state || ::fstat(state.get(), &st) < 0 || st.st_uid != uid) continue;
    if (is_remains(state.get())) {
      if (remove_all_of(state.get(), wire::event_file_prefix) > 0) ::unlinkat(ours, name.c_str(), AT_REMOVEDIR);
      continue;
    }
    if (!orphaned(state.get(), name)) continue;
    if (!nobody_has(state.get(), wire::slot_table_file) || !nobody_has(state.get(), wire::decision_page_file)) continue;
    remove_files(state.get());
    remove_all_of(state.get(), wire::event_file_prefix);
    ::unlinkat(state.get(), name_of_instance, 0);
    ::unlinkat(ours, name.c_str(), AT_REMOVEDIR);
  }
  ::closedir(directory);
}

// Held for moments only; whoever was stopped while he had it must not keep others from starting. It goes with the
// descriptor.
bool lock_for_a_moment(int fd) {
  constexpr int tries_max = 200;
  for (int tries = 0; ::flock(fd, LOCK_EX | LOCK_NB) < 0; ++tries) {
    if (errno != EWOULDBLOCK || tries == tries_max) return false;
    ::poll(nullptr, 0, 5);
  }
  return true;
}

std::string path_of_ours(const HostFacts& host) {
  return host.memory_root + "/hearth-" + std::to_string(host.uid);
}

// The name by which what DIR/state leads to was made for this very directory, which links and mounts may give several. "":
// it was made for another.
Result<std::string> other_name(const std::string& linked, int directory, const HostFacts& host) {
  const std::string ours = path_of_ours(host) + "/";
  if (!linked.starts_with(ours)) return "";
  const auto open_directory = [](const std::string& path) {
    return Fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  };
  const Fd state = open_directory(linked);
  if (!state && is_shortage(errno)) return errno_failure("open", linked, errno);
  std::string path = state ? path_made_for(state.get()) : "";
  if (path.empty() || hash_name(path, directory) != linked.substr(ours.size())) return "";
  const Fd there = open_directory(path);
  if (!there && is_shortage(errno)) return errno_failure("open", path, errno);
  return there && file_identity(there.get()) == file_identity(directory) ? path : "";
}

// The directory `name` in memory, for the instance directory `path`.
Status make_in_memory(const std::string& name, const std::string& path, const HostFacts& host) {
  const Fd root(::open(host.memory_root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root) return errno_failure("open", host.memory_root, errno);
  if (!on_tmpfs(root.get()))
    return failure(Remedy::environment, "use", host.memory_root, "it is no tmpfs", "mount one there");
  const std::string ours_path = path_of_ours(host);
  Result<Fd> ours = enter_directory(root.get(), "hearth-" + std::to_string(host.uid), ours_path, 0700, host.uid);
  if (!ours) return failure(ours.error());
  const bool locked = lock_for_a_moment(ours->get());
  Result<Fd> made = enter_directory(ours->get(), name, ours_path + "/" + name, 0700, host.uid);
  if (!made) return failure(made.error());
  const std::string made_for = mount_namespace() + " " + path;
  if (link_target(made->get(), name_of_instance) != made_for) {
    ::unlinkat(made->get(), name_of_instance, 0);
    // Without it, it is never taken for an orphan.
    (void)!::symlinkat(made_for.c_str(), made->get(), name_of_instance);
  }
  if (locked) remove_orphans(ours->get(), host.uid);
  return {};
}

}  // namespace

Status make_state_directory(const Instance& instance, const HostFacts& host) {
  const Fd directory(::open(instance.directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory) return errno_failure("open", instance.directory, errno);
  const char* name = wire::state_directory_name;
  const std::string path = instance.directory + "/" + name;
  const std::string linked = link_target(directory.get(), name);
  const bool here = on_tmpfs(directory.get());
  Result<std::string> known_as = here ? "" : other_name(linked, directory.get(), host);
  if (!known_as) return failure(known_as.error());
  if (known_as->empty()) known_as = instance.directory;
  const std::string hash = hash_name(*known_as, directory.get());
  const std::string wanted = here ? "" : path_of_ours(host) + "/" + hash;
  // A link in a copied instance directory leads to another one's state. The right one stays, whatever fails below.
  if (!linked.empty() && linked != wanted && ::unlinkat(directory.get(), name, 0) < 0 && errno != ENOENT)
    return errno_failure("replace", path, errno);
  if (here) {
    const Result<Fd> made = enter_directory(directory.get(), name, path, 0700, host.uid);
    return made ? Status() : failure(made.error());
  }
  if (Status made = make_in_memory(hash, *known_as, host); !made) return made;
  // Somebody who starts hearth at the same time makes the same link.
  if (::symlinkat(wanted.c_str(), directory.get(), name) == 0) return {};
  const int error = errno;
  return link_target(directory.get(), name) == wanted ? Status() : errno_failure("make", path, error);
}

std::string state_risk(const wire::SlotTable& table, const Instance& instance, const HostFacts& host) {
  const auto why = [&]() -> std::string {
    switch (table.problem) {
      case wire::StateProblem::none: return "";
      case wire::StateProblem::no_directory: return "it is not there";
      case wire::StateProblem::not_ours: return "it is not ours alone";
      case wire::StateProblem::not_tmpfs: return "it is not on tmpfs";
      case wire::StateProblem::no_room: return "there is no room in it";
      case wire::StateProblem::incomplete: return "they are incomplete";
      case wire::StateProblem::damaged: return "they are damaged";
      case wire::StateProblem::other_version: return "they are of another version of hearth";
      case wire::StateProblem::not_a_pair: return "they do not belong together";
      case wire::StateProblem::other_boot: return "they are of another boot";
      case wire::StateProblem::other_pid_namespace: return "they are of another PID namespace";
      case wire::StateProblem::other_directory: return "they are of another instance directory";
      case wire::StateProblem::not_the_last: return "another hearth has been here since, without them";
    }
    return "of a problem that is not known here";
  };
  const std::string error = table.problem_errno != 0 ? std::string(" (") + ::strerror(table.problem_errno) + ")" : "";
  if (table.origin == wire::StateOrigin::memory) {
    std::string reason = why() + error;
    // Who made the instance directory could not make it: it is tried again, to say why, and for the next keeper.
    if (table.problem == wire::StateProblem::no_directory)
      if (const Status made = make_state_directory(instance, host); !made) reason = made.error().text();
    return "decisions are kept in memory only, because DIR/state cannot be used: " + reason +
           "; the death of all of hearth at once would cost the last of them";
  }
  if (table.problem == wire::StateProblem::none) return "";
  return "the files of an earlier hearth in DIR/state are put aside: " + why() + "; runs.json says what ran";
}

bool state_is_left(const std::string& directory) {
  const std::string page = directory + "/" + wire::state_directory_name + "/" + wire::decision_page_file;
  return ::access(page.c_str(), F_OK) == 0;
}

void remove_state(int directory) {
  const Fd state(::openat(directory, wire::state_directory_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (state) remove_files(state.get());
}

void remove_state_directory(int directory) {
  const char* name = wire::state_directory_name;
  const Fd state(::openat(directory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!state) return;
  remove_files(state.get());
  remove_all_of(state.get(), wire::event_file_prefix);
  if (const std::string target = link_target(directory, name); !target.empty()) {
    ::unlinkat(state.get(), name_of_instance, 0);
    ::unlinkat(directory, name, 0);
    ::rmdir(target.c_str());
  } else {
    ::unlinkat(directory, name, AT_REMOVEDIR);
  }
}

}  // namespace hearth::os
