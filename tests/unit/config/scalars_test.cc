#include "config/scalars.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "config/host_port.h"
#include "config/limits.h"
#include "config/numbers.h"
#include "config/text.h"

namespace hearth::config {
namespace {

TEST(Duration, units_stand_alone_or_together) {
  EXPECT_EQ(parse_duration("500ms"), milliseconds(500));
  EXPECT_EQ(parse_duration("1s"), seconds(1));
  EXPECT_EQ(parse_duration("1.5s"), milliseconds(1500));
  EXPECT_EQ(parse_duration("2m"), seconds(120));
  EXPECT_EQ(parse_duration("1h30m"), seconds(5400));
  EXPECT_EQ(parse_duration("1d2h3m4s5ms6us"), seconds(93784) + milliseconds(5) + 6000);
  EXPECT_EQ(parse_duration("0s"), 0);
}

TEST(Duration, anything_else_is_refused) {
  for (const char* text :
       {"", "5", "s", "5x", "1s 2s", "1m1h", "1s1s", "-1s", "1.2.3s", ".5s", "1 s", "1e3s", "99999999999d", "1min"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
  }
}

TEST(Duration, what_is_printed_can_be_read) {
  EXPECT_TRUE(rc::check("duration", [] {
    const SpanNs span = *rc::gen::inRange<std::int64_t>(0, 90LL * 24 * 3600 * 1000000) * 1000;
    RC_ASSERT(parse_duration(duration_text(span)) == span);
  }));
}

TEST(Size, binary_and_decimal_units) {
  EXPECT_EQ(parse_size("0"), 0u);
  EXPECT_EQ(parse_size("10MiB"), 10u << 20);
  EXPECT_EQ(parse_size("64KiB"), 64u << 10);
  EXPECT_EQ(parse_size("64k"), 64u << 10);
  EXPECT_EQ(parse_size("1G"), 1u << 30);
  EXPECT_EQ(parse_size("1.5K"), 1536u);
  EXPECT_EQ(parse_size("10MB"), 10'000'000u);
  EXPECT_EQ(parse_size("12B"), 12u);
  for (const char* text : {"", "K", "1X", "1KiBi", "-1", "1 K", "0.3", "99999999999T", "1iB", "1Kx"}) {
    EXPECT_EQ(parse_size(text), std::nullopt) << text;
  }
  EXPECT_EQ(size_text(10u << 20), "10MiB");
  EXPECT_EQ(size_text(1000), "1000");
}

TEST(Signal, names_with_and_without_their_prefix) {
  EXPECT_EQ(parse_signal("TERM"), 15);
  EXPECT_EQ(parse_signal("SIGTERM"), 15);
  EXPECT_EQ(parse_signal("sigusr1"), 10);
  EXPECT_EQ(parse_signal("RTMIN"), 34);
  EXPECT_EQ(parse_signal("SIGRTMIN+3"), 37);
  EXPECT_EQ(parse_signal("RTMAX-1"), 63);
  for (const char* text : {"", "SIG", "TREM", "15", "RTMIN+31", "RTMIN-1", "RTMAX+1", "RTMIN+"}) {
    EXPECT_EQ(parse_signal(text), std::nullopt) << text;
  }
  EXPECT_EQ(nearest_signal("SIGTREM"), "TERM");
  EXPECT_EQ(signal_text(15), "TERM");
  EXPECT_EQ(signal_text(40), "40");
}

TEST(HostPort, hosts_are_names_addresses_or_bracketed) {
  EXPECT_EQ(parse_host_port("127.0.0.1:80")->host, "127.0.0.1");
  EXPECT_EQ(parse_host_port("[::1]:80")->host, "[::1]");
  EXPECT_EQ(parse_host_port("*:0")->port, 0u);
  for (const char* text : {"", ":80", "host", "host:", "host:x", "host:65536", "a b:1", "::1:80", "[]:1", "a/b:1"}) {
    EXPECT_EQ(parse_host_port(text), std::nullopt) << text;
  }
}

TEST(Text, quotes_hold_no_control_characters_and_end_somewhere) {
  EXPECT_EQ(quote("a\"b\\\n\t\x01"), "\"a\\\"b\\\\\\n\\t\\x01\"");
  EXPECT_EQ(quote("\xff"), "\"\\xff\"");
  EXPECT_EQ(quote(std::string(100, 'x')), "\"" + std::string(60, 'x') + "...\"");
}

TEST(Text, hexadecimal_digits_come_back_as_bytes) {
  std::string bytes;
  EXPECT_TRUE(from_hex(to_hex("\x01\xffz"), bytes));
  EXPECT_EQ(bytes, "\x01\xffz");
  EXPECT_FALSE(from_hex("0", bytes));
  EXPECT_FALSE(from_hex("0g", bytes));
}

}  // namespace
}  // namespace hearth::config
