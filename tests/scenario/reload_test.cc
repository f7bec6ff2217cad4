// A changed file: what is restarted, what goes on and does not notice, what is only told.
#include "scenario/stage.h"

namespace hearth::scenario {
namespace {

class Reload : public Scenario {
 protected:
  const ServiceChange& change_of(const sim::ClientCall& call, const std::string& name) {
    static const ServiceChange none{};
    for (const ServiceChange& one : (*call.answer)->changes)
      if (one.service == name) return one;
    return none;
  }
};

TEST_F(Reload, AChangeThatTheProgramNeedNotKnowCostsNoRestart) {
  ServiceSpec web = service("web"), db = service("db");
  stage.up({web, db});
  stage.run_until([&] { return stage.is_ready("web") && stage.is_ready("db"); });
  web.stop_timeout = seconds(3);
  web.backoff.initial = seconds(1);
  web.restart = RestartPolicy::always;
  db.env = {{"A", "1"}};
  const sim::ClientCall& reload = stage.reload({web, db});
  stage.run_until([&] { return stage.runs_of("db") == 2 && stage.is_ready("db"); });
  EXPECT_EQ(stage.runs_of("web"), 1u);
  EXPECT_EQ(change_of(reload, "web").measure, Measure::live);
  EXPECT_EQ(change_of(reload, "web").keys, (std::vector<std::string>{"restart", "backoff", "stop_timeout"}));
  EXPECT_EQ(change_of(reload, "db").measure, Measure::restart);
  EXPECT_EQ(change_of(reload, "db").keys, std::vector<std::string>{"env"});
}

TEST_F(Reload, UpOfAChangedFileCostsNoMore) {
  ServiceSpec web = service("web");
  stage.up({web});
  stage.run_until([&] { return stage.is_ready("web"); });
  web.stop_timeout = seconds(3);
  stage.up({web});
  stage.run_ms(500);
  EXPECT_EQ(stage.runs_of("web"), 1u);
}

TEST_F(Reload, TheNewPolicyHoldsForTheRunThatGoesOn) {
  ServiceSpec web = service("web");
  Script once = good();
  once.exit_after = seconds(2);
  stage.plays("web", {once, good()});
  stage.up({web});
  stage.run_until([&] { return stage.is_ready("web"); });
  web.restart = RestartPolicy::always;
  web.backoff.initial = 0;
  stage.reload({web});
  stage.run_until([&] { return stage.runs_of("web") == 2 && stage.is_ready("web"); }, 4'000);
}

TEST_F(Reload, AnotherResetAfterReachesARowOfFailuresThatIsThere) {
  ServiceSpec web = service("web");
  web.backoff.initial = milliseconds(100);
  web.backoff.reset_after = seconds(600);
  stage.plays("web", {ends(50, 1), ends(50, 1), good()});
  stage.up({web});
  stage.run_until([&] { return stage.is_ready("web"); });
  stage.run_ms(20'000);
  EXPECT_EQ(stage.state("web").life.failures, 2u);
  web.backoff.reset_after = seconds(30);
  stage.reload({web});
  stage.run_ms(8'000);
  EXPECT_EQ(stage.state("web").life.failures, 2u);
  stage.run_ms(3'000);
  EXPECT_EQ(stage.state("web").life.failures, 0u) << "it has been up for 30 s";
  EXPECT_EQ(stage.runs_of("web"), 3u);
}

TEST_F(Reload, AnotherProbeBeginsWhileTheServiceRuns) {
  ServiceSpec web = service("web", ProbeType::none);
  Script sick = good();
  sick.ready_after = 0;
  sick.sick_after = seconds(1);
  stage.plays("web", {sick});
  stage.up({web});
  stage.run_until([&] { return stage.is_ready("web"); });
  web.ready.edit().type = ProbeType::http;
  web.ready.edit().interval = milliseconds(100);
  stage.reload({web});
  stage.run_until([&] { return stage.status("web").has_readiness && !stage.is_ready("web"); }, 5'000);
  EXPECT_EQ(stage.runs_of("web"), 1u);
  web.ready = {};
  stage.reload({web});
  stage.run_until([&] { return stage.is_ready("web"); }, 1'000);
  EXPECT_EQ(stage.runs_of("web"), 1u);
}

TEST_F(Reload, AnExecProbeThatStaysGoesOnWithItsTry) {
  ServiceSpec web = service("web", ProbeType::exec), db = service("db");
  Script slow = ends(600, 0);
  stage.probe_plays("web", {slow});
  stage.up({web, db});
  stage.run_ms(300);
  db.env = {{"A", "1"}};
  stage.reload({web, db});
  stage.run_until([&] { return stage.is_ready("web"); }, 400);
}

TEST_F(Reload, WhatIsStoppedStaysStoppedAndWhatIsNewIsStarted) {
  ServiceSpec web = service("web"), db = service("db");
  stage.up({web, db});
  stage.run_until([&] { return stage.is_ready("web") && stage.is_ready("db"); });
  stage.order(Verb::stop, {"db"});
  stage.run_until([&] { return stage.status("db").phase == Phase::stopped; });
  db.env = {{"A", "1"}};
  stage.reload({web, db, service("api")});
  stage.run_until([&] { return stage.is_ready("api"); });
  EXPECT_EQ(stage.runs_of("db"), 1u);
  EXPECT_EQ(stage.runs_of("web"), 1u);
  stage.order(Verb::start, {"db"});
  stage.run_until([&] { return stage.is_ready("db"); });
}

TEST_F(Reload, WhatHasFailedIsTriedAgainOnceItsEntryHasChanged) {
  ServiceSpec web = service("web"), db = service("db");
  web.restart = RestartPolicy::never;
  stage.plays("web", {ends(10, 1), good()});
  stage.up({web, db});
  stage.run_until([&] { return stage.status("web").phase == Phase::failed; });
  db.env = {{"A", "1"}};
  stage.reload({web, db});
  stage.run_ms(500);
  EXPECT_EQ(stage.runs_of("web"), 1u);
  web.env = {{"A", "1"}};
  stage.reload({web, db});
  stage.run_until([&] { return stage.is_ready("web"); });
}

TEST_F(Reload, ADryRunChangesNothing) {
  ServiceSpec web = service("web");
  stage.up({web});
  stage.run_until([&] { return stage.is_ready("web"); });
  const std::uint64_t document = stage.state("web").document;
  web.env = {{"A", "1"}};
  const sim::ClientCall& dry = stage.reload({web, service("db")}, true);
  stage.run_ms(500);
  ASSERT_TRUE(dry.answer->has_value());
  EXPECT_EQ(change_of(dry, "web").measure, Measure::restart);
  EXPECT_EQ(change_of(dry, "db").measure, Measure::start);
  EXPECT_EQ(stage.runs_of("web"), 1u);
  EXPECT_EQ(stage.state("web").document, document);
  EXPECT_TRUE(stage.replicas_of("db").empty());
}

TEST_F(Reload, WhatLeavesTheFileEndsAfterItsDependentsThatAreRestarted) {
  ServiceSpec web = service("web"), db = service("db");
  web.depends_on = {on("db")};
  Script slow = good();
  slow.term_takes = milliseconds(500);
  stage.plays("web", {slow});
  stage.up({db, web});
  stage.run_until([&] { return stage.is_ready("web"); });
  web.depends_on.clear();
  web.env = {{"A", "1"}};
  stage.reload({web});
  stage.run_ms(400);
  EXPECT_EQ(stage.stop_signals_of("db"), 0u) << "web still ends";
  stage.run_until([&] { return stage.replicas_of("db").empty() && stage.is_ready("web"); }, 2'000);
}

TEST_F(Reload, WhatIsNotUpCannotBeReloaded) {
  const sim::ClientCall& reload = stage.reload({service("web")});
  stage.run_ms(50);
  ASSERT_FALSE(reload.answer->has_value());
  EXPECT_EQ(reload.answer->error().hint, "`hearth up` starts it");
}

TEST_F(Reload, AnAutostartThatIsFalseLeavesItStoppedAndStartable) {
  ServiceSpec web = service("web"), tool = service("tool");
  tool.autostart = false;
  const sim::ClientCall& up = stage.up({web, tool});
  stage.run_until([&] { return stage.is_ready("web"); });
  stage.run_ms(200);
  EXPECT_EQ(stage.status("tool").phase, Phase::stopped);
  EXPECT_TRUE(stage.machine().supervisor().order(up.request.key)->settled);
  stage.order(Verb::start, {"tool"});
  stage.run_until([&] { return stage.is_ready("tool"); });
  stage.up({web, tool});
  stage.run_ms(200);
  EXPECT_TRUE(stage.is_ready("tool"));
  EXPECT_EQ(stage.runs_of("tool"), 1u);
}

}  // namespace
}  // namespace hearth::scenario
