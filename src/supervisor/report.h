// Telling: how slots stand, and how an order stands. Reads the book, changes nothing, comes between turns.
//
// An order is settled when no slot that it names is pending. A start is done when the run has become ready, whether it
// is now or not, or has lived for a moment without a readiness probe (for longer, when the run before failed); it has
// failed when another try would be the same, though the restart policy may go on trying. A stop is done when nothing of
// the run is left, `incomplete` when somebody could not be killed.
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
class Waits;

// `waits`: one for all slots of a report. `log_directory`: of all slots. `now`: of the last turn.
SlotStatus slot_status(const SlotBook& book, const ports::Keeper& keeper, Waits& waits,
                       const std::string& log_directory, SlotIndex slot, Now now);
OrderReport order_report(const SlotBook& book, ports::Keeper& keeper, const std::string& log_directory,
                         const wire::OperationRecord& record, Now now);
// order_report().settled, at the first pending slot known not to be: who waits for a thousand asks at each turn.
bool order_settled(const SlotBook& book, ports::Keeper& keeper, const wire::OperationRecord& record);

}  // namespace hearth::supervisor
