#include "probe/http.h"

#include <algorithm>
#include <netinet/in.h>

namespace hearth::probe {
namespace {

Error bad_url(const std::string& url, const char* reason, const char* hint) {
  return {Remedy::fix_input, "probe", url, reason, hint, 0};
}

std::string request_for(const std::string& path, const std::string& host) {
  return "GET " + path + " HTTP/1.0\r\nHost: " + host +
         "\r\nUser-Agent: hearth\r\nAccept: */*\r\nConnection: close\r\n\r\n";
}

// Control characters would let a URL write headers of its own.
bool plain(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

bool is_localhost(const std::string& host_port) {
  return host_port.starts_with("localhost:");
}

Result<HttpTarget> unix_target(const std::string& url) {
  const std::size_t colon = url.find(':', 5);
  const std::string path = url.substr(5, colon == std::string::npos ? colon : colon - 5);
  const std::string request = colon == std::string::npos ? "/" : url.substr(colon + 1);
  if (!request.starts_with('/'))
    return failure(bad_url(url, "its path does not begin with /", "write unix:SOCKET:/PATH"));
  Result<os::SocketAddress> address = os::parse_unix_path(path);
  if (!address) return failure(address.error());
  return HttpTarget{*address, {}, request_for(request, "localhost")};
}

}  // namespace

Result<HttpTarget> parse_http_url(const std::string& url) {
  if (!plain(url))
    return failure(bad_url(url, "it holds white space or characters beyond ASCII", "percent-encode them"));
  if (url.starts_with("unix:")) return unix_target(url);
  constexpr std::string_view scheme = "http://";
  if (!url.starts_with(scheme))
    return failure(bad_url(url, "it does not begin with http://", "https is not probed; use an exec probe with curl"));
  const std::size_t slash = url.find('/', scheme.size());
  std::string host = url.substr(scheme.size(), slash == std::string::npos ? slash : slash - scheme.size());
  const std::string path = slash == std::string::npos ? "/" : url.substr(slash, url.find('#') - slash);
  const std::string said = host;
  const std::size_t bracket = host.rfind(']');
  if (host.find(':', bracket == std::string::npos ? 0 : bracket) == std::string::npos) host += ":80";
  if (host.starts_with(':')) return failure(bad_url(url, "it names no host", "write http://127.0.0.1:PORT/PATH"));
  Result<HttpTarget> target = parse_tcp_address(host);
  if (!target) return failure(target.error());
  target->request = request_for(path, said);
  return target;
}

Result<HttpTarget> parse_tcp_address(const std::string& text) {
  if (text.starts_with("unix:")) {
    Result<os::SocketAddress> address = os::parse_unix_path(text.substr(5));
    if (!address) return failure(address.error());
    return HttpTarget{*address, {}, {}};
  }
  Result<os::SocketAddress> address = os::parse_host_port(text);
  if (!address) return failure(address.error());
  HttpTarget target{*address, {}, {}};
  // A wildcard is a place to listen; to connect, it is this machine.
  if (address->any) return parse_tcp_address("localhost:" + std::to_string(address->port()));
  if (is_localhost(text)) target.fallback = *os::parse_host_port("[::1]:" + std::to_string(address->port()));
  return target;
}

int parse_status(std::string_view received) {
  constexpr std::string_view version = "HTTP/1.";
  const std::size_t end = received.find('\n');
  const std::string_view line = received.substr(0, end);
  if (line.substr(0, version.size()) != version.substr(0, line.size())) return 0;
  if (end == std::string_view::npos) return -1;
  // "HTTP/1.x SSS" and then a space or the end.
  if (line.size() < 12 || line[8] != ' ' || (line.size() > 12 && line[12] != ' ' && line[12] != '\r')) return 0;
  int status = 0;
  for (char c : line.substr(9, 3)) {
    if (c < '0' || c > '9') return 0;
    status = status * 10 + (c - '0');
  }
  return status >= 100 && status < 600 ? status : 0;
}

bool status_is_good(int status, int expect) {
  return expect != 0 ? status == expect : status >= 200 && status < 400;
}

}  // namespace hearth::probe
