// Who listens on a TCP port, for error messages: from /proc/net/tcp, /proc/net/tcp6 and the descriptors of
// processes that we may look at.
#pragma once

#include <cstdint>
#include <string>

namespace hearth::os {

// "nginx -g daemon off; (PID 123)"; "user 33" when only the socket's owner can be seen; "" when nothing.
std::string tcp_port_owner(std::uint16_t port);

}  // namespace hearth::os
