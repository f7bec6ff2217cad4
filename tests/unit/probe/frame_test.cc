#include "probe/frame.h"

#include <gtest/gtest.h>

namespace hearth::probe {
namespace {

using Found = FrameReader::Found;

std::string frame(const std::string& body) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(body.size() >> shift & 0xff);
  return out + body;
}

Found take(const std::string& bytes) {
  FrameReader reader;
  return reader.take(bytes);
}

TEST(Frame, a_ping_has_its_length_in_front) {
  const std::string ping = ping_frame();
  EXPECT_EQ(frame(R"({"cmd":"PING","data":{}})"), ping);
  EXPECT_EQ(0, ping[0]);
  EXPECT_EQ(24, ping[3]);
}

TEST(Frame, any_object_is_an_answer_but_an_error_and_an_event) {
  EXPECT_EQ(Found::good, take(frame(R"({"status":"success","data":{"message":"PONG"}})")));
  EXPECT_EQ(Found::good, take(frame("{}")));
  EXPECT_EQ(Found::nothing, take(frame(R"({"status":"event","data":{"text":"x"}})")));
  FrameReader reader;
  EXPECT_EQ(Found::bad, reader.take(frame(R"({"status":"error","error":"paused"})")));
  EXPECT_EQ("it answered with an error: paused", reader.reason());
}

TEST(Frame, an_answer_in_pieces_behind_events_is_found) {
  const std::string stream =
      frame(R"({"status":"event"})") + frame(R"({"status":"event","data":[1,2]})") + frame(R"({"status":"success"})");
  for (const std::size_t piece : {1u, 3u, 4u, 7u, 1000u}) {
    FrameReader reader;
    Found found = Found::nothing;
    std::size_t at = 0;
    for (; at < stream.size() && found == Found::nothing; at += piece) {
      found = reader.take(std::string_view(stream).substr(at, piece));
    }
    EXPECT_EQ(Found::good, found) << piece;
    EXPECT_GE(at, stream.size());
  }
}

TEST(Frame, what_speaks_another_language_is_told_by_its_first_bytes) {
  FrameReader reader;
  EXPECT_EQ(Found::bad, reader.take("HTTP"));
  EXPECT_EQ("the answer is no frame: its length would be 1213486160", reader.reason());
  EXPECT_EQ(Found::bad, take(frame("PONG")));
  EXPECT_EQ(Found::bad, take(frame("[1]")));
  EXPECT_EQ(Found::bad, take(frame("")));
  EXPECT_EQ(Found::bad, take(frame(std::string(1000, '['))));
}

TEST(Frame, a_long_object_is_skipped_unread) {
  const std::string stream = frame(std::string(frame_answer_max + 1, 'x')) + frame(R"({"status":"success"})");
  FrameReader reader;
  Found found = Found::nothing;
  for (std::size_t at = 0; at < stream.size(); at += 5000)
    found = reader.take(std::string_view(stream).substr(at, 5000));
  EXPECT_EQ(Found::good, found);
}

TEST(Frame, what_an_error_says_is_printable_and_short) {
  FrameReader reader;
  EXPECT_EQ(Found::bad,
            reader.take(frame(R"({"status":"error","error":"a\n\u001b[2J)" + std::string(500, 'y') + "\"}")));
  EXPECT_EQ("it answered with an error: a??[2J" + std::string(114, 'y') + "...", reader.reason());
}

}  // namespace
}  // namespace hearth::probe
