// A keeper is killed, and a living supervisor (here: the test) starts its successor.

#include <chrono>
#include <fcntl.h>
#include <filesystem>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "integration/keeper/harness.h"

namespace hearth::test {
namespace {

using wire::EntryPhase;
using wire::MessageType;

class TakeOver : public testing::Test {
 protected:
  void SetUp() override {
    h.accept_supervisor();
    h.take_over_from_keeper();
  }
  pid_t start_service(EntryIndex entry, RunId run, const std::vector<std::string>& arguments = {"pause"}) {
    auto [read_end, write_end] = make_pipe();
    Plan plan = service_plan(entry, run, arguments);
    plan.descriptors = {{0, 1}};
    h.spawn(plan, {write_end.get()});
    write_end.reset();
    EXPECT_FALSE(read_some(read_end.get(), 1).empty());
    speaks.push_back(std::move(read_end));
    return h.entry(entry).pid.load();
  }
  Fd pidfd_of(pid_t pid) { return Fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))); }
  bool adopt(EntryIndex entry, RunId run, int pidfd) {
    return h.supervisor.send<wire::RunRecord>(MessageType::adopt, {{entry, 0, run}}, {pidfd});
  }
  // The dead keeper's children are ours now: what init does, we do.
  void replace_keeper(std::uint32_t generation, const KeeperOptions& options = {}) {
    const pid_t spawners[] = {h.table->spawner[0].pid.load(), h.table->spawner[1].pid.load()};
    kill(h.keeper, SIGKILL);
    ASSERT_TRUE(wait_child(h.keeper).has_value());
    for (pid_t pid : spawners) ASSERT_TRUE(wait_child(pid)) << "a spawner outlived its keeper";
    h.start_successor_of_keeper(generation, options);
  }
  static bool kernel_tells_exits() {
    const pid_t child = fork();
    if (child == 0) _exit(5);
    const int fd = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
    waitpid(child, nullptr, 0);
    std::uint64_t info[8] = {1u << 3};
    const bool can = ioctl(fd, _IOWR(0xff, 11, info), info) == 0 && (info[0] & (1u << 3)) != 0;
    close(fd);
    return can;
  }
  ScarceEpoll scarce;  // outlives the keeper
  Instance h;
  std::vector<Fd> speaks;
};

// A run that is not seen would end unseen, and never be started again.
TEST_F(TakeOver, AdoptsARunThatEpollHasNoRoomForAsSoonAsItHas) {
  const pid_t pid = start_service(0, 1);
  Fd fd = pidfd_of(pid);
  replace_keeper(2, {.scarce_epoll = &scarce});
  scarce.refuse_pidfds(2);
  ASSERT_TRUE(adopt(0, 1, fd.get()));
  ASSERT_TRUE(h.until([&] { return scarce.refused() == 2; }));
  ASSERT_TRUE(h.until([&] { return h.entry(0).phase.load() == EntryPhase::adopted; }));
  ASSERT_TRUE(h.signal(0, 1, 1, SIGTERM));
  ASSERT_TRUE(wait_child(pid).has_value());
  ASSERT_TRUE(h.until([&] { return h.exited(0); }));
}

TEST_F(TakeOver, SaysOfWhomItHasNoDescriptorToWatchHim) {
  const pid_t pid = start_service(0, 1);
  Fd fd = pidfd_of(pid);
  replace_keeper(2);
  rlimit all{};
  ASSERT_EQ(prlimit(h.keeper, RLIMIT_NOFILE, nullptr, &all), 0);
  const rlimit none{3, all.rlim_max};
  ASSERT_EQ(prlimit(h.keeper, RLIMIT_NOFILE, &none, nullptr), 0);
  const std::uint32_t before = h.table->parks_refused;
  ASSERT_TRUE(adopt(0, 1, fd.get()));
  ASSERT_TRUE(h.until([&] { return h.table->parks_refused == before + 1; }));
  EXPECT_EQ(h.entry(0).phase.load(), EntryPhase::none);
  ASSERT_EQ(prlimit(h.keeper, RLIMIT_NOFILE, &all, nullptr), 0);
  ASSERT_TRUE(adopt(0, 1, fd.get()));
  ASSERT_TRUE(h.until([&] { return h.entry(0).phase.load() == EntryPhase::adopted; }));
}

