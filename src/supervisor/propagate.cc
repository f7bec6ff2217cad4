// Dependencies: a change of one slot is weighed for those that depend on it, until nothing moves. A worklist, no
// recursion: feed() only adds to it.
//
// `restart = true` means: no run of this service outlives a restart of that one. Run numbers grow, and a service is
// started after what it depends on, so a dependency whose run has the greater number was started again since; once
// that stands as the condition asks, the dependent is restarted. That is a comparison and no memory, and holds across
// crashes and take-overs. Until then the dependent stays up: a dependency that crashed and does not come back costs
// nobody else a loaded model. Where we end the dependency ourselves, on an order, its dependents end before it does,
// as they do at every stop, and come up after it.
#include <algorithm>

#include "supervisor/supervisor.h"

namespace hearth::supervisor {

void Supervisor::propagate_from(SlotIndex slot, Now now) {
  (void)now;
  if (scratch_[slot].propagate) return;
  scratch_[slot].propagate = true;
  propagate_.push_back(slot);
}

void Supervisor::propagate(Now now) {
  // What goes down goes first: nobody shall be started over a run that is about to be restarted. Feeding adds to the list.
  for (std::size_t i = 0; i < propagate_.size(); ++i) restart_followers(propagate_[i], now);
  // Each pass moves phases along the graph, which has no cycle; the bound is for a bug, not for a use.
  std::size_t budget = 64 * (slots_.size() + 1);
  while (!propagate_.empty()) {
    if (budget-- == 0) {
      again_ = true;
      return;
    }
    const SlotIndex slot = propagate_.back();
    propagate_.pop_back();
    scratch_[slot].propagate = false;
    const SlotState& state = slots_[slot];
    if (!state.used) continue;
    if (state.removing && over(slot)) {
      const std::uint32_t service = state.service;
      const AppliedDocument* left = state.role == SlotRole::service ? registry_.find(state.document) : nullptr;
      forget(slot);
      // Whoever failed because of it waits for it again, as for one that was never started.
      if (left == nullptr) continue;
      for (std::uint32_t dependent : left->graph.dependents(service))
        if (left->slots[dependent] != no_slot) weigh_dependencies(left->slots[dependent], now);
      continue;
    }
    restart_followers(slot, now);
    weigh_dependencies(slot, now);
    if (state.role != SlotRole::service) continue;
    const AppliedDocument* applied = registry_.find(state.document);
    if (applied == nullptr) continue;
    for (std::uint32_t dependent : applied->graph.dependents(state.service))
      if (applied->slots[dependent] != no_slot) weigh_dependencies(applied->slots[dependent], now);
    for (const lifecycle::Edge& edge : applied->graph.dependencies(state.service))
      if (applied->slots[edge.to] != no_slot) weigh_dependencies(applied->slots[edge.to], now);
  }
}

void Supervisor::weigh_dependencies(SlotIndex slot, Now now) {
  SlotState& state = slots_[slot];
  if (!state.used) return;
  if (state.life.stop_held && !must_hold(slot)) {
    // A stop that an order has turned into a restart: now there are some to be restarted with it.
    if (state.life.want_up && restart_all(with_restarted_dependents({slot}), 1, now)) return;
    lifecycle::Event event;
    event.kind = lifecycle::EventKind::release_stop;
    feed(slot, event, now);
    cancel_unsent(slot, now);
    return;
  }
  if (state.role != SlotRole::service || !state.life.want_up) return;
  if (state.life.phase != Phase::waiting && state.life.phase != Phase::backoff && state.life.phase != Phase::failed)
    return;
  if (state.life.phase == Phase::failed && state.life.reason != Reason::dependency_failed) return;
  Reason why = Reason::none;
  lifecycle::Event event;
  event.dependencies_met = dependencies_met(slot, &why);
  event.random = 0;
  if (event.dependencies_met) {
    event.kind = lifecycle::EventKind::dependencies_met;
  } else if (why == Reason::dependency_failed) {
    event.kind = lifecycle::EventKind::dependency_failed;
  } else {
    event.kind = lifecycle::EventKind::dependencies_unmet;
  }
  feed(slot, event, now);
}

bool Supervisor::must_hold(SlotIndex slot) const {
  const SlotState& state = slots_[slot];
  const AppliedDocument* applied = registry_.find(state.document);
  if (applied == nullptr || state.role != SlotRole::service || head_.force) return false;
  for (std::uint32_t dependent : applied->graph.dependents(state.service)) {
    const SlotIndex other = applied->slots[dependent];
    if (other == no_slot || !slots_[other].used) continue;
    if (slots_[other].life.run_live && slots_[other].life.phase == Phase::stopping) return true;
  }
  return false;
}

lifecycle::Standing Supervisor::standing_of(const AppliedDocument& applied, lifecycle::Edge edge) const {
  const SlotIndex other = applied.slots[edge.to];
  if (other == no_slot || !slots_[other].used) return lifecycle::Standing::unmet;
  const SlotState& dependency = slots_[other];
  const bool ready = has_readiness(other) ? dependency.health.ready : dependency.life.phase == Phase::running;
  const bool success =
      dependency.last_exit.run != no_run && lifecycle::is_success(dependency.last_exit, spec_of(other));
  return lifecycle::standing(edge, dependency.life.phase, ready, dependency.run().started != 0, success);
}

bool Supervisor::dependencies_met(SlotIndex slot, Reason* why, std::string* what) const {
  const SlotState& state = slots_[slot];
  if (state.role != SlotRole::service) return true;
  const AppliedDocument* applied = registry_.find(state.document);
  if (applied == nullptr) return true;
  bool met = true;
  for (const lifecycle::Edge& edge : applied->graph.dependencies(state.service)) {
    const lifecycle::Standing standing = standing_of(*applied, edge);
    if (standing == lifecycle::Standing::met) continue;
    if (!edge.required && standing == lifecycle::Standing::failed) continue;
    met = false;
    const bool failed = standing == lifecycle::Standing::failed;
    if (why != nullptr && (*why == Reason::none || failed))
      *why = failed ? Reason::dependency_failed : Reason::dependency_missing;
    if (what != nullptr) {
      if (!what->empty()) *what += ", ";
      *what += applied->document.services[edge.to].name;
    }
  }
  return met;
}

// ---- restart = true ----------------------------------------------------------------------------------

bool Supervisor::is_up(SlotIndex slot) const {
  const SlotState& state = slots_[slot];
  return state.used && state.life.run_live && state.life.phase != Phase::stopping;
}

// Those that depend on this one and have outlived a restart.
void Supervisor::restart_followers(SlotIndex slot, Now now) {
  const AppliedDocument* applied = registry_.find(slots_[slot].document);
  if (applied == nullptr || !slots_[slot].used || slots_[slot].role != SlotRole::service) return;
  for (const std::uint32_t dependent : applied->graph.dependents(slots_[slot].service)) {
    const SlotIndex other = applied->slots[dependent];
    if (other != no_slot && outlived_a_dependency(other)) restart_all(with_restarted_dependents({other}), 0, now);
  }
}

// False: there are none from `first` on.
bool Supervisor::restart_all(const std::vector<SlotIndex>& slots, std::size_t first, Now now) {
  lifecycle::Event event;
  event.kind = lifecycle::EventKind::dependency_restarted;
  event.hold = true;
  for (std::size_t i = first; i < slots.size(); ++i) feed(slots[i], event, now);
  return first < slots.size();
}

bool Supervisor::outlived_a_dependency(SlotIndex slot) const {
  const SlotState& state = slots_[slot];
  const AppliedDocument* applied = registry_.find(state.document);
  if (applied == nullptr || !is_up(slot) || state.run_wanted || state.removing) return false;
  const std::vector<lifecycle::Edge>& edges = applied->graph.dependencies(state.service);
  return std::any_of(edges.begin(), edges.end(), [&](lifecycle::Edge edge) {
    const SlotIndex other = applied->slots[edge.to];
    if (!edge.restart || other == no_slot || slots_[other].run().run < state.run().run) return false;
    edge.required = true;  // what merely is tolerated to be away has not been restarted
    return standing_of(*applied, edge) == lifecycle::Standing::met;
  });
}

// And all that is up and is restarted with one of them, their dependents included.
std::vector<SlotIndex> Supervisor::with_restarted_dependents(std::vector<SlotIndex> chosen) const {
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const SlotState& state = slots_[chosen[i]];
    const AppliedDocument* applied = registry_.find(state.document);
    // Of some nothing runs any more, or has been told to end, that anybody could have to go before.
    if (applied == nullptr || !(is_up(chosen[i]) || state.life.stop_held)) continue;
    for (const std::uint32_t dependent : applied->graph.dependents(state.service)) {
      const SlotIndex other = applied->slots[dependent];
      if (other == no_slot || !is_up(other) || std::find(chosen.begin(), chosen.end(), other) != chosen.end()) continue;
      const std::vector<lifecycle::Edge>& edges = applied->graph.dependencies(dependent);
      const bool follows = std::any_of(edges.begin(), edges.end(), [&](const lifecycle::Edge& edge) {
        return edge.to == state.service && edge.restart;
      });
      if (follows) chosen.push_back(other);
    }
  }
  return chosen;
}

