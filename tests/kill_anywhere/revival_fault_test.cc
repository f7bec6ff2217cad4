// The story `revival`: what its judge lets pass, and what it does not.
#include <algorithm>
#include <functional>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "good_evidence.h"

namespace hearth::kill_anywhere {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(KillAnywhereFaults, after_the_death_of_all_who_began_before_has_no_status_and_everybody_else_is_as_ever) {
  EXPECT_THAT(judge(good_revival()).violations, IsEmpty());
  EXPECT_THAT(judge(good_revival()).tolerated, ElementsAre(HasSubstr("who was started how often")));
  const auto found_in = [](const std::function<void(Evidence&)>& spoil) {
    Evidence evidence = good_revival();
    spoil(evidence);
    return judge(evidence).violations;
  };
  const auto process = [](Evidence& e, const char* name) -> SeenProcess& {
    return *std::ranges::find(e.processes, std::string(name), &SeenProcess::name);
  };
  EXPECT_THAT(found_in([&](Evidence& e) { process(e, "d").start_ticks = 600; }),
              ElementsAre(HasSubstr("exit code 9 of d is not known")));
  EXPECT_THAT(found_in([](Evidence& e) { e.processes.push_back({"a", 30, 30, 0, "-", "-"}); }),
              Contains(HasSubstr("service a was started 2 times")));
  EXPECT_THAT(found_in([](Evidence& e) { e.last.takeovers = 2; }), ElementsAre(HasSubstr("takeovers is 2")));
  EXPECT_THAT(found_in([](Evidence& e) { e.caller_heard = "nobody listened"; }),
              ElementsAre(HasSubstr("backlog of k was not answered")));
  // What u had written last is nobody's when it ended before the next logger had its output, and another's is not.
  for (const char* name : {"u", "a"}) {
    const auto lose = [&](Phase killed) {
      return found_in([&](Evidence& e) {
        e.logs[name].lines = 3;
        e.logs[name].lost = e.logs[name].gaps = 1;
        e.killed_at_ticks = 700;
        e.killed_from = e.killed_to = killed;
        process(e, "u").ended_ticks = 700;
      });
    };
    EXPECT_EQ(lose(Phase::launch).empty(), *name == 'u') << name;
    EXPECT_FALSE(lose(Phase::after).empty()) << name;
  }
  EXPECT_EQ(allowed_starts(Story::revival, Deaths{}, 0).supervisors, 2u);
  EXPECT_EQ(allowed_starts(Story::revival, deaths_of(Story::revival, *parse_point("1:9:exit")), 0).supervisors, 3u);
  const Deaths third = deaths_of(Story::revival, *parse_point("2:9:exit"), "spawner");
  EXPECT_EQ(allowed_starts(Story::revival, third, 0).spawners, 5u) << "it was started before the logger, that time";
  EXPECT_EQ(allowed_starts(Story::revival, third, 0).loggers, 2u);
}

}  // namespace
}  // namespace hearth::kill_anywhere
