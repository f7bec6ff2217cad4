// Who may start when, and what services are told while they run.
#include <algorithm>

#include "scenario/stage.h"

namespace hearth::scenario {
namespace {

class Turns : public Scenario {
 protected:
  // `hearth up` of services a, b, c ... of which so many may start at a time.
  sim::ClientCall& up(std::uint32_t services, std::uint32_t at_a_time) {
    Request request;
    request.verb = Verb::apply;
    request.document.project = "p";
    request.document.path = "/home/p/hearth.toml";
    request.document.start_concurrency = at_a_time;
    for (std::uint32_t i = 0; i < services; ++i)
      request.document.services.push_back(service(std::string(1, static_cast<char>('a' + i))));
    return stage.machine().send(std::move(request));
  }
  std::string starting() {
    std::string names;
    for (const SlotStatus& one : stage.machine().supervisor().status().services)
      if (one.phase == Phase::starting) names += one.name;
    return names;
  }
};

TEST_F(Turns, NoMoreStartAtATimeThanMay) {
  for (const char* name : {"a", "b", "c", "d", "e"}) stage.plays(name, {good(200)});
  up(5, 2);
  stage.run_ms(50);
  EXPECT_EQ(starting(), "ab");
  EXPECT_EQ(stage.status("c").phase, Phase::waiting);
  EXPECT_EQ(stage.status("c").reason_text, "waits for its turn: 2 may start at a time");
  std::size_t most = 0;
  stage.run_until([&] {
    most = std::max(most, starting().size());
    return stage.is_ready("e");
  });
  EXPECT_EQ(most, 2u);
  for (const char* name : {"a", "b", "c", "d", "e"}) EXPECT_EQ(stage.runs_of(name), 1u) << name;
}

TEST_F(Turns, OneThatCannotStartLeavesItsTurnToTheOthers) {
  stage.plays("a", {ends(20, 1)});
  stage.plays("b", {good(100)});
  stage.plays("c", {good(100)});
  up(3, 1);
  stage.run_until([&] { return stage.is_ready("b") && stage.is_ready("c"); }, 3'000);
}

TEST_F(Turns, WhoHasWaitedLongestIsNext) {
  for (const char* name : {"a", "b", "c"}) stage.plays(name, {good(100)});
  up(3, 1);
  stage.run_ms(20);
  stage.order(Verb::stop, {"b"});
  stage.run_ms(20);
  stage.order(Verb::start, {"b"});
  stage.run_ms(100);
  EXPECT_EQ(starting(), "c") << "b came behind it";
  stage.run_until([&] { return stage.is_ready("b"); });
}

TEST_F(Turns, ASuccessorGoesOnGivingThem) {
  for (const char* name : {"a", "b", "c", "d"}) stage.plays(name, {good(300)});
  up(4, 1);
  stage.run_ms(50);
  stage.kill_supervisor(20);
  stage.run_until([&] { return stage.is_ready("d"); });
}

// Each start looked at all that waited, and each of those counted all that started.
TEST_F(Turns, CostEachStartTheSameHoweverManyWait) {
  const auto looks_of_each = [](std::uint32_t services) {
    Stage many;
    Request request;
    request.verb = Verb::apply;
    request.document.project = "p";
    request.document.path = "/home/p/hearth.toml";
    request.document.start_concurrency = 3;
    for (std::uint32_t i = 0; i < services; ++i) request.document.services.push_back(service("s" + std::to_string(i)));
    many.machine().send(std::move(request));
    many.run_until([&] { return many.is_ready("s" + std::to_string(services - 1)); });
    return many.machine().supervisor().looks() / services;
  };
  const std::uint64_t few = looks_of_each(20), many = looks_of_each(80);  // the simulated table has 96 slots
  EXPECT_GT(few, 0u);
  EXPECT_LE(many, few + few / 2 + 2) << "of 80 services, where it is " << few << " of 20";
}

TEST_F(Turns, NobodyIsForgottenWhateverComesBetween) {
  constexpr std::uint32_t services = 8;
  for (std::uint32_t i = 0; i < services; ++i)
    stage.plays(std::string(1, static_cast<char>('a' + i)), {ends(30 * (i % 2) + 5, 1), good(40 + i)});
  up(services, 2);
  std::uint32_t random = 12'345;
  for (int step = 0; step < 300; ++step) {
    random = random * 1'664'525 + 1'013'904'223;
    const std::string name(1, static_cast<char>('a' + (random >> 16) % services));
    switch ((random >> 24) % 8) {
      case 0: stage.order(Verb::stop, {name}); break;
      case 1: stage.kill_supervisor(3); break;
      case 2: up(services, 1 + (random >> 28) % 3); break;
      case 3:
      case 4: stage.order(Verb::restart, {name}); break;
      default: stage.order(Verb::start, {name}); break;
    }
    stage.run_ms(7);
    ASSERT_LE(starting().size(), 3u);
  }
  up(services, 1);
  stage.run_until([&] {
    for (std::uint32_t i = 0; i < services; ++i)
      if (!stage.is_ready(std::string(1, static_cast<char>('a' + i)))) return false;
    return true;
  });
}

class Told : public Scenario {
 protected:
  sim::ClientCall& tell(Verb verb, const std::string& name, int signal = 0) {
    Request request;
    request.verb = verb;
    request.names = {name};
    request.signal = signal;
    return stage.machine().send(std::move(request));
  }
  bool settled(const sim::ClientCall& call) {
    return call.answered && stage.machine().supervisor().order(call.request.key)->settled;
  }
};

TEST_F(Told, WhatIsNotRunningRefusesASignalForAll) {
  stage.up({service("web"), service("db")});
  stage.run_until([&] { return stage.is_ready("web") && stage.is_ready("db"); });
  stage.order(Verb::stop, {"db"});
  stage.run_until([&] { return stage.status("db").phase == Phase::stopped; });
  const sim::ClientCall& refused = tell(Verb::signal, "*", 10);
  stage.run_ms(50);
  ASSERT_FALSE(refused.answer->has_value());
  EXPECT_EQ(refused.answer->error().hint, "`hearth start db` starts it");
  const sim::ClientCall& sent = tell(Verb::signal, "web", 10);
  stage.run_ms(50);
  EXPECT_TRUE(sent.answer->has_value());
  EXPECT_TRUE(settled(sent));
}

TEST_F(Told, AReloadIsDoneWhenTheServiceSaysSo) {
  Script script = good();
  script.says.push_back({milliseconds(1'100), "RELOADING=1"});
  script.says.push_back({milliseconds(3'000), "READY=1"});
  stage.plays("web", {script});
  stage.up({service("web")});
  stage.run_ms(1'000);
  const sim::ClientCall& reload = tell(Verb::reload, "web");
  stage.run_ms(1'000);
  EXPECT_FALSE(settled(reload));
  stage.run_ms(1'500);
  EXPECT_TRUE(settled(reload));
  EXPECT_EQ(stage.machine().supervisor().order(reload.request.key)->slots[0].outcome, Outcome::done);
}

TEST_F(Told, AReloadOfOneThatSaysNothingIsDoneSoon) {
  stage.up({service("web"), service("plain", ProbeType::none)});
  stage.run_until([&] { return stage.is_ready("web") && stage.is_ready("plain"); });
  const sim::ClientCall& reload = tell(Verb::reload, "web");
  const sim::ClientCall& plain = tell(Verb::reload, "plain");
  stage.run_ms(20);
  EXPECT_FALSE(settled(plain)) << "it may end of the signal";
  stage.run_ms(200);
  EXPECT_FALSE(settled(reload));
  EXPECT_TRUE(settled(plain));
  stage.run_ms(400);
  EXPECT_TRUE(settled(reload));
}

}  // namespace
}  // namespace hearth::scenario
