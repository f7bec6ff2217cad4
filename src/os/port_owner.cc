#include "os/port_owner.h"

#include <cstdio>
#include <dirent.h>
#include <sstream>
#include <unistd.h>

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
  std::istringstream lines(*text);
  std::string line;
  while (std::getline(lines, line)) {
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

std::string tcp_port_owner(std::uint16_t port) {
  Listener listener;
  if (!find_listener("/proc/net/tcp", port, listener) && !find_listener("/proc/net/tcp6", port, listener)) return "";
  for (pid_t pid : list_processes())
    if (holds_socket(pid, listener.inode)) return command_of(pid) + " (PID " + std::to_string(pid) + ")";
  return "user " + std::to_string(listener.uid);
}

}  // namespace hearth::os
