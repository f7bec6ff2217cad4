// Programs that a keeper is given for supervisor and logger: executed, kept, given up.

#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "integration/keeper/upgrading.h"

namespace hearth::test {
namespace {

namespace fs = std::filesystem;

TEST_F(KeeperUpgrade, ExecutesWhatItWasGivenWhateverBecomesOfItsName) {
  EXPECT_EQ(h.table->keeper_messages.load(), wire::message_version);
  give(member);
  EXPECT_EQ(of_supervisor(), program("hearth-test-member"));
  next_supervisor();
  EXPECT_EQ(of_supervisor(), member);
  EXPECT_EQ(h.table->logger.pid.load(), old_logger);
  ASSERT_TRUE(say_up());
  h.accept_logger();
  EXPECT_EQ(program_of(h.logger.pid), member);
  fs::remove(member);
  next_supervisor();
  EXPECT_EQ(of_supervisor(), member + " (deleted)");
  EXPECT_EQ(h.table->supervisor_returns.load(), 0u);
}

TEST_F(KeeperUpgrade, GoesBackWhenItDiesBeforeItIsUp) {
  give("/bin/false");
  next_supervisor();
  expect_back(wire::ReturnCause::died, CLD_EXITED, 1);
}

TEST_F(KeeperUpgrade, GoesBackWhenItEndsAsIfAllWereWell) {
  give("/bin/true");
  next_supervisor();
  expect_back(wire::ReturnCause::died, CLD_EXITED, 0);
}

TEST_F(KeeperUpgrade, GoesBackFromWhatCannotBeExecuted) {
  const std::string text = h.dir + "/text";
  std::ofstream(text) << "Lorem ipsum";
  chmod(text.c_str(), 0755);
  give(text);
  next_supervisor();
  expect_back(wire::ReturnCause::died, CLD_EXITED, 127);
}

TEST_F(ShortKeeperUpgrade, GoesBackFromOneThatSaysNothing) {
  give(member);
  h.kill_supervisor();
  h.accept_supervisor();
  EXPECT_EQ(of_supervisor(), member);
  ASSERT_TRUE(h.until([&] { return h.table->supervisor_returns == 1; }));
  accept_member();
  expect_back(wire::ReturnCause::silent, CLD_KILLED, SIGKILL);
}

// Nor could it come up without the keeper: what it needs is handed over in windows.
TEST_F(ShortKeeperUpgrade, AnAbsenceOfTheKeeperIsNobodysSilence) {
  give(member);
  next_supervisor();
  const pid_t up = h.supervisor.pid;
  pause_keeper(2 * within_ms + 500);
  ASSERT_TRUE(say_up());
  h.accept_logger();
  EXPECT_EQ(h.table->supervisor_returns.load(), 0u);
  EXPECT_EQ(h.table->supervisor.pid.load(), up);
}

// As by SIGSTOP of all of hearth, which a shell sends, or a machine that is held.
TEST_F(ShortKeeperUpgrade, WhatIsSaidWhileTheKeeperIsAwayCounts) {
  give(member);
  next_supervisor();
  const pid_t up = h.supervisor.pid;
  pause_keeper(within_ms + 200, [&] { ASSERT_TRUE(say_up()); });
  h.accept_logger();
  EXPECT_EQ(program_of(h.logger.pid), member);
  EXPECT_EQ(h.table->supervisor_returns.load(), 0u);
  EXPECT_EQ(h.table->supervisor.pid.load(), up);
  EXPECT_TRUE(alive(up));
}

TEST_F(KeeperUpgrade, WhatIsTakenBackBeforeItsStartNeverRuns) {
  give("/bin/false");
  ASSERT_TRUE(h.supervisor.send<ProgramRecord>(MessageType::program, {}));
  next_supervisor();
  EXPECT_EQ(of_supervisor(), program("hearth-test-member"));
  EXPECT_EQ(h.table->supervisor_returns.load(), 0u);
  EXPECT_EQ(h.table->upgrades_refused.load(), 0u);
  // Nor does its logger.
  ASSERT_TRUE(say_up());
  next_supervisor();
  EXPECT_EQ(h.table->logger.pid.load(), old_logger);
}

TEST_F(KeeperUpgrade, WhatItCannotHoldItRefusesAsAWhole) {
  const Fd file(open("/bin/false", O_PATH | O_CLOEXEC));
  rlimit all{};
  ASSERT_EQ(prlimit(h.keeper, RLIMIT_NOFILE, nullptr, &all), 0);
  const rlimit none{16, all.rlim_max};  // its own begin there
  ASSERT_EQ(prlimit(h.keeper, RLIMIT_NOFILE, &none, nullptr), 0);
  expect_refused({{ProgramRole::supervisor, 0}, {ProgramRole::logger, 0}}, {file.get(), file.get()});
  ASSERT_EQ(prlimit(h.keeper, RLIMIT_NOFILE, &all, nullptr), 0);
  expect_refused({{ProgramRole::supervisor, 0}, {ProgramRole::supervisor, 0}}, {file.get(), file.get()});
  expect_refused({{ProgramRole::logger, 0}}, {file.get()});
  next_supervisor();
  EXPECT_EQ(of_supervisor(), program("hearth-test-member"));
  EXPECT_EQ(h.table->supervisor_returns.load(), 0u);
}

TEST_F(KeeperUpgrade, TakesAKillForNoEvidenceButNotForEver) {
  give(member);
  for (int i = 0; i < 3; ++i) {
    next_supervisor();
    EXPECT_EQ(of_supervisor(), member);
  }
  next_supervisor();
  expect_back(wire::ReturnCause::died, CLD_KILLED, SIGKILL);
}

TEST_F(KeeperUpgrade, GoesBackFromOneThatKeepsDyingWhenItIsUp) {
  give(member);
  next_supervisor();
  ASSERT_TRUE(say_up());
  ASSERT_NO_FATAL_FAILURE(let_it_die_three_times());
  EXPECT_EQ(of_supervisor(), program("hearth-test-member"));
  EXPECT_EQ(h.table->return_cause, wire::ReturnCause::kept_dying);
  EXPECT_EQ(h.table->supervisor_returns.load(), 1u);
}

TEST_F(KeeperUpgrade, TheLastOneGivenCountsAndTheProvenOneIsKept) {
  give("/bin/false");
  give(member);
  next_supervisor();
  EXPECT_EQ(of_supervisor(), member);
  give("/bin/false");
  next_supervisor();
  EXPECT_EQ(of_supervisor(), program("hearth-test-member"));
}

TEST_F(KeeperUpgrade, GoesBackToTheLastThatWasUp) {
  give(member);
  next_supervisor();
  ASSERT_TRUE(say_up());
  h.accept_logger();
  give("/bin/false");
  next_supervisor();
  EXPECT_EQ(of_supervisor(), member);
  EXPECT_EQ(h.table->supervisor_returns.load(), 1u);
}

TEST_F(KeeperUpgrade, WhatIsTakenBackLeavesTheOneBeforeOnTrial) {
  give(member);
  next_supervisor();
  ASSERT_TRUE(say_up());
  h.accept_logger();
  give("/bin/false");
  ASSERT_TRUE(h.supervisor.send<ProgramRecord>(MessageType::program, {}));
  ASSERT_NO_FATAL_FAILURE(let_it_die_three_times());
  EXPECT_EQ(of_supervisor(), program("hearth-test-member"));
  EXPECT_EQ(h.table->supervisor_returns.load(), 1u);
}

// Each of them came up, and died soon: neither is the other's way back.
TEST_F(KeeperUpgrade, GoesBackToTheLastSoundOneWhenTwoInARowKeepDying) {
  for (int upgrade = 0; upgrade < 2; ++upgrade) {
    give(member);
    next_supervisor();
    ASSERT_TRUE(say_up());
    h.accept_logger();
  }
  for (std::uint32_t returns = 0; returns < 2; ++returns) {
    ASSERT_NO_FATAL_FAILURE(let_it_die_three_times());
    EXPECT_EQ(h.table->supervisor_returns.load(), returns + 1);
  }
  EXPECT_EQ(of_supervisor(), program("hearth-test-member"));
}

TEST_F(KeeperUpgrade, ALoggerThatCannotBeExecutedGivesWayAlone) {
  const std::string text = h.dir + "/text";
  std::ofstream(text) << "Lorem ipsum";
  chmod(text.c_str(), 0755);
  const Fd good(open(member.c_str(), O_PATH | O_CLOEXEC)), bad(open(text.c_str(), O_PATH | O_CLOEXEC));
  ASSERT_TRUE(h.supervisor.send<ProgramRecord>(
      MessageType::program, {{ProgramRole::supervisor, 0}, {ProgramRole::logger, 0}}, {good.get(), bad.get()}));
  ASSERT_TRUE(h.until([&] { return h.table->upgrades == 1; }));
  EXPECT_EQ(h.table->logger_awaited.load(), 1) << "from the order on";
  next_supervisor();
  EXPECT_EQ(h.table->logger_awaited.load(), 1);
  ASSERT_TRUE(say_up());
  h.accept_logger();
  EXPECT_EQ(h.table->logger_awaited.load(), 0) << "it is given up";
  EXPECT_EQ(program_of(h.logger.pid), program("hearth-test-member"));
  EXPECT_EQ(h.table->logger_returns.load(), 1u);
  EXPECT_EQ(h.table->logger_return.cause, static_cast<std::uint8_t>(wire::ReturnCause::died));
  EXPECT_EQ(h.table->logger_return.wait_code, CLD_EXITED);
  EXPECT_EQ(h.table->logger_return.wait_status, 127);
  EXPECT_EQ(h.table->return_cause, wire::ReturnCause::none) << "of a supervisor";
  EXPECT_EQ(h.table->supervisor_returns.load(), 0u);
  EXPECT_EQ(of_supervisor(), member);
}

}  // namespace
}  // namespace hearth::test
