// Hearth's own processes, and how a keeper begins and ends.

#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <linux/magic.h>
#include <memory>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include "integration/keeper/harness.h"
#include "wire/decision_page.h"

namespace hearth::test {
namespace {

using wire::FinishMode;
using wire::FinishRecord;
using wire::MessageType;

class Keeper : public testing::Test {
 protected:
  void SetUp() override {
    h.accept_supervisor();
    h.take_over_from_keeper();
  }
  pid_t start_service(EntryIndex entry, RunId run, std::uint32_t rank = 0, const char* kind = "pause") {
    auto [read_end, write_end] = make_pipe();
    Plan plan = service_plan(entry, run, {kind});
    plan.descriptors = {{0, 1}};
    h.order(entry, run, rank);
    EXPECT_TRUE(h.send_plan(plan, {write_end.get()}));
    write_end.reset();
    EXPECT_EQ(read_some(read_end.get(), 1), "r");
    speaks.push_back(std::move(read_end));
    return h.entry(entry).pid.load();
  }
  long switches() {
    std::ifstream file("/proc/" + std::to_string(h.keeper) + "/status");
    long sum = 0;
    for (std::string line; std::getline(file, line);)
      if (line.find("ctxt_switches:") != std::string::npos) sum += std::stol(line.substr(line.find(':') + 1));
    return sum;
  }
  Instance h;
  std::vector<Fd> speaks;
};

TEST_F(Keeper, StartsItsMembersAndSaysSo) {
  h.accept_logger();
  EXPECT_EQ(h.hello_record.keeper_generation, 1u);
  EXPECT_EQ(h.hello_record.generation, 1u);
  EXPECT_EQ(h.hello_record.parked, 0u);
  EXPECT_EQ(h.table->keeper_pid.load(), h.keeper);
  EXPECT_EQ(h.table->supervisor.pid.load(), h.supervisor.pid);
  EXPECT_EQ(h.table->logger.pid.load(), h.logger.pid);
  EXPECT_NE(h.spawner_generation[0], h.spawner_generation[1]);
  for (const wire::Member& spawner : h.table->spawner) EXPECT_TRUE(alive(spawner.pid.load()));
  std::ifstream environment("/proc/" + std::to_string(h.supervisor.pid) + "/environ");
  std::string all((std::istreambuf_iterator<char>(environment)), {});
  EXPECT_NE(all.find("HEARTH_NOFILE="), std::string::npos);
  EXPECT_EQ(getsid(h.supervisor.pid), h.supervisor.pid);
}

TEST_F(Keeper, IsAloneInItsInstance) {
  EXPECT_EQ(wait_child(h.start_keeper()), std::optional(75 << 8));
  struct stat lock;
  ASSERT_EQ(stat((h.dir + "/lock").c_str(), &lock), 0);
  EXPECT_EQ(lock.st_mode & 0777, 0600u);
}

TEST_F(Keeper, SaysWhatIsMissingAtItsStart) {
  EXPECT_EQ(wait_child(h.start_keeper({"--dir", "/nowhere"})), std::optional(71 << 8));
  EXPECT_EQ(wait_child(h.start_keeper({"--what", "ever"})), std::optional(64 << 8));
  EXPECT_EQ(wait_child(h.start_keeper({"--dir"})), std::optional(64 << 8));
  EXPECT_EQ(wait_child(h.start_keeper({"--take-over", "999"})), std::optional(71 << 8));
}

TEST_F(Keeper, CountsItsSignals) {
  for (int s : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGQUIT, SIGHUP}) {
    kill(h.keeper, s);
    const auto counted = [&] {
      return h.table->signals_term + h.table->signals_int + h.table->signals_hup + h.table->signals_usr1 +
             h.table->signals_usr2 + h.table->signals_quit;
    };
    static std::uint32_t expected = 0;
    ++expected;
    ASSERT_TRUE(h.until([&] { return counted() == expected; }));
  }
  EXPECT_EQ(h.table->signals_hup.load(), 2u);
}

bool is_pending(pid_t pid, int signal) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("ShdPnd:") && (std::stoull(line.substr(7), nullptr, 16) >> (signal - 1) & 1) != 0) return true;
  return false;
}

