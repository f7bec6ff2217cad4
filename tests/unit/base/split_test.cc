#include "base/split.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace hearth {
namespace {

template <typename Take>
std::vector<std::string> all(std::string_view text, Take take) {
  std::vector<std::string> parts;
  while (const auto part = take(text)) parts.emplace_back(*part);
  return parts;
}

using Parts = std::vector<std::string>;

TEST(SplitTest, lines_end_with_a_newline_but_for_the_last) {
  EXPECT_EQ(Parts({"a", "", "b c"}), all("a\n\nb c", take_line));
  EXPECT_EQ(Parts({"a"}), all("a\n", take_line));
  EXPECT_EQ(Parts({""}), all("\n", take_line));
  EXPECT_EQ(Parts(), all("", take_line));
}

TEST(SplitTest, words_stand_between_blanks_of_any_number) {
  EXPECT_EQ(Parts({"12", "a", "b"}), all("  12 a\t\nb\n", take_word));
  EXPECT_EQ(Parts(), all(" \n", take_word));
  EXPECT_EQ(Parts(), all("", take_word));
}

}  // namespace
}  // namespace hearth