TEST_F(TakeOver, LeavesRunsUntouchedAndTheirExitCodesKnown) {
  const pid_t killed = start_service(0, 1), exits = start_service(2, 2, {"leave-child"}), stays = start_service(4, 3),
              early = start_service(6, 4);
  std::vector<std::pair<EntryIndex, Fd>> pidfds;
  for (const auto& [entry, pid] : {std::pair{0u, killed}, {2u, exits}, {4u, stays}, {6u, early}})
    pidfds.emplace_back(entry, pidfd_of(pid));
  replace_keeper(2);
  EXPECT_EQ(h.table->keeper_generation.load(), 2u);
  EXPECT_EQ(h.table->keeper_pid.load(), h.keeper);
  EXPECT_TRUE(alive(stays));
  // One ends before the new keeper has heard of it.
  kill(early, SIGKILL);
  ASSERT_TRUE(wait_child(early).has_value());
  for (const auto& [entry, fd] : pidfds) ASSERT_TRUE(adopt(entry, h.entry(entry).run.load(), fd.get()));
  ASSERT_TRUE(h.until([&] { return h.entry(4).phase.load() == EntryPhase::adopted && h.exited(6); }));
  const bool told = kernel_tells_exits();
  EXPECT_EQ(h.entry(6).wait_code, told ? CLD_KILLED : wire::wait_code_unknown);
  // Signals work, to the whole group, and only once.
  ASSERT_TRUE(h.signal(2, 2, 1, SIGTERM));
  ASSERT_TRUE(wait_child(exits).has_value());
  EXPECT_EQ(read_some(speaks[1].get(), 1), "") << "the rest of the group lives";
  ASSERT_TRUE(h.signal(0, 1, 2, SIGUSR1));
  ASSERT_TRUE(wait_child(killed).has_value());
  ASSERT_TRUE(h.until([&] { return h.exited(0) && h.exited(2); }));
  EXPECT_EQ(h.entry(0).wait_code, told ? CLD_KILLED : wire::wait_code_unknown);
  EXPECT_EQ(h.entry(0).wait_status, told ? SIGUSR1 : 0);
  ASSERT_TRUE(h.reap(0, 1));
  ASSERT_TRUE(h.until([&] { return h.entry(0).run.load() == no_run && h.entry(0).claim.load() == 0; }));
  // New runs are the new keeper's children.
  h.spawn(service_plan(0, 9, {"exit", "4"}));
  ASSERT_TRUE(h.until([&] { return h.exited(0); }));
  EXPECT_EQ(h.entry(0).wait_status, 4);
}

// The file system of the file that is held may have gone, or forbid it by now.
TEST_F(TakeOver, ExecutesThePathWhereTheProgramThatItWasGivenCannotBeExecuted) {
  const std::string program_file = h.dir + "/supervisor";
  std::filesystem::copy_file(program("hearth-test-member"), program_file);
  const int held = open(program_file.c_str(), O_PATH);  // inherited
  ASSERT_GE(held, 0);
  replace_keeper(2, {.more = {"--supervisor-program", std::to_string(held)}});
  close(held);
  const auto next = [&] {
    h.kill_supervisor();
    h.accept_supervisor();
    return std::filesystem::read_symlink("/proc/" + std::to_string(h.supervisor.pid) + "/exe").string();
  };
  EXPECT_EQ(next(), program_file);
  ASSERT_EQ(chmod(program_file.c_str(), 0600), 0);
  h.take_over_from_keeper();
  EXPECT_EQ(next(), program("hearth-test-member"));
}

// Of numbers beyond those of the children, too: it would run, and could never start anybody.
TEST_F(TakeOver, ADescriptorThatAnOptionNamesIsOpenAndNamedOnce) {
  EXPECT_EQ(wait_child(h.start_keeper({"--supervisor-program", "9999"})), std::optional(71 << 8));
  EXPECT_NE(h.said().find("a descriptor that an option names is not open"), std::string::npos);
  EXPECT_EQ(wait_child(h.start_keeper({"--supervisor-program", "0", "--logger-program", "0"})), std::optional(64 << 8));
  EXPECT_NE(h.said().find("two options name one descriptor"), std::string::npos);
}

TEST_F(TakeOver, FindsAnExitUnknownWhenNobodyReaps) {
  const pid_t pid = start_service(0, 1);
  Fd fd = pidfd_of(pid);
  replace_keeper(2);
  ASSERT_TRUE(adopt(0, 1, fd.get()));
  ASSERT_TRUE(h.until([&] { return h.entry(0).phase.load() == EntryPhase::adopted; }));
  kill(pid, SIGKILL);  // and we do not wait for it
  ASSERT_TRUE(h.until([&] { return h.exited(0); }));
  EXPECT_EQ(h.entry(0).wait_code, wire::wait_code_unknown);
}

