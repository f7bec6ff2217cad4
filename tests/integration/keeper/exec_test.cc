// Another program in the keeper's own place: the same process goes on with everything.

#include <array>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "integration/keeper/runs.h"
#include "wire/hand_over.h"

namespace hearth::test {
namespace {

namespace fs = std::filesystem;
using wire::HandOverProblem;
using wire::KeeperRefusalCause;
using wire::MessageType;
using wire::ParkClass;
using wire::ParkRecord;
using wire::ProgramRecord;
using wire::ProgramRole;

ino_t inode_of(int fd) {
  struct stat file;
  return fstat(fd, &file) == 0 ? file.st_ino : 0;
}

std::string name_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/comm");
  std::string name;
  std::getline(file, name);
  return name;
}

class KeeperExec : public Runs {
 protected:
  explicit KeeperExec(const KeeperOptions& options = {}) : Runs(options) {}
  void SetUp() override {
    h.accept_logger();
    Runs::SetUp();
    fs::copy_file(program("hearth-keeper"), another);
  }
  bool give(const std::string& path) {
    const Fd file(open(path.c_str(), O_PATH | O_CLOEXEC));
    return file.get() >= 0 &&
           h.supervisor.send<ProgramRecord>(MessageType::program, {{ProgramRole::keeper, 0}}, {file.get()});
  }
  std::string runs_now() {
    std::error_code error;
    return fs::read_symlink("/proc/" + std::to_string(h.keeper) + "/exe", error).string();
  }
  std::string script(const std::string& text) {
    const std::string path = h.dir + "/script";
    std::ofstream(path) << text;
    chmod(path.c_str(), 0755);
    return path;
  }
  using Spawners = std::array<std::uint32_t, wire::spawner_count>;  // generations
  Spawners spawners_now() const { return {h.spawner_generation[0], h.spawner_generation[1]}; }
  // Forks of the program that goes on take their places by and by, and we know them.
  void meet_new_spawners(const Spawners& old) {
    ASSERT_TRUE(h.until([&] {
      if (h.supervisor.has_mail()) h.handle_message();
      bool all = true;
      for (std::uint32_t i = 0; i < wire::spawner_count; ++i)
        all = all && h.spawner_generation[i] != old[i] && h.spawner_generation[i] == h.table->spawner[i].generation;
      return all;
    }));
  }
  void become_another() {
    const std::uint32_t before = h.table->keeper_execs;
    const Spawners old = spawners_now();
    ASSERT_TRUE(give(another));
    ASSERT_TRUE(h.until([&] { return h.table->keeper_execs == before + 1; }));
    EXPECT_EQ(runs_now(), another);
    ASSERT_NO_FATAL_FAILURE(meet_new_spawners(old));
  }
  void expect_refused(const std::string& path, KeeperRefusalCause cause, int detail) {
    const std::uint8_t before = h.table->keeper_refusal.load().count;
    const Spawners old = spawners_now();
    ASSERT_TRUE(give(path));
    ASSERT_TRUE(h.until([&] { return h.table->keeper_refusal.load().count != before; }));
    EXPECT_EQ(static_cast<int>(h.table->keeper_refusal.load().cause), static_cast<int>(cause));
    EXPECT_EQ(h.table->keeper_refusal.load().detail, detail);
    if (cause != KeeperRefusalCause::came_back) {
      EXPECT_EQ(h.table->keeper_refusal.load().given_by, wire::giver_of(h.table->supervisor.generation));
    }
    EXPECT_EQ(runs_now(), program("hearth-keeper"));
    EXPECT_EQ(h.table->keeper_execs.load(), 0u);
    // What has come back cannot know whose forks they are.
    if (cause == KeeperRefusalCause::came_back) {
      ASSERT_NO_FATAL_FAILURE(meet_new_spawners(old));
    }
    expect_work(7, 70);
  }
  // To the next supervisor; "" = none.
  void expect_parked_program(const std::string& path) {
    h.kill_supervisor();
    h.accept_supervisor();
    h.take_over_from_keeper();
    ino_t found = 0, wanted = 0;
    for (const auto& [record, fd] : h.parked)
      if (record.type == ParkClass::program) found = inode_of(fd.get());
    if (struct stat file; stat(path.c_str(), &file) == 0) wanted = file.st_ino;
    EXPECT_EQ(found, wanted);
  }
  // Spawned, ended, reaped.
  void expect_work(EntryIndex entry, RunId run) {
    h.spawn(service_plan(entry, run, {"exit", "3"}));
    ASSERT_TRUE(h.until([&] { return h.exited(entry); }));
    EXPECT_EQ(h.entry(entry).wait_status, 3);
    ASSERT_TRUE(h.reap(entry, run));
    ASSERT_TRUE(h.until([&] { return h.entry(entry).claim.load() == 0 && h.entry(entry).run.load() == no_run; }));
  }
  std::string stand_in(const std::string& name) {
    fs::copy_file(program("hearth-test-service"), h.dir + "/" + name);
    return h.dir + "/" + name;
  }
  std::set<pid_t> children() {
    std::ifstream list("/proc/" + std::to_string(h.keeper) + "/task/" + std::to_string(h.keeper) + "/children");
    return std::set<pid_t>(std::istream_iterator<pid_t>(list), {});
  }
  pid_t try_one_that_hangs() {
    const std::set<pid_t> before = children();
    pid_t tried = 0;
    EXPECT_TRUE(give(stand_in("hangs")));
    EXPECT_TRUE(h.until([&] {
      for (pid_t child : children())
        if (!before.contains(child)) tried = child;
      return tried != 0 && name_of(tried) != "hearth-keeper";
    }));
    return tried;
  }
  std::string another = h.dir + "/another-keeper";
};

TEST_F(KeeperExec, IsTheSameProcessAndSoAreAllOthers) {
  const pid_t keeper = h.table->keeper_pid, supervisor = h.supervisor.pid, logger = h.logger.pid;
  const Fd speaks = start_speaking(0, 1, {"pause"});
  const pid_t run = h.entry(0).pid.load();
  ASSERT_NO_FATAL_FAILURE(become_another());
  EXPECT_EQ(h.table->keeper_pid.load(), keeper);
  EXPECT_EQ(name_of(keeper), "hearth-keeper");
  EXPECT_EQ(h.table->keeper_generation.load(), 1u);
  EXPECT_EQ(h.table->supervisor.pid.load(), supervisor);
  EXPECT_EQ(h.table->logger.pid.load(), logger);
  EXPECT_TRUE(alive(supervisor) && alive(logger) && alive(run));
  EXPECT_EQ(h.entry(0).phase.load(), wire::EntryPhase::watched);
  ASSERT_TRUE(h.signal(0, 1, 1, SIGKILL));
  ASSERT_TRUE(h.until([&] { return h.exited(0); }));
  EXPECT_EQ(h.entry(0).wait_code, CLD_KILLED);
  ASSERT_TRUE(h.reap(0, 1));
  ASSERT_TRUE(h.until([&] { return state_of(run) == 0; }));
  EXPECT_TRUE(h.keeper_rests());
}

TEST_F(KeeperExec, LosesNoExitStatus) {
  const Fd before = start_speaking(1, 2, {"pause"}), amid = start_speaking(2, 3, {"pause"});
  ASSERT_TRUE(h.signal(1, 2, 1, SIGUSR1));
  ASSERT_TRUE(h.until([&] { return h.exited(1); }));
  const pid_t zombie = h.entry(1).pid.load();
  // While the keeper is stopped: it finds the order and the death, in whichever order it looks.
  ASSERT_EQ(kill(h.keeper, SIGSTOP), 0);
  ASSERT_TRUE(h.until([&] { return state_of(h.keeper) == 'T'; }));
  ASSERT_TRUE(give(another));
  kill(h.entry(2).pid.load(), SIGUSR2);
  ASSERT_TRUE(h.until([&] { return state_of(h.entry(2).pid.load()) == 'Z'; }));
  ASSERT_EQ(kill(h.keeper, SIGCONT), 0);
  ASSERT_TRUE(h.until([&] { return h.table->keeper_execs == 1 && h.exited(2); }));
  EXPECT_EQ(h.entry(1).wait_status, SIGUSR1);
  EXPECT_EQ(h.entry(2).wait_code, CLD_KILLED);
  EXPECT_EQ(h.entry(2).wait_status, SIGUSR2);
  EXPECT_EQ(state_of(zombie), 'Z') << "held until it is reaped";
  ASSERT_TRUE(h.reap(1, 2));
  ASSERT_TRUE(h.until([&] { return state_of(zombie) == 0; }));
  EXPECT_EQ(h.table->strays_reaped.load(), 0u);
}

TEST_F(KeeperExec, KeepsWhatIsParkedForTheNextSupervisor) {
  auto [a, b] = make_pipe();
  auto [c, d] = make_pipe();
  auto [e, f] = make_pipe();
  ASSERT_TRUE(h.supervisor.send<ParkRecord>(
      MessageType::park,
      {park_record(ParkClass::store, 4, "model"), park_record(ParkClass::store, 5, "gone"),
       park_record(ParkClass::listen, 6, "http")},
      {a.get(), c.get(), e.get()}));
  ASSERT_TRUE(h.supervisor.send<ParkRecord>(MessageType::unpark, {park_record(ParkClass::store, 5, "gone")}));
  ASSERT_NO_FATAL_FAILURE(become_another());
  // By name, also after the exec.
  ASSERT_TRUE(h.supervisor.send<ParkRecord>(MessageType::park, {park_record(ParkClass::listen, 6, "http")}, {b.get()}));
  ASSERT_TRUE(h.supervisor.send<ParkRecord>(MessageType::park, {park_record(ParkClass::store, 8, "later")}, {d.get()}));
  h.kill_supervisor();
  h.accept_supervisor();
  h.take_over_from_keeper();
  ASSERT_EQ(h.parked.size(), 4u) << "and the program before";
  std::map<std::string, ino_t> found;
  for (const auto& [record, fd] : h.parked) found[record.name] = inode_of(fd.get());
  EXPECT_EQ(found["model"], inode_of(a.get()));
  EXPECT_EQ(found["http"], inode_of(b.get()));
  EXPECT_EQ(found["later"], inode_of(d.get()));
}

// For the supervisor, which has it executed should the keeper die of the new one.
TEST_F(KeeperExec, TheProgramBeforeIsParkedUntilASupervisorGivesItUp) {
  ASSERT_NO_FATAL_FAILURE(become_another());
  expect_parked_program(program("hearth-keeper"));
  // The one on trial is no way back.
  const std::string first = std::exchange(another, h.dir + "/third-keeper");
  fs::copy_file(program("hearth-keeper"), another);
  ASSERT_NO_FATAL_FAILURE(become_another());
  expect_parked_program(program("hearth-keeper"));
  const ParkRecord before = park_record(ParkClass::program, wire::program_before_keeper);
  ASSERT_TRUE(h.supervisor.send<ParkRecord>(MessageType::unpark, {before}));
  expect_parked_program("");
  const std::string second = std::exchange(another, first);
  ASSERT_NO_FATAL_FAILURE(become_another());
  expect_parked_program(second);
}

struct FullKeeperExec : KeeperExec {
  static constexpr std::uint32_t parked = 36;
  FullKeeperExec() : KeeperExec({.nofile = wire::keeper_reserved_descriptors + parked}) {}
};

// It is one of the descriptors that are reserved: those of services stay within the limit as before.
TEST_F(FullKeeperExec, ParksTheProgramBeforeThoughThereIsRoomForNothingMore) {
  auto [a, b] = make_pipe();
  const auto store = [&](std::uint64_t first, std::uint32_t count) {
    std::vector<ParkRecord> records;
    for (std::uint32_t i = 0; i < count; ++i) records.push_back(park_record(ParkClass::store, first + i));
    return h.supervisor.send<ParkRecord>(MessageType::park, records, std::vector<int>(count, a.get()));
  };
  ASSERT_TRUE(store(1, parked));
  ASSERT_NO_FATAL_FAILURE(become_another());
  EXPECT_EQ(h.table->parks_refused.load(), 0u);
  expect_parked_program(program("hearth-keeper"));
  EXPECT_EQ(h.parked.size(), parked + 1);
  ASSERT_TRUE(store(100, 1));
  EXPECT_TRUE(h.until([&] { return h.table->parks_refused == 1; }));
}

// That supervisor has been told everything, and may not have begun: it would take the new program for the only one.
TEST_F(KeeperExec, WaitsUntilASupervisorThatHasNotOrderedItIsUp) {
  ASSERT_EQ(kill(h.keeper, SIGSTOP), 0);
  ASSERT_TRUE(h.until([&] { return state_of(h.keeper) == 'T'; }));
  ASSERT_TRUE(give(another));
  h.kill_supervisor();
  ASSERT_EQ(kill(h.keeper, SIGCONT), 0);
  h.accept_supervisor();
  h.take_over_from_keeper();
  ASSERT_TRUE(h.keeper_rests());
  EXPECT_EQ(h.table->keeper_execs.load(), 0u);
  EXPECT_EQ(runs_now(), program("hearth-keeper"));
  ASSERT_TRUE(h.supervisor.send<ProgramRecord>(MessageType::up, {}));
  ASSERT_TRUE(h.until([&] { return h.table->keeper_execs == 1; }));
  EXPECT_EQ(runs_now(), another);
}

TEST_F(KeeperExec, OneThatCameBackHasNoneBeforeIt) {
  expect_refused(program("hearth-test-keeper-without-luck"), KeeperRefusalCause::came_back,
                 static_cast<int>(HandOverProblem::memory));
  expect_parked_program("");
}

TEST_F(KeeperExec, SpawnsOnWithSpawnersOfTheNewProgram) {
  const pid_t old[] = {h.table->spawner[0].pid, h.table->spawner[1].pid};
  ASSERT_NO_FATAL_FAILURE(become_another());
  EXPECT_TRUE(h.until([&] { return !alive(old[0]) && !alive(old[1]); }));
  EXPECT_TRUE(h.until([&] { return name_of(h.table->spawner[0].pid) == "hearth-spawner"; }));
  expect_work(3, 30);
  EXPECT_TRUE(h.keeper_rests());
}

// A plan that lies in the socket of a spawner that is replaced is sent again, as a supervisor does it: when that spawner is
// gone and nobody has begun.
TEST_F(KeeperExec, LosesNoRunThatIsStartedMeanwhile) {
  for (RunId run = 1; run <= 40; ++run) {
    const EntryIndex entry = static_cast<EntryIndex>(run % 4);
    const int code = static_cast<int>(run);
    ASSERT_TRUE(give(another));
    h.order(entry, run);
    const Plan plan = service_plan(entry, run, {"exit", std::to_string(code)});
    std::uint32_t sent_to = 0;
    ASSERT_TRUE(h.until([&] {
      while (h.supervisor.has_mail()) h.handle_message();
      if (sent_to != h.spawner_generation[0] && h.entry(entry).pid == 0 && h.entry(entry).claim == 0 &&
          h.spawner_generation[0] == h.table->spawner[0].generation && h.send_plan(plan))
        sent_to = h.spawner_generation[0];
      return h.exited(entry);
    })) << "run "
        << run << ": claim " << h.entry(entry).claim << ", PID " << h.entry(entry).pid << ", phase "
        << static_cast<int>(h.entry(entry).phase.load()) << "; sent to spawner " << sent_to << ", told of "
        << h.spawner_generation[0] << ", there is " << h.table->spawner[0].generation << " (PID "
        << h.table->spawner[0].pid << "); execs " << h.table->keeper_execs;
    EXPECT_EQ(h.entry(entry).wait_code, CLD_EXITED);
    EXPECT_EQ(h.entry(entry).wait_status, code);
    EXPECT_EQ(h.entry(entry).fail_stage.load(), 0u);
    ASSERT_TRUE(h.reap(entry, run));
    ASSERT_TRUE(h.until([&] { return h.entry(entry).claim == 0 && h.entry(entry).run == no_run; }));
  }
  EXPECT_GT(h.table->keeper_execs.load(), 0u);
  EXPECT_EQ(h.table->keeper_refusal.load().count, 0);
  EXPECT_EQ(h.table->supervisor.deaths.load() + h.table->logger.deaths.load(), 0u);
}

TEST_F(KeeperExec, GoesOnTellingTheLogger) {
  auto [a, b] = make_pipe();
  auto [c, d] = make_pipe();
  ParkRecord first = park_record(ParkClass::output, 1), second = park_record(ParkClass::output, 2);
  first.slot = second.slot = 0;
  ASSERT_TRUE(h.supervisor.send<ParkRecord>(MessageType::park, {first}, {a.get()}));
  ASSERT_NO_FATAL_FAILURE(become_another());
  ASSERT_TRUE(h.supervisor.send<ParkRecord>(MessageType::park, {second}, {c.get()}));
  ASSERT_TRUE(h.supervisor.send<ParkRecord>(MessageType::unpark, {first}));
  std::vector<std::pair<MessageType, std::uint64_t>> told;
  while (told.size() < 3) {
    const std::optional<Message> message = h.logger.receive();
    ASSERT_TRUE(message);
    if (message->header.type == MessageType::hello) continue;
    told.emplace_back(message->header.type, message->at<ParkRecord>().key);
    if (message->header.type == MessageType::parked) {
      ASSERT_TRUE(h.logger.acknowledge());
    }
  }
  EXPECT_EQ(told[0], std::pair(MessageType::parked, std::uint64_t{1}));
  EXPECT_EQ(told[1], std::pair(MessageType::parked, std::uint64_t{2}));
  EXPECT_EQ(told[2], std::pair(MessageType::unpark, std::uint64_t{1}));
}

TEST_F(KeeperExec, MayBeRepeatedAndKeepsItsMembersAlive) {
  ASSERT_NO_FATAL_FAILURE(become_another());
  ASSERT_NO_FATAL_FAILURE(become_another());
  const pid_t logger = h.logger.pid;
  kill(logger, SIGKILL);
  h.accept_logger();
  EXPECT_NE(h.logger.pid, logger);
  h.kill_supervisor();
  h.accept_supervisor();
  h.take_over_from_keeper();
  EXPECT_EQ(h.hello_record.keeper_generation, 1u);
}

TEST_F(KeeperExec, CountsSignalsThatComeMeanwhile) {
  ASSERT_EQ(kill(h.keeper, SIGSTOP), 0);
  ASSERT_TRUE(h.until([&] { return state_of(h.keeper) == 'T'; }));
  ASSERT_TRUE(give(another));
  ASSERT_EQ(kill(h.keeper, SIGHUP), 0);
  ASSERT_EQ(kill(h.keeper, SIGCONT), 0);
  ASSERT_TRUE(h.until([&] { return h.table->keeper_execs == 1; }));
  ASSERT_EQ(kill(h.keeper, SIGUSR1), 0);
  ASSERT_TRUE(h.until([&] { return h.table->signals_hup == 1 && h.table->signals_usr1 == 1; }));
}

TEST_F(KeeperExec, LeavesNoDescriptorBehindAndKeepsItsOwnToItself) {
  const auto count = [&] {
    const auto all = fs::directory_iterator("/proc/" + std::to_string(h.keeper) + "/fd");
    return std::distance(fs::begin(all), fs::end(all));
  };
  ASSERT_NO_FATAL_FAILURE(become_another());
  ASSERT_TRUE(h.keeper_rests()) << "it has the old spawners until they are reaped";
  const auto first = count();
  ASSERT_NO_FATAL_FAILURE(become_another());
  EXPECT_TRUE(h.until([&] { return count() == first; })) << count() << " instead of " << first;
}

TEST_F(KeeperExec, ThatIsKilledAfterwardsIsSucceededAsAnyOther) {
  const Fd speaks = start_speaking(0, 1, {"pause"});
  const pid_t run = h.entry(0).pid.load();
  const Fd pidfd(static_cast<int>(syscall(SYS_pidfd_open, run, 0)));
  ASSERT_NO_FATAL_FAILURE(become_another());
  const pid_t spawners[] = {h.table->spawner[0].pid, h.table->spawner[1].pid};
  kill(h.keeper, SIGKILL);
  ASSERT_TRUE(wait_child(h.keeper).has_value());
  for (pid_t pid : spawners) ASSERT_TRUE(wait_child(pid)) << "a spawner outlived its keeper";
  h.start_successor_of_keeper(2);
  ASSERT_TRUE(h.supervisor.send<wire::RunRecord>(MessageType::adopt, {{0, 0, 1}}, {pidfd.get()}));
  ASSERT_TRUE(h.until([&] { return h.entry(0).phase.load() == wire::EntryPhase::adopted; }));
  EXPECT_TRUE(alive(run));
  // And that one executes another in its turn, with what it has adopted.
  ASSERT_NO_FATAL_FAILURE(become_another());
  ASSERT_TRUE(h.signal(0, 1, 1, SIGTERM));
  ASSERT_TRUE(wait_child(run).has_value());
  ASSERT_TRUE(h.until([&] { return h.exited(0); }));
}

// What it tries is nothing that outlives it: it would hold the record, and be nobody's.
TEST_F(KeeperExec, TakesItsDryRunAlongWhenItIsKilled) {
  if (children().empty()) GTEST_SKIP() << "this kernel lists no children";
  const pid_t tried = try_one_that_hangs();
  kill(h.keeper, SIGKILL);
  ASSERT_TRUE(wait_child(h.keeper).has_value());
  ASSERT_TRUE(wait_child(tried).has_value());
}

TEST_F(KeeperExec, RefusesWhatIsNoKeeper) {
  expect_refused(script("Lorem ipsum"), KeeperRefusalCause::cannot_execute, 0);
  expect_refused("/bin/true", KeeperRefusalCause::died, 0);
  expect_refused("/bin/false", KeeperRefusalCause::died, 1);
}

TEST_F(KeeperExec, RefusesOneThatSaysThatItCannot) {
  expect_refused(stand_in("103"), KeeperRefusalCause::refused, static_cast<int>(HandOverProblem::slot_table));
}

TEST_F(KeeperExec, RefusesOneThatCrashesInItsDryRun) {
  expect_refused(stand_in("crashes"), KeeperRefusalCause::died, 128 + SIGABRT);
}

TEST_F(KeeperExec, RefusesOneThatHangsInItsDryRunAndWorksOnMeanwhile) {
  ASSERT_TRUE(give(stand_in("hangs")));
  expect_work(5, 50);
  ASSERT_TRUE(h.until([&] { return h.table->keeper_refusal.load().cause == KeeperRefusalCause::silent; }));
  EXPECT_TRUE(h.keeper_rests());
  EXPECT_EQ(h.table->strays_reaped.load(), 0u);
}

// What was given last counts.
TEST_F(KeeperExec, GivesUpADryRunForTheNextProgram) {
  ASSERT_TRUE(give(stand_in("hangs")));
  ASSERT_NO_FATAL_FAILURE(become_another());
  EXPECT_EQ(h.table->keeper_refusal.load().count, 0);
}

// A successor that waits for what it has given itself must not take this for that.
TEST_F(KeeperExec, SaysWhoHadGivenWhatItRefuses) {
  if (children().empty()) GTEST_SKIP() << "this kernel lists no children";
  const std::uint8_t giver = wire::giver_of(h.table->supervisor.generation);
  const pid_t tried = try_one_that_hangs();
  h.kill_supervisor();
  h.accept_supervisor();
  h.take_over_from_keeper();
  ASSERT_EQ(kill(tried, SIGKILL), 0);
  ASSERT_TRUE(h.until([&] { return h.table->keeper_refusal.load().cause == KeeperRefusalCause::died; }));
  EXPECT_EQ(h.table->keeper_refusal.load().given_by, giver);
  EXPECT_NE(h.table->keeper_refusal.load().given_by, wire::giver_of(h.table->supervisor.generation));
}

// Its order was refused, because we did not want to wait any longer.
TEST_F(KeeperExec, ForgetsWhatIsTakenBack) {
  ASSERT_EQ(kill(h.keeper, SIGSTOP), 0);
  ASSERT_TRUE(h.until([&] { return state_of(h.keeper) == 'T'; }));
  ASSERT_TRUE(give(another));
  ASSERT_TRUE(h.supervisor.send<ProgramRecord>(MessageType::program, {}));
  ASSERT_EQ(kill(h.keeper, SIGCONT), 0);
  expect_work(6, 60);
  EXPECT_EQ(runs_now(), program("hearth-keeper"));
  EXPECT_EQ(h.table->keeper_execs.load(), 0u);
  EXPECT_EQ(h.table->keeper_refusal.load().count, 0) << "nobody was refused";
  EXPECT_TRUE(h.keeper_rests()) << "and its dry run, if it had begun, is over";
  ASSERT_NO_FATAL_FAILURE(become_another());
}

// As one arrives that the keeper had no room for.
TEST_F(KeeperExec, WithoutADescriptorIsRefusedAsWhatCannotBeDoneNow) {
  const std::uint8_t before = h.table->keeper_refusal.load().count;
  ASSERT_TRUE(h.supervisor.send<ProgramRecord>(MessageType::program, {{ProgramRole::keeper, 0}}));
  ASSERT_TRUE(h.until([&] { return h.table->keeper_refusal.load().count != before; }));
  EXPECT_EQ(h.table->keeper_refusal.load().cause, KeeperRefusalCause::not_now);
  EXPECT_EQ(h.table->upgrades_refused.load(), 0u);
  expect_work(7, 70);
}

TEST_F(KeeperExec, ComesBackToTheProgramThatWentOn) {
  const Fd speaks = start_speaking(0, 1, {"pause"});
  expect_refused(program("hearth-test-keeper-without-luck"), KeeperRefusalCause::came_back,
                 static_cast<int>(HandOverProblem::memory));
  EXPECT_EQ(h.entry(0).phase.load(), wire::EntryPhase::watched);
  ASSERT_TRUE(h.signal(0, 1, 1, SIGKILL));
  ASSERT_TRUE(h.until([&] { return h.exited(0); }));
  ASSERT_NO_FATAL_FAILURE(become_another());
}

}  // namespace
}  // namespace hearth::test
