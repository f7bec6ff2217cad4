// Which pages a supervisor goes on from.
#include "supervisor/head.h"

#include <cstdlib>
#include <memory>

#include <gtest/gtest.h>

#include "supervisor/supervisor.h"

namespace hearth::supervisor {
namespace {

struct Free {
  void operator()(wire::DecisionPage* page) const { std::free(page); }
};
using Page = std::unique_ptr<wire::DecisionPage, Free>;

// Zeroed as a new memfd is, and as sparse.
Page new_page() {
  return Page(static_cast<wire::DecisionPage*>(std::calloc(1, sizeof(wire::DecisionPage))));
}

TEST(Readable, ANewPageIsNot) {
  EXPECT_FALSE(Supervisor::readable(*new_page()));
}

TEST(Readable, APageIsFromItsFirstCommitOn) {
  const Page page = new_page();
  wire::decision_page_init(*page, record_version);
  wire::PageWriter writer(*page);
  const Head head;
  writer.set_head(&head, sizeof head);
  EXPECT_FALSE(Supervisor::readable(*page)) << "written, but not published";
  writer.publish();
  EXPECT_TRUE(Supervisor::readable(*page));
}

TEST(Readable, OneWithRecordsOfAnotherVersionIsNot) {
  const Page page = new_page();
  wire::decision_page_init(*page, record_version + 1);
  wire::PageWriter writer(*page);
  const Head head;
  writer.set_head(&head, sizeof head);
  writer.publish();
  EXPECT_FALSE(Supervisor::readable(*page));
}

TEST(Readable, OneWithMoreSlotsThanThereCanBeIsNot) {
  const Page page = new_page();
  wire::decision_page_init(*page, record_version);
  wire::PageWriter writer(*page);
  Head head;
  head.slots_used = wire::max_slots;
  writer.set_head(&head, sizeof head);
  writer.publish();
  EXPECT_TRUE(Supervisor::readable(*page));
  head.slots_used = wire::max_slots + 1;
  writer.set_head(&head, sizeof head);
  writer.publish();
  EXPECT_FALSE(Supervisor::readable(*page));
}

TEST(Readable, WhatIsWrongWithAPageHasAName) {
  const Page page = new_page();
  EXPECT_EQ(problem_of(*page), PageProblem::version);
  wire::decision_page_init(*page, record_version);
  EXPECT_EQ(problem_of(*page), PageProblem::empty);
  wire::PageWriter writer(*page);
  Head head;
  head.slots_used = 7;
  writer.set_head(&head, sizeof head);
  writer.publish();
  EXPECT_EQ(problem_of(*page), PageProblem::none);
  EXPECT_EQ(head_of(*page).slots_used, 7u);
  head.slots_used = wire::max_slots + 1;
  writer.set_head(&head, sizeof head);
  writer.publish();
  EXPECT_EQ(problem_of(*page), PageProblem::head);
}

SlotState good_slot() {
  SlotState state;
  state.used = true;
  state.cell[0].entry = 3 * wire::entries_per_slot;
  return state;
}

TEST(MakesSense, ASlotThatNamesItsOwnEntriesAndOthersThatAreThere) {
  EXPECT_TRUE(makes_sense(SlotState{}, 3, 4));
  EXPECT_TRUE(makes_sense(good_slot(), 3, 4));
  SlotState probe = good_slot();
  probe.role = SlotRole::live_probe;
  EXPECT_FALSE(makes_sense(probe, 3, 4)) << "of whom?";
  probe.parent = 2;
  EXPECT_TRUE(makes_sense(probe, 3, 4));
  SlotState hook = good_slot();
  hook.role = SlotRole::hook;
  EXPECT_TRUE(makes_sense(hook, 3, 4)) << "its service may have been forgotten";
}

TEST(MakesSense, NotWhatWouldBeTakenForAnIndexOfSomethingElse) {
  const auto expect_disbelief = [](const char* what, void (*tear)(SlotState&)) {
    SlotState state = good_slot();
    tear(state);
    EXPECT_FALSE(makes_sense(state, 3, 4)) << what;
  };
  expect_disbelief("entry", [](SlotState& s) { s.cell[1].entry = 2; });
  expect_disbelief("entry", [](SlotState& s) { s.cell[0].entry = wire::max_entries + 7; });
  expect_disbelief("current", [](SlotState& s) { s.current = 2; });
  expect_disbelief("parent", [](SlotState& s) { s.parent = 4; });
  expect_disbelief("role", [](SlotState& s) { s.role = static_cast<SlotRole>(5); });
  expect_disbelief("hook", [](SlotState& s) { s.hook = static_cast<Hook>(hook_count); });
  expect_disbelief("hook", [](SlotState& s) { s.life.hook = static_cast<Hook>(200); });
  expect_disbelief("phase", [](SlotState& s) { s.life.phase = static_cast<Phase>(8); });
}

TEST(MakesSense, AReasonThatALaterBuildMayKnow) {
  SlotState state = good_slot();
  state.life.reason = static_cast<Reason>(255);
  EXPECT_TRUE(makes_sense(state, 3, 4));
}

}  // namespace
}  // namespace hearth::supervisor
