#include "config/host_port.h"

#include "config/numbers.h"

namespace hearth::config {

std::optional<HostPort> parse_host_port(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos || colon == 0) return std::nullopt;
  const std::string_view host = text.substr(0, colon);
  const auto port = parse_number(text.substr(colon + 1));
  if (!port || *port > 65535) return std::nullopt;
  const bool bracketed = host.starts_with('[') && host.ends_with(']') && host.size() > 2;
  const std::string_view bare = bracketed ? host.substr(1, host.size() - 2) : host;
  for (const char c : bare) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!letter && c != '.' && c != '-' && c != '_' && !(bracketed && (c == ':' || c == '%')) &&
        !(bare == "*" && !bracketed)) {
      return std::nullopt;
    }
  }
  return HostPort{std::string(host), static_cast<std::uint32_t>(*port)};
}

bool has_impossible_port(std::string_view text) {
  const std::string_view port = text.substr(text.rfind(':') + 1);  // all of it where there is no ':'
  const bool digits = !port.empty() && port.find_first_not_of("0123456789") == port.npos;
  const auto number = parse_number(port);
  return digits && (!number || *number == 0 || *number > 65535);
}

}  // namespace hearth::config
