#include "model/replica_names.h"

#include <gtest/gtest.h>

namespace hearth {
namespace {

TEST(ReplicaNames, a_name_with_an_index_has_one) {
  EXPECT_EQ(before_index("worker.7"), "worker");
  EXPECT_EQ(before_index("shop.worker.12"), "shop.worker");
  for (const char* name : {"worker", "worker.", ".7", "w*.7", "@tag.7", "worker.7a", "shop.worker", ""})
    EXPECT_EQ(before_index(name), "") << name;
}

TEST(ReplicaNames, those_that_are_there_are_told_briefly) {
  EXPECT_EQ(replicas_there("w", {0}), "there is w.0 alone");
  EXPECT_EQ(replicas_there("w", {1, 0}), "there are w.0, w.1");
  EXPECT_EQ(replicas_there("w", {3, 1, 0, 2, 2}), "there are w.0 to w.3");
  EXPECT_EQ(replicas_there("w", {0, 1, 5}), "there are w.0, w.1, w.5");
}

TEST(ReplicaNames, of_an_index_that_is_not_there_the_others_are_told) {
  std::string asked;
  const auto others = [&](const char* name, std::vector<std::uint32_t> there) {
    return other_indexes(name, [&](std::string_view service) {
      asked = service;
      return there;
    });
  };
  EXPECT_EQ(others("shop.w.7", {1, 0, 2}), "there are shop.w.0 to shop.w.2");
  EXPECT_EQ(asked, "shop.w");
  EXPECT_EQ(others("w.7", {}), "") << "there is no such service either";
  asked.clear();
  EXPECT_EQ(others("w", {0}), "");
  EXPECT_EQ(asked, "") << "it has no index";
}

}  // namespace
}  // namespace hearth