// The time in which it gives up a status passes while it is stopped.
TEST_F(TakeOver, AsksOnceMoreBeforeItGivesUpAStatus) {
  if (!kernel_tells_exits()) GTEST_SKIP() << "no kernel tells a status after the reaping before Linux 6.15";
  const pid_t pid = start_service(0, 1);
  Fd fd = pidfd_of(pid);
  replace_keeper(2);
  ASSERT_TRUE(adopt(0, 1, fd.get()));
  ASSERT_TRUE(h.until([&] { return h.entry(0).phase.load() == EntryPhase::adopted; }));
  kill(pid, SIGKILL);
  start_service(2, 2);  // the keeper has had its turns: it knows of the zombie
  kill(h.keeper, SIGSTOP);
  int status = 0;
  ASSERT_EQ(waitpid(h.keeper, &status, WUNTRACED), h.keeper);
  ASSERT_TRUE(wait_child(pid).has_value());
  // What is to pass is the keeper's own second.
  const auto over = std::chrono::steady_clock::now() + std::chrono::milliseconds(1'100);
  ASSERT_TRUE(h.until([&] { return std::chrono::steady_clock::now() > over; }));
  kill(h.keeper, SIGCONT);
  ASSERT_TRUE(h.until([&] { return h.exited(0); }));
  EXPECT_EQ(h.entry(0).wait_code, CLD_KILLED);
}

TEST_F(TakeOver, LosesNoStatusThatWasKnownBefore) {
  h.spawn(service_plan(0, 1, {"exit", "9"}));
  ASSERT_TRUE(h.until([&] { return h.exited(0); }));
  const pid_t zombie = h.entry(0).pid.load();
  replace_keeper(2);
  ASSERT_TRUE(wait_child(zombie).has_value());
  EXPECT_EQ(h.entry(0).wait_status, 9);
  ASSERT_TRUE(h.signal(0, 1, 1, SIGKILL));  // the number may be anybody's now: nothing is sent
  ASSERT_TRUE(h.reap(0, 1));
  ASSERT_TRUE(h.until([&] { return h.entry(0).run.load() == no_run && h.entry(0).claim.load() == 0; }));
  h.spawn(service_plan(0, 2, {"exit", "4"}));
  ASSERT_TRUE(h.until([&] { return h.exited(0); }));
  EXPECT_EQ(h.entry(0).wait_status, 4);
}

TEST_F(TakeOver, HasOneLoggerAtATime) {
  h.accept_logger();
  const pid_t old = h.logger.pid;
  kill(old, SIGSTOP);
  ASSERT_TRUE(h.until([&] { return state_of(old) == 'T'; }));
  replace_keeper(2);
  EXPECT_EQ(h.table->logger.pid.load(), 0);
  EXPECT_FALSE(h.accept(300).has_value()) << "a second logger, while the first lives";
  kill(old, SIGCONT);
  ASSERT_EQ(wait_child(old), std::optional(0));
  h.accept_logger();
  EXPECT_EQ(h.table->logger.pid.load(), h.logger.pid);
}

TEST_F(TakeOver, FreesWhatSpawnersHadClaimedAndNotBegun) {
  h.order(0, 1);
  h.entry(0).claim = h.spawner_generation[0];
  h.order(2, 2);
  h.entry(2).claim = wire::claim_keeper;  // the dead one was freeing it
  h.table->work[0].entries_end = 3;
  replace_keeper(2);
  EXPECT_EQ(h.entry(0).claim.load(), 0u);
  EXPECT_EQ(h.entry(2).run.load(), no_run);
  ASSERT_TRUE(h.send_plan(service_plan(0, 1, {"exit", "4"})));
  ASSERT_TRUE(h.until([&] { return h.exited(0); }));
  EXPECT_EQ(h.entry(0).wait_status, 4);
}

TEST_F(TakeOver, KeepsWhatTheSupervisorParksForTheNextOne) {
  replace_keeper(2);
  auto [a, b] = make_pipe();
  ASSERT_TRUE(
      h.supervisor.send<wire::ParkRecord>(MessageType::park, {park_record(wire::ParkClass::store, 3, "x")}, {a.get()}));
  // The lock goes from keeper to keeper.
  EXPECT_EQ(wait_child(h.start_keeper()), std::optional(75 << 8));
  h.kill_supervisor();
  h.accept_supervisor();
  h.take_over_from_keeper();
  EXPECT_EQ(h.hello_record.keeper_generation, 2u);
  EXPECT_EQ(h.hello_record.generation, 2u);
  ASSERT_EQ(h.parked.size(), 1u);
  EXPECT_EQ(h.parked[0].first.key, 3u);
}

TEST_F(TakeOver, EndsAsAnyKeeperDoes) {
  replace_keeper(2);
  ASSERT_TRUE(h.supervisor.send<wire::FinishRecord>(MessageType::finish, {{wire::FinishMode::all_stopped, 0}}));
  EXPECT_EQ(wait_child(h.keeper), std::optional(0));
  h.keeper = 0;
  EXPECT_FALSE(alive(h.supervisor.pid));
}

TEST_F(TakeOver, GoesOnFromKeeperToKeeper) {
  const pid_t pid = start_service(0, 1);
  Fd fd = pidfd_of(pid);
  for (std::uint32_t generation = 2; generation < 6; ++generation) {
    replace_keeper(generation);
    ASSERT_TRUE(adopt(0, 1, fd.get()));
    ASSERT_TRUE(h.until([&] { return h.entry(0).phase.load() == EntryPhase::adopted; }));
    h.spawn(service_plan(2 * generation, generation, {"exit", "1"}));
    ASSERT_TRUE(h.until([&] { return h.exited(2 * generation); }));
  }
  EXPECT_TRUE(alive(pid));
  EXPECT_EQ(h.table->strays_reaped.load(), 0u);
}

}  // namespace
}  // namespace hearth::test