// An explicit start is one of what it needs, too: who waited for something that was stopped on purpose would wait for ever
// (docs/decisions/0014). Not below what stands as it must, nor below what is up and stays so: that has what it needed.
void Supervisor::start_needed(const std::vector<SlotIndex>& chosen, bool restart, Accepted& accepted, Now now) {
  std::vector<SlotIndex> seen = restart ? with_restarted_dependents(chosen) : chosen;
  std::vector<SlotIndex> needed;
  for (std::size_t i = 0, ordered = seen.size(); i < seen.size(); ++i) {
    const SlotState& state = slots_[seen[i]];
    const AppliedDocument* applied = registry_.find(state.document);
    if (applied == nullptr || (is_up(seen[i]) && !(restart && i < ordered))) continue;
    for (const lifecycle::Edge& edge : applied->graph.dependencies(state.service)) {
      const SlotIndex other = applied->slots[edge.to];
      if (!edge.required || other == no_slot || !slots_[other].used || slots_[other].removing) continue;
      if (standing_of(*applied, edge) == lifecycle::Standing::met) continue;
      if (std::find(seen.begin(), seen.end(), other) != seen.end()) continue;
      seen.push_back(other);
      const Lifecycle& life = slots_[other].life;
      if (life.want_up && life.phase != Phase::failed && life.phase != Phase::completed) continue;
      needed.push_back(other);
      accepted.slots.push_back(other);
      accepted.notes.push_back(spec_of(other).name + " is started too: " + spec_of(seen[i]).name + " needs it");
    }
  }
  for (const SlotIndex slot : dependencies_first(needed)) {
    enlist(slot, accepted.order, true);
    order_up(slot, lifecycle::EventKind::order_start, now);
  }
}

