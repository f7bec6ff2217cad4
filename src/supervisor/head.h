// What is committed besides the slots: counters that must never go back, and the instance's own state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "base/ids.h"
#include "model/slot_state.h"
#include "wire/decision_page.h"

namespace hearth::supervisor {

// Version of the bytes in head and slot records. A page with another version is not read.
inline constexpr std::uint32_t record_version = wire::decision_record_version;

// Signals of the keeper, in the order of Head::signals_handled.
inline constexpr int keeper_signals[6] = {15, 2, 1, 10, 12, 3};  // TERM INT HUP USR1 USR2 QUIT

struct Head {
  RunId last_run = 0;
  OpId last_op = 0;
  OrderId last_order = 0;
  std::uint64_t last_document = 0;
  std::uint64_t random = 0;      // state of the jitter's generator
  std::uint32_t slots_used = 0;  // slots 0 .. slots_used - 1 have records
  std::uint32_t takeovers = 0;
  std::uint32_t statuses_lost = 0;      // runs whose end nobody could tell
  std::uint32_t keeper_generation = 0;  // of the keeper that held our runs when this was committed
  std::uint64_t last_event = 0;         // of the journal
  std::uint64_t journal_end = 0;        // ports::JournalMark::end
  std::uint32_t events_lost = 0;        // that could not be written, and that no event has told of yet
  bool shutting_down = false;
  bool leaving = false;  // SIGQUIT: hearth ends, services stay
  bool force = false;    // second TERM or INT: no grace
  bool gave_up = false;  // shutting down because a service with on_give_up = "exit" was given up
  std::uint32_t signals_handled[6] = {};
  // Of KeeperPrograms: of those there are events.
  std::uint32_t keeper_execs_told = 0;
  std::uint32_t keeper_refusals_told = 0;
};
// A page outlives whoever wrote it, in a file: what nobody can have written is not believed.
inline bool makes_sense(const Head& head) {
  return head.slots_used <= wire::max_slots;
}
// Of `size` slots. What a program that runs on it would take for an index, or for a row of a table. A reason is neither: one of
// a later build is merely unknown.
bool makes_sense(const SlotState& state, SlotIndex slot, SlotIndex size);

// What keeps a supervisor, and so a trial, from going on from a page.
enum class PageProblem {
  none,
  version,  // its magic, size or versions are others
  empty,    // nothing has been committed
  head      // its head makes no sense
};
PageProblem problem_of(const wire::DecisionPage& page);
// Of one that has no problem.
Head head_of(const wire::DecisionPage& page);

static_assert(std::is_trivially_copyable_v<Head>);
static_assert(sizeof(Head) <= wire::head_record_bytes);
static_assert(sizeof(SlotState) == wire::slot_record_bytes);
static_assert(offsetof(SlotState, health) + offsetof(Health, status) == wire::slot_front_bytes, "texts come last");

}  // namespace hearth::supervisor
