// A line whose keeper dies, step by step: up -> lost -> handing over -> up, or lost again.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "os/proc_stat.h"
#include "unit/os/fake_keeper.h"
#include "unit/os/few_descriptors.h"
#include "unit/os/marked.h"

namespace hearth::os {
namespace {

using wire::ParkClass;

// Forked before there is a socket whose end it could hold open.
struct Bystander {
  const pid_t pid = ::fork();
  Bystander() {
    if (pid == 0)
      for (;;) ::pause();
    test::mark_as_run(pid);
  }
  ~Bystander() {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
};

struct KeeperHandoverTest : ::testing::Test {
  Bystander bystander;
  test::FakeKeeper keeper;
  std::unique_ptr<KeeperLink> link = keeper.connect();

  bool park(std::uint64_t key) {
    return link->park(park_record(ParkClass::spec, no_slot, key), std::move(*make_memfd("m", 1)));
  }
  void lose() {
    keeper.handle();
    keeper.lose();
    link->receive();
    ASSERT_TRUE(link->lost());
  }
  std::vector<std::uint64_t> keys() {
    link->flush();
    keeper.handle();
    std::vector<std::uint64_t> keys;
    for (const Parked& parked : keeper.parked().all(ParkClass::spec)) keys.push_back(parked.key);
    return keys;
  }
};

TEST_F(KeeperHandoverTest, waits_for_nothing_and_is_over_when_the_new_keeper_announces_a_spawner) {
  ASSERT_TRUE(park(1));
  lose();
  link->hand_over_to(keeper.replace());
  EXPECT_FALSE(link->lost());
  Result<bool> done = link->continue_hand_over();
  ASSERT_TRUE(done);
  EXPECT_FALSE(*done);
  EXPECT_EQ((std::vector<std::uint64_t>{1}), keys());
  done = link->continue_hand_over();
  ASSERT_TRUE(done);
  EXPECT_FALSE(*done) << "it has said nothing";
  keeper.announce_spawners();
  done = link->continue_hand_over();
  ASSERT_TRUE(done);
  EXPECT_TRUE(*done);
  EXPECT_FALSE(link->handing_over());
}

TEST_F(KeeperHandoverTest, goes_on_where_it_was_when_the_socket_was_full_though_the_table_has_changed) {
  std::vector<std::uint64_t> wanted;
  for (std::uint64_t key = 10; key < 1010; ++key) {
    ASSERT_TRUE(park(key));
    keeper.handle();
  }
  lose();
  ASSERT_TRUE(park(1010));
  link->hand_over_to(keeper.replace(64 * 1024));
  ASSERT_TRUE(link->continue_hand_over());
  // Some is on its way, and much is not. Before and behind that place something goes, comes, is replaced.
  EXPECT_FALSE(link->flush());
  for (const std::uint64_t key : {10, 11, 700, 701}) link->unpark(ParkClass::spec, key);
  for (const std::uint64_t key : {1, 11, 701, 2000}) ASSERT_TRUE(park(key));
  for (int step = 0; step < 100; ++step) {
    keeper.handle();
    ASSERT_TRUE(link->continue_hand_over());
  }
  keeper.announce_spawners();
  Result<bool> done = link->continue_hand_over();
  ASSERT_TRUE(done && *done);
  wanted = {1, 11};
  for (std::uint64_t key = 12; key < 1011; ++key)
    if (key != 700) wanted.push_back(key);
  wanted.push_back(2000);
  EXPECT_EQ(wanted, keys());
}

TEST_F(KeeperHandoverTest, signals_and_reaps_come_after_hello) {
  lose();
  link->hand_over_to(keeper.replace());
  keeper.table().entry[4].run = 9;
  link->signal({4, SIGTERM, 9, 1});
  EXPECT_FALSE(link->flush());
  ASSERT_TRUE(link->continue_hand_over());
  EXPECT_TRUE(link->flush());
  keeper.handle();
  ASSERT_EQ(1u, keeper.signals().size());
}

TEST_F(KeeperHandoverTest, a_run_that_cannot_be_opened_now_has_not_ended_and_is_handed_over_later) {
  HEARTH_SKIP_IF_SANITIZED();
  wire::RunEntry& entry = keeper.table().entry[4];
  entry.pid = bystander.pid;
  entry.start_ticks = start_ticks(bystander.pid);
  entry.run = 9;
  lose();
  link->hand_over_to(keeper.replace());
  {
    const test::FewDescriptors none(0);
    Result<bool> done = link->continue_hand_over();
    ASSERT_TRUE(done);
    EXPECT_FALSE(*done);
  }
  EXPECT_EQ(wire::EntryPhase::none, entry.phase.load());
  ASSERT_TRUE(link->continue_hand_over());
  keeper.handle();
  EXPECT_TRUE(keeper.adopted().contains(9));
}

TEST_F(KeeperHandoverTest, a_stranger_that_the_table_names_is_not_handed_over_and_told) {
  wire::RunEntry& entry = keeper.table().entry[4];
  entry.pid = bystander.pid;
  entry.start_ticks = start_ticks(bystander.pid);
  entry.run = 9;
  test::unmark(bystander.pid);
  lose();
  link->hand_over_to(keeper.replace());
  ASSERT_TRUE(link->continue_hand_over());
  keeper.handle();
  EXPECT_FALSE(keeper.adopted().contains(9));
  EXPECT_EQ(wire::EntryPhase::exited, entry.phase.load());
  const std::vector<KeeperLink::Stranger> strangers = link->take_strangers();
  ASSERT_EQ(1u, strangers.size());
  EXPECT_EQ(9u, strangers[0].run);
  EXPECT_EQ(bystander.pid, strangers[0].pid);
  EXPECT_TRUE(link->take_strangers().empty());
}

TEST_F(KeeperHandoverTest, kills_a_keeper_that_says_nothing_in_time_before_it_lets_go_of_it) {
  lose();
  NewKeeper silent = keeper.replace();
  silent.process = Fd(pidfd_open(bystander.pid));
  link->hand_over_to(std::move(silent), 0);
  EXPECT_FALSE(link->continue_hand_over());
  EXPECT_TRUE(link->lost());
  siginfo_t end{};
  EXPECT_EQ(0, ::waitid(P_PID, static_cast<id_t>(bystander.pid), &end, WEXITED | WNOWAIT));
  EXPECT_EQ(CLD_KILLED, end.si_code);
  // And so another one may come.
  ASSERT_TRUE(park(3));
  link->hand_over_to(keeper.replace());
  ASSERT_TRUE(link->continue_hand_over());
  keeper.announce_spawners();
  Result<bool> done = link->continue_hand_over();
  ASSERT_TRUE(done && *done);
  EXPECT_EQ((std::vector<std::uint64_t>{3}), keys());
}

TEST_F(KeeperHandoverTest, a_new_keeper_that_dies_leaves_the_line_lost) {
  lose();
  link->hand_over_to(keeper.replace());
  ASSERT_TRUE(link->continue_hand_over());
  keeper.lose();
  EXPECT_FALSE(link->continue_hand_over());
  EXPECT_TRUE(link->lost());
}

}  // namespace
}  // namespace hearth::os
