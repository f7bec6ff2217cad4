// What a spawner that somebody has taken over can write: the test maps the slot table as spawners do, and lies in it. Then
// supervisor, keeper, or both die, and their successors read the lies.
//
// What is held (docs/internals/threat-model.md): nobody is signalled or adopted who is not a process of a run; one of hearth's
// own neither; hearth goes on, says whom it has left alone, and services of which nobody lied run on. What is not: a service
// whose own entry it is may be taken for ended, and is ended and started again then. So it is by design, since spawners start
// and end services.
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "instance.h"
#include "os/proc_stat.h"
#include "support/own_world.h"
#include "wire/slot_table.h"

namespace hearth::test {
namespace {

using ::testing::HasSubstr;
using wire::EntryPhase;

// Shared with victims: how often any signal came.
using Count = std::atomic<std::uint32_t>;
Count* heard = nullptr;
void hear_signal(int) {
  heard->fetch_add(1);
}
void hear_all_signals() {
  struct sigaction action{};
  action.sa_handler = hear_signal;
  for (int number = 1; number <= 64; ++number)
    if (number != SIGCHLD && number != SIGPIPE) ::sigaction(number, &action, nullptr);
}

// Somebody of whom hearth has never heard. Alone in session and group; ends with the test.
class Victim {
 public:
  Victim() {
    void* const shared = ::mmap(nullptr, sizeof(Count), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    count_ = static_cast<Count*>(shared);
    int ready[2], gate[2];
    EXPECT_TRUE(::pipe2(ready, O_CLOEXEC) == 0 && ::pipe2(gate, O_CLOEXEC) == 0);
    pid = ::fork();
    if (pid == 0) live(ready[1], gate[0]);
    char byte = 0;
    ::close(ready[1]);
    ::close(gate[0]);
    EXPECT_EQ(1, ::read(ready[0], &byte, 1));
    ::close(ready[0]);
    gate_ = os::Fd(gate[1]);
    pidfd_ = os::Fd(os::pidfd_open(pid));
    ticks = os::start_ticks(pid);
  }
  void expect_untouched() const {
    pollfd polled{pidfd_.get(), POLLIN, 0};
    EXPECT_EQ(0, ::poll(&polled, 1, 0)) << "it has been killed";
    os::ProcStat stat;
    EXPECT_TRUE(os::read_stat(pid, stat) && !stat.stopped()) << "it has been stopped";
    EXPECT_EQ(0u, count_->load()) << "it has been signalled";
  }
  pid_t pid = 0;
  std::uint64_t ticks = 0;

 private:
  [[noreturn]] void live(int ready, int gate) {
    heard = count_;
    hear_all_signals();
    ::setsid();
    // Another one's end of the gate, inherited, would keep it open; and so would ours.
    ::dup2(gate, 100);
    (void)!::write(ready, "r", 1);
    ::close_range(3, 99, 0);
    ::close_range(101, ~0u, 0);
    char byte;
    while (::read(100, &byte, 1) < 0) {
    }
    ::_exit(0);
  }

  Count* count_ = nullptr;
  os::Fd gate_, pidfd_;
};

enum class Death : std::uint8_t { supervisor, keeper, both };

struct HostileTable : Machine, ::testing::WithParamInterface<As> {
  HostileTable() : Machine(GetParam()) {}
  void SetUp() override {
    if (const std::string why = obstacle(); !why.empty()) GTEST_SKIP() << why;
  }
  ~HostileTable() override {
    if (table_ != nullptr) ::munmap(table_, sizeof(wire::SlotTable));
  }

