#include <algorithm>
#include <fstream>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "os/crash_point.h"
#include "os/proc_stat.h"
#include "real_keeper.h"

namespace hearth::test {
namespace {

using ports::SpawnOutcome;
using wire::ParkClass;

struct SpawnTest : RealKeeper {};

TEST_F(SpawnTest, a_service_runs_its_output_is_logged_its_exit_code_known_and_nothing_is_left) {
  ASSERT_NO_FATAL_FAILURE(start());
  spec().command = {"sh", "-c", "echo hello from $HEARTH_SLOT run $HEARTH_RUN; exit 7"};
  const ports::SpawnOrder first = order(0, 5);
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(first).outcome);
  ASSERT_TRUE(turn_until_exited(0));
  EXPECT_EQ(CLD_EXITED, client->entry(0).exit_code);
  EXPECT_EQ(7, client->entry(0).exit_status);
  bury(first);
  EXPECT_TRUE(turn_until([&] { return logged(0).find("hello from shop.web.0 run 5\n") != std::string::npos; }))
      << logged(0);
  EXPECT_TRUE(turn_until([&] { return client->output_drained(0, 5); }));
  EXPECT_TRUE(turn_until([&] { return parked_for_slots() == 0; }));
  struct stat st{};
  EXPECT_NE(0, ::stat((instance.directory + "/o/5").c_str(), &st));
  EXPECT_NE(0, ::stat((instance.directory + "/n/5").c_str(), &st));
}

TEST_F(SpawnTest, the_environment_is_the_documents_the_services_and_ours_with_the_pid_patched_in) {
  ASSERT_NO_FATAL_FAILURE(start());
  document.environment = {"LANG=C", "PATH=/usr/bin:/bin", "NOTIFY_SOCKET=/stale", "LISTEN_FDS=9"};
  spec().env = {{"COLOUR", "blue"}};
  spec().listen = {{.name = "http", .address = "unix:" + directory / "http.sock"}};
  spec().command = {"sh", "-c", "env; echo my pid is $$; ulimit -n; echo fd={fd:http}; sleep 1000"};
  ports::SpawnOrder o = order(0, 5);
  o.watchdog = seconds(3);
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(o).outcome);
  ASSERT_TRUE(turn_until([&] { return logged(0).find("fd=3\n") != std::string::npos; })) << logged(0);
  const std::string pid = std::to_string(client->entry(0).pid);
  for (const std::string& line :
       {std::string("LANG=C"), std::string("COLOUR=blue"), std::string("HEARTH_RUN=5"), std::string("LISTEN_FDS=1"),
        std::string("LISTEN_FDNAMES=http"), "LISTEN_PID=" + pid, "WATCHDOG_PID=" + pid,
        std::string("WATCHDOG_USEC=3000000"), "NOTIFY_SOCKET=" + instance.directory + "/n/5",
        "HEARTH_INSTANCE=" + instance.directory, "my pid is " + pid, std::string("1024")})
    EXPECT_NE(std::string::npos, logged(0).find(line + "\n")) << line << "\n" << logged(0);
}

TEST_F(SpawnTest, a_program_that_is_not_there_fails_with_stage_and_errno_and_leaves_nothing) {
  ASSERT_NO_FATAL_FAILURE(start());
  spec().command = {"no-such-program-anywhere"};
  const ports::SpawnOrder o = order(0, 5);
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(o).outcome);
  ASSERT_TRUE(turn_until([&] { return client->entry(0).fail_stage != 0; }));
  EXPECT_EQ(static_cast<std::uint32_t>(wire::SpawnStage::exec), client->entry(0).fail_stage);
  EXPECT_EQ(ENOENT, client->entry(0).fail_errno);
  if (client->entry(0).pid != 0) {
    ASSERT_TRUE(turn_until_exited(0));
  }
  client->reap(0, 5);
  ASSERT_TRUE(turn_until([&] { return client->entry(0).run == no_run; }));
  client->release_run(0, 5);
  EXPECT_TRUE(turn_until([&] { return parked_for_slots() == 0; }));
}

TEST_F(SpawnTest, what_a_service_says_is_heard_by_the_successor_of_who_did_not_live_to_hear_it) {
  ASSERT_NO_FATAL_FAILURE(start());
  spec().command = {bin("hearth-test-lender"), "notify", "READY=1\nSTATUS=warm"};
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(order(0, 5)).outcome);
  consume = false;
  ASSERT_TRUE(turn_until([&] { return !inputs.empty(); }));
  ASSERT_NO_FATAL_FAILURE(crash_supervisor());
  consume = true;
  ASSERT_TRUE(turn_until([&] { return !notified.empty(); }));
  EXPECT_EQ("READY=1\nSTATUS=warm", notified[0].data);
  EXPECT_EQ(5u, notified[0].run);
  EXPECT_EQ(client->entry(0).pid, notified[0].sender_pid);
}

TEST_F(SpawnTest, a_descriptor_given_to_keep_outlives_service_and_supervisor) {
  ASSERT_NO_FATAL_FAILURE(start());
  spec().command = {bin("hearth-test-lender"), "notify", "FDSTORE=1\nFDNAME=null"};
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(order(0, 5)).outcome);
  consume = false;
  ASSERT_TRUE(turn_until([&] { return !inputs.empty(); }));
  inbox->store_descriptors(inputs[0], "null", 16, true);
  ASSERT_NO_FATAL_FAILURE(crash_supervisor());  // before it consumed: the successor stores it again
  ASSERT_TRUE(turn_until([&] { return !inputs.empty(); }));
  inbox->store_descriptors(inputs[0], "null", 16, true);
  inbox->consume(inputs[0]);
  consume = true;
  client->signal(0, 5, 1, SIGTERM);
  bury(order(0, 5));
  spec().command = {"sh", "-c", "echo $LISTEN_FDNAMES; readlink /proc/self/fd/3; sleep 1000"};
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(order(0, 6)).outcome);
  EXPECT_TRUE(turn_until([&] { return logged(0).find("null\n/dev/null\n") != std::string::npos; })) << logged(0);
}

