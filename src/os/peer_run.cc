#include "os/peer_run.h"

#include <cerrno>
#include <sys/socket.h>
#include <utility>

#include "os/fd.h"
#include "os/notify_sender.h"
#include "os/proc_stat.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

namespace hearth::os {
namespace {

// Empty: errno; ESRCH when it has ended.
Fd pidfd_of_peer(int socket, pid_t pid) {
  int fd = -1;
  socklen_t size = sizeof fd;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &fd, &size) == 0) return Fd(fd);
  if (errno == EINVAL || errno == ENODATA) errno = ESRCH;
  if (errno != ENOPROTOOPT) return Fd();
  return Fd(pidfd_open(pid));
}

}  // namespace

std::string label_below(std::string_view path, std::string_view tree_name) {
  const std::string tree = "/" + std::string(tree_name) + "/";
  // The first one: what a service makes below its leaf may have any name.
  const std::size_t at = path.find(tree);
  if (at == path.npos) return "";
  path.remove_prefix(at + tree.size());
  const std::string_view leaf = path.substr(0, path.find('/'));
  const std::size_t dot = leaf.rfind('.');
  return std::string(leaf.substr(0, dot));
}

PeerRun run_of_peer(int socket, const std::string& tree) {
  ucred peer{};
  socklen_t size = sizeof peer;
  PeerRun found;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || peer.pid <= 0) return found;
  const Fd pidfd = pidfd_of_peer(socket, peer.pid);
  if (!pidfd) {
    found.gone = errno == ESRCH;
    found.unseen = found.gone ? 0 : errno;
    return found;
  }
  errno = 0;
  const std::string path = cgroup_of(peer.pid);
  const int code = errno;
  // Only of one that still was there can what was read under its PID be its own.
  found.gone = is_gone(pidfd.get());
  if (!found.gone && path.empty()) found.unseen = code != 0 ? code : ENOENT;
  if (!found.gone) found.label = label_below(path, std::string_view(tree).substr(tree.rfind('/') + 1));
  return found;
}

}  // namespace hearth::os
