#include "os/control_socket.h"

#include <cerrno>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "os/unix_address.h"
#include "wire/state.h"

namespace hearth::os {

bool disk_is_full(int code) {
  return code == ENOSPC || code == EDQUOT;
}

namespace {

// A directory would keep the socket from its name, and so everybody from this hearth: it goes where it is found again.
void put_directory_aside(int directory, const std::string& name) {
  struct stat st{};
  if (::fstatat(directory, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode)) return;
  if (::unlinkat(directory, name.c_str(), AT_REMOVEDIR) == 0) return;
  (void)::renameat(directory, name.c_str(), directory, (name + wire::put_aside_suffix).c_str());
}

std::unexpected<Error> cannot_bind(const std::string& path, int code) {
  Error error = errno_error("bind", path, code);
  if (code == EISDIR || code == EADDRINUSE) error.hint = "a directory is in its place: remove it";
  return std::unexpected(std::move(error));
}

int bind_to(int fd, const sockaddr_un& address) {
  return ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0 ? errno : 0;
}

Result<Fd> bind_listener(int directory, const std::string& path, const std::string& name, int type) {
  const std::string new_name = name + ".new";
  const std::string full = path + "/" + new_name;
  const Result<sockaddr_un> address = unix_address(full);
  if (!address) return failure(address.error());
  Fd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return errno_failure("make", full, errno);
  ::unlinkat(directory, new_name.c_str(), 0);
  for (const std::string& each : {new_name, name}) put_directory_aside(directory, each);
  // The name inherits the mode of the socket's own inode, so it is closed to others from its first moment.
  if (::fchmod(fd.get(), 0600) < 0) return cannot_bind(full, errno);
  int error = bind_to(fd.get(), *address);
  // A disk without room for both has it for one of them: for a moment clients find none.
  if (disk_is_full(error) && ::unlinkat(directory, name.c_str(), 0) == 0) error = bind_to(fd.get(), *address);
  if (error != 0) return cannot_bind(full, error);
  if (::listen(fd.get(), 128) < 0) return cannot_bind(full, errno);
  // Renamed when it listens: a client finds the old one, which refuses, or one that answers.
  if (::renameat(directory, new_name.c_str(), directory, name.c_str()) < 0)
    return cannot_bind(path + "/" + name, errno);
  return fd;
}

}  // namespace

Result<Fd> bind_control_socket(int directory, const std::string& path) {
  return bind_listener(directory, path, control_socket_name, SOCK_STREAM);
}

Result<Fd> bind_keeper_socket(int directory, const std::string& path) {
  return bind_listener(directory, path, keeper_socket_name, SOCK_SEQPACKET);
}

Result<Fd> connect_socket(const std::string& path, const char* name, int type) {
  const std::string full = path + "/" + name;
  const Result<sockaddr_un> address = unix_address(full);
  if (!address) return failure(address.error());
  Fd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  if (!fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) < 0)
    return errno_failure("connect to", full, errno);
  return fd;
}

Result<Peer> check_peer(int socket, uid_t owner) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
    return errno_failure("identify", "the client", errno);
  if (credentials.uid != owner && credentials.uid != 0)
    return failure(Remedy::no_access, "talk to", "user " + std::to_string(credentials.uid),
                   "this hearth belongs to user " + std::to_string(owner), "start one of your own");
  return Peer{credentials.pid, credentials.uid};
}

}  // namespace hearth::os
