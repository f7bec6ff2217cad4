// Dependencies: a change of one slot is weighed for those that depend on it, until nothing moves. A worklist, no
// recursion: feed() only adds to it.
#include "supervisor/supervisor.h"

namespace hearth::supervisor {

void Supervisor::propagate_from(SlotIndex slot, Now now) {
  (void)now;
  if (scratch_[slot].propagate) return;
  scratch_[slot].propagate = true;
  propagate_.push_back(slot);
}

void Supervisor::propagate(Now now) {
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
    lifecycle::Event event;
    event.kind = lifecycle::EventKind::release_stop;
    feed(slot, event, now);
    cancel_unsent(slot, now);
    return;
  }
  if (state.role != SlotRole::service || !state.life.want_up) return;
  if (state.life.phase != Phase::waiting && state.life.phase != Phase::backoff && state.life.phase != Phase::failed) return;
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

bool Supervisor::dependencies_met(SlotIndex slot, Reason* why, std::string* what) const {
  const SlotState& state = slots_[slot];
  if (state.role != SlotRole::service) return true;
  const AppliedDocument* applied = registry_.find(state.document);
  if (applied == nullptr) return true;
  bool met = true;
  for (const lifecycle::Edge& edge : applied->graph.dependencies(state.service)) {
    const SlotIndex other = applied->slots[edge.to];
    lifecycle::Standing standing = lifecycle::Standing::unmet;
    if (other != no_slot && slots_[other].used) {
      const SlotState& dependency = slots_[other];
      const bool ready = has_readiness(other) ? dependency.health.ready : dependency.life.phase == Phase::running;
      const bool success = dependency.last_exit.run != no_run && lifecycle::is_success(dependency.last_exit, spec_of(other));
      standing = lifecycle::standing(edge, dependency.life.phase, ready, dependency.run().started != 0, success);
    }
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

}  // namespace hearth::supervisor