  // Two services: of `web` lies may be told, of `db` never.
  void start() {
    victim.emplace();
    other.emplace();
    project("[service.web]\nrestart = \"never\"\nstop_timeout = \"2s\"\n" + puppet() + "[service.db]\n" + puppet("db"));
    ASSERT_EQ(0, up().code);
    for (int i = 0; i < 2; ++i) {
      Actor actor = stage->enter();
      (actor.label == "db" ? db : web) = std::move(actor);
    }
    ASSERT_TRUE(web.here() && db.here());
    // Their start times have been noted.
    EXPECT_TRUE(until([&] { return service("web").pid == web.pid && service("db").pid == db.pid; }));
    map_table();
  }
  void map_table() {
    if (table_ != nullptr) ::munmap(table_, sizeof(wire::SlotTable));
    table_ = nullptr;
    const os::Fd file(::open((directory + "/state/slot-table").c_str(), O_RDWR | O_CLOEXEC));
    if (!file) GTEST_SKIP() << "the slot table is no file here: " << std::strerror(errno);
    void* const at = ::mmap(nullptr, sizeof(wire::SlotTable), PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    ASSERT_NE(MAP_FAILED, at);
    table_ = static_cast<wire::SlotTable*>(at);
  }
  wire::RunEntry& entry_of(const Actor& actor) {
    for (wire::RunEntry& entry : table_->entry)
      if (entry.run.load() == std::stoull(actor.run)) return entry;
    ADD_FAILURE() << "no entry of run " << actor.run;
    return table_->entry[0];
  }

  struct Named {
    pid_t pid;
    std::uint64_t ticks;
  };
  static Named whole(pid_t pid) { return {pid, os::start_ticks(pid)}; }
  std::vector<Named> strangers() {
    const InstanceView view = status();
    return {{victim->pid, victim->ticks},
            {other->pid, other->ticks + 1},
            {other->pid, 0},
            whole(::getpid()),
            whole(view.keeper),
            whole(view.supervisor),
            whole(db.pid),
            {-victim->pid, victim->ticks},
            {-1, 1},
            {INT32_MAX, 7}};
  }
  // Entries of slots that nobody has: all fields, in many combinations.
  void lie_in_free_entries() {
    const std::vector<Named> named = strangers();
    constexpr std::uint32_t first = 20, end = 260;
    for (std::uint32_t i = first; i < end; ++i) {
      wire::RunEntry& entry = table_->entry[i];
      const Named& who = named[i % named.size()];
      const std::uint32_t kind = i / static_cast<std::uint32_t>(named.size());
      entry.stop_signal = kind % 2 == 0 ? SIGKILL : 4'000'000'000;
      entry.stop_grace_ms = kind % 3 == 0 ? 1 : UINT32_MAX;
      entry.stop_rank = UINT32_MAX - i;
      entry.flags = UINT32_MAX;
      entry.start_ticks = who.ticks;
      entry.pid = who.pid;
      entry.fail_errno = -7;
      entry.fail_stage = kind % 5 == 4 ? 9'999 : 0;
      entry.phase = static_cast<EntryPhase>(kind % 4 == 3 ? 0 : kind % 9);
      entry.wait_code = 77;
      entry.wait_status = -1;
      entry.exited_at_ns = -1;
      entry.last_op = kind % 2 == 0 ? 0 : UINT64_MAX;
      entry.exec_over = UINT64_MAX;
      entry.cpu_user_us = entry.cpu_system_us = entry.max_rss_kib = INT64_MIN;
      entry.claim = kind % 3 == 2 ? 77 : 0;
      entry.run = 1'000'000 + i;
    }
    for (std::uint32_t word = 1; word < wire::change_words; ++word)
      table_->changed_for_keeper[word] = table_->changed_for_supervisor[word] = UINT64_MAX;
    for (wire::SpawnerWork& its : table_->work) {
      its.entries_end = UINT32_MAX;
      its.since_ns = INT64_MIN;
      its.entry_plus_1 = 4'000'000'000;
    }
  }
  // web's entry is said to be of `who`, whom nobody watches.
  void lie_about_web(const Named& who) {
    wire::RunEntry& entry = entry_of(web);
    entry.stop_signal = SIGKILL;
    entry.flags = 0;
    entry.start_ticks = who.ticks;
    entry.pid = who.pid;
    entry.phase = EntryPhase::none;
  }

  void die(Death death) {
    const InstanceView before = status();
    ASSERT_TRUE(before.answered);
    if (death == Death::both) {
      kill_everything();
      // Another service, so that nothing is ordered about those that were there.
      const std::string name = "next" + std::to_string(++tasks_);
      const Output again = hearth({"run", "--name", name, "--", bin("hearth-test-puppet"), stage->path(), name});
      ASSERT_EQ(0, again.code) << again.all();
      nexts_.push_back(stage->enter());
      EXPECT_EQ(name, nexts_.back().label);
      map_table();
    } else {
      kill_members(death == Death::keeper ? "hearth-keeper" : "hearth-supervisor", SIGKILL);
    }
    ASSERT_TRUE(until([&] {
      const InstanceView now = status();
      return now.answered && (death == Death::supervisor ? now.supervisor != before.supervisor
                                                         : now.keeper != before.keeper && now.keeper != 0);
    }));
  }
  // db notices nothing, orders are taken, and hearth stays who it is: it does not die again and again.
  void expect_all_well() {
    const pid_t supervisor = status().supervisor;
    EXPECT_TRUE(db.alive());
    EXPECT_EQ("ok", db.ask("notify STATUS=well"));
    EXPECT_EQ("closed", db.ask("barrier"));
    const ServiceView its = service("db");
    EXPECT_EQ("running", its.state) << its.reason_text;
    EXPECT_EQ(db.pid, its.pid);
    EXPECT_EQ(0u, its.restarts);
    const std::string name = "task" + std::to_string(++tasks_);
    const Output task = hearth({"run", "--name", name, "--", bin("hearth-test-puppet"), stage->path(), name});
    EXPECT_EQ(0, task.code) << task.all();
    const Actor started = stage->enter();
    EXPECT_EQ(name, started.label) << "what is new is started";
    EXPECT_EQ(0, hearth({"stop", name}).code);
    EXPECT_FALSE(started.alive());
    EXPECT_EQ(supervisor, status().supervisor) << "it has died of something";
    expect_strangers_untouched();
  }
  void expect_strangers_untouched() const {
    victim->expect_untouched();
    other->expect_untouched();
    if (heard != nullptr) {
      EXPECT_EQ(0u, heard->load()) << "PID 1 has been signalled";
    }
  }
  void expect_end() {
    const Output ended = hearth({"shutdown"});
    EXPECT_EQ(0, ended.code) << ended.all();
    EXPECT_THAT(ended.out, HasSubstr("Shutdown complete"));
    EXPECT_FALSE(db.alive());
    expect_strangers_untouched();
  }

  std::optional<Victim> victim, other;  // from the start on, as a PID namespace of one's own has others
  Actor web, db;

 private:
  wire::SlotTable* table_ = nullptr;
  int tasks_ = 0;
  std::vector<Actor> nexts_;  // they would end with their connection

 protected:
  wire::SlotTable& table() { return *table_; }
};

std::string user_name(const ::testing::TestParamInfo<As>& info) {
  return as_name(info.param);
}
// Not As::user: whom the test starts is root's there, whom that hearth can neither look at nor signal.
INSTANTIATE_TEST_SUITE_P(, HostileTable, ::testing::Values(As::caller, As::root_without_cgroups), user_name);

TEST_P(HostileTable, strangers_in_free_entries_are_left_alone_when_the_supervisor_dies) {
  ASSERT_NO_FATAL_FAILURE(start());
  lie_in_free_entries();
  expect_all_well();
  lie_in_free_entries();
  ASSERT_NO_FATAL_FAILURE(die(Death::supervisor));
  expect_all_well();
  EXPECT_EQ(web.pid, service("web").pid);
  EXPECT_TRUE(until([&] {
    return status().notes_text().find("is PID " + std::to_string(victim->pid) + " ") != std::string::npos;
  })) << status().notes_text();
  expect_end();
}

TEST_P(HostileTable, strangers_in_free_entries_are_left_alone_when_the_keeper_dies) {
  ASSERT_NO_FATAL_FAILURE(start());
  lie_in_free_entries();
  ASSERT_NO_FATAL_FAILURE(die(Death::keeper));
  expect_all_well();
  EXPECT_EQ(web.pid, service("web").pid);
  EXPECT_TRUE(until([&] {
    return status().notes_text().find("is PID " + std::to_string(victim->pid) + " ") != std::string::npos;
  })) << status().notes_text();
  // And once more, from what that one has made of it.
  lie_in_free_entries();
  ASSERT_NO_FATAL_FAILURE(die(Death::supervisor));
  expect_all_well();
  expect_end();
}

TEST_P(HostileTable, strangers_in_free_entries_are_left_alone_when_all_of_hearth_dies) {
  ASSERT_NO_FATAL_FAILURE(start());
  lie_in_free_entries();
  ASSERT_NO_FATAL_FAILURE(die(Death::both));
  expect_all_well();
  EXPECT_EQ(web.pid, service("web").pid);
  expect_end();
}

// The test is PID 1 here, so that it can tell what is done to that.
TEST_P(HostileTable, the_first_process_of_the_machine_is_no_run) {
  const support::World world = support::enter_own_world(false);
  if (!world.own || ::getpid() != 1) GTEST_SKIP() << "no PID namespace can be made here";
  static Count count;
  heard = &count;
  hear_all_signals();
  ASSERT_NO_FATAL_FAILURE(start());
  for (const Death death : {Death::supervisor, Death::keeper, Death::both}) {
    lie_in_free_entries();
    table().entry[30].pid = table().entry[31].pid = 1;
    table().entry[30].start_ticks = os::start_ticks(1);
    table().entry[30].phase = table().entry[31].phase = EntryPhase::none;
    lie_about_web(whole(1));
    ASSERT_NO_FATAL_FAILURE(die(death));
    expect_all_well();
    const Output again = hearth({"restart", "web"});
    EXPECT_EQ(0, again.code) << again.all();
    Actor next = stage->enter();
    EXPECT_EQ("web", next.label);
    EXPECT_EQ(next.pid, service("web").pid);
    web = std::move(next);
  }
  expect_end();
}

// By design: it costs the service whose entry that is, and nobody else. What ran of it is ended, and it is started again.
TEST_P(HostileTable, a_stranger_in_the_entry_of_a_service_costs_that_service_alone) {
  ASSERT_NO_FATAL_FAILURE(start());
  for (const Death death : {Death::supervisor, Death::keeper, Death::both}) {
    SCOPED_TRACE(static_cast<int>(death));
    lie_about_web({victim->pid, victim->ticks});
    ASSERT_NO_FATAL_FAILURE(die(death));
    expect_all_well();
    const Output again = hearth({"restart", "web"});
    EXPECT_EQ(0, again.code) << again.all();
    EXPECT_TRUE(web.wait_end()) << "a second one of it runs";
    Actor next = stage->enter();
    EXPECT_EQ("web", next.label);
    EXPECT_EQ(next.pid, service("web").pid);
    ASSERT_TRUE(next.here());
    web = std::move(next);
    expect_all_well();
  }
  expect_end();
}

// Nobody has died: the keeper knows whose child it is, whatever the entry says by now.
TEST_P(HostileTable, a_stop_reaches_the_service_and_not_whom_its_entry_names_by_now) {
  ASSERT_NO_FATAL_FAILURE(start());
  EXPECT_EQ("ok", web.ask("catch 15"));
  wire::RunEntry& entry = entry_of(web);
  entry.pid = victim->pid;
  entry.start_ticks = victim->ticks;
  Command stopping = begin({"stop", "web"});
  EXPECT_EQ("signal 15", web.hear());
  web.order("exit 0");
  EXPECT_EQ(0, stopping.wait().code);
  EXPECT_TRUE(web.wait_end());
  expect_all_well();
  expect_end();
}

// The next keeper ends what is left of the last one's own: by what stands in the same table.
TEST_P(HostileTable, strangers_in_the_records_of_hearths_own_processes_are_not_ended_for_the_dead_keeper) {
  ASSERT_NO_FATAL_FAILURE(start());
  for (const Death death : {Death::keeper, Death::both}) {
    for (wire::Member& spawner : table().spawner) {
      spawner.pid = victim->pid;
      spawner.start_ticks = victim->ticks;
    }
    table().logger.pid = other->pid;
    table().logger.start_ticks = other->ticks;
    ASSERT_NO_FATAL_FAILURE(die(death));
    expect_all_well();
    EXPECT_EQ(web.pid, service("web").pid);
    EXPECT_EQ("ok", web.ask("print a line"));
    EXPECT_TRUE(until([&] { return logged("web").find("a line\n") != std::string::npos; }));
  }
  expect_end();
}

}  // namespace
}  // namespace hearth::test
