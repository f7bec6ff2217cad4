// Who listens on a TCP port, for error messages: from /proc/net/tcp, /proc/net/tcp6 and the descriptors of
// processes that we may look at.
#pragma once

#include <cstdint>
#include <string>
#include <sys/types.h>

namespace hearth::os {

struct PortOwner {
  std::string text;  // "nginx -g daemon off; (PID 123)"; "user 33" when only the socket's owner can be seen; "" nobody
  pid_t pid = 0;     // 0 = not known
};
PortOwner find_port_owner(std::uint16_t port);
std::string tcp_port_owner(std::uint16_t port);  // its text

// Whether anybody listens on the port, on any address. Quick: it is tried. What nobody listens on may be bound all the
// same by somebody who does not listen yet.
bool tcp_port_in_use(std::uint16_t port);

}  // namespace hearth::os
