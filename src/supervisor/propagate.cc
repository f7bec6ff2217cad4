#include "supervisor/propagate.h"

#include <algorithm>
#include <iterator>
#include <span>

#include "supervisor/book.h"
#include "supervisor/dependencies.h"
#include "supervisor/lives.h"

namespace hearth::supervisor {
namespace {

class Propagation {
 public:
  Propagation(SlotBook& book, Lives& lives, Now now) : book_(book), lives_(lives), losses_(book), now_(now) {}

  void follow(SlotIndex slot);
  void restart_followers(SlotIndex slot);
  void stop_left(SlotIndex slot);
  void weigh(SlotIndex slot);
  void weigh_dependents(const AppliedDocument& applied, std::uint32_t service);
  void weigh_dependencies(const AppliedDocument& applied, std::uint32_t service);
  void weigh_left_behind(SlotIndex slot);
  void give_turns(SlotIndex slot);
  void queue_for_turn(SlotIndex slot);
  void forget(SlotIndex slot);

 private:
  void weigh_all(std::span<const SlotIndex> replicas);
  bool restart_all(const std::vector<SlotIndex>& slots, std::size_t first);

  SlotBook& book_;
  Lives& lives_;
  Losses losses_;
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
    for (const SlotIndex other : applied->slots_of(dependent))
      if (other != no_slot && outlived_a_dependency(book_, other))
        restart_all(with_restarted_dependents(book_, {other}), 0);
  }
}

// Itself, if what it depends on has gone, and those that find it gone. They are marked, so theirs have their turn, too.
void Propagation::stop_left(SlotIndex slot) {
  if (!book_.is_service(slot)) return;
  std::vector<SlotIndex> left = losses_.left_by(slot);
  if (losses_.is_left(slot)) left.push_back(slot);
  lifecycle::Event event;
  event.kind = lifecycle::EventKind::dependency_gone;
  event.hold = true;
  for (const SlotIndex other : left) lives_.feed(other, event, now_);
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
  ++book_.looks;
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
  if (state.run_wanted || state.run().spawn) {
    if (!needs_met(book_, slot)) lives_.take_start_back(slot, now_);
    return;
  }
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
  queue_for_turn(slot);
}

// Whoever waits for its turn alone stands in the list, once. Weighed whenever it has begun to wait, or what it needs has
// come, it cannot be missing there.
void Propagation::queue_for_turn(SlotIndex slot) {
  const SlotState& state = book_.slots[slot];
  AppliedDocument* applied = book_.registry.find(state.document);
  if (applied == nullptr || applied->document.start_concurrency == 0 || state.life.phase != Phase::waiting ||
      !needs_met(book_, slot))
    return;
  const std::uint32_t place = applied->place(state);
  WallNs& since = book_.scratch[slot].turn_since;
  applied->turns.erase({since, place, slot});
  since = state.life.since;
  applied->turns.insert({since, place, slot});
}

void Propagation::weigh_all(std::span<const SlotIndex> replicas) {
  for (const SlotIndex slot : replicas)
    if (slot != no_slot) weigh(slot);
}

void Propagation::weigh_dependents(const AppliedDocument& applied, std::uint32_t service) {
  for (const std::uint32_t dependent : applied.graph.dependents(service)) weigh_all(applied.slots_of(dependent));
}

void Propagation::weigh_dependencies(const AppliedDocument& applied, std::uint32_t service) {
  for (const lifecycle::Edge& edge : applied.graph.dependencies(service)) weigh_all(applied.slots_of(edge.to));
}

// What is being removed follows the document before, and may wait for the end of one that has moved on.
void Propagation::weigh_left_behind(SlotIndex slot) {
  const AppliedDocument* current = book_.applied(slot);
  if (current == nullptr || current->document.path.empty()) return;  // of `hearth run` each has its own
  for (const auto& [version, before] : book_.registry.all()) {
    if (version >= current->document.version || before->document.project != current->document.project) continue;
    const auto place = std::find(before->slots.begin(), before->slots.end(), slot) - before->slots.begin();
    if (place == std::ssize(before->slots)) continue;
    const auto behind = std::upper_bound(before->first.begin(), before->first.end(), place);
    weigh_dependencies(*before, static_cast<std::uint32_t>(behind - before->first.begin()) - 1);
  }
}

// One that has come up, or has failed to, leaves its turn to those that have waited longest.
void Propagation::give_turns(SlotIndex slot) {
  AppliedDocument* applied = book_.registry.find(book_.slots[slot].document);
  if (applied == nullptr) return;
  while (!applied->turns.empty() && !must_wait_its_turn(book_, no_slot, *applied)) {
    const Turn next = *applied->turns.begin();
    applied->turns.erase(applied->turns.begin());
    ++book_.looks;
    const SlotState& state = book_.slots[next.slot];
    if (state.used && state.document == applied->document.version && state.life.phase == Phase::waiting &&
        state.life.since == next.since)
      weigh(next.slot);
  }
}

void Propagation::forget(SlotIndex slot) {
  const SlotState& state = book_.slots[slot];
  const std::uint32_t service = state.service;
  const AppliedDocument* left = state.role == SlotRole::service ? book_.applied(slot) : nullptr;
  if (left != nullptr) weigh_left_behind(slot);
  book_.forget(slot);
  if (left == nullptr) return;
  // Whoever failed because of it waits for it again, as for one that was never started; and who was held until it had
  // ended may not have heard of that, when that was a moment ago.
  weigh_dependents(*left, service);
  weigh_dependencies(*left, service);
}

}  // namespace

void propagate(SlotBook& book, Lives& lives, Now now) {
  Propagation propagation(book, lives, now);
  // What goes down goes first: nobody shall be started over a run that is about to be restarted. This adds to the list.
  for (std::size_t i = 0; i < book.weighed.size(); ++i) {
    const SlotIndex slot = book.weighed[i];
    propagation.follow(slot);
    propagation.restart_followers(slot);
    propagation.stop_left(slot);
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
    propagation.stop_left(slot);
    propagation.weigh(slot);
    const AppliedDocument* applied = book.applied(slot);
    if (state.role != SlotRole::service || applied == nullptr) continue;
    propagation.weigh_dependents(*applied, state.service);
    propagation.weigh_dependencies(*applied, state.service);
    propagation.weigh_left_behind(slot);
    propagation.give_turns(slot);
  }
}

}  // namespace hearth::supervisor
