// Readiness, probes and watchdogs, and what a service says with its last breath.
#include "scenario/stage.h"

namespace hearth::scenario {
namespace {

class HealthScenario : public Scenario {
 protected:
  // Its memory is too much after 30 s, and it takes a second to end.
  void bring_up_one_that_grows() {
    ServiceSpec db = service("db", ProbeType::none);
    db.live = memory_probe(std::uint64_t{4} << 30);
    db.stop_timeout = seconds(5);
    Script grows = good();
    grows.sick_after = seconds(30);
    grows.term_takes = seconds(1);
    stage.plays("db", {grows, good()});
    stage.up({db});
  }
};

TEST_F(HealthScenario, AnExecProbeIsTriedUntilItSucceedsOftenEnough) {
  ServiceSpec db = service("db", ProbeType::exec);
  db.ready.edit().success_threshold = 2;
  db.ready.edit().interval = milliseconds(100);
  stage.probe_plays("db", {ends(5, 1), ends(5, 0), ends(5, 1), ends(5, 0), ends(5, 0)});
  stage.up({db});
  stage.run_ms(280);  // a bad try is repeated after 50 ms, a good one after the interval
  EXPECT_FALSE(stage.is_ready("db")) << "two in a row are asked for";
  stage.run_ms(100);
  EXPECT_TRUE(stage.is_ready("db"));
}

TEST_F(HealthScenario, AnExecProbeThatHangsIsKilledAndCountsAsBad) {
  ServiceSpec db = service("db", ProbeType::exec);
  db.ready.edit().timeout = milliseconds(200);
  db.ready.edit().interval = milliseconds(100);
  Script hangs = ends(5, 0);
  hangs.exit_after = sim::not_at_all;
  stage.probe_plays("db", {hangs, ends(5, 0)});
  stage.up({db});
  stage.run_until([&] { return stage.is_ready("db"); }, 2'000);
}

// The probe runs on while nobody watches; its answer is the answer of its try.
TEST_F(HealthScenario, ATakeOverIsNoBadAnswerOfALivenessProbe) {
  ServiceSpec db = service("db", ProbeType::none);
  db.live.edit().type = ProbeType::exec;
  db.live.edit().command = {"/bin/check"};
  db.live.edit().failure_threshold = 1;
  db.live.edit().interval = seconds(1);
  db.live.edit().timeout = seconds(2);
  stage.probe_plays("db", {ends(500, 0)});
  stage.up({db});
  stage.run_ms(250);
  stage.kill_supervisor(20);
  stage.run_ms(6'000);
  EXPECT_EQ(stage.runs_of("db"), 1u);
  EXPECT_EQ(stage.status("db").phase, Phase::running);
}

TEST_F(HealthScenario, AServiceThatUsesTooMuchMemoryIsRestartedAndSaysHowMuchItWas) {
  bring_up_one_that_grows();
  EXPECT_EQ(stage.status("db").ailing, "");
  stage.run_until([&] { return !stage.status("db").ailing.empty(); }, 60'000);
  EXPECT_EQ(stage.status("db").ailing,
            "1 of 2 bad tries of its liveness: it used 4.2 GiB of memory, and max_memory is 4 GiB");
  EXPECT_EQ(stage.status("db").phase, Phase::running) << "there is still time to do something";
  stage.run_until([&] { return stage.status("db").phase == Phase::stopping; }, 60'000);
  EXPECT_EQ(stage.status("db").ailing, "");
  EXPECT_EQ(stage.status("db").reason, Reason::memory);
  EXPECT_EQ(stage.status("db").reason_text, "it used 4.2 GiB of memory, and max_memory is 4 GiB");
  stage.run_until([&] { return stage.runs_of("db") == 2 && stage.status("db").phase == Phase::running; }, 60'000);
  EXPECT_EQ(stage.status("db").restarts, 1u);
  EXPECT_EQ(stage.status("db").reason_text, "of the run before: it used more memory than max_memory allows");
  stage.run_ms(60'000);
  EXPECT_EQ(stage.runs_of("db"), 2u);
}

TEST_F(HealthScenario, HowMuchMemoryItUsedIsStillKnownWhenTheSupervisorWasKilledMeanwhile) {
  bring_up_one_that_grows();
  stage.run_until([&] { return stage.status("db").phase == Phase::stopping; }, 60'000);
  stage.kill_supervisor(20);
  stage.run_ms(100);
  ASSERT_EQ(stage.status("db").phase, Phase::stopping);
  EXPECT_EQ(stage.status("db").reason_text, "it used 4.2 GiB of memory, and max_memory is 4 GiB");
}

TEST_F(HealthScenario, AnExecProbeThatSucceedsDoesNotExcuseTooMuchMemory) {
  ServiceSpec db = service("db", ProbeType::none);
  db.live.edit().type = ProbeType::exec;
  db.live.edit().command = {"/bin/check"};
  db.live.edit().max_memory = std::uint64_t{4} << 30;
  Script grows = good();
  grows.sick_after = seconds(10);
  stage.plays("db", {grows, good()});
  stage.probe_plays("db", {ends(5, 0)});
  stage.up({db});
  stage.run_ms(9'000);
  EXPECT_EQ(stage.runs_of("db"), 1u);
  stage.run_until([&] { return stage.runs_of("db") == 2; }, 60'000);
  EXPECT_EQ(stage.status("db").reason, Reason::memory);
}

TEST_F(HealthScenario, MemoryThatCannotBeSeenIsToldUntilItIsSeenOrNobodyAsksForIt) {
  ServiceSpec db = service("db", ProbeType::exec);
  db.live = memory_probe(std::uint64_t{4} << 30);
  Script hidden = good();
  hidden.memory_unseen = true;
  stage.plays("db", {hidden});
  stage.probe_plays("db", {ends(5, 0)});
  stage.up({db});
  stage.run_until([&] { return stage.status("db").reason_text.find("could not be added up") != std::string::npos; },
                  60'000);
  const std::string told = stage.status("db").reason_text;
  for (int look = 0; look < 30; ++look) {
    stage.run_ms(350);
    EXPECT_EQ(stage.status("db").reason_text, told) << "its readiness, which is tried meanwhile, is another question";
  }
  db.live = {};
  stage.reload({db});
  stage.run_ms(100);
  EXPECT_EQ(stage.status("db").reason_text, "");
  EXPECT_EQ(stage.runs_of("db"), 1u);
}

TEST_F(HealthScenario, MemoryThatCannotBeSeenIsToldAlsoWhileTheCommandBeforeItSucceeds) {
  ServiceSpec db = service("db", ProbeType::none);
  db.live.edit().type = ProbeType::exec;
  db.live.edit().command = {"/bin/check"};
  db.live.edit().max_memory = std::uint64_t{4} << 30;
  Script hidden = good();
  hidden.memory_unseen = true;
  stage.plays("db", {hidden});
  stage.probe_plays("db", {ends(5, 0)});
  stage.up({db});
  stage.run_until([&] { return stage.status("db").reason_text.find("could not be added up") != std::string::npos; },
                  60'000);
  const std::string told = stage.status("db").reason_text;
  for (int look = 0; look < 300; ++look) {
    stage.run_ms(35);
    ASSERT_EQ(stage.status("db").reason_text, told);
  }
  EXPECT_EQ(stage.runs_of("db"), 1u);
}

TEST_F(HealthScenario, AGoodTryEndsARowOfBadOnesThoughItsMemoryCannotBeSeen) {
  ServiceSpec db = service("db", ProbeType::none);
  db.live.edit().type = ProbeType::exec;
  db.live.edit().command = {"/bin/check"};
  db.live.edit().max_memory = std::uint64_t{4} << 30;
  db.live.edit().failure_threshold = 2;
  Script hidden = good();
  hidden.memory_unseen = true;
  stage.plays("db", {hidden});
  stage.probe_plays("db", {ends(5, 1), ends(5, 0), ends(5, 1), ends(5, 0), ends(5, 1), ends(5, 1), ends(5, 0)});
  stage.up({db});
  const SpanNs interval = db.live->interval;
  stage.run_ms(4 * interval / milliseconds(1));
  EXPECT_EQ(stage.runs_of("db"), 1u) << "no two bad ones came in a row";
  stage.run_until([&] { return stage.runs_of("db") == 2; });
  EXPECT_EQ(stage.status("db").restarts, 1u);
}

TEST_F(HealthScenario, ReadyWithTheLastBreathIsHeardBeforeTheExit) {
  ServiceSpec task = service("task");
  task.restart = RestartPolicy::on_failure;
  Script quick = ends(10, 0);
  quick.ready_after = milliseconds(10) - 1;
  stage.plays("task", {quick});
  stage.up({task});
  stage.run_ms(8);
  stage.kill_supervisor(100);
  stage.run_ms(500);
  EXPECT_EQ(stage.status("task").phase, Phase::completed) << "it was ready, and ended with 0";
  EXPECT_EQ(stage.runs_of("task"), 1u);
}

TEST_F(HealthScenario, OneThatSaysItStopsBeforeItWasReadyAndGoesOnIsEndedInTime) {
  ServiceSpec db = service("db"), web = service("web");
  db.start_timeout = seconds(2);
  db.backoff.initial = milliseconds(100);
  web.depends_on = {on("db")};
  Script undecided;
  undecided.says = {{milliseconds(100), "STOPPING=1"}};
  stage.plays("db", {undecided, good()});
  stage.up({db, web});
  stage.run_ms(1'900);
  EXPECT_EQ(stage.status("db").phase, Phase::starting);
  stage.run_ms(200);
  EXPECT_EQ(stage.status("db").reason, Reason::start_timeout);
  stage.run_until([&] { return stage.is_ready("db") && stage.is_ready("web"); }, 2'000);
  EXPECT_EQ(stage.runs_of("db"), 2u);
}

TEST_F(HealthScenario, AWatchdogThatIsNotFedEndsTheRunAndStartsAnother) {
  ServiceSpec db = service("db");
  db.watchdog = milliseconds(500);
  Script hangs = good();
  hangs.watchdog_every = milliseconds(100);
  hangs.watchdog_until = seconds(2);
  Script feeds = good();
  feeds.watchdog_every = milliseconds(100);
  stage.plays("db", {hangs, feeds});
  stage.up({db});
  stage.run_until([&] { return stage.runs_of("db") == 2 && stage.is_ready("db"); }, 5'000);
  stage.run_ms(5'000);
  EXPECT_EQ(stage.runs_of("db"), 2u);
}

TEST_F(HealthScenario, AnExecProbeThatIsRefusedIsTriedAgainAndHeldAgainstNobody) {
  ServiceSpec db = service("db", ProbeType::exec);
  db.start_timeout = seconds(1);
  db.ready.edit().interval = milliseconds(100);
  db.ready.edit().timeout = milliseconds(150);
  db.live = db.ready;
  db.live.edit().failure_threshold = 1;
  db.ready.edit().success_threshold = 2;
  stage.plays("db", {good(2'500)});
  stage.up({db});
  stage.run_until([&] { return stage.runs_of("db") == 1; });
  stage.run_ms(50);
  stage.machine().keeper_port.refuse_next = 25;
  stage.run_ms(2'000);
  EXPECT_EQ(stage.status("db").phase, Phase::starting);
  EXPECT_NE(stage.status("db").reason_text.find("cannot start p.db.0.ready"), std::string::npos)
      << stage.status("db").reason_text;
  stage.run_until([&] { return stage.is_ready("db"); });
  EXPECT_EQ(stage.status("db").reason_text, "");
  stage.machine().keeper_port.refuse_next = 25;
  stage.run_ms(3'000);
  EXPECT_TRUE(stage.is_ready("db"));
  EXPECT_EQ(stage.runs_of("db"), 1u);
}

TEST_F(HealthScenario, AnExecProbeThatNoSpawnerHadRoomForIsHeldAgainstNobody) {
  ServiceSpec db = service("db", ProbeType::none);
  db.live.edit().type = ProbeType::exec;
  db.live.edit().command = {"/bin/check"};
  db.live.edit().interval = milliseconds(100);
  db.live.edit().timeout = milliseconds(300);
  db.live.edit().failure_threshold = 1;
  ServiceSpec slow = service("slow");
  Script hangs = good();
  hangs.exec_takes = seconds(60);
  stage.plays("slow", {hangs});
  stage.up({db});
  stage.run_ms(1'050);
  // Both spawners are held up, and so are those that replace them, by programs whose exec hangs.
  ServiceSpec slower = slow, slowest = slow;
  slower.name = "slower";
  slowest.name = "slowest";
  stage.plays("slower", {hangs});
  stage.plays("slowest", {hangs});
  Request more;
  more.verb = Verb::apply;
  more.document.project = "q";
  more.document.path = "/q";
  more.document.services = {slow, slower, slowest};
  stage.machine().send(more);
  stage.run_ms(5'000);
  EXPECT_EQ(stage.status("db").phase, Phase::running);
  EXPECT_EQ(stage.runs_of("db"), 1u);
}

TEST_F(HealthScenario, AHungExecProbeOfAServiceThatHasEndedDoesNotComeBack) {
  ServiceSpec db = service("db", ProbeType::exec);
  db.restart = RestartPolicy::never;
  db.ready.edit().timeout = milliseconds(200);
  db.ready.edit().interval = milliseconds(100);
  Script hangs = ends(5, 0);
  hangs.exit_after = sim::not_at_all;
  stage.probe_plays("db", {hangs});
  stage.plays("db", {ends(600, 0)});
  stage.up({db});
  stage.run_ms(100);
  stage.machine().keeper_port.takes_no_signal = true;  // so that the next try waits for the hung one's KILL
  stage.run_ms(700);
  stage.machine().keeper_port.takes_no_signal = false;
  stage.run_ms(3'000);
  EXPECT_EQ(stage.status("db").phase, Phase::completed);
  EXPECT_EQ(stage.machine().kernel.live_count(), 0u);
}

TEST_F(HealthScenario, WhoNeverGetsReadyAndIsGivenUpIsToldForBoth) {
  ServiceSpec db = service("db");
  db.start_timeout = milliseconds(1'500);
  db.crash_limit = {4, seconds(60)};
  db.backoff.initial = 0;
  Script mute = good();
  mute.ready_after = sim::not_at_all;
  stage.plays("db", {mute});
  stage.up({db});
  stage.run_until([&] { return stage.status("db").phase == Phase::failed; });
  EXPECT_EQ(stage.status("db").reason_text,
            "restarted too often (4 in 60 s); last: not ready within its start_timeout of 1.5 s");
}

TEST_F(HealthScenario, UptimeIsCountedOnByTheNextSupervisorAndNotAnew) {
  ServiceSpec spec = service("web", ProbeType::uptime);
  spec.ready.edit().uptime = milliseconds(1'000);
  stage.up({spec});
  stage.run_ms(600);
  EXPECT_EQ(stage.status("web").phase, Phase::starting);
  stage.kill_supervisor(100);
  stage.run_ms(200);
  EXPECT_FALSE(stage.is_ready("web")) << "800 ms";
  stage.run_ms(250);
  EXPECT_TRUE(stage.is_ready("web"));
  stage.kill_supervisor(100);
  stage.run_until([&] { return stage.machine().alive(); }, 1'000);
  EXPECT_TRUE(stage.is_ready("web")) << "nor is it lost by a take-over";
  EXPECT_EQ(stage.runs_of("web"), 1u);
}

// Of a run that its keeper did not start the end is told when its parent has reaped it, which may be long after.
TEST_F(HealthScenario, WhoHasEndedUnreapedIsNotReadyByUptime) {
  ServiceSpec spec = service("web", ProbeType::uptime);
  spec.ready.edit().uptime = milliseconds(1'000);
  stage.up({spec});
  stage.run_ms(500);
  stage.machine().keeper_port.processes_are_zombies = true;
  stage.run_ms(2'000);
  EXPECT_EQ(stage.status("web").phase, Phase::starting);
  stage.machine().keeper_port.processes_are_zombies = false;
  stage.run_ms(60);
  EXPECT_TRUE(stage.is_ready("web")) << "who lives after all";
}

TEST_F(HealthScenario, FailedStartsInARowAreCountedThroughTakeOvers) {
  stage.plays("web", {ends(300, 0)});
  ServiceSpec spec = service("web", ProbeType::uptime);
  spec.ready.edit().uptime = milliseconds(1'000);
  spec.backoff.initial = milliseconds(100);
  spec.crash_limit.max_failed_starts = 3;
  stage.up({spec});
  for (int i = 0; i < 3; ++i) {
    stage.run_ms(150);
    stage.kill_supervisor(100);
  }
  stage.run_until([&] { return stage.machine().alive() && stage.status("web").phase == Phase::failed; }, 5'000);
  EXPECT_EQ(stage.runs_of("web"), 3u);
  EXPECT_EQ(stage.status("web").reason_text, "3 starts in a row have failed; last: exited with code 0");
}

TEST_F(HealthScenario, StartingDoesNotWaitForEver) {
  ServiceSpec db = service("db");
  db.start_timeout = seconds(1);
  Script mute = good();
  mute.ready_after = sim::not_at_all;
  stage.plays("db", {mute, good()});
  stage.up({db});
  stage.run_until([&] { return stage.is_ready("db"); }, 5'000);
  EXPECT_EQ(stage.status("db").restarts, 1u);
}

}  // namespace
}  // namespace hearth::scenario
