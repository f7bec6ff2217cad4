// A hand in the decision page, for planted bugs: what a supervisor with that bug would have left there.
#pragma once

#include <cstring>
#include <functional>
#include <string>
#include <utility>

#include "sim/machine.h"

namespace hearth::sim {

// Writes into the copies that hold, as a supervisor with that bug would have left them.
template <typename Record, typename Copy>
bool edit(const Copy (&copies)[2], std::uint64_t commit, const std::function<bool(Record&)>& change) {
  auto* copy = const_cast<Copy*>(copy_that_holds(copies, commit));
  if (copy == nullptr) return false;
  Record record;
  std::memcpy(static_cast<void*>(&record), copy->bytes, sizeof record);
  if (!change(record)) return false;
  std::memcpy(copy->bytes, &record, sizeof record);
  return true;
}

inline RunId next_run(Machine& machine) {
  RunId run = no_run;
  edit<supervisor::Head>(machine.raw_page().head, machine.raw_page().commit.load(), [&](supervisor::Head& head) {
    run = ++head.last_run;
    return true;
  });
  return run;
}

// Asks for a new run in the entry that is free.
inline bool order_run(Machine& machine, SlotIndex slot, SlotState& state) {
  const auto next = static_cast<std::uint8_t>(state.current ^ 1);
  if (state.cell[next].entry != no_entry) return false;
  RunCell cell;
  cell.run = next_run(machine);
  cell.entry = slot * 2 + next;
  cell.spawn = true;
  cell.document = state.document;
  state.cell[next] = cell;
  state.current = next;
  return true;
}

inline Sabotage at_takeover(std::string name, std::function<bool(Machine&, SlotIndex, SlotState&)> change) {
  Sabotage sabotage;
  sabotage.name = std::move(name);
  sabotage.before_takeover = [change](Machine& machine) {
    const std::size_t count = machine.page().slots.size();
    wire::DecisionPage& page = machine.raw_page();
    for (SlotIndex slot = 0; slot < count; ++slot)
      edit<SlotState>(page.slot[slot], page.commit.load(),
                      [&](SlotState& state) { return state.used && change(machine, slot, state); });
  };
  return sabotage;
}

}  // namespace hearth::sim
