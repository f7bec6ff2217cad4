// What the event journal is told of a turn.
//
// Model
// -----
// An event is a *difference between two committed states*. Before a commit each changed slot is compared with its record
// in the page, which is what the commit before made of it; what differs becomes events, which are appended to the store's
// journal; then record, id of the newest event and end of the journal are committed by one store. So there is no event
// without its change and no change without its event, whoever is killed when: the turn that is repeated finds the same
// difference again. What a slot went through within one turn is one difference.
//
// What no record shows (orders, notes, another supervisor or keeper, a slot that is forgotten) comes as errands of the
// turn (Errands::happened) and goes before.
//
// Causes. Each event names the earlier one that led to it, in this order:
//   exit                    what its slot did last: its start, or the stop that was asked of it
//   state after an exit     that exit
//   state on an order       that order, of the same turn
//   state of who waits for, is failed by, or restarted with a dependency: the newest event of those dependencies
//   all others              what the slot did last: a backoff before a new try, a run before it became ready
// In a turn dependencies come before those that depend on them, so that a cause always has the smaller id.
//
// Events that the store cannot take are lost: their ids are not used again, and the next event that can be kept tells how
// many there were (Head::events_lost).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/time.h"
#include "model/event.h"
#include "model/slot_state.h"
#include "ports/keeper.h"
#include "ports/store.h"
#include "wire/decision_page.h"

namespace hearth::supervisor {

class SlotBook;
class Waits;

class JournalScribe {
 public:
  JournalScribe(SlotBook& book, const ports::Keeper& keeper, ports::Store& store, const wire::DecisionPage& page)
      : book_(book), keeper_(keeper), store_(store), page_(page) {}

  // Before anything is stored of a commit. Writes the newest event's id into the records of slots.
  void write(Now now);
  // After it.
  void committed();

 private:
  void tell(EventRecord event);
  void tell_errands(Now now);
  void tell_loss(Now now);
  void take_order();
  void tell_slot(SlotIndex slot, Waits& waits, Now now);
  void tell_run(SlotIndex slot, const RunCell& cell, Now now);
  void tell_exit(SlotIndex slot, Now now);
  void tell_state(SlotIndex slot, const SlotState& before, bool ended, Waits& waits, Now now);
  EventRecord of_slot(SlotIndex slot, Happening what, Now now) const;
  EventId cause_of_state(SlotIndex slot, const SlotState& before) const;
  EventId newest_of_dependencies(SlotIndex slot) const;
  EventId order_in_turn(OrderId order) const;
  std::string state_words(SlotIndex slot, Waits& waits, Now now) const;

  SlotBook& book_;
  const ports::Keeper& keeper_;
  ports::Store& store_;
  const wire::DecisionPage& page_;
  std::vector<EventRecord> events_;                  // of this turn
  std::vector<std::pair<OrderId, EventId>> orders_;  // of this turn
  bool uncommitted_ = false;
};

}  // namespace hearth::supervisor
