#include "supervisor/acts.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "model/hook.h"
#include "supervisor/book.h"

namespace hearth::supervisor {
namespace {

// How long the clearing of a run may wait for its successor's exec.
constexpr SpanNs successor_span = milliseconds(20);

// Until what could not be handed over is tried again.
constexpr SpanNs retry_span = milliseconds(20);

// Until the store is asked again whether it has written everything; nothing else is left to wait for.
constexpr SpanNs finish_span = milliseconds(1);

}  // namespace

namespace {

// What of its service a hook is told, and where its output goes.
void add_hook(const SlotBook& book, SlotIndex slot, ports::SpawnOrder& order) {
  static const std::vector<std::string> nothing;
  const SlotState& state = book.slots[slot];
  const bool idle = state.hook == Hook::none;  // of a run that is over
  order.command = idle ? &nothing : &action_of(*order.spec->actions, state.hook).command;
  order.variables = {{"HEARTH_HOOK", hook_name(state.hook)}, {"HEARTH_SERVICE", order.spec->name}};
  if (!book.in_use(state.parent)) return;
  order.log_slot = state.parent;
  order.log_label = book.label(state.parent);
  const SlotState& service = book.slots[state.parent];
  if (service.life.run_live && !service.run_wanted && service.run().pid != 0)
    order.variables.emplace_back("HEARTH_PID", std::to_string(service.run().pid));
  const bool tells_end =
      state.hook == Hook::after_stop || state.hook == Hook::on_failure || state.hook == Hook::on_give_up;
  const ExitInfo& exit = service.last_exit;
  if (!tells_end || exit.run == no_run) return;
  if (exit.code == 1) order.variables.emplace_back("HEARTH_EXIT_CODE", std::to_string(exit.status));
  if (exit.code == 2 || exit.code == 3) order.variables.emplace_back("HEARTH_EXIT_SIGNAL", std::to_string(exit.status));
}

}  // namespace

ports::SpawnOrder spawn_order(const SlotBook& book, SlotIndex slot, const RunCell& cell) {
  ports::SpawnOrder order;
  order.slot = slot;
  order.entry = cell.entry;
  order.run = cell.run;
  order.label = book.label(slot);
  order.document = book.document_of(slot);
  order.spec = &book.spec_of(slot);
  order.role = book.slots[slot].role;
  const ServiceSpec* parent = &book.service_spec(slot);
  if (order.role == SlotRole::service) {
    order.command = &order.spec->command;
    order.watchdog = order.spec->watchdog;
    order.notify = true;
    order.stop_rank = book.applied(slot)->graph.rank(book.slots[slot].service);
  } else {
    // A probe and a hook run as the service does: same user, directory and environment.
    order.spec = parent;
    const SlotState& service = book.slots[book.slots[slot].parent];
    if (service.life.run_live && !service.run_wanted) order.of_run = service.run().run;
    if (is_hook(order.role)) {
      add_hook(book, slot, order);
      return order;
    }
    order.command = order.role == SlotRole::ready_probe ? &parent->ready->command : &parent->live->command;
  }
  return order;
}

void Acts::act(Now now) {
  // Only now, because before the commit an order could still have brought the service back.
  for (const SlotIndex slot : book_.errands.released_slots) keeper_.release_slot(slot);
  book_.errands.released_slots.clear();
  for (const SlotIndex slot : book_.errands.respecified) respecify(slot);
  book_.errands.respecified.clear();
  spawners_full_ = false;
  book_.acting.take(batch_);
  for (const SlotIndex slot : batch_) spawn_for(slot, now);
  for (const SlotIndex slot : batch_) act_on(slot, now);
  run_probes();
  mark_files();
  if (book_.runs_changed && now.mono >= note_runs_at_) note_runs(now);
  finish_if_done();
}

MonoNs Acts::next_due(Now now) const {
  MonoNs due = never;
  if (!book_.acting.empty()) due = after(now.mono, retry_span);
  if (book_.runs_changed) due = std::min(due, note_runs_at_);
  if (finish_waits_ && !finish_sent_) due = std::min(due, after(now.mono, finish_span));
  return due;
}

void Acts::forget_sent() {
  for (SlotIndex slot = 0; slot < book_.size(); ++slot) {
    Scratch& scratch = book_.scratch[slot];
    scratch.spawn_sent = scratch.follow_sent = no_run;
    scratch.signal_sent = 0;
    scratch.reap_sent[0] = scratch.reap_sent[1] = no_run;
    if (book_.slots[slot].used) book_.want_act(slot);
  }
}

void Acts::respecify(SlotIndex slot) {
  const SlotState& state = book_.slots[slot];
  if (!state.used || !state.life.run_live || state.run_wanted || state.run().entry == no_entry) return;
  keeper_.respecify(spawn_order(book_, slot, state.run()));
}

void Acts::spawn_for(SlotIndex slot, Now now) {
  if (!book_.slots[slot].used) return;
  for (RunCell& cell : book_.slots[slot].cell)
    if (cell.entry != no_entry && cell.spawn && !spawn(slot, cell, now)) book_.want_act(slot);
}

void Acts::act_on(SlotIndex slot, Now now) {
  if (!book_.slots[slot].used) return;
  SlotState& state = book_.slots[slot];
  bool again = false;
  for (std::uint8_t i = 0; i < 2; ++i) {
    RunCell& cell = state.cell[i];
    if (cell.entry == no_entry) continue;
    if (book_.scratch[slot].leader_gone == cell.run) seek(slot, cell, now);
    if (cell.signal != 0) again |= !signal(slot, cell);
    if (cell.reap) again |= successor_first(slot, i, now) || !reap(slot, cell, i);
  }
  if (again) book_.want_act(slot);
}

namespace {

// For people: a path that does not answer, say. Nobody is told of a change: in a moment it is over, or it is looked at.
void note_wait(Scratch& scratch, const ports::SpawnAnswer& answer, Now now) {
  const std::string& what = answer.error.reason;
  if (answer.outcome != ports::SpawnOutcome::later || what.empty()) {
    scratch.waits_since = 0;
    scratch.waits_for = nullptr;
  } else if (scratch.waits_for == nullptr || *scratch.waits_for != what) {
    scratch.waits_since = now.mono;
    scratch.waits_for = std::make_unique<std::string>(what);
  }
}

}  // namespace

// True when nothing is left to do until the slot table changes. So are those that follow.
bool Acts::spawn(SlotIndex slot, RunCell& cell, Now now) {
  Scratch& scratch = book_.scratch[slot];
  if (scratch.refused == cell.run) return true;
  if (scratch.spawn_sent == cell.run) {
    const ports::EntryView view = keeper_.entry(cell.entry);
    // A spawner that was killed gives its claim back: the plan is sent again.
    if (view.run == cell.run && (view.pid != 0 || view.claim != 0 || view.fail_stage != 0)) return true;
  }
  if (spawners_full_) return false;
  ports::SpawnAnswer answer = keeper_.spawn(spawn_order(book_, slot, cell));
  note_wait(scratch, answer, now);
  switch (answer.outcome) {
    case ports::SpawnOutcome::sent: scratch.spawn_sent = cell.run; return true;
    case ports::SpawnOutcome::full: spawners_full_ = true; return false;
    case ports::SpawnOutcome::later: return false;
    case ports::SpawnOutcome::refused:
      // The next turn decides what follows from that; until then the cell stays as it is.
      scratch.refused = cell.run;
      scratch.refusal = std::make_unique<Error>(std::move(answer.error));
      book_.due_at[slot] = now.mono;
      book_.another_turn = true;
      return true;
  }
  return true;
}

// A daemon that writes its PID file before its leader ends is found at once; others are waited for, ever more slowly.
void Acts::seek(SlotIndex slot, const RunCell& cell, Now now) {
  constexpr SpanNs shortest = milliseconds(5), longest = milliseconds(250);
  Scratch& scratch = book_.scratch[slot];
  const SlotState& state = book_.slots[slot];
  const ports::EntryView view = keeper_.entry(cell.entry);
  if (view.run != cell.run || view.main || cell.reap) {
    scratch.leader_gone = no_run;
    return;
  }
  // Whom the keeper was told to follow it may be about to: with the KILL it has handled what was sent before.
  const bool in_time = !state.life.kill_sent;
  const bool underway = scratch.follow_sent == cell.run && view.exit_code != wire::wait_code_unknown;
  if (!in_time && underway && view.last_op < cell.op) return;
  bool in_vain = !in_time;
  if (in_time) {
    if (now.mono < scratch.seek_at) return;
    const ports::MainWish wish{state.health.main_pid, state.life.phase == Phase::stopping};
    ports::MainAnswer answer = keeper_.follow(spawn_order(book_, slot, cell), wish);
    in_vain = answer.found == ports::MainFound::nobody;
    if (answer.found == ports::MainFound::sent) scratch.follow_sent = cell.run;
    // What was missing before a stop is what that may be for.
    const bool same = wish.whoever      ? true
                      : scratch.missing ? *scratch.missing == answer.missing
                                        : answer.missing.empty();
    if (!same) {
      scratch.missing = answer.missing.empty() ? nullptr : std::make_unique<std::string>(std::move(answer.missing));
      book_.visible_change = true;
    }
  }
  if (in_vain) {
    // The next turn decides what follows from that.
    scratch.daemonless = cell.run;
    book_.due_at[slot] = now.mono;
    book_.another_turn = true;
    return;
  }
  scratch.seek_wait = std::clamp(scratch.seek_wait * 2, shortest, longest);
  scratch.seek_at = after(now.mono, scratch.seek_wait);
  book_.due_at[slot] = std::min(book_.due_at[slot], scratch.seek_at);
}

bool Acts::signal(SlotIndex slot, RunCell& cell) {
  const ports::EntryView view = keeper_.entry(cell.entry);
  constexpr int kill_signal = 9;
  const bool is_sought = book_.scratch[slot].leader_gone == cell.run && book_.scratch[slot].follow_sent == cell.run &&
                         cell.signal == kill_signal;
  if (view.run != cell.run) return true;
  if (view.exited && !is_sought) return true;  // nobody to hear it; end_tree sees to the rest
  if (view.pid == 0) return true;              // the PID's arrival brings us here again
  if (book_.scratch[slot].signal_sent >= cell.op) return true;
  // Recorded is not sent: a keeper may have died between the two. The grace period covers that, but nothing comes
  // after KILL, which therefore is repeated.
  if (view.last_op >= cell.op && cell.signal != kill_signal) return true;
  if (!keeper_.signal(cell.entry, cell.run, cell.op, cell.signal)) return false;
  book_.scratch[slot].signal_sent = cell.op;
  return true;
}

// Clearing away takes as long as a good part of a start, and from the same processors and kernel locks. But a tree
// that goes on without its leader may hold what the successor needs: that one ends now.
bool Acts::successor_first(SlotIndex slot, std::uint8_t which, Now now) {
  const RunCell& next = book_.slots[slot].cell[which ^ 1];
  MonoNs& until = book_.scratch[slot].clear_at;
  if (!next.spawn || book_.scratch[slot].spawn_sent != next.run ||
      !keeper_.output_closed(book_.slots[slot].cell[which].run)) {
    until = 0;
    return false;
  }
  if (until == 0) until = after(now.mono, successor_span);
  return now.mono < until;
}

bool Acts::reap(SlotIndex slot, RunCell& cell, std::uint8_t which) {
  const ports::EntryView view = keeper_.entry(cell.entry);
  if (view.run != cell.run) return true;  // done; the evidence of it comes with its notice
  Scratch& scratch = book_.scratch[slot];
  if (scratch.reap_sent[which] == cell.run) return true;
  if (view.pid != 0 && scratch.cleared != cell.run && !clear_away(slot, cell)) return false;
  if (!keeper_.reap(cell.entry, cell.run)) return false;
  scratch.reap_sent[which] = cell.run;
  return true;
}

bool Acts::clear_away(SlotIndex slot, const RunCell& cell) {
  SlotState& state = book_.slots[slot];
  Scratch& scratch = book_.scratch[slot];
  keeper_.output_ended(slot, cell.run);
  if (!keeper_.end_tree(cell.entry, cell.run, book_.label(slot))) return false;
  // Where there are no cgroups, an end is complete only after a sweep; a restart does not wait for one.
  const Phase phase = state.life.phase;
  const bool is_over = !is_probe(state.role) && (phase == Phase::completed || phase == Phase::failed);
  const bool stays_down = !state.life.want_up || is_over;
  // Also when somebody has ordered a start meanwhile: what was found is frozen until the sweep is over.
  if (stays_down || scratch.sweeping == cell.run) {
    scratch.sweeping = cell.run;
    if (!keeper_.sweep_tree(cell.entry, cell.run)) return false;
    scratch.sweeping = no_run;
  }
  scratch.cleared = cell.run;
  const std::string leftover = keeper_.take_leftover(cell.run);
  if (leftover.empty()) return true;
  state.leftover[leftover.copy(state.leftover, sizeof state.leftover - 1)] = '\0';
  book_.touch(slot);
  book_.another_turn = true;
  return false;  // reaped once that is committed: a successor finds nobody to name any more
}

void Acts::run_probes() {
  for (const ProbeStart& start : book_.errands.probe_starts) {
    const SlotState& state = book_.slots[start.slot];
    const ProbeState& probe = start.live ? state.health.live_probe : state.health.ready_probe;
    if (!state.used || !state.health.watching || probe.attempt != start.attempt) continue;
    const ServiceSpec& spec = book_.spec_of(start.slot);
    ports::ProbeTry order;
    order.slot = start.slot;
    order.live = start.live;
    order.attempt = start.attempt;
    order.probe = start.live ? &*spec.live : &*spec.ready;
    Probe memory;
    if (start.memory) {
      memory = *spec.live;
      memory.type = ProbeType::memory;
      order.probe = &memory;
    }
    if (start.live && spec.live->max_memory != 0) {
      order.until = probe.limit.at;
      order.label = book_.label(start.slot);
      order.start_ticks = keeper_.entry(state.run().entry).start_ticks;
    }
    order.run = state.run().run;
    order.started = state.run().started;
    order.log = &*spec.log;
    order.output_from = state.run().output_from;
    probes_.begin(order);
  }
  book_.errands.probe_starts.clear();
  for (const SlotIndex slot : book_.errands.probe_cancels)
    if (!book_.slots[slot].health.watching) probes_.cancel(slot);
  book_.errands.probe_cancels.clear();
}

// Of what has changed, and not in each turn: a thousand starts come in as many turns.
void Acts::note_runs(Now now) {
  book_.runs_changed = false;
  note_runs_at_ = after(now.mono, milliseconds(100));
  std::vector<ports::SlotNote> notes;
  notes.reserve(book_.noting.size());
  for (const SlotIndex slot : book_.noting.all()) notes.push_back({slot, note_of(slot)});
  book_.noting.clear();
  store_.note_runs(notes, book_.head.last_run + 1);
}

ports::RunNote Acts::note_of(SlotIndex slot) const {
  if (!book_.is_service(slot)) return {};
  const SlotState& state = book_.slots[slot];
  ports::RunNote note;
  note.label = book_.label(slot);
  note.document = state.document;
  note.service = state.service;
  note.replica = state.replica;
  // What has ended for good is not brought back by the next hearth.
  note.want_up = state.life.want_up && state.life.phase != Phase::completed && state.life.phase != Phase::failed;
  // A leader that is to leave a daemon is nobody to be found by a later hearth; that one is.
  if (state.life.run_live && !state.run_wanted && state.run().pid != 0 && !state.health.forks) {
    note.run = state.run().run;
    note.pid = state.run().pid;
    note.start_ticks = state.run().start_ticks;
    note.was_ready = state.health.watching && state.health.ready_since != 0;
  }
  return note;
}

// The answers of a turn go out first.
void Acts::finish_if_done() {
  const Head& head = book_.head;
  if (!head.shutting_down || finish_sent_ || !book_.errands.replies.empty()) return;
  if (!head.leaving && !all_stopped()) return;
  if (!head.leaving) {
    // A deliberate end: the next hearth in this directory begins with nothing.
    finish_waits_ = !store_.finish(head.last_run + 1);
    if (finish_waits_) return;
  }
  finish_sent_ = true;
  keeper_.finish(head.leaving, head.gave_up);
  // Last, because slots name them: until the keeper knows that it may end, a successor would miss them.
  if (!head.leaving)
    for (const auto& [version, applied] : book_.registry.all()) store_.drop_document(version);
}

bool Acts::all_stopped() const {
  for (const SlotIndex slot : book_.used()) {
    const Lifecycle& life = book_.slots[slot].life;
    // What has done its work stays so: a hook, or a service, which nobody has stopped.
    const bool wanted = life.want_up && !is_hook(book_.slots[slot].role) && life.phase != Phase::completed;
    if (!book_.over(slot) || life.phase == Phase::stopping || wanted) return false;
  }
  return true;
}

}  // namespace hearth::supervisor
