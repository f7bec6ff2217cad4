// A keeper that is given programs: this test's own, for both supervisor and logger.
#pragma once

#include <chrono>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <signal.h>
#include <string>
#include <vector>

#include "integration/keeper/harness.h"

namespace hearth::test {

using wire::MessageType;
using wire::ProgramRecord;
using wire::ProgramRole;

class KeeperUpgrade : public testing::Test {
 protected:
  explicit KeeperUpgrade(const KeeperOptions& options = {}) : h(options) {}
  void SetUp() override {
    h.accept_logger();
    h.accept_supervisor();
    h.take_over_from_keeper();
    old_logger = h.logger.pid;
    std::filesystem::copy_file(program("hearth-test-member"), member);
  }
  // For supervisor and logger the same one.
  void give(const std::string& path) {
    const Fd file(open(path.c_str(), O_PATH | O_CLOEXEC));
    ASSERT_GE(file.get(), 0);
    const std::uint32_t before = h.table->upgrades;
    ASSERT_TRUE(h.supervisor.send<ProgramRecord>(
        MessageType::program, {{ProgramRole::supervisor, 0}, {ProgramRole::logger, 0}}, {file.get(), file.get()}));
    ASSERT_TRUE(h.until([&] { return h.table->upgrades == before + 1; }));
  }
  void next_supervisor() {
    h.kill_supervisor();
    accept_member();
  }
  // The one that was executed for a program that is given up meanwhile may come by, too.
  void accept_member() {
    const auto is_member = [&] { return h.table->supervisor.pid.load() == h.supervisor.pid; };
    do {
      h.accept_supervisor();
      ASSERT_TRUE(h.until([&] { return is_member() || !alive(h.supervisor.pid); }));
    } while (!is_member());
    h.take_over_from_keeper();
  }
  bool say_up() { return say_up(h.supervisor); }
  static bool say_up(Peer& member) { return member.send<ProgramRecord>(MessageType::up, {}); }
  // Up to the next `ask`; what else comes is taken in.
  static bool is_asked(Peer& member) {
    for (;;) {
      const std::optional<Message> message = member.receive();
      if (!message) return false;
      if (message->header.type == MessageType::ask) return true;
      if (message->header.type == MessageType::parked && !member.acknowledge()) return false;
    }
  }
  // The next one that is a member, has been asked, and has answered.
  void accept_logger_that_is_up() {
    h.accept_logger();
    ASSERT_TRUE(is_asked(h.logger));
    ASSERT_TRUE(say_up(h.logger));
  }
  std::string of_logger() { return program_of(h.logger.pid); }
  static std::string program_of(pid_t pid) {
    std::error_code error;
    return std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/exe", error).string();
  }
  std::string of_supervisor() { return program_of(h.supervisor.pid); }
  void expect_back(wire::ReturnCause cause, int code, int status) {
    EXPECT_EQ(of_supervisor(), program("hearth-test-member"));
    EXPECT_EQ(h.table->supervisor_returns.load(), 1u);
    EXPECT_EQ(h.table->return_cause, cause);
    EXPECT_EQ(h.table->return_wait_code, code);
    EXPECT_EQ(h.table->return_wait_status, status);
    // The logger that came along has not had its turn.
    EXPECT_EQ(h.table->logger.pid.load(), old_logger);
    ASSERT_TRUE(say_up());
    next_supervisor();
    EXPECT_EQ(of_supervisor(), program("hearth-test-member"));
    EXPECT_EQ(h.table->logger.pid.load(), old_logger);
  }

  void expect_refused(const std::vector<ProgramRecord>& records, const std::vector<int>& fds) {
    const std::uint32_t before = h.table->upgrades_refused;
    ASSERT_TRUE(h.supervisor.send<ProgramRecord>(MessageType::program, records, fds));
    ASSERT_TRUE(h.until([&] { return h.table->upgrades_refused == before + 1; }));
    EXPECT_EQ(h.table->upgrades.load(), 0u);
  }

  // The program that was given, by itself. It is up; whoever comes after the third time has said nothing yet.
  void let_it_die_three_times() {
    for (int i = 0; i < 3; ++i) {
      if (i > 0) {
        ASSERT_TRUE(say_up());
      }
      EXPECT_EQ(of_supervisor(), member);
      const std::uint32_t deaths = h.table->supervisor.deaths;
      kill(h.supervisor.pid, SIGTERM);
      ASSERT_TRUE(h.until([&] { return h.table->supervisor.deaths > deaths; }));
      accept_member();
    }
  }

  Instance h;
  pid_t old_logger = 0;
  std::string member = h.dir + "/member";
};

// What it must say within 15 s, within three: on a busy machine, too.
struct ShortKeeperUpgrade : KeeperUpgrade {
  static constexpr int within_ms = 3'000;
  ShortKeeperUpgrade() : KeeperUpgrade(short_trial()) {}
  static KeeperOptions short_trial() {
    KeeperOptions options;
    options.up_within = std::to_string(within_ms);
    return options;
  }
  // What is to pass is the keeper's own time.
  void pause_keeper(int span_ms, const std::function<void()>& meanwhile = [] {}) {
    ASSERT_EQ(kill(h.keeper, SIGSTOP), 0);
    ASSERT_TRUE(h.until([&] { return state_of(h.keeper) == 'T'; }));
    meanwhile();
    const auto over = std::chrono::steady_clock::now() + std::chrono::milliseconds(span_ms);
    ASSERT_TRUE(h.until([&] { return std::chrono::steady_clock::now() > over; }));
    ASSERT_EQ(kill(h.keeper, SIGCONT), 0);
  }
};

}  // namespace hearth::test
