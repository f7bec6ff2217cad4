// A keeper has died; what is tried in its place, one after the other, until one has everything. The candidates are one
// without a process (unit/os/fake_keeper.h), and whatever a test says that they died of.
#include "apps/next_keeper.h"

#include <cerrno>
#include <memory>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "os/clock.h"
#include "os/proc_stat.h"
#include "unit/os/fake_keeper.h"

namespace hearth::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct NextKeeperTest : ::testing::Test {
  NextKeeperTest() {
    for (const char* name : {"INVOCATION_ID", "NOTIFY_SOCKET"}) ::unsetenv(name);
    keeper.table().keeper_pid = ::getpid();
    programs.begin(*link, "/nowhere/hearth-logger", now);
    EXPECT_TRUE(until([&] { return !programs.looks_beside(); }));
    (void)programs.refresh(*link, now);
    die();
  }
  template <typename Condition>
  static bool until(Condition holds) {
    const MonoNs end = after(os::read_mono(), seconds(30));
    while (!holds()) {
      if (os::read_mono() >= end) return false;
      ::poll(nullptr, 0, 1);
    }
    return true;
  }
  void die() {
    keeper.lose();
    link->receive();
    ASSERT_TRUE(link->lost());
  }

  // What os::start_keeper would have started.
  Result<os::StartedKeeper> start(const os::SuccessorCommand& command) {
    const std::string program = command.keeper_program >= 0 ? "held" : "beside";
    tried.push_back(program + (command.supervisor_program >= 0 ? "" : " plain"));
    if (no_process) return failure(errno_error("start", "it", EAGAIN));
    int ends[2];
    EXPECT_EQ(0, ::pipe2(ends, O_CLOEXEC | O_NONBLOCK));
    refuses = os::Fd(ends[1]);
    return os::StartedKeeper{keeper.replace(), std::move(end_of_next), os::Fd(ends[0])};
  }
  // The next candidate, at its time.
  void start_next() {
    now = after(now, seconds(1));
    (void)next.start(now);
  }
  void goes_away() {
    keeper.lose();
    while (link->handing_over()) (void)next.hand_over(now);
    ASSERT_TRUE(link->lost());
  }
  void cannot_be_executed(int error) {
    start_next();
    EXPECT_EQ(static_cast<ssize_t>(sizeof error), ::write(refuses.get(), &error, sizeof error));
    goes_away();
  }
  // Nobody can tell of what.
  void ends() {
    start_next();
    goes_away();
  }
  // As wait(2) has it, where the kernel tells.
  void ends_with(int code, int signal = 0) {
    const pid_t child = ::fork();
    if (child == 0) {
      if (signal != 0) ::raise(signal);
      ::_exit(code);
    }
    end_of_next = os::Fd(os::pidfd_open(child));
    EXPECT_EQ(child, ::waitpid(child, nullptr, 0));
    ends();
  }
  void hangs() {
    start_next();
    now = after(now, seconds(10));
    goes_away();
  }
  bool comes_up() {
    keeper.announce_spawners();
    return until([&] {
      if (link->handing_over()) (void)next.hand_over(now);
      keeper.handle();
      return next.take_done();
    });
  }
  static bool kernel_tells_ends() {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    const os::Fd pidfd(os::pidfd_open(child));
    ::waitpid(child, nullptr, 0);
    return os::end_of_reaped(pidfd.get()).has_value();
  }
  // Of those since the last call.
  std::vector<std::string> take_tried() { return std::exchange(tried, {}); }
  std::string next_way() {
    start_next();
    const std::string way = tried.back();
    keeper.lose();
    return way;
  }

  FakeKeeper keeper;
  MonoNs now = seconds(100);
  std::unique_ptr<os::KeeperLink> link = keeper.connect();
  apps::HeldPrograms programs;
  apps::ProgramOptions options;
  std::vector<std::string> notes, tried;
  bool no_process = false;
  os::Fd end_of_next, refuses;
  apps::NextKeeper next{*link, programs, options,
                        apps::NextKeeper::Ways{[this](const os::SuccessorCommand& command) { return start(command); },
                                               [this](std::string text) { notes.push_back(std::move(text)); }}};
};

TEST_F(NextKeeperTest, is_of_what_the_one_before_ran_and_nobody_is_told_more) {
  start_next();
  ASSERT_TRUE(comes_up());
  EXPECT_THAT(tried, ElementsAre("held"));
  EXPECT_THAT(notes, IsEmpty());
}

TEST_F(NextKeeperTest, that_cannot_be_executed_is_followed_by_the_file_beside_us_with_the_programs_that_are_held) {
  cannot_be_executed(EACCES);
  ASSERT_EQ(1u, notes.size());
  EXPECT_THAT(notes[0], HasSubstr("cannot start the program that the keeper ran: Permission denied"));
  start_next();
  ASSERT_TRUE(comes_up());
  EXPECT_THAT(tried, ElementsAre("held", "beside"));
  ASSERT_EQ(2u, notes.size());
  EXPECT_THAT(notes[1], HasSubstr("what it ran could not be started again: the next one is of"));
}

TEST_F(NextKeeperTest, is_tried_in_all_ways_and_then_in_the_first_again) {
  cannot_be_executed(EACCES);
  cannot_be_executed(ENOENT);
  cannot_be_executed(EIO);
  EXPECT_THAT(tried, ElementsAre("held", "beside", "held"));
}

