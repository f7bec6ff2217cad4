#include "store/run_list.h"

#include <gtest/gtest.h>

namespace hearth::store {
namespace {

RunList list_of(RunId runs) {
  RunList list{"boot", 7, "/dir", 30, {}};
  for (RunId run = 1; run <= runs; ++run) {
    ports::RunNote note;
    note.label = "a \"quoted\"\nname";
    note.run = run;
    list.runs.push_back(note);
  }
  return list;
}

TEST(RunListTest, a_list_that_ends_early_gives_what_is_whole) {
  const std::string text = run_list_text(list_of(3));
  Result<RunList> whole = parse_run_list(text);
  ASSERT_TRUE(whole);
  ASSERT_EQ(3u, whole->runs.size());
  EXPECT_EQ("a \"quoted\"\nname", whole->runs[2].label);
  EXPECT_FALSE(whole->torn);
  for (std::size_t cut = 0; cut + 1 < text.size(); ++cut) {
    Result<RunList> part = parse_run_list(text.substr(0, cut));
    if (part) {
      EXPECT_LE(part->runs.size(), 3u);
      EXPECT_EQ(30u, part->next_run);
      EXPECT_TRUE(part->torn) << cut;
    }
  }
}

TEST(RunListTest, a_list_with_a_hole_gives_what_is_around_it) {
  std::string text = run_list_text(list_of(3));
  const std::size_t second = text.find('\n', text.find('\n') + 1) + 1;
  text.replace(second, 20, std::string(20, ' '));
  const Result<RunList> list = parse_run_list(text);
  ASSERT_TRUE(list);
  EXPECT_TRUE(list->torn);
  ASSERT_EQ(2u, list->runs.size());
  EXPECT_EQ(3u, list->runs[1].run);
}

TEST(RunListTest, an_empty_list_is_whole) {
  const Result<RunList> list = parse_run_list(run_list_text(list_of(0)));
  ASSERT_TRUE(list);
  EXPECT_FALSE(list->torn);
}

TEST(RunListTest, text_that_is_no_list_is_refused) {
  for (const char* text : {"", "{", "[]", "{\"format\":2}", "{\"format\":1,\"x\":{}}", "\xff\xff"})
    EXPECT_FALSE(parse_run_list(text)) << text;
}

TEST(RunListTest, whether_a_run_had_been_ready_is_known_and_of_an_older_list_it_may_have_been) {
  RunList list = list_of(2);
  list.runs[1].was_ready = true;
  std::string text = run_list_text(list);
  Result<RunList> read = parse_run_list(text);
  ASSERT_TRUE(read && read->runs.size() == 2);
  EXPECT_EQ(list.runs, read->runs);
  const std::string member = R"(,"was_ready":false)";
  ASSERT_NE(std::string::npos, text.find(member));
  text.erase(text.find(member), member.size());
  read = parse_run_list(text);
  ASSERT_TRUE(read && read->runs.size() == 2);
  EXPECT_TRUE(read->runs[0].was_ready);
}

}  // namespace
}  // namespace hearth::store
