#include "base/time.h"

#include <gtest/gtest.h>

namespace hearth {
namespace {

TEST(Time, AddsASpanToAPoint) {
  EXPECT_EQ(after(seconds(5), milliseconds(1500)), 6'500'000'000);
  EXPECT_EQ(after(seconds(5), 0), seconds(5));
}

TEST(Time, SaturatesAtNeverInsteadOfWrapping) {
  EXPECT_EQ(after(seconds(5), INT64_MAX), never);
  EXPECT_EQ(after(never, 1), never);
  EXPECT_EQ(after(never - 1, 1), never);
  EXPECT_EQ(after(never - 2, 1), never - 1);
}

}  // namespace
}  // namespace hearth
