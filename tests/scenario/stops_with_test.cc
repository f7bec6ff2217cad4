// Who stops with what it depends on (depends_on.NAME.stop = true), and what brings it back.
#include "scenario/stage.h"

namespace hearth::scenario {
namespace {

class StopsWith : public Scenario {};

Dependency bound_to(const std::string& name) {
  Dependency dependency = on(name);
  dependency.stop = true;
  return dependency;
}

Script serves_for(std::int64_t ms, int status) {
  Script once = good();
  once.exit_after = milliseconds(ms);
  once.exit_status = status;
  return once;
}

Script takes_its_time() {
  Script slow = good();
  slow.term_takes = milliseconds(300);
  return slow;
}

TEST_F(StopsWith, WhatItDependsOnAndEndsBeforeItAndStartsAfterIt) {
  ServiceSpec web = service("web"), page = service("page"), bystander = service("bystander");
  web.depends_on = {bound_to("db")};
  page.depends_on = {bound_to("web")};
  bystander.depends_on = {on("db")};
  stage.plays("web", {takes_its_time()});
  stage.plays("page", {takes_its_time()});
  stage.up({page, web, service("db"), bystander});
  stage.run_until([&] { return stage.is_ready("page") && stage.is_ready("bystander"); });

  const sim::ClientCall& stop = stage.order(Verb::stop, {"db"});
  stage.run_ms(100);
  EXPECT_EQ(stage.stop_signals_of("page"), 1u);
  EXPECT_EQ(stage.stop_signals_of("web"), 0u) << "page is still ending";
  EXPECT_EQ(stage.status("page").reason_text, "stops with what it depends on, which has gone");
  stage.run_ms(300);
  EXPECT_EQ(stage.stop_signals_of("web"), 1u);
  EXPECT_EQ(stage.stop_signals_of("db"), 0u) << "web is still ending";
  stage.run_until([&] { return stage.status("db").phase == Phase::stopped; });
  EXPECT_EQ((*stop.answer)->notes,
            (std::vector<std::string>{"web stops with db, and starts when that is there again",
                                      "page stops with web, and starts when that is there again"}));
  EXPECT_EQ(stage.status("web").phase, Phase::waiting);
  EXPECT_EQ(stage.status("page").phase, Phase::waiting);
  EXPECT_TRUE(stage.is_ready("bystander")) << "it did not ask for that";

  stage.order(Verb::start, {"db"});
  stage.run_until([&] { return stage.is_ready("page"); });
  EXPECT_EQ(stage.runs_of("db") + stage.runs_of("web") + stage.runs_of("page"), 6u);
  EXPECT_EQ(stage.status("web").failures + stage.status("web").restarts, 0u) << "it has not failed";
  EXPECT_EQ(stage.runs_of("bystander"), 1u);
}

TEST_F(StopsWith, NobodyThatHasCrashedAndIsTriedAgain) {
  ServiceSpec db = service("db"), web = service("web");
  db.backoff.initial = seconds(2);
  web.depends_on = {bound_to("db")};
  stage.plays("db", {serves_for(500, 1), good()});
  stage.up({db, web});
  stage.run_until([&] { return stage.is_ready("web"); });
  stage.run_until([&] { return stage.status("db").phase == Phase::backoff; });
  stage.run_until([&] { return stage.is_ready("db"); });
  EXPECT_EQ(stage.runs_of("web"), 1u);
  EXPECT_TRUE(stage.is_ready("web"));
}

TEST_F(StopsWith, WhatIsGivenUpAndIsBackWhenThatIsStartedAgain) {
  ServiceSpec db = service("db"), web = service("web");
  db.restart = RestartPolicy::never;
  web.depends_on = {bound_to("db")};
  stage.plays("db", {serves_for(500, 1), good()});
  stage.up({db, web});
  stage.run_until([&] { return stage.is_ready("web"); });
  stage.run_until([&] { return stage.status("web").phase == Phase::failed; });
  EXPECT_EQ(stage.status("web").reason, Reason::dependency_failed);
  EXPECT_EQ(stage.stop_signals_of("web"), 1u);
  stage.order(Verb::start, {"db"});
  stage.run_until([&] { return stage.is_ready("web"); });
  EXPECT_EQ(stage.runs_of("web"), 2u);
}

TEST_F(StopsWith, WhatWaitsForOneThatHasGone) {
  ServiceSpec db = service("db"), web = service("web"), page = service("page");
  web.depends_on = {on("db")};
  page.depends_on = {bound_to("web")};
  web.backoff.initial = seconds(2);
  stage.plays("web", {serves_for(500, 1), good()});
  stage.up({page, web, db});
  stage.run_until([&] { return stage.is_ready("page"); });
  stage.run_until([&] { return stage.status("web").phase == Phase::backoff; });
  EXPECT_TRUE(stage.is_ready("page"));
  stage.order(Verb::stop, {"db"});
  stage.run_until([&] { return stage.status("page").phase == Phase::waiting; });
  EXPECT_EQ(stage.status("web").phase, Phase::waiting);
}

// Seed 53864. Of what page is to stop with, nothing runs, and nothing but an order brings it back.
TEST_F(StopsWith, WhatWaitsForAReplicaThatHasGone) {
  ServiceSpec db = service("db"), web = service("web"), page = service("page");
  db.replicas = 2;
  web.depends_on = {on("db")};
  page.depends_on = {bound_to("web")};
  stage.plays("web", {serves_for(2'000, 1), good()});
  stage.up({page, web, db});
  stage.run_until([&] { return stage.is_ready("page"); });
  stage.order(Verb::stop, {"db.1"});
  stage.run_until([&] { return stage.status("db", 1).phase == Phase::stopped; });
  stage.run_ms(100);
  EXPECT_TRUE(stage.is_ready("page")) << "web runs on without that replica";
  stage.run_until([&] { return stage.status("web").phase == Phase::waiting; });
  stage.run_until([&] { return stage.status("page").phase == Phase::waiting; });
  EXPECT_TRUE(stage.is_ready("db"));
  stage.order(Verb::start, {"db.1"});
  stage.run_until([&] { return stage.is_ready("page"); });
  EXPECT_EQ(stage.runs_of("page"), 2u);
}

TEST_F(StopsWith, WhatWaitsForAReplicaThatWasGivenUp) {
  ServiceSpec db = service("db"), web = service("web"), page = service("page");
  db.restart = RestartPolicy::never;
  db.replicas = 2;
  web.depends_on = {on("db")};
  page.depends_on = {bound_to("web")};
  stage.plays("db", {good(), serves_for(200, 1)});
  stage.plays("web", {serves_for(2'000, 1), good()});
  stage.up({page, web, db});
  stage.run_until([&] { return stage.is_ready("page"); });
  stage.order(Verb::restart, {"db.1"});
  stage.run_until([&] { return stage.status("db", 1).phase == Phase::failed; });
  EXPECT_TRUE(stage.is_ready("page")) << "web runs on without that replica";
  stage.run_until([&] { return stage.status("web").phase == Phase::failed; });
  stage.run_until([&] { return stage.status("page").phase == Phase::failed; });
  EXPECT_TRUE(stage.is_ready("db"));
  EXPECT_EQ(stage.status("page").reason, Reason::dependency_failed);
}

// Nothing changes of web, which waits before and after: what has changed is what it waits for.
TEST_F(StopsWith, WhatWaitsAlreadyWhenThatGoes) {
  ServiceSpec db = service("db"), web = service("web"), page = service("page");
  db.backoff.initial = seconds(20);
  web.depends_on = {on("db")};
  page.depends_on = {bound_to("web")};
  stage.plays("db", {serves_for(1'000, 1), good()});
  stage.plays("web", {serves_for(1'200, 1), good()});
  stage.up({page, web, db});
  stage.run_until([&] { return stage.is_ready("page"); });
  stage.run_until([&] { return stage.status("web").phase == Phase::waiting; });
  stage.run_ms(1'000);
  ASSERT_EQ(stage.status("db").phase, Phase::backoff);
  EXPECT_TRUE(stage.is_ready("page")) << "db is tried again, and web then, too";
  const sim::ClientCall& stop = stage.order(Verb::stop, {"db"});
  stage.run_until([&] { return stage.status("page").phase == Phase::waiting; });
  EXPECT_EQ((*stop.answer)->notes,
            (std::vector<std::string>{"page stops with db, and starts when that is there again"}));
  stage.order(Verb::start, {"db"});
  stage.run_until([&] { return stage.is_ready("page"); });
}

TEST_F(StopsWith, NobodyOfWhomAReplicaIsLeft) {
  ServiceSpec db = service("db"), web = service("web");
  db.replicas = 2;
  web.depends_on = {bound_to("db")};
  stage.up({db, web});
  stage.run_until([&] { return stage.is_ready("web"); });
  stage.order(Verb::stop, {"db.1"});
  stage.run_until([&] { return stage.status("db", 1).phase == Phase::stopped; });
  stage.run_ms(1'000);
  EXPECT_TRUE(stage.is_ready("web"));
  stage.order(Verb::stop, {"db.0"});
  stage.run_until([&] { return stage.status("web").phase == Phase::waiting; });
}

TEST_F(StopsWith, OneThatHasCompletedAndIsNotStartedOverItAgain) {
  ServiceSpec db = service("db", ProbeType::none), web = service("web");
  web.depends_on = {bound_to("db")};
  web.depends_on[0].condition = Condition::started;
  stage.plays("db", {ends(500, 0), good()});
  stage.up({db, web});
  stage.run_until([&] { return stage.is_ready("web"); });
  stage.run_until([&] { return stage.status("db").phase == Phase::completed; });
  stage.run_until([&] { return stage.status("web").phase == Phase::waiting; });
  stage.run_ms(2'000);
  EXPECT_EQ(stage.runs_of("web"), 1u);
  EXPECT_EQ(stage.status("web").reason_text, "waits for db");
  stage.order(Verb::start, {"web"});
  stage.run_until([&] { return stage.runs_of("db") == 2 && stage.is_ready("web"); });
}

TEST_F(StopsWith, ATaskOnlyWhenThatIsTakenBack) {
  ServiceSpec migrate = service("migrate", ProbeType::none), web = service("web");
  migrate.type = ServiceType::task;
  migrate.restart = RestartPolicy::never;
  web.depends_on = {bound_to("migrate")};
  stage.plays("migrate", {ends(50, 0)});
  stage.up({migrate, web});
  stage.run_until([&] { return stage.is_ready("web"); });
  stage.run_ms(1'000);
  EXPECT_TRUE(stage.is_ready("web")) << "a task is there when it has done its work";
  stage.order(Verb::stop, {"migrate"});
  stage.run_until([&] { return stage.status("web").phase == Phase::waiting; });
}

TEST_F(StopsWith, WhatHadGoneBeforeAReloadSaidThatItDoes) {
  ServiceSpec db = service("db"), web = service("web");
  web.depends_on = {on("db")};
  stage.up({db, web});
  stage.run_until([&] { return stage.is_ready("web"); });
  stage.order(Verb::stop, {"db"});
  stage.run_until([&] { return stage.status("db").phase == Phase::stopped; });
  EXPECT_TRUE(stage.is_ready("web"));
  web.depends_on = {bound_to("db")};
  stage.reload({db, web});
  stage.run_until([&] { return stage.status("web").phase == Phase::waiting; });
}

// Every place that such a stop passes.
TEST(KilledAnywhereWhileItStopsWith, TheOthersItAndItsDependencyComeOutTheSame) {
  for (unsigned place = 1;; ++place) {
    Stage stage;
    ServiceSpec web = service("web"), page = service("page");
    web.depends_on = {bound_to("db")};
    page.depends_on = {bound_to("web")};
    stage.up({service("db"), web, page});
    stage.run_until([&] { return stage.is_ready("page"); });
    stage.machine().crash.arm(place);
    stage.order(Verb::stop, {"db"});
    stage.run_until([&] { return stage.machine().alive() && stage.status("db").phase == Phase::stopped; });
    stage.run_until([&] { return stage.machine().alive() && stage.status("page").phase == Phase::waiting; });
    EXPECT_EQ(stage.status("web").phase, Phase::waiting) << "killed at place " << place;
    EXPECT_EQ(stage.stop_signals_of("db") + stage.stop_signals_of("web") + stage.stop_signals_of("page"), 3u)
        << "killed at place " << place;
    ASSERT_EQ(stage.problems(), "") << "killed at place " << place << "\n" << stage.trace();
    if (stage.machine().crashes == 0) {
      EXPECT_GT(place, 50u) << "fewer places than there should be";
      break;
    }
  }
}

// Each look at one of a chain walked along all that wait behind it.
TEST_F(StopsWith, CostsEachOfAChainThatWaitsTheSameHoweverLongItIs) {
  const auto looks_of_each = [](std::uint32_t services) {
    Stage many;
    std::vector<ServiceSpec> chain;
    for (std::uint32_t i = 0; i < services; ++i) {
      chain.push_back(service("s" + std::to_string(i)));
      if (i > 0) chain.back().depends_on = {bound_to("s" + std::to_string(i - 1))};
    }
    many.plays("s0", {good(2'000)});
    many.up(chain);
    many.run_ms(1'000);
    many.order(Verb::stop, {"s0"});
    many.run_ms(1'000);
    many.order(Verb::start, {"*"});
    many.run_ms(1'000);
    EXPECT_EQ(many.status("s" + std::to_string(services - 1)).phase, Phase::waiting);
    return many.machine().supervisor().looks() / services;
  };
  const std::uint64_t few = looks_of_each(20), many = looks_of_each(80);  // the simulated table has 96 slots
  EXPECT_GT(few, 0u);
  EXPECT_LE(many, few + few / 2 + 2) << "of 80 services, where it is " << few << " of 20";
}

}  // namespace
}  // namespace hearth::scenario
