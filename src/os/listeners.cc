#include "os/listeners.h"

#include <arpa/inet.h>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "os/crash_point.h"
#include "os/port_owner.h"
#include "os/proc_stat.h"

namespace hearth::os {
namespace {

template <typename Address>
void set(SocketAddress& out, const Address& address) {
  std::memcpy(out.bytes, &address, sizeof address);
  out.length = sizeof address;
}

Error bad_address(const std::string& text, const char* reason) {
  return {
      Remedy::fix_input, "use the address", text, reason, "write HOST:PORT with a literal address, localhost or *", 0};
}

bool parse_port(std::string_view text, std::uint16_t& port) {
  auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), port);
  return problem == std::errc() && end == text.data() + text.size() && port != 0;
}

void fill_v4(SocketAddress& out, in_addr host, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr = host;
  set(out, address);
}

void fill_v6(SocketAddress& out, const in6_addr& host, std::uint16_t port) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  address.sin6_addr = host;
  set(out, address);
}

Result<Fd> refuse_port(const ListenSocket& socket, const SocketAddress& address) {
  Error error = errno_error("listen on", socket.address, EADDRINUSE);
  const std::string owner = tcp_port_owner(address.port());
  error.reason = "port " + std::to_string(address.port()) + " is in use" + (owner.empty() ? "" : " by " + owner);
  error.hint = owner.empty() ? "find its owner with: ss -ltnp" : "stop that, or choose another port";
  return failure(std::move(error));
}

Result<Fd> listen_tcp(const ListenSocket& socket, const SocketAddress& wanted) {
  SocketAddress address = wanted;
  Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd && address.any && errno == EAFNOSUPPORT) {
    fill_v4(address, in_addr{htonl(INADDR_ANY)}, wanted.port());
    fd = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  }
  if (!fd) return errno_failure("listen on", socket.address, errno);
  const int on = 1;
  const int only_v6 = wanted.any ? 0 : 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.family() == AF_INET6) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, sizeof only_v6);
  if (::bind(fd.get(), address.get(), address.length) < 0 || ::listen(fd.get(), socket.backlog) < 0) {
    if (errno == EADDRINUSE) return refuse_port(socket, wanted);
    return errno_failure("listen on", socket.address, errno);
  }
  return fd;
}

// Decides about a name that exists already: false, there is none; true, nobody has it any more; or why it stays.
Result<bool> is_stale(const ListenSocket& socket, const SocketAddress& address, const Owner& owner) {
  struct stat st{};
  if (::lstat(address.path.c_str(), &st) < 0)
    return errno == ENOENT ? Result<bool>(false) : errno_failure("examine", address.path, errno);
  if (!S_ISSOCK(st.st_mode))
    return failure(Remedy::conflict, "listen on", socket.address, "something that is no socket has that name",
                   "remove it, or choose another path");
  Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) return errno_failure("examine", address.path, errno);
  if (::connect(probe.get(), address.get(), address.length) == 0 || errno == EAGAIN) {
    ucred peer{};
    socklen_t size = sizeof peer;
    std::string who;
    if (::getsockopt(probe.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid > 0)
      who = " by " + command_of(peer.pid) + " (PID " + std::to_string(peer.pid) + ")";
    return failure(Remedy::conflict, "listen on", socket.address, "it is in use" + who,
                   "stop that, or choose another path");
  }
  if (errno == ENOENT) return false;  // whoever had it has just removed it
  if (errno != ECONNREFUSED) return errno_failure("examine", address.path, errno);
  if (st.st_uid != ::geteuid() && st.st_uid != owner.uid.value_or(::geteuid()))
    return failure(Remedy::no_access, "listen on", socket.address,
                   "a stale socket of user " + std::to_string(st.st_uid) + " has that name", "remove it");
  return true;
}

