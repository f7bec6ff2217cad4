#include "os/control_socket.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

namespace hearth::os {

Result<Fd> bind_control_socket(int directory, const std::string& path) {
  constexpr const char* new_name = "api.new";
  const std::string full = path + "/" + new_name;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (full.size() >= sizeof address.sun_path)
    return failure(Remedy::fix_input, "bind", full, "its path is too long for a socket",
                   "choose a shorter directory with --dir");
  std::memcpy(address.sun_path, full.c_str(), full.size() + 1);
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return errno_failure("make", full, errno);
  ::unlinkat(directory, new_name, 0);
  // The name inherits the mode of the socket's own inode, so it is closed to others from its first moment.
  if (::fchmod(fd.get(), 0600) < 0 ||
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0 ||
      ::listen(fd.get(), 128) < 0)
    return errno_failure("bind", full, errno);
  // Renamed when it listens: a client finds the old one, which refuses, or one that answers.
  if (::renameat(directory, new_name, directory, control_socket_name) < 0)
    return errno_failure("bind", path + "/" + control_socket_name, errno);
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