// The machine is short of something: what lies beside us would find no more of it.
TEST_F(NextKeeperTest, is_tried_in_the_same_way_as_long_as_there_is_no_memory_or_descriptor_for_its_exec) {
  for (const int error : {ENOMEM, EAGAIN, EMFILE, ENFILE})
    for (int i = 0; i < 100; ++i) cannot_be_executed(error);
  EXPECT_EQ("held", next_way());
  EXPECT_THAT(take_tried(), ::testing::Each("held"));
  EXPECT_EQ(4u, notes.size()) << "each reason is told once";
}

TEST_F(NextKeeperTest, is_tried_in_the_same_way_as_long_as_there_is_no_process_for_it) {
  no_process = true;
  for (int i = 0; i < 100; ++i) start_next();
  EXPECT_EQ(100u, take_tried().size());
  EXPECT_EQ(1u, notes.size());
  no_process = false;
  EXPECT_EQ("held", next_way());
}

TEST_F(NextKeeperTest, that_does_not_know_the_options_is_started_without_them) {
  if (!kernel_tells_ends()) GTEST_SKIP() << "this kernel does not tell the status of who has been reaped";
  constexpr int usage = 64;
  for (int i = 0; i < 4; ++i) ends_with(usage);
  EXPECT_EQ("held", next_way());
  EXPECT_THAT(take_tried(), ElementsAre("held", "held plain", "beside", "beside plain", "held"));
}

TEST_F(NextKeeperTest, without_programs_is_told_of) {
  if (!kernel_tells_ends()) GTEST_SKIP() << "this kernel does not tell the status of who has been reaped";
  ends_with(64);
  start_next();
  ASSERT_TRUE(comes_up());
  EXPECT_THAT(notes.back(), HasSubstr("supervisor and logger are started from the files beside this supervisor"));
}

// Files that nobody has tried would come up in the place of what has only had no memory for a moment.
TEST_F(NextKeeperTest, that_lacks_what_it_needs_or_is_killed_is_tried_again_for_a_minute) {
  if (!kernel_tells_ends()) GTEST_SKIP() << "this kernel does not tell the status of who has been reaped";
  constexpr int basics = 71;
  for (int i = 0; i < 30; ++i) ends_with(basics);
  for (int i = 0; i < 29; ++i) ends_with(0, SIGKILL);
  ends_with(basics);
  EXPECT_THAT(take_tried(), ::testing::Each("held"));
  EXPECT_EQ("held plain", next_way());
}

// It may be of another version, to which we are a stranger: that is no bad moment.
TEST_F(NextKeeperTest, that_lies_beside_us_and_lacks_what_it_needs_is_left_sooner) {
  if (!kernel_tells_ends()) GTEST_SKIP() << "this kernel does not tell the status of who has been reaped";
  cannot_be_executed(EACCES);
  for (int i = 0; i < 5; ++i) ends_with(71);
  EXPECT_EQ("beside plain", next_way());
}

TEST_F(NextKeeperTest, that_ends_of_nobody_knows_what_is_tried_five_times) {
  for (int i = 0; i < 5; ++i) ends();
  EXPECT_THAT(take_tried(), ElementsAre("held", "held", "held", "held", "held"));
  for (int i = 0; i < 5; ++i) ends();
  EXPECT_THAT(take_tried(), ::testing::Each("held plain"));
  EXPECT_EQ("beside", next_way());
}

// Whom we kill then has had no bad moment.
TEST_F(NextKeeperTest, that_hangs_is_tried_five_times) {
  for (int i = 0; i < 5; ++i) {
    const pid_t child = ::fork();
    if (child == 0)
      for (;;) ::raise(SIGKILL);
    end_of_next = os::Fd(os::pidfd_open(child));
    EXPECT_EQ(child, ::waitpid(child, nullptr, 0));
    hangs();
  }
  EXPECT_EQ("held plain", next_way());
}

TEST_F(NextKeeperTest, that_came_up_leaves_no_doubt_to_the_next_death) {
  cannot_be_executed(EACCES);
  for (int i = 0; i < 4; ++i) ends();
  start_next();
  ASSERT_TRUE(comes_up());
  take_tried();
  die();
  for (int i = 0; i < 5; ++i) ends();
  EXPECT_THAT(take_tried(), ElementsAre("held", "held", "held", "held", "held"));
}

TEST_F(NextKeeperTest, that_the_service_manager_started_is_waited_for_and_counts_for_nothing) {
  ::setenv("INVOCATION_ID", "1", 1);
  ::setenv("NOTIFY_SOCKET", "@nobody", 1);
  EXPECT_EQ(after(now, seconds(5)), next.start(now));
  for (int i = 0; i < 10; ++i) {
    next.offer(keeper.replace());
    EXPECT_EQ(now, next.start(now)) << "at once";
    EXPECT_TRUE(link->handing_over());
    goes_away();
  }
  EXPECT_THAT(tried, IsEmpty());
  now = after(now, seconds(5));
  EXPECT_EQ("held", next_way());
  goes_away();
  next.offer(keeper.replace());
  EXPECT_EQ(now, next.start(now));
  ASSERT_TRUE(comes_up());
  EXPECT_EQ(1u, tried.size());
  for (const char* name : {"INVOCATION_ID", "NOTIFY_SOCKET"}) ::unsetenv(name);
}

TEST_F(NextKeeperTest, that_offers_itself_while_there_is_one_is_declined) {
  start_next();
  ASSERT_TRUE(link->handing_over());
  int ends[2];
  ASSERT_EQ(0, ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
  const os::Fd theirs(ends[1]);
  next.offer({os::Fd(ends[0]), os::Fd()});
  pollfd closed{theirs.get(), POLLRDHUP, 0};
  EXPECT_EQ(1, ::poll(&closed, 1, 0));
  ASSERT_TRUE(comes_up());
}

}  // namespace
}  // namespace hearth::test
