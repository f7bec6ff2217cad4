#include "base/check.h"

#include <gtest/gtest.h>

namespace hearth {
namespace {

TEST(CheckDeathTest, EndsTheProcessAndSaysWhatMustHoldAndWhere) {
  EXPECT_DEATH(HEARTH_CHECK(1 + 1 == 3, "sums hold"), "hearth: bug: sums hold .1 \\+ 1 == 3. at .*check_test");
}

TEST(Check, LetsPassWhatHoldsAndEvaluatesItOnce) {
  int evaluated = 0;
  HEARTH_CHECK(++evaluated == 1, "evaluated once");
  EXPECT_EQ(evaluated, 1);
}

}  // namespace
}  // namespace hearth