// In the order of their starts: who waits only for what is not stopped must see it starting.
std::vector<SlotIndex> Supervisor::dependencies_first(std::vector<SlotIndex> slots) const {
  const auto rank = [this](SlotIndex slot) {
    const AppliedDocument* applied = registry_.find(slots_[slot].document);
    return applied == nullptr ? 0 : applied->graph.rank(slots_[slot].service);
  };
  std::stable_sort(slots.begin(), slots.end(), [&](SlotIndex a, SlotIndex b) { return rank(a) < rank(b); });
  return slots;
}

// All are marked before propagate() lets go those whom nobody holds: dependents first. Returns them.
std::vector<SlotIndex> Supervisor::order_restarts(const std::vector<SlotIndex>& chosen, Accepted& accepted, Now now) {
  std::vector<SlotIndex> all = with_restarted_dependents(chosen);
  const auto first_dependent = all.begin() + static_cast<std::ptrdiff_t>(chosen.size());
  for (auto it = first_dependent; it != all.end(); ++it) {
    accepted.notes.push_back(label(*it) + " is restarted with what it depends on");
    if (std::find(accepted.slots.begin(), accepted.slots.end(), *it) == accepted.slots.end())
      accepted.slots.push_back(*it);
  }
  const std::vector<SlotIndex> followers(first_dependent, all.end());
  all = dependencies_first(all);
  // What runs goes first: a start beside it must see that it is going.
  std::stable_partition(all.begin(), all.end(), [this](SlotIndex slot) { return is_up(slot); });
  for (const SlotIndex slot : all) {
    const bool follows = std::find(followers.begin(), followers.end(), slot) != followers.end();
    enlist(slot, accepted.order, true);
    order_up(slot, follows ? lifecycle::EventKind::dependency_restarted : lifecycle::EventKind::order_restart, now);
  }
  return all;
}

}  // namespace hearth::supervisor
