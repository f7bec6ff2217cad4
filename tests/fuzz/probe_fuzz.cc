// Hostile answers to a probe, and addresses from hostile configurations. The first byte chooses: 's' the answer of an
// HTTP server, 'u' a URL, 'a' an address, 'f' frames, 't' a line of a log as stamped and as JSON.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/toml_text.h"
#include "fuzz/bytes.h"
#include "probe/frame.h"
#include "probe/http.h"
#include "probe/log_search.h"

namespace {

using namespace hearth;
using probe::FrameReader;

// Bytes come in pieces of any size: what was decided once holds, whatever comes behind.
void feed_status(std::string_view answer) {
  int decided = -1;
  for (std::size_t size = 0; size <= answer.size() && size <= 64; ++size) {
    const int status = probe::parse_status(answer.substr(0, size));
    HEARTH_CHECK(status == -1 || status == 0 || (status >= 100 && status < 600), "a status, none, or not yet");
    HEARTH_CHECK(decided == -1 || status == decided, "what was decided holds");
    decided = status;
  }
  probe::status_is_good(decided, 0);
  if (decided != -1 && answer.find('\n') < 64)
    HEARTH_CHECK(probe::parse_status(answer) == decided, "the first line counts");
}

void check_target(const Result<probe::HttpTarget>& target, bool url) {
  if (!target) {
    HEARTH_CHECK(!target.error().reason.empty(), "every refusal says why");
    return;
  }
  HEARTH_CHECK(target->address.length > 0 && target->address.length <= sizeof target->address.bytes, "an address");
  if (!url) return;
  const std::string& request = target->request;
  HEARTH_CHECK(request.starts_with("GET /") && request.ends_with("\r\n\r\n"), "a request");
  std::size_t lines = 0;
  for (std::size_t at = request.find('\n'); at != request.npos; at = request.find('\n', at + 1)) ++lines;
  HEARTH_CHECK(lines == 6, "a URL writes no headers of its own");
}

void feed_frames(std::string_view bytes, std::size_t step) {
  FrameReader whole, pieces;
  const FrameReader::Found found = whole.take(bytes);
  FrameReader::Found also = FrameReader::Found::nothing;
  while (!bytes.empty() && also == FrameReader::Found::nothing) {
    also = pieces.take(bytes.substr(0, step));
    bytes.remove_prefix(std::min(step, bytes.size()));
  }
  HEARTH_CHECK(found == also && whole.reason() == pieces.reason(), "how bytes are cut into pieces means nothing");
  HEARTH_CHECK((found == FrameReader::Found::bad) == !whole.reason().empty(), "a bad answer says why");
  HEARTH_CHECK(whole.reason().size() < 300 && valid_utf8(whole.reason()), "in a few words");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Bytes bytes(data, size);
  const char kind = static_cast<char>(bytes.byte());
  if (kind == 's') feed_status(bytes.rest());
  if (kind == 'u') check_target(probe::parse_http_url(std::string(bytes.rest())), true);
  if (kind == 'a') check_target(probe::parse_tcp_address(std::string(bytes.rest())), false);
  if (kind == 'f') {
    const std::size_t step = std::size_t{1} + bytes.byte() % 16;
    feed_frames(bytes.rest(), step);
  }
  if (kind == 't') {
    for (const char* format : {"raw", "stamped", "json"})
      HEARTH_CHECK(probe::text_of_line(bytes.rest(), format).text.size() <= bytes.rest().size() + 1,
                   "a text is not longer than its line");
  }
  return 0;
}
