// What is said of a slot in words, in `status`, reports and events. Reads the book, changes nothing.
#pragma once

#include <string>

#include "base/ids.h"
#include "base/time.h"
#include "model/service_spec.h"
#include "model/slot_state.h"
#include "ports/keeper.h"

namespace hearth::supervisor {

class SlotBook;
class Waits;

// Why a slot is where it is, as `status` has it; "" when there is nothing to say. `waits`: of the same report.
std::string why_words(const SlotBook& book, const ports::Keeper& keeper, Waits& waits, SlotIndex slot, Now now);
// Too few bad tries of its liveness for a restart yet: whoever looks now may still do something; "" = none.
std::string ailing_words(const SlotBook& book, SlotIndex slot);
// Of a service in the background that has named another main process since one was followed; "" = it has not.
std::string other_main_words(const SlotBook& book, const ports::Keeper& keeper, SlotIndex slot);
// Of a stop that has left something, "sleep 1000 (PID 12)".
std::string leftover_words(const std::string& leftover);
// How a hook ended that has failed; of its slot. "exited with code 3"
std::string hook_end_words(const SlotState& runner);
// How a run ended.
std::string end_words(const ExitInfo& exit, const ServiceSpec& spec);

}  // namespace hearth::supervisor
