// What a turn has decided besides the records of slots, and does only when those are committed: before the commit an
// order of the same turn may still undo it, and a successor that finds the old page would not know of it.
//
// Each list is filled while inputs are handled and time passes, and emptied by the commit, the act or the consume of the
// same turn.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "model/event.h"
#include "model/request.h"
#include "wire/decision_page.h"

namespace hearth::supervisor {

struct ProbeStart {
  SlotIndex slot;
  bool live;
  std::uint64_t attempt;
  bool memory = false;  // an exec probe has answered well: only the memory is left to be looked at
};

// The fd store: what came with an input is parked, or what has a name is dropped.
struct StoreAction {
  std::size_t input;  // index in the inputs of this turn
  SlotIndex slot;
  bool remove;
  std::string name;
  std::uint32_t most;
  bool poll;
};

struct Reply {
  std::size_t input;
  Result<Accepted> result;
};

struct Errands {
  std::vector<wire::OperationRecord> operations;  // go into the commit itself
  std::vector<EventRecord> happened;              // what no record of a slot shows; goes into the commit itself
  std::vector<SlotIndex> released_slots;          // forgotten in this turn
  std::vector<SlotIndex> respecified;             // go on with another specification
  std::vector<ProbeStart> probe_starts;
  std::vector<SlotIndex> probe_cancels;
  std::vector<StoreAction> store_actions;
  std::vector<Reply> replies;
  std::vector<std::uint64_t> dropped_documents;
  bool undecided = false;  // the request that is being handled cannot be answered yet: nothing of it is done
};

}  // namespace hearth::supervisor
