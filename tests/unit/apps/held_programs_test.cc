// Which program the next keeper and logger are of. The keeper is one without a process (unit/os/fake_keeper.h); who runs as
// keeper or logger in its slot table is a real process, which executes what a test tells it. Ten seconds pass at once.
#include "apps/held_programs.h"

#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <memory>
#include <poll.h>
#include <signal.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "os/clock.h"
#include "os/proc_stat.h"
#include "os/program_file.h"
#include "unit/os/fake_keeper.h"
#include "unit/os/few_descriptors.h"

namespace hearth::test {
namespace {

using wire::ParkClass;

template <typename Condition>
bool until(Condition holds) {
  const MonoNs end = after(os::read_mono(), seconds(30));
  while (!holds()) {
    if (os::read_mono() >= end) return false;
    ::poll(nullptr, 0, 1);
  }
  return true;
}

bool is_file(int program, const std::string& path) {
  const os::Fd file(::open(path.c_str(), O_PATH | O_CLOEXEC));
  return program >= 0 && file && os::same_file(program, file.get());
}

// Executes what it is told, again and again: each is a copy of the shell, with the same script.
class Process {
 public:
  explicit Process(const std::string& directory) : script_(directory + "/script") {
    std::ofstream(script_) << "read next; exec \"$next\" " << script_ << "\n";
    int ends[2];
    EXPECT_EQ(0, ::pipe2(ends, O_CLOEXEC));
    orders_ = os::Fd(ends[1]);
    pid_ = ::fork();
    if (pid_ == 0) {
      std::string first;
      for (char byte = 0; ::read(ends[0], &byte, 1) == 1 && byte != '\n';) first += byte;
      ::dup2(ends[0], STDIN_FILENO);
      ::execl(first.c_str(), "sh", script_.c_str(), nullptr);
      ::_exit(127);
    }
    ::close(ends[0]);
  }
  ~Process() { end(); }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  void execute(const std::string& path) {
    EXPECT_EQ(static_cast<ssize_t>(path.size() + 1), ::write(orders_.get(), (path + "\n").c_str(), path.size() + 1));
    EXPECT_TRUE(until([&] { return is_file(os::program_of(pid_).get(), path); })) << path;
  }
  void end() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  std::string script_;
  os::Fd orders_;
  pid_t pid_ = -1;
};

struct HeldProgramsTest : ::testing::Test {
  HeldProgramsTest() {
    for (const char* name : {"one", "two", "three"}) {
      std::filesystem::copy_file("/bin/sh", directory / name);
      std::filesystem::permissions(directory / name, std::filesystem::perms(0755));
    }
    process.execute(directory / "one");
    keeper.table().keeper_pid = process.pid();
    link = keeper.connect();
  }
  // Of a supervisor that starts.
  void begin() {
    programs = std::make_unique<apps::HeldPrograms>();
    programs->begin(*link, directory / "logger", now);
    EXPECT_TRUE(until([&] { return !programs->looks_beside(); }));
    (void)refresh();
  }
  MonoNs refresh() { return programs->refresh(*link, now); }
  // After the time that a trial takes, and less when `early`.
  MonoNs pass_ten_seconds(SpanNs early = 0) {
    now = after(now, seconds(10) - early);
    return refresh();
  }
  void execute(const std::string& name) {
    process.execute(directory / name);
    ++keeper.table().keeper_execs;
  }
  std::string next_keeper() const { return name_of(programs->keeper()); }
  std::string name_of(int program) const {
    for (const char* name : {"one", "two", "three", "logger"})
      if (is_file(program, directory / name)) return name;
    return program < 0 ? "none" : "another";
  }
  void park_before(const std::string& name) {
    EXPECT_TRUE(link->park(os::park_record(ParkClass::program, no_slot, wire::program_before_keeper),
                           os::Fd(::open((directory / name).c_str(), O_PATH | O_CLOEXEC))));
    keeper.handle();
  }
  bool keeper_holds_one_before() {
    (void)link->flush();
    keeper.handle();
    return keeper.parked().find(ParkClass::program, wire::program_before_keeper) != nullptr;
  }
  void next_supervisor() {
    programs.reset();
    link.reset();
    link = keeper.connect();
    begin();
  }

