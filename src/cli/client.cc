#include "cli/client.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <optional>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <utility>

#include "cli/interrupt.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/proc_stat.h"

namespace hearth::cli {
namespace {

constexpr std::size_t most_head = 64u << 10;
constexpr std::size_t most_answer = 256u << 20;
// A full backlog of a Unix socket answers EAGAIN at once and cannot be waited for.
constexpr int backlog_pause_ms = 5;
constexpr SpanNs look_at_server_after = seconds(1);
constexpr SpanNs longest_wait = seconds(3'600);

std::unexpected<ClientError> trouble(Trouble what, std::string operation, const std::string& subject,
                                     std::string reason, std::string hint = {}) {
  Remedy remedy = Remedy::try_later;
  if (what == Trouble::not_running) remedy = Remedy::not_found;
  if (what == Trouble::no_access) remedy = Remedy::no_access;
  return std::unexpected(
      ClientError{what, Error{remedy, std::move(operation), subject, std::move(reason), std::move(hint), 0}});
}

std::unexpected<ClientError> cut(const std::string& path) {
  return trouble(Trouble::cut, "talk to", path, "the connection broke");
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// The value of a header field; `name` in lower case.
std::optional<std::string_view> field(std::string_view head, std::string_view name) {
  while (!head.empty()) {
    const std::size_t end = std::min(head.find("\r\n"), head.size());
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(std::min(end + 2, head.size()));
    if (line.size() <= name.size() || line[name.size()] != ':') continue;
    if (!std::equal(name.begin(), name.end(), line.begin(), [](char a, char b) { return a == lower(b); })) continue;
    std::string_view value = line.substr(name.size() + 1);
    while (value.starts_with(' ')) value.remove_prefix(1);
    return value;
  }
  return std::nullopt;
}

std::optional<std::size_t> number(std::optional<std::string_view> text) {
  std::size_t value = 0;
  if (!text) return std::nullopt;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc() || end == text->data()) return std::nullopt;
  return value;
}

// A supervisor that is killed while the kernel holds one of its threads keeps its sockets open, and answers nobody: its
// successor does, at a socket of its own in the place of the one before.
bool server_is_dead(int socket) {
  ucred server{};
  socklen_t size = sizeof server;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &server, &size) < 0 || server.pid <= 0) return false;
  os::ProcStat stat;
  if (!os::read_stat(server.pid, stat)) return false;
  // A zombie, or one that waits for its core, with SIGKILL pending (keeper/held.cc has more of this).
  constexpr std::uint64_t kill_pending = std::uint64_t{1} << (SIGKILL - 1);
  return stat.state == 'Z' || (stat.state == 'D' && (stat.pending_signals & kill_pending) != 0);
}

}  // namespace

std::string escaped(std::string_view text) {
  constexpr char digits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '-' || c == '.' || c == '_' || c == '~') {
      out += c;
    } else {
      out.append("%").append(1, digits[byte >> 4]).append(1, digits[byte & 15]);
    }
  }
  return out;
}

std::expected<void, ClientError> Client::wait_for(short events, MonoNs deadline) {
  MonoNs look_at = after(os::read_mono(), look_at_server_after);
  for (;;) {
    const MonoNs now = os::read_mono();
    if (now >= deadline) {
      return trouble(Trouble::timeout, "talk to", path_, "the supervisor does not answer",
                     "is it stopped, or the machine overloaded? `hearth doctor` tells");
    }
    pollfd polled[4] = {{fd_.get(), events, 0},
                        {watch_ != nullptr ? watch_->fd() : -1, POLLIN, 0},
                        {beside_, POLLIN, 0},
                        {place_.get(), POLLIN, 0}};
    const MonoNs until = std::min(deadline, place_ ? after(now, longest_wait) : look_at);
    const int n = ::poll(polled, 4, until <= now ? 0 : static_cast<int>((until - now - 1) / ns_per_ms + 1));
    if (n < 0 && errno != EINTR) return cut(path_);
    if (watch_ != nullptr && watch_->came()) {
      return trouble(Trouble::interrupted, "wait for", path_, "interrupted");
    }
    if (n > 0 && polled[2].revents != 0) on_news_();
    if (n > 0 && polled[0].revents != 0) return {};
    const bool replaced = n > 0 && polled[3].revents != 0;
    // By the clock, for there may be news from beside all the time.
    if (replaced || (!place_ && os::read_mono() >= look_at)) {
      watch_place();
      if (server_is_dead(fd_.get())) return cut(path_);
      look_at = after(os::read_mono(), look_at_server_after);
    }
  }
}

// Who wants to sleep for an hour hears of a successor by its socket. Only who has waited a second watches: to close an
// inotify(7) takes milliseconds. Where there is none (fs.inotify.max_user_instances) it looks each second.
void Client::watch_place() {
  place_.reset(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (place_ && ::inotify_add_watch(place_.get(), path_.c_str(), IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF) < 0)
    place_.reset();
}

std::expected<void, ClientError> Client::connect(MonoNs deadline) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path_.size() >= sizeof address.sun_path) {
    return trouble(Trouble::broken, "connect to", path_, "the path is too long for a socket", "choose a shorter --dir");
  }
  path_.copy(address.sun_path, path_.size());
  place_.reset();
  for (;;) {
    fd_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd_) return std::unexpected(ClientError{Trouble::broken, errno_error("make a socket for", path_, errno)});
    if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return {};
    const int code = errno;
    fd_.reset();
    if (code == EAGAIN && os::read_mono() < deadline) {
      ::poll(nullptr, 0, backlog_pause_ms);
      continue;
    }
    if (code == EAGAIN) return trouble(Trouble::timeout, "connect to", path_, "the supervisor takes no connection");
    if (code == ENOENT || code == ECONNREFUSED || code == ENOTDIR) {
      return trouble(Trouble::not_running, "connect to", path_, "hearth is not running", "`hearth up` starts it");
    }
    if (code == EACCES || code == EPERM) {
      return trouble(Trouble::no_access, "connect to", path_, "this hearth belongs to another user",
                     "ask its owner or root");
    }
    return std::unexpected(ClientError{Trouble::broken, errno_error("connect to", path_, code)});
  }
}

