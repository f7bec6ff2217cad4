// Replicas whose services have hooks: each replica has its own, from its first start until nothing of it is left.
#include <algorithm>

#include "scenario/stage.h"

namespace hearth::scenario {
namespace {

using Indices = std::vector<std::uint32_t>;

const std::vector<Hook> around = {Hook::before_start, Hook::after_start, Hook::before_stop, Hook::stop,
                                  Hook::after_stop};
const std::string up_hooks = "before_start after_start";
const std::string all_hooks = "before_start after_start before_stop stop_command after_stop";

class ScaledHooks : public Scenario {
 protected:
  static ServiceSpec web(std::uint32_t replicas, const std::vector<Hook>& which = around) {
    ServiceSpec spec = service("web");
    spec.replicas = replicas;
    hooks(spec, which);
    return spec;
  }
  bool all_ready(std::uint32_t replicas) {
    if (!stage.machine().alive()) return false;
    for (std::uint32_t i = 0; i < replicas; ++i)
      if (!stage.status("web", i).ready) return false;
    return stage.replicas_of("web").size() == replicas;
  }
  bool are(const Indices& indices) { return stage.machine().alive() && stage.replicas_of("web") == indices; }
  // Slots of hooks in use.
  std::size_t hook_slots() {
    const sim::PageView page = stage.machine().page();
    return static_cast<std::size_t>(std::count_if(page.slots.begin(), page.slots.end(), [](const SlotState& state) {
      return state.used && is_hook(state.role);
    }));
  }
  std::vector<std::string> texts(Happening what) {
    std::vector<std::string> all;
    for (const EventRecord& event : stage.machine().store_port.journal())
      if (event.what == what) all.push_back(event.service + (event.text.empty() ? "" : ": " + event.text));
    return all;
  }
};

TEST_F(ScaledHooks, EachReplicaThatJoinsHasHooksOfItsOwnAndTheOthersHaveNoMore) {
  stage.up({web(1)});
  stage.run_until([&] { return all_ready(1); });
  stage.run_ms(50);
  EXPECT_EQ(hook_slots(), 2u);
  const sim::ClientCall& scale = stage.scale("web", 3);
  stage.run_until([&] { return all_ready(3); });
  stage.run_ms(200);
  EXPECT_TRUE(stage.machine().supervisor().order(scale.request.key)->settled);
  EXPECT_EQ(hook_slots(), 6u);
  for (std::uint32_t i = 0; i < 3; ++i) EXPECT_EQ(stage.hooks_of("web", i), up_hooks) << i;
}

TEST_F(ScaledHooks, AReplicaThatLeavesHasAllOfItsHooksAndThenGivesTheirSlotsBack) {
  stage.hook_plays("web", "after_stop", {ends(300, 0)});
  stage.up({web(3)});
  stage.run_until([&] { return all_ready(3); });
  stage.run_ms(100);
  stage.scale("web", 1);
  stage.run_ms(150);
  // Its program has ended; what clears up after it runs, and it is still told of.
  EXPECT_EQ(stage.stop_signals_of("web"), 2u);
  EXPECT_EQ(stage.status("web", 2).hook, "after_stop");
  EXPECT_EQ(hook_slots(), 6u);
  stage.run_until([&] { return are({0}); }, 2'000);
  stage.run_ms(10);
  EXPECT_EQ(hook_slots(), 2u);
  EXPECT_EQ(stage.hooks_of("web", 0), up_hooks);
  EXPECT_EQ(stage.hooks_of("web", 1), all_hooks);
  EXPECT_EQ(stage.hooks_of("web", 2), all_hooks);
  EXPECT_EQ(stage.machine().kernel.live_count(), 1u);
}

TEST_F(ScaledHooks, WhoComesBackBeforeItsAfterStopHasEndedIsStartedAfterThat) {
  stage.hook_plays("web", "after_stop", {ends(500, 0)});
  stage.up({web(2, {Hook::before_start, Hook::after_stop})});
  stage.run_until([&] { return all_ready(2); });
  stage.scale("web", 1);
  stage.run_ms(200);
  EXPECT_EQ(stage.status("web", 1).hook, "after_stop");
  stage.scale("web", 2);
  stage.run_ms(100);
  EXPECT_FALSE(stage.status("web", 1).ready);
  stage.run_until([&] { return all_ready(2); });
  EXPECT_EQ(stage.hooks_of("web", 1), "before_start after_stop before_start");
  EXPECT_EQ(stage.hooks_of("web", 0), "before_start");
  EXPECT_EQ(stage.runs_of("web"), 3u);
  EXPECT_EQ(hook_slots(), 2u);
}

TEST_F(ScaledHooks, WhatFailsIsTheReplicasWhoseHookItIs) {
  stage.hook_plays("web", "before_start", {ends(5, 3), ends(5, 0)});
  stage.up({web(2, {Hook::before_start})});
  stage.run_until([&] { return all_ready(2); });
  for (std::uint32_t i = 0; i < 2; ++i) EXPECT_EQ(stage.status("web", i).restarts, 1u) << i;
  stage.hook_plays("web", "before_start", {ends(5, 4)});
  stage.scale("web", 3);
  stage.run_until([&] { return stage.status("web", 2).phase == Phase::backoff; });
  EXPECT_EQ(stage.status("web", 2).reason_text, "before_start exited with code 4");
  EXPECT_TRUE(stage.status("web", 0).ready);
  EXPECT_TRUE(stage.status("web", 1).ready);
}

TEST_F(ScaledHooks, TheSupervisorDiesWhileTheyJoin) {
  stage.hook_plays("web", "before_start", {ends(100, 0)});
  stage.up({web(1)});
  stage.run_until([&] { return all_ready(1); });
  stage.scale("web", 3);
  stage.run_ms(50);
  stage.kill_supervisor(200);  // they end while nobody is there
  stage.run_until([&] { return all_ready(3); });
  stage.run_ms(100);
  for (std::uint32_t i = 0; i < 3; ++i) EXPECT_EQ(stage.hooks_of("web", i), up_hooks) << i;
  EXPECT_EQ(stage.runs_of("web"), 3u);
  EXPECT_EQ(hook_slots(), 6u);
}

TEST_F(ScaledHooks, TheSupervisorDiesAgainAndAgainWhileTheyLeave) {
  stage.hook_plays("web", "stop_command", {ends(100, 0)});
  stage.hook_plays("web", "after_stop", {ends(100, 0)});
  stage.up({web(3)});
  stage.run_until([&] { return all_ready(3); });
  stage.run_ms(100);
  stage.scale("web", 1);
  stage.run_ms(50);
  stage.kill_supervisor(10);
  stage.run_ms(90);
  stage.kill_supervisor(200);
  stage.run_until([&] { return are({0}); }, 3'000);
  stage.run_ms(50);
  EXPECT_EQ(stage.hooks_of("web", 0), up_hooks);
  EXPECT_EQ(stage.hooks_of("web", 1), all_hooks);
  EXPECT_EQ(stage.hooks_of("web", 2), all_hooks);
  EXPECT_EQ(hook_slots(), 2u);
  EXPECT_EQ(stage.machine().kernel.live_count(), 1u);
}

TEST_F(ScaledHooks, AllOfHearthDiesWhileTheyLeave) {
  stage.hook_plays("web", "after_stop", {ends(300, 0)});
  stage.up({web(3)});
  stage.run_until([&] { return all_ready(3); });
  stage.run_ms(100);
  stage.scale("web", 1);
  stage.run_ms(100);
  stage.machine().kill_everybody(false);
  stage.run_until([&] { return are({0}); }, 5'000);
  stage.run_ms(50);
  EXPECT_EQ(stage.hooks_of("web", 1), all_hooks);
  EXPECT_EQ(stage.hooks_of("web", 2), all_hooks);
  EXPECT_EQ(hook_slots(), 2u);
}

TEST_F(ScaledHooks, OnePerReplicaIsTakenBackWithTheHooksOfTheFile) {
  stage.up({web(2)});
  stage.run_until([&] { return all_ready(2); });
  stage.run_ms(100);
  stage.reload({web(2, {})});
  stage.run_ms(200);
  EXPECT_EQ(hook_slots(), 0u);
  EXPECT_EQ(stage.runs_of("web"), 2u) << "hooks are no reason for a restart";
  stage.reload({web(3, {Hook::after_stop})});
  stage.run_until([&] { return all_ready(3); });
  EXPECT_EQ(hook_slots(), 3u);
  stage.order(Verb::stop, {"web.2"});
  stage.run_ms(200);
  EXPECT_EQ(stage.hooks_of("web", 2), "after_stop");
}

TEST_F(ScaledHooks, AScaleDuringBeforeStartGoesOnWithIt) {
  stage.hook_plays("web", "before_start", {ends(400, 0)});
  stage.up({web(2, {Hook::before_start})});
  stage.run_ms(100);
  stage.scale("web", 3);
  stage.run_until([&] { return all_ready(3); });
  for (std::uint32_t i = 0; i < 3; ++i) EXPECT_EQ(stage.hooks_of("web", i), "before_start") << i;
}

TEST_F(ScaledHooks, TheJournalTellsWhoOrderedItAndWhoCameAndWent) {
  stage.up({web(1)});
  stage.run_until([&] { return all_ready(1); });
  stage.scale("web", 2);
  stage.run_until([&] { return all_ready(2); });
  stage.run_ms(100);
  stage.scale("web", 1);
  stage.run_until([&] { return are({0}); });
  EXPECT_EQ(texts(Happening::order), (std::vector<std::string>{": up of project p from /home/p/hearth.toml: 1 service",
                                                               ": scale of web to 2 replicas",
                                                               ": scale of web to 1 replica; taken out: p.web.1"}));
  EXPECT_EQ(texts(Happening::removed), (std::vector<std::string>{"p.web.1: forgotten"}));
  const auto& journal = stage.machine().store_port.journal();
  const auto joined = std::find_if(journal.begin(), journal.end(), [](const EventRecord& event) {
    return event.what == Happening::state && event.service == "p.web.1";
  });
  ASSERT_NE(joined, journal.end());
  const auto order =
      std::find_if(journal.begin(), journal.end(), [&](const EventRecord& event) { return event.id == joined->cause; });
  ASSERT_NE(order, journal.end());
  EXPECT_EQ(order->text, "scale of web to 2 replicas");
}

TEST_F(ScaledHooks, AScaleOfAnotherServiceBringsNothingBack) {
  stage.up({web(2, {Hook::after_stop}), service("db")});
  stage.run_until([&] { return all_ready(2) && stage.is_ready("db"); });
  stage.hook_plays("web", "after_stop", {ends(300, 0)});
  stage.order(Verb::down, {"web.1"});
  stage.run_ms(100);
  stage.scale("db", 2);
  stage.run_until([&] { return stage.replicas_of("db") == (Indices{0, 1}) && are({0}); });
  stage.scale("db", 1);
  stage.run_ms(500);
  EXPECT_TRUE(are({0}));
  EXPECT_EQ(stage.hooks_of("web", 1), "after_stop");
  stage.scale("web", 3);
  stage.run_until([&] { return all_ready(3); });
}

TEST_F(ScaledHooks, AReloadCommandRunsInThePlaceOfTheSignal) {
  stage.hook_plays("web", "reload_command", {ends(200, 0)});
  stage.up({web(2, {Hook::reload})});
  stage.run_until([&] { return all_ready(2); });
  const sim::ClientCall& reload = stage.order(Verb::reload, {"web.1"});
  stage.run_ms(100);
  EXPECT_FALSE(stage.machine().supervisor().order(reload.request.key)->settled);
  stage.run_ms(200);
  EXPECT_TRUE(stage.machine().supervisor().order(reload.request.key)->settled);
  EXPECT_EQ(stage.hooks_of("web", 0), "");
  EXPECT_EQ(stage.hooks_of("web", 1), "reload_command");
}

// What was loaded serves on, and everybody is told.
TEST_F(ScaledHooks, AReloadCommandThatFailsFailsTheReloadAndNothingElse) {
  stage.hook_plays("web", "reload_command", {ends(200, 3), ends(10, 0)});
  stage.up({web(1, {Hook::reload})});
  stage.run_until([&] { return all_ready(1); });
  const sim::ClientCall& reload = stage.order(Verb::reload, {"web"});
  stage.run_ms(300);
  const auto report = stage.machine().supervisor().order(reload.request.key);
  ASSERT_TRUE(report->settled);
  ASSERT_EQ(report->slots.size(), 1u);
  EXPECT_EQ(report->slots[0].outcome, Outcome::failed);
  const std::string why = "the last reload has failed: reload_command exited with code 3; it runs on as it was";
  EXPECT_EQ(report->slots[0].status.reason_text, why);
  EXPECT_TRUE(stage.is_ready("web"));
  EXPECT_EQ(stage.runs_of("web"), 1u);
  stage.kill_supervisor(20);
  stage.run_until([&] { return stage.machine().alive() && stage.status("web").reason_text == why; });
  const sim::ClientCall& again = stage.order(Verb::reload, {"web"});
  stage.run_ms(300);
  EXPECT_EQ(stage.machine().supervisor().order(again.request.key)->slots[0].outcome, Outcome::done);
  EXPECT_EQ(stage.status("web").reason_text, "");
}

TEST_F(ScaledHooks, ATaskThatHasDoneItsWorkIsRunAgainOnlyWhereItWouldBeRestarted) {
  ServiceSpec task = service("task", ProbeType::none);
  task.type = ServiceType::task;
  task.restart = RestartPolicy::never;
  stage.plays("task", {ends(50, 0)});
  stage.up({task});
  stage.run_until([&] { return stage.status("task").phase == Phase::completed; });
  task.stop_timeout = seconds(3);
  stage.reload({task});
  stage.run_ms(500);
  EXPECT_EQ(stage.runs_of("task"), 1u);
  task.command.push_back("more");
  stage.reload({task});
  stage.run_until([&] { return stage.runs_of("task") == 2 && stage.status("task").phase == Phase::completed; });
}

}  // namespace
}  // namespace hearth::scenario
