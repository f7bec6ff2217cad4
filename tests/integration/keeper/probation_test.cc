// Programs that come up and then do nothing, or the wrong thing: what a keeper goes back to, and when.

#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <functional>
#include <signal.h>
#include <string>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "integration/keeper/upgrading.h"

namespace hearth::test {
namespace {

struct KeeperProbation : KeeperUpgrade {
  explicit KeeperProbation(const KeeperOptions& options = {}) : KeeperUpgrade(options) {}
  // A supervisor of the new program, which is up, and its logger, which has been started.
  void begin_upgrade() {
    give(member);
    next_supervisor();
    ASSERT_TRUE(say_up());
    h.accept_logger();
    ASSERT_EQ(of_logger(), member);
    ASSERT_EQ(h.table->logger_awaited.load(), 1);
  }
  // Its supervisor answers meanwhile: it is the logger's fault.
  bool until_with_supervisor(const std::function<bool()>& holds) {
    return h.until([&] {
      for (; h.supervisor.has_mail(); say_up())
        if (!h.supervisor.receive()) return false;
      return holds();
    });
  }
  void expect_logger_back(std::uint32_t returns, wire::ReturnCause cause) {
    EXPECT_EQ(h.table->logger_returns.load(), returns);
    EXPECT_EQ(h.table->logger_return.cause, static_cast<std::uint8_t>(cause));
  }
  // By itself. The next one is whoever the keeper starts then.
  void logger_dies(int signal = SIGTERM) {
    const std::uint32_t deaths = h.table->logger.deaths;
    kill(h.logger.pid, signal);
    ASSERT_TRUE(until_with_supervisor([&] { return h.table->logger.deaths > deaths; }));
    h.accept_logger();
  }
  // One that comes up each time.
  void logger_dies_three_times() {
    for (int i = 0; i < 3; ++i) {
      ASSERT_EQ(of_logger(), member);
      ASSERT_TRUE(is_asked(h.logger));
      ASSERT_TRUE(say_up(h.logger));
      // What it said counts before its death, which the keeper may see first.
      ASSERT_NO_FATAL_FAILURE(logger_dies());
    }
  }
};

// Long enough for those who answer, on a busy machine, too.
struct ShortKeeperProbation : KeeperProbation {
  static constexpr int within_ms = 3'000;
  ShortKeeperProbation() : KeeperProbation(short_time()) {}
  static KeeperOptions short_time() {
    KeeperOptions options;
    options.up_within = std::to_string(within_ms);
    return options;
  }
};

TEST_F(ShortKeeperProbation, ASupervisorThatHangsOnceItIsUpIsGivenUpAndItsLoggerGoesWithIt) {
  begin_upgrade();
  const pid_t hangs = h.supervisor.pid;
  ASSERT_TRUE(is_asked(h.logger));
  ASSERT_TRUE(say_up(h.logger));
  ASSERT_TRUE(h.until([&] {
    for (; h.logger.has_mail(); say_up(h.logger))
      if (!h.logger.receive()) break;
    return h.table->supervisor_returns == 1;
  }));
  EXPECT_FALSE(alive(hangs));
  accept_member();
  EXPECT_EQ(of_supervisor(), program("hearth-test-member"));
  EXPECT_EQ(h.table->return_cause, wire::ReturnCause::hung);
  h.accept_logger();
  EXPECT_EQ(of_logger(), program("hearth-test-member"));
  EXPECT_EQ(h.table->logger_returns.load(), 0u) << "it was no fault of the logger";
}

TEST_F(ShortKeeperProbation, ALoggerThatIsUpAndThenHangsIsGivenUpAlone) {
  begin_upgrade();
  ASSERT_TRUE(is_asked(h.logger));
  ASSERT_TRUE(say_up(h.logger));
  ASSERT_TRUE(until_with_supervisor([&] { return h.table->logger_returns == 1; }));
  expect_logger_back(1, wire::ReturnCause::hung);
  h.accept_logger();
  EXPECT_EQ(of_logger(), program("hearth-test-member"));
  EXPECT_EQ(h.table->supervisor_returns.load(), 0u);
  EXPECT_EQ(of_supervisor(), member);
}

TEST_F(ShortKeeperProbation, ALoggerThatNeverSaysAnythingIsGivenUp) {
  begin_upgrade();
  ASSERT_TRUE(until_with_supervisor([&] { return h.table->logger_returns == 1; }));
  expect_logger_back(1, wire::ReturnCause::silent);
  h.accept_logger();
  EXPECT_EQ(of_logger(), program("hearth-test-member"));
}

TEST_F(KeeperProbation, ALoggerIsAskedAfterItWasToldOfAllOutputs) {
  auto [output, writer] = make_pipe();
  ASSERT_TRUE(h.supervisor.send<wire::ParkRecord>(MessageType::park, {park_record(wire::ParkClass::output, 7)},
                                                  {output.get()}));
  begin_upgrade();
  const std::optional<Message> hello = h.logger.receive(), told = h.logger.receive(), asked = h.logger.receive();
  ASSERT_TRUE(hello && told && asked);
  EXPECT_EQ(hello->header.type, MessageType::hello);
  EXPECT_EQ(told->header.type, MessageType::parked);
  EXPECT_EQ(asked->header.type, MessageType::ask);
}

// Who works is asked for ten seconds, and keeps its place; then nobody wakes anybody.
TEST_F(KeeperProbation, WhoAnswersIsLeftAloneAndThenAllOfItSleeps) {
  begin_upgrade();
  int asked = 0;
  const auto over = std::chrono::steady_clock::now() + std::chrono::milliseconds(11'500);
  ASSERT_TRUE(h.until([&] {
    for (Peer* peer : {&h.supervisor, &h.logger})
      while (peer->has_mail()) {
        const std::optional<Message> message = peer->receive();
        if (!message) return true;
        if (message->header.type != MessageType::ask) continue;
        ++asked;
        say_up(*peer);
      }
    return std::chrono::steady_clock::now() > over;
  }));
  EXPECT_GT(asked, 10);
  EXPECT_EQ(of_supervisor(), member);
  EXPECT_EQ(of_logger(), member);
  EXPECT_TRUE(h.keeper_rests());
  EXPECT_FALSE(h.supervisor.has_mail());
  EXPECT_FALSE(h.logger.has_mail());
  EXPECT_EQ(h.table->supervisor_returns + h.table->logger_returns, 0u);
}

TEST_F(ShortKeeperProbation, WhoIsStoppedByASignalIsNotJudgedMeanwhile) {
  begin_upgrade();
  kill(h.logger.pid, SIGSTOP);
  ASSERT_TRUE(h.until([&] { return state_of(h.logger.pid) == 'T'; }));
  const auto over = std::chrono::steady_clock::now() + std::chrono::milliseconds(2 * within_ms);
  ASSERT_TRUE(until_with_supervisor([&] { return std::chrono::steady_clock::now() > over; }));
  EXPECT_EQ(h.table->logger_returns.load(), 0u);
  kill(h.logger.pid, SIGCONT);
  ASSERT_TRUE(is_asked(h.logger));
  ASSERT_TRUE(say_up(h.logger));
  ASSERT_TRUE(is_asked(h.logger));
  EXPECT_EQ(h.table->logger_returns.load(), 0u);
  EXPECT_TRUE(alive(h.logger.pid));
}

TEST_F(KeeperProbation, ALoggerThatDiesBeforeItHasDrainedAnythingGivesWayAtOnce) {
  begin_upgrade();
  ASSERT_NO_FATAL_FAILURE(logger_dies());
  EXPECT_EQ(of_logger(), program("hearth-test-member"));
  expect_logger_back(1, wire::ReturnCause::died);
}

TEST_F(KeeperProbation, ALoggerThatKeepsDyingWhenItIsUpGivesWay) {
  begin_upgrade();
  ASSERT_NO_FATAL_FAILURE(logger_dies_three_times());
  EXPECT_EQ(of_logger(), program("hearth-test-member"));
  expect_logger_back(1, wire::ReturnCause::kept_dying);
}

TEST_F(KeeperProbation, AKillIsNoEvidenceAgainstALoggerButNotForEver) {
  begin_upgrade();
  for (int i = 0; i < 2; ++i) {
    ASSERT_NO_FATAL_FAILURE(logger_dies(SIGKILL));
    EXPECT_EQ(of_logger(), member);
  }
  ASSERT_NO_FATAL_FAILURE(logger_dies(SIGKILL));
  EXPECT_EQ(of_logger(), program("hearth-test-member"));
  expect_logger_back(1, wire::ReturnCause::died);
}

// It has sent the order, and stays.
TEST_F(KeeperProbation, ASupervisorWhoseOrderIsTakenBackIsAskedOn) {
  begin_upgrade();
  give(member);
  ASSERT_TRUE(h.supervisor.send<ProgramRecord>(MessageType::program, {}));
  // By then that has been handled.
  ASSERT_TRUE(h.supervisor.send<ProgramRecord>(MessageType::program, {{ProgramRole::supervisor, 0}}));
  ASSERT_TRUE(h.until([&] { return h.table->upgrades_refused == 1; }));
  while (h.supervisor.has_mail()) ASSERT_TRUE(h.supervisor.receive());
  EXPECT_TRUE(is_asked(h.supervisor));
}

// It has been killed for its silence, and is held by a tracer before its end.
TEST_F(ShortKeeperProbation, WhatIsSaidWhenItsTimeIsOverComesTooLate) {
  give(member);
  next_supervisor();
  const pid_t silent = h.supervisor.pid;
  if (ptrace(PTRACE_SEIZE, silent, nullptr, PTRACE_O_TRACEEXIT) < 0) {
    ASSERT_EQ(errno, EPERM);
    GTEST_SKIP() << "ptrace is not allowed";
  }
  int status = 0;
  ASSERT_EQ(waitpid(silent, &status, __WALL), silent);
  ASSERT_EQ(status >> 8, SIGTRAP | PTRACE_EVENT_EXIT << 8);
  ASSERT_TRUE(say_up());
  for (std::uint32_t turn = 1; turn <= 2; ++turn) {
    kill(h.keeper, SIGUSR1);
    ASSERT_TRUE(h.until([&] { return h.table->signals_usr1.load() == turn; }));
  }
  ASSERT_EQ(ptrace(PTRACE_DETACH, silent, nullptr, nullptr), 0);
  accept_member();
  expect_back(wire::ReturnCause::silent, CLD_KILLED, SIGKILL);
}

// The first program is sound, the second one up, the third one no good at once; and then the second one is not, either.
TEST_F(KeeperProbation, LoggersGoBackOneAfterTheOtherToTheLastSoundOne) {
  begin_upgrade();
  ASSERT_TRUE(is_asked(h.logger));
  ASSERT_TRUE(say_up(h.logger));
  const Fd good(open(member.c_str(), O_PATH | O_CLOEXEC)), bad(open("/bin/false", O_PATH | O_CLOEXEC));
  ASSERT_TRUE(h.supervisor.send<ProgramRecord>(
      MessageType::program, {{ProgramRole::supervisor, 0}, {ProgramRole::logger, 0}}, {good.get(), bad.get()}));
  next_supervisor();
  ASSERT_TRUE(say_up());
  h.accept_logger();
  expect_logger_back(1, wire::ReturnCause::died);
  ASSERT_NO_FATAL_FAILURE(logger_dies_three_times());
  EXPECT_EQ(of_logger(), program("hearth-test-member"));
  expect_logger_back(2, wire::ReturnCause::kept_dying);
  EXPECT_EQ(of_supervisor(), member);
  EXPECT_EQ(h.table->supervisor_returns.load(), 0u);
}

// The logger of that upgrade has given way already: the one before is not its supervisor's to take along.
TEST_F(KeeperProbation, ASupervisorTakesOnlyTheLoggerOfItsOwnUpgradeAlong) {
  begin_upgrade();
  ASSERT_TRUE(is_asked(h.logger));
  ASSERT_TRUE(say_up(h.logger));
  const Fd good(open(member.c_str(), O_PATH | O_CLOEXEC)), bad(open("/bin/false", O_PATH | O_CLOEXEC));
  ASSERT_TRUE(h.supervisor.send<ProgramRecord>(
      MessageType::program, {{ProgramRole::supervisor, 0}, {ProgramRole::logger, 0}}, {good.get(), bad.get()}));
  next_supervisor();
  ASSERT_TRUE(say_up());
  h.accept_logger();
  ASSERT_EQ(h.table->logger_returns.load(), 1u);
  ASSERT_TRUE(is_asked(h.logger));
  ASSERT_TRUE(say_up(h.logger));
  const pid_t logger = h.logger.pid;
  ASSERT_NO_FATAL_FAILURE(let_it_die_three_times());
  EXPECT_EQ(h.table->supervisor_returns.load(), 1u);
  EXPECT_EQ(h.table->logger.pid.load(), logger);
  EXPECT_EQ(of_supervisor(), member) << "of the upgrade before";
}

TEST_F(KeeperProbation, ALoggerThatWasTakenAlongIsOnTrialStill) {
  for (int upgrade = 0; upgrade < 2; ++upgrade) {
    begin_upgrade();
    ASSERT_TRUE(is_asked(h.logger));
    ASSERT_TRUE(say_up(h.logger));
  }
  ASSERT_NO_FATAL_FAILURE(let_it_die_three_times());
  EXPECT_EQ(h.table->supervisor_returns.load(), 1u);
  h.accept_logger();
  ASSERT_NO_FATAL_FAILURE(logger_dies_three_times());
  EXPECT_EQ(of_logger(), program("hearth-test-member"));
  expect_logger_back(1, wire::ReturnCause::kept_dying);
}

// A program that ends with 0 by itself looks like one that makes room for its successor: only where there is one.
TEST_F(KeeperProbation, ASupervisorThatIsUpAndEndsAsIfAllWereWellHasDied) {
  begin_upgrade();
  for (int i = 0; i < 3; ++i) {
    if (i > 0) {
      ASSERT_TRUE(say_up());
    }
    EXPECT_EQ(of_supervisor(), member);
    const std::uint32_t deaths = h.table->supervisor.deaths;
    ASSERT_EQ(kill(h.supervisor.pid, SIGUSR1), 0);
    ASSERT_TRUE(h.until([&] { return h.table->supervisor.deaths > deaths; }));
    accept_member();
  }
  EXPECT_EQ(h.table->return_cause, wire::ReturnCause::kept_dying);
  EXPECT_EQ(h.table->return_wait_code, CLD_EXITED);
  EXPECT_EQ(h.table->return_wait_status, 0);
  EXPECT_EQ(of_supervisor(), program("hearth-test-member"));
}

}  // namespace
}  // namespace hearth::test
