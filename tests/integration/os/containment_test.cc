#include <array>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

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
  // The next hearth, when all of one has died, has this tree, and its supervisor knows nothing of the one before.
  void go_on_with(os::CgroupTree cgroups) {
    with_cgroups = true;
    client.reset();
    client = std::make_unique<os::KeeperClient>(*link, std::move(cgroups),
                                                os::ClientOptions{instance.directory, os::parse_nofile("1024:4096")});
  }
  // As from another session.
  os::CgroupTree tree_elsewhere() {
    const os::CgroupTree here = os::CgroupTree::open(instance.directory);
    here.remove();
    elsewhere = here.path().substr(0, here.path().rfind('/')) + "/elsewhere." + std::to_string(::getpid());
    EXPECT_TRUE(!here.usable() || ::mkdir(elsewhere.c_str(), 0755) == 0);
    return os::CgroupTree::open_below(elsewhere, instance.directory);
  }
  void TearDown() override {
    if (elsewhere.empty()) return;
    client->cgroups().remove();
    ::rmdir(elsewhere.c_str());
    os::CgroupTree::open(instance.directory, os::CgroupTree::Missing::leave).remove();
  }
  std::string elsewhere;
  // Shows the same as a process of that run, and is none.
  pid_t stranger_of(RunId run) {
    const std::string names[] = {"HEARTH_INSTANCE=" + instance.directory, "HEARTH_SLOT=shop.web.0",
                                 "HEARTH_RUN=" + std::to_string(run)};
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::execle(
          "/bin/sleep", "sleep", "1000", nullptr,
          std::array{names[0].c_str(), names[1].c_str(), names[2].c_str(), static_cast<const char*>(nullptr)}.data());
      ::_exit(127);
    }
    EXPECT_TRUE(turn_until([&] { return os::environment_of(pid, "HEARTH_SLOT") == "shop.web.0"; }));
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

TEST_F(ContainmentTest, a_run_whose_leaf_stands_in_a_tree_elsewhere_ends_with_it) {
  ASSERT_NO_FATAL_FAILURE(start(true));
  if (!client->cgroups().usable()) GTEST_SKIP() << client->cgroups().why();
  const std::string leaf = client->cgroups().path() + "/shop.web.0.5";
  const pid_t pid = escaped();
  go_on_with(tree_elsewhere());
  ASSERT_TRUE(client->cgroups().usable()) << client->cgroups().why();
  const std::vector<os::RunMember> members =
      os::members_of(client->cgroups(), {instance.directory, "shop.web.0", 5, client->entry(0).start_ticks});
  ASSERT_EQ(1u, members.size()) << "a daemon whose leader has gone would be started once more";
  EXPECT_EQ(pid, members[0].pid);
  EXPECT_TRUE(turn_until([&] { return client->end_tree(0, 5, "shop.web.0"); }));
  EXPECT_FALSE(alive(pid));
  EXPECT_NE(0, ::access(leaf.c_str(), F_OK));
  EXPECT_TRUE(client->sweep_tree(0, 5));
  EXPECT_TRUE(client->take_notes().empty());
}

TEST_F(ContainmentTest, who_has_a_leaf_elsewhere_is_found_by_it_when_the_leader_is_nobodys_zombie_any_more) {
  ASSERT_NO_FATAL_FAILURE(start(true));
  if (!client->cgroups().usable()) GTEST_SKIP() << client->cgroups().why();
  const pid_t pid = escaped();
  go_on_with(tree_elsewhere());
  // Another one has its number, in no leaf: nobody who knows where that stands.
  const pid_t other = ::fork();
  if (other == 0)
    for (;;) ::pause();
  link->table().entry[0].pid.store(other);
  link->table().entry[0].start_ticks.store(os::start_ticks(other) + 1);
  EXPECT_TRUE(turn_until([&] { return client->end_tree(0, 5, "shop.web.0"); }));
  EXPECT_FALSE(alive(pid));
  ::kill(other, SIGKILL);
  ::waitpid(other, nullptr, 0);
}

