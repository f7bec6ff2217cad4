#include "supervisor/lives.h"

#include "supervisor/book.h"
#include "supervisor/dependencies.h"

namespace hearth::supervisor {

void Lives::feed(SlotIndex slot, lifecycle::Event event, Now now) {
  SlotState& state = book_.slots[slot];
  const Phase before = state.life.phase;
  const lifecycle::Effects effects = lifecycle::step(state.life, book_.spec_of(slot), event, now);
  if (effects.changed) book_.touch(slot);
  if (effects.spawn) new_run(slot, now);
  if (effects.signal != 0) {
    RunCell& cell = state.run();
    cell.signal = effects.signal;
    cell.op = book_.next_op();
    book_.touch(slot);
    book_.want_act(slot);
  }
  if (state.life.phase != before) {
    if (state.life.phase == Phase::stopping) end_tries(slot, now);
    book_.want_act(slot);
    book_.weigh(slot);
    if (state.life.phase == Phase::stopping) cancel_unsent(slot, now);
  }
  if (state.role == SlotRole::service) {
    follow_hooks(slot, effects, now);
  } else if (is_hook(state.role)) {
    look_at_hook(slot, now);
  }
}

void Lives::respecify(SlotIndex slot, const ServiceSpec& before, Now now) {
  book_.errands.respecified.push_back(slot);
  book_.weigh(slot);  // it may depend on others now
  // That the other probe could not be tried is no news any more.
  const ServiceSpec& spec = book_.spec_of(slot);
  if (!(spec.ready == before.ready)) book_.scratch[slot].unprobed[false].reset();
  if (!(spec.live == before.live)) book_.scratch[slot].unprobed[true].reset();
  if (lifecycle::respecify(book_.slots[slot].life, before, spec, now)) book_.touch(slot);
  judge(slot, health::respecify(book_.slots[slot].health, before, spec, now), now);
}

void Lives::new_run(SlotIndex slot, Now now) {
  SlotState& state = book_.slots[slot];
  state.leftover[0] = '\0';
  state.reload_failed = false;
  book_.scratch[slot].seek_at = book_.scratch[slot].seek_wait = 0;
  book_.scratch[slot].missing = nullptr;
  book_.touch(slot);
  book_.want_act(slot);
  for (const std::uint8_t next : {static_cast<std::uint8_t>(state.current ^ 1), state.current}) {
    if (state.cell[next].entry != no_entry) continue;
    RunCell cell;
    cell.run = book_.next_run();
    cell.entry = slot * wire::entries_per_slot + next;
    cell.spawn = true;
    cell.document = state.document;
    cell.started = now.wall;
    if (book_.is_service(slot)) cell.output_from = keeper_.log_status(slot, book_.label(slot)).written;
    state.cell[next] = cell;
    state.current = next;
    state.run_wanted = false;
    return;
  }
  state.run_wanted = true;
}

// False: its run has reached its entry. We alone order entries, so one that has not can still be taken back.
bool Lives::take_unsent(SlotIndex slot) {
  SlotState& state = book_.slots[slot];
  RunCell& cell = state.run();
  if (!state.run_wanted) {
    if (!cell.spawn || keeper_.entry(cell.entry).run == cell.run) return false;
    cell.spawn = false;
    cell.entry = no_entry;
    cell.signal = 0;
    keeper_.release_run(slot, cell.run);  // what was made for it before the keeper's socket was full
    // The next start may wait for the same, but not since then.
    book_.scratch[slot].waits_since = 0;
    book_.scratch[slot].waits_for = nullptr;
  }
  state.run_wanted = false;
  book_.touch(slot);
  return true;
}

void Lives::cancel_unsent(SlotIndex slot, Now now) {
  SlotState& state = book_.slots[slot];
  // Also while the stop is held for dependents: there is nothing yet that they could need.
  if (state.life.phase != Phase::stopping || !state.life.run_live || !take_unsent(slot)) return;
  lifecycle::Event event;
  event.kind = lifecycle::EventKind::spawn_failed;
  event.exit.run = state.run().run;
  event.dependencies_met = dependencies_met(book_, slot);
  feed(slot, event, now);
}

void Lives::take_start_back(SlotIndex slot, Now now) {
  const Lifecycle& life = book_.slots[slot].life;
  if (life.phase != Phase::starting || !life.run_live || !take_unsent(slot)) return;
  lifecycle::Event event;
  event.kind = lifecycle::EventKind::spawn_failed;
  event.reason = Reason::dependency_missing;
  feed(slot, event, now);
}

void Lives::judge(SlotIndex slot, const health::Verdict& verdict, Now now) {
  SlotState& state = book_.slots[slot];
  if (verdict.changed) book_.touch(slot);
  lifecycle::Event event;
  event.has_readiness = book_.has_readiness(slot);
  event.random = 0;
  if (verdict.became_ready) {
    event.kind = lifecycle::EventKind::became_ready;
    feed(slot, event, now);
    // Whoever comes after all of hearth has died cannot find that out of one that is asked.
    if (is_tried(book_.spec_of(slot).ready->type)) book_.runs_changed = true;
    book_.weigh(slot);
  }
  if (verdict.lost_ready) {
    event.kind = lifecycle::EventKind::lost_ready;
    feed(slot, event, now);
    book_.weigh(slot);
  }
  if (verdict.start_timeout) {
    book_.scratch[slot].sick = std::move(book_.scratch[slot].unready);
    const ports::EntryView view = keeper_.entry(state.run().entry);
    const bool forks = book_.spec_of(slot).type == ServiceType::forking && !view.main;
    state.missed = !forks ? Missed::nothing : view.exited ? Missed::main : Missed::background;
    book_.touch(slot);
    event.kind = lifecycle::EventKind::start_timeout;
    event.random = book_.random();
    feed(slot, event, now);
  } else if (verdict.unhealthy) {
    event.kind = lifecycle::EventKind::unhealthy;
    event.reason = verdict.reason;
    event.random = book_.random();
    feed(slot, event, now);
  }
  if (!state.health.watching) return;
  if (verdict.try_ready) begin_try(slot, false, state.health.ready_probe.attempt, now);
  if (verdict.try_live) begin_try(slot, true, state.health.live_probe.attempt, now);
}

}  // namespace hearth::supervisor
