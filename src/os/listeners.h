// Listening sockets of services: "tcp:HOST:PORT" and "unix:PATH". HOST is a literal address, "localhost", "*" or
// empty (any address, IPv6 and IPv4). Names are not resolved: the supervisor never waits for DNS.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "base/result.h"
#include "model/service_spec.h"
#include "os/fd.h"
#include "os/run_files.h"

struct sockaddr;

namespace hearth::os {

// A parsed address, ready for bind(2) and connect(2).
struct SocketAddress {
  alignas(8) unsigned char bytes[128] = {};
  std::uint32_t length = 0;
  std::string path;  // unix: its path
  bool any = false;  // any address: IPv6 with IPv4, where there is IPv6

  int family() const;
  std::uint16_t port() const;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(bytes); }
};

// HOST and PORT of "HOST:PORT" or "[HOST]:PORT" (as in URLs).
Result<SocketAddress> parse_host_port(const std::string& text);
Result<SocketAddress> parse_unix_path(const std::string& path);
// "tcp:HOST:PORT" or "unix:PATH".
Result<SocketAddress> parse_listen_address(const std::string& text);

// Binds and listens. TCP: SO_REUSEADDR; a port in use is refused with its owner named where we may see it. Unix:
// a stale socket of ours is replaced, one that somebody listens on is refused; mode 0666 as systemd's default
// (who may come is decided by the directory), owner the service's user.
Result<Fd> listen_on(const ListenSocket& socket, const Owner& owner);

// The same without a listener: why it would be refused for what others have there, or may. A path is looked at only: its
// directory may be made by the service's own start.
Status could_listen_on(const ListenSocket& socket, const Owner& owner);

// Whether a socket has the port or path of that address, whatever its host.
bool overlaps(int fd, const std::string& address);

// Whether a socket that is parked already listens on that address.
bool listens_on(int fd, const std::string& address);
// The socket of that address which a process has under `number`; none when that is something else, or not ours to have. An
// error: it cannot be told now, for want of descriptors or memory, or as there is no `pidfd` for want of them.
Result<Fd> listener_of(int pidfd, int number, const std::string& address);

}  // namespace hearth::os
