// The keeper is killed, or all of hearth at once.
#include <algorithm>

#include "scenario/stage.h"
#include "wire/slot_table.h"

namespace hearth::scenario {
namespace {

class Deaths : public Scenario {
 protected:
  bool is_noted(const std::string& text) {
    const InstanceStatus status = stage.machine().supervisor().status();
    return std::any_of(status.notes.begin(), status.notes.end(),
                       [&](const Note& note) { return note.text.find(text) != std::string::npos; });
  }
  void nobody_lives_for(std::int64_t ms) {
    stage.machine().nobody_for = [ms] { return milliseconds(ms); };
  }
};

TEST_F(Deaths, AKeeperThatDiesTakesNoServiceAlongAndTheNextOneStopsIt) {
  stage.up({service("db")});
  stage.run_ms(100);
  stage.machine().kill_keeper();
  stage.run_ms(100);
  EXPECT_TRUE(stage.is_ready("db"));
  EXPECT_EQ(stage.runs_of("db"), 1u);
  stage.order(Verb::stop, {"db"});
  stage.run_ms(100);
  EXPECT_EQ(stage.status("db").phase, Phase::stopped);
  EXPECT_EQ(stage.stop_signals_of("db"), 1u);
}

TEST_F(Deaths, WhatEndsWhileThereIsNoKeeperEndsAsUnknownWhichIsAFailure) {
  stage.plays("db", {ends(300, 0), good()});
  stage.machine().keeper_away_for = [] { return milliseconds(500); };
  stage.up({service("db", ProbeType::none)});
  stage.run_ms(100);
  stage.machine().kill_keeper();
  stage.run_ms(550);
  EXPECT_EQ(stage.status("db").last_exit.code, wire::wait_code_unknown);
  stage.run_ms(3'000);
  EXPECT_EQ(stage.runs_of("db"), 2u);
  EXPECT_EQ(stage.status("db").phase, Phase::running);
}

TEST_F(Deaths, AServiceThatWasDownStaysDownAndOneThatWasUpIsTheSameRun) {
  stage.up({service("db"), service("web")});
  stage.run_ms(100);
  stage.order(Verb::stop, {"web"});
  stage.run_ms(200);
  stage.machine().kill_everybody(false);
  stage.run_ms(500);
  EXPECT_TRUE(stage.is_ready("db"));
  EXPECT_EQ(stage.runs_of("db"), 1u);
  EXPECT_EQ(stage.status("web").phase, Phase::stopped);
  EXPECT_EQ(stage.runs_of("web"), 1u);
}

// It was adopted without a start clock, and loaded for ever.
TEST_F(Deaths, OneThatWasNeverReadyIsNotWaitedForWithoutEndByWhoAdoptsIt) {
  ServiceSpec db = service("db", ProbeType::http);
  db.start_timeout = seconds(5);
  Script never = good();
  never.ready_after = sim::not_at_all;
  stage.plays("db", {never, good()});
  stage.up({db});
  stage.run_ms(4'000);
  stage.machine().kill_everybody(true);
  stage.run_ms(4'000);
  EXPECT_EQ(stage.status("db").phase, Phase::starting) << "our absence costs nobody his time";
  EXPECT_EQ(stage.runs_of("db"), 1u);
  stage.run_until([&] { return stage.runs_of("db") == 2 && stage.is_ready("db"); }, 10'000);
}

TEST_F(Deaths, OneThatHadBeenReadyIsNotEndedByWhoAdoptsItForNotBeingSoNow) {
  ServiceSpec db = service("db", ProbeType::http);
  db.start_timeout = seconds(5);
  db.ready.edit().interval = seconds(1);
  Script sick = good();
  sick.sick_after = seconds(2);
  stage.plays("db", {sick});
  stage.up({db});
  stage.run_ms(10'000);
  ASSERT_FALSE(stage.is_ready("db"));
  stage.machine().kill_everybody(true);
  stage.run_ms(30'000);
  EXPECT_EQ(stage.runs_of("db"), 1u);
  EXPECT_EQ(stage.status("db").phase, Phase::starting);
}

// It had been taken for ready, because it might have said so unheard; it was said to be ready and ended at once.
TEST_F(Deaths, AServiceThatEndedWhileNobodyLivedIsNotTakenForReady) {
  stage.plays("db", {ends(300, 1), good()});
  stage.up({service("db")});
  stage.run_ms(100);
  nobody_lives_for(1'000);
  stage.machine().kill_everybody(false);
  stage.run_ms(1'010);
  EXPECT_FALSE(is_noted("counts as ready"));
  stage.run_ms(3'000);
  EXPECT_TRUE(stage.is_ready("db"));
  EXPECT_EQ(stage.runs_of("db"), 2u);
}

// It counted as ready again, with its readiness file, because it might have said so.
TEST_F(Deaths, AServiceThatHadSaidThatItEndsIsNotTakenForReady) {
  Script goes = good();
  goes.says.push_back({milliseconds(50), "STOPPING=1"});
  goes.exit_after = seconds(5);
  stage.plays("db", {goes, good()});
  ServiceSpec db = service("db");
  db.restart = RestartPolicy::always;
  stage.up({db});
  stage.run_ms(200);
  EXPECT_FALSE(stage.is_ready("db"));
  nobody_lives_for(500);
  stage.machine().kill_everybody(false);
  stage.run_ms(1'000);
  EXPECT_EQ(stage.runs_of("db"), 1u);
  EXPECT_FALSE(stage.is_ready("db"));
  EXPECT_FALSE(is_noted("counts as ready"));
}

// The same, of a run that nobody but the keeper had seen: its exit with 0 counted as success.
TEST_F(Deaths, AServiceThatEndedWithoutBeingReadyHasFailedAlsoWhenOnlyTheKeeperSawIt) {
  stage.plays("db", {ends(50, 0), good()});
  stage.machine().dead_for = [] { return milliseconds(500); };
  stage.machine().crash.arm_at("spawn done");
  stage.up({service("db")});
  stage.run_ms(200);
  ASSERT_FALSE(stage.machine().alive());
  stage.machine().kill_everybody(false);
  stage.run_ms(3'000);
  EXPECT_TRUE(stage.is_ready("db"));
  EXPECT_EQ(stage.runs_of("db"), 2u);
}

// The next supervisor found the entry occupied, by its predecessor's work, and gave the run another one: it was
// signalled through both.
TEST_F(Deaths, ARunThatWasAdoptedBeforeTheFirstCommitIsAdoptedOnce) {
  stage.up({service("db")});
  stage.run_ms(1'000);
  stage.machine().kill_everybody(true);
  stage.machine().crash.arm_at("in commit");
  stage.run_ms(200);
  EXPECT_EQ(stage.machine().crashes, 2u);
  EXPECT_TRUE(stage.is_ready("db"));
  stage.down();
  stage.run_ms(200);
  EXPECT_EQ(stage.stop_signals_of("db"), 1u);
  EXPECT_EQ(stage.process("db").life, sim::Life::gone);
}

// A message that was there before the keeper had told of the adoption began a watch as of a new run, whose READY=1 was
// still to come; it never came.
TEST_F(Deaths, AMessageAheadOfTheAdoptionDoesNotMakeTheRunANewOne) {
  ServiceSpec db = service("db");
  db.ready.edit().type = ProbeType::notify;
  db.watchdog = seconds(30);
  Script talks = good();
  talks.watchdog_every = milliseconds(1) / 50;
  stage.plays("db", {talks});
  stage.up({db});
  stage.run_until([&] { return stage.is_ready("db"); });
  stage.machine().kill_everybody(true);
  stage.run_ms(100);
  EXPECT_TRUE(stage.is_ready("db"));
  EXPECT_EQ(stage.runs_of("db"), 1u);
}

// Its entry was occupied for ever, and the status that the keeper had seen was thrown away.
TEST_F(Deaths, ARunThatWasAdoptedBeforeTheFirstCommitAndEndsIsNotForgotten) {
  Script once = good();
  once.exit_after = milliseconds(1'100);
  once.exit_status = 4;
  stage.plays("db", {once, good()});
  stage.up({service("db")});
  stage.run_ms(1'000);
  stage.machine().dead_for = [] { return milliseconds(300); };
  nobody_lives_for(5);
  stage.machine().kill_everybody(true);
  stage.machine().crash.arm_at("in commit");
  stage.run_ms(5'000);
  EXPECT_TRUE(stage.is_ready("db"));
  EXPECT_EQ(stage.runs_of("db"), 2u);
  for (EntryIndex entry = 0; entry < 8; ++entry) {
    const RunId run = stage.machine().kernel.entry(entry).run;
    EXPECT_TRUE(run == no_run || run == stage.status("db").run) << "entry " << entry << " holds run " << run;
  }
}

// All that was being stopped was told to stop at once.
TEST_F(Deaths, WhatWasBeingStoppedGoesOnToEndFromItsDependentsDown) {
  ServiceSpec web = service("web");
  web.depends_on.push_back(on("db"));
  Script slow = good();
  slow.term_takes = milliseconds(1'000);
  stage.plays("web", {slow});
  stage.up({service("db"), web});
  stage.run_ms(500);
  stage.order(Verb::stop);
  stage.run_ms(300);
  ASSERT_EQ(stage.stop_signals_of("web"), 1u);
  stage.machine().kill_everybody(true);
  stage.run_ms(200);
  EXPECT_EQ(stage.status("web").phase, Phase::stopping);
  EXPECT_EQ(stage.stop_signals_of("db"), 0u);
  stage.run_ms(2'000);
  EXPECT_EQ(stage.status("web").phase, Phase::stopped);
  EXPECT_EQ(stage.status("db").phase, Phase::stopped);
  EXPECT_EQ(stage.stop_signals_of("db"), 1u);
}

// All adopted runs had the same rank: a keeper without a supervisor ended them in any order.
TEST_F(Deaths, AnAdoptedRunKeepsItsPlaceInTheOrderOfStopping) {
  ServiceSpec web = service("web");
  web.depends_on.push_back(on("db"));
  stage.up({service("db"), web});
  stage.run_ms(500);
  std::map<RunId, std::uint32_t>& ranks = stage.machine().keeper_port.stop_ranks;
  const std::map<RunId, std::uint32_t> before = ranks;
  ASSERT_GT(before.at(stage.status("web").run), before.at(stage.status("db").run));
  ranks.clear();
  stage.machine().kill_everybody(true);
  stage.run_ms(500);
  EXPECT_EQ(ranks, before);
}

// The take-over went on without it, and the only copy was removed as one that nobody wants.
TEST_F(Deaths, ASpecificationForWhichThereWasNoRoomAtAnAdoptionIsNotLost) {
  stage.up({service("db")});
  stage.run_ms(500);
  stage.machine().store_port.full_for = 1;
  stage.machine().kill_everybody(true);
  stage.run_ms(500);
  EXPECT_TRUE(is_noted("stays only where it was found"));
  stage.kill_supervisor(10);
  stage.run_ms(500);
  EXPECT_TRUE(stage.is_ready("db"));
  EXPECT_FALSE(is_noted("lost"));
}

// The documents were dropped first, and whoever was killed while the disk took its time had lost them.
TEST_F(Deaths, AnEndThatIsCutShortHasLostNothingThatItTells) {
  for (const char* place : {"store finish done", "finish"}) {
    Stage ending;
    ending.up({service("db")});
    ending.run_until([&] { return ending.is_ready("db"); });
    ending.machine().crash.arm_at(place);
    ending.machine().inputs_port.post_keeper_signal(15);
    ending.run_until([&] { return ending.machine().keeper_port.finished; });
    EXPECT_EQ(ending.machine().crashes, 1u);
    for (const Note& note : ending.machine().supervisor().status().notes)
      EXPECT_EQ(note.text.find("lost"), std::string::npos) << place << ": " << note.text;
    EXPECT_TRUE(ending.machine().store_port.on_disk().empty());
    EXPECT_EQ(ending.problems(), "");
  }
}

}  // namespace
}  // namespace hearth::scenario
