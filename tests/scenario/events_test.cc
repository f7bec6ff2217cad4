// What happened is in the event journal, once, whoever is killed when.
#include <algorithm>

#include "scenario/stage.h"

namespace hearth::scenario {
namespace {

std::string words(const EventRecord& event) {
  std::string text = std::string(happening_name(event.what)) + " " + event.service;
  if (event.what == Happening::state) text += " " + event.from + "->" + event.to;
  return text;
}

class Events : public Scenario {
 protected:
  const std::vector<EventRecord>& journal() { return stage.machine().store_port.journal(); }
  // All but what tells of supervisors themselves.
  std::vector<std::string> story() {
    std::vector<std::string> all;
    for (const EventRecord& event : journal())
      if (event.what != Happening::takeover) all.push_back(words(event));
    return all;
  }
  const EventRecord& last_of(const std::string& service, Happening what) {
    const auto found = std::find_if(journal().rbegin(), journal().rend(), [&](const EventRecord& event) {
      return event.what == what && event.service == "p." + service + ".0";
    });
    EXPECT_NE(found, journal().rend()) << service;
    return *found;
  }
  const EventRecord& cause_of(const EventRecord& event) {
    const auto found = std::find_if(journal().begin(), journal().end(),
                                    [&](const EventRecord& other) { return other.id == event.cause; });
    EXPECT_NE(found, journal().end()) << words(event);
    return *found;
  }
};

TEST_F(Events, AStartIsTracedBackToTheOrderThroughWhatItWaitedFor) {
  ServiceSpec web = service("web");
  web.depends_on = {on("db")};
  stage.plays("db", {good(500)});
  stage.up({service("db"), web});
  stage.run_ms(1'000);
  ASSERT_TRUE(stage.is_ready("web"));
  const EventRecord& ready = last_of("web", Happening::state);
  EXPECT_EQ(ready.to, "running");
  const EventRecord& run = cause_of(ready);
  EXPECT_EQ(run.what, Happening::run);
  const EventRecord& start = cause_of(run);
  EXPECT_EQ(start.from, "waiting");
  const EventRecord& db_ready = cause_of(start);
  EXPECT_EQ(db_ready.service, "p.db.0");
  EXPECT_EQ(db_ready.to, "running");
  const EventRecord& order = cause_of(cause_of(cause_of(db_ready)));
  EXPECT_EQ(order.what, Happening::order);
  EXPECT_EQ(order.cause, no_event);
  EXPECT_EQ(order.text, "up of project p from /home/p/hearth.toml: 2 services");
}

TEST_F(Events, AnExitTellsHowLongItRanAndLeadsToTheBackoff) {
  stage.plays("web", {ends(3'000, 7)});
  stage.up({service("web", ProbeType::none)});
  stage.run_ms(3'100);
  const EventRecord& exit = last_of("web", Happening::exit);
  EXPECT_EQ(exit.exit.status, 7);
  EXPECT_GE(exit.lasted, milliseconds(2'900));
  const EventRecord& backoff = last_of("web", Happening::state);
  EXPECT_EQ(backoff.to, "backoff");
  EXPECT_EQ(backoff.cause, exit.id);
}

TEST_F(Events, AHookThatFailsIsOneOfItsServiceAndLeadsOn) {
  ServiceSpec web = service("web");
  hooks(web, {Hook::before_start, Hook::reload});
  stage.hook_plays("web", "before_start", {ends(5, 7), ends(5, 0)});
  stage.hook_plays("web", "reload_command", {ends(5, 3)});
  stage.up({web});
  stage.run_until([&] { return stage.status("web").phase == Phase::backoff; });
  const EventRecord before_start = last_of("web", Happening::hook);
  EXPECT_EQ(before_start.text, "before_start exited with code 7");
  EXPECT_EQ(before_start.hook, "before_start");
  EXPECT_EQ(before_start.exit.status, 7);
  const EventRecord& exit = cause_of(last_of("web", Happening::state));
  EXPECT_EQ(exit.what, Happening::exit);
  EXPECT_EQ(exit.cause, before_start.id) << "why it waits for another try";
  stage.run_until([&] { return stage.is_ready("web"); });
  stage.order(Verb::reload, {"web"});
  stage.run_ms(100);
  const EventRecord& reload = last_of("web", Happening::hook);
  EXPECT_EQ(reload.text, "reload_command exited with code 3");
  EXPECT_EQ(cause_of(reload).what, Happening::order) << "who asked for it";
  EXPECT_EQ(cause_of(reload).text, "reload of web");
  const auto hooks_told = std::count_if(journal().begin(), journal().end(),
                                        [](const EventRecord& event) { return event.what == Happening::hook; });
  EXPECT_EQ(hooks_told, 2) << "success is none";
}

TEST_F(Events, AServiceThatIsTakenDownIsToldOfByItsFullName) {
  stage.up({service("web")});
  stage.run_ms(100);
  stage.order(Verb::down, {"web"});
  stage.run_ms(500);
  EXPECT_EQ(journal().back().what, Happening::removed);
  EXPECT_EQ(journal().back().service, "p.web.0");
}

TEST_F(Events, WhatCouldNotBeWrittenIsCountedWithTheNextThatCan) {
  stage.up({service("web")});
  stage.run_ms(100);
  stage.machine().store_port.no_events_for = 1'000;
  stage.order(Verb::stop, {"web"});
  stage.run_ms(500);
  const std::size_t before = journal().size();
  stage.machine().store_port.no_events_for = 0;
  stage.order(Verb::start, {"web"});
  stage.run_ms(500);
  ASSERT_GT(journal().size(), before);
  const EventRecord& loss = journal()[before];
  EXPECT_EQ(loss.what, Happening::loss);
  EXPECT_NE(loss.text.find("could not be written"), std::string::npos);
  EXPECT_GT(std::stoul(loss.text), 1u);
  EXPECT_GT(loss.id, journal()[before - 1].id + std::stoul(loss.text));
  EXPECT_EQ(std::count_if(journal().begin(), journal().end(),
                          [](const EventRecord& event) { return event.what == Happening::loss; }),
            1);
}

TEST_F(Events, WhatTheKeeperExecutedOrRefusedIsToldOnceWhoeverComesLater) {
  stage.up({service("web")});
  stage.run_ms(100);
  const auto look = [&](const KeeperPrograms& found) {
    stage.machine().supervisor().look_at_keeper(found, stage.machine().time.now.wall);
    stage.order(Verb::restart, {"web"});
    stage.run_ms(500);
  };
  look({1, 0, ""});
  stage.kill_supervisor(5);
  stage.run_ms(100);
  look({1, 0, ""});
  look({1, 1, "it hangs"});
  look({1, 1, "it hangs"});
  std::vector<std::string> told;
  for (const EventRecord& event : journal())
    if (event.what == Happening::upgrade) told.push_back(event.text);
  ASSERT_EQ(told.size(), 2u);
  EXPECT_NE(told[0].find("executed another program in its own place"), std::string::npos) << told[0];
  EXPECT_NE(told[1].find("goes on with the program that it had: it hangs"), std::string::npos) << told[1];
  const KeeperPrograms shown = stage.machine().supervisor().instance().keeper_programs;
  EXPECT_EQ(shown.execs, 1u);
  EXPECT_EQ(shown.refusal_reason, "it hangs");
}

// The supervisor is killed at each of the points it passes, one a time, in an order to restart.
TEST(EventsUnderDeath, NoneIsLostAndNoneDoubledAtAnyPoint) {
  std::vector<std::string> whole;
  for (unsigned nth = 0; nth < 400; ++nth) {
    Stage stage;
    ServiceSpec web = service("web");
    web.depends_on = {on("db")};
    stage.up({service("db"), web});
    stage.run_ms(500);
    if (nth > 0) stage.machine().crash.arm(nth);
    stage.order(Verb::restart, {"db", "web"});
    stage.run_ms(2'000);
    const bool died = !stage.machine().crash.armed();
    stage.machine().crash.disarm();
    stage.run_ms(1'000);
    std::vector<std::string> story;
    for (const EventRecord& event : stage.machine().store_port.journal())
      if (event.what != Happening::takeover) story.push_back(words(event));
    EXPECT_EQ(stage.problems(), "") << "killed at point " << nth;
    if (nth == 0) whole = story;
    // The order in which services move within a turn may be another one: what happened is the same.
    std::sort(story.begin(), story.end());
    std::vector<std::string> expected = whole;
    std::sort(expected.begin(), expected.end());
    ASSERT_EQ(story, expected) << "killed at point " << nth;
    if (nth > 0 && !died) break;
  }
}

TEST_F(Events, NoIdIsGivenAgainThatSomebodyMayHaveSeenBeforeDirStateWasLost) {
  stage.up({service("web")});
  stage.run_ms(1'000);
  const EventId last = journal().back().id;
  stage.machine().store_port.only_the_copy = true;
  stage.machine().kill_everybody(true);
  stage.run_ms(4'000);
  const auto next =
      std::find_if(journal().begin(), journal().end(), [last](const EventRecord& event) { return event.id > last; });
  ASSERT_NE(next, journal().end());
  EXPECT_EQ(next->id, last + ports::ids_left_out + 1);
  EXPECT_EQ(next->what, Happening::loss);
  EXPECT_NE(next->text.find("events after " + std::to_string(last) + " may be lost"), std::string::npos) << next->text;
}

}  // namespace
}  // namespace hearth::scenario
