#include "supervisor/goals.h"

#include <algorithm>

#include "supervisor/book.h"
#include "supervisor/dependencies.h"
#include "supervisor/lives.h"
#include "supervisor/selection.h"

namespace hearth::supervisor {

// Two that want the same of a service at the same time both get it: the earlier one is not overtaken.
void Goals::enlist(SlotIndex slot, OrderId order, bool up) {
  SlotState& state = book_.slots[slot];
  if (state.order == order) return;
  state.order_before = up && state.life.want_up ? state.order : 0;
  state.order = order;
}

// What is restarted is held until those that depend on it have ended.
void Goals::raise(SlotIndex slot, lifecycle::EventKind kind, Now now) {
  lifecycle::Event event;
  event.kind = kind;
  event.hold = kind != lifecycle::EventKind::order_start && book_.is_up(slot);
  event.dependencies_met = dependencies_met(book_, slot);
  event.has_readiness = book_.has_readiness(slot);
  lives_.feed(slot, event, now);
  book_.touch(slot);
  book_.weigh(slot);
}

// An explicit start is one of what it needs, too: who waited for something that was stopped on purpose would wait for
// ever, and who is up and has lost it since is meant as well (docs/decisions/0014). Not below what stands as it must, nor
// below what nobody named and is up: that had what it needed.
void Goals::start_needed(const std::vector<SlotIndex>& chosen, bool restart, Accepted& accepted, Now now) {
  std::vector<SlotIndex> seen = restart ? with_restarted_dependents(book_, chosen) : chosen;
  std::vector<SlotIndex> needed;
  const TypedNames names(book_);
  for (std::size_t i = 0, ordered = seen.size(); i < seen.size(); ++i) {
    const SlotIndex slot = seen[i];
    const AppliedDocument* applied = book_.applied(slot);
    if (applied == nullptr || (book_.is_up(slot) && i >= ordered)) continue;
    for (const lifecycle::Edge& edge : applied->graph.dependencies(book_.slots[slot].service)) {
      if (!edge.required) continue;
      for (const SlotIndex other : applied->slots_of(edge.to)) {
        if (other == no_slot || !book_.in_use(other) || book_.slots[other].removing) continue;
        if (standing_of(book_, other, edge) == lifecycle::Standing::met) continue;
        if (std::find(seen.begin(), seen.end(), other) != seen.end()) continue;
        seen.push_back(other);
        const Lifecycle& life = book_.slots[other].life;
        if (life.want_up && life.phase != Phase::failed && life.phase != Phase::completed) continue;
        needed.push_back(other);
        accepted.slots.push_back(other);
        const bool follows = edge.restart && !restart && book_.is_up(slot);
        accepted.notes.push_back(names.of(other) + " is started too: " + names.of(slot) + " needs it" +
                                 (follows ? ", and is restarted after it" : ""));
      }
    }
  }
  for (const SlotIndex slot : dependencies_first(book_, needed)) {
    enlist(slot, accepted.order, true);
    raise(slot, lifecycle::EventKind::order_start, now);
  }
}

std::vector<SlotIndex> Goals::restart(const std::vector<SlotIndex>& chosen, Accepted& accepted, Now now) {
  std::vector<SlotIndex> all = with_restarted_dependents(book_, chosen);
  const TypedNames names(book_);
  const auto first_dependent = all.begin() + static_cast<std::ptrdiff_t>(chosen.size());
  for (auto it = first_dependent; it != all.end(); ++it) {
    accepted.notes.push_back(names.of(*it) + " is restarted with what it depends on");
    if (std::find(accepted.slots.begin(), accepted.slots.end(), *it) == accepted.slots.end())
      accepted.slots.push_back(*it);
  }
  const std::vector<SlotIndex> followers(first_dependent, all.end());
  all = dependencies_first(book_, all);
  // What runs goes first: a start beside it must see that it is going.
  std::stable_partition(all.begin(), all.end(), [this](SlotIndex slot) { return book_.is_up(slot); });
  for (const SlotIndex slot : all) {
    const bool follows = std::find(followers.begin(), followers.end(), slot) != followers.end();
    enlist(slot, accepted.order, true);
    raise(slot, follows ? lifecycle::EventKind::dependency_restarted : lifecycle::EventKind::order_restart, now);
  }
  return all;
}

void Goals::adjust(SlotIndex slot, const ServiceSpec& before, Now now) {
  lives_.respecify(slot, before, now);
}

bool Goals::run_beside(SlotIndex slot, Hook hook, Now now) {
  return lives_.run_beside(slot, hook, now);
}

void Goals::stop(const std::vector<SlotIndex>& slots, OrderId order, bool force, Now now) {
  for (const SlotIndex slot : slots) enlist(slot, order, false);
  for (const SlotIndex slot : slots) {
    lifecycle::Event event;
    event.kind = lifecycle::EventKind::order_stop;
    // Held at first, also when it is being stopped already: only `force` insists.
    event.hold = !force && book_.slots[slot].role == SlotRole::service && book_.slots[slot].life.run_live;
    lives_.feed(slot, event, now);
    // Nobody waits for the grace period of a hook.
    if (force && is_hook(book_.slots[slot].role)) lives_.feed(slot, event, now);
    book_.touch(slot);
    book_.weigh(slot);
  }
  book_.runs_changed = true;
}

void Goals::stop_left(const std::vector<SlotIndex>& stopped, Accepted& accepted, Now now) {
  const TypedNames names(book_);
  std::vector<SlotIndex> going = stopped;
  Losses losses(book_);
  for (std::size_t i = 0; i < going.size(); ++i) {
    for (const SlotIndex other : losses.left_by(going[i])) {
      accepted.notes.push_back(names.of(other) + " stops with " + names.of(going[i]) +
                               ", and starts when that is there again");
      raise(other, lifecycle::EventKind::dependency_gone, now);
      going.push_back(other);
    }
  }
}

void Goals::shut_down(bool leave, OrderId order, Now now) {
  book_.head.shutting_down = true;
  book_.head.leaving = leave;
  book_.head_changed = true;
  book_.visible_change = true;
  if (leave) return;
  std::vector<SlotIndex> all;
  // Hooks come to their end by themselves, or at that of their timeouts.
  for (const SlotIndex slot : book_.used()) {
    const SlotState& state = book_.slots[slot];
    if (!book_.head.force && is_hook(state.role)) continue;
    // Who has done his work has: nothing of him is stopped.
    if (state.role == SlotRole::service && state.life.phase == Phase::completed) {
      enlist(slot, order, false);
      book_.touch(slot);
      continue;
    }
    all.push_back(slot);
  }
  stop(all, order, book_.head.force, now);
}

}  // namespace hearth::supervisor
