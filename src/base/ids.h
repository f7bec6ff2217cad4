// Ids that cross rooms, processes and restarts. Plain integers, so that they can stand in shared memory and
// in messages; the aliases say which is which.
#pragma once

#include <stdint.h>

namespace hearth {

// One attempt to run a slot. Never 0, never used twice in one instance; greater means later. It is in the
// process's environment as HEARTH_RUN.
using RunId = uint64_t;

// Position of a service's slot in decision page and log page, 0 .. wire::max_slots - 1.
using SlotIndex = uint32_t;

// Position of a run in the slot table, 0 .. wire::max_entries - 1. Slot s owns entries 2s and 2s + 1.
using EntryIndex = uint32_t;

// An accepted order of a user (start, stop, restart ...). Monotone within an instance.
using OrderId = uint64_t;

// One operation of the supervisor on a run (a signal). Monotone within an instance.
using OpId = uint64_t;

inline constexpr RunId no_run = 0;
inline constexpr SlotIndex no_slot = UINT32_MAX;
inline constexpr EntryIndex no_entry = UINT32_MAX;

}  // namespace hearth
