// Hooks and tasks as users see them: order, output of a failure, deaths in between.
#include "scenario/stage.h"

namespace hearth::scenario {
namespace {

class HookScenario : public Scenario {
 protected:
  static Script hangs() {
    Script script = ends(1, 0);
    script.exit_after = sim::not_at_all;
    return script;
  }
};

TEST_F(HookScenario, AllOfThemInTheirOrder) {
  ServiceSpec db = service("db");
  hooks(db, {Hook::before_start, Hook::after_start, Hook::before_stop, Hook::stop, Hook::after_stop});
  stage.up({db});
  stage.run_until([&] { return stage.is_ready("db"); });
  stage.run_ms(50);
  EXPECT_EQ(stage.hooks_of("db"), "before_start after_start");
  const sim::ClientCall& stop = stage.order(Verb::stop, {"db"});
  stage.run_until([&] { return stage.status("db").phase == Phase::stopped; });
  EXPECT_TRUE(stop.answered);
  EXPECT_EQ(stage.hooks_of("db"), "before_start after_start before_stop stop_command after_stop");
  EXPECT_EQ(stage.stop_signals_of("db"), 1u);
}

TEST_F(HookScenario, AStartIsShownWithTheHookThatItWaitsFor) {
  ServiceSpec db = service("db");
  hooks(db, {Hook::before_start});
  stage.hook_plays("db", "before_start", {ends(500, 0)});
  stage.up({db});
  stage.run_ms(200);
  const SlotStatus status = stage.status("db");
  EXPECT_EQ(status.phase, Phase::starting);
  EXPECT_EQ(status.hook, "before_start");
  EXPECT_EQ(status.reason_text, "before_start runs (PID 100)");
  EXPECT_EQ(status.pid, 0);
  EXPECT_EQ(stage.runs_of("db"), 0u);
  stage.run_until([&] { return stage.is_ready("db"); });
  EXPECT_EQ(stage.status("db").hook, "");
}

TEST_F(HookScenario, ABeforeStartThatFailsIsAFailedStartAndSaysSo) {
  ServiceSpec db = service("db");
  hooks(db, {Hook::before_start, Hook::on_failure});
  stage.hook_plays("db", "before_start", {ends(5, 3), ends(5, 0)});
  stage.up({db});
  stage.run_until([&] { return stage.status("db").phase == Phase::backoff; });
  EXPECT_EQ(stage.status("db").reason_text, "before_start exited with code 3");
  EXPECT_EQ(stage.runs_of("db"), 0u);
  stage.run_until([&] { return stage.is_ready("db"); });
  EXPECT_EQ(stage.hooks_of("db"), "before_start on_failure before_start");
  EXPECT_EQ(stage.status("db").restarts, 1u);
}

TEST_F(HookScenario, ABeforeStartThatHangsIsEndedAfterItsTimeout) {
  ServiceSpec db = service("db");
  hooks(db, {Hook::before_start});
  db.actions.edit().before_start.timeout = milliseconds(1'500);
  db.restart = RestartPolicy::never;
  stage.hook_plays("db", "before_start", {hangs()});
  stage.up({db});
  stage.run_until([&] { return stage.status("db").phase == Phase::failed; }, 3'000);
  EXPECT_EQ(stage.status("db").reason_text, "before_start had not ended within its timeout of 1.5 s");
  EXPECT_EQ(stage.machine().kernel.live_count(), 0u);
}

TEST_F(HookScenario, AHookIsRunOnceThoughTheSupervisorDiesWhileItRuns) {
  ServiceSpec db = service("db");
  hooks(db, {Hook::before_start, Hook::stop, Hook::after_stop});
  stage.hook_plays("db", "before_start", {ends(100, 0)});
  stage.hook_plays("db", "stop_command", {ends(100, 0)});
  stage.hook_plays("db", "after_stop", {ends(100, 0)});
  stage.up({db});
  stage.run_ms(50);
  stage.kill_supervisor(200);  // it ends while nobody is there
  stage.run_until([&] { return stage.is_ready("db"); });
  stage.order(Verb::stop, {"db"});
  stage.run_ms(50);
  stage.kill_supervisor(10);
  stage.run_ms(120);
  stage.kill_supervisor(200);
  stage.run_until([&] { return stage.status("db").phase == Phase::stopped; });
  EXPECT_EQ(stage.hooks_of("db"), "before_start stop_command after_stop");
  EXPECT_EQ(stage.runs_of("db"), 1u);
}

TEST_F(HookScenario, AHookIsRunOnceThoughAllOfHearthDiesWhileItRuns) {
  ServiceSpec db = service("db");
  hooks(db, {Hook::before_start});
  stage.hook_plays("db", "before_start", {ends(300, 0)});
  stage.up({db});
  stage.run_ms(50);
  stage.machine().kill_everybody(false);
  stage.run_until([&] { return stage.is_ready("db"); });
  EXPECT_EQ(stage.hooks_of("db"), "before_start");
}

TEST_F(HookScenario, AStopEndsABeforeStartAndTheServiceIsNeverStarted) {
  ServiceSpec db = service("db");
  hooks(db, {Hook::before_start, Hook::after_stop});
  stage.hook_plays("db", "before_start", {hangs()});
  stage.up({db});
  stage.run_ms(100);
  stage.order(Verb::stop, {"db"});
  stage.run_until([&] { return stage.status("db").phase == Phase::stopped; }, 1'000);
  EXPECT_EQ(stage.runs_of("db"), 0u);
  EXPECT_EQ(stage.hooks_of("db"), "before_start after_stop");
}

TEST_F(HookScenario, DependenciesAreStoppedWhenTheirDependentIsClearedAway) {
  ServiceSpec web = service("web");
  web.depends_on = {on("db")};
  hooks(web, {Hook::after_stop});
  stage.hook_plays("web", "after_stop", {ends(300, 0)});
  stage.up({service("db"), web});
  stage.run_until([&] { return stage.is_ready("web"); });
  stage.order(Verb::stop);
  stage.run_ms(100);
  EXPECT_EQ(stage.status("web").phase, Phase::stopping);
  EXPECT_EQ(stage.status("web").reason_text, "after_stop runs (PID 102)");
  EXPECT_EQ(stage.stop_signals_of("db"), 0u);
  stage.run_until([&] { return stage.status("db").phase == Phase::stopped; });
}

TEST_F(HookScenario, DownForgetsAServiceWhenItsHooksAreOver) {
  ServiceSpec db = service("db");
  hooks(db, {Hook::before_stop, Hook::after_stop, Hook::after_start});
  stage.hook_plays("db", "after_start", {ends(700, 0)});
  stage.up({db});
  stage.run_until([&] { return stage.is_ready("db"); });
  stage.down();
  stage.run_ms(300);
  EXPECT_EQ(stage.status("db").phase, Phase::stopped) << "after_start is still there";
  stage.run_until([&] { return stage.status("db").name.empty(); }, 2'000);
  EXPECT_EQ(stage.hooks_of("db"), "after_start before_stop after_stop");
  stage.run_ms(100);
  for (const SlotState& slot : stage.machine().page().slots) EXPECT_FALSE(slot.used);
}

TEST_F(HookScenario, AShutdownRunsThemAndOneThatIsForcedDoesNot) {
  ServiceSpec db = service("db");
  hooks(db, {Hook::before_stop, Hook::after_stop});
  stage.up({db});
  stage.run_until([&] { return stage.is_ready("db"); });
  stage.order(Verb::shutdown);
  stage.run_until([&] { return stage.machine().keeper_port.finished; });
  EXPECT_EQ(stage.hooks_of("db"), "before_stop after_stop");
}

TEST_F(HookScenario, AForcedShutdownKillsThem) {
  ServiceSpec db = service("db");
  hooks(db, {Hook::before_stop, Hook::after_start});
  stage.hook_plays("db", "before_stop", {hangs()});
  stage.hook_plays("db", "after_start", {hangs()});
  stage.up({db});
  stage.run_until([&] { return stage.is_ready("db"); });
  stage.machine().inputs_port.post_keeper_signal(15);
  stage.run_ms(500);
  EXPECT_FALSE(stage.machine().keeper_port.finished);
  stage.machine().inputs_port.post_keeper_signal(15);
  stage.run_until([&] { return stage.machine().keeper_port.finished; }, 1'000);
}

TEST_F(HookScenario, AForcedShutdownDoesNotWaitForHooksThatStillStandInLine) {
  ServiceSpec db = service("db");
  db.restart = RestartPolicy::never;
  hooks(db, {Hook::after_start, Hook::on_failure, Hook::on_give_up});
  stage.hook_plays("db", "after_start", {hangs()});
  stage.plays("db", {ends(200, 3)});
  stage.up({db});
  stage.run_until([&] { return stage.status("db").phase == Phase::failed; });
  stage.machine().inputs_port.post_keeper_signal(15);
  stage.run_ms(100);
  stage.machine().inputs_port.post_keeper_signal(15);
  stage.run_until([&] { return stage.machine().keeper_port.finished; }, 1'000);
}

TEST_F(HookScenario, AnotherSpecificationHasItsHooksFromTheNextOccasionOn) {
  ServiceSpec db = service("db");
  hooks(db, {Hook::before_start});
  stage.up({db});
  stage.run_until([&] { return stage.is_ready("db"); });
  ServiceSpec other = service("db");
  other.command.push_back("another");  // hooks alone are no reason for a restart
  hooks(other, {Hook::before_stop, Hook::on_failure});
  stage.up({other});
  stage.run_until([&] { return stage.runs_of("db") == 2 && stage.is_ready("db"); });
  EXPECT_EQ(stage.hooks_of("db"), "before_start before_stop");
  stage.up({service("db")});
  stage.run_until([&] { return stage.runs_of("db") == 3 && stage.is_ready("db"); });
  stage.run_ms(100);
  unsigned used = 0;
  for (const SlotState& slot : stage.machine().page().slots) used += slot.used;
  EXPECT_EQ(used, 1u) << "slots of hooks that nobody has any more are given back";
}

TEST_F(HookScenario, AnUpDuringABeforeStartThatChangesTheServiceBeginsAnew) {
  ServiceSpec db = service("db");
  hooks(db, {Hook::before_start});
  stage.hook_plays("db", "before_start", {hangs(), ends(5, 0)});
  stage.up({db});
  stage.run_ms(100);
  db.env = {{"A", "1"}};
  stage.up({db});
  stage.run_until([&] { return stage.is_ready("db"); }, 1'000);
  EXPECT_EQ(stage.hooks_of("db"), "before_start before_start");
  EXPECT_EQ(stage.runs_of("db"), 1u);
}

TEST_F(HookScenario, AHookThatIsRefusedIsTriedAgainAndHeldAgainstNobody) {
  ServiceSpec db = service("db");
  hooks(db, {Hook::before_start});
  stage.machine().keeper_port.refuse_next = 2;
  stage.up({db});
  stage.run_until([&] { return stage.is_ready("db"); });
  EXPECT_EQ(stage.status("db").failures, 0u);
}

// ---- beside ------------------------------------------------------------------------------------------

TEST_F(HookScenario, WhoIsGivenUpIsToldOnceAndTheFailuresEachTime) {
  ServiceSpec db = service("db", ProbeType::none);
  hooks(db, {Hook::on_failure, Hook::on_give_up});
  db.crash_limit = {1, seconds(60)};
  stage.plays("db", {ends(5, 1)});
  stage.up({db});
  stage.run_until([&] { return stage.status("db").phase == Phase::failed; });
  stage.run_ms(100);
  EXPECT_EQ(stage.hooks_of("db"), "on_failure on_failure on_give_up");
}

TEST_F(HookScenario, AHookBesideThatFailsIsTold) {
  ServiceSpec db = service("db");
  hooks(db, {Hook::after_start});
  stage.hook_plays("db", "after_start", {ends(5, 7)});
  stage.up({db});
  stage.run_ms(200);
  EXPECT_TRUE(stage.is_ready("db"));
  const std::vector<Note> notes = stage.machine().supervisor().status().notes;
  ASSERT_FALSE(notes.empty());
  EXPECT_EQ(notes.back().text, "p.db.0: after_start exited with code 7");
  EXPECT_EQ(notes.back().slot, "p.db.0") << "who asks for others is not told";
}

TEST_F(HookScenario, GivenUpWithExitShutsAllOfHearthDownInOrder) {
  ServiceSpec db = service("db", ProbeType::none);
  db.crash_limit = {1, seconds(60)};
  db.give_up = GiveUp::exit;
  hooks(db, {Hook::on_give_up});
  stage.plays("db", {ends(50, 1)});
  ServiceSpec web = service("web");
  hooks(web, {Hook::before_stop});
  stage.up({db, web});
  stage.run_until([&] { return stage.machine().keeper_port.finished; });
  EXPECT_EQ(stage.hooks_of("db"), "on_give_up");
  EXPECT_EQ(stage.hooks_of("web"), "before_stop");
  EXPECT_EQ(stage.stop_signals_of("web"), 1u);
  EXPECT_TRUE(stage.machine().keeper_port.failed);
}

TEST_F(HookScenario, GivenUpWithRetryAfterShowsWhenItIsTriedAgain) {
  ServiceSpec db = service("db", ProbeType::none);
  db.restart = RestartPolicy::never;
  db.retry_after = seconds(30);
  stage.plays("db", {ends(5, 1), good()});
  stage.up({db});
  stage.run_until([&] { return stage.status("db").phase == Phase::failed; });
  EXPECT_GT(stage.status("db").next_retry, 0);
  stage.run_ms(31'000);
  EXPECT_EQ(stage.status("db").phase, Phase::running);
}

// ---- tasks -------------------------------------------------------------------------------------------

class TaskScenario : public Scenario {
 protected:
  static ServiceSpec task(const std::string& name) {
    ServiceSpec spec = service(name, ProbeType::none);
    spec.type = ServiceType::task;
    spec.restart = RestartPolicy::never;
    return spec;
  }
  std::optional<OrderReport> report(const sim::ClientCall& call) {
    return stage.machine().supervisor().order(call.request.key);
  }
};

TEST_F(TaskScenario, AnUpWaitsForItsEnd) {
  stage.plays("migrate", {ends(500, 0)});
  const sim::ClientCall& call = stage.up({task("migrate")});
  stage.run_ms(300);
  EXPECT_FALSE(report(call)->settled);
  stage.run_ms(300);
  ASSERT_TRUE(report(call)->settled);
  EXPECT_EQ(report(call)->slots[0].outcome, Outcome::done);
  EXPECT_EQ(stage.status("migrate").phase, Phase::completed);
}

TEST_F(TaskScenario, OneThatFailsFailsTheUpAndWhoNeedsIt) {
  stage.plays("migrate", {ends(50, 4)});
  ServiceSpec web = service("web");
  web.depends_on = {on("migrate")};  // which means: done well
  const sim::ClientCall& call = stage.up({task("migrate"), web});
  stage.run_until([&] { return call.answered && report(call)->settled; });
  EXPECT_EQ(report(call)->slots[0].outcome, Outcome::failed);
  EXPECT_EQ(report(call)->slots[1].outcome, Outcome::failed);
  EXPECT_EQ(stage.runs_of("web"), 0u);
  stage.plays("migrate", {ends(50, 0)});
  stage.up({task("migrate"), web});
  stage.run_until([&] { return stage.is_ready("web"); });
}

TEST_F(TaskScenario, OneThatHasCompletedIsRunAgainOnlyWhenSomebodyAsksOrItHasChanged) {
  stage.plays("migrate", {ends(20, 0)});
  ServiceSpec migrate = task("migrate");
  stage.up({migrate});
  stage.run_until([&] { return stage.status("migrate").phase == Phase::completed; });
  const sim::ClientCall& again = stage.up({migrate});
  stage.run_ms(200);
  EXPECT_EQ(stage.runs_of("migrate"), 1u);
  ASSERT_TRUE(again.answered);
  EXPECT_EQ((*again.answer)->notes,
            std::vector<std::string>{"migrate has completed and is not run again: `hearth start migrate` does that"});
  EXPECT_TRUE(report(again)->settled);
  stage.order(Verb::start, {"migrate"});
  stage.run_ms(200);
  EXPECT_EQ(stage.runs_of("migrate"), 2u);
  stage.order(Verb::restart, {"migrate"});
  stage.run_ms(200);
  EXPECT_EQ(stage.runs_of("migrate"), 3u);
  migrate.env = {{"VERSION", "2"}};
  stage.up({migrate});
  stage.run_ms(200);
  EXPECT_EQ(stage.runs_of("migrate"), 4u);
}

TEST_F(TaskScenario, OneThatHasCompletedStaysSoWhenTheSupervisorDies) {
  stage.plays("migrate", {ends(20, 0)});
  ServiceSpec web = service("web");
  web.depends_on = {on("migrate", Condition::completed_successfully)};
  stage.up({task("migrate"), web});
  stage.run_until([&] { return stage.is_ready("web"); });
  stage.kill_supervisor(10);
  stage.run_ms(500);
  EXPECT_EQ(stage.runs_of("migrate"), 1u);
  EXPECT_EQ(stage.runs_of("web"), 1u);
}

TEST_F(TaskScenario, AProgramThatGoesIntoTheBackgroundIsToldToStayInTheForeground) {
  Script forks = ends(20, 0);
  forks.heir_after = milliseconds(500);
  stage.plays("db", {forks});
  stage.up({service("db", ProbeType::none)});
  stage.run_until([&] { return stage.status("db").phase == Phase::completed; });
  EXPECT_EQ(stage.status("db").reason_text,
            "exited with code 0, and what it had left running was ended: let it stay in the foreground, or set "
            "type = \"forking\"");
  stage.plays("db", {ends(20, 0)});
  stage.order(Verb::start, {"db"});
  stage.run_until([&] { return stage.runs_of("db") == 2 && stage.status("db").phase == Phase::completed; });
  EXPECT_EQ(stage.status("db").reason_text, "exited with code 0");
}

// ---- damping -----------------------------------------------------------------------------------------

TEST_F(HookScenario, ADependencyThatComesAndGoesTakesItsDependentAlongNoFasterThanTheBackoff) {
  ServiceSpec cache = service("cache");
  cache.restart = RestartPolicy::always;
  cache.backoff.initial = 0;
  ServiceSpec web = service("web");
  web.depends_on = {on("cache")};
  web.depends_on[0].restart = true;
  web.backoff.initial = seconds(1);
  Script flaps = good(1);
  flaps.exit_after = milliseconds(100);
  stage.plays("cache", {flaps});
  stage.up({cache, web});
  stage.run_ms(20'000);
  EXPECT_GT(stage.runs_of("cache"), 100u);
  // 1, 2, 4, 8 and 16 seconds lie between.
  EXPECT_GE(stage.runs_of("web"), 5u);
  EXPECT_LE(stage.runs_of("web"), 6u);
}

}  // namespace
}  // namespace hearth::scenario
