// The supervisor is killed, and nobody notices.
#include <algorithm>
#include <set>

#include "scenario/stage.h"

namespace hearth::scenario {
namespace {

class TakeOver : public Scenario {};

TEST_F(TakeOver, AServiceThatBecameReadyInTheGapIsReadyForTheSuccessor) {
  stage.plays("db", {good(500)});
  stage.up({service("db")});
  stage.run_ms(100);
  stage.kill_supervisor(1'000);
  stage.run_ms(1'200);
  EXPECT_TRUE(stage.is_ready("db"));
  EXPECT_EQ(stage.runs_of("db"), 1u);
}

TEST_F(TakeOver, TheExitStatusOfAServiceThatEndedInTheGapIsKnown) {
  ServiceSpec db = service("db", ProbeType::none);
  db.restart = RestartPolicy::never;
  stage.plays("db", {ends(300, 7)});
  stage.up({db});
  stage.run_ms(100);
  stage.kill_supervisor(1'000);
  stage.run_ms(1'200);
  EXPECT_EQ(stage.status("db").phase, Phase::failed);
  EXPECT_EQ(stage.status("db").last_exit.status, 7);
}

TEST_F(TakeOver, AnUnansweredApplyIsTheSameApplyForTheSuccessor) {
  stage.machine().crash.arm_at("answer");
  const sim::ClientCall& up = stage.up({service("db")});
  stage.run_until([&] { return up.answered; });
  ASSERT_TRUE(up.answer->has_value());
  EXPECT_TRUE((*up.answer)->repeated);
  EXPECT_EQ((*up.answer)->order, 1u);
  stage.run_ms(100);
  EXPECT_EQ(stage.runs_of("db"), 1u);
}

TEST_F(TakeOver, AnApplyThatDiedInItsCommitNeverWas) {
  const sim::ClientCall& up = stage.up({service("db")});
  stage.machine().crash.arm_at("in commit", 4);
  stage.run_until([&] { return up.answered; });
  ASSERT_TRUE(up.answer->has_value());
  EXPECT_FALSE((*up.answer)->repeated);
  stage.run_ms(100);
  EXPECT_TRUE(stage.is_ready("db"));
}

TEST(TakeOverAtTheBeginning, AnApplyThatDiedInTheFirstCommitOfAllNeverWas) {
  Stage stage(false);
  sim::ClientCall& up = stage.up({service("db")});
  stage.machine().send_again(up);
  stage.machine().crash.arm_at("in commit", 4);
  stage.run_until([&] { return up.answered; });
  EXPECT_EQ(stage.machine().crashes, 1u);
  ASSERT_TRUE(up.answer->has_value());
  EXPECT_FALSE((*up.answer)->repeated);
  stage.run_ms(100);
  EXPECT_TRUE(stage.is_ready("db"));
}

TEST_F(TakeOver, ASupervisorThatCannotReadTheDocumentsLeavesItToTheNextOne) {
  stage.up({service("db")});
  stage.run_ms(100);
  stage.machine().store_port.short_for = 2;
  stage.kill_supervisor(10);
  stage.run_ms(1'000);
  EXPECT_EQ(stage.machine().store_port.short_for, 0u);
  EXPECT_TRUE(stage.is_ready("db"));
  EXPECT_EQ(stage.runs_of("db"), 1u);
}

TEST_F(TakeOver, ASupervisorThatCannotSeeTheJournalLeavesItToTheNextOne) {
  stage.up({service("db")});
  stage.run_ms(100);
  const std::size_t before = stage.machine().store_port.journal().size();
  stage.machine().store_port.no_journal_for = 2;
  stage.kill_supervisor(10);
  stage.run_ms(1'000);
  EXPECT_EQ(stage.machine().store_port.no_journal_for, 0u);
  EXPECT_GT(stage.machine().store_port.journal().size(), before);
  EXPECT_EQ(stage.runs_of("db"), 1u);
}

TEST_F(TakeOver, WhatMayHaveBeenSaidIntoWhatDiedWithTheSupervisorCountsAsSaid) {
  stage.plays("db", {good(3'600'000)});
  stage.up({service("db")});
  stage.run_ms(100);
  ASSERT_FALSE(stage.is_ready("db"));
  stage.machine().keeper_port.lost_with_supervisor = "readiness pipe";
  stage.kill_supervisor(10);
  stage.run_ms(200);
  EXPECT_TRUE(stage.is_ready("db"));
  EXPECT_EQ(stage.runs_of("db"), 1u);
  const std::vector<Note> notes = stage.machine().supervisor().status().notes;
  EXPECT_TRUE(std::ranges::any_of(notes, [](const Note& note) {
    return note.text ==
           "p.db.0 counts as ready: nobody knows whether it said so while the keeper had no room for its "
           "readiness pipe";
  }));
}

// The other one's listening sockets are not its own.
TEST_F(TakeOver, ARunThatIsToMakePlaceForAnotherSpecificationIsNotTakenForOneOfThat) {
  ServiceSpec db = service("db"), web = service("web");
  Script slow = good();
  slow.term_takes = seconds(3);
  stage.plays("db", {slow, good()});
  stage.up({db, web});
  stage.run_until([&] { return stage.is_ready("db") && stage.is_ready("web"); });
  const RunId old = stage.state("db").run().run, other = stage.state("web").run().run;
  db.command.push_back("--changed");
  stage.up({db, web});
  stage.run_until([&] { return stage.stop_signals_of("db") == 1; });
  stage.kill_supervisor(10);
  stage.run_ms(100);
  EXPECT_EQ(stage.machine().keeper_port.kept_open_partly, std::set<RunId>{old});
  EXPECT_TRUE(stage.machine().keeper_port.kept_open.contains(other)) << "it goes on under the new document";
  stage.run_until([&] { return stage.runs_of("db") == 2 && stage.is_ready("db"); });
}

TEST_F(TakeOver, ABackoffDeadlineSurvives) {
  ServiceSpec db = service("db");
  db.backoff.initial = seconds(10);
  stage.plays("db", {ends(10, 1), good()});
  stage.up({db});
  stage.run_until([&] { return stage.state("db").life.phase == Phase::backoff; });
  const MonoNs retry = stage.state("db").life.retry.at;
  stage.run_ms(4'000);
  stage.kill_supervisor(2'000);
  stage.run_ms(2'100);
  EXPECT_EQ(stage.state("db").life.retry.at, retry);
  stage.run_until([&] { return stage.runs_of("db") == 2; });
  EXPECT_NEAR(static_cast<double>(stage.process("db").born - retry), 0, 5e6);
}

TEST_F(TakeOver, ARetryThatBecameDueInTheGapIsMade) {
  ServiceSpec db = service("db");
  db.backoff.initial = milliseconds(500);
  stage.plays("db", {ends(10, 1), good()});
  stage.up({db});
  stage.run_until([&] { return stage.state("db").life.phase == Phase::backoff; });
  stage.kill_supervisor(5'000);
  stage.run_ms(5'100);
  EXPECT_TRUE(stage.is_ready("db"));
}

TEST_F(TakeOver, AStopInFlightIsFinishedAndItsSignalSentOnce) {
  Script slow = good();
  slow.term_takes = milliseconds(800);
  stage.plays("db", {slow});
  stage.up({service("db")});
  stage.run_until([&] { return stage.is_ready("db"); });
  stage.machine().crash.arm_at("signal done");
  stage.order(Verb::stop, {"db"});
  stage.run_until([&] { return stage.status("db").phase == Phase::stopped; });
  EXPECT_EQ(stage.stop_signals_of("db"), 1u);
  EXPECT_FALSE(stage.process("db").killed);
  EXPECT_EQ(stage.runs_of("db"), 1u);
}

TEST_F(TakeOver, WhatAStopCouldNotEndIsToldUntilTheNextStart) {
  stage.up({service("db")});
  stage.run_until([&] { return stage.is_ready("db"); });
  stage.machine().keeper_port.survivor = "cat (PID 7)";
  stage.machine().crash.arm_at("reap done");
  const sim::ClientCall& stop = stage.order(Verb::stop, {"db"});
  stage.run_ms(1'000);
  EXPECT_EQ(stage.machine().crashes, 1u);
  EXPECT_EQ(stage.status("db").leftover, "cat (PID 7)");
  EXPECT_EQ(stage.machine().supervisor().order(stop.request.key)->slots[0].outcome, Outcome::incomplete);
  stage.order(Verb::start, {"db"});
  stage.run_until([&] { return stage.is_ready("db"); });
  EXPECT_EQ(stage.status("db").leftover, "");
}

TEST_F(TakeOver, OurAbsenceNeverKills) {
  ServiceSpec db = service("db");
  db.watchdog = seconds(1);
  Script pings = good();
  pings.watchdog_every = milliseconds(300);
  stage.plays("db", {pings});
  ServiceSpec slow = service("slow");
  slow.start_timeout = seconds(2);
  stage.plays("slow", {good(31'500)});
  stage.up({db, slow});
  stage.run_ms(1'500);
  stage.kill_supervisor(30'000);
  stage.run_ms(29'000);
  EXPECT_EQ(stage.runs_of("slow"), 1u) << "not before anybody is there to judge";
  stage.run_ms(4'000);
  EXPECT_TRUE(stage.is_ready("db"));
  EXPECT_TRUE(stage.is_ready("slow"));
  EXPECT_EQ(stage.runs_of("db") + stage.runs_of("slow"), 2u);
}

TEST_F(TakeOver, ASupervisorThatWasStoppedOrSuspendedKillsNobody) {
  ServiceSpec db = service("db");
  db.watchdog = seconds(1);
  Script pings = good();
  pings.watchdog_every = milliseconds(300);
  stage.plays("db", {pings});
  stage.up({db});
  stage.run_until([&] { return stage.is_ready("db"); });
  stage.machine().stop_supervisor(seconds(120));
  stage.run_ms(121'000);
  stage.machine().suspend(seconds(3'600));
  stage.run_ms(2'000);
  EXPECT_TRUE(stage.is_ready("db"));
  EXPECT_EQ(stage.runs_of("db"), 1u);
}

TEST_F(TakeOver, TheFdStoreSurvivesAndNothingIsStoredTwice) {
  Script keeps = good();
  keeps.says = {{milliseconds(50), "FDSTORE=1\nFDNAME=cache", 42}};
  stage.plays("db", {keeps});
  stage.up({service("db")});
  stage.machine().crash.arm_at("store_descriptors done");
  stage.run_ms(200);
  EXPECT_EQ(stage.machine().crashes, 1u);
  EXPECT_EQ(stage.machine().keeper_port.fd_store[0]["cache"], std::set<std::uint64_t>{42});
}

TEST_F(TakeOver, AMessageThatKillsTwoSupervisorsIsThrownAway) {
  Script evil = good(5);
  evil.says = {{milliseconds(50), "STATUS=kill me"}, {milliseconds(60), "STATUS=fine"}};
  stage.plays("db", {evil});
  stage.machine().inputs_port.poison = "STATUS=kill me";
  stage.up({service("db")});
  stage.run_ms(500);
  EXPECT_EQ(stage.machine().crashes, 2u);
  EXPECT_EQ(stage.status("db").status_text, "fine");
}

TEST_F(TakeOver, ASpawnerThatDiesInTheMiddleLosesNothing) {
  Script slow = good();
  slow.exec_takes = milliseconds(200);
  stage.plays("db", {slow});
  stage.up({service("db")});
  stage.run_ms(50);
  stage.machine().kernel.kill_spawner(0);
  stage.machine().kernel.kill_spawner(1);
  stage.kill_supervisor(20);
  stage.run_until([&] { return stage.is_ready("db"); });
  EXPECT_EQ(stage.runs_of("db"), 1u);
}

// Every place that a start, a message, a restart and a stop pass, one after the other.
TEST(KilledAnywhere, AStartARestartAndAStopComeOutTheSame) {
  for (unsigned place = 1;; ++place) {
    Stage stage;
    stage.plays("db", {ends(30, 1), good(10)});
    ServiceSpec db = service("db");
    db.backoff.initial = milliseconds(20);
    ServiceSpec web = service("web");
    web.depends_on = {on("db")};
    stage.machine().crash.arm(place);
    stage.up({db, web});
    stage.run_until([&] { return stage.machine().alive() && stage.is_ready("web"); });
    EXPECT_EQ(stage.runs_of("db"), 2u) << "killed at place " << place;
    EXPECT_EQ(stage.runs_of("web"), 1u) << "killed at place " << place;
    stage.down();
    stage.run_until(
        [&] { return stage.machine().kernel.live_count() == 0 && stage.machine().page().slots[0].used == false; });
    EXPECT_EQ(stage.stop_signals_of("db") + stage.stop_signals_of("web"), 2u) << "killed at place " << place;
    ASSERT_EQ(stage.problems(), "") << "killed at place " << place << "\n" << stage.trace();
    if (stage.machine().crashes == 0) {
      EXPECT_GT(place, 250u) << "fewer places than there should be";
      break;
    }
  }
}

}  // namespace
}  // namespace hearth::scenario
