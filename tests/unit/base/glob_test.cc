#include "base/glob.h"

#include <string>

#include <gtest/gtest.h>

namespace hearth::test {
namespace {

TEST(GlobMatch, StarAndQuestionMarkMatchTheWholeText) {
  EXPECT_TRUE(matches_glob("web", "web"));
  EXPECT_TRUE(matches_glob("w*", "web"));
  EXPECT_TRUE(matches_glob("*", ""));
  EXPECT_TRUE(matches_glob("w?b", "web"));
  EXPECT_TRUE(matches_glob("*b*", "web"));
  EXPECT_FALSE(matches_glob("w", "web"));
  EXPECT_FALSE(matches_glob("?", ""));
  EXPECT_FALSE(matches_glob("", "web"));
}

TEST(GlobMatch, AStarGivesBackWhatItTookTooMuch) {
  EXPECT_TRUE(matches_glob("*abc", "ababc"));
  EXPECT_TRUE(matches_glob("a*b*c", "a-b-b-c"));
  EXPECT_FALSE(matches_glob("a*b*c", "a-c-b"));
}

TEST(GlobMatch, ManyStarsTakeNoExponentialTime) {
  const std::string text(2'000, 'a');
  EXPECT_FALSE(matches_glob("*a*a*a*a*a*a*a*a*a*a*b", text));
}

TEST(GlobMatch, AStarInTheTextIsAnOrdinaryCharacter) {
  EXPECT_TRUE(matches_glob("*b", "*ab"));
  EXPECT_FALSE(matches_glob("a", "*"));
}

}  // namespace
}  // namespace hearth::test
