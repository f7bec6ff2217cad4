#include "supervisor/propagate.h"

#include "supervisor/book.h"
#include "supervisor/dependencies.h"
#include "supervisor/lives.h"

namespace hearth::supervisor {
namespace {

class Propagation {
 public:
  Propagation(SlotBook& book, Lives& lives, Now now) : book_(book), lives_(lives), now_(now) {}

  void follow(SlotIndex slot);
  void restart_followers(SlotIndex slot);
  void weigh(SlotIndex slot);
  void weigh_dependents(const AppliedDocument& applied, std::uint32_t service);
  void weigh_dependencies(const AppliedDocument& applied, std::uint32_t service);
  void forget(SlotIndex slot);

 private:
  bool restart_all(const std::vector<SlotIndex>& slots, std::size_t first);

  SlotBook& book_;
  Lives& lives_;
  Now now_;
};

// It may have been damped when its dependency was restarted.
void Propagation::follow(SlotIndex slot) {
  if (book_.is_service(slot) && outlived_a_dependency(book_, slot))
    restart_all(with_restarted_dependents(book_, {slot}), 0);
}

// Those that depend on this one and have outlived a restart.
void Propagation::restart_followers(SlotIndex slot) {
  const AppliedDocument* applied = book_.applied(slot);
  if (applied == nullptr || !book_.is_service(slot)) return;
  for (const std::uint32_t dependent : applied->graph.dependents(book_.slots[slot].service)) {
    const SlotIndex other = applied->slots[dependent];
    if (other != no_slot && outlived_a_dependency(book_, other))
      restart_all(with_restarted_dependents(book_, {other}), 0);
  }
}

// False: there are none from `first` on.
bool Propagation::restart_all(const std::vector<SlotIndex>& slots, std::size_t first) {
  lifecycle::Event event;
  event.kind = lifecycle::EventKind::dependency_restarted;
  event.hold = true;
  for (std::size_t i = first; i < slots.size(); ++i) {
    event.random = book_.random();
    lives_.feed(slots[i], event, now_);
  }
  return first < slots.size();
}

void Propagation::weigh(SlotIndex slot) {
  const SlotState& state = book_.slots[slot];
  if (!state.used) return;
  lifecycle::Event event;
  if (state.life.stop_held && !must_hold(book_, slot)) {
    // A stop that an order has turned into a restart: now there are some to be restarted with it.
    if (state.life.want_up && restart_all(with_restarted_dependents(book_, {slot}), 1)) return;
    event.kind = lifecycle::EventKind::release_stop;
    lives_.feed(slot, event, now_);
    lives_.cancel_unsent(slot, now_);
    return;
  }
  if (state.role != SlotRole::service || !state.life.want_up) return;
  if (state.life.phase != Phase::waiting && state.life.phase != Phase::backoff && state.life.phase != Phase::failed)
    return;
  if (state.life.phase == Phase::failed && state.life.reason != Reason::dependency_failed) return;
  Reason why = Reason::none;
  event.dependencies_met = dependencies_met(book_, slot, &why);
  event.random = 0;
  if (event.dependencies_met) {
    event.kind = lifecycle::EventKind::dependencies_met;
  } else if (why == Reason::dependency_failed) {
    event.kind = lifecycle::EventKind::dependency_failed;
  } else {
    event.kind = lifecycle::EventKind::dependencies_unmet;
  }
  lives_.feed(slot, event, now_);
}

void Propagation::weigh_dependents(const AppliedDocument& applied, std::uint32_t service) {
  for (const std::uint32_t dependent : applied.graph.dependents(service))
    if (applied.slots[dependent] != no_slot) weigh(applied.slots[dependent]);
}

void Propagation::weigh_dependencies(const AppliedDocument& applied, std::uint32_t service) {
  for (const lifecycle::Edge& edge : applied.graph.dependencies(service))
    if (applied.slots[edge.to] != no_slot) weigh(applied.slots[edge.to]);
}

void Propagation::forget(SlotIndex slot) {
  const SlotState& state = book_.slots[slot];
  const std::uint32_t service = state.service;
  const AppliedDocument* left = state.role == SlotRole::service ? book_.applied(slot) : nullptr;
  book_.forget(slot);
  // Whoever failed because of it waits for it again, as for one that was never started.
  if (left != nullptr) weigh_dependents(*left, service);
}

}  // namespace

void propagate(SlotBook& book, Lives& lives, Now now) {
  Propagation propagation(book, lives, now);
  // What goes down goes first: nobody shall be started over a run that is about to be restarted. This adds to the list.
  for (std::size_t i = 0; i < book.weighed.size(); ++i) {
    const SlotIndex slot = book.weighed[i];
    propagation.follow(slot);
    propagation.restart_followers(slot);
  }
  // Each pass moves phases along the graph, which has no cycle; the bound is for a bug, not for a use.
  std::size_t budget = 64 * (book.slots.size() + 1);
  while (!book.weighed.empty()) {
    if (budget-- == 0) {
      book.another_turn = true;
      return;
    }
    const SlotIndex slot = book.weighed.pop_newest();
    const SlotState& state = book.slots[slot];
    if (!state.used) continue;
    if (state.removing && book.over(slot)) {
      propagation.forget(slot);
      continue;
    }
    propagation.restart_followers(slot);
    propagation.weigh(slot);
    const AppliedDocument* applied = book.applied(slot);
    if (state.role != SlotRole::service || applied == nullptr) continue;
    propagation.weigh_dependents(*applied, state.service);
    propagation.weigh_dependencies(*applied, state.service);
  }
}

}  // namespace hearth::supervisor
