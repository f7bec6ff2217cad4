#include "supervisor/evidence.h"

#include <algorithm>
#include <cerrno>
#include <initializer_list>
#include <string_view>
#include <utility>

#include "supervisor/acts.h"
#include "supervisor/book.h"
#include "supervisor/dependencies.h"
#include "supervisor/lives.h"
#include "supervisor/report_words.h"

namespace hearth::supervisor {
namespace {

// How long a service without a readiness probe must live before an order calls it done. Whose last run has ended badly has
// to show more: a program that dies of its arguments after half a second would else be done at each try.
constexpr SpanNs settling = milliseconds(100), settling_again = seconds(1);

SpanNs settling_of(const SlotState& state) {
  return state.life.failures == 0 ? settling : settling_again;
}

// Could the service have brought this about by what it asks for itself?
bool may_be_its_own_limit(const ProcessSettings& asks, int code) {
  const auto limits = [&](std::initializer_list<std::string_view> names) {
    return std::ranges::any_of(asks.limits, [&](const ResourceLimit& limit) {
      return std::ranges::find(names, std::string_view(limit.name)) != names.end();
    });
  };
  switch (code) {
    case ENFILE: return false;  // the table of the whole machine
    case EAGAIN: return limits({"nproc"}) || asks.cgroup.pids_max != 0;
    case ENOMEM: return limits({"as", "data", "stack", "memlock"}) || asks.cgroup.memory_max != 0;
    default: return true;
  }
}

// The kernel had no room for one more process just then: before there was any, so nothing of the service has been tried.
// Or it had none for the program, which has not been begun either.
// `spec`: null, when it is lost.
bool found_no_room(const ports::EntryView& view, const ServiceSpec* spec) {
  const auto stage = static_cast<wire::SpawnStage>(view.fail_stage);
  if (stage == wire::SpawnStage::none || stage == wire::SpawnStage::plan) return false;
  const int code = view.fail_errno;
  if (stage != wire::SpawnStage::clone && stage != wire::SpawnStage::cgroup)
    return spec != nullptr && !may_be_its_own_limit(*spec->process, code);
  return code == EAGAIN || code == ENOMEM || code == EMFILE || code == ENFILE || code == ENOSPC;
}

// A start that cannot be begun, and not because something is short just now: what is missing, or may not be had, is the
// service's. What is hearth's own comes as try_later (os/spawn.cc), and an address that somebody has may be given back.
bool is_its_own_fault(const Error& refusal) {
  if (refusal.code == EROFS) return false;  // a disk that was made so after an error comes back
  switch (refusal.remedy) {
    case Remedy::fix_input:
    case Remedy::no_access:
    case Remedy::not_found:
    case Remedy::environment: return true;
    case Remedy::try_later:
    case Remedy::conflict: return false;
  }
  return false;
}

Error no_room_error(const std::string& label, const ports::EntryView& view) {
  const int code = view.fail_errno;
  const bool has_process = view.fail_stage > static_cast<std::uint32_t>(wire::SpawnStage::cgroup);
  Error error = errno_error(has_process ? "execute the program of" : "make a process for", label, code);
  if (code == EAGAIN) error.hint = "no more processes are allowed: see ulimit -u, and pids.max of hearth's cgroup";
  return error;
}

// A runtime directory that another replica, or another service, has as well goes with the last of their runs.
bool others_use_directories_of(const SlotBook& book, SlotIndex slot) {
  const std::vector<std::string>& own = book.service_spec(slot).around->runtime_directories;
  if (own.empty()) return false;
  return std::ranges::any_of(book.services(), [&](SlotIndex other) {
    if (other == slot || !book.slots[other].life.run_live || book.document_of(other) == nullptr) return false;
    return std::ranges::find_first_of(own, book.service_spec(other).around->runtime_directories) != own.end();
  });
}

}  // namespace

void Evidence::look_at(EntryIndex entry, Now now) {
  const SlotIndex slot = entry / wire::entries_per_slot;
  if (!book_.in_use(slot)) return;
  const ports::EntryView view = keeper_.entry(entry);
  for (RunCell& cell : book_.slots[slot].cell) {
    if (cell.run == no_run || cell.entry != entry) continue;
    if (view.run != cell.run) {
      // Free, or reused: only a reap of this run can have led there. A spawn that was decided and has not
      // reached the entry yet is the other case.
      if (cell.reap) entry_freed(slot, cell, now);
      continue;
    }
    // A window that was full may have opened, a plan that waited may have been taken.
    book_.want_act(slot);
    const bool seen = view.pid != 0 && (view.watched || view.exited);
    if (seen && cell.pid == 0) run_spawned(slot, cell, view, now);
    if (cell.start_ticks == 0 && cell.pid == view.pid && view.start_ticks != 0) {
      cell.start_ticks = view.start_ticks;  // it could not be read before
      book_.runs_changed = true;
      book_.touch(slot);
    }
    if (seen && view.main && is_sought(slot, cell, view)) main_found(slot, cell, view, now);
    if (leaves_daemon(slot, cell, view)) {
      book_.scratch[slot].leader_gone = cell.run;
      return;
    }
    const bool over = view.exited || (view.pid == 0 && view.fail_stage != 0);
    if (over && !cell.reap && std::find(ended_.begin(), ended_.end(), entry) == ended_.end()) ended_.push_back(entry);
    return;
  }
}

// A keeper that was killed may have written who it is before it is followed: so its PID alone does not tell.
bool Evidence::is_sought(SlotIndex slot, const RunCell& cell, const ports::EntryView& view) const {
  const SlotState& state = book_.slots[slot];
  if (cell.pid != view.pid) return true;
  return &cell == &state.run() && (state.health.forks || book_.scratch[slot].leader_gone == cell.run);
}

// Until it is found, or not needed any more: KILL is for everybody.
bool Evidence::leaves_daemon(SlotIndex slot, const RunCell& cell, const ports::EntryView& view) const {
  const SlotState& state = book_.slots[slot];
  if (state.role != SlotRole::service || book_.spec_of(slot).type != ServiceType::forking) return false;
  if (!view.exited || view.main || view.fail_stage != 0) return false;
  // Where the keeper has died nobody may be able to tell, and its daemon is there all the same.
  const bool well = view.exit_code == 1 && view.exit_status == 0;
  if (!well && view.exit_code != wire::wait_code_unknown) return false;
  const bool comes_or_goes = state.life.phase == Phase::starting || state.life.phase == Phase::stopping;
  return speaks_for(slot, cell.run) && comes_or_goes && !state.life.kill_sent && !cell.reap &&
         book_.scratch[slot].daemonless != cell.run;
}

// The entry is of another process than before: the one that its leader has left behind.
void Evidence::main_found(SlotIndex slot, RunCell& cell, const ports::EntryView& view, Now now) {
  Scratch& scratch = book_.scratch[slot];
  SlotState& state = book_.slots[slot];
  cell.pid = view.pid;
  cell.start_ticks = keeper_.start_ticks(cell.entry, view.pid);
  if (cell.start_ticks == 0) cell.start_ticks = view.start_ticks;
  scratch.leader_gone = no_run;
  book_.runs_changed = true;
  if (!book_.has_readiness(slot)) scratch.settle_at = after(now.mono, settling_of(state));
  book_.touch(slot);
  book_.weigh(slot);
  if (&cell != &state.run()) return;
  // What the leader was told has not reached who had left it by then.
  if (state.life.phase == Phase::stopping && cell.signal != 0 && view.last_op >= cell.op) cell.op = book_.next_op();
  lifecycle::Event event;
  event.kind = lifecycle::EventKind::spawned;
  event.has_readiness = book_.has_readiness(slot);
  lives_.feed(slot, event, now);
  lives_.judge(slot, health::found_main(state.health, book_.spec_of(slot), now), now);
}

// Is it the newest run of its slot, and alive? (A run that is only wanted has no cell yet: the newest cell is of the
// one before.)
bool Evidence::speaks_for(SlotIndex slot, RunId run) const {
  const SlotState& state = book_.slots[slot];
  return state.run().run == run && state.life.run_live && !state.run_wanted;
}

void Evidence::notified(std::size_t index, const ports::Input& input, Now now) {
  if (!book_.in_use(input.slot)) return;
  SlotState& state = book_.slots[input.slot];
  const health::NotifyMessage message = health::parse_notify(input.data.data(), input.data.size());
  const ServiceSpec& spec = book_.spec_of(input.slot);
  std::vector<StoreAction>& actions = book_.errands.store_actions;
  if (message.fdstore && input.descriptors > 0)
    actions.push_back({index, input.slot, false, message.fdname, spec.fdstore_max, message.fdpoll});
  if (message.fdstore_remove) actions.push_back({index, input.slot, true, message.fdname, 0, false});
  if (!hear(input.slot, input.run, now)) return;
  if (message.reloading) book_.scratch[input.slot].reload_at = 0;
  if (message.main_pid != 0) book_.scratch[input.slot].seek_at = 0;
  lives_.judge(input.slot, health::notify(state.health, spec, message, now), now);
  if (message.main_pid != 0) tell_other_main(input.slot, now);
}

// Once in a run: it may say so as often as it likes.
void Evidence::tell_other_main(SlotIndex slot, Now now) {
  RunId& told = book_.scratch[slot].other_main;
  if (told == book_.slots[slot].run().run) return;
  const std::string words = other_main_words(book_, keeper_, slot);
  if (words.empty()) return;
  told = book_.slots[slot].run().run;
  book_.add_note({now.wall, book_.label(slot) + ": " + words, book_.label(slot)});
}

// False: it is not for the newest run, or that is over. A message is proof that the process lives, even when the
// keeper's notice is still on its way.
bool Evidence::hear(SlotIndex slot, RunId run, Now now) {
  if (!speaks_for(slot, run)) return false;
  SlotState& state = book_.slots[slot];
  look_at(state.run().entry, now);
  if (!speaks_for(slot, run)) return false;
  const bool forks = book_.spec_of(slot).type == ServiceType::forking;
  if (!state.health.watching && state.life.phase == Phase::starting)
    begin_watch(slot, state.life.reason == Reason::adopted, !forks, now);
  return true;
}

void Evidence::begin_watch(SlotIndex slot, bool adopted, bool is_main, Now now) {
  Health& health = book_.slots[slot].health;
  const ServiceSpec& spec = book_.spec_of(slot);
  const bool as_it_is = adopted && is_main;
  const bool was_ready = book_.scratch[slot].found_ready == book_.slots[slot].run().run;
  lives_.judge(slot, as_it_is ? health::adopt(health, spec, was_ready, now) : health::watch(health, spec, now), now);
  // What nobody may have heard counts for the daemon as well, once that is found.
  if (adopted && !is_main && is_said_once(spec.ready->type)) health.ready_said = true;
}

void Evidence::said_ready(const ports::Input& input, Now now) {
  if (!book_.in_use(input.slot) || !hear(input.slot, input.run, now)) return;
  lives_.judge(input.slot, health::said_ready(book_.slots[input.slot].health, book_.spec_of(input.slot), now), now);
}

void Evidence::tell_unready(const ports::Input& input) {
  std::unique_ptr<std::string>& told = book_.scratch[input.slot].unready;
  if (input.data == (told ? *told : "")) return;
  told = input.data.empty() ? nullptr : std::make_unique<std::string>(input.data);
  book_.visible_change = true;
}

void Evidence::probed(const ports::Input& input, Now now) {
  if (!book_.in_use(input.slot) || !book_.slots[input.slot].life.run_live) return;
  const health::Which which = input.live ? health::Which::live : health::Which::ready;
  if (input.refused) return refused(input, now);
  // Of exec probes their own runs tell.
  if (std::exchange(book_.scratch[input.slot].unprobed[input.live], nullptr)) book_.visible_change = true;
  if (!input.live) tell_unready(input);
  if (input.memory) {
    book_.slots[input.slot].used_kib = static_cast<std::uint32_t>(std::min<std::uint64_t>(input.used_kib, UINT32_MAX));
    book_.touch(input.slot);
  }
  if (input.live)
    book_.scratch[input.slot].ate_too_much = !input.good && (input.memory || book_.scratch[input.slot].ate_too_much);
  if (input.live)
    book_.scratch[input.slot].sick = input.data.empty() ? nullptr : std::make_unique<std::string>(input.data);
  lives_.judge(input.slot,
               health::probe_result(book_.slots[input.slot].health, book_.spec_of(input.slot), which, input.attempt,
                                    input.good, now, input.memory ? Reason::memory : Reason::liveness),
               now);
}

// The prober could not look, which says nothing of the service.
void Evidence::refused(const ports::Input& input, Now now) {
  const health::Which which = input.live ? health::Which::live : health::Which::ready;
  Health& health = book_.slots[input.slot].health;
  const ProbeState& tried = input.live ? health.live_probe : health.ready_probe;
  if (!health.watching || !tried.in_flight || tried.attempt != input.attempt) return;
  book_.scratch[input.slot].unprobed[input.live] = std::make_unique<Error>(
      Error{Remedy::try_later, "probe", book_.label(input.slot), input.data, "it is tried again", 0});
  book_.visible_change = true;
  // Of a live probe by exec, only the memory after a good try is looked at here. And who used too much is not well because
  // nobody can see how much it is now.
  const bool answered = input.live && (input.good || book_.spec_of(input.slot).live->type == ProbeType::exec);
  const bool well = answered && !book_.scratch[input.slot].ate_too_much;
  lives_.judge(input.slot, health::try_refused(health, book_.spec_of(input.slot), which, input.attempt, now, well),
               now);
}

// Descendants may go on talking, so an end does not wait for ever.
void Evidence::end_runs(const std::vector<ports::Input>& inputs, Now now) {
  constexpr std::uint32_t turns_max = 600;  // more than a socket can queue, at one datagram a turn
  waiting_.clear();
  for (const EntryIndex entry : ended_) {
    const SlotIndex slot = entry / wire::entries_per_slot;
    if (!book_.in_use(slot)) continue;
    const ports::EntryView view = keeper_.entry(entry);
    for (RunCell& cell : book_.slots[slot].cell) {
      if (cell.run == no_run || cell.entry != entry || view.run != cell.run) continue;
      const bool talks = std::any_of(inputs.begin(), inputs.end(), [&](const ports::Input& input) {
        return input.kind == ports::InputKind::notify && input.run == cell.run;
      });
      if (talks && ++book_.scratch[slot].heard_out < turns_max) {
        waiting_.push_back(entry);
      } else {
        book_.scratch[slot].heard_out = 0;
        run_ended(slot, cell, view, now);
      }
      break;
    }
  }
  ended_.swap(waiting_);
}

void Evidence::run_spawned(SlotIndex slot, RunCell& cell, const ports::EntryView& view, Now now) {
  cell.pid = view.pid;
  cell.spawn = false;
  if (cell.started == 0) cell.started = now.wall;
  if (cell.start_ticks == 0) cell.start_ticks = keeper_.start_ticks(cell.entry, view.pid);
  book_.runs_changed = true;
  // A program that dies of its arguments does so at once; who waits for it shall hear of that, not of a start.
  if (!book_.has_readiness(slot)) book_.scratch[slot].settle_at = after(now.mono, settling_of(book_.slots[slot]));
  book_.touch(slot);
  book_.weigh(slot);  // somebody may wait for it to be started, which need not be a change of phase
  // A program that never came to be has not been spawned, whatever its PID.
  if (view.fail_stage != 0 || &cell != &book_.slots[slot].run()) return;
  SlotState& state = book_.slots[slot];
  const bool adopted = state.life.reason == Reason::adopted;
  lifecycle::Event event;
  event.kind = lifecycle::EventKind::spawned;
  event.has_readiness = book_.has_readiness(slot);
  const bool forks = state.role == SlotRole::service && book_.spec_of(slot).type == ServiceType::forking;
  event.main = !forks || view.main;
  lives_.feed(slot, event, now);
  const bool is_up = state.life.phase == Phase::starting || state.life.phase == Phase::running;
  if (state.role != SlotRole::service || !is_up) return;
  if (!state.health.watching) begin_watch(slot, adopted, event.main, now);
  if (event.main) lives_.judge(slot, health::found_main(state.health, book_.spec_of(slot), now), now);
}

void Evidence::run_ended(SlotIndex slot, RunCell& cell, const ports::EntryView& view, Now now) {
  if (cell.reap) return;  // known already
  SlotState& state = book_.slots[slot];
  cell.reap = true;
  cell.spawn = false;
  cell.pid = view.pid;
  book_.runs_changed = true;
  book_.scratch[slot].settle_at = book_.scratch[slot].reload_at = 0;
  ExitInfo exit;
  exit.code = view.exited ? view.exit_code : 0;
  exit.status = view.exit_status;
  exit.fail_stage = view.fail_stage;
  exit.fail_errno = view.fail_errno;
  exit.run = cell.run;
  exit.at = now.wall;
  // Of a probe's try that tells nothing: it counts as not made.
  if (view.exited && view.exit_code == wire::wait_code_unknown && !is_probe(state.role)) {
    ++book_.head.statuses_lost;
    book_.head_changed = true;
  }
  book_.touch(slot);
  book_.want_act(slot);
  if (&cell != &state.run()) return;  // an older run of the slot: its end decides nothing
  state.last_exit = exit;
  book_.scratch[slot].use = view.use;
  book_.scratch[slot].lasted = cell.started == 0 ? 0 : std::max<SpanNs>(now.wall - cell.started, 0);
  // A program that goes into the background looks like this.
  state.left_behind = state.role == SlotRole::service && !view.main && state.life.phase != Phase::stopping &&
                      exit.fail_stage == 0 && exit.code == 1 && exit.status == 0 &&
                      keeper_.left_behind(cell.run, book_.label(slot));
  const bool forks = state.role == SlotRole::service && book_.spec_of(slot).type == ServiceType::forking;
  state.no_daemon = forks && !view.main && exit.fail_stage == 0;
  book_.scratch[slot].leader_gone = book_.scratch[slot].daemonless = no_run;
  lives_.end_tries(slot, now);
  // One that we ended says nothing of the service, and the number of its try may be the next one's already.
  const bool told = is_probe(state.role) && state.life.phase != Phase::stopping;
  lifecycle::Event event;
  event.kind = view.fail_stage != 0 ? lifecycle::EventKind::spawn_failed : lifecycle::EventKind::exited;
  event.exit = exit;
  const bool no_room = found_no_room(view, book_.document_of(slot) == nullptr ? nullptr : &book_.service_spec(slot));
  if (no_room) {
    event.reason = Reason::refused;
    book_.scratch[slot].refusal = std::make_unique<Error>(no_room_error(book_.label(slot), view));
  }
  event.has_readiness = book_.has_readiness(slot);
  event.main = !forks || view.main;
  event.dependencies_met = dependencies_met(book_, slot);
  event.random = book_.random();
  lives_.feed(slot, event, now);
  if (!told) return;
  no_room ? lives_.try_refused(slot, Error(*book_.scratch[slot].refusal), now) : lives_.try_ended(slot, exit, now);
}

void Evidence::decide_daemonless(SlotIndex slot, Now now) {
  const RunId run = std::exchange(book_.scratch[slot].daemonless, no_run);
  RunCell& cell = book_.slots[slot].run();
  if (run == no_run || run != cell.run || cell.entry == no_entry) return;
  const ports::EntryView view = keeper_.entry(cell.entry);
  // The keeper may have been told of it just before.
  if (view.run == run && view.exited && !view.main) run_ended(slot, cell, view, now);
}

void Evidence::lost(SlotIndex slot, RunCell& cell, Now now) {
  ports::EntryView view;
  view.run = cell.run;
  view.pid = cell.pid;
  view.exited = true;
  view.exit_code = wire::wait_code_unknown;
  run_ended(slot, cell, view, now);
}

void Evidence::entry_freed(SlotIndex slot, RunCell& cell, Now now) {
  cell.reap = false;
  cell.entry = no_entry;
  cell.pid = 0;
  cell.signal = 0;
  book_.runs_changed = true;
  book_.touch(slot);
  book_.want_act(slot);
  book_.weigh(slot);
  keeper_.release_run(slot, cell.run);
  SlotState& state = book_.slots[slot];
  if (is_hook(state.role) && state.parent != no_slot) book_.weigh(state.parent);  // it may wait for that to be over
  const bool stays_down = state.role == SlotRole::service && !state.run_wanted && !state.life.run_live &&
                          book_.document_of(slot) != nullptr && !others_use_directories_of(book_, slot);
  if (stays_down) keeper_.release_surroundings(spawn_order(book_, slot, cell));
  if (!state.run_wanted) return;
  if (needs_met(book_, slot)) return lives_.new_run(slot, now);
  lives_.take_start_back(slot, now);  // what it depends on went away while both entries waited for their reap
}

void Evidence::decide_refusal(SlotIndex slot, Now now) {
  Scratch& scratch = book_.scratch[slot];
  SlotState& state = book_.slots[slot];
  const RunId refused = std::exchange(scratch.refused, no_run);
  RunCell& cell = state.run();
  // Unless it was stopped meanwhile: what is there then is another run.
  if (refused == no_run || refused != cell.run || !cell.spawn) return;
  lifecycle::Event event;
  event.kind = lifecycle::EventKind::spawn_failed;
  // A probe's is told, and tried again (below).
  const bool fails = !is_probe(state.role) && is_its_own_fault(*scratch.refusal);
  event.reason = fails ? Reason::none : Reason::refused;
  event.random = book_.random();
  event.dependencies_met = dependencies_met(book_, slot);
  event.exit.run = cell.run;
  event.exit.fail_stage = static_cast<std::uint32_t>(wire::SpawnStage::plan);
  event.exit.fail_errno = scratch.refusal->code;
  event.exit.at = now.wall;
  cell.spawn = false;
  cell.entry = no_entry;
  state.last_exit = event.exit;
  lives_.feed(slot, event, now);
  if (is_probe(state.role)) lives_.try_refused(slot, *scratch.refusal, now);
}

}  // namespace hearth::supervisor
