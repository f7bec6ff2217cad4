#include "supervisor/orders.h"

#include <algorithm>
#include <cstring>

#include "supervisor/book.h"
#include "supervisor/dependencies.h"
#include "supervisor/goals.h"
#include "supervisor/placing.h"
#include "supervisor/selection.h"

namespace hearth::supervisor {

Result<Accepted> Orders::handle(const Request& request, Now now) {
  std::vector<wire::OperationRecord>& operations = book_.errands.operations;
  if (const wire::OperationRecord* known = find_known(request.key)) return repeat(*known);
  if (book_.head.shutting_down && request.verb != Verb::shutdown && request.verb != Verb::leave)
    return failure(Remedy::conflict, "take the order", instance_, "hearth is shutting down",
                   "start it again when it has ended");
  if (operations.size() == wire::max_new_operations)
    return failure(Remedy::try_later, "take the order", instance_, "too many came at once", "send it again");
  Result<Accepted> accepted = carry_out(request, now);
  if (!accepted) return accepted;
  wire::OperationRecord record{};
  std::memcpy(record.key, request.key.data(), sizeof record.key);
  record.order = accepted->order;
  record.accepted_wall_ns = now.wall;
  record.kind = static_cast<std::uint32_t>(request.verb);
  record.slots = static_cast<std::uint32_t>(accepted->slots.size());
  operations.push_back(record);
  return accepted;
}

// An impatient client may have sent it twice before this turn.
const wire::OperationRecord* Orders::find_known(const OperationKey& key) const {
  const wire::OperationRecord* known = wire::find_operation(page_, key.data());
  for (const wire::OperationRecord& operation : book_.errands.operations)
    if (std::memcmp(operation.key, key.data(), sizeof operation.key) == 0) known = &operation;
  return known;
}

Accepted Orders::repeat(const wire::OperationRecord& known) const {
  Accepted accepted;
  accepted.order = known.order;
  accepted.repeated = true;
  for (const SlotIndex slot : book_.used()) {
    if (book_.slots[slot].order != known.order) continue;
    accepted.slots.push_back(slot);
    if (book_.slots[slot].removing) accepted.removed.push_back(book_.label(slot));
  }
  return accepted;
}

Result<Accepted> Orders::carry_out(const Request& request, Now now) {
  switch (request.verb) {
    case Verb::apply: return placing_.apply(request, now);
    case Verb::start:
    case Verb::stop:
    case Verb::restart: return order_named(request, now);
    case Verb::down: return down(request, now);
    case Verb::shutdown:
    case Verb::leave: return shut_down(request, now);
  }
  return failure(Remedy::fix_input, "take the order", "", "unknown verb");
}

Result<Accepted> Orders::order_named(const Request& request, Now now) {
  const Result<std::vector<SlotIndex>> chosen = named(book_, request);
  if (!chosen) return failure(chosen.error());
  Accepted accepted;
  accepted.order = book_.next_order();
  accepted.slots = *chosen;
  if (request.verb == Verb::stop) {
    goals_.stop(*chosen, accepted.order, false, now);
    return accepted;
  }
  book_.runs_changed = true;
  if (request.dependencies) goals_.start_needed(*chosen, request.verb == Verb::restart, accepted, now);
  if (request.verb == Verb::restart)
    goals_.restart(*chosen, accepted, now);
  else
    start(*chosen, accepted, now);
  return accepted;
}

void Orders::start(const std::vector<SlotIndex>& chosen, Accepted& accepted, Now now) {
  const TypedNames names(book_);
  for (const SlotIndex slot : dependencies_first(book_, chosen)) {
    if (book_.is_up(slot))
      accepted.notes.push_back(names.of(slot) + " is already running (PID " +
                               std::to_string(book_.slots[slot].run().pid) + ")");
    goals_.enlist(slot, accepted.order, true);
    goals_.raise(slot, lifecycle::EventKind::order_start, now);
  }
}

Result<Accepted> Orders::down(const Request& request, Now now) {
  const Result<std::vector<SlotIndex>> chosen = to_take_down(book_, request);
  if (!chosen) return failure(chosen.error());
  Accepted accepted;
  accepted.order = book_.next_order();
  accepted.slots = *chosen;
  for (const SlotIndex slot : *chosen) {
    book_.slots[slot].removing = true;
    accepted.removed.push_back(book_.label(slot));
  }
  for (const SlotIndex slot : book_.used()) {
    SlotState& state = book_.slots[slot];
    if (state.role == SlotRole::service) continue;
    if (std::find(chosen->begin(), chosen->end(), state.parent) == chosen->end()) continue;
    state.removing = true;
    goals_.stop({slot}, accepted.order, true, now);
  }
  goals_.stop(*chosen, accepted.order, false, now);
  return accepted;
}

Accepted Orders::shut_down(const Request& request, Now now) {
  if (book_.head.shutting_down && request.verb == Verb::shutdown) book_.head.force = true;
  Accepted accepted;
  accepted.order = book_.next_order();
  goals_.shut_down(request.verb == Verb::leave, accepted.order, now);
  for (const SlotIndex slot : book_.services()) accepted.slots.push_back(slot);
  return accepted;
}

void Orders::signalled(const ports::Input& input, Now now) {
  Head& head = book_.head;
  for (std::size_t i = 0; i < std::size(keeper_signals); ++i) {
    if (keeper_signals[i] != input.number) continue;
    const std::uint32_t fresh = input.count - head.signals_handled[i];
    if (fresh == 0) return;
    head.signals_handled[i] = input.count;
    book_.head_changed = true;
    switch (input.number) {
      case 15:
      case 2:
        if (head.shutting_down || fresh > 1) head.force = true;
        goals_.shut_down(false, book_.next_order(), now);
        break;
      case 3: goals_.shut_down(true, book_.next_order(), now); break;
      default: book_.visible_change = true;  // HUP, USR1: the program rereads or writes out; USR2: it is replaced
    }
  }
}

}  // namespace hearth::supervisor