TEST_F(SpawnTest, a_service_under_another_user_reaches_its_socket_and_owns_its_pipe_and_nothing_else) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root starts services under other users";
  ASSERT_NO_FATAL_FAILURE(start());
  spec().process.edit().uid = 65534;
  spec().process.edit().gid = 65534;
  spec().command = {"sh", "-c",
                    bin("hearth-test-lender") + " notify READY=1 & echo again >/dev/stdout; ls " + instance.directory +
                        " || echo closed; wait"};
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(order(0, 5)).outcome);
  ASSERT_TRUE(turn_until([&] { return !notified.empty(); })) << logged(0);
  EXPECT_TRUE(turn_until([&] { return logged(0).find("closed") != std::string::npos; })) << logged(0);
  EXPECT_NE(std::string::npos, logged(0).find("again"));
  struct stat st{};
  ASSERT_EQ(0, ::stat((instance.directory + "/o/5").c_str(), &st));
  EXPECT_EQ(65534u, st.st_uid);
  EXPECT_EQ(0600u, st.st_mode & 07777u);
  ASSERT_EQ(0, ::stat((instance.directory + "/n/5").c_str(), &st));
  EXPECT_EQ(65534u, st.st_uid);
  EXPECT_EQ(0600u, st.st_mode & 07777u);
}

TEST_F(SpawnTest, many_starts_pass_through_the_window) {
  ASSERT_NO_FATAL_FAILURE(start());
  spec().command = {"/bin/true"};
  constexpr SlotIndex many = 200;  // the shape, not the weight: the window turns over three times
  std::vector<bool> done(many, false);
  SlotIndex next = 0;
  ASSERT_TRUE(turn_until([&] {
    while (next < many) {
      ports::SpawnOrder o = order(next, 100 + next);
      if (client->spawn(o).outcome != SpawnOutcome::sent) break;
      ++next;
    }
    for (SlotIndex slot = 0; slot < next; ++slot)
      if (client->entry(slot * 2).exited) done[slot] = true;
    return next == many && std::all_of(done.begin(), done.end(), [](bool d) { return d; });
  }));
  for (SlotIndex slot = 0; slot < many; ++slot) EXPECT_EQ(0, client->entry(slot * 2).exit_status);
}

struct Crash {};
int crash_countdown = 0;
void crash_when_due(const char*) {
  if (--crash_countdown == 0) throw Crash{};
}

TEST_F(SpawnTest, killed_at_any_step_successors_end_with_exactly_one_process) {
  ASSERT_NO_FATAL_FAILURE(start());
  spec().listen = {{.name = "http", .address = "unix:" + directory / "http.sock"}};
  int steps = 0;
  for (int at = 1;; ++at) {
    const ports::SpawnOrder o = order(0, 100 + 2 * static_cast<RunId>(at));  // not the one that is made ahead
    crash_countdown = at;
    os::crash_hook = crash_when_due;
    bool crashed = false;
    try {
      client->spawn(o);
    } catch (const Crash&) {
      crashed = true;
    }
    os::crash_hook = nullptr;
    if (crashed) {
      ASSERT_NO_FATAL_FAILURE(crash_supervisor());
      ASSERT_TRUE(turn_until([&] { return client->spawn(o).outcome == SpawnOutcome::sent; }));
    }
    ASSERT_TRUE(turn_until_watched(0)) << "step " << at;
    // It is seen in /proc once it has executed.
    EXPECT_TRUE(turn_until([&] { return !processes_of(o.run).empty(); }));
    EXPECT_EQ(std::vector<pid_t>{client->entry(0).pid}, processes_of(o.run)) << "step " << at;
    client->signal(0, o.run, static_cast<OpId>(at), SIGTERM);
    bury(o);
    EXPECT_TRUE(turn_until([&] { return parked_for_slots() == 1; })) << "only the listening socket stays";
    EXPECT_TRUE(processes_of(o.run).empty());
    steps = at;
    if (!crashed) break;
  }
  EXPECT_GE(steps, 6);
}

TEST_F(SpawnTest, an_ordinary_user_has_all_of_this_too) {
  if (::geteuid() != 0) GTEST_SKIP() << "becomes that user";
  ASSERT_EQ(0, ::chown(directory.path().c_str(), 65534, 65534));
  ASSERT_EQ(0, ::setgid(65534));
  ASSERT_EQ(0, ::setresuid(65534, 65534, 65534));
  ASSERT_NO_FATAL_FAILURE(start());
  spec().process.edit().uid = 65534;
  spec().command = {"sh", "-c", "echo hello; exit 3"};
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(order(0, 5)).outcome);
  ASSERT_TRUE(turn_until_exited(0));
  EXPECT_EQ(3, client->entry(0).exit_status);
  ASSERT_NO_FATAL_FAILURE(crash_supervisor());
  bury(order(0, 5));
  EXPECT_TRUE(turn_until([&] { return logged(0) == "hello\n"; })) << logged(0);
  EXPECT_TRUE(turn_until([&] { return parked_for_slots() == 0; }));
}

}  // namespace
}  // namespace hearth::test
