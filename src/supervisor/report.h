// Telling: how slots stand, and how an order stands. Reads the book, changes nothing, comes between turns.
//
// An order is settled when no slot that it names is pending. A start is done when the run has become ready, whether it
// is now or not, or has lived for a moment without a readiness probe; it has failed when another try would be the same, though the restart policy
// may go on trying. A stop is done when nothing of the run is left, `incomplete` when somebody could not be killed.
#pragma once

#include <string>

#include "base/ids.h"
#include "base/time.h"
#include "model/request.h"
#include "model/status.h"
#include "ports/keeper.h"
#include "wire/decision_page.h"

namespace hearth::supervisor {

class SlotBook;

// `log_directory`: of all slots. `now`: of the last turn.
SlotStatus slot_status(const SlotBook& book, const ports::Keeper& keeper, const std::string& log_directory,
                       SlotIndex slot, Now now);
OrderReport order_report(const SlotBook& book, ports::Keeper& keeper, const std::string& log_directory,
                         const wire::OperationRecord& record, Now now);
// order_report().settled, at the first pending slot known not to be: who waits for a thousand asks at each turn.
bool order_settled(const SlotBook& book, ports::Keeper& keeper, const wire::OperationRecord& record);

// Why a slot is where it is, as `status` has it; "" when there is nothing to say.
std::string why_words(const SlotBook& book, const ports::Keeper& keeper, SlotIndex slot, Now now);
// How a hook ended that has failed; of its slot. "exited with code 3"
std::string hook_end_words(const SlotState& runner);
// Of a service in the background that has named another main process since one was followed; "" = it has not.
std::string other_main_words(const SlotBook& book, const ports::Keeper& keeper, SlotIndex slot);
// How a run ended.
std::string end_words(const ExitInfo& exit, const ServiceSpec& spec);

}  // namespace hearth::supervisor
