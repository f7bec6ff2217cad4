// What services under test do about sd_notify(3) and sockets, in so few lines that they need no library.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace hearth::support {

inline std::string variable(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

inline sockaddr_un address_of(const std::string& path, bool abstract, socklen_t& length) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + (abstract ? 1 : 0), path.c_str(), path.size());
  length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return address;
}

// One datagram to `path`, with a descriptor or without (-1); `flags` as for sendmsg(2). 0 or errno.
inline int send_datagram(const std::string& path, const std::string& text, int fd = -1, int flags = 0) {
  socklen_t length = 0;
  const sockaddr_un address = address_of(path, false, length);
  const int to = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  iovec part{const_cast<char*>(text.data()), text.size()};
  msghdr message{};
  message.msg_name = const_cast<sockaddr_un*>(&address);
  message.msg_namelen = length;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  if (fd >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  const int error = to < 0 || sendmsg(to, &message, flags | MSG_NOSIGNAL) < 0 ? errno : 0;
  if (to >= 0) close(to);
  return error;
}

inline int notify(const std::string& text, int fd = -1) {
  return send_datagram(variable("NOTIFY_SOCKET"), text, fd);
}

}  // namespace hearth::support
