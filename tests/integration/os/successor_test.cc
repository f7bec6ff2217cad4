#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "os/control_socket.h"
#include "os/crash_point.h"
#include "os/proc_stat.h"
#include "real_keeper.h"
#include "support/hung_disk.h"

namespace hearth::test {
namespace {

using ports::InputKind;
using ports::SpawnOutcome;

struct SuccessorTest : RealKeeper {
  void kill_keeper() {
    ::kill(keeper, SIGKILL);
    ::waitpid(keeper, nullptr, 0);
    ASSERT_TRUE(turn_until([&] { return link->lost(); }));
  }
  // All of hearth, and nobody else: who starts next begins a new instance in the same directory.
  void kill_everybody() {
    inbox.reset();
    client.reset();
    link.reset();
    // The keeper first: one that lives on would start a supervisor, which would keep the instance.
    ::kill(keeper, SIGKILL);
    ::kill(supervisor, SIGKILL);
    ::waitpid(keeper, nullptr, 0);
    ASSERT_EQ(0, ::unlink((instance.directory + "/lend").c_str()));
  }
  void replace_keeper() {
    Result<os::StartedKeeper> started = os::start_keeper(successor_command());
    ASSERT_TRUE(started) << started.error().text();
    link->hand_over_to(std::move(started->line));
    ASSERT_TRUE(hand_over()) << why;
    client->keeper_replaced();
    keeper = link->table().keeper_pid;
  }
  // True: the new keeper has everything. False: it was given up, `why` says the reason.
  bool hand_over() {
    bool done = false;
    EXPECT_TRUE(turn_until([&] {
      Result<bool> step = link->continue_hand_over();
      if (!step) why = step.error().text();
      done = step && *step;
      return !link->handing_over();
    }));
    return done;
  }
  std::string why;
};

TEST_F(SuccessorTest, a_new_keeper_takes_everything_and_the_services_notice_nothing) {
  ASSERT_NO_FATAL_FAILURE(start());
  spec().command = {"sh", "-c", "echo one; read line < " + (directory / "go") + "; echo two; exit 9"};
  ASSERT_EQ(0, ::mkfifo((directory / "go").c_str(), 0600));
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(order(0, 5)).outcome);
  ASSERT_TRUE(turn_until([&] { return logged(0) == "one\n"; }));
  const pid_t pid = client->entry(0).pid;
  client->start_ticks(0, pid);
  kill_keeper();
  replace_keeper();
  EXPECT_EQ(2u, link->table().keeper_generation);
  ASSERT_TRUE(turn_until([&] { return client->entry(0).watched; }));
  EXPECT_EQ(pid, client->entry(0).pid);
  os::Fd go(::open((directory / "go").c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_EQ(3, ::write(go.get(), "go\n", 3));
  // We are the reaper of what the old keeper left, as PID 1 would be.
  ASSERT_EQ(pid, ::waitpid(pid, nullptr, 0));
  ASSERT_TRUE(turn_until_exited(0));
  const ports::EntryView end = client->entry(0);
  if (end.exit_code != wire::wait_code_unknown) {  // Linux 6.15
    EXPECT_EQ(CLD_EXITED, end.exit_code);
    EXPECT_EQ(9, end.exit_status);
  }
  EXPECT_TRUE(turn_until([&] { return logged(0) == "one\ntwo\n"; })) << logged(0);
  // And it starts new ones.
  spec().command = {"sh", "-c", "exit 4"};
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(order(1, 6)).outcome);
  ASSERT_TRUE(turn_until_exited(2));
  EXPECT_EQ(4, client->entry(2).exit_status);
}

// A message that was sent is in a socket, and goes with the keeper: only the table says who has it.
TEST_F(SuccessorTest, programs_that_the_dead_keeper_had_not_read_are_given_to_the_next) {
  ASSERT_NO_FATAL_FAILURE(start());
  const os::Fd program(::open("/bin/true", O_PATH | O_CLOEXEC));
  const std::uint32_t before = link->table().upgrades;
  ::kill(link->table().keeper_pid, SIGSTOP);
  ASSERT_TRUE(link->give_programs(program.get(), program.get()));
  kill_keeper();
  EXPECT_EQ(before, link->table().upgrades.load());
  EXPECT_FALSE(link->give_programs(program.get(), program.get())) << "to nobody";
  replace_keeper();
  ASSERT_TRUE(link->give_programs(program.get(), program.get()));
  EXPECT_TRUE(turn_until([&] { return link->table().upgrades == before + 1; }));
  EXPECT_TRUE(link->take_back_programs());
  EXPECT_EQ(0u, link->table().upgrades_refused.load());
}

TEST_F(SuccessorTest, a_run_that_ends_while_there_is_no_keeper_is_told_as_ended) {
  ASSERT_NO_FATAL_FAILURE(start());
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(order(0, 5)).outcome);
  ASSERT_TRUE(turn_until_watched(0));
  const pid_t pid = client->entry(0).pid;
  client->start_ticks(0, pid);
  kill_keeper();
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  replace_keeper();
  ASSERT_TRUE(turn_until_exited(0));
  EXPECT_EQ(wire::wait_code_unknown, client->entry(0).exit_code);
  client->reap(0, 5);
  EXPECT_TRUE(turn_until([&] { return client->entry(0).run == no_run; }));
}

// A supervisor that hands over to a new keeper, in a process of its own, and dies: at that place, or when all is done.
struct BrokenHandover : SuccessorTest {
  void die_handing_over(const char* place) {
    kill_keeper();
    const pid_t dying = ::fork();
    if (dying == 0) {
      static const char* wanted = place;
      os::crash_hook = [](const char* at) {
        if (wanted != nullptr && std::string(at) == wanted) ::_exit(0);
      };
      Result<os::StartedKeeper> started = os::start_keeper(successor_command());
      if (started) link->hand_over_to(std::move(started->line));
      ::_exit(started && hand_over() ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(dying, ::waitpid(dying, &status, 0));
    ASSERT_EQ(0, status);
    inbox.reset();
    client.reset();
    link.reset();
    connect();
    keeper = link->table().keeper_pid;
  }
  // As the supervisor does that sees the generation.
  void goes_on(const ports::SpawnOrder& order, pid_t pid) {
    EXPECT_EQ(2u, link->table().keeper_generation);
    EXPECT_EQ(2u, link->table().continued_by) << "its successor would not go on as after the death of all";
    client->take_up(order);
    ASSERT_TRUE(turn_until_watched(order.entry));
    EXPECT_EQ(pid, client->entry(order.entry).pid);
    client->signal(order.entry, order.run, 1, SIGUSR1);
    EXPECT_TRUE(turn_until([&] { return logged(order.slot) == "one\ntwo\n"; })) << logged(order.slot);
    client->signal(order.entry, order.run, 2, SIGKILL);
    ASSERT_TRUE(turn_until([&] { return ::waitpid(pid, nullptr, WNOHANG) == pid; })) << "nobody sent it";
    ASSERT_TRUE(turn_until_exited(order.entry));
  }
  void begin() {
    ASSERT_NO_FATAL_FAILURE(start());
    spec().command = {"sh", "-c", "trap 'echo two' USR1; echo one; while :; do sleep 1000 & wait; done"};
    ASSERT_EQ(SpawnOutcome::sent, client->spawn(order(0, 5)).outcome);
    ASSERT_TRUE(turn_until([&] { return client->entry(0).watched && logged(0) == "one\n"; }));
    client->start_ticks(0, client->entry(0).pid);
  }
};

TEST_F(BrokenHandover, before_any_run_was_handed_over_loses_none) {
  ASSERT_NO_FATAL_FAILURE(begin());
  const pid_t pid = client->entry(0).pid;
  ASSERT_NO_FATAL_FAILURE(die_handing_over("keeper greeted"));
  EXPECT_FALSE(client->entry(0).watched) << "nobody watches it";
  goes_on(order(0, 5), pid);
}

TEST_F(BrokenHandover, before_its_end_was_committed_is_done_again) {
  ASSERT_NO_FATAL_FAILURE(begin());
  const pid_t pid = client->entry(0).pid;
  ASSERT_NO_FATAL_FAILURE(die_handing_over(nullptr));
  goes_on(order(0, 5), pid);
}

// Stopped after it was given everything, it would come to itself one day, find our end closed, kill us and start a
// supervisor; and its lock is the same open file that the next keeper has.
TEST_F(SuccessorTest, a_new_keeper_that_does_not_get_up_is_dead_before_another_is_started) {
  ASSERT_NO_FATAL_FAILURE(start());
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(order(0, 5)).outcome);
  ASSERT_TRUE(turn_until_watched(0));
  const pid_t pid = client->entry(0).pid;
  kill_keeper();
  Result<os::StartedKeeper> started = os::start_keeper(successor_command());
  ASSERT_TRUE(started) << started.error().text();
  const os::Fd& process = started->process;
  ASSERT_EQ(0, os::pidfd_signal(process.get(), SIGSTOP));
  link->hand_over_to(std::move(started->line), milliseconds(50));
  EXPECT_FALSE(hand_over());
  EXPECT_NE(std::string::npos, why.find("in time")) << why;
  EXPECT_TRUE(link->lost());
  pollfd ended{process.get(), POLLIN, 0};
  EXPECT_EQ(1, ::poll(&ended, 1, 10'000)) << "it lives, or nobody killed it";
  // What was ordered meanwhile is with the one that comes.
  ASSERT_TRUE(link->park(os::park_record(wire::ParkClass::spec, no_slot, 77), std::move(*os::make_memfd("m", 1))));
  ASSERT_NO_FATAL_FAILURE(replace_keeper());
  EXPECT_EQ(0u, link->table().supervisor.deaths.load());
  ASSERT_TRUE(turn_until_watched(0));
  EXPECT_EQ(pid, client->entry(0).pid);
}

TEST_F(SuccessorTest, after_the_death_of_all_a_new_instance_adopts_by_name_and_pid) {
  ASSERT_NO_FATAL_FAILURE(start());
  spec().command = {"sh", "-c", "read line < " + (directory / "go") + "; echo still here; sleep 1000"};
  ASSERT_EQ(0, ::mkfifo((directory / "go").c_str(), 0600));
  ASSERT_EQ(SpawnOutcome::sent, client->spawn(order(0, 5)).outcome);
  ASSERT_TRUE(turn_until_watched(0));
  const pid_t pid = client->entry(0).pid;
  const std::uint64_t ticks = client->start_ticks(0, pid);
  ASSERT_NO_FATAL_FAILURE(kill_everybody());
  ASSERT_NO_FATAL_FAILURE(start());
  ASSERT_TRUE(client->adopt(order(0, 5), pid, ticks));
  client->remove_stale_names();
  ASSERT_TRUE(turn_until_watched(0));
  EXPECT_TRUE(client->take_notes().empty());
  os::Fd go(::open((directory / "go").c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_EQ(3, ::write(go.get(), "go\n", 3));
  EXPECT_TRUE(turn_until([&] { return logged(0) == "still here\n"; })) << logged(0);
  client->signal(0, 5, 1, SIGTERM);
  ASSERT_TRUE(turn_until([&] { return client->entry(0).last_op == 1; }));
  ::waitpid(pid, nullptr, 0);
  bury(order(0, 5));
  EXPECT_TRUE(turn_until([&] { return parked_for_slots() == 0; }));
}

// As redis, nginx and others do, which write a title there.
struct YoungRun : SuccessorTest {
  void is_adopted_without_start_time_and_environment(bool cgroups) {
    ASSERT_NO_FATAL_FAILURE(start(cgroups));
    if (cgroups && !client->cgroups().usable()) GTEST_SKIP() << client->cgroups().why();
    spec().command = {bin("hearth-test-lender"), "retitle"};
    ASSERT_EQ(SpawnOutcome::sent, client->spawn(order(0, 5)).outcome);
    ASSERT_TRUE(turn_until([&] { return client->entry(0).watched && logged(0) == "retitled\n"; }));
    const pid_t pid = client->entry(0).pid;
    ASSERT_EQ("", os::environment_of(pid, "HEARTH_RUN"));
    ASSERT_NO_FATAL_FAILURE(kill_everybody());
    ASSERT_NO_FATAL_FAILURE(start(cgroups));
    // What a keeper that goes on from the table finds there.
    wire::RunEntry& entry = link->table().entry[0];
    entry.pid = pid;
    entry.start_ticks = 0;
    wire::raise_entries_end(link->table(), 1);
    entry.run = 5;
    client->take_up(order(0, 5));
    ASSERT_TRUE(turn_until_watched(0)) << "it was taken for gone";
    EXPECT_EQ(pid, client->entry(0).pid);
    EXPECT_EQ(os::start_ticks(pid), entry.start_ticks);
    client->signal(0, 5, 1, SIGKILL);
    ASSERT_TRUE(turn_until([&] { return ::waitpid(pid, nullptr, WNOHANG) == pid; }));
    bury(order(0, 5));
  }
};

TEST_F(YoungRun, that_has_overwritten_its_environment_is_adopted_by_its_leaf) {
  is_adopted_without_start_time_and_environment(true);
}

TEST_F(YoungRun, that_has_overwritten_its_environment_is_adopted_by_its_mark) {
  is_adopted_without_start_time_and_environment(false);
}

// What is asked of a candidate that did not get up.
struct CandidateTest : RealKeeper {
  void SetUp() override {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    command.supervisor = command.logger = "/nowhere";
  }
  // Its end of the line is closed when it ends.
  void start_candidate() {
    Result<os::StartedKeeper> started = os::start_keeper(command);
    ASSERT_TRUE(started) << started.error().text();
    candidate = std::move(*started);
  }
  bool ends() {
    pollfd end{candidate.line.socket.get(), POLLRDHUP, 0};
    return ::poll(&end, 1, 30'000) == 1;
  }
  os::SuccessorCommand command;
  os::StartedKeeper candidate;
};

TEST_F(CandidateTest, says_why_its_program_could_not_be_executed) {
  command.keeper = directory / "missing";
  ASSERT_NO_FATAL_FAILURE(start_candidate());
  ASSERT_TRUE(ends());
  EXPECT_EQ(ENOENT, os::end_of(candidate).not_executed);
  const os::Fd directory_itself(::open(directory.path().c_str(), O_PATH | O_CLOEXEC));
  command.keeper_program = directory_itself.get();
  ASSERT_NO_FATAL_FAILURE(start_candidate());
  ASSERT_TRUE(ends());
  EXPECT_EQ(EACCES, os::end_of(candidate).not_executed);
}

TEST_F(CandidateTest, has_ended_with_a_status_when_it_was_executed) {
  command.keeper = "/bin/false";
  ASSERT_NO_FATAL_FAILURE(start_candidate());
  ASSERT_TRUE(ends());
  siginfo_t end{};
  ASSERT_EQ(0, ::waitid(P_PIDFD, static_cast<id_t>(candidate.process.get()), &end, WEXITED));
  const os::KeeperEnd known = os::end_of(candidate);
  EXPECT_EQ(0, known.not_executed);
  if (!known.status) GTEST_SKIP() << "this kernel does not tell the status of who has been reaped";
  EXPECT_EQ(1, WEXITSTATUS(*known.status));
}

// The installation is on a server that is away: supervision and the API go on.
TEST_F(CandidateTest, whose_disk_hangs_is_not_waited_for) {
  support::HungDisk disk(directory / "disk");
  if (!disk.mounted()) GTEST_SKIP() << "no file system can be mounted here";
  command.keeper = disk.path() + "/hearth-keeper";
  ASSERT_NO_FATAL_FAILURE(start_candidate());
  ASSERT_TRUE(disk.wait_held(1));
  EXPECT_EQ(0, os::end_of(candidate).not_executed) << "it is not known yet";
  disk.answer();
  ASSERT_TRUE(ends());
  EXPECT_EQ(ENOENT, os::end_of(candidate).not_executed);
}

// A keeper that a service manager started, and the supervisor whose keeper has died.
struct OfferTest : RealKeeper {
  os::Fd listen() {
    const os::Fd at(::open(directory.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    Result<os::Fd> listener = os::bind_keeper_socket(at.get(), directory.path());
    EXPECT_TRUE(listener) << listener.error().text();
    return listener ? std::move(*listener) : os::Fd();
  }
};

TEST_F(OfferTest, nobody_there_wants_a_keeper) {
  const os::Offer offer = os::offer_as_keeper(directory.path(), 0);
  EXPECT_FALSE(offer.socket);
  EXPECT_FALSE(offer.ignored);
}

TEST_F(OfferTest, supervisor_that_does_not_answer_is_not_taken_for_a_dead_one) {
  const os::Fd listener = listen();
  const os::Offer offer = os::offer_as_keeper(directory.path(), 0);
  EXPECT_FALSE(offer.socket);
  EXPECT_TRUE(offer.ignored);
}

TEST_F(OfferTest, offer_is_declined_by_closing_it_and_accepted_by_speaking) {
  const os::Fd listener = listen();
  const auto answered = [&](bool accept) {
    const pid_t other = ::fork();
    if (other == 0) {
      pollfd waited{listener.get(), POLLIN, 0};
      ::poll(&waited, 1, -1);
      const os::NewKeeper candidate = os::accept_keeper(listener.get(), ::geteuid());
      if (accept && ::send(candidate.socket.get(), "hello", 5, 0) != 5) ::_exit(1);
      ::_exit(candidate.socket && candidate.process ? 0 : 1);
    }
    os::Offer offer = os::offer_as_keeper(directory.path());
    int status = -1;
    EXPECT_EQ(other, ::waitpid(other, &status, 0));
    EXPECT_EQ(0, status);
    return offer;
  };
  os::Offer offer = answered(false);
  EXPECT_FALSE(offer.socket || offer.ignored);
  offer = answered(true);
  ASSERT_TRUE(offer.socket);
  // It was only looked at: the keeper reads it. And it goes through the keeper's exec.
  char bytes[8];
  EXPECT_EQ(5, ::recv(offer.socket.get(), bytes, sizeof bytes, 0));
  EXPECT_EQ(0, ::fcntl(offer.socket.get(), F_GETFD) & FD_CLOEXEC);
}

}  // namespace
}  // namespace hearth::test