// The supervisor has removed the leaf, and died before it could have the run reaped.
TEST_F(ContainmentTest, a_leaf_that_a_predecessor_has_removed_proves_that_nobody_is_left) {
  ASSERT_NO_FATAL_FAILURE(start(true));
  if (!client->cgroups().usable()) GTEST_SKIP() << client->cgroups().why();
  escaped();
  EXPECT_TRUE(turn_until([&] { return client->end_tree(0, 5, "shop.web.0"); }));
  ASSERT_TRUE(client->cgroups().leaves().empty());
  // It shows what a process of the run would: a sweep would find it.
  const pid_t stranger = stranger_of(5);
  go_on_with(os::CgroupTree::open(instance.directory));
  EXPECT_TRUE(client->end_tree(0, 5, "shop.web.0"));
  EXPECT_TRUE(client->sweep_tree(0, 5));
  EXPECT_TRUE(alive(stranger));
  ::kill(stranger, SIGKILL);
  ::waitpid(stranger, nullptr, 0);
}

TEST_F(ContainmentTest, leaves_elsewhere_are_looked_for_once_in_a_turn) {
  ASSERT_NO_FATAL_FAILURE(start(true));
  if (!client->cgroups().usable()) GTEST_SKIP() << client->cgroups().why();
  const pid_t pid = escaped();
  const std::string leaf = client->cgroups().path() + "/shop.late.0.5";
  go_on_with(tree_elsewhere());
  link->table().entry[0].start_ticks.store(1);  // of its leader, who would be asked alone, somebody else has the number
  EXPECT_TRUE(client->end_tree(0, 5, "shop.late.0")) << "there is no such leaf";
  ASSERT_EQ(0, ::mkdir(leaf.c_str(), 0755));
  {
    const os::Fd procs(::open((leaf + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
    const std::string number = std::to_string(pid);
    ASSERT_EQ(static_cast<ssize_t>(number.size()), ::write(procs.get(), number.data(), number.size()));
  }
  EXPECT_TRUE(client->end_tree(0, 5, "shop.late.0")) << "nobody reads /proc again in this turn";
  EXPECT_TRUE(alive(pid));
  EXPECT_TRUE(turn_until([&] { return client->end_tree(0, 5, "shop.late.0"); }));
  EXPECT_FALSE(alive(pid)) << "in the next one somebody does";
  EXPECT_TRUE(turn_until([&] { return client->end_tree(0, 5, "shop.web.0"); }));
}

TEST_F(ContainmentTest, a_run_from_before_there_were_cgroups_is_swept) {
  ASSERT_NO_FATAL_FAILURE(start(false));
  const pid_t pid = escaped();
  go_on_with(tree_elsewhere());
  if (!client->cgroups().usable()) GTEST_SKIP() << client->cgroups().why();
  EXPECT_EQ(1u, os::members_of(client->cgroups(), {instance.directory, "shop.web.0", 5, 0}).size());
  EXPECT_TRUE(turn_until([&] { return client->end_tree(0, 5, "shop.web.0"); }));
  EXPECT_TRUE(turn_until([&] { return client->sweep_tree(0, 5); }));
  EXPECT_FALSE(alive(pid));
}

TEST_F(ContainmentTest, the_sweep_finds_who_has_nothing_but_a_leaf) {
  ASSERT_NO_FATAL_FAILURE(start(true));
  if (!client->cgroups().usable()) GTEST_SKIP() << client->cgroups().why();
  const pid_t pid = escaped();
  os::SweepTarget target;
  target.instance = instance.directory;
  target.label = "shop.web.0";
  os::Sweep of_an_earlier_run(target);
  of_an_earlier_run.leave(5, 0);
  EXPECT_TRUE(turn_until([&] { return of_an_earlier_run.step(os::read_mono()) != os::Sweep::State::again; }));
  EXPECT_TRUE(alive(pid));
  os::Sweep sweep(target);
  EXPECT_TRUE(turn_until([&] { return sweep.step(os::read_mono()) != os::Sweep::State::again; }));
  EXPECT_FALSE(alive(pid));
  EXPECT_EQ(1, sweep.killed());
  EXPECT_TRUE(turn_until([&] { return client->end_tree(0, 5, "shop.web.0"); }));
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
