// The framed JSON of programs that are asked over a socket: a length of 4 bytes, big-endian, then that many bytes of
// UTF-8 JSON, one object. A probe sends {"cmd":"PING","data":{}} and waits for the first object that is an answer:
//
//   {"status":"event",...}   is told to whoever is connected, and answers nothing: the next one counts
//   {"status":"error",...}   is a bad answer
//   any other object         is a good one
//
// A peer may be anybody: what is no answer is told from its first four bytes, an object longer than an answer to a PING
// can be is thrown away unread, and nothing is kept of what has been read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace hearth::probe {

// Longer objects are skipped, and longer frames are none: "HTTP" read as a length is a gigabyte.
inline constexpr std::uint32_t frame_answer_max = 64u << 10;
inline constexpr std::uint32_t frame_max = 16u << 20;

std::string ping_frame();

class FrameReader {
 public:
  enum class Found { nothing, good, bad };

  // Takes what was received. After `good` or `bad` it is done.
  Found take(std::string_view bytes);
  // Of a bad answer, in words.
  const std::string& reason() const { return reason_; }

 private:
  Found bad(std::string reason);
  Found judge(std::string_view object);

  std::string received_;    // at most one header and frame_answer_max bytes, and what came with them
  std::uint32_t skip_ = 0;  // of a long object: bytes still to come
  std::string reason_;
};

}  // namespace hearth::probe
