#include "probe/frame.h"

#include <algorithm>

#include <boost/json.hpp>

namespace hearth::probe {
namespace {

constexpr std::size_t header_bytes = 4;
constexpr std::size_t told_max = 120;

std::uint32_t length_of(std::string_view header) {
  std::uint32_t length = 0;
  for (const char c : header.substr(0, header_bytes)) length = length << 8 | static_cast<unsigned char>(c);
  return length;
}

std::string header_of(std::size_t length) {
  std::string header;
  for (int shift = 24; shift >= 0; shift -= 8) header += static_cast<char>(length >> shift & 0xff);
  return header;
}

// What a service says of itself goes into status: printable, and not long.
std::string told(const boost::json::object& answer) {
  std::string text;
  for (const std::string_view key : {"error", "message"}) {
    const boost::json::value* value = answer.if_contains(key);
    if (value == nullptr || value->is_null() || !text.empty()) continue;
    text = value->is_string() ? std::string(value->get_string()) : boost::json::serialize(*value);
  }
  std::replace_if(text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c >= 0x7f; }, '?');
  if (text.size() > told_max) text = text.substr(0, told_max) + "...";
  return text;
}

}  // namespace

std::string ping_frame() {
  const std::string body = R"({"cmd":"PING","data":{}})";
  return header_of(body.size()) + body;
}

FrameReader::Found FrameReader::bad(std::string reason) {
  reason_ = std::move(reason);
  return Found::bad;
}

FrameReader::Found FrameReader::judge(std::string_view object) {
  boost::system::error_code error;
  boost::json::parse_options options;
  options.max_depth = 16;
  const boost::json::value value = boost::json::parse(object, error, {}, options);
  if (error || !value.is_object()) return bad("the answer is no JSON object");
  const boost::json::value* status = value.get_object().if_contains("status");
  if (status == nullptr || !status->is_string()) return Found::good;
  if (status->get_string() == "event") return Found::nothing;
  if (status->get_string() != "error") return Found::good;
  const std::string said = told(value.get_object());
  return bad("it answered with an error" + (said.empty() ? "" : ": " + said));
}

FrameReader::Found FrameReader::take(std::string_view bytes) {
  while (!bytes.empty() || received_.size() >= header_bytes) {
    if (skip_ > 0) {
      const std::size_t now = std::min<std::size_t>(skip_, bytes.size());
      bytes.remove_prefix(now);
      skip_ -= static_cast<std::uint32_t>(now);
      if (bytes.empty()) return Found::nothing;
      continue;
    }
    // Up to the end of the header, or of the object: no more than that is kept.
    const std::size_t wanted = received_.size() < header_bytes ? header_bytes : header_bytes + length_of(received_);
    const std::size_t now = std::min(wanted - received_.size(), bytes.size());
    received_.append(bytes.substr(0, now));
    bytes.remove_prefix(now);
    if (received_.size() < header_bytes) return Found::nothing;
    const std::uint32_t length = length_of(received_);
    if (length > frame_max) return bad("the answer is no frame: its length would be " + std::to_string(length));
    if (length > frame_answer_max) {
      received_.clear();
      skip_ = length;
      if (bytes.empty()) return Found::nothing;
      continue;
    }
    if (received_.size() < header_bytes + length) {
      if (bytes.empty()) return Found::nothing;
      continue;
    }
    const Found found = judge(std::string_view(received_).substr(header_bytes));
    if (found != Found::nothing) return found;
    received_.clear();
  }
  return Found::nothing;
}

}  // namespace hearth::probe
