#include "api/text.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "api/json_members.h"
#include "api/json_writer.h"

namespace hearth::api {
namespace {

TEST(ApiText, spans_have_two_units_at_most) {
  EXPECT_EQ(short_span(milliseconds(999)), "0s");
  EXPECT_EQ(short_span(seconds(59)), "59s");
  EXPECT_EQ(short_span(seconds(3599)), "59m 59s");
  EXPECT_EQ(short_span(seconds(7260)), "2h 1m");
  EXPECT_EQ(short_span(seconds(90000)), "1d 1h");
  EXPECT_EQ(short_span(-seconds(5)), "0s");
}

TEST(ApiText, what_a_service_says_cannot_reach_the_terminal_as_a_command) {
  EXPECT_EQ(printable("\x1b[31mred\x07\r\n"), " [31mred   ");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            " 31m");
  EXPECT_EQ(printable("bad \xff utf8"), "bad \xef\xbf\xbd utf8");
  EXPECT_EQ(printable("größer"), "größer");
}

TEST(ApiText, text_is_cut_at_characters_and_says_so) {
  EXPECT_EQ(fitted("größer", 6), "größer");
  EXPECT_EQ(fitted("größer", 4), "grö…");
  EXPECT_EQ(fitted("a bc", 3), "a…");
  EXPECT_EQ(fitted("abc", 0), "");
}

TEST(ApiText, sequences_that_are_not_utf_8_are_recognized) {
  EXPECT_EQ(utf8_sequence("\xc0\xaf"), 0u);          // overlong
  EXPECT_EQ(utf8_sequence("\xed\xa0\x80"), 0u);      // surrogate
  EXPECT_EQ(utf8_sequence("\xf4\x90\x80\x80"), 0u);  // beyond U+10FFFF
  EXPECT_EQ(utf8_sequence("\xe2\x82"), 0u);          // cut
  EXPECT_EQ(utf8_sequence("\xf0\x9f\x98\x80"), 4u);
}

TEST(ApiJson, any_bytes_become_valid_json) {
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  std::string out;
  JsonWriter(out).object().key(all).string(all).end_object();
  boost::json::error_code error;
  boost::json::parse(out, error);
  EXPECT_FALSE(error) << error.message() << ": " << out;
}

TEST(ApiJson, commas_stand_between_values_and_nowhere_else) {
  std::string out;
  JsonWriter w(out);
  w.object().key("a").array().number(1).number(2).array().end_array().end_array().key("b").object().end_object();
  w.key("c").null().end_object();
  EXPECT_EQ(out, R"({"a":[1,2,[]],"b":{},"c":null})");
}

TEST(ApiJson, members_are_found_without_parsing_what_is_in_them) {
  const auto members = json_members(R"( {"document": {"a":"}\"",  "b":[1,{"x":2}]} , "start":true,"n":-1.5e3} )");
  ASSERT_TRUE(members.has_value()) << members.error().text();
  ASSERT_EQ(members->size(), 3u);
  EXPECT_EQ((*members)[0].first, "document");
  EXPECT_EQ((*members)[0].second, R"({"a":"}\"",  "b":[1,{"x":2}]})");
  EXPECT_EQ((*members)[1].second, "true");
  EXPECT_EQ((*members)[2].second, "-1.5e3");
  for (const char* empty : {"{}", " { } ", "\n{\n}\n"}) {
    const auto none = json_members(empty);
    EXPECT_TRUE(none && none->empty()) << empty;
  }
}

TEST(ApiJson, what_is_no_object_is_refused) {
  for (const char* text :
       {"", " ", "[]", "{", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{a:1}", "{\"a\":1}x",
        "{\"a\":\"x}", "{\"a\":[1}", "{\"a\":,}", "{\"a\" 1}", "{\"a\":1 \"b\":2}", "{\"a\\", "]", "{\"a\":]}"}) {
    EXPECT_FALSE(json_members(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace hearth::api
