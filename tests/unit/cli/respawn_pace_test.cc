#include "cli/respawn_pace.h"

#include <gtest/gtest.h>

namespace hearth::cli {
namespace {

struct RespawnPaceTest : testing::Test {
  SpanNs dies_after(SpanNs lived) { return pace.after_death(now += lived); }
  RespawnPace pace;
  MonoNs now = seconds(100);
};

TEST_F(RespawnPaceTest, five_deaths_in_ten_seconds_cost_nothing_and_the_next_ones_more_and_more) {
  for (int i = 0; i < 5; ++i) EXPECT_EQ(dies_after(milliseconds(1)), 0) << i;
  for (const SpanNs delay : {100, 200, 400, 800, 1600, 3200, 5000, 5000})
    EXPECT_EQ(dies_after(milliseconds(1)), delay * ns_per_ms);
}

TEST_F(RespawnPaceTest, one_that_dies_now_and_then_is_replaced_at_once) {
  for (int i = 0; i < 20; ++i) EXPECT_EQ(dies_after(seconds(3)), 0) << i;
}

TEST_F(RespawnPaceTest, what_has_been_is_forgotten_when_it_lives) {
  for (int i = 0; i < 7; ++i) (void)dies_after(milliseconds(1));
  EXPECT_EQ(dies_after(seconds(11)), 0);
  EXPECT_EQ(dies_after(seconds(11)), 0);
}

}  // namespace
}  // namespace hearth::cli
