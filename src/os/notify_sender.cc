#include "os/notify_sender.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>
#include <sys/socket.h>

#include "os/fd.h"
#include "os/messages.h"
#include "os/proc_stat.h"

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif
#ifndef SCM_PIDFD
#define SCM_PIDFD 0x04
#endif

namespace hearth::os {
namespace {

constexpr std::string_view tree_prefix = "/hearth.";

bool is_below(const std::string& path, const std::string& leaf) {
  return path.starts_with(leaf) && (path.size() == leaf.size() || path[leaf.size()] == '/');
}

// "app.other.0" of ".../hearth.HASH/app.other.0.12/...", beside this leaf; "" when it is none of ours.
std::string label_beside(const std::string& path, const std::string& leaf) {
  const std::string tree = leaf.substr(0, leaf.rfind('/') + 1);
  if (!path.starts_with(tree)) return "";
  const std::string name = path.substr(tree.size(), path.find('/', tree.size()) - tree.size());
  return name.substr(0, name.rfind('.'));
}

// Of the message's own sender; an empty one when it has ended, or when descriptors are short and nothing can be proven.
// Nothing when the kernel cannot tell.
std::optional<Fd> pidfd_of_message(int socket) {
  int on = 1;
  if (::setsockopt(socket, SOL_SOCKET, SO_PASSPIDFD, &on, sizeof on) < 0) return std::nullopt;
  char byte = 0;
  alignas(cmsghdr) char control[CMSG_SPACE(253 * sizeof(int)) + CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(sizeof(int))];
  iovec part{&byte, 1};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  const ssize_t n = receive_with_control(socket, header, control, MSG_PEEK);
  on = 0;
  (void)::setsockopt(socket, SOL_SOCKET, SO_PASSPIDFD, &on, sizeof on);
  if (n < 0) return Fd();
  std::optional<Fd> pidfd;
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level != SOL_SOCKET || (c->cmsg_type != SCM_PIDFD && c->cmsg_type != SCM_RIGHTS)) continue;
    const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
      // A pidfd that cannot be is a negative errno. What the datagram carries was installed once more, and goes at once.
      Fd received(std::max(fd, -1));
      if (c->cmsg_type == SCM_PIDFD) pidfd = std::move(received);
    }
  }
  return pidfd;
}

}  // namespace

std::string cgroup_of(pid_t pid) {
  const Result<std::string> text = read_file("/proc/" + std::to_string(pid) + "/cgroup", 1u << 16);
  if (!text) return "";
  const std::size_t at = text->starts_with("0::") ? 0 : text->find("\n0::");
  if (at == std::string::npos) return "";
  const std::size_t begin = text->find("0::", at) + 3;
  return text->substr(begin, text->find('\n', begin) - begin);
}

std::string leaf_in(const std::string& path, RunId run) {
  const std::string end = "." + std::to_string(run);
  for (std::size_t tree = path.find(tree_prefix); tree != path.npos; tree = path.find(tree_prefix, tree + 1)) {
    const std::size_t slash = path.find('/', tree + 1);
    if (slash == path.npos) return "";
    const std::size_t stop = std::min(path.find('/', slash + 1), path.size());
    if (path.substr(0, stop).ends_with(end)) return path.substr(0, stop);
  }
  return "";
}

NotifySenders::Stranger NotifySenders::look(int socket, pid_t sender, pid_t leader, RunId run) const {
  if (sender <= 0 || leader <= 0 || sender == leader) return {};
  const std::string leaf = leaf_in(cgroup_of(leader), run);
  if (leaf.empty()) return {};
  std::optional<Fd> pidfd = pidfd_messages_ ? pidfd_of_message(socket) : std::nullopt;
  if (!pidfd) {
    pidfd = std::move(open_process(sender).pidfd);
    const std::uint64_t began = start_ticks(sender);
    if (began == 0 || began >= last_empty(run)) return {};
  }
  if (!*pidfd) return {};
  const std::string its = cgroup_of(sender);
  const std::string command = command_of(sender);
  // Only of one that still was there can what was read under its PID be its own.
  if (its.empty() || is_gone(pidfd->get()) || is_below(its, leaf)) return {};
  const std::string other = label_beside(its, leaf);
  const std::string label = leaf.substr(leaf.rfind('/') + 1);
  return {"PID " + std::to_string(sender) + " (" + command + "), " +
              (other.empty() ? "which is in the cgroup " + its : "a process of " + other),
          label.substr(0, label.rfind('.'))};
}

void NotifySenders::looked(std::uint64_t ticks, std::span<const RunId> waiting) {
  std::map<RunId, std::uint64_t> since;
  for (const RunId run : waiting) since.emplace(run, last_empty(run));
  waiting_since_ = std::move(since);
  last_look_ticks_ = ticks;
}

std::uint64_t NotifySenders::last_empty(RunId run) const {
  const auto waiting = waiting_since_.find(run);
  return waiting == waiting_since_.end() ? last_look_ticks_ : waiting->second;
}

}  // namespace hearth::os