std::expected<void, ClientError> Client::send(std::string_view bytes, MonoNs deadline) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
      continue;
    }
    if (errno == EINTR) continue;
    // A server that refuses early closes its side; its answer is there to be read.
    if (errno == EPIPE || errno == ECONNRESET) return {};
    if (errno != EAGAIN) return cut(path_);
    if (auto ready = wait_for(POLLOUT, deadline); !ready) return ready;
  }
  return {};
}

std::expected<Answer, ClientError> Client::receive(MonoNs deadline) {
  std::string bytes;
  std::size_t head_end = std::string::npos;
  std::size_t total = SIZE_MAX;
  Answer answer;
  char buffer[64u << 10];
  while (bytes.size() < total) {
    const ssize_t n = ::recv(fd_.get(), buffer, sizeof buffer, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      if (auto ready = wait_for(POLLIN, deadline); !ready) return std::unexpected(ready.error());
      continue;
    }
    if (n <= 0) return cut(path_);
    bytes.append(buffer, static_cast<std::size_t>(n));
    if (head_end != std::string::npos) continue;
    head_end = bytes.find("\r\n\r\n");
    if (head_end == std::string::npos) {
      if (bytes.size() > most_head) return trouble(Trouble::broken, "read the answer of", path_, "it has no end");
      continue;
    }
    const std::string_view head = std::string_view(bytes).substr(0, head_end);
    const std::optional<std::size_t> length = number(field(head, "content-length"));
    const std::optional<std::size_t> status = head.starts_with("HTTP/1.") ? number(head.substr(9, 3)) : std::nullopt;
    if (!length || !status || *length > most_answer) {
      return trouble(Trouble::broken, "read the answer of", path_, "it is not that of a hearth");
    }
    answer.status = static_cast<int>(*status);
    if (const auto code = number(field(head, "hearth-exit"))) answer.exit_code = static_cast<int>(*code);
    total = head_end + 4 + *length;
    bytes.reserve(total);
  }
  const bool closes = field(std::string_view(bytes).substr(0, head_end), "connection") == "close";
  answer.body = bytes.substr(head_end + 4, total - head_end - 4);
  if (closes) fd_.reset();
  return answer;
}

std::expected<Answer, ClientError> Client::stream(std::string_view target,
                                                  const std::function<bool(std::string_view)>& take, MonoNs deadline) {
  if (auto connected = connect(deadline); !connected) return std::unexpected(connected.error());
  std::string request = "GET ";
  request.append(target).append(" HTTP/1.1\r\nHost: hearth\r\nAccept: text/event-stream\r\n\r\n");
  if (auto sent = send(request, deadline); !sent) return std::unexpected(sent.error());
  std::string head;
  bool streams = false;
  char buffer[64u << 10];
  for (;;) {
    const ssize_t n = ::recv(fd_.get(), buffer, sizeof buffer, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      if (auto ready = wait_for(POLLIN, deadline); !ready) return std::unexpected(ready.error());
      continue;
    }
    if (n <= 0) return fd_.reset(), cut(path_);
    std::string_view piece(buffer, static_cast<std::size_t>(n));
    if (!streams) {
      head.append(piece);
      const std::size_t end = head.find("\r\n\r\n");
      if (end == head.npos && head.size() > most_head)
        return trouble(Trouble::broken, "read the answer of", path_, "it has no end");
      if (end == head.npos) continue;
      if (!head.starts_with("HTTP/1.1 200 ")) return fd_.reset(), ask({.target = target}, deadline);
      streams = true;
      head.erase(0, end + 4);
      piece = head;
      if (!take({})) return fd_.reset(), Answer{200, -1, {}};
    }
    if (!piece.empty() && !take(piece)) return fd_.reset(), Answer{200, -1, {}};
  }
}

std::expected<Answer, ClientError> Client::ask(const Question& question, MonoNs deadline) {
  std::string request;
  request.reserve(256 + question.target.size());
  request.append(question.method).append(" ").append(question.target).append(" HTTP/1.1\r\nHost: hearth\r\n");
  if (!question.key.empty()) request.append("Idempotency-Key: ").append(question.key).append("\r\n");
  if (question.method == "POST") {
    request.append("Content-Type: application/json\r\nContent-Length: ");
    request.append(std::to_string(question.body.size())).append("\r\n");
  }
  request.append("\r\n").append(question.body);

  const bool kept = static_cast<bool>(fd_);
  for (bool again = kept;; again = false) {
    if (!fd_) {
      if (auto connected = connect(deadline); !connected) return std::unexpected(connected.error());
    }
    auto sent = send(request, deadline);
    std::expected<Answer, ClientError> answer =
        sent ? receive(deadline) : std::expected<Answer, ClientError>(std::unexpected(sent.error()));
    if (answer) return answer;
    fd_.reset();
    // A connection kept since an earlier question may have been closed as idle: that is no news of the supervisor.
    // A mutation may be repeated because it carries its key.
    if (!again || answer.error().trouble != Trouble::cut) return answer;
  }
}

}  // namespace hearth::cli
