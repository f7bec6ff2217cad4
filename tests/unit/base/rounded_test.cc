#include "base/rounded.h"

#include <gtest/gtest.h>

namespace hearth {
namespace {

TEST(Rounded, is_the_nearest_and_halves_go_up) {
  EXPECT_EQ(rounded(milliseconds(799), ns_per_s / 10), 8);
  EXPECT_EQ(rounded(milliseconds(749), ns_per_s / 10), 7);
  EXPECT_EQ(rounded(milliseconds(750), ns_per_s / 10), 8);
  EXPECT_EQ(rounded(0, ns_per_s), 0);
  EXPECT_EQ(rounded(-seconds(3), ns_per_s), 0);
  EXPECT_EQ(rounded(INT64_MAX, ns_per_ms), INT64_MAX / ns_per_ms + 1);
}

}  // namespace
}  // namespace hearth
