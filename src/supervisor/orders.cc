#include "supervisor/orders.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "supervisor/book.h"
#include "supervisor/dependencies.h"
#include "supervisor/goals.h"
#include "supervisor/placing.h"
#include "supervisor/selection.h"

namespace hearth::supervisor {
namespace {

// How soon one that tells of its reloads must have said so; and how long others have to outlive the signal.
constexpr SpanNs reload_notice = milliseconds(500), reload_survival = milliseconds(200);

// A list that people read: the first few, and how many more there are.
std::string list_words(const std::vector<std::string>& names) {
  constexpr std::size_t told = 10;
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < told; ++i) text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > told) text += " and " + std::to_string(names.size() - told) + " more";
  return text;
}

// "web to 4 replicas, db to 1 replica; taken out: shop.web.5"
std::string scale_words(const Request& request, const Accepted& accepted) {
  std::vector<std::string> each;
  for (const auto& [name, count] : request.replicas)
    each.push_back(name + " to " + std::to_string(count) + (count == 1 ? " replica" : " replicas"));
  std::string text = list_words(each);
  if (!accepted.removed.empty()) text += "; taken out: " + list_words(accepted.removed);
  return text;
}

std::string upgrade_words(const Request& request) {
  if (request.keeper_program.empty()) return "upgrade of hearth with " + request.supervisor_program;
  if (request.supervisor_program.empty()) return "upgrade of hearth's keeper with " + request.keeper_program;
  return "upgrade of hearth and its keeper with " + request.supervisor_program + " and " + request.keeper_program;
}

