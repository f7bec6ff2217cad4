// Making the slot table agree with the decisions. Each act compares a cell with its entry, so that doing it twice,
// or doing it again in a successor, changes nothing.
#include <utility>

#include "supervisor/supervisor.h"

namespace hearth::supervisor {
namespace {

// How long the clearing of a run may wait for its successor's exec.
constexpr SpanNs successor_span = milliseconds(20);

}  // namespace

void Supervisor::act(Now now) {
  // Only now, because before the commit an order could still have brought the service back.
  for (SlotIndex slot : released_slots_) world_.keeper.release_slot(slot);
  released_slots_.clear();
  spawners_full_ = false;
  std::vector<SlotIndex> acting = std::exchange(acting_, {});
  for (SlotIndex slot : acting) scratch_[slot].acting = false;
  // A successor does not wait until its predecessor has been cleared away.
  for (SlotIndex slot : acting) spawn_for(slot, now);
  for (SlotIndex slot : acting) act_on(slot, now);
  acting.clear();
  if (acting_.empty()) acting_.swap(acting);  // keep the capacity
  for (const ProbeStart& start : probe_starts_) {
    const SlotState& state = slots_[start.slot];
    const ProbeState& probe = start.live ? state.health.live_probe : state.health.ready_probe;
    if (!state.used || !state.health.watching || probe.attempt != start.attempt) continue;
    const ServiceSpec& spec = spec_of(start.slot);
    world_.probes.begin(start.slot, start.live, start.attempt, start.live ? spec.live : spec.ready);
  }
  probe_starts_.clear();
  for (SlotIndex slot : probe_cancels_)
    if (!slots_[slot].health.watching) world_.probes.cancel(slot);
  probe_cancels_.clear();
  if (runs_changed_ && now.mono >= note_runs_at_) note_runs(now);
  finish_if_done();
}

void Supervisor::spawn_for(SlotIndex slot, Now now) {
  if (!slots_[slot].used) return;
  for (RunCell& cell : slots_[slot].cell)
    if (cell.entry != no_entry && cell.spawn && !act_spawn(slot, cell, now)) want_act(slot);
}

void Supervisor::act_on(SlotIndex slot, Now now) {
  if (!slots_[slot].used) return;
  SlotState& state = slots_[slot];
  bool again = false;
  for (std::uint8_t i = 0; i < 2; ++i) {
    RunCell& cell = state.cell[i];
    if (cell.entry == no_entry) continue;
    if (cell.signal != 0) again |= !act_signal(slot, cell);
    if (cell.reap) again |= successor_first(slot, i, now) || !act_reap(slot, cell, i);
  }
  if (again) want_act(slot);
}

ports::SpawnOrder Supervisor::spawn_order(SlotIndex slot, const RunCell& cell) const {
  ports::SpawnOrder order;
  order.slot = slot;
  order.entry = cell.entry;
  order.run = cell.run;
  order.label = label(slot);
  order.document = document_of(slot);
  order.spec = &spec_of(slot);
  order.role = slots_[slot].role;
  const ServiceSpec* parent = &order.document->services[slots_[slot].service];
  if (order.role == SlotRole::service) {
    order.command = &order.spec->command;
    order.watchdog = order.spec->watchdog;
    order.notify = true;
    order.stop_rank = registry_.find(slots_[slot].document)->graph.rank(slots_[slot].service);
  } else {
    // A probe runs as the service does: same user, directory and environment.
    order.spec = parent;
    order.command = order.role == SlotRole::ready_probe ? &parent->ready.command : &parent->live.command;
  }
  return order;
}

// True when nothing is left to do until the slot table changes.
bool Supervisor::act_spawn(SlotIndex slot, RunCell& cell, Now now) {
  if (scratch_[slot].refused == cell.run) return true;
  if (scratch_[slot].spawn_sent == cell.run) {
    const ports::EntryView view = world_.keeper.entry(cell.entry);
    // A spawner that was killed gives its claim back: the plan is sent again.
    if (view.run == cell.run && (view.pid != 0 || view.claim != 0 || view.fail_stage != 0)) return true;
  }
  if (spawners_full_) return false;
  ports::SpawnAnswer answer = world_.keeper.spawn(spawn_order(slot, cell));
  switch (answer.outcome) {
    case ports::SpawnOutcome::sent: scratch_[slot].spawn_sent = cell.run; return true;
    case ports::SpawnOutcome::full: spawners_full_ = true; return false;
    case ports::SpawnOutcome::later: return false;
    case ports::SpawnOutcome::refused:
      // The next turn decides what follows from that; until then the cell stays as it is.
      scratch_[slot].refused = cell.run;
      scratch_[slot].refusal = std::make_unique<Error>(std::move(answer.error));
      due_at_[slot] = now.mono;
      again_ = true;
      return true;
  }
  return true;
}

bool Supervisor::act_signal(SlotIndex slot, RunCell& cell) {
  const ports::EntryView view = world_.keeper.entry(cell.entry);
  if (view.run != cell.run || view.exited) return true;  // nobody to hear it; end_tree sees to the rest
  if (view.pid == 0) return true;                        // the PID's arrival brings us here again
  if (scratch_[slot].signal_sent >= cell.op) return true;
  // Recorded is not sent: a keeper may have died between the two. The grace period covers that, but nothing comes
  // after KILL, which therefore is repeated.
  constexpr int kill_signal = 9;
  if (view.last_op >= cell.op && cell.signal != kill_signal) return true;
  if (!world_.keeper.signal(cell.entry, cell.run, cell.op, cell.signal)) return false;
  scratch_[slot].signal_sent = cell.op;
  return true;
}

// Clearing away takes as long as a good part of a start, and from the same processors and kernel locks. But a tree
// that goes on without its leader may hold what the successor needs: that one ends now.
bool Supervisor::successor_first(SlotIndex slot, std::uint8_t which, Now now) {
  const RunCell& next = slots_[slot].cell[which ^ 1];
  MonoNs& until = scratch_[slot].clear_at;
  if (!next.spawn || scratch_[slot].spawn_sent != next.run ||
      !world_.keeper.output_closed(slots_[slot].cell[which].run)) {
    until = 0;
    return false;
  }
  if (until == 0) until = after(now.mono, successor_span);
  return now.mono < until;
}

bool Supervisor::act_reap(SlotIndex slot, RunCell& cell, std::uint8_t which) {
  const ports::EntryView view = world_.keeper.entry(cell.entry);
  if (view.run != cell.run) return true;  // done; the evidence of it comes with its notice
  if (scratch_[slot].reap_sent[which] == cell.run) return true;
  RunId& cleared = scratch_[slot].cleared;
  if (view.pid != 0 && cleared != cell.run) {
    world_.keeper.output_ended(slot, cell.run);
    if (!world_.keeper.end_tree(cell.entry, cell.run, label(slot))) return false;
    // Where there are no cgroups, an end is complete only after a sweep; a restart does not wait for one.
    const Phase phase = slots_[slot].life.phase;
    const bool service_is_over =
        slots_[slot].role == SlotRole::service && (phase == Phase::completed || phase == Phase::failed);
    const bool stays_down = !slots_[slot].life.want_up || service_is_over;
    // Also when somebody has ordered a start meanwhile: what was found is frozen until the sweep is over.
    RunId& sweeping = scratch_[slot].sweeping;
    if (stays_down || sweeping == cell.run) {
      sweeping = cell.run;
      if (!world_.keeper.sweep_tree(cell.entry, cell.run)) return false;
      sweeping = no_run;
    }
    cleared = cell.run;
    if (const std::string leftover = world_.keeper.take_leftover(cell.run); !leftover.empty()) {
      char(&field)[sizeof SlotState::leftover] = slots_[slot].leftover;
      field[leftover.copy(field, sizeof field - 1)] = '\0';
      touch(slot);
      again_ = true;
      return false;  // reaped once that is committed: a successor finds nobody to name any more
    }
  }
  if (!world_.keeper.reap(cell.entry, cell.run)) return false;
  scratch_[slot].reap_sent[which] = cell.run;
  return true;
}

// Of what has changed, and not in each turn: a thousand starts come in as many turns.
void Supervisor::note_runs(Now now) {
  runs_changed_ = false;
  note_runs_at_ = after(now.mono, milliseconds(100));
  std::vector<ports::SlotNote> notes;
  notes.reserve(noting_.size());
  for (SlotIndex slot : noting_) {
    scratch_[slot].noting = false;
    notes.push_back({slot, note_of(slot)});
  }
  noting_.clear();
  world_.store.note_runs(notes, head_.last_run + 1);
}

ports::RunNote Supervisor::note_of(SlotIndex slot) const {
  const SlotState& state = slots_[slot];
  if (!state.used || state.role != SlotRole::service) return {};
  ports::RunNote note;
  note.label = label(slot);
  note.document = state.document;
  note.service = state.service;
  note.replica = state.replica;
  // What has ended for good is not brought back by the next hearth.
  note.want_up = state.life.want_up && state.life.phase != Phase::completed && state.life.phase != Phase::failed;
  if (state.life.run_live && !state.run_wanted && state.run().pid != 0) {
    note.run = state.run().run;
    note.pid = state.run().pid;
    note.start_ticks = state.run().start_ticks;
  }
  return note;
}

void Supervisor::finish_if_done() {
  if (!head_.shutting_down || finish_sent_ || !replies_.empty()) return;
  if (!head_.leaving) {
    for (SlotIndex slot = 0; slot < slots_.size(); ++slot) {
      if (!slots_[slot].used) continue;
      if (!over(slot) || slots_[slot].life.phase == Phase::stopping) return;
      if (slots_[slot].life.want_up) return;
    }
  }
  if (!head_.leaving) {
    // A deliberate end: the next hearth in this directory begins with nothing.
    if (!finish_waits_)
      for (const auto& [version, applied] : registry_.all()) world_.store.drop_document(version);
    finish_waits_ = !world_.store.finish(head_.last_run + 1);
    if (finish_waits_) return;
  }
  finish_sent_ = true;
  world_.keeper.finish(head_.leaving);
}

}  // namespace hearth::supervisor
