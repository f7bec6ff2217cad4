#include "supervisor/journal.h"

#include <algorithm>

#include "base/rounded.h"
#include "model/status.h"
#include "supervisor/book.h"
#include "supervisor/dependencies.h"
#include "supervisor/report_words.h"
#include "supervisor/waits.h"

namespace hearth::supervisor {
namespace {

// As the last commit left it; default where there was nothing.
SlotState committed_state(const wire::DecisionPage& page, SlotIndex slot) {
  SlotState state;
  const bool there = wire::read_slot(page, slot, &state, sizeof state);
  return there && state.used ? state : SlotState{};
}

constexpr std::size_t kept_events = 64;

// Had this run a process before?
bool was_started(const SlotState& before, RunId run) {
  return std::any_of(std::begin(before.cell), std::end(before.cell),
                     [run](const RunCell& cell) { return cell.run == run && cell.pid != 0; });
}

}  // namespace

void JournalScribe::write(Now now) {
  if (book_.changed.empty() && book_.errands.happened.empty()) return;
  events_.clear();
  orders_.clear();
  tell_loss(now);
  const std::size_t of_loss = events_.size();
  tell_errands(now);
  Waits waits(book_);  // what is told changes no more than who was told last
  for (const SlotIndex slot : dependencies_first(book_, book_.changed.all()))
    if (book_.is_service(slot)) tell_slot(slot, waits, now);
  if (events_.size() == of_loss) {
    // Nothing else happened: the loss is told with what does.
    book_.head.last_event -= of_loss;
    return;
  }
  book_.head_changed = true;
  book_.visible_change = true;
  uncommitted_ = true;
  if (const Result<std::uint64_t> end = store_.append_events(events_)) {
    book_.head.journal_end = *end;
    book_.head.events_lost = 0;
  } else {
    book_.head.events_lost += static_cast<std::uint32_t>(events_.size() - of_loss);
  }
}

void JournalScribe::committed() {
  // A start of a thousand has thousands, and a turn of every day has three.
  // Not `events_ = {}`: that assigns an empty list, and keeps the room.
  if (events_.capacity() > kept_events) std::vector<EventRecord>().swap(events_);
  if (!uncommitted_) return;
  uncommitted_ = false;
  store_.events_committed({book_.head.last_event, book_.head.journal_end});
}

void JournalScribe::tell(EventRecord event) {
  event.id = ++book_.head.last_event;
  events_.push_back(std::move(event));
}

void JournalScribe::tell_loss(Now now) {
  const std::uint32_t lost = book_.head.events_lost;
  if (lost == 0) return;
  EventRecord event;
  event.what = Happening::loss;
  event.time = now.wall;
  event.text = std::to_string(lost) + (lost == 1 ? " event" : " events") + " could not be written and " +
               (lost == 1 ? "is" : "are") + " lost: DIR/state could not take them";
  tell(std::move(event));
}

void JournalScribe::tell_errands(Now now) {
  for (EventRecord& event : book_.errands.happened) {
    if (event.time == 0) event.time = now.wall;
    if (event.what == Happening::removed) {
      if (const EventId order = order_in_turn(event.order); order != no_event) event.cause = order;
      event.order = 0;
    }
    tell(std::move(event));
    if (events_.back().what == Happening::order) take_order();
    if (events_.back().what == Happening::hook && book_.in_use(events_.back().slot))
      book_.slots[events_.back().slot].event = events_.back().id;
  }
  book_.errands.happened.clear();
}

// What a reload_command comes to is told later, and of another slot: its service remembers who asked for it.
void JournalScribe::take_order() {
  const OrderId order = events_.back().order;
  orders_.emplace_back(order, events_.back().id);
  for (const SlotIndex slot : book_.changed.all())
    if (book_.is_service(slot) && book_.slots[slot].order == order && book_.is_beside(slot, Hook::reload))
      book_.slots[slot].event = events_.back().id;
}

EventId JournalScribe::order_in_turn(OrderId order) const {
  const auto found =
      std::find_if(orders_.begin(), orders_.end(), [order](const auto& each) { return each.first == order; });
  return order == 0 || found == orders_.end() ? no_event : found->second;
}

EventRecord JournalScribe::of_slot(SlotIndex slot, Happening what, Now now) const {
  EventRecord event;
  event.what = what;
  event.time = now.wall;
  event.service = book_.label(slot);
  event.cause = book_.slots[slot].event;
  return event;
}

void JournalScribe::tell_slot(SlotIndex slot, Waits& waits, Now now) {
  SlotState& state = book_.slots[slot];
  const SlotState before = committed_state(page_, slot);
  const bool ended = state.last_exit.run != no_run && !(state.last_exit == before.last_exit);
  // A run that began and ended since the last commit is told as both.
  for (const bool of_ended : {true, false}) {
    for (const RunCell& cell : state.cell) {
      const bool ends = ended && cell.run == state.last_exit.run;
      if (cell.run == no_run || cell.pid == 0 || ends != of_ended || was_started(before, cell.run)) continue;
      if (!(ends && state.last_exit.fail_stage != 0)) tell_run(slot, cell, now);
    }
    if (of_ended && ended) tell_exit(slot, now);
  }
  const bool moved = state.life.phase != before.life.phase || !before.used ||
                     (ended && state.life.run_live && state.run().run != state.last_exit.run);
  const bool killed = state.life.kill_sent && !before.life.kill_sent && state.life.phase == Phase::stopping;
  if (moved || killed) return tell_state(slot, before, ended, waits, now);
  if (!book_.has_readiness(slot) || state.life.phase != Phase::running || state.health.ready == before.health.ready)
    return;
  EventRecord event = of_slot(slot, state.health.ready ? Happening::ready : Happening::unready, now);
  event.run = state.run().run;
  event.pid = state.run().pid;
  const std::unique_ptr<std::string>& why = book_.scratch[slot].unready;
  event.text =
      state.health.ready ? "ready again" : "not ready any more" + (why ? ": " + *why : "") + "; it is left running";
  tell(std::move(event));
  state.event = events_.back().id;
}

void JournalScribe::tell_run(SlotIndex slot, const RunCell& cell, Now now) {
  EventRecord event = of_slot(slot, Happening::run, now);
  event.run = cell.run;
  event.pid = cell.pid;
  event.text = "PID " + std::to_string(cell.pid) + " is started";
  tell(std::move(event));
  book_.slots[slot].event = events_.back().id;
}

void JournalScribe::tell_exit(SlotIndex slot, Now now) {
  const SlotState& state = book_.slots[slot];
  const Scratch& scratch = book_.scratch[slot];
  EventRecord event = of_slot(slot, Happening::exit, now);
  event.run = state.last_exit.run;
  for (const RunCell& cell : state.cell)
    if (cell.run == event.run) event.pid = cell.pid;
  event.exit = state.last_exit;
  event.lasted = scratch.lasted;
  event.use = scratch.use;
  event.restarts = state.life.restarts;
  event.text = end_words(state.last_exit, book_.spec_of(slot));
  tell(std::move(event));
  book_.slots[slot].event = events_.back().id;
}

void JournalScribe::tell_state(SlotIndex slot, const SlotState& before, bool ended, Waits& waits, Now now) {
  SlotState& state = book_.slots[slot];
  EventRecord event = of_slot(slot, Happening::state, now);
  if (!ended) event.cause = cause_of_state(slot, before);
  event.from = before.used ? phase_name(before.life.phase) : "";
  event.to = phase_name(state.life.phase);
  event.reason = state.life.reason;
  event.run = state.run_wanted ? no_run : state.run().run;
  event.pid = state.life.run_live && !state.run_wanted ? state.run().pid : 0;
  event.text = state_words(slot, waits, now);
  tell(std::move(event));
  state.event = events_.back().id;
}

EventId JournalScribe::cause_of_state(SlotIndex slot, const SlotState& before) const {
  const SlotState& state = book_.slots[slot];
  switch (state.life.reason) {
    case Reason::dependency_missing:
    case Reason::dependency_failed:
    case Reason::dependency_restarted:
      if (const EventId newest = newest_of_dependencies(slot); newest > state.event) return newest;
      break;
    default: break;
  }
  if (state.order != before.order)
    if (const EventId order = order_in_turn(state.order); order != no_event) return order;
  if (before.used && before.life.phase == Phase::waiting)
    if (const EventId newest = newest_of_dependencies(slot); newest > state.event) return newest;
  return state.event;
}

EventId JournalScribe::newest_of_dependencies(SlotIndex slot) const {
  const AppliedDocument* applied = book_.applied(slot);
  EventId newest = no_event;
  if (applied == nullptr) return newest;
  for (const lifecycle::Edge& edge : applied->graph.dependencies(book_.slots[slot].service)) {
    for (const SlotIndex other : applied->slots_of(edge.to))
      if (other != no_slot && book_.in_use(other)) newest = std::max(newest, book_.slots[other].event);
  }
  return newest;
}

// After "running -> backoff": why.
std::string JournalScribe::state_words(SlotIndex slot, Waits& waits, Now now) const {
  const SlotState& state = book_.slots[slot];
  const Lifecycle& life = state.life;
  const std::string why = why_words(book_, keeper_, waits, slot, now);
  switch (life.phase) {
    case Phase::starting:
      if (life.reason == Reason::dependency_restarted) return why;
      return life.failures == 0 ? "is being started"
                                : "is being started again, after " + std::to_string(life.failures) +
                                      (life.failures == 1 ? " failure" : " failures in a row");
    case Phase::running: return book_.has_readiness(slot) && state.health.ready ? "is ready" : "runs";
    case Phase::stopping:
      if (life.kill_sent && book_.spec_of(slot).stop_signal == 9)
        return "is ended with KILL" + (why.empty() ? "" : ": " + why);
      if (life.kill_sent) return "had not ended within its stop_timeout, or was stopped twice: KILL to all of it";
      if (life.stop_held && life.reason != Reason::dependency_missing)
        return "waits for those that depend on it to end first";
      return why.empty() ? "is being stopped" : "is being stopped: " + why;
    case Phase::backoff: {
      const std::int64_t left = rounded(life.retry.at - now.mono, ns_per_s / 10);
      return "next try in " + std::to_string(left / 10) + "." + std::to_string(left % 10) + " s" +
             (why.empty() ? "" : ": " + why);
    }
    case Phase::failed: return "given up" + (why.empty() ? "" : ": " + why);
    case Phase::completed: return "has done its work";
    case Phase::stopped: return why.empty() ? "nothing of it runs" : why;
    case Phase::waiting: return why;
  }
  return why;
}

}  // namespace hearth::supervisor
