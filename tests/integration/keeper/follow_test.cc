// Runs whose leader leaves a daemon: the keeper goes on with that one, if it is its own to go on with.
#include <csignal>
#include <cstdlib>
#include <string>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "integration/keeper/harness.h"

namespace hearth::test {
namespace {

using wire::EntryPhase;

class Follow : public testing::Test {
 protected:
  void SetUp() override {
    h.accept_supervisor();
    h.take_over_from_keeper();
  }
  static Fd pidfd_of(pid_t pid) { return Fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))); }
  // The PID of the daemon; its leader has ended.
  pid_t leave_daemon(EntryIndex entry, RunId run, const char* session = "1") {
    auto [read_end, write_end] = make_pipe();
    Plan plan = service_plan(entry, run, {"leave-daemon", session});
    plan.descriptors = {{0, 1}};
    h.spawn(plan, {write_end.get()});
    write_end.reset();
    std::string number;
    for (std::string one; (one = read_some(read_end.get(), 1)) != "\n" && !one.empty();) number += one;
    EXPECT_TRUE(h.until([&] { return h.exited(entry); }));
    speaks.push_back(std::move(read_end));
    return std::atoi(number.c_str());
  }
  void follow(EntryIndex entry, RunId run, pid_t pid) {
    const Fd pidfd = pidfd_of(pid);
    ASSERT_GE(pidfd.get(), 0);
    ASSERT_TRUE(
        h.supervisor.send<wire::FollowRecord>(wire::MessageType::follow, {{entry, pid, run, 77}}, {pidfd.get()}));
  }
  bool followed(EntryIndex entry) { return h.entry(entry).phase.load() == wire::with_main(EntryPhase::watched); }
  // All that was sent before has been handled when this one has.
  void expect_ignored(EntryIndex entry, pid_t leader) {
    ASSERT_TRUE(h.signal(entry, h.entry(entry).run.load(), ++op_, SIGCONT));
    EXPECT_TRUE(h.until([&] { return h.entry(entry).last_op.load() == op_; }));
    EXPECT_EQ(h.entry(entry).phase.load(), EntryPhase::exited);
    EXPECT_EQ(h.entry(entry).pid.load(), leader);
    EXPECT_EQ(state_of(leader), 'Z');
  }
  Instance h;
  std::vector<Fd> speaks;
  OpId op_ = 100;
};

TEST_F(Follow, TheDaemonIsTheRunFromThereOnAndItsEndIsKnown) {
  const pid_t daemon = leave_daemon(0, 1);
  const pid_t leader = h.entry(0).pid.load();
  ASSERT_NE(leader, daemon);
  follow(0, 1, daemon);
  ASSERT_TRUE(h.until([&] { return followed(0); }));
  EXPECT_EQ(h.entry(0).pid.load(), daemon);
  EXPECT_EQ(h.entry(0).start_ticks.load(), 77u);
  EXPECT_TRUE(h.until([&] { return state_of(leader) == 0; })) << "its leader is reaped";
  ASSERT_TRUE(h.signal(0, 1, 1, SIGUSR1));
  ASSERT_TRUE(h.until([&] { return h.entry(0).phase.load() == wire::with_main(EntryPhase::exited); }));
  EXPECT_EQ(h.entry(0).wait_code, CLD_KILLED);
  EXPECT_EQ(h.entry(0).wait_status, SIGUSR1);
  EXPECT_EQ(state_of(daemon), 'Z') << "held until REAP";
  EXPECT_TRUE(h.keeper_rests());
  ASSERT_TRUE(h.reap(0, 1));
  ASSERT_TRUE(h.until([&] { return h.entry(0).run.load() == no_run && state_of(daemon) == 0; }));
  EXPECT_EQ(h.entry(0).phase.load(), EntryPhase::none);
  EXPECT_EQ(h.table->strays_reaped.load(), 0u);
}

TEST_F(Follow, ADaemonInItsLeadersGroupIsSignalledWithIt) {
  const pid_t daemon = leave_daemon(0, 1, "0");
  follow(0, 1, daemon);
  ASSERT_TRUE(h.until([&] { return followed(0); }));
  ASSERT_TRUE(h.signal(0, 1, 1, SIGTERM));
  ASSERT_TRUE(h.until([&] { return h.entry(0).phase.load() == wire::with_main(EntryPhase::exited); }));
  EXPECT_EQ(h.entry(0).wait_status, SIGTERM);
}

TEST_F(Follow, ItIsAskedForTwiceAndDoneOnce) {
  const pid_t daemon = leave_daemon(0, 1), other = leave_daemon(2, 2);
  follow(0, 1, daemon);
  follow(0, 1, daemon);
  follow(0, 1, other);
  ASSERT_TRUE(h.until([&] { return followed(0); }));
  follow(2, 2, other);
  ASSERT_TRUE(h.until([&] { return followed(2); }));
  EXPECT_EQ(h.entry(0).pid.load(), daemon);
  EXPECT_EQ(h.entry(2).pid.load(), other);
}

TEST_F(Follow, NobodyIsFollowedWhoIsNotTheRuns) {
  (void)leave_daemon(0, 1);
  const pid_t leader = h.entry(0).pid.load();
  h.accept_logger();
  for (const pid_t hearths : {h.supervisor.pid, h.logger.pid, h.keeper}) follow(0, 1, hearths);
  (void)leave_daemon(2, 2);
  follow(0, 1, h.entry(2).pid.load());  // another run's leader
  const pid_t foreign = fork();
  if (foreign == 0)
    for (;;) pause();
  follow(0, 1, foreign);
  expect_ignored(0, leader);
  EXPECT_TRUE(alive(foreign));
  kill(foreign, SIGKILL);
  ASSERT_TRUE(wait_child(foreign).has_value());
}

TEST_F(Follow, ALeaderThatHasFailedOrLivesLeavesNobodyToFollow) {
  const pid_t daemon = leave_daemon(0, 1);
  h.spawn(service_plan(2, 2, {"exit", "3"}));
  ASSERT_TRUE(h.until([&] { return h.exited(2); }));
  const pid_t failed = h.entry(2).pid.load();
  follow(2, 2, daemon);
  follow(0, 9, daemon);  // another run than the entry's
  expect_ignored(2, failed);
  EXPECT_EQ(h.entry(0).phase.load(), EntryPhase::exited);
}

}  // namespace
}  // namespace hearth::test
