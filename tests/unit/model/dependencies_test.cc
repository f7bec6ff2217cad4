#include "model/dependencies.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace hearth {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

constexpr std::size_t no_limit = 1000;

ServiceSpec service(std::string name, std::vector<std::string> needs = {}) {
  ServiceSpec spec;
  spec.name = std::move(name);
  for (std::string& need : needs) spec.depends_on.push_back({std::move(need)});
  return spec;
}

TEST(Dependencies, of_a_diamond_have_no_problem) {
  //   a
  //  / \.
  // b   c
  //  \ /
  //   d
  EXPECT_THAT(
      dependency_problems({service("a", {"b", "c"}), service("b", {"d"}), service("c", {"d"}), service("d")}, no_limit),
      IsEmpty());
}

TEST(Dependencies, that_are_unknown_come_with_the_name_that_may_be_meant) {
  const auto problems = dependency_problems({service("database"), service("web", {"databsae", "queue"})}, no_limit);
  ASSERT_THAT(problems, SizeIs(2));
  EXPECT_EQ(problems[0].fault, DependencyFault::unknown);
  EXPECT_EQ(problems[0].service, 1u);
  EXPECT_EQ(problems[0].dependency, 0u);
  EXPECT_EQ(problems[0].nearest, "database");
  EXPECT_EQ(problems[1].nearest, "");
}

TEST(Dependencies, on_oneself_are_no_cycle_of_others) {
  const auto problems = dependency_problems({service("a", {"a"})}, no_limit);
  ASSERT_THAT(problems, SizeIs(1));
  EXPECT_EQ(problems[0].fault, DependencyFault::self);
}

TEST(Dependencies, in_a_cycle_are_told_in_full_from_where_it_is_entered) {
  // x -> a -> b -> c -> a: x is not part of it.
  const auto problems = dependency_problems(
      {service("x", {"a"}), service("a", {"y", "b"}), service("b", {"c"}), service("c", {"a"}), service("y")},
      no_limit);
  ASSERT_THAT(problems, SizeIs(1));
  EXPECT_EQ(problems[0].fault, DependencyFault::cycle);
  EXPECT_EQ(problems[0].cycle, "a -> b -> c -> a");
  EXPECT_EQ(problems[0].service, 1u);
  EXPECT_EQ(problems[0].dependency, 1u);
}

TEST(Dependencies, in_one_knot_are_told_once_and_in_two_knots_twice) {
  EXPECT_THAT(dependency_problems({service("a", {"b", "c"}), service("b", {"a"}), service("c", {"a"})}, no_limit),
              SizeIs(1));
  EXPECT_THAT(dependency_problems(
                  {service("a", {"b"}), service("b", {"a", "c"}), service("c", {"d"}), service("d", {"c"})}, no_limit),
              SizeIs(2));
}

TEST(Dependencies, problems_end_at_the_limit) {
  std::vector<ServiceSpec> services;
  for (int i = 0; i < 50; ++i) services.push_back(service("s" + std::to_string(i), {"nowhere"}));
  EXPECT_THAT(dependency_problems(services, 7), SizeIs(7));
}

// Removing services that nothing left depends on must empty the set exactly when there was no problem.
TEST(Dependencies, without_a_problem_can_be_put_in_order) {
  EXPECT_TRUE(rc::check("order", [] {
    const int count = *rc::gen::inRange(1, 9);
    std::vector<ServiceSpec> services;
    for (int i = 0; i < count; ++i) {
      ServiceSpec spec = service("s" + std::to_string(i));
      for (int k = 0; k < count; ++k) {
        if (*rc::gen::inRange(0, 5) == 0) spec.depends_on.push_back({"s" + std::to_string(k)});
      }
      services.push_back(std::move(spec));
    }
    const auto problems = dependency_problems(services, no_limit);

    std::vector<bool> gone(services.size(), false);
    for (bool progress = true; progress;) {
      progress = false;
      for (std::size_t i = 0; i < services.size(); ++i) {
        bool free = !gone[i];
        for (const Dependency& need : services[i].depends_on) {
          free = free && gone[static_cast<std::size_t>(need.service[1] - '0')];
        }
        if (free) gone[i] = progress = true;
      }
    }
    const bool orderly = std::find(gone.begin(), gone.end(), false) == gone.end();
    RC_ASSERT(problems.empty() == orderly);
  }));
}

}  // namespace
}  // namespace hearth
