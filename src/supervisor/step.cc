// Feeding the pure rooms and taking their effects into the slot's record.
#include "base/check.h"
#include "supervisor/supervisor.h"

namespace hearth::supervisor {

void Supervisor::touch(SlotIndex slot) {
  if (scratch_[slot].changed) return;
  scratch_[slot].changed = true;
  changed_.push_back(slot);
}

void Supervisor::want_act(SlotIndex slot) {
  if (scratch_[slot].acting) return;
  scratch_[slot].acting = true;
  acting_.push_back(slot);
}

std::uint64_t Supervisor::random() {
  // xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled", 2016). In the
  // head, so that the same page goes on the same way.
  std::uint64_t x = head_.random;
  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  head_.random = x;
  head_changed_ = true;
  return x * 0x2545F4914F6CDD1DULL;
}

void Supervisor::feed(SlotIndex slot, lifecycle::Event event, Now now) {
  SlotState& state = slots_[slot];
  const Phase before = state.life.phase;
  const lifecycle::Effects effects = lifecycle::step(state.life, spec_of(slot), event, now);
  if (effects.changed) touch(slot);
  if (effects.spawn) new_run(slot);
  if (effects.signal != 0) {
    RunCell& cell = state.run();
    cell.signal = effects.signal;
    cell.op = ++head_.last_op;
    head_changed_ = true;
    touch(slot);
    want_act(slot);
  }
  if (state.life.phase == before) return;
  if (state.life.phase == Phase::stopping) {
    end_tries(slot, now);
  }
  want_act(slot);
  propagate_from(slot, now);
  if (state.life.phase == Phase::stopping) cancel_unsent(slot, now);
}

void Supervisor::new_run(SlotIndex slot) {
  SlotState& state = slots_[slot];
  state.leftover[0] = '\0';
  touch(slot);
  want_act(slot);
  for (const std::uint8_t next : {static_cast<std::uint8_t>(state.current ^ 1), state.current}) {
    if (state.cell[next].entry != no_entry) continue;
    RunCell cell;
    cell.run = ++head_.last_run;
    cell.entry = slot * wire::entries_per_slot + next;
    cell.spawn = true;
    cell.document = state.document;
    state.cell[next] = cell;
    state.current = next;
    state.run_wanted = false;
    head_changed_ = true;
    return;
  }
  state.run_wanted = true;
}

void Supervisor::cancel_unsent(SlotIndex slot, Now now) {
  SlotState& state = slots_[slot];
  // Also while the stop is held for dependents: there is nothing yet that they could need.
  if (state.life.phase != Phase::stopping || !state.life.run_live) return;
  RunCell& cell = state.run();
  if (!state.run_wanted) {
    // We alone order entries, so a run that has not reached its entry can still be taken back.
    if (!cell.spawn || world_.keeper.entry(cell.entry).run == cell.run) return;
    cell.spawn = false;
    cell.entry = no_entry;
    cell.signal = 0;
    world_.keeper.release_run(slot, cell.run);  // what was made for it before the keeper's socket was full
  }
  state.run_wanted = false;
  lifecycle::Event event;
  event.kind = lifecycle::EventKind::spawn_failed;
  event.exit.run = cell.run;
  event.dependencies_met = dependencies_met(slot);
  touch(slot);
  feed(slot, event, now);
}

void Supervisor::apply_verdict(SlotIndex slot, const health::Verdict& verdict, Now now) {
  SlotState& state = slots_[slot];
  if (verdict.changed) touch(slot);
  lifecycle::Event event;
  event.has_readiness = has_readiness(slot);
  event.random = 0;
  if (verdict.became_ready) {
    event.kind = lifecycle::EventKind::became_ready;
    feed(slot, event, now);
    propagate_from(slot, now);
  }
  if (verdict.lost_ready) {
    event.kind = lifecycle::EventKind::lost_ready;
    feed(slot, event, now);
    propagate_from(slot, now);
  }
  if (verdict.start_timeout) {
    event.kind = lifecycle::EventKind::start_timeout;
    event.random = random();
    feed(slot, event, now);
  } else if (verdict.unhealthy) {
    event.kind = lifecycle::EventKind::unhealthy;
    event.reason = verdict.reason;
    event.random = random();
    feed(slot, event, now);
  }
  if (!state.health.watching) return;
  if (verdict.try_ready) begin_try(slot, false, state.health.ready_probe.attempt, now);
  if (verdict.try_live) begin_try(slot, true, state.health.live_probe.attempt, now);
}

void Supervisor::begin_try(SlotIndex slot, bool live, std::uint64_t attempt, Now now) {
  const ServiceSpec& spec = spec_of(slot);
  const Probe& probe = live ? spec.live : spec.ready;
  if (probe.type != ProbeType::exec) {
    probe_starts_.push_back({slot, live, attempt});
    return;
  }
  const AppliedDocument* applied = registry_.find(slots_[slot].document);
  const SlotIndex runner = (live ? applied->live_probes : applied->ready_probes)[slots_[slot].service];
  if (runner == no_slot) return;
  SlotState& state = slots_[runner];
  lifecycle::Event event;
  event.random = random();
  state.probe_attempt = attempt;
  // A try that did not end in time has counted as bad; its tree goes, and then this one begins.
  event.kind = state.life.run_live ? lifecycle::EventKind::order_restart : lifecycle::EventKind::order_start;
  feed(runner, event, now);
  touch(runner);
}

// Probes and clocks of a run that is over, or that we are ending, have nobody to tell.
void Supervisor::end_tries(SlotIndex slot, Now now) {
  SlotState& state = slots_[slot];
  health::unwatch(state.health);
  scratch_[slot].unprobed.reset();
  probe_cancels_.push_back(slot);
  const AppliedDocument* applied = registry_.find(state.document);
  if (applied == nullptr || state.role != SlotRole::service) return;
  for (SlotIndex runner : {applied->ready_probes[state.service], applied->live_probes[state.service]}) {
    // Also one that hangs and is being replaced by the next try: it shall not come back.
    if (runner == no_slot || !slots_[runner].life.want_up || !slots_[runner].life.run_live) continue;
    lifecycle::Event event;
    event.kind = lifecycle::EventKind::order_stop;
    feed(runner, event, now);
  }
}

void Supervisor::probe_run_ended(SlotIndex probe_slot, const ExitInfo& exit, Now now) {
  const SlotState& probe = slots_[probe_slot];
  const SlotIndex parent = probe.parent;
  if (parent >= slots_.size() || !slots_[parent].used || !slots_[parent].health.watching) return;
  scratch_[parent].unprobed.reset();
  const bool good = exit.fail_stage == 0 && exit.code == 1 && exit.status == 0;
  const health::Which which = probe.role == SlotRole::live_probe ? health::Which::live : health::Which::ready;
  apply_verdict(
      parent, health::probe_result(slots_[parent].health, spec_of(parent), which, probe.probe_attempt, good, now), now);
}

// Retried with the next try of its service, not by itself.
void Supervisor::probe_refused(SlotIndex probe_slot, const Error& why, Now now) {
  lifecycle::Event event;
  event.kind = lifecycle::EventKind::order_stop;
  feed(probe_slot, event, now);
  const SlotState& probe = slots_[probe_slot];
  const SlotIndex parent = probe.parent;
  if (parent >= slots_.size() || !slots_[parent].used || !slots_[parent].health.watching) return;
  scratch_[parent].unprobed = std::make_unique<Error>(why);
  const health::Which which = probe.role == SlotRole::live_probe ? health::Which::live : health::Which::ready;
  apply_verdict(parent, health::try_refused(slots_[parent].health, spec_of(parent), which, probe.probe_attempt, now),
                now);
}

// A try whose time ran out before its program was there: spawners had no room for it, and the service is not to blame.
void Supervisor::refuse_overdue_tries(SlotIndex slot, Now now) {
  const SlotState& state = slots_[slot];
  const AppliedDocument* applied = registry_.find(state.document);
  if (state.role != SlotRole::service || applied == nullptr || !state.health.watching) return;
  for (const bool live : {false, true}) {
    const SlotIndex runner = (live ? applied->live_probes : applied->ready_probes)[state.service];
    const ProbeState& probe = live ? state.health.live_probe : state.health.ready_probe;
    if (runner == no_slot || !probe.limit.due(now.mono) || !slots_[runner].life.run_live) continue;
    const RunCell& cell = slots_[runner].run();
    const bool unspawned = slots_[runner].run_wanted || (cell.spawn && world_.keeper.entry(cell.entry).pid == 0);
    if (!unspawned || slots_[runner].probe_attempt != probe.attempt) continue;
    probe_refused(runner, {Remedy::try_later, "probe", label(slot), "no spawner had room for it", "it is tried again"},
                  now);
  }
}

const Document* Supervisor::document_of(SlotIndex slot) const {
  const AppliedDocument* applied = registry_.find(slots_[slot].document);
  return applied != nullptr && slots_[slot].service < applied->document.services.size() ? &applied->document : nullptr;
}

const ServiceSpec& Supervisor::spec_of(SlotIndex slot) const {
  if (slots_[slot].role != SlotRole::service) return probe_spec_;
  const Document* document = document_of(slot);
  HEARTH_CHECK(document != nullptr, "a used slot has a document");
  return document->services[slots_[slot].service];
}

std::string Supervisor::label(SlotIndex slot) const {
  const SlotState& state = slots_[slot];
  const Document* document = document_of(slot);
  if (document == nullptr) return "slot" + std::to_string(slot);
  std::string text = label_of(document->project, document->services[state.service].name, state.replica);
  if (state.role == SlotRole::ready_probe) text += ".ready";
  if (state.role == SlotRole::live_probe) text += ".live";
  return text;
}

bool Supervisor::has_readiness(SlotIndex slot) const {
  return slots_[slot].role == SlotRole::service && spec_of(slot).ready.type != ProbeType::none;
}

bool Supervisor::over(SlotIndex slot) const {
  const SlotState& state = slots_[slot];
  if (state.life.run_live) return false;
  for (const RunCell& cell : state.cell)
    if (cell.reap || cell.spawn) return false;
  return true;
}

}  // namespace hearth::supervisor
