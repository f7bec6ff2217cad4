#include "os/instance_lock.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <string_view>
#include <sys/file.h>
#include <sys/stat.h>

namespace hearth::os {
namespace {

// A keeper that starts opens the file and locks it at once: looked at again, it has.
constexpr int arrival_wait_ms = 10;

enum class Lease { had, refused, none };

// refused: somebody has the file open for writing. It goes with the descriptor.
Lease take_lease(int fd) {
  // Who waits for the lease to be given back is announced by a signal. SIGIO, if none is named, would kill us.
  if (::fcntl(fd, F_SETSIG, SIGURG) < 0) return Lease::none;
  if (::fcntl(fd, F_SETLEASE, F_RDLCK) == 0) return Lease::had;
  return errno == EAGAIN ? Lease::refused : Lease::none;
}

Fd open_to_ask(const std::string& path) {
  return Fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
}

// "1: FLOCK  ADVISORY  WRITE 812 00:1f:4711 0 EOF".
bool shown_in_proc(const std::string& path) {
  struct stat st{};
  if (::stat(path.c_str(), &st) < 0) return false;
  const Result<std::string> locks = read_file("/proc/locks", 16u << 20);
  if (!locks) return false;
  // The kernel writes st_dev of the file system, which btrfs and overlayfs do not give to stat: the inode decides.
  const std::string inode = ":" + std::to_string(st.st_ino) + " ";
  std::string_view rest = *locks;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.find("FLOCK") != line.npos && line.find(inode) != line.npos) return true;
  }
  return false;
}

Error taken(const std::string& path) {
  return Error{Remedy::conflict, "lock", path, "somebody has it: a hearth that lives or starts", "look again", 0};
}

}  // namespace

bool lock_is_held(const std::string& directory) {
  const std::string path = directory + "/lock";
  for (bool again = false;; again = true) {
    const Fd file = open_to_ask(path);
    const Lease lease = file ? take_lease(file.get()) : Lease::none;
    if (lease == Lease::had) return false;
    if (shown_in_proc(path)) return true;
    if (lease == Lease::none) return false;
    if (again) return ::flock(file.get(), LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
    ::poll(nullptr, 0, arrival_wait_ms);
  }
}

Result<Fd> hold_off_starts(const std::string& directory) {
  const std::string path = directory + "/lock";
  bool made = false;
  Fd file = open_to_ask(path);
  if (!file && errno == ENOENT) {
    file.reset(::open(path.c_str(), O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    made = static_cast<bool>(file);
  }
  if (!file) return errno_failure("open", path, errno);
  struct stat place{};
  // Of a hearth that is not ours, which could not open it otherwise.
  if (made && (::stat(directory.c_str(), &place) < 0 || ::fchown(file.get(), place.st_uid, place.st_gid) < 0))
    return errno_failure("give to its owner", path, errno);
  const Lease lease = take_lease(file.get());
  const bool refused = lease == Lease::refused || (lease == Lease::none && ::flock(file.get(), LOCK_EX | LOCK_NB) < 0);
  if (refused) return failure(taken(path));
  return file;
}

}  // namespace hearth::os
