// What the slot table shows: runs that got a PID, failed, ended, were reaped.
#include <algorithm>

#include "supervisor/supervisor.h"

namespace hearth::supervisor {
namespace {

// How long a service without a readiness probe must live before an order calls it done.
constexpr SpanNs settling = milliseconds(100);

}  // namespace

void Supervisor::look_at(EntryIndex entry, Now now) {
  const SlotIndex slot = entry / wire::entries_per_slot;
  if (slot >= slots_.size() || !slots_[slot].used) return;
  const ports::EntryView view = world_.keeper.entry(entry);
  for (RunCell& cell : slots_[slot].cell) {
    if (cell.run == no_run || cell.entry != entry) continue;
    if (view.run != cell.run) {
      // Free, or reused: only a reap of this run can have led there. A spawn that was decided and has not
      // reached the entry yet is the other case.
      if (cell.reap) entry_freed(slot, cell, now);
      continue;
    }
    // A window that was full may have opened, a plan that waited may have been taken.
    want_act(slot);
    if (view.pid != 0 && (view.watched || view.exited) && cell.pid == 0) run_spawned(slot, cell, view, now);
    const bool over = view.exited || (view.pid == 0 && view.fail_stage != 0);
    if (over && !cell.reap && std::find(ended_.begin(), ended_.end(), entry) == ended_.end()) ended_.push_back(entry);
    return;
  }
}

// A run that said READY=1 and ended was ready: its end waits until its socket is empty. Descendants may go on talking,
// so it does not wait for ever.
void Supervisor::end_runs(Now now) {
  constexpr std::uint32_t turns_max = 600;  // more than a socket can queue, at one datagram a turn
  std::vector<EntryIndex> waiting;
  for (EntryIndex entry : ended_) {
    const SlotIndex slot = entry / wire::entries_per_slot;
    if (slot >= slots_.size() || !slots_[slot].used) continue;
    const ports::EntryView view = world_.keeper.entry(entry);
    for (RunCell& cell : slots_[slot].cell) {
      if (cell.run == no_run || cell.entry != entry || view.run != cell.run) continue;
      const bool talks = std::any_of(inputs_.begin(), inputs_.end(), [&](const ports::Input& input) {
        return input.kind == ports::InputKind::notify && input.run == cell.run;
      });
      if (talks && ++scratch_[slot].heard_out < turns_max) {
        waiting.push_back(entry);
      } else {
        scratch_[slot].heard_out = 0;
        run_ended(slot, cell, view, now);
      }
      break;
    }
  }
  ended_.swap(waiting);
}

void Supervisor::run_spawned(SlotIndex slot, RunCell& cell, const ports::EntryView& view, Now now) {
  cell.pid = view.pid;
  cell.spawn = false;
  if (cell.started == 0) cell.started = now.wall;
  if (cell.start_ticks == 0) cell.start_ticks = world_.keeper.start_ticks(cell.entry, view.pid);
  runs_changed_ = true;
  // A program that dies of its arguments does so at once; who waits for it shall hear of that, not of a start.
  if (!has_readiness(slot)) scratch_[slot].settle_at = after(now.mono, settling);
  touch(slot);
  propagate_from(slot, now);  // somebody may wait for it to be started, which need not be a change of phase
  // A program that never came to be has not been spawned, whatever its PID.
  if (view.fail_stage != 0 || &cell != &slots_[slot].run()) return;
  SlotState& state = slots_[slot];
  const bool adopted = state.life.reason == Reason::adopted;
  lifecycle::Event event;
  event.kind = lifecycle::EventKind::spawned;
  event.has_readiness = has_readiness(slot);
  feed(slot, event, now);
  if (state.role == SlotRole::service && !state.health.watching &&
      (state.life.phase == Phase::starting || state.life.phase == Phase::running))
    apply_verdict(
        slot,
        adopted ? health::adopt(state.health, spec_of(slot), now) : health::watch(state.health, spec_of(slot), now),
        now);
}

void Supervisor::run_ended(SlotIndex slot, RunCell& cell, const ports::EntryView& view, Now now) {
  if (cell.reap) return;  // known already
  SlotState& state = slots_[slot];
  cell.reap = true;
  cell.spawn = false;
  cell.pid = view.pid;
  runs_changed_ = true;
  scratch_[slot].settle_at = 0;
  ExitInfo exit;
  exit.code = view.exited ? view.exit_code : 0;
  exit.status = view.exit_status;
  exit.fail_stage = view.fail_stage;
  exit.fail_errno = view.fail_errno;
  exit.run = cell.run;
  exit.at = now.wall;
  if (view.exited && view.exit_code == wire::wait_code_unknown) {
    ++head_.statuses_lost;
    head_changed_ = true;
  }
  touch(slot);
  want_act(slot);
  if (&cell != &state.run()) return;  // an older run of the slot: its end decides nothing
  state.last_exit = exit;
  end_tries(slot, now);
  // One that we ended says nothing of the service, and the number of its try may be the next one's already.
  const bool told = state.role != SlotRole::service && state.life.phase != Phase::stopping;
  lifecycle::Event event;
  event.kind = view.fail_stage != 0 ? lifecycle::EventKind::spawn_failed : lifecycle::EventKind::exited;
  event.exit = exit;
  event.has_readiness = has_readiness(slot);
  event.dependencies_met = dependencies_met(slot);
  event.random = random();
  feed(slot, event, now);
  if (told) probe_run_ended(slot, exit, now);
}

void Supervisor::entry_freed(SlotIndex slot, RunCell& cell, Now now) {
  cell.reap = false;
  cell.entry = no_entry;
  cell.pid = 0;
  cell.signal = 0;
  runs_changed_ = true;
  touch(slot);
  want_act(slot);
  propagate_from(slot, now);
  world_.keeper.release_run(slot, cell.run);
  if (!slots_[slot].run_wanted) return;
  if (dependencies_met(slot)) return new_run(slot);
  // What it depends on went away while both entries waited for their reap: the run that was asked for never
  // comes to be, and the retry waits for the dependency.
  slots_[slot].run_wanted = false;
  lifecycle::Event event;
  event.kind = lifecycle::EventKind::spawn_failed;
  event.reason = Reason::refused;
  event.dependencies_met = false;
  event.random = random();
  feed(slot, event, now);
}

}  // namespace hearth::supervisor
