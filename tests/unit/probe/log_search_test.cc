#include "probe/log_search.h"

#include <cstdio>
#include <unistd.h>

#include <gtest/gtest.h>

#include "os/fd.h"
#include "unit/os/temp_directory.h"

namespace hearth::probe {
namespace {

struct LogSearchTest : ::testing::Test {
  test::TempDirectory directory;
  LogSearch search;
  std::uint64_t written = 0;

  void SetUp() override {
    search.directory = directory.path();
    search.pattern = "^listening on ";
    search.format = "raw";
    search.run = 7;
    search.end = {1, 0};
  }
  // The logger goes on: the bytes are there, and committed.
  void write(const std::string& text, bool in_next_file = false) {
    if (in_next_file) search.end = {search.end.file + 1, 0};
    char name[32];
    std::snprintf(name, sizeof name, "/%08u.log", static_cast<unsigned>(search.end.file));
    FILE* file = std::fopen((directory.path() + name).c_str(), "a");
    ASSERT_NE(nullptr, file);
    std::fwrite(text.data(), 1, text.size(), file);
    std::fclose(file);
    search.end.offset += text.size();
    written += text.size();
  }
  void remove(unsigned number) {
    char name[32];
    std::snprintf(name, sizeof name, "/%08u.log", number);
    ::unlink((directory.path() + name).c_str());
  }
  bool found() {
    search_log(search);
    EXPECT_EQ("", search.problem);
    return search.found;
  }
};

TEST_F(LogSearchTest, a_line_of_this_run_is_found_and_one_of_the_run_before_is_not) {
  write("listening on 1\nbye\n");
  const std::uint64_t begin = written;
  EXPECT_FALSE(found());  // nothing since
  search.at = {};
  write("loading\n");
  search.behind = written - begin;
  EXPECT_FALSE(found());
  write("listening on 2\n");
  EXPECT_TRUE(found());
}

TEST_F(LogSearchTest, a_line_counts_when_it_is_complete) {
  write("listen");
  search.behind = written;
  EXPECT_FALSE(found());
  write("ing on 80");
  EXPECT_FALSE(found());
  write("\n");
  EXPECT_TRUE(found());
}

TEST_F(LogSearchTest, the_search_goes_on_over_rotation_and_over_what_is_gone) {
  write("loading\n");
  search.behind = written;
  EXPECT_FALSE(found());
  write("a\n");
  write("b\n", true);
  write("c\n", true);
  remove(2);
  write("listening on 1\n");
  EXPECT_TRUE(found());
  EXPECT_EQ((LogPlace{3, 17}), search.at);
}

TEST_F(LogSearchTest, a_beginning_in_an_earlier_file_is_found_backwards) {
  write("old\nlistening on 1\n");
  const std::uint64_t begin = written;
  write("new\n");
  write("loading\n", true);
  write("loading\n", true);
  search.behind = written - begin;
  EXPECT_FALSE(found()) << "what is found is of the run before";
  search.at = {};
  search.behind = written;
  EXPECT_TRUE(found());
}

TEST_F(LogSearchTest, when_the_beginning_is_rotated_away_what_is_there_is_searched) {
  write("x\n");
  write("listening on 1\n", true);
  remove(1);
  search.behind = written + 1000;
  EXPECT_TRUE(found());
}

TEST_F(LogSearchTest, bytes_beyond_the_committed_end_do_not_count) {
  write("listening on 1\n");
  search.behind = written;
  search.end.offset -= 3;
  EXPECT_FALSE(found());
}

TEST_F(LogSearchTest, of_a_long_line_the_first_4096_bytes_count_and_the_rest_is_not_kept) {
  search.pattern = "here$";
  write(std::string(4092, 'x') + "here" + std::string(100'000, 'y') + "\n");
  search.behind = written;
  EXPECT_TRUE(found());
  search = LogSearch{search.directory, "here", "raw", 7, 0, {}, search.end, {}, false, {}};
  write(std::string(5000, 'x') + "here\n");
  search.behind = 5005;
  EXPECT_FALSE(found());
  EXPECT_EQ("", search.begun);
}

TEST_F(LogSearchTest, one_search_reads_8_MiB_and_the_next_goes_on) {
  const std::string line = std::string(1023, 'x') + "\n";
  std::string much;
  for (int i = 0; i < 1024; ++i) much += line;
  for (int i = 0; i < 9; ++i) write(much);
  write("listening on 1\n");
  search.behind = written;
  EXPECT_FALSE(found());
  EXPECT_EQ(bytes_max, search.at.offset);
  EXPECT_TRUE(found());
}

TEST_F(LogSearchTest, a_pattern_that_is_none_is_a_problem_and_a_NUL_ends_no_line) {
  write(std::string("a\0listening\n", 12));
  search.behind = written;
  search.pattern = "listening$";
  EXPECT_TRUE(found());
  search.pattern = "(";
  search_log(search);
  EXPECT_NE("", search.problem);
}

TEST_F(LogSearchTest, stamps_and_json_are_not_part_of_the_line) {
  search.format = "stamped";
  write("2025-01-31T12:00:00.000000Z listening on 1\n");
  search.behind = written;
  EXPECT_TRUE(found());
}

TEST_F(LogSearchTest, json_says_whose_a_line_is) {
  search.format = "json";
  write("{\"ts\":\"2025-01-31T12:00:00.000000Z\",\"run\":6,\"text\":\"listening on 1\"}\n");
  search.behind = written;
  EXPECT_FALSE(found());
  write("{\"ts\":\"2025-01-31T12:00:00.000000Z\",\"run\":7,\"text\":\"listening on 1\"}\n");
  EXPECT_TRUE(found());
}

TEST(LogLine, is_unwrapped) {
  EXPECT_EQ("a \"b\"\t\xc3\xa4\\", text_of_line(R"({"ts":"x","run":12,"text":"a \"b\"\tä\\"})", "json").text);
  EXPECT_EQ(12u, text_of_line(R"({"ts":"x","run":12,"text":"a"})", "json").run);
  EXPECT_EQ("a?b", text_of_line(R"({"run":1,"text":"a\udbff\ude80b"})", "json").text);
  EXPECT_EQ("{\"lost\":3}", text_of_line(R"({"lost":3})", "json").text);
  EXPECT_EQ("short", text_of_line("short", "stamped").text);
}

}  // namespace
}  // namespace hearth::probe
