// The supervisor at the edges of what it promises, on the simulated machine with the stage of the scenarios.
#include "scenario/stage.h"

namespace hearth::scenario {
namespace {

class Edges : public Scenario {};

TEST_F(Edges, WhoWaitsForAStartDoesNotWaitForReadiness) {
  ServiceSpec web = service("web");
  web.depends_on = {on("db", Condition::started)};
  stage.plays("db", {good(5'000)});
  stage.up({service("db"), web});
  stage.run_ms(200);
  EXPECT_FALSE(stage.is_ready("db"));
  EXPECT_TRUE(stage.is_ready("web"));
}

// Both have the same number, and that of the refused one is used again.
TEST_F(Edges, ARefusedApplyTakesNothingFromTheOneBehindIt) {
  ServiceSpec bad = service("bad");
  bad.depends_on = {on("nobody")};
  const sim::ClientCall& refused = stage.up({bad});
  const sim::ClientCall& taken = stage.up({service("db")});
  stage.run_until([&] { return taken.answered && stage.is_ready("db"); });
  EXPECT_FALSE(refused.answer->has_value());
  stage.kill_supervisor(10);
  stage.run_ms(100);
  EXPECT_EQ(stage.status("db").phase, Phase::running);
  EXPECT_EQ(stage.runs_of("db"), 1u);
}

TEST_F(Edges, AnExecProbeThatHungOnceHasFailedOnce) {
  ServiceSpec db = service("db", ProbeType::none);
  db.live.edit().type = ProbeType::exec;
  db.live.edit().command = {"/bin/check"};
  db.live.edit().failure_threshold = 2;
  db.live.edit().interval = milliseconds(100);
  db.live.edit().timeout = milliseconds(200);
  Script hangs = ends(5, 0);
  hangs.exit_after = sim::not_at_all;
  stage.probe_plays("db", {hangs, ends(5, 0)});
  stage.up({db});
  stage.run_ms(3'000);
  EXPECT_EQ(stage.runs_of("db"), 1u);
}

TEST_F(Edges, AProbeThatHangsEndsWithItsService) {
  ServiceSpec db = service("db", ProbeType::none);
  db.live.edit().type = ProbeType::exec;
  db.live.edit().command = {"/bin/check"};
  db.live.edit().timeout = seconds(3'600);
  Script hangs = ends(5, 0);
  hangs.exit_after = sim::not_at_all;
  stage.probe_plays("db", {hangs});
  stage.up({db});
  stage.run_ms(100);
  EXPECT_EQ(stage.machine().kernel.live_count(), 2u);
  stage.order(Verb::stop, {"db"});
  stage.run_ms(1'000);
  EXPECT_EQ(stage.machine().kernel.live_count(), 0u);
}

TEST_F(Edges, NotesForPeopleAreTheNewestFifty) {
  for (int i = 0; i < 60; ++i) stage.machine().supervisor().add_note(std::to_string(i));
  const std::vector<Note> notes = stage.machine().supervisor().status().notes;
  ASSERT_EQ(notes.size(), 50u);
  EXPECT_EQ(notes.back().text, "59");
  EXPECT_GT(notes.back().at, 0);
}

}  // namespace
}  // namespace hearth::scenario
