#include "os/run_files.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "os/crash_point.h"
#include "os/instance.h"
#include "os/unix_address.h"

namespace hearth::os {
namespace {

Status give(int directory, const std::string& name, const Owner& owner) {
  if (!owner.uid && !owner.gid) return {};
  const uid_t uid = owner.uid.value_or(static_cast<uid_t>(-1));
  const gid_t gid = owner.gid.value_or(static_cast<gid_t>(-1));
  if (::fchownat(directory, name.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
    return errno_failure("give away", name, errno);
  return {};
}

}  // namespace

Status give_fifo(int directory, RunId run, const Owner& owner) {
  return give(directory, fifo_name(run), owner);
}

Status give_notify(int directory, RunId run, const Owner& owner) {
  return give(directory, notify_name(run), owner);
}

Result<Fifo> open_fifo(int directory, RunId run, const Owner& owner) {
  const std::string name = fifo_name(run);
  Fifo fifo;
  fifo.made = ::mkfifoat(directory, name.c_str(), 0600) == 0;
  if (!fifo.made && errno != EEXIST) return errno_failure("create the pipe", name, errno);
  crash_point("fifo made");
  fifo.reader = Fd(::openat(directory, name.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
  if (!fifo.reader) {
    const int code = errno;
    if (fifo.made) remove_fifo(directory, run);
    return errno_failure("open the pipe", name, code);
  }
  struct stat st{};
  if (::fstat(fifo.reader.get(), &st) < 0 || !S_ISFIFO(st.st_mode) || st.st_nlink != 1)
    return failure(Remedy::conflict, "open the pipe", name, "it is no pipe of ours alone", "remove it");
  // Also when it was there: its maker may have died before it gave it away. And not before it is known what it is.
  if (::fchown(fifo.reader.get(), owner.uid.value_or(static_cast<uid_t>(-1)),
               owner.gid.value_or(static_cast<gid_t>(-1))) < 0)
    return errno_failure("give away", name, errno);
  crash_point("fifo opened");
  return fifo;
}

Result<Fd> open_fifo_for_service(int directory, RunId run, int reader) {
  const std::string name = fifo_name(run);
  Fd fd(::openat(directory, name.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  struct stat by_name{};
  struct stat held{};
  if (fd && ::fstat(fd.get(), &by_name) == 0 && ::fstat(reader, &held) == 0 && by_name.st_ino == held.st_ino &&
      by_name.st_dev == held.st_dev)
    return fd;
  if (!fd && errno != ENOENT && errno != ELOOP) return errno_failure("open the pipe", name, errno);
  // Somebody removed or replaced the name; the pipe itself is still ours.
  const std::string path = "/proc/self/fd/" + std::to_string(reader);
  fd.reset(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd) return errno_failure("open the pipe", name, errno);
  return fd;
}

namespace {

Result<Fd> open_again(int pipe, int flags) {
  const std::string path = "/proc/self/fd/" + std::to_string(pipe);
  Fd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | flags));
  if (!fd) return errno_failure("open", "the readiness pipe", errno);
  return fd;
}

}  // namespace

Result<Fd> make_parked_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) return errno_failure("make", "the readiness pipe", errno);
  const Fd reader(ends[0]);
  const Fd writer(ends[1]);
  return open_again(reader.get(), O_NONBLOCK);
}

Result<Fd> open_pipe_for_service(int pipe) {
  return open_again(pipe, 0);
}

Result<Fd> open_pty_for_service(int master) {
  Fd fd(::ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!fd) return errno_failure("open", "the terminal", errno);
  return fd;
}

Result<Fd> make_pty(const Owner& owner) {
  Fd master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
  const int locked = 0;
  if (!master || ::ioctl(master.get(), TIOCSPTLCK, &locked) < 0) return errno_failure("make", "a terminal", errno);
  const Result<Fd> other = open_pty_for_service(master.get());
  if (!other) return failure(other.error());
  if (owner.uid && ::fchown(other->get(), *owner.uid, static_cast<gid_t>(-1)) < 0)
    return errno_failure("give away", "a terminal", errno);
  return master;
}

void remove_fifo(int directory, RunId run) {
  ::unlinkat(directory, fifo_name(run).c_str(), 0);
}

Result<Fd> bind_notify(int directory, const std::string& directory_path, RunId run, const Owner& owner) {
  const std::string name = notify_name(run);
  const std::string path = directory_path + "/" + name;
  const Result<sockaddr_un> address = unix_address(path);
  if (!address) return failure(address.error());
  Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return errno_failure("make", path, errno);
  // The name gets its mode from the socket's own inode (less the umask): never open to others, not even briefly.
  if (::fchmod(fd.get(), 0600) < 0) return errno_failure("protect", path, errno);
  const sockaddr* to = reinterpret_cast<const sockaddr*>(&*address);
  if (::bind(fd.get(), to, sizeof *address) < 0) {
    if (errno != EADDRINUSE) return errno_failure("bind", path, errno);
    if (::unlinkat(directory, name.c_str(), 0) < 0 && errno != ENOENT) return errno_failure("bind", path, errno);
    if (::bind(fd.get(), to, sizeof *address) < 0) return errno_failure("bind", path, errno);
  }
  crash_point("notify bound");
  if (Status given = give(directory, name, owner); !given) {
    remove_notify(directory, run);
    return failure(given.error());
  }
  const int on = 1;
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0) return errno_failure("set up", path, errno);
  return fd;
}

void remove_notify(int directory, RunId run) {
  ::unlinkat(directory, notify_name(run).c_str(), 0);
}

void touch_as_writer(int reader) {
  const std::string path = "/proc/self/fd/" + std::to_string(reader);
  Fd writer(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
}

bool fifo_complete(int reader) {
  pollfd polled{reader, 0, 0};
  return ::poll(&polled, 1, 0) > 0 && (polled.revents & POLLHUP) != 0 && bytes_waiting(reader) == 0;
}

int bytes_waiting(int fd) {
  int bytes = 0;
  return ::ioctl(fd, FIONREAD, &bytes) == 0 ? bytes : 0;
}

}  // namespace hearth::os
