// Readiness, probes and watchdogs, and what a service says with its last breath.
#include "scenario/stage.h"

namespace hearth::scenario {
namespace {

class HealthScenario : public Scenario {};

TEST_F(HealthScenario, AnExecProbeIsTriedUntilItSucceedsOftenEnough) {
  ServiceSpec db = service("db", ProbeType::exec);
  db.ready.success_threshold = 2;
  db.ready.interval = milliseconds(100);
  stage.probe_plays("db", {ends(5, 1), ends(5, 0), ends(5, 1), ends(5, 0), ends(5, 0)});
  stage.up({db});
  stage.run_ms(280);  // a bad try is repeated after 50 ms, a good one after the interval
  EXPECT_FALSE(stage.is_ready("db")) << "two in a row are asked for";
  stage.run_ms(100);
  EXPECT_TRUE(stage.is_ready("db"));
}

TEST_F(HealthScenario, AnExecProbeThatHangsIsKilledAndCountsAsBad) {
  ServiceSpec db = service("db", ProbeType::exec);
  db.ready.timeout = milliseconds(200);
  db.ready.interval = milliseconds(100);
  Script hangs = ends(5, 0);
  hangs.exit_after = sim::not_at_all;
  stage.probe_plays("db", {hangs, ends(5, 0)});
  stage.up({db});
  stage.run_until([&] { return stage.is_ready("db"); }, 2'000);
}

// The probe runs on while nobody watches; its answer is the answer of its try.
TEST_F(HealthScenario, ATakeOverIsNoBadAnswerOfALivenessProbe) {
  ServiceSpec db = service("db", ProbeType::none);
  db.live.type = ProbeType::exec;
  db.live.command = {"/bin/check"};
  db.live.failure_threshold = 1;
  db.live.interval = seconds(1);
  db.live.timeout = seconds(2);
  stage.probe_plays("db", {ends(500, 0)});
  stage.up({db});
  stage.run_ms(250);
  stage.kill_supervisor(20);
  stage.run_ms(6'000);
  EXPECT_EQ(stage.runs_of("db"), 1u);
  EXPECT_EQ(stage.status("db").phase, Phase::running);
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
