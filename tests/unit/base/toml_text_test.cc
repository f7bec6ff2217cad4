#include "base/toml_text.h"

#include <gtest/gtest.h>

namespace hearth {
namespace {

TEST(TomlText, utf8_is_told_from_other_bytes) {
  EXPECT_TRUE(valid_utf8("aü€😀"));
  for (const char* text :
       {"\x80", "\xc0\x80", "\xc3", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf5", "a\xff"}) {
    EXPECT_FALSE(valid_utf8(text));
  }
}

TEST(TomlText, whatever_a_text_has_it_is_one_string_in_one_line) {
  EXPECT_EQ(quoted(""), "\"\"");
  EXPECT_EQ(quoted("a \"b\" \\ü"), "\"a \\\"b\\\" \\\\ü\"");
  EXPECT_EQ(quoted("\n\t\x01\x7f"), "\"\\n\\t\\u0001\\u007f\"");
  EXPECT_EQ(quoted("a\xff"), "\"a\\ufffd\"");
}

TEST(TomlText, a_key_is_plain_where_it_can_be) {
  EXPECT_EQ(key_text("A_b-9"), "A_b-9");
  EXPECT_EQ(key_text("a.b"), "\"a.b\"");
  EXPECT_EQ(key_text(""), "\"\"");
}

}  // namespace
}  // namespace hearth
