// What is wrong in an event journal is found.
#include "event_check.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hearth::kill_anywhere {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(EventCheck, a_journal_that_lost_doubled_or_cut_an_event_is_noticed) {
  const std::string one = R"({"id":1,"time":"t","kind":"order","text":"x"})"
                          "\n";
  const std::string two = R"({"id":2,"time":"t","kind":"run","cause":1,"run":7,"text":"x"})"
                          "\n";
  const std::string three =
      R"({"id":3,"time":"t","kind":"exit","service":"p.a.0","cause":2,"run":7,"exit":{"code":3},"text":"x"})"
      "\n";
  const EventFindings whole = check_event_lines(one + two + three);
  EXPECT_THAT(whole.wrong, IsEmpty());
  EXPECT_EQ(whole.begun.at(7), 1u);
  EXPECT_EQ(whole.ended.at(7), 1u);
  EXPECT_EQ(whole.codes.at(7), 3);
  EXPECT_EQ(whole.services.at(7), "p.a.0");
  EXPECT_THAT(check_event_lines(one + three).wrong, ElementsAre("event 3 follows 1"));
  EXPECT_THAT(check_event_lines(one + two + two + three).wrong, ElementsAre("event 2 follows 2"));
  EXPECT_FALSE(check_event_lines(two + one).wrong.empty());
  EXPECT_FALSE(check_event_lines(one + two.substr(0, 30)).wrong.empty());
  EXPECT_THAT(check_event_lines(R"({"id":1,"time":"t","kind":"loss","text":"3 are lost"})"
                                "\n")
                  .wrong,
              ElementsAre("3 are lost"));
}

}  // namespace
}  // namespace hearth::kill_anywhere