  TempDirectory directory;
  FakeKeeper keeper;
  Process process{directory.path()};
  std::unique_ptr<os::KeeperLink> link;
  std::unique_ptr<apps::HeldPrograms> programs;
  MonoNs now = seconds(100);
};

TEST_F(HeldProgramsTest, the_next_keeper_is_of_what_the_keeper_runs) {
  begin();
  EXPECT_EQ("one", next_keeper());
  EXPECT_TRUE(is_file(programs->supervisor(), "/proc/self/exe"));
  EXPECT_EQ(never, refresh()) << "nothing is on trial: nobody is woken";
}

TEST_F(HeldProgramsTest, what_the_keeper_has_executed_is_on_trial_for_ten_seconds) {
  begin();
  execute("two");
  const MonoNs over = after(now, seconds(10));
  EXPECT_EQ(over, refresh()) << "also when nothing else happens";
  EXPECT_EQ("one", next_keeper());
  EXPECT_EQ(over, pass_ten_seconds(1));
  EXPECT_EQ("one", next_keeper());
  now = after(now, 1);
  EXPECT_EQ(never, refresh());
  EXPECT_EQ("two", next_keeper());
}

// SIGSTOP, or a turn that is long: the clock says that the trial is over, and the socket that the keeper has died in it.
TEST_F(HeldProgramsTest, who_was_away_when_the_keeper_died_on_trial_knows_the_program_before) {
  begin();
  execute("two");
  (void)refresh();
  process.end();
  keeper.lose();
  (void)pass_ten_seconds();
  EXPECT_EQ("one", next_keeper());
  link->receive();
  ASSERT_TRUE(link->lost());
  EXPECT_EQ(never, pass_ten_seconds()) << "the next keeper is not waited for here";
  EXPECT_EQ("one", next_keeper());
}

TEST_F(HeldProgramsTest, a_later_supervisor_has_the_program_before_from_the_keeper) {
  execute("two");
  park_before("one");
  next_supervisor();
  EXPECT_EQ("one", next_keeper());
  EXPECT_EQ(after(now, seconds(10)), refresh());
  (void)pass_ten_seconds(1);
  EXPECT_EQ("one", next_keeper());
  EXPECT_TRUE(keeper_holds_one_before());
  now = after(now, 1);
  (void)refresh();
  EXPECT_EQ("two", next_keeper());
  EXPECT_FALSE(keeper_holds_one_before()) << "the next supervisor would take it for a trial that is under way";
}

TEST_F(HeldProgramsTest, a_second_exec_on_trial_goes_back_to_the_last_that_was_sound) {
  begin();
  execute("two");
  (void)refresh();
  now = after(now, seconds(9));
  execute("three");
  EXPECT_EQ(after(now, seconds(10)), refresh()) << "its trial begins anew";
  (void)pass_ten_seconds(1);
  EXPECT_EQ("one", next_keeper());
  now = after(now, 1);
  (void)refresh();
  EXPECT_EQ("three", next_keeper());
}

TEST_F(HeldProgramsTest, an_exec_of_the_same_file_is_no_trial) {
  begin();
  execute("one");
  EXPECT_EQ(never, refresh());
  EXPECT_EQ("one", next_keeper());
}

// It has looked whether it can go on, and has executed the one before: nothing counts as executed.
TEST_F(HeldProgramsTest, one_that_came_back_is_not_on_trial) {
  begin();
  process.execute(directory / "two");
  (void)refresh();
  process.execute(directory / "one");
  keeper.table().keeper_refusal = {1, wire::KeeperRefusalCause::came_back, 0, 0};
  EXPECT_EQ(never, refresh());
  EXPECT_EQ("one", next_keeper());
}

// Our first look was in the middle of that.
TEST_F(HeldProgramsTest, one_that_was_seen_before_it_came_back_is_forgotten) {
  process.execute(directory / "two");
  begin();
  EXPECT_EQ("two", next_keeper());
  process.execute(directory / "one");
  keeper.table().keeper_refusal = {1, wire::KeeperRefusalCause::came_back, 0, 0};
  EXPECT_EQ(never, refresh());
  EXPECT_EQ("one", next_keeper());
}

TEST_F(HeldProgramsTest, of_another_keeper_nothing_is_on_trial) {
  begin();
  execute("two");
  (void)refresh();
  Process next(directory.path());
  next.execute(directory / "two");
  keeper.table().keeper_pid = next.pid();
  ++keeper.table().keeper_generation;
  EXPECT_EQ(never, refresh());
  EXPECT_EQ("two", next_keeper());
}

TEST_F(HeldProgramsTest, what_the_table_says_of_a_keeper_that_is_lost_is_not_looked_at) {
  begin();
  keeper.lose();
  link->receive();
  execute("two");
  (void)refresh();
  EXPECT_EQ("one", next_keeper());
  link->hand_over_to(keeper.replace());
  (void)refresh();
  EXPECT_EQ("one", next_keeper());
}

TEST_F(HeldProgramsTest, the_next_logger_is_of_the_file_beside_us_and_not_of_one_that_took_its_place) {
  std::filesystem::copy_file(directory / "one", directory / "logger");
  begin();
  EXPECT_EQ("logger", name_of(programs->logger()));
  std::filesystem::remove(directory / "logger");
  std::filesystem::copy_file(directory / "two", directory / "logger");
  (void)refresh();
  EXPECT_EQ("another", name_of(programs->logger()));
}

TEST_F(HeldProgramsTest, where_there_is_no_file_beside_us_it_is_of_the_logger_that_runs) {
  begin();
  EXPECT_EQ("none", name_of(programs->logger()));
  Process logger(directory.path());
  wire::Member& record = keeper.table().logger;
  record.generation = 1;
  record.pid = logger.pid();
  record.start_ticks = os::start_ticks(logger.pid());
  (void)refresh();
  EXPECT_EQ("none", name_of(programs->logger())) << "before its exec it is a copy of who forked it";
  logger.execute(directory / "three");
  (void)refresh();
  EXPECT_EQ("three", name_of(programs->logger()));
}

TEST_F(HeldProgramsTest, a_file_that_cannot_be_opened_for_want_of_descriptors_is_asked_for_again) {
  HEARTH_SKIP_IF_SANITIZED();
  std::filesystem::copy_file(directory / "one", directory / "logger");
  {
    const FewDescriptors none(0);
    begin();
    EXPECT_EQ("none", name_of(programs->logger()));
    EXPECT_EQ(after(now, seconds(1)), refresh()) << "also when nothing else happens";
  }
  now = after(now, seconds(1));
  (void)refresh();
  ASSERT_TRUE(until([&] { return !programs->looks_beside(); }));
  EXPECT_EQ("logger", name_of(programs->logger()));
  EXPECT_EQ(never, refresh());
}

}  // namespace
}  // namespace hearth::test
