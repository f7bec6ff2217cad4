#include "base/nearest.h"

#include <array>
#include <string>

#include <gtest/gtest.h>

namespace hearth {
namespace {

constexpr std::size_t far = 10;

TEST(EditDistance, CountsInsertionsDeletionsSubstitutionsAndSwaps) {
  EXPECT_EQ(edit_distance("", "", far), 0u);
  EXPECT_EQ(edit_distance("abc", "abc", far), 0u);
  EXPECT_EQ(edit_distance("abc", "", far), 3u);
  EXPECT_EQ(edit_distance("abc", "abxc", far), 1u);
  EXPECT_EQ(edit_distance("abc", "axc", far), 1u);
  EXPECT_EQ(edit_distance("abc", "acb", far), 1u);
  EXPECT_EQ(edit_distance("kitten", "sitting", far), 3u);
  EXPECT_EQ(edit_distance("ca", "abc", far), 3u) << "no substring is edited twice";
}

TEST(EditDistance, IsTheSameInBothDirections) {
  for (const char* a : {"", "ab", "restart", "rsetatr"}) {
    for (const char* b : {"", "ba", "restrat", "start"}) EXPECT_EQ(edit_distance(a, b, far), edit_distance(b, a, far));
  }
}

TEST(EditDistance, BeyondItsLimitIsOneMoreThanTheLimit) {
  EXPECT_EQ(edit_distance("abc", "xyz", 1), 2u);
  EXPECT_EQ(edit_distance(std::string(1000, 'a'), "b", 2), 3u);
  EXPECT_EQ(edit_distance(std::string(1000, 'a'), std::string(1000, 'a'), 2), 0u);
}

TEST(Nearest, IsAtMostTwoChangesAwayAndFewerThanItsLetters) {
  const std::array<std::string_view, 4> words = {"ready", "restart", "live", "log"};
  EXPECT_EQ(nearest("redy", words), "ready");
  EXPECT_EQ(nearest("rsetatr", words), "restart");
  EXPECT_EQ(nearest("rtsaert", words), "");
  EXPECT_EQ(nearest("lo", words), "log");
  EXPECT_EQ(nearest("g", words), "");
  EXPECT_EQ(nearest("", words), "");
}

TEST(Nearest, TakesTheNearerAndOfEqualsTheFirst) {
  const std::array<std::string_view, 3> words = {"aaab", "aaaa", "aaac"};
  EXPECT_EQ(nearest("aaac", words), "aaac");
  EXPECT_EQ(nearest("aaad", words), "aaab");
}

}  // namespace
}  // namespace hearth