std::string order_words(const Request& request, const Accepted& accepted) {
  const std::string which = request.all ? "all services" : list_words(request.names);
  switch (request.verb) {
    case Verb::apply: {
      std::string text = request.reload ? "reload of project " : request.start ? "up of project " : "apply of project ";
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
    case Verb::scale: return "scale of " + scale_words(request, accepted);
    case Verb::signal:
      return "signal " + std::to_string(request.signal) + " to " + which +
             (request.all_processes ? ", all processes" : "");
    case Verb::reload: return "reload of " + which;
    case Verb::upgrade: return upgrade_words(request);
    case Verb::shutdown: return "shutdown of all of hearth";
    case Verb::leave: return "end of hearth, whose services go on";
  }
  return "an order";
}

// Is it down for good, with nothing of it left? A stop of all is none of it: who has completed has, and is not run again
// by the next `up` because somebody stopped the others.
bool rests(const SlotBook& book, SlotIndex slot) {
  const SlotState& state = book.slots[slot];
  const bool down = state.life.phase == Phase::completed || (state.life.phase == Phase::stopped && !state.life.want_up);
  return down && book.over(slot) && state.leftover[0] == '\0';
}

// "worker-*", "@TAG": it means whoever is there.
bool is_pattern(std::string_view name) {
  return name.starts_with('@') || name.find_first_of("*?[") != name.npos;
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

std::optional<Error> Orders::refusal_of(const Request& request) const {
  if (book_.head.shutting_down && request.verb != Verb::shutdown && request.verb != Verb::leave)
    return Error{Remedy::conflict,
                 "take the order",
                 instance_,
                 "hearth is shutting down",
                 "start it again when it has ended",
                 0};
  if (book_.errands.operations.size() == wire::max_new_operations)
    return Error{Remedy::try_later, "take the order", instance_, "too many came at once", "send it again", 0};
  return {};
}

Result<Accepted> Orders::handle(const Request& request, Now now) {
  std::vector<wire::OperationRecord>& operations = book_.errands.operations;
  if (const wire::OperationRecord* known = find_known(request.key)) return repeat(*known);
  if (std::optional<Error> refused = refusal_of(request)) return failure(std::move(*refused));
  Result<Accepted> accepted = carry_out(request, now);
  if (!accepted || request.dry_run) return accepted;
  wire::OperationRecord record{};
  std::memcpy(record.key, request.key.data(), sizeof record.key);
  record.order = accepted->order;
  record.accepted_wall_ns = now.wall;
  record.kind = static_cast<std::uint32_t>(request.verb);
  // Of a signal no slot remembers the order.
  record.slots = request.verb == Verb::signal ? 0 : static_cast<std::uint32_t>(accepted->slots.size());
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
    case Verb::scale: return placing_.scale(request, now);
    case Verb::signal:
    case Verb::reload: return send_signal(request, now);
    case Verb::shutdown:
    case Verb::leave: return shut_down(request, now);
    case Verb::upgrade: {
      // The keeper has the programs, or executes its own already; what is left is to end, once this is committed and
      // answered, where the supervisor is another one.
      book_.upgrade_wished = !request.supervisor_program.empty();
      Accepted accepted;
      accepted.order = book_.next_order();
      return accepted;
    }
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
    if (request.all) std::erase_if(accepted.slots, [this](SlotIndex slot) { return rests(book_, slot); });
    if (accepted.slots.empty()) accepted.notes.push_back("nothing was up");
    tell_resting(request, accepted);
    goals_.stop(accepted.slots, accepted.order, false, now);
    goals_.stop_left(*chosen, accepted, now);
    return accepted;
  }
  book_.runs_changed = true;
  if (request.verb == Verb::restart) leave_completed_tasks(request, accepted);
  const std::vector<SlotIndex> ordered = accepted.slots;
  if (request.dependencies) goals_.start_needed(ordered, request.verb == Verb::restart, accepted, now);
  if (request.verb == Verb::restart)
    goals_.restart(ordered, accepted, now);
  else
    start(ordered, accepted, now);
  return accepted;
}

// A migration is not made again because somebody restarts whatever is there: only who names the task means it.
void Orders::leave_completed_tasks(const Request& request, Accepted& accepted) const {
  const auto is_left = [&](SlotIndex slot) {
    const SlotState& state = book_.slots[slot];
    const ServiceSpec& spec = book_.spec_of(slot);
    if (spec.type != ServiceType::task || state.life.phase != Phase::completed) return false;
    return std::ranges::none_of(request.names, [&](const std::string& name) {
      return !is_pattern(name) && selects(name, book_.document_of(slot)->project, spec, state.replica);
    });
  };
  if (std::ranges::none_of(accepted.slots, is_left)) return;  // names cost more than a look
  const TypedNames names(book_);
  for (const SlotIndex slot : accepted.slots)
    if (is_left(slot))
      accepted.notes.push_back(names.of(slot) + " has completed and is not run again: `hearth restart " +
                               names.of(slot) + "` does that");
  std::erase_if(accepted.slots, is_left);
}

// Of these there is nothing to stop: not that it was quick.
void Orders::tell_resting(const Request& request, Accepted& accepted) const {
  if (request.force) return;  // said once more
  const auto resting = [this](SlotIndex slot) { return rests(book_, slot); };
  if (std::ranges::none_of(accepted.slots, resting)) return;  // names cost more than a look
  const TypedNames names(book_);
  for (const SlotIndex slot : accepted.slots)
    if (resting(slot)) accepted.notes.push_back(names.of(slot) + " was not running");
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

Result<Accepted> Orders::send_signal(const Request& request, Now now) {
  const Result<std::vector<SlotIndex>> chosen = named(book_, request);
  if (!chosen) return failure(chosen.error());
  const bool reload = request.verb == Verb::reload;
  const char* doing = reload ? "reload" : "signal";
  const TypedNames names(book_);
  for (const SlotIndex slot : *chosen) {
    const SlotState& state = book_.slots[slot];
    const bool there = book_.is_up(slot) && !state.run_wanted && state.run().pid != 0;
    if (!there || (reload && state.life.phase != Phase::running))
      return failure(Remedy::conflict, doing, names.of(slot),
                     there ? "it is starting" : "it is not running; nothing was sent to anybody",
                     there ? "send it again when it is up" : "`hearth start " + names.of(slot) + "` starts it");
    // One cell, one signal: what is on its way goes first.
    if (reload && book_.has_hook(slot, Hook::reload)) continue;
    if (state.run().signal != 0 && book_.acting.has(slot) && book_.scratch[slot].signal_sent < state.run().op)
      return failure(Remedy::try_later, doing, names.of(slot), "another signal is on its way", "send it again");
  }
  Accepted accepted;
  accepted.order = book_.next_order();
  accepted.slots = *chosen;
  for (const SlotIndex slot : *chosen) {
    const ServiceSpec& spec = book_.spec_of(slot);
    if (!reload) {
      post(slot, request.all_processes ? request.signal : request.signal | to_leader_alone);
      continue;
    }
    goals_.enlist(slot, accepted.order, true);
    book_.slots[slot].reload_failed = false;
    if (goals_.run_beside(slot, Hook::reload, now)) continue;
    const bool may_say = spec.ready->type == ProbeType::notify;
    book_.scratch[slot].reload_at = after(now.mono, may_say ? reload_notice : reload_survival);
    post(slot, spec.reload_signal | to_leader_alone);
  }
  return accepted;
}

void Orders::post(SlotIndex slot, int signal) {
  RunCell& cell = book_.slots[slot].run();
  cell.signal = signal;
  cell.op = book_.next_op();
  book_.touch(slot);
  book_.want_act(slot);
}

Result<Accepted> Orders::down(const Request& request, Now now) {
  const Result<std::vector<SlotIndex>> chosen = to_take_down(book_, request);
  if (!chosen) return failure(chosen.error());
  Accepted accepted;
  accepted.order = book_.next_order();
  accepted.slots = *chosen;
  tell_resting(request, accepted);
  placing_.remove(*chosen, request.force, accepted, now);
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

// Only a client may read files.
void Orders::reload_by_signal(Now now) {
  if (client_.empty()) return book_.add_note({now.wall, "SIGHUP reloaded no file: " + no_client_});
  placing_.reload_files(client_, signal_order("SIGHUP", "the files of all projects are reloaded", now), now);
}

// Only a client may try programs, as files may hang.
void Orders::upgrade_by_signal(Now now) {
  if (client_.empty())
    return book_.add_note({now.wall, "SIGUSR2 did not upgrade hearth: " + no_client_}, Happening::upgrade);
  placing_.upgrade(client_, signal_order("SIGUSR2", "it is upgraded with the programs that are installed", now), now);
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
      case 10: book_.dump_wished = true; break;
      case 1:
        if (!head.shutting_down) reload_by_signal(now);
        break;
      case 12:
        if (!head.shutting_down) upgrade_by_signal(now);
        break;
      default: break;
    }
  }
}

}  // namespace hearth::supervisor
