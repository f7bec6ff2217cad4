// The supervisor at the edges of what it promises, on the simulated machine with the stage of the scenarios.
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <functional>
#include <utility>

#include "scenario/stage.h"
#include "sim/page_reader.h"
#include "supervisor/head.h"

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

// A page that nobody can have written: torn in its file, or by somebody who may write there. No checker is there: what it
// reads would lead it astray, too.
class TornPage : public testing::Test {
 protected:
  void SetUp() override {
    Request request;
    request.verb = Verb::apply;
    request.document.project = "p";
    request.document.path = "/home/p/hearth.toml";
    request.document.services = {service("db"), service("web")};
    machine.run_for(milliseconds(1));
    machine.send(std::move(request));
    machine.run_for(seconds(2));
    ASSERT_EQ(machine.kernel.live_count(), 2u);
  }
  // What the next supervisor finds.
  void torn(std::function<void(wire::DecisionPage&)> tear) {
    machine.before_turn = [this, tear = std::move(tear), done = false]() mutable {
      if (machine.alive() || std::exchange(done, true)) return;
      tear(machine.raw_page());
    };
    machine.kill_supervisor("a test's wish");
    machine.run_for(seconds(5));
    ASSERT_TRUE(machine.alive());
  }
  template <typename Copy>
  static Copy& held(Copy (&copies)[2], std::uint64_t commit) {
    return *const_cast<Copy*>(sim::copy_that_holds(copies, commit));
  }
  std::string phases() {
    std::string text;
    for (const SlotStatus& one : machine.supervisor().status().services)
      text += one.name + (one.ready ? " is ready, run " : " is not ready, run ") + std::to_string(one.run) + "; ";
    return text;
  }

  sim::Machine machine{1, sim::Faults::none(),
                       [](const ServiceSpec&, SlotRole, unsigned, const std::string&) { return good(); }, true};
};

TEST_F(TornPage, WithMoreSlotsThanThereCanBeIsNotReadAndWhatRunsIsFoundAgain) {
  const std::string before = phases();
  torn([](wire::DecisionPage& page) {
    auto& bytes = held(page.head, page.commit).bytes;
    supervisor::Head head;
    std::memcpy(&head, bytes, sizeof head);
    head.slots_used = UINT32_MAX;
    std::memcpy(bytes, &head, sizeof head);
  });
  EXPECT_EQ(phases(), before);
  EXPECT_EQ(machine.kernel.live_count(), 2u);
}

TEST_F(TornPage, WithASlotThatMakesNoSenseLosesThatOneAndSaysSo) {
  torn([](wire::DecisionPage& page) {
    auto& bytes = held(page.slot[1], page.commit).bytes;
    bytes[offsetof(SlotState, role)] = 77;
  });
  EXPECT_EQ(machine.supervisor().status().services.size(), 1u);
  EXPECT_EQ(machine.kernel.live_count(), 2u) << "what runs is left alone";
  const std::vector<Note> notes = machine.supervisor().status().notes;
  EXPECT_TRUE(std::ranges::any_of(
      notes, [](const Note& note) { return note.text.find("slot 1 makes no sense") != std::string::npos; }));
}

}  // namespace
}  // namespace hearth::scenario
