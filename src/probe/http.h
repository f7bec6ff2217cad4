// As much HTTP as a probe needs: one GET, of whose answer the first line counts. RFC 9112.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "os/listeners.h"

namespace hearth::probe {

struct HttpTarget {
  os::SocketAddress address;
  os::SocketAddress fallback;  // localhost: its other family; length 0 = none
  std::string request;         // all bytes to send
};

// "http://HOST[:PORT][/PATH]" with a literal HOST or localhost, or "unix:PATH:/URL". fix_input says what is wrong.
Result<HttpTarget> parse_http_url(const std::string& url);

// "HOST:PORT" or "unix:PATH".
Result<HttpTarget> parse_tcp_address(const std::string& text);

// Of a first line such as "HTTP/1.1 200 OK": 100..599; 0 = no such line; -1 = the line is not complete yet.
int parse_status(std::string_view received);

// What the answer must be: `expect` exactly, or any 2xx or 3xx when it is 0.
bool status_is_good(int status, int expect);

}  // namespace hearth::probe
