#include <gtest/gtest.h>

#include "base/replica_names.h"
#include "base/rounded.h"

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

TEST(ReplicaNames, a_name_with_an_index_has_one) {
  EXPECT_EQ(without_index("worker.7"), "worker");
  EXPECT_EQ(without_index("shop.worker.12"), "shop.worker");
  for (const char* name : {"worker", "worker.", ".7", "w*.7", "@tag.7", "worker.7a", "shop.worker", ""})
    EXPECT_EQ(without_index(name), "") << name;
}

TEST(ReplicaNames, those_that_are_there_are_told_briefly) {
  EXPECT_EQ(replicas_there("w", {0}), "there is w.0 alone");
  EXPECT_EQ(replicas_there("w", {1, 0}), "there are w.0, w.1");
  EXPECT_EQ(replicas_there("w", {3, 1, 0, 2, 2}), "there are w.0 to w.3");
  EXPECT_EQ(replicas_there("w", {0, 1, 5}), "there are w.0, w.1, w.5");
}

}  // namespace
}  // namespace hearth
