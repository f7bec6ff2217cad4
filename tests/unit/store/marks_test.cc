#include "store/marks.h"

#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <poll.h>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "os/crash_point.h"
#include "os/fd.h"
#include "unit/os/temp_directory.h"

namespace hearth::store {
namespace {

constexpr char instance[] = "/run/hearth/main";

struct MarksTest : ::testing::Test {
  test::TempDirectory directory;
  std::string path = directory / "web.ready";
  Marks marks{instance, BehindOptions{.thread = false}};

  ports::Mark ready(bool there = true, RunId run = 7) const {
    ports::Mark mark;
    mark.path = path;
    mark.there = there;
    mark.label = "shop.web.0";
    mark.run = run;
    mark.pid = 4242;
    mark.since = 1'700'000'000'250'000'000;
    return mark;
  }
  ports::Mark pid(bool there = true) const {
    ports::Mark mark = ready(there);
    mark.kind = ports::Mark::Kind::pid;
    return mark;
  }
  std::string text() const {
    const Result<std::string> read = os::read_file(path);
    return read ? *read : "";
  }
  bool exists() const { return ::access(path.c_str(), F_OK) == 0; }
  void write(const std::string& bytes) const {
    const os::Fd file(::creat(path.c_str(), 0644));
    ASSERT_TRUE(os::write_all(file.get(), bytes, path));
  }
  std::string note() {
    const std::vector<Note> notes = marks.take_notes();
    for (const Note& note : notes) EXPECT_EQ(note.slot, "shop.web.0") << note.text;
    return notes.empty() ? "" : notes.back().text;
  }
};

TEST_F(MarksTest, a_ready_file_comes_with_readiness_and_goes_with_it) {
  marks.want(0, {ready()});
  EXPECT_TRUE(marks.pass());
  EXPECT_EQ(
      "{\"hearth\":\"/run/hearth/main\",\"service\":\"shop.web.0\",\"run\":7,\"pid\":4242,"
      "\"ready_since\":\"2023-11-14T22:13:20.250Z\"}\n",
      text());
  marks.want(0, {ready(false)});
  EXPECT_TRUE(marks.pass());
  EXPECT_FALSE(exists());
}

TEST_F(MarksTest, the_next_run_replaces_what_the_last_one_has_left) {
  marks.want(0, {ready(true, 7)});
  EXPECT_TRUE(marks.pass());
  marks.want(0, {ready(false)});
  marks.want(0, {ready(true, 8)});
  EXPECT_TRUE(marks.pass());
  EXPECT_NE(std::string::npos, text().find("\"run\":8"));
  EXPECT_FALSE(std::filesystem::exists(directory / ".web.ready.hearth"));
}

TEST_F(MarksTest, a_successor_that_says_it_again_changes_nothing_and_removes_what_shall_not_be_there) {
  marks.want(0, {ready()});
  EXPECT_TRUE(marks.pass());
  struct stat before{};
  ::stat(path.c_str(), &before);
  Marks successor(instance, BehindOptions{.thread = false});
  successor.want(0, {ready()});
  EXPECT_TRUE(successor.pass());
  struct stat after{};
  ::stat(path.c_str(), &after);
  EXPECT_EQ(before.st_ino, after.st_ino);
  Marks third(instance, BehindOptions{.thread = false});
  third.want(0, {ready(false)});
  EXPECT_TRUE(third.pass());
  EXPECT_FALSE(exists());
}

TEST_F(MarksTest, what_a_slot_does_not_name_any_more_is_removed) {
  marks.want(0, {ready()});
  EXPECT_TRUE(marks.pass());
  marks.want(0, {});
  EXPECT_TRUE(marks.pass());
  EXPECT_FALSE(exists());
}

TEST_F(MarksTest, a_file_that_another_slot_has_by_now_outlives_the_one_that_had_it) {
  marks.want(0, {ready(true, 7)});
  EXPECT_TRUE(marks.pass());
  marks.want(1, {ready(false)});  // renamed: the new one has not begun
  EXPECT_TRUE(marks.pass());
  EXPECT_NE(std::string::npos, text().find("\"run\":7"));
  marks.want(1, {ready(true, 8)});
  EXPECT_TRUE(marks.pass());
  marks.want(0, {ready(false)});
  EXPECT_TRUE(marks.pass());
  marks.want(0, {});
  EXPECT_TRUE(marks.pass());
  EXPECT_NE(std::string::npos, text().find("\"run\":8"));
  marks.want(1, {ready(false)});
  EXPECT_TRUE(marks.pass());
  EXPECT_FALSE(exists());
}

TEST_F(MarksTest, what_is_not_ours_stays_and_is_told_once) {
  for (const std::string& foreign :
       {std::string("precious"), std::string("{\"hearth\":\"/run/hearth/other\",\"x\":1}")}) {
    write(foreign);
    marks.want(0, {ready(true, 1 + foreign.size())});
    EXPECT_FALSE(marks.pass());
    EXPECT_FALSE(marks.pass());
    EXPECT_EQ(foreign, text());
    const std::vector<Note> notes = marks.take_notes();
    ASSERT_LE(notes.size(), 1u);
  }
  marks.want(0, {ready(false)});
  EXPECT_TRUE(marks.pass()) << "it is not there, as far as we are concerned";
  EXPECT_TRUE(exists());
}

TEST_F(MarksTest, a_conflict_says_what_to_do_and_ends_when_the_file_goes) {
  write("precious");
  marks.want(0, {ready()});
  EXPECT_FALSE(marks.pass());
  EXPECT_EQ("the readiness file " + path +
                " cannot be written: something that is not of this hearth has that name: remove it, or choose another",
            note());
  ::unlink(path.c_str());
  EXPECT_TRUE(marks.pass());
  EXPECT_TRUE(exists());
}

TEST_F(MarksTest, what_was_told_is_taken_back_when_its_cause_is_gone) {
  using Texts = std::vector<std::string>;
  write("precious");
  marks.want(0, {ready()});
  EXPECT_FALSE(marks.pass());
  const std::string told = note();
  EXPECT_EQ(marks.take_settled(), Texts{});
  ::unlink(path.c_str());
  EXPECT_TRUE(marks.pass());
  EXPECT_EQ(marks.take_settled(), Texts{told});
  EXPECT_EQ(marks.take_settled(), Texts{});

  // Not wanted any more: then nothing is missing either.
  write("precious");
  marks.want(0, {ready(true, 8)});
  EXPECT_FALSE(marks.pass());
  EXPECT_EQ(note(), told);
  marks.want(0, {ready(false)});
  EXPECT_TRUE(marks.pass());
  EXPECT_EQ(marks.take_settled(), Texts{told});

  // Gone and there again before anybody has asked: it is true.
  marks.want(0, {ready(true, 9)});
  EXPECT_FALSE(marks.pass());
  ::unlink(path.c_str());
  EXPECT_TRUE(marks.pass());
  write("precious");
  marks.want(0, {ready(true, 10)});
  EXPECT_FALSE(marks.pass());
  EXPECT_EQ(marks.take_settled(), Texts{});
}

TEST_F(MarksTest, a_link_is_never_followed) {
  const std::string target = directory / "target";
  const os::Fd file(::creat(target.c_str(), 0644));
  ASSERT_EQ(0, ::symlink(target.c_str(), path.c_str()));
  marks.want(0, {ready()});
  EXPECT_FALSE(marks.pass());
  struct stat st{};
  ::stat(target.c_str(), &st);
  EXPECT_EQ(0, st.st_size);
  ::unlink(path.c_str());
  ASSERT_EQ(0, ::link(target.c_str(), path.c_str()));
  EXPECT_FALSE(marks.pass()) << "a second name of somebody's file";
}

TEST_F(MarksTest, a_PID_file_is_a_number_and_a_stale_one_is_replaced) {
  write("31337\n");
  marks.want(0, {pid()});
  EXPECT_TRUE(marks.pass());
  EXPECT_EQ("4242\n", text());
  write("31337\n");
  marks.want(0, {pid(false)});
  EXPECT_TRUE(marks.pass());
  EXPECT_FALSE(exists());
  write("31337 and more\n");
  marks.want(0, {pid()});
  EXPECT_FALSE(marks.pass());
}

TEST_F(MarksTest, a_directory_that_is_missing_is_told_and_waited_for) {
  path = directory / "later/web.ready";
  marks.want(0, {ready()});
  EXPECT_FALSE(marks.pass());
  EXPECT_EQ("the readiness file " + path + " cannot be written: No such file or directory", note());
  EXPECT_FALSE(marks.pass());
  EXPECT_EQ("", note());
  std::filesystem::create_directory(directory / "later");
  EXPECT_TRUE(marks.pass());
  EXPECT_TRUE(exists());
}

TEST_F(MarksTest, half_a_file_of_a_killed_writer_is_no_hindrance) {
  const os::Fd half(::creat((directory / ".web.ready.hearth").c_str(), 0644));
  marks.want(0, {ready()});
  EXPECT_TRUE(marks.pass());
  EXPECT_TRUE(exists());
}

// Files that others touch: `told`: something was said to have happened.
struct TouchedMarks : MarksTest {
  void SetUp() override {
    marks.want(0, {ready()});
    ASSERT_TRUE(marks.pass());
    ASSERT_FALSE(told());
  }
  bool told() const {
    pollfd polled{marks.watch(), POLLIN, 0};
    return ::poll(&polled, 1, 0) == 1;
  }
  // proc(5): a line for each.
  int watches() const {
    std::ifstream lines("/proc/self/fdinfo/" + std::to_string(marks.watch()));
    int count = 0;
    for (std::string line; std::getline(lines, line);) count += line.starts_with("inotify wd:") ? 1 : 0;
    return count;
  }
};

TEST_F(TouchedMarks, one_that_somebody_removes_is_put_back_and_told_once) {
  for (int time = 0; time < 3; ++time) {
    const std::string before = text();
    ::unlink(path.c_str());
    EXPECT_TRUE(told());
    marks.look_again();
    EXPECT_FALSE(marks.pass()) << "whoever does it again waits longer each time";
    EXPECT_EQ(before, text());
    EXPECT_TRUE(marks.pass());
    EXPECT_EQ(time == 0 ? "the readiness file " + path +
                              " was removed by somebody and is put back, this time and each time from now on"
                        : "",
              note());
    EXPECT_FALSE(told());
  }
}

TEST_F(TouchedMarks, one_that_has_got_another_name_is_put_back_and_the_other_one_left) {
  const std::string other = directory / "aside";
  ASSERT_EQ(0, ::rename(path.c_str(), other.c_str()));
  EXPECT_TRUE(told());
  marks.look_again();
  EXPECT_FALSE(marks.pass());
  EXPECT_TRUE(exists());
  EXPECT_TRUE(std::filesystem::exists(other));
}

TEST_F(TouchedMarks, one_in_whose_place_somebody_puts_his_own_is_left_and_told) {
  const std::string other = directory / "other";
  const os::Fd file(::creat(other.c_str(), 0644));
  ASSERT_EQ(0, ::rename(other.c_str(), path.c_str()));
  EXPECT_TRUE(told());
  marks.look_again();
  EXPECT_FALSE(marks.pass());
  EXPECT_NE(std::string::npos, note().find("not of this hearth"));
}

TEST_F(TouchedMarks, one_that_somebody_overwrites_is_left_and_told_at_once) {
  write("precious");
  EXPECT_TRUE(told());
  marks.look_again();
  EXPECT_FALSE(marks.pass());
  EXPECT_EQ("precious", text());
  EXPECT_NE(std::string::npos, note().find("not of this hearth"));
  ::unlink(path.c_str());
  EXPECT_FALSE(marks.pass());
  EXPECT_TRUE(marks.pass());
  EXPECT_NE(std::string::npos, text().find("\"run\":7"));
}

TEST_F(TouchedMarks, a_PID_file_with_another_number_in_it_is_put_back) {
  path = directory / "web.pid";
  marks.want(0, {pid()});
  ASSERT_TRUE(marks.pass());
  marks.look_again();
  ASSERT_TRUE(marks.pass());
  write("31337\n");
  EXPECT_TRUE(told());
  marks.look_again();
  EXPECT_FALSE(marks.pass()) << "whoever does it again waits longer each time";
  EXPECT_EQ("4242\n", text());
  EXPECT_TRUE(marks.pass());
  EXPECT_EQ(
      "the PID file " + path + " was overwritten by somebody and is put back, this time and each time from now on",
      note());
}

TEST_F(TouchedMarks, one_that_is_written_with_the_same_is_as_it_was) {
  write(text());
  EXPECT_TRUE(told());
  marks.look_again();
  EXPECT_TRUE(marks.pass());
  EXPECT_EQ("", note());
}

struct MovedMarks : MarksTest {
  void SetUp() override {
    std::filesystem::create_directory(directory / "d");
    path = directory / "d/web.ready";
    marks.want(0, {ready()});
    ASSERT_TRUE(marks.pass());
  }
  bool told() const {
    pollfd polled{marks.watch(), POLLIN, 0};
    return ::poll(&polled, 1, 0) == 1;
  }
};

TEST_F(MovedMarks, a_directory_that_is_moved_away_is_told_at_once_and_when_it_is_over) {
  std::filesystem::rename(directory / "d", directory / "e");
  EXPECT_TRUE(told());
  marks.look_again();
  EXPECT_FALSE(marks.pass());
  EXPECT_EQ("the readiness file " + path + " cannot be written: No such file or directory", note());
  std::filesystem::create_directory(directory / "d");
  EXPECT_FALSE(marks.pass()) << "put back";
  EXPECT_TRUE(exists());
  EXPECT_TRUE(marks.pass());
  const std::vector<std::string> over = {"the readiness file " + path +
                                         " cannot be written: No such file or directory"};
  EXPECT_EQ(over, marks.take_settled());
}

TEST_F(MovedMarks, others_that_come_and_go_in_its_directory_wake_nobody) {
  for (const char* name : {"d/a", "d/b"}) {
    const os::Fd file(::creat((directory / name).c_str(), 0644));
    ::unlink((directory / name).c_str());
  }
  EXPECT_FALSE(told());
}

TEST_F(TouchedMarks, what_we_remove_ourselves_is_not_put_back) {
  marks.want(0, {ready(false)});
  EXPECT_TRUE(marks.pass());
  marks.look_again();
  EXPECT_TRUE(marks.pass());
  EXPECT_FALSE(exists());
  EXPECT_EQ("", note());
  marks.want(0, {ready(true, 8)});
  EXPECT_TRUE(marks.pass());
  marks.look_again();
  EXPECT_TRUE(marks.pass());
  EXPECT_EQ("", note());
}

// A second name of it, as a backup by `cp --link` makes: we never write into a file, so to take ours away harms nobody.
TEST_F(TouchedMarks, one_that_has_a_second_name_is_still_ours) {
  const std::string backup = directory / "backup";
  ASSERT_EQ(0, ::link(path.c_str(), backup.c_str()));
  marks.look_again();
  EXPECT_TRUE(marks.pass());
  EXPECT_EQ("", note());
  marks.want(0, {ready(false)});
  EXPECT_TRUE(marks.pass());
  EXPECT_FALSE(exists());
  EXPECT_TRUE(std::filesystem::exists(backup));
  EXPECT_EQ(watches(), 0);
}

TEST_F(TouchedMarks, none_is_watched_any_more_under_another_name) {
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(0, ::rename(path.c_str(), (directory / ("aside" + std::to_string(i))).c_str()));
    marks.look_again();
    EXPECT_FALSE(marks.pass());
    EXPECT_TRUE(marks.pass());
    EXPECT_EQ(watches(), 2) << "of the file, and of its directory";
    EXPECT_TRUE(exists());
  }
  ::unlink(path.c_str());
  EXPECT_TRUE(told());
  marks.look_again();
  EXPECT_FALSE(marks.pass());
  EXPECT_TRUE(exists());
}

// Somebody who touches them faster than they are looked at.
TEST_F(TouchedMarks, a_look_has_an_end_while_others_go_on) {
  const std::string other = directory / "web.pid";
  ports::Mark number = pid();
  number.path = other;
  marks.want(0, {ready(), number});
  ASSERT_TRUE(marks.pass());
  for (int i = 0; i < 6'000; ++i) ASSERT_EQ(0, ::chmod((i % 2 == 0 ? path : other).c_str(), 0644));
  marks.look_again();
  EXPECT_TRUE(told()) << "the rest is for the next turn";
  for (int i = 0; i < 4; ++i) marks.look_again();
  EXPECT_FALSE(told());
}

TEST_F(TouchedMarks, a_successor_watches_what_it_finds) {
  Marks successor(instance, BehindOptions{.thread = false});
  successor.want(0, {ready()});
  EXPECT_TRUE(successor.pass());
  ::unlink(path.c_str());
  successor.look_again();
  EXPECT_FALSE(successor.pass());
  EXPECT_TRUE(exists());
}

// Removed, and told so, at the worst moment of a pass: the file has been looked at, and is not yet noted as done.
struct TouchedInAPass : TouchedMarks {
  static inline TouchedInAPass* self = nullptr;
  void SetUp() override {
    TouchedMarks::SetUp();
    self = this;
    os::crash_hook = [](const char* place) {
      if (std::string_view(place) != "mark made") return;
      os::crash_hook = nullptr;
      ::unlink(self->path.c_str());
      EXPECT_TRUE(self->told());
      self->marks.look_again();
    };
  }
  ~TouchedInAPass() override { os::crash_hook = nullptr; }
};

TEST_F(TouchedInAPass, one_that_has_just_been_made_is_put_back) {
  marks.want(0, {ready(true, 8)});
  EXPECT_FALSE(marks.pass());
  EXPECT_FALSE(exists());
  EXPECT_TRUE(marks.pass());
  EXPECT_NE(std::string::npos, text().find("\"run\":8"));
}

TEST_F(TouchedInAPass, one_that_has_just_been_found_there_is_put_back) {
  const std::string before = text();
  marks.want(0, {ready(false)});
  marks.want(0, {ready()});
  EXPECT_FALSE(marks.pass());
  EXPECT_FALSE(exists());
  EXPECT_TRUE(marks.pass());
  EXPECT_EQ(before, text());
}

TEST_F(MarksTest, its_own_thread_does_the_same) {
  Marks threaded(instance);
  for (RunId run = 1; run < 100; ++run) threaded.want(0, {ready(run % 2 == 1, run)});
  EXPECT_TRUE(threaded.settle(seconds(10)));
  EXPECT_NE(std::string::npos, text().find("\"run\":99,"));
}

}  // namespace
}  // namespace hearth::store
