#include "health/utf8.h"

#include <string>

#include <gtest/gtest.h>

namespace hearth::health {
namespace {

const std::string bad = "\xef\xbf\xbd";

TEST(Utf8, ThatIsValidComesBackUnchanged) {
  for (const char* text : {"", "plain", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                           "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_EQ(valid_utf8(text), text);
  }
}

TEST(Utf8, HasNoOverlongFormsSurrogatesOrWhatLiesBeyondUnicode) {
  EXPECT_EQ(valid_utf8("\xc0\xaf"), bad + bad);
  EXPECT_EQ(valid_utf8("\xe0\x80\xaf"), bad + bad + bad);
  EXPECT_EQ(valid_utf8("\xed\xa0\x80"), bad + bad + bad);
  EXPECT_EQ(valid_utf8("\xf4\x90\x80\x80"), bad + bad + bad + bad);
  EXPECT_EQ(valid_utf8("\xf5\x80"), bad + bad);
}

// Unicode 15, section 3.9, table 3-8: one U+FFFD for the longest part that could have become a character.
TEST(Utf8, ReplacesEachMaximalPartOnce) {
  EXPECT_EQ(valid_utf8("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41"), bad + bad + bad + bad + "A");
  EXPECT_EQ(valid_utf8("\xf0\x90\x80"), bad);
  EXPECT_EQ(valid_utf8("\x80x"), bad + "x");
}

TEST(Utf8, IsCutBetweenCharacters) {
  const std::string text =
      "a\xe2\x82\xac"
      "b";
  EXPECT_EQ(cut_utf8(text, 0), "");
  EXPECT_EQ(cut_utf8(text, 1), "a");
  EXPECT_EQ(cut_utf8(text, 2), "a");
  EXPECT_EQ(cut_utf8(text, 3), "a");
  EXPECT_EQ(cut_utf8(text, 4), "a\xe2\x82\xac");
  EXPECT_EQ(cut_utf8(text, 5), text);
  EXPECT_EQ(cut_utf8(text, 500), text);
}

}  // namespace
}  // namespace hearth::health
