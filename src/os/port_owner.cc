#include "os/port_owner.h"

#include <cerrno>
#include <cstdio>
#include <dirent.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/split.h"
#include "os/fd.h"
#include "os/proc_stat.h"

namespace hearth::os {
namespace {

struct Listener {
  unsigned long inode = 0;
  unsigned uid = 0;
};

// Lines of /proc/net/tcp: "sl local:port remote:port state ... uid timeout inode"; state 0A is LISTEN.
bool find_listener(const char* table, std::uint16_t port, Listener& found) {
  Result<std::string> text = read_file(table, 64u << 20);
  if (!text) return false;
  std::string_view lines = *text;
  while (const auto taken = take_line(lines)) {
    const std::string line(*taken);
    unsigned local_port = 0;
    unsigned state = 0;
    unsigned uid = 0;
    unsigned long inode = 0;
    if (std::sscanf(line.c_str(), " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*x:%*x %*x:%*x %*x %u %*d %lu",
                    &local_port, &state, &uid, &inode) == 4 &&
        state == 0x0a && local_port == port) {
      found = {inode, uid};
      return true;
    }
  }
  return false;
}

bool holds_socket(pid_t pid, unsigned long inode) {
  const std::string path = "/proc/" + std::to_string(pid) + "/fd";
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return false;
  const std::string wanted = "socket:[" + std::to_string(inode) + "]";
  bool holds = false;
  while (dirent* entry = holds ? nullptr : ::readdir(directory)) {
    char target[64];
    ssize_t n = ::readlinkat(::dirfd(directory), entry->d_name, target, sizeof target);
    holds = n > 0 && wanted == std::string(target, static_cast<std::size_t>(n));
  }
  ::closedir(directory);
  return holds;
}

}  // namespace

PortOwner find_port_owner(std::uint16_t port) {
  Listener listener;
  if (!find_listener("/proc/net/tcp", port, listener) && !find_listener("/proc/net/tcp6", port, listener)) return {};
  for (pid_t pid : list_processes())
    if (holds_socket(pid, listener.inode)) return {command_of(pid) + " (PID " + std::to_string(pid) + ")", pid};
  return {"user " + std::to_string(listener.uid), 0};
}

std::string tcp_port_owner(std::uint16_t port) {
  return find_port_owner(port).text;
}

// With SO_REUSEADDR a bind to all addresses fails for a listener on any of them, and not for connections that are over.
bool tcp_port_in_use(std::uint16_t port) {
  const int on = 1;
  const int off = 0;
  Fd socket(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  int bound = -1;
  if (socket) {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bound = ::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  }
  if (!socket || (bound < 0 && errno != EADDRINUSE && errno != EACCES)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    socket = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bound = ::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  }
  if (bound == 0) return false;
  if (errno == EADDRINUSE) return true;
  // A port that is not ours to bind.
  Listener listener;
  return find_listener("/proc/net/tcp", port, listener) || find_listener("/proc/net/tcp6", port, listener);
}

}  // namespace hearth::os
