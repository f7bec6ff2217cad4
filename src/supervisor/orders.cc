#include "supervisor/orders.h"

#include <algorithm>
#include <cstring>

#include "supervisor/book.h"
#include "supervisor/dependencies.h"
#include "supervisor/goals.h"
#include "supervisor/placing.h"
#include "supervisor/selection.h"

namespace hearth::supervisor {
namespace {

// A list that people read: the first few, and how many more there are.
std::string list_words(const std::vector<std::string>& names) {
  constexpr std::size_t told = 10;
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < told; ++i) text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > told) text += " and " + std::to_string(names.size() - told) + " more";
  return text;
}

std::string order_words(const Request& request, const Accepted& accepted) {
  const std::string which = request.all ? "all services" : list_words(request.names);
  switch (request.verb) {
    case Verb::apply: {
      std::string text = request.start ? "up of project " : "apply of project ";
      text += request.document.project;
      if (!request.document.path.empty()) text += " from " + request.document.path;
      text += ": " + std::to_string(request.document.services.size()) +
              (request.document.services.size() == 1 ? " service" : " services");
      if (!accepted.removed.empty()) text += "; taken out: " + list_words(accepted.removed);
      return text;
    }
    case Verb::start: return "start of " + which;
    case Verb::stop: return "stop of " + which;
    case Verb::restart: return "restart of " + which;
    case Verb::down:
      if (!request.names.empty() || request.all) return "down of " + which;
      return "down of " +
             (request.document.path.empty() ? "project " + request.document.project : request.document.path);
    case Verb::shutdown: return "shutdown of all of hearth";
    case Verb::leave: return "end of hearth, whose services go on";
  }
  return "an order";
}

std::string hex_words(const OperationKey& key) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : key) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

}  // namespace

void Orders::tell(OrderId order, const Request& request, const Accepted& accepted, Now now) {
  EventRecord event;
  event.what = Happening::order;
  event.time = now.wall;
  event.order = order;
  event.operation = hex_words(request.key);
  event.by = request.peer;
  event.text = order_words(request, accepted);
  book_.errands.happened.push_back(std::move(event));
}

OrderId Orders::signal_order(const char* signal, const char* what, Now now) {
  EventRecord event;
  event.what = Happening::order;
  event.time = now.wall;
  event.order = book_.next_order();
  event.text = std::string(signal) + " to hearth: " + what;
  book_.errands.happened.push_back(event);
  return event.order;
}

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
  tell(accepted->order, request, *accepted, now);
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
    if (!is_probe(state.role)) continue;
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
        goals_.shut_down(false, signal_order(input.number == 2 ? "SIGINT" : "SIGTERM", "shutdown", now), now);
        break;
      case 3: goals_.shut_down(true, signal_order("SIGQUIT", "it ends, and its services go on", now), now); break;
      default: book_.visible_change = true;  // HUP, USR1: the program rereads or writes out; USR2: it is replaced
    }
  }
}

}  // namespace hearth::supervisor
