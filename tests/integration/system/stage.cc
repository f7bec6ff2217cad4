#include "stage.h"

#include <cstring>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <gtest/gtest.h>

#include "os/proc_stat.h"

namespace hearth::test {
namespace {

bool wait_for(int fd, short events, int timeout_ms) {
  pollfd polled{fd, events, 0};
  int n = 0;
  do {
    n = ::poll(&polled, 1, timeout_ms);
  } while (n < 0 && errno == EINTR);
  return n > 0;
}

}  // namespace

bool Actor::alive() const {
  return here() && !wait_for(pidfd_.get(), POLLIN, 0);
}
bool Actor::wait_end(int timeout_ms) const {
  return here() && wait_for(pidfd_.get(), POLLIN, timeout_ms);
}
bool Actor::kill(int signal) const {
  return here() && os::pidfd_signal(pidfd_.get(), signal) == 0;
}
bool Actor::wait_silence(int timeout_ms) const {
  pollfd polled{connection_.get(), POLLRDHUP, 0};
  return connection_ && ::poll(&polled, 1, timeout_ms) == 1;
}

void Actor::order(const std::string& text) const {
  EXPECT_TRUE(try_order(text)) << label << " does not take \"" << text << "\"";
}

bool Actor::try_order(const std::string& text) const {
  return ::send(connection_.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
}

std::string Actor::hear(int timeout_ms) const {
  char bytes[8192];
  if (!connection_ || !wait_for(connection_.get(), POLLIN, timeout_ms)) return "";
  const ssize_t n = ::recv(connection_.get(), bytes, sizeof bytes, 0);
  return n > 0 ? std::string(bytes, static_cast<std::size_t>(n)) : "";
}

Stage::Stage(const std::string& path) : path_(path) {
  listener_ = os::Fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  const bool made = ::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                    ::chmod(path.c_str(), 0666) == 0 && ::listen(listener_.get(), 64) == 0;
  EXPECT_TRUE(made) << path << ": " << std::strerror(errno);
}

Actor Stage::enter(int timeout_ms) {
  for (;;) {
    if (!wait_for(listener_.get(), POLLIN, timeout_ms)) {
      ADD_FAILURE() << "nobody entered the stage within " << timeout_ms << " ms";
      return {};
    }
    bool killed = false;
    Actor actor = meet(killed);
    if (!killed) return actor;
  }
}

std::vector<Actor> Stage::all_who_entered() {
  std::vector<Actor> all;
  while (!quiet(0)) {
    bool killed = false;
    Actor actor = meet(killed);
    if (!killed) all.push_back(std::move(actor));
  }
  return all;
}

// `killed`: before it had said who it is, so that it has not entered.
Actor Stage::meet(bool& killed) const {
  os::Fd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!connection || !wait_for(connection.get(), POLLIN, patience_ms)) return {};
  char text[256];
  iovec part{text, sizeof text};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  const ssize_t n = ::recvmsg(connection.get(), &header, MSG_CMSG_CLOEXEC);
  const cmsghdr* c = CMSG_FIRSTHDR(&header);
  killed = n == 0;
  if (killed) return {};
  if (n < 0 || c == nullptr || c->cmsg_type != SCM_RIGHTS) {
    ADD_FAILURE() << "somebody entered without a pidfd";
    return {};
  }
  int pidfd = -1;
  std::memcpy(&pidfd, CMSG_DATA(c), sizeof pidfd);
  ucred peer{};
  socklen_t size = sizeof peer;
  ::getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size);
  const std::string said(text, static_cast<std::size_t>(n));
  const std::size_t space = said.rfind(' ');
  Actor actor(said.substr(0, space), said.substr(space + 1), peer.pid, std::move(connection), os::Fd(pidfd));
  (void)actor.try_order("go");
  return actor;
}

bool Stage::quiet(int timeout_ms) const {
  return !wait_for(listener_.get(), POLLIN, timeout_ms);
}

}  // namespace hearth::test
