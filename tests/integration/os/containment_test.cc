#include <signal.h>
#include <sys/stat.h>

#include "os/clock.h"
#include "os/proc_stat.h"
#include "os/sweep.h"
#include "real_keeper.h"

namespace hearth::test {
namespace {

using ports::SpawnOutcome;

struct ContainmentTest : RealKeeper {
  // A service whose grandchild has its own session and no environment; the grandchild's PID.
  pid_t escaped() {
    spec().command = {bin("hearth-test-lender"), "escape"};
    EXPECT_EQ(SpawnOutcome::sent, client->spawn(order(0, 5)).outcome);
    EXPECT_TRUE(turn_until([&] { return logged(0).find('\n') != std::string::npos; }));
    const pid_t pid = static_cast<pid_t>(std::strtol(logged(0).c_str(), nullptr, 10));
    EXPECT_TRUE(alive(pid));
    client->start_ticks(0, client->entry(0).pid);
    client->signal(0, 5, 1, SIGTERM);
    EXPECT_TRUE(turn_until_exited(0));
    return pid;
  }
  static bool alive(pid_t pid) {
    os::ProcStat stat;
    return os::read_stat(pid, stat) && stat.state != 'Z';
  }
};

TEST_F(ContainmentTest, with_cgroups_the_end_of_the_tree_is_the_end_of_all_and_the_leaf_goes) {
  ASSERT_NO_FATAL_FAILURE(start(true));
  if (!client->cgroups().usable()) GTEST_SKIP() << client->cgroups().why();
  EXPECT_STREQ("cgroup", client->containment());
  const pid_t pid = escaped();
  EXPECT_TRUE(alive(pid));
  EXPECT_EQ((std::vector<std::string>{"shop.web.0.5"}), client->cgroups().leaves());
  EXPECT_EQ((std::vector<int>{pid}), client->cgroups().processes("shop.web.0", 5));
  EXPECT_TRUE(turn_until([&] { return client->end_tree(0, 5, "shop.web.0"); }));
  EXPECT_FALSE(alive(pid));
  EXPECT_TRUE(client->cgroups().leaves().empty());
}

TEST_F(ContainmentTest, a_leaf_of_a_run_that_never_had_a_process_goes_with_its_reap) {
  ASSERT_NO_FATAL_FAILURE(start(true));
  if (!client->cgroups().usable()) GTEST_SKIP() << client->cgroups().why();
  spec().command = {"/no/such/program"};
  spec().cwd = "/no/such/directory";
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(order(0, 5)).outcome);
  ASSERT_TRUE(turn_until([&] { return client->entry(0).fail_stage != 0; }));
  if (client->entry(0).pid != 0) {
    ASSERT_TRUE(turn_until_exited(0));
    EXPECT_TRUE(turn_until([&] { return client->end_tree(0, 5, "shop.web.0"); }));
  }
  client->reap(0, 5);
  EXPECT_TRUE(turn_until([&] { return client->cgroups().leaves().empty(); }));
}

TEST_F(ContainmentTest, without_cgroups_the_sweep_finds_who_left_session_and_environment_by_the_pipe_it_holds) {
  ASSERT_NO_FATAL_FAILURE(start(false));
  EXPECT_STREQ("sweep", client->containment());
  const pid_t pid = escaped();
  EXPECT_TRUE(client->end_tree(0, 5, "shop.web.0"));
  EXPECT_TRUE(alive(pid)) << "no part of the group";
  EXPECT_TRUE(turn_until([&] { return client->sweep_tree(0, 5); }));
  EXPECT_FALSE(alive(pid));
  EXPECT_TRUE(client->take_notes().empty());
}

TEST_F(ContainmentTest, the_sweep_never_touches_other_runs_or_hearth_itself) {
  ASSERT_NO_FATAL_FAILURE(start(false));
  spec().command = {"/bin/sleep", "1000"};
  ports::SpawnOrder other = order(1, 6);
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(other).outcome);
  ASSERT_TRUE(turn_until_watched(2));
  escaped();
  EXPECT_TRUE(turn_until([&] { return client->sweep_tree(0, 5); }));
  EXPECT_TRUE(alive(client->entry(2).pid));
  EXPECT_TRUE(alive(keeper));
  EXPECT_TRUE(alive(supervisor));
  EXPECT_TRUE(alive(link->table().logger.pid));
  EXPECT_TRUE(alive(link->table().spawner[0].pid));
}

}  // namespace
}  // namespace hearth::test
