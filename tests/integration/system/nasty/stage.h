// How a nasty program shows itself to the test before it hides: it connects to the test's stage (a SEQPACKET
// socket), hands over a pidfd of itself, and goes on once the test has it. What happens to it later is read from
// the pidfd, whatever it calls itself and whoever its parent is.
#pragma once

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

namespace hearth::nasty {

inline int connect_to(const char* path) {
  const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) _exit(90);
  return fd;
}

inline void send_with(int to, const std::string& text, int descriptor) {
  iovec part{const_cast<char*>(text.data()), text.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  cmsghdr* c = CMSG_FIRSTHDR(&header);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(c), &descriptor, sizeof descriptor);
  if (sendmsg(to, &header, MSG_NOSIGNAL) < 0) _exit(91);
}

// Returns the connection; the test has answered.
inline int enter_stage(const char* path, const std::string& label) {
  const int fd = connect_to(path);
  const int self = static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0));
  if (self < 0) _exit(92);
  const char* run = getenv("HEARTH_RUN");
  send_with(fd, label + " " + (run != nullptr ? run : "0"), self);
  close(self);
  char go[16];
  if (recv(fd, go, sizeof go, 0) <= 0) _exit(93);
  return fd;
}

}  // namespace hearth::nasty
