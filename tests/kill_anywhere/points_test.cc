// Points: how they are written, and which there are.
#include "points.h"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace hearth::kill_anywhere {
namespace {

TEST(KillAnywherePoints, are_read_as_they_are_written) {
  for (const char* text :
       {"1:17:entry", "1:openat#4:exit", "2:stop/openat#4:exit", "0:launch/3:entry:all", "2:call999#0:entry:all",
        "0:3:exit", "2:5:exit:all", "1:9:entry:with-keeper", "1:upgrade/9:exit:with-logger", "0:9:exit:with-supervisor",
        "commit:3:120", "1:up/write#2:fail-EIO", "2:down/splice#0:fail-shortx10"}) {
    const std::optional<Point> point = parse_point(text);
    ASSERT_TRUE(point) << text;
    EXPECT_EQ(text_of(*point), text);
  }
  for (const char* text : {"", "1:2", "1:2:before", "commit:0:1", "1:x:entry", "1:x#3:entry",
                           "1:nowhere/openat#3:entry", "1:2:exit:some", "1:2:exit:with-some", "1:up/write#2:fail-",
                           "1:up/write#2:fail-EWHAT", "1:up/write#2:fail-EIOx1", "1:up/write#2:fail-EIOx"})
    EXPECT_FALSE(parse_point(text)) << text;
}

TEST(KillAnywherePoints, are_only_at_calls_that_every_clean_run_had) {
  const auto call = [](long kind, Phase phase, bool returned = true) { return Call{kind, phase, returned}; };
  const std::vector<Call> common = common_calls(
      {{call(1, Phase::up), call(2, Phase::up), call(1, Phase::up), call(1, Phase::stop), call(9, Phase::down)},
       {call(1, Phase::up, false), call(2, Phase::up), call(3, Phase::up), call(9, Phase::down, false)}});
  ASSERT_EQ(common.size(), 3u);
  EXPECT_EQ(common[0].kind, 1);
  EXPECT_FALSE(common[0].returned) << "in one of the runs it did not";
  EXPECT_EQ(common[1].kind, 2);
  EXPECT_TRUE(common[1].returned);
  EXPECT_EQ(common[2].kind, 9);
  EXPECT_EQ(common[2].phase, Phase::down);
  EXPECT_TRUE(common_calls({}).empty());
}

TEST(KillAnywherePoints, each_of_the_last_instructions_of_a_commit_is_a_point_in_one_of_eight_commits) {
  Course course;
  course.commits.assign(9, 1'000);
  const std::vector<Planned> planned = commit_points(course, 200, 20);
  std::map<std::uint64_t, std::set<std::uint64_t>> by_commit;
  std::set<std::uint64_t> behind_the_first;
  for (const Planned& one : planned) {
    if (one.point.instruction < 800) continue;
    by_commit[one.point.commit].insert(one.point.instruction);
    if (one.point.commit > 1) behind_the_first.insert(one.point.instruction);
  }
  EXPECT_EQ(by_commit.at(1).size(), 200u);
  for (std::uint64_t commit = 2; commit <= 9; ++commit) EXPECT_EQ(by_commit.at(commit).size(), 25u) << commit;
  EXPECT_EQ(behind_the_first.size(), 200u);
}

}  // namespace
}  // namespace hearth::kill_anywhere