// Its socket for the service's user, and for everybody to connect to. By a descriptor of what was bound, and not by its
// path: who owns the directory may have put a link, or a second name of somebody's file, where it was.
bool hand_out(const SocketAddress& address, const Owner& owner) {
  const Fd bound(::open(address.path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat st{};
  if (!bound || ::fstat(bound.get(), &st) < 0) return false;
  errno = EPERM;
  if (!S_ISSOCK(st.st_mode) || st.st_nlink != 1 || st.st_uid != ::geteuid()) return false;
  if (owner.uid || owner.gid)
    (void)!::fchownat(bound.get(), "", owner.uid.value_or(static_cast<uid_t>(-1)),
                      owner.gid.value_or(static_cast<gid_t>(-1)), AT_EMPTY_PATH);
  return ::chmod(("/proc/self/fd/" + std::to_string(bound.get())).c_str(), 0666) == 0;
}

Result<Fd> listen_unix(const ListenSocket& socket, const SocketAddress& address, const Owner& owner) {
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return errno_failure("listen on", socket.address, errno);
  const Result<bool> stale = is_stale(socket, address, owner);
  if (!stale) return failure(stale.error());
  if (*stale && ::unlink(address.path.c_str()) < 0 && errno != ENOENT)
    return errno_failure("remove", address.path, errno);
  if (::bind(fd.get(), address.get(), address.length) < 0) return errno_failure("listen on", socket.address, errno);
  crash_point("unix listener bound");
  if (!hand_out(address, owner) || ::listen(fd.get(), socket.backlog) < 0) {
    const int code = errno;
    ::unlink(address.path.c_str());
    return errno_failure("listen on", socket.address, code);
  }
  return fd;
}

}  // namespace

int SocketAddress::family() const {
  return get()->sa_family;
}

std::uint16_t SocketAddress::port() const {
  if (family() == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in*>(bytes)->sin_port);
  if (family() == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6*>(bytes)->sin6_port);
  return 0;
}

Result<SocketAddress> parse_host_port(const std::string& text) {
  std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) return failure(bad_address(text, "it has no port"));
  std::string host = text.substr(0, colon);
  std::uint16_t port = 0;
  if (!parse_port(std::string_view(text).substr(colon + 1), port))
    return failure(bad_address(text, "its port is no number from 1 to 65535"));
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  SocketAddress out;
  in_addr v4{};
  in6_addr v6{};
  if (host.empty() || host == "*") {
    out.any = true;
    fill_v6(out, in6addr_any, port);
  } else if (host == "localhost") {
    fill_v4(out, in_addr{htonl(INADDR_LOOPBACK)}, port);
  } else if (::inet_pton(AF_INET, host.c_str(), &v4) == 1) {
    fill_v4(out, v4, port);
  } else if (::inet_pton(AF_INET6, host.c_str(), &v6) == 1) {
    fill_v6(out, v6, port);
  } else {
    return failure(bad_address(text, "its host is a name; names are not looked up here, because that may take long"));
  }
  return out;
}

Result<SocketAddress> parse_unix_path(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path[0] != '/')
    return failure(Remedy::fix_input, "use the address", "unix:" + path, "its path is not absolute");
  if (path.size() >= sizeof address.sun_path)
    return failure(Remedy::fix_input, "use the address", "unix:" + path, "its path is longer than 107 bytes",
                   "choose a shorter one");
  std::memcpy(address.sun_path, path.data(), path.size());
  SocketAddress out;
  set(out, address);
  out.path = path;
  return out;
}

Result<SocketAddress> parse_listen_address(const std::string& text) {
  if (text.starts_with("tcp:")) return parse_host_port(text.substr(4));
  if (text.starts_with("unix:")) return parse_unix_path(text.substr(5));
  return failure(Remedy::fix_input, "use the address", text, "it begins with neither tcp: nor unix:");
}

Result<Fd> listen_on(const ListenSocket& socket, const Owner& owner) {
  Result<SocketAddress> address = parse_listen_address(socket.address);
  if (!address) return failure(address.error());
  return address->path.empty() ? listen_tcp(socket, *address) : listen_unix(socket, *address, owner);
}

Status could_listen_on(const ListenSocket& socket, const Owner& owner) {
  const Result<SocketAddress> address = parse_listen_address(socket.address);
  if (!address) return failure(address.error());
  if (!address->path.empty()) {
    const Result<bool> stale = is_stale(socket, *address, owner);
    return stale ? Status() : failure(stale.error());
  }
  const Result<Fd> tried = listen_tcp(socket, *address);
  if (tried) return {};
  // What is short now may not be a moment later.
  const int code = tried.error().code;
  return code == EADDRINUSE || code == EACCES || code == EADDRNOTAVAIL ? failure(tried.error()) : Status();
}

bool overlaps(int fd, const std::string& text) {
  const Result<SocketAddress> wanted = parse_listen_address(text);
  SocketAddress bound;
  socklen_t length = sizeof bound.bytes;
  if (!wanted || ::getsockname(fd, reinterpret_cast<sockaddr*>(bound.bytes), &length) < 0) return false;
  if (bound.family() == AF_UNIX || !wanted->path.empty()) return listens_on(fd, text);
  return bound.port() == wanted->port();
}

bool listens_on(int fd, const std::string& text) {
  Result<SocketAddress> wanted = parse_listen_address(text);
  SocketAddress bound;
  socklen_t length = sizeof bound.bytes;
  if (!wanted || ::getsockname(fd, reinterpret_cast<sockaddr*>(bound.bytes), &length) < 0) return false;
  if (bound.family() == AF_UNIX) {
    const auto* address = reinterpret_cast<const sockaddr_un*>(bound.bytes);
    return wanted->path == address->sun_path;
  }
  if (bound.port() != wanted->port()) return false;
  if (wanted->any) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(bound.bytes);
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(bound.bytes);
    return bound.family() == AF_INET ? v4->sin_addr.s_addr == htonl(INADDR_ANY)
                                     : IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr);
  }
  return length == wanted->length && std::memcmp(bound.bytes, wanted->bytes, length) == 0;
}

Result<Fd> listener_of(int pidfd, int number, const std::string& address) {
  if (pidfd < 0) return errno_failure("look into", "a process", EMFILE);
  Fd fd(static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd, number, 0)));
  if (!fd && is_shortage(errno)) return errno_failure("look into", "a process", errno);
  int listens = 0;
  socklen_t size = sizeof listens;
  if (!fd || ::getsockopt(fd.get(), SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0 || listens == 0 ||
      !listens_on(fd.get(), address))
    return Fd();
  return fd;
}

}  // namespace hearth::os
