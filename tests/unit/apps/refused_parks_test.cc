#include "apps/refused_parks.h"

#include <gtest/gtest.h>

namespace hearth::apps {
namespace {

struct RefusedParksTest : testing::Test {
  RefusedParks parks{7};
  int asked = 0;
  bool room = false;
  RefusedParks::News look(std::uint32_t refused, MonoNs now) {
    return parks.look(refused, now, [this] {
      ++asked;
      return room;
    });
  }
};

TEST_F(RefusedParksTest, what_was_refused_to_a_predecessor_is_no_news) {
  EXPECT_EQ("", look(7, seconds(1)).told);
  EXPECT_EQ(never, look(7, seconds(100)).due);
  EXPECT_NE(std::string::npos, look(9, seconds(200)).told.find("(2 by now)"));
  EXPECT_EQ(0, asked);
}

TEST_F(RefusedParksTest, a_service_that_stores_in_each_turn_is_told_of_once_a_minute_with_the_number_of_all) {
  std::uint32_t refused = 7;
  std::vector<std::string> told;
  MonoNs due = never;
  for (MonoNs now = seconds(1); now < seconds(131); now += milliseconds(100)) {
    const RefusedParks::News news = look(++refused, now);
    if (!told.empty() && !news.told.empty()) {
      EXPECT_EQ(told.back(), news.gone);
    }
    if (!news.told.empty()) told.push_back(news.told);
    due = news.due;
  }
  ASSERT_EQ(3u, told.size());
  EXPECT_NE(std::string::npos, told[2].find("(1201 by now)")) << told[2];
  EXPECT_NE(never, due);
}

TEST_F(RefusedParksTest, when_there_is_room_the_note_goes_and_the_keeper_is_offered_all_again) {
  const std::string told = look(8, seconds(1)).told;
  EXPECT_EQ(seconds(3), look(8, seconds(2)).due);
  EXPECT_EQ(0, asked) << "not in each turn";
  EXPECT_FALSE(look(8, seconds(3)).has_room);
  room = true;
  EXPECT_EQ("", look(8, seconds(4)).gone);
  const RefusedParks::News news = look(8, seconds(5));
  EXPECT_TRUE(news.has_room);
  EXPECT_EQ(told, news.gone);
  EXPECT_EQ(never, news.due);
  EXPECT_EQ(2, asked);
  // It was not enough for all.
  EXPECT_EQ(seconds(61), look(10, seconds(6)).due);
  EXPECT_NE("", look(10, seconds(61)).told);
}

}  // namespace
}  // namespace hearth::apps