// Its first supervisor takes what it finds counted for signals of the hearth that is dead.
TEST_F(Keeper, ThatGoesOnAfterTheDeathOfAllCountsItsSignalsWhenASupervisorHasHadATurn) {
  struct statfs space;
  const bool in_memory = statfs("/dev/shm", &space) == 0 && space.f_type == TMPFS_MAGIC;
  if (!in_memory) GTEST_SKIP() << "where /dev/shm is no tmpfs, nothing outlives everybody";
  std::string state = "/dev/shm/hearth-test.XXXXXX";
  ASSERT_NE(nullptr, mkdtemp(state.data()));
  const std::unique_ptr<std::string, void (*)(std::string*)> removed(
      &state, [](std::string* path) { std::filesystem::remove_all(*path); });
  std::filesystem::create_directory_symlink(state, h.dir + "/state");
  const auto die_and_come_back = [&] {
    kill(h.keeper, SIGKILL);
    EXPECT_TRUE(wait_child(h.keeper));
    kill(h.supervisor.pid, SIGKILL);
    h.hello.clear();
    munmap(std::exchange(h.table, nullptr), sizeof *h.table);
    const Fd lock(open((h.dir + "/lock").c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(h.until([&] { return flock(lock.get(), LOCK_EX | LOCK_NB) == 0; }));
    flock(lock.get(), LOCK_UN);
    h.keeper = h.start_keeper();
    h.accept_supervisor();
    h.take_over_from_keeper();
  };
  ASSERT_NO_FATAL_FAILURE(die_and_come_back());
  ASSERT_EQ(wire::StateOrigin::made, h.table->origin);
  const int fd = h.hello[static_cast<std::size_t>(wire::HelloDescriptor::decision_page)].get();
  void* const at = mmap(nullptr, sizeof(wire::DecisionPage), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ASSERT_NE(MAP_FAILED, at);
  auto& page = *static_cast<wire::DecisionPage*>(at);
  wire::decision_page_init(page, wire::decision_record_version);
  wire::PageWriter writer(page);
  writer.set_head("x", 1);
  writer.publish();
  munmap(at, sizeof page);
  // Not held: there was no hearth before.
  kill(h.keeper, SIGTERM);
  ASSERT_TRUE(h.until([&] { return h.table->signals_term.load() == 1; }));

  ASSERT_NO_FATAL_FAILURE(die_and_come_back());
  ASSERT_EQ(wire::StateOrigin::continued, h.table->origin);
  kill(h.keeper, SIGTERM);
  kill(h.keeper, SIGHUP);
  ASSERT_TRUE(h.until([&] { return !is_pending(h.keeper, SIGTERM) && !is_pending(h.keeper, SIGHUP); }));
  EXPECT_EQ(1u, h.table->signals_term.load());
  EXPECT_EQ(0u, h.table->signals_hup.load());
  ASSERT_TRUE(h.supervisor.send<wire::RunRecord>(MessageType::up, {}));
  EXPECT_TRUE(h.until([&] { return h.table->signals_term.load() == 2 && h.table->signals_hup.load() == 1; }));
  kill(h.keeper, SIGHUP);
  EXPECT_TRUE(h.until([&] { return h.table->signals_hup.load() == 2; }));
}

TEST_F(Keeper, StartsASupervisorAHundredTimesAndTouchesNoRun) {
  const pid_t service = start_service(0, 1);
  const auto is_member = [&] { return h.table->supervisor.pid.load() == h.supervisor.pid; };
  for (int i = 0; i < 100; ++i) {
    // Now and then before it has been told a thing. (Before it is one, its death is nobody's; KeeperSuccessor, below.)
    ASSERT_TRUE(h.until(is_member));
    h.kill_supervisor();
    h.accept_supervisor();
    if (i % 3 != 0) h.take_over_from_keeper();
    if (i % 10 == 0) {
      const EntryIndex entry = static_cast<EntryIndex>(i / 10 * 2 + 2);
      h.order(entry, static_cast<RunId>(i) + 2);
      ASSERT_TRUE(h.send_plan(service_plan(entry, static_cast<RunId>(i) + 2, {"exit", "1"})));
    }
  }
  ASSERT_TRUE(h.until(is_member));
  h.kill_supervisor();
  h.accept_supervisor();
  h.take_over_from_keeper();
  ASSERT_TRUE(h.until([&] {
    for (EntryIndex i = 2; i <= 20; i += 2)
      if (!h.exited(i)) return false;
    return true;
  }));
  EXPECT_EQ(h.hello_record.generation, 102u);
  EXPECT_EQ(h.table->supervisor.deaths.load(), 101u);
  EXPECT_EQ(h.table->supervisor.last_wait_status, SIGKILL);
  EXPECT_TRUE(alive(service));
  EXPECT_EQ(h.entry(0).phase.load(), wire::EntryPhase::watched);
}

// A supervisor that is dying, and whose socket is closed. A tracer holds it there: what of a large one takes the kernel
// milliseconds takes as long as the test likes. It is stopped before: one that went by itself when it sees the end, while the
// keeper kills it for that, would die without the stop, as a SIGKILL that comes within exit_group(2) stays pending.
class KeeperSuccessor : public Keeper {
 protected:
  void SetUp() override {
    Keeper::SetUp();
    if (ptrace(PTRACE_SEIZE, h.supervisor.pid, nullptr, PTRACE_O_TRACEEXIT) < 0) {
      ASSERT_EQ(errno, EPERM);
      GTEST_SKIP() << "ptrace is not allowed";
    }
    dying = h.supervisor.pid;
    int status = 0;
    ASSERT_EQ(ptrace(PTRACE_INTERRUPT, dying, nullptr, nullptr), 0);
    ASSERT_EQ(waitpid(dying, &status, __WALL), dying);
    ASSERT_EQ(status >> 16, PTRACE_EVENT_STOP);
    ASSERT_EQ(shutdown(h.supervisor.socket.get(), SHUT_RDWR), 0);
    h.accept_supervisor();
  }
  void TearDown() override {
    if (dying != 0) let_it_die();
  }
  void let_it_die() {
    int status = 0;
    ASSERT_EQ(waitpid(dying, &status, __WALL), dying);
    EXPECT_EQ(status >> 8, SIGTRAP | PTRACE_EVENT_EXIT << 8);
    ASSERT_EQ(ptrace(PTRACE_DETACH, std::exchange(dying, 0), nullptr, nullptr), 0);
  }
  pid_t dying = 0;
};

TEST_F(KeeperSuccessor, IsThereBeforeTheOneBeforeHasEndedAndIsToldNothingUntilThen) {
  const pid_t next = h.supervisor.pid;
  EXPECT_NE(next, dying);
  EXPECT_EQ(h.table->supervisor.pid.load(), dying);
  // A whole turn of the keeper later.
  kill(h.keeper, SIGUSR1);
  ASSERT_TRUE(h.until([&] { return h.table->signals_usr1.load() == 1; }));
  kill(h.keeper, SIGUSR1);
  ASSERT_TRUE(h.until([&] { return h.table->signals_usr1.load() == 2; }));
  pollfd told{h.supervisor.socket.get(), POLLIN, 0};
  EXPECT_EQ(poll(&told, 1, 0), 0);
  let_it_die();
  h.take_over_from_keeper();
  EXPECT_EQ(h.hello_record.generation, 2u);
  EXPECT_EQ(h.table->supervisor.pid.load(), next);
  EXPECT_EQ(h.table->supervisor.deaths.load(), 1u);
  EXPECT_EQ(h.table->strays_reaped.load(), 0u);
}

TEST_F(KeeperSuccessor, ThatDiesFirstIsReplacedAndNotCounted) {
  const pid_t next = h.supervisor.pid;
  h.kill_supervisor();
  ASSERT_TRUE(h.until([&] { return state_of(next) == 0; }));
  let_it_die();
  h.accept_supervisor();
  h.take_over_from_keeper();
  EXPECT_NE(h.supervisor.pid, next);
  EXPECT_EQ(h.hello_record.generation, 2u);
  EXPECT_EQ(h.table->supervisor.deaths.load(), 1u);
  EXPECT_EQ(h.table->strays_reaped.load(), 0u);
}

// It is read as a timer (held.cc), and is at its end for ever.
TEST_F(Keeper, DoesNotListenToWhatIsNoTimer) {
  auto [read_end, write_end] = make_pipe();
  write_end.reset();
  ASSERT_TRUE(h.supervisor.send<wire::RunRecord>(MessageType::at_work, {}, {read_end.get()}));
  read_end.reset();
  kill(h.keeper, SIGUSR1);
  ASSERT_TRUE(h.until([&] { return h.table->signals_usr1.load() == 1; }));
  EXPECT_TRUE(h.keeper_rests());
}

TEST_F(Keeper, DoesNothingWhenThereIsNothingToDo) {
  start_service(0, 1);
  h.spawn(service_plan(2, 2, {"exit"}));
  ASSERT_TRUE(h.until([&] { return h.exited(2); }));
  // After a death there is one look at all children; a held zombie is no reason for more.
  long before = -1;
  ASSERT_TRUE(h.until([&] {
    const long last = std::exchange(before, switches());
    pollfd nothing = {-1, 0, 0};
    poll(&nothing, 1, 200);
    return last == before && state_of(h.keeper) == 'S' && switches() == before;  // and does not wait for a processor
  }));
  pollfd nothing = {-1, 0, 0};
  poll(&nothing, 1, 1'000);
  EXPECT_EQ(switches(), before);
}

TEST_F(Keeper, EndsItsMembersWhenTheSupervisorIsFinished) {
  h.accept_logger();
  const pid_t spawner = h.table->spawner[0].pid.load();
  ASSERT_TRUE(h.supervisor.send<FinishRecord>(MessageType::finish, {{FinishMode::all_stopped, 0}}));
  EXPECT_EQ(wait_child(h.keeper), std::optional(0));
  h.keeper = 0;
  for (pid_t pid : {h.supervisor.pid, h.logger.pid, spawner}) EXPECT_FALSE(alive(pid));
  EXPECT_EQ(h.table->logger.last_wait_code, CLD_EXITED) << "the logger was not let finish";
}

// A stopped member is in the middle of its last work, for as long as the test likes.
TEST_F(Keeper, StartsALoggerAgainThatIsKilledInItsLastDrainAndTellsItAllOutput) {
  h.accept_logger();
  ASSERT_TRUE(h.logger.receive().has_value());  // hello
  auto [output, writer] = make_pipe();
  ASSERT_TRUE(h.supervisor.send<wire::ParkRecord>(MessageType::park, {park_record(wire::ParkClass::output, 7)},
                                                  {output.get()}));
  ASSERT_TRUE(h.logger.receive().has_value());
  ASSERT_TRUE(h.logger.acknowledge());
  const pid_t killed = h.logger.pid;
  kill(killed, SIGSTOP);
  ASSERT_TRUE(h.until([&] { return state_of(killed) == 'T'; }));
  ASSERT_TRUE(h.supervisor.send<FinishRecord>(MessageType::finish, {{FinishMode::all_stopped, 0}}));
  EXPECT_FALSE(h.logger.receive().value_or(Message{}).header.count) << "the end was to come";
  kill(killed, SIGKILL);
  h.accept_logger();
  EXPECT_NE(h.logger.pid, killed);
  std::optional<Message> hello = h.logger.receive(), told = h.logger.receive();
  ASSERT_TRUE(hello && told);
  EXPECT_EQ(hello->header.type, MessageType::hello);
  EXPECT_EQ(told->header.type, MessageType::parked);
  EXPECT_EQ(told->at<wire::ParkRecord>().key, 7u);
  EXPECT_EQ(wait_child(h.keeper), std::optional(0));
  h.keeper = 0;
  EXPECT_EQ(h.table->logger.last_wait_code, CLD_EXITED);
  EXPECT_EQ(h.table->logger.deaths.load(), 2u);
}

TEST_F(Keeper, StartsASupervisorAgainThatIsKilledBeforeItHasEnded) {
  const pid_t killed = h.supervisor.pid;
  kill(killed, SIGSTOP);
  ASSERT_TRUE(h.until([&] { return state_of(killed) == 'T'; }));
  ASSERT_TRUE(h.supervisor.send<FinishRecord>(MessageType::finish, {{FinishMode::all_stopped, 0}}));
  ASSERT_TRUE(h.until([&] { return h.table->spawner[0].pid.load() == 0; }));
  h.kill_supervisor();
  h.accept_supervisor();
  EXPECT_NE(h.supervisor.pid, killed);
  while (h.handle_message()) {
  }
  ASSERT_TRUE(h.supervisor.send<FinishRecord>(MessageType::finish, {{FinishMode::all_stopped, 0}}));
  EXPECT_EQ(wait_child(h.keeper), std::optional(0));
  h.keeper = 0;
  EXPECT_EQ(h.table->supervisor.last_wait_code, CLD_EXITED);
}

TEST_F(Keeper, LeavesASupervisorAloneThatHasClosedItsEndOnItsWayOut) {
  for (const char* name : {"/left", "/go"}) ASSERT_EQ(0, mkfifo((h.dir + name).c_str(), 0600));
  Fd left(open((h.dir + "/left").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  Fd go(open((h.dir + "/go").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(h.supervisor.send<FinishRecord>(MessageType::finish, {{FinishMode::all_stopped, 0}}));
  h.supervisor.socket.reset();
  EXPECT_EQ(read_some(left.get(), 1), "s");
  // What the keeper sees after that end.
  kill(h.keeper, SIGHUP);
  ASSERT_TRUE(h.until([&] { return h.table->signals_hup.load() == 1; }));
  go.reset();
  EXPECT_EQ(wait_child(h.keeper), std::optional(0));
  h.keeper = 0;
  EXPECT_EQ(h.table->supervisor.last_wait_code, CLD_EXITED) << "it was killed";
  EXPECT_EQ(h.table->supervisor.deaths.load(), 1u);
}

TEST_F(Keeper, GivesUpALoggerThatHangsInItsLastDrainAndSaysSo) {
  h.accept_logger();
  kill(h.logger.pid, SIGSTOP);
  ASSERT_TRUE(h.until([&] { return state_of(h.logger.pid) == 'T'; }));
  ASSERT_TRUE(h.supervisor.send<FinishRecord>(MessageType::finish, {{FinishMode::all_stopped, 0}}));
  EXPECT_EQ(wait_child(h.keeper), std::optional(0));
  h.keeper = 0;
  EXPECT_FALSE(alive(h.logger.pid));
  EXPECT_NE(h.said().find("the logger has not ended within 10 s"), std::string::npos) << h.said();
}

TEST_F(Keeper, LeavesRunsAloneWhenToldSo) {
  const pid_t service = start_service(0, 1);
  ASSERT_TRUE(h.supervisor.send<FinishRecord>(MessageType::finish, {{FinishMode::leave_running, 0}}));
  EXPECT_EQ(wait_child(h.keeper), std::optional(0));
  h.keeper = 0;
  EXPECT_TRUE(alive(service));
}

TEST_F(Keeper, StopsEverythingItselfWhenNoSupervisorComesUp) {
  const pid_t low = start_service(0, 1, 0), high = start_service(2, 2, 7),
              stubborn = start_service(4, 3, 5, "count-terms");
  // Each says when it is gone; the order is read from the pipes' ends. "stubborn" tells its TERM and stays.
  std::ofstream(h.dir + "/broken") << "no supervisor";
  h.kill_supervisor();
  ASSERT_TRUE(h.until([&] { return h.table->supervisor.deaths.load() > 7; }, 60'000));
  kill(h.keeper, SIGTERM);
  EXPECT_EQ(read_some(speaks[1].get(), 1), "");
  EXPECT_TRUE(alive(low));
  EXPECT_EQ(read_some(speaks[2].get(), 1), "t");
  EXPECT_FALSE(alive(high));
  EXPECT_TRUE(alive(low));
  EXPECT_EQ(read_some(speaks[2].get(), 1), "");  // SIGKILL after its grace
  EXPECT_EQ(wait_child(h.keeper), std::optional(0));
  h.keeper = 0;
  EXPECT_FALSE(alive(low));
  EXPECT_FALSE(alive(stubborn));
  EXPECT_EQ(h.entry(0).run.load(), no_run);
}

TEST_F(Keeper, StopsEverythingItselfWhenSupervisorsTalkAndThenFail) {
  const pid_t service = start_service(0, 1);
  std::ofstream(h.dir + "/fails") << "after a word";
  h.kill_supervisor();
  ASSERT_TRUE(h.until([&] { return h.table->supervisor.deaths.load() > 7; }, 60'000));
  kill(h.keeper, SIGTERM);
  EXPECT_EQ(wait_child(h.keeper), std::optional(0));
  h.keeper = 0;
  EXPECT_FALSE(alive(service));
}

TEST_F(Keeper, OnlyCountsTermWhileASupervisorWorks) {
  const pid_t service = start_service(0, 1);
  kill(h.keeper, SIGTERM);
  ASSERT_TRUE(h.until([&] { return h.table->signals_term.load() == 1; }));
  h.spawn(service_plan(2, 2, {"exit"}));
  ASSERT_TRUE(h.until([&] { return h.exited(2); }));
  EXPECT_TRUE(alive(service));
}

// A supervisor that dies by itself again and again is started later and later; runs are watched meanwhile.
TEST_F(Keeper, WaitsLongerForASupervisorThatKeepsDying) {
  std::ofstream(h.dir + "/broken") << "no supervisor";
  h.kill_supervisor();
  ASSERT_TRUE(h.until([&] { return h.table->supervisor.deaths.load() > 7; }, 60'000));
  h.spawn(service_plan(2, 2, {"exit", "3"}));
  ASSERT_TRUE(h.until([&] { return h.exited(2); }));
  EXPECT_LT(h.table->supervisor.deaths.load(), 20u);
  std::filesystem::remove(h.dir + "/broken");
  h.accept_supervisor();
  h.take_over_from_keeper();
}

}  // namespace
}  // namespace hearth::test
