// Addresses of sockets as a hearth.toml has them. Apart from other scalars, because the supervisor reads these, too
// (numbers.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hearth::config {

struct HostPort {
  std::string host;  // as written; an IPv6 address keeps its brackets
  std::uint32_t port = 0;
};
// "127.0.0.1:80", "localhost:80", "[::1]:80", "*:80". The port is at most 65535.
std::optional<HostPort> parse_host_port(std::string_view text);

// "127.0.0.1:99999": there is a port, and it is none that can be.
bool has_impossible_port(std::string_view text);
inline constexpr std::string_view possible_ports = "a port is a number from 1 to 65535";

}  // namespace hearth::config
