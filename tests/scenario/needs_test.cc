// What a start of a service means to those that it needs (docs/decisions/0014).
#include "scenario/stage.h"

namespace hearth::scenario {
namespace {

class Needs : public Scenario {};

// A chain api -> web -> redis, and `web` may have a cache; all of it stopped.
struct StoppedChain : Needs {
  void SetUp() override {
    ServiceSpec web = service("web"), api = service("api");
    web.depends_on = {on("redis"), on("cache")};
    web.depends_on[1].required = false;
    api.depends_on = {on("web")};
    stage.up({api, web, service("redis"), service("cache")});
    stage.run_until([&] { return stage.is_ready("api"); });
    stage.order(Verb::stop);
    stage.run_until([&] { return stage.machine().kernel.live_count() == 0; });
  }
};

TEST_F(StoppedChain, AStartStartsWhatIsNeededAndWasStopped) {
  const sim::ClientCall& start = stage.order(Verb::start, {"api"});
  stage.run_until([&] { return stage.is_ready("api"); });
  EXPECT_EQ((*start.answer)->slots.size(), 3u);
  EXPECT_EQ((*start.answer)->notes,
            (std::vector<std::string>{"web is started too: api needs it", "redis is started too: web needs it"}));
  EXPECT_EQ(stage.runs_of("cache"), 1u) << "it only orders";
  const OrderReport report = *stage.machine().supervisor().order(start.request.key);
  EXPECT_TRUE(report.settled);
  EXPECT_EQ(report.slots.size(), 3u);
}

TEST_F(StoppedChain, AStartWithoutDependenciesWaitsAndSaysWhatEndsThat) {
  const sim::ClientCall& start = stage.order(Verb::start, {"web"}, false);
  stage.run_ms(100);
  EXPECT_EQ((*start.answer)->slots.size(), 1u);
  EXPECT_EQ(stage.status("web").phase, Phase::waiting);
  EXPECT_EQ(stage.status("web").reason_text, "waits for redis, which is stopped: `hearth start redis`");
  EXPECT_FALSE(stage.machine().supervisor().order(start.request.key)->settled);
  stage.order(Verb::start, {"redis"});
  stage.run_until([&] { return stage.is_ready("web"); });
}

TEST_F(StoppedChain, AWaitThroughAChainSaysWhatEndsIt) {
  stage.order(Verb::start, {"web", "api"}, false);
  stage.run_ms(100);
  EXPECT_EQ(stage.status("api").reason_text, "waits for web, and so for redis, which is stopped: `hearth start redis`");
  EXPECT_EQ(stage.status("api").waits_for, std::vector<std::string>{"p.web.0"});
  EXPECT_EQ(stage.status("web").waits_for, std::vector<std::string>{"p.redis.0"});
  stage.order(Verb::start, {"redis"});
  stage.run_until([&] { return stage.is_ready("api"); });
  EXPECT_TRUE(stage.status("api").waits_for.empty());
}

// As long at the end of a chain as at its beginning, in the status, the report of the order and the events.
TEST_F(Needs, WhatIsSaidOfALongChainIsAsShortAsOfAShortOne) {
  constexpr std::size_t links = 60;
  const auto name = [](std::size_t i) { return "s" + std::to_string(i); };
  std::vector<ServiceSpec> chain = {service(name(0))};
  for (std::size_t i = 1; i < links; ++i) {
    chain.push_back(service(name(i)));
    chain.back().depends_on = {on(name(i - 1))};
  }
  stage.plays(name(0), {good(1'000'000)});
  const sim::ClientCall& up = stage.up(chain);
  stage.run_ms(100);
  EXPECT_EQ(stage.status("s1").reason_text, "waits for s0");
  EXPECT_EQ(stage.status("s2").reason_text, "waits for s1, and so for s0");
  EXPECT_EQ(stage.status(name(links - 1)).reason_text, "waits for " + name(links - 2) + ", and so for s0");
  constexpr std::size_t longest = 40;
  const OrderReport report = *stage.machine().supervisor().order(up.request.key);
  for (const SlotOutcome& slot : report.slots)
    EXPECT_LE(slot.status.reason_text.size(), longest) << slot.status.reason_text;
  for (const EventRecord& event : stage.machine().store_port.journal())
    EXPECT_LE(event.what == Happening::state ? event.text.size() : 0, longest) << event.text;
}

TEST_F(Needs, OfManyThatAreMissingSomeAreNamed) {
  std::vector<ServiceSpec> all = {service("web")};
  for (int i = 0; i < 100; ++i) {
    all.push_back(service("s" + std::to_string(i)));
    all.back().autostart = false;
    all[0].depends_on.push_back(on(all.back().name));
  }
  all[0].autostart = false;
  stage.up(all);
  stage.order(Verb::start, {"web"}, false);
  stage.run_ms(100);
  EXPECT_EQ(stage.status("web").reason_text,
            "waits for s0, s1, s2, s3, s4, s5, s6, s7, and 92 more, which are stopped: "
            "`hearth start s0 s1 s2 s3 s4 s5 s6 s7 ...`");
}

// Two to the power of thirty ways lead from the last one to the first: each service is looked at once.
TEST_F(Needs, AReportLooksAtEachServiceOnce) {
  std::vector<ServiceSpec> layers = {service("root")};
  layers[0].restart = RestartPolicy::never;
  std::vector<Dependency> above = {on("root")};
  for (int i = 0; i < 30; ++i) {
    const std::string left = "l" + std::to_string(i), right = "r" + std::to_string(i);
    for (const std::string& each : {left, right}) {
      layers.push_back(service(each));
      layers.back().depends_on = above;
    }
    above = {on(left), on(right)};
  }
  stage.plays("root", {good(1'000'000)});
  const sim::ClientCall& up = stage.up(layers);
  stage.run_ms(100);
  const OrderReport report = *stage.machine().supervisor().order(up.request.key);
  EXPECT_FALSE(report.settled);
  EXPECT_EQ(report.slots.size(), layers.size());
  EXPECT_EQ(stage.status("l29").reason_text, "waits for l28, r28");
}

TEST_F(Needs, WhatDoesNotStartByItselfIsStartedByTheUpOfThoseWhoNeedIt) {
  ServiceSpec web = service("web"), middle = service("middle"), redis = service("redis"), cache = service("cache");
  web.depends_on = {on("middle"), on("cache")};
  web.depends_on[1].required = false;
  middle.depends_on = {on("redis")};
  for (ServiceSpec* each : {&middle, &redis, &cache}) each->autostart = false;
  const sim::ClientCall& up = stage.up({web, middle, redis, cache});
  stage.run_until([&] { return stage.is_ready("web"); });
  EXPECT_EQ((*up.answer)->notes,
            (std::vector<std::string>{"middle is started too: web needs it", "redis is started too: middle needs it"}));
  EXPECT_EQ(stage.status("cache").phase, Phase::stopped) << "it only orders";
  const OrderReport report = *stage.machine().supervisor().order(up.request.key);
  EXPECT_TRUE(report.settled);
  EXPECT_EQ(report.slots.size(), 3u);
}

TEST_F(StoppedChain, WhoIsUpGetsWhatItHasLostByAStartOfItAndGoesOn) {
  stage.order(Verb::start, {"api"});
  stage.run_until([&] { return stage.is_ready("api"); });
  stage.order(Verb::stop, {"redis"});
  stage.run_until([&] { return stage.status("redis").phase == Phase::stopped; });
  stage.order(Verb::start, {"web"}, false);
  stage.order(Verb::start, {"api"});
  stage.run_ms(200);
  EXPECT_EQ(stage.status("redis").phase, Phase::stopped) << "web has all that its start needs, and nobody named it";
  const sim::ClientCall& start = stage.order(Verb::start, {"web"});
  stage.run_until([&] { return stage.is_ready("redis"); });
  ASSERT_EQ((*start.answer)->notes.size(), 2u);
  EXPECT_EQ((*start.answer)->notes[0], "redis is started too: web needs it");
  EXPECT_EQ((*start.answer)->notes[1].find("web is already running"), 0u);
  EXPECT_EQ((*start.answer)->slots.size(), 2u);
  EXPECT_EQ(stage.runs_of("web"), 2u) << "it goes on";
  EXPECT_TRUE(stage.machine().supervisor().order(start.request.key)->settled);
}

TEST_F(Needs, WhoIsUpAndRestartedWithWhatItNeedsIsToldSoByAStart) {
  ServiceSpec web = service("web");
  web.depends_on = {restarted_with("db")};
  stage.up({web, service("db")});
  stage.run_until([&] { return stage.is_ready("web"); });
  stage.order(Verb::stop, {"db"});
  stage.run_until([&] { return stage.status("db").phase == Phase::stopped; });
  const sim::ClientCall& start = stage.order(Verb::start, {"web"});
  stage.run_until([&] { return stage.runs_of("web") == 2 && stage.is_ready("web"); });
  EXPECT_EQ((*start.answer)->notes.at(0), "db is started too: web needs it, and is restarted after it");
  EXPECT_TRUE(stage.is_ready("db"));
}

TEST_F(StoppedChain, WhatItNeedsAndIsDownComesUpByARestart) {
  stage.order(Verb::start, {"api"});
  stage.run_until([&] { return stage.is_ready("api"); });
  stage.order(Verb::stop, {"redis"});
  stage.run_until([&] { return stage.status("redis").phase == Phase::stopped; });
  stage.order(Verb::restart, {"web"});
  stage.run_until([&] { return stage.is_ready("web") && stage.runs_of("web") == 3; });
  EXPECT_TRUE(stage.is_ready("redis"));
  EXPECT_EQ(stage.runs_of("api"), 2u);
}

TEST_F(StoppedChain, WhoWaitsForWhatIsDownIsToldThatUpBringsItBack) {
  Request down;
  down.verb = Verb::down;
  down.names = {"redis"};
  stage.machine().send(std::move(down));
  stage.run_ms(100);
  stage.order(Verb::start, {"web"});
  stage.run_ms(100);
  EXPECT_EQ(stage.status("web").reason_text, "waits for redis, which is down: `hearth up`");
}

TEST_F(Needs, AStartTriesWhatIsNeededAndHadFailedAgain) {
  ServiceSpec db = service("db"), web = service("web");
  db.restart = RestartPolicy::never;
  web.depends_on = {on("db")};
  stage.plays("db", {ends(20, 1), good()});
  stage.up({db, web});
  stage.run_until([&] { return stage.status("web").phase == Phase::failed; });
  stage.order(Verb::start, {"web"});
  stage.run_until([&] { return stage.is_ready("web"); });
}

TEST_F(Needs, WhatIsCompletedAsItShallIsNotRunAgainByAStart) {
  ServiceSpec migrate = service("migrate", ProbeType::none), web = service("web");
  migrate.restart = RestartPolicy::never;
  web.depends_on = {on("migrate", Condition::completed_successfully)};
  stage.plays("migrate", {ends(20, 0)});
  stage.up({migrate, web});
  stage.run_until([&] { return stage.is_ready("web"); });
  stage.order(Verb::stop, {"web"});
  stage.run_until([&] { return stage.status("web").phase == Phase::stopped; });
  stage.order(Verb::start, {"web"});
  stage.run_until([&] { return stage.is_ready("web"); });
  EXPECT_EQ(stage.runs_of("migrate"), 1u);
}

}  // namespace
}  // namespace hearth::scenario
