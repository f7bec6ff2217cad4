// Services that go into the background by themselves (type = "forking"), as their users see them.
#include <algorithm>

#include "scenario/stage.h"

namespace hearth::scenario {
namespace {

// A leader that ends well after 5 ms and leaves this behind.
Script leaves(Script daemon) {
  Script leader = ends(5, 0);
  leader.daemon = std::make_shared<Script>(std::move(daemon));
  return leader;
}

ServiceSpec forking(const std::string& name, const char* pid_file = "/run/d.pid", ProbeType ready = ProbeType::none) {
  ServiceSpec spec = service(name, ready);
  spec.type = ServiceType::forking;
  spec.around.edit().pid_file = pid_file;
  spec.start_timeout = seconds(2);
  return spec;
}

class DaemonScenario : public Scenario {
 protected:
  SlotStatus status() { return stage.status("d"); }
  Phase phase() { return status().phase; }
  void run_until(Phase wanted, std::int64_t limit_ms = 60'000) {
    stage.run_until([this, wanted] { return phase() == wanted; }, limit_ms);
  }
};

TEST_F(DaemonScenario, ADaemonRunsOnceItsMainProcessIsFound) {
  stage.plays("d", {leaves(good())});
  const sim::ClientCall& up = stage.up({forking("d")});
  stage.run_ms(4);
  EXPECT_EQ(phase(), Phase::starting);
  run_until(Phase::running, 50);
  EXPECT_TRUE(up.answered);
  EXPECT_EQ(status().pid, stage.process("d").pid);
  EXPECT_EQ(stage.runs_of("d"), 1u);
  EXPECT_TRUE(status().ready);
  stage.run_ms(60'000);
  EXPECT_EQ(phase(), Phase::running) << "its start clock is over";
}

TEST_F(DaemonScenario, ItsEndIsTheEndOfTheRunAndItIsStartedAgain) {
  Script dies = good();
  dies.exit_after = milliseconds(300);
  dies.exit_code = 2;
  dies.exit_status = 11;
  stage.plays("d", {leaves(dies), leaves(good())});
  stage.up({forking("d")});
  run_until(Phase::backoff);
  EXPECT_EQ(status().reason_text, "was killed by signal 11");
  run_until(Phase::running);
  EXPECT_EQ(stage.runs_of("d"), 2u);
  EXPECT_EQ(status().restarts, 1u);
}

// It was shown nowhere: the program had replaced itself, and the end of the old one was a surprise.
TEST_F(DaemonScenario, AnotherMainProcessThatItNamesLaterIsNotFollowedAndSaysSo) {
  Script replaced = good();
  replaced.says = {{milliseconds(300), "MAINPID=4242"}, {milliseconds(400), "MAINPID=4243"}};
  stage.plays("d", {leaves(replaced)});
  stage.up({forking("d")});
  run_until(Phase::running, 100);
  const std::string pid = std::to_string(status().pid);
  EXPECT_EQ(status().reason_text, "");
  stage.run_ms(1'000);
  const std::string words = "it says MAINPID=4243, and PID " + pid + " is followed all the same";
  EXPECT_EQ(status().reason_text.substr(0, words.size()), words);
  EXPECT_EQ(std::to_string(status().pid), pid);
  const std::vector<Note> notes = stage.machine().supervisor().status().notes;
  EXPECT_EQ(
      std::ranges::count_if(notes, [](const Note& one) { return one.text.find("MAINPID=") != std::string::npos; }), 1);
  stage.kill_supervisor(10);
  stage.run_ms(100);
  EXPECT_EQ(status().reason_text.substr(0, words.size()), words);
}

TEST_F(DaemonScenario, ADaemonThatEndsWellIsCompletedUnderOnFailure) {
  Script ends_well = good();
  ends_well.exit_after = milliseconds(100);
  ServiceSpec spec = forking("d");
  spec.restart = RestartPolicy::on_failure;
  stage.plays("d", {leaves(ends_well)});
  stage.up({spec});
  run_until(Phase::completed);
}

TEST_F(DaemonScenario, ALeaderThatFailsIsAFailedStart) {
  ServiceSpec spec = forking("d");
  spec.success_exit_codes = {0, 3};
  spec.restart = RestartPolicy::on_failure;
  stage.plays("d", {ends(5, 3), leaves(good())});
  stage.up({spec});
  run_until(Phase::backoff);
  EXPECT_EQ(status().reason_text, "exited with code 3");
  run_until(Phase::running);
}

TEST_F(DaemonScenario, ALeaderThatLeavesNobodyIsAFailedStartAtOnce) {
  ServiceSpec spec = forking("d");
  spec.restart = RestartPolicy::never;
  stage.plays("d", {ends(5, 0)});
  stage.up({spec});
  run_until(Phase::failed, 100);
  EXPECT_EQ(status().reason_text,
            "exited with code 0, and no process of it is left: its daemon has ended, or there was none");
}

TEST_F(DaemonScenario, APidFileThatIsWrittenLateIsWaitedFor) {
  Script late = good();
  late.pid_file_after = milliseconds(700);
  stage.plays("d", {leaves(late)});
  stage.up({forking("d")});
  stage.run_ms(300);
  EXPECT_EQ(phase(), Phase::starting);
  EXPECT_EQ(status().reason_text, "looks for its main process: /run/d.pid is not there");
  EXPECT_EQ(status().pid, 0) << "its leader is dead, and who stays is not known";
  run_until(Phase::running, 1'000);
  EXPECT_EQ(stage.runs_of("d"), 1u);
}

TEST_F(DaemonScenario, WithoutPidFileUntilItsTimeoutItIsStoppedGracefullyAndSaysWhatWasMissing) {
  Script never = good();
  never.pid_file_after = sim::not_at_all;
  ServiceSpec spec = forking("d");
  spec.restart = RestartPolicy::never;
  stage.plays("d", {leaves(never)});
  stage.up({spec});
  stage.run_ms(1'900);
  EXPECT_EQ(phase(), Phase::starting);
  run_until(Phase::failed, 1'000);
  EXPECT_EQ(status().reason_text,
            "its main process was not found within its start_timeout of 2 s: /run/d.pid is not there");
  EXPECT_EQ(stage.stop_signals_of("d"), 1u) << "it has been asked, and not killed";
  EXPECT_FALSE(stage.process("d").killed);
  EXPECT_EQ(stage.machine().kernel.live_count(), 0u);
}

TEST_F(DaemonScenario, AProgramThatStaysInTheForegroundIsToldSo) {
  ServiceSpec spec = forking("d");
  spec.restart = RestartPolicy::never;
  stage.plays("d", {good()});
  stage.up({spec});
  run_until(Phase::failed, 3'000);
  EXPECT_EQ(stage.stop_signals_of("d"), 1u);
  EXPECT_EQ(
      status().reason_text,
      "it had not gone into the background within its start_timeout of 2 s; what stays in the foreground has type = "
      "\"service\"");
}

TEST_F(DaemonScenario, APidFileThatNamesSomebodyElseMakesNobodyFollowed) {
  Script lies = good();
  lies.pid_file_lies = true;
  ServiceSpec spec = forking("d");
  spec.restart = RestartPolicy::never;
  stage.plays("d", {leaves(lies)});
  stage.up({spec});
  run_until(Phase::failed, 3'000);
  EXPECT_EQ(
      status().reason_text,
      "its main process was not found within its start_timeout of 2 s: /run/d.pid names PID 1, which is no process "
      "of this run");
}

TEST_F(DaemonScenario, WithoutPidFileTheOnlyProcessThatIsLeftIsIt) {
  stage.plays("d", {leaves(good())});
  stage.up({forking("d", "")});
  run_until(Phase::running, 100);
}

TEST_F(DaemonScenario, WithoutPidFileAndWithSeveralProcessesTheRemedyIsTold) {
  Script one_of_two = good();
  one_of_two.has_siblings = true;
  stage.plays("d", {leaves(one_of_two)});
  stage.up({forking("d", "")});
  stage.run_ms(500);
  EXPECT_EQ(phase(), Phase::starting);
  EXPECT_EQ(status().reason_text,
            "looks for its main process: 2 processes are left; set pid_file to the file in which it writes its PID");
}

TEST_F(DaemonScenario, MainpidIsBelievedBeforeThePidFile) {
  Script tells = good();
  tells.pid_file_lies = true;
  tells.says = {{milliseconds(200), "MAINPID=self"}};
  stage.plays("d", {leaves(tells)});
  stage.up({forking("d")});
  stage.run_ms(150);
  EXPECT_EQ(phase(), Phase::starting);
  run_until(Phase::running, 500);
}

TEST_F(DaemonScenario, ReadinessThatIsSaidBeforeTheMainProcessIsFoundIsKept) {
  Script early = good(1);
  early.pid_file_after = milliseconds(300);
  stage.plays("d", {leaves(early)});
  stage.up({forking("d", "/run/d.pid", ProbeType::notify)});
  stage.run_ms(200);
  EXPECT_FALSE(status().ready);
  EXPECT_EQ(phase(), Phase::starting);
  stage.kill_supervisor(50);
  stage.run_until([&] { return stage.is_ready("d"); }, 1'000);
  EXPECT_EQ(phase(), Phase::running);
}

TEST_F(DaemonScenario, AReadinessProbeBeginsWhenItIsFoundAndTheStartClockGoesOn) {
  Script slow = good(100'000);
  ServiceSpec spec = forking("d", "/run/d.pid", ProbeType::http);
  spec.restart = RestartPolicy::never;
  stage.plays("d", {leaves(slow)});
  stage.up({spec});
  run_until(Phase::failed, 3'000);
  EXPECT_EQ(status().reason_text, "not ready within its start_timeout of 2 s");
}

TEST_F(DaemonScenario, TheSupervisorMayDieWhileItIsLookedFor) {
  Script late = good();
  late.pid_file_after = milliseconds(400);
  stage.plays("d", {leaves(late)});
  stage.up({forking("d")});
  stage.run_ms(3);
  stage.kill_supervisor(50);  // the leader ends while nobody is there
  stage.run_ms(200);
  EXPECT_EQ(phase(), Phase::starting);
  stage.kill_supervisor(300);  // the file is written while nobody is there
  run_until(Phase::running, 1'000);
  EXPECT_EQ(stage.runs_of("d"), 1u);
  stage.kill_supervisor(50);
  stage.run_ms(500);
  EXPECT_EQ(phase(), Phase::running);
  EXPECT_EQ(status().pid, stage.process("d").pid);
  EXPECT_EQ(stage.runs_of("d"), 1u);
}

TEST_F(DaemonScenario, TheSupervisorMayDieAtAnyPlaceOfTheFollowing) {
  for (const char* place : {"follow", "follow done", "in commit", "after commit", "start_ticks"}) {
    Stage fresh;
    Script late = good();
    late.pid_file_after = milliseconds(60);
    fresh.plays("d", {leaves(late)});
    fresh.up({forking("d")});
    fresh.run_until([&] { return fresh.process("d").daemon != nullptr; }, 100);
    fresh.run_ms(30);
    fresh.machine().crash.arm_at(place);
    fresh.run_until([&] { return fresh.machine().crashes == 1; }, 1'000);
    fresh.run_until([&] { return fresh.status("d").phase == Phase::running; }, 1'000);
    EXPECT_EQ(fresh.problems(), "") << place << "\n" << fresh.trace();
    EXPECT_EQ(fresh.status("d").pid, fresh.process("d").pid) << place;
    EXPECT_EQ(fresh.runs_of("d"), 1u) << place;
  }
}

// What the keeper was told to follow, it follows, even if the run is killed meanwhile: a successor that began beside it
// would be the second one (found by the simulator, seed 5624).
TEST_F(DaemonScenario, WhoIsKilledWhileItIsBeingFollowedHasNoSuccessorBesideIt) {
  for (std::int64_t moment = 50; moment < 90; ++moment) {
    Stage fresh;
    Script stubborn = good();
    stubborn.pid_file_after = milliseconds(60);
    stubborn.term_takes = sim::not_at_all;
    fresh.plays("d", {leaves(stubborn), leaves(good())});
    ServiceSpec spec = forking("d");
    spec.stop_timeout = milliseconds(1);
    fresh.up({spec});
    fresh.run_ms(moment);
    fresh.order(Verb::restart, {"d"});
    fresh.run_until([&] { return fresh.runs_of("d") == 2 && fresh.status("d").phase == Phase::running; }, 5'000);
    EXPECT_EQ(fresh.problems(), "") << moment << "\n" << fresh.trace();
  }
}

// All of hearth dies while the leader forks: the run is adopted unseen, its daemon is found later, and READY=1 may have
// been said while nobody was there (found by the simulator, seed 48764).
TEST_F(DaemonScenario, ADaemonThatIsFoundAfterAllOfHearthHadDiedIsReadyOnceAndStays) {
  for (const std::int64_t moment : {1, 3, 6, 20, 80}) {
    for (const bool with_state : {false, true}) {
      Stage fresh;
      Script late = good();
      late.pid_file_after = milliseconds(60);
      late.ready_after = milliseconds(40);
      fresh.plays("d", {leaves(late)});
      ServiceSpec spec = forking("d", "/run/d.pid", ProbeType::notify);
      spec.start_timeout = seconds(20);
      fresh.up({spec});
      fresh.run_ms(moment);
      fresh.machine().nobody_for = [] { return milliseconds(300); };
      fresh.machine().kill_everybody(with_state);
      fresh.run_ms(400);
      fresh.run_until([&] { return fresh.machine().alive() && fresh.status("d").phase == Phase::running; }, 10'000);
      EXPECT_TRUE(fresh.status("d").ready) << moment;
      fresh.run_ms(30'000);
      EXPECT_EQ(fresh.status("d").phase, Phase::running) << moment << ": no start clock ends it";
      EXPECT_EQ(fresh.problems(), "") << moment << "\n" << fresh.trace();
    }
  }
}

TEST_F(DaemonScenario, ADaemonThatEndsWhileNobodyIsThereIsTheEndOfTheRun) {
  Script dies = good();
  dies.exit_after = milliseconds(300);
  dies.exit_status = 7;
  stage.plays("d", {leaves(dies), leaves(good())});
  stage.up({forking("d")});
  run_until(Phase::running);
  stage.kill_supervisor(500);
  stage.run_until([&] { return stage.machine().alive() && stage.runs_of("d") == 2; }, 5'000);
  EXPECT_EQ(status().last_exit.status, 7);
}

TEST_F(DaemonScenario, AStopWhileItIsLookedForAsksTheOldestProcessAndEndsAll) {
  Script late = good();
  late.pid_file_after = sim::not_at_all;
  stage.plays("d", {leaves(late)});
  stage.up({forking("d")});
  stage.run_ms(200);
  EXPECT_EQ(phase(), Phase::starting);
  const sim::ClientCall& stop = stage.order(Verb::stop, {"d"});
  run_until(Phase::stopped, 1'000);
  EXPECT_TRUE(stop.answered);
  EXPECT_EQ(stage.stop_signals_of("d"), 1u);
  EXPECT_FALSE(stage.process("d").killed);
  EXPECT_EQ(stage.machine().kernel.live_count(), 0u);
}

TEST_F(DaemonScenario, AStopOfARunningOneReachesTheMainProcess) {
  stage.plays("d", {leaves(good())});
  stage.up({forking("d")});
  run_until(Phase::running);
  stage.order(Verb::stop, {"d"});
  run_until(Phase::stopped, 1'000);
  EXPECT_EQ(stage.process("d").stop_signals, 1u);
}

TEST_F(DaemonScenario, OneThatIgnoresItsStopSignalIsKilled) {
  Script stubborn = good();
  stubborn.term_takes = sim::not_at_all;
  ServiceSpec spec = forking("d");
  spec.stop_timeout = milliseconds(400);
  stage.plays("d", {leaves(stubborn)});
  stage.up({spec});
  run_until(Phase::running);
  stage.order(Verb::stop, {"d"});
  run_until(Phase::stopped, 1'000);
  EXPECT_TRUE(stage.process("d").killed);
}

TEST_F(DaemonScenario, AKeeperThatDiesBeforeItIsFoundIsReplacedAndItIsFollowed) {
  Script late = good();
  late.pid_file_after = milliseconds(400);
  stage.plays("d", {leaves(late)});
  stage.up({forking("d")});
  stage.run_ms(100);
  EXPECT_EQ(phase(), Phase::starting);
  stage.machine().kill_keeper();
  run_until(Phase::running, 1'000);
  EXPECT_EQ(stage.runs_of("d"), 1u);
  stage.order(Verb::stop, {"d"});
  run_until(Phase::stopped, 2'000);
  EXPECT_EQ(stage.process("d").stop_signals, 1u);
}

TEST_F(DaemonScenario, AKeeperThatDiesAfterItWasFoundLosesNothing) {
  stage.plays("d", {leaves(good())});
  stage.up({forking("d")});
  run_until(Phase::running);
  stage.machine().kill_keeper();
  stage.run_ms(1'000);
  EXPECT_EQ(phase(), Phase::running);
  EXPECT_EQ(stage.runs_of("d"), 1u);
  EXPECT_EQ(status().pid, stage.process("d").pid);
}

TEST_F(DaemonScenario, AllOfHearthMayDieWhileItIsLookedFor) {
  Script late = good(1);
  late.pid_file_after = milliseconds(400);
  stage.plays("d", {leaves(late)});
  stage.up({forking("d", "/run/d.pid", ProbeType::notify)});
  stage.run_ms(100);
  stage.machine().kill_everybody(false);
  stage.run_until([&] { return stage.machine().alive() && phase() == Phase::running; }, 2'000);
  EXPECT_EQ(stage.runs_of("d"), 1u);
  EXPECT_TRUE(status().ready) << "it may have said so to nobody";
}

TEST_F(DaemonScenario, AllOfHearthAndItsStateMayBeLostOnceItRuns) {
  stage.plays("d", {leaves(good())});
  stage.up({forking("d")});
  run_until(Phase::running);
  stage.run_ms(500);
  stage.machine().kill_everybody(true);
  stage.run_until([&] { return stage.machine().alive() && phase() == Phase::running; }, 2'000);
  EXPECT_EQ(stage.runs_of("d"), 1u);
  EXPECT_EQ(status().pid, stage.process("d").pid);
}

}  // namespace
}  // namespace hearth::scenario
