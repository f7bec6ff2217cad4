// Building the supervisor's knowledge from decision page, slot table and documents.
#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "supervisor/supervisor.h"

namespace hearth::supervisor {

Supervisor::Supervisor(World world, wire::DecisionPage& page, Options options)
    : world_(world), page_(page), writer_(page), options_(std::move(options)) {
  probe_spec_.name = "probe";
  probe_spec_.restart = RestartPolicy::never;
  probe_spec_.stop_signal = 9;
  probe_spec_.stop_timeout = milliseconds(500);
  probe_spec_.start_timeout = 0;
  probe_spec_.fdstore_max = 0;
}

bool Supervisor::readable(const wire::DecisionPage& page) {
  return wire::decision_page_valid(page, sizeof page, record_version) && wire::held_head(page) != nullptr;
}

std::unique_ptr<Supervisor> Supervisor::create(World world, wire::DecisionPage& page, Options options,
                                               const ports::Heritage& heritage, Now now) {
  std::unique_ptr<Supervisor> self(new Supervisor(world, page, std::move(options)));
  if (!readable(page)) {
    // One of another version must not be taken for ours in parts, and what a first commit that never was has left
    // must not come alive with ours.
    if (page.magic != 0 && !wire::decision_page_valid(page, sizeof page, record_version)) {
      const std::uint64_t state_id = page.state_id;
      std::memset(static_cast<void*>(&page), 0, sizeof page);
      page.state_id = state_id;
    }
    wire::decision_page_init(page, record_version);
    wire::discard_uncommitted(page, 0);
    self->head_.random = self->options_.seed | 1;
    self->head_.last_run = heritage.greatest_run;
    self->head_.keeper_generation = self->options_.keeper_generation;
    self->head_changed_ = true;
    self->now_ = now;
    self->adopt(heritage, now);
  } else {
    self->load(now);
  }
  self->since_ = now.wall;
  self->again_ = true;
  return self;
}

void Supervisor::load(Now now) {
  now_ = now;
  std::memcpy(&head_, wire::held_head(page_), sizeof head_);
  wire::discard_uncommitted(page_, head_.slots_used);
  ++head_.takeovers;
  head_changed_ = true;
  // Whatever ran out before this moment ran out while nobody watched.
  absent_since_ = 0;
  revived_ = head_.keeper_generation < options_.continued_by;
  if (revived_) revive();
  head_.keeper_generation = options_.keeper_generation;

  slots_.resize(head_.slots_used);
  scratch_.resize(head_.slots_used);
  due_at_.resize(head_.slots_used, never);
  for (SlotIndex slot = 0; slot < head_.slots_used; ++slot) {
    if (const unsigned char* bytes = wire::held_slot(page_, slot)) std::memcpy(&slots_[slot], bytes, sizeof(SlotState));
  }
  load_documents();
  index_slots();
  runs_changed_ = true;  // our predecessor may have died before it wrote its last change
  for (SlotIndex slot = 0; slot < head_.slots_used; ++slot) {
    if (!slots_[slot].used) {
      world_.keeper.release_slot(slot);  // forgotten, and perhaps not released any more
      continue;
    }
    if (document_of(slot) == nullptr) {
      // Without its specification a slot can be neither run nor told about; what runs of it is left alone and
      // named.
      add_note("the specification of slot " + std::to_string(slot) + " is lost; run " +
               std::to_string(slots_[slot].run().run) + " (PID " + std::to_string(slots_[slot].run().pid) +
               ") is left alone");
      slots_[slot].used = false;
      touch(slot);
      continue;
    }
    forget_tries(slot, now);
    if (revived_) take_up(slot, now);
    touch(slot);
    want_act(slot);
    for (std::uint32_t i = 0; i < wire::entries_per_slot; ++i) look_at(slot * wire::entries_per_slot + i, now);
    propagate_.push_back(slot);
    scratch_[slot].propagate = true;
  }
}

// Those that slots name: of an apply that was never committed nothing is taken over.
void Supervisor::load_documents() {
  std::vector<std::uint64_t> versions;
  for (const SlotState& state : slots_)
    if (state.used) versions.push_back(state.document);
  std::sort(versions.begin(), versions.end());
  versions.erase(std::unique(versions.begin(), versions.end()), versions.end());
  for (Document& document : world_.store.documents(versions)) {
    const std::uint64_t version = document.version;
    if (const Status added = registry_.add(std::move(document)); !added)
      add_note("document " + std::to_string(version) + " is lost: " + added.error().text());
  }
}

// All of hearth died at once. Slot table and page are as they were; what was parked at the keeper, and what was under way
// in sockets, is gone.
void Supervisor::revive() {
  add_note((head_.leaving ? "an earlier hearth has left its services" : "all of hearth had died") +
           std::string("; this one goes on from ") + options_.directory +
           "/state. Lost are descriptors that services had stored, their unread notifications, and at most one batch "
           "of output");
  // Who was told to leave the services has left them.
  if (head_.leaving) head_.shutting_down = head_.leaving = head_.force = false;
  // Signals that nobody had handled were for a hearth that is dead.
  for (std::size_t i = 0; i < std::size(keeper_signals); ++i)
    for (const auto& [number, count] : options_.signals)
      if (keeper_signals[i] == number) head_.signals_handled[i] = count;
}

void Supervisor::take_up(SlotIndex slot, Now now) {
  SlotState& state = slots_[slot];
  for (RunCell& cell : state.cell) {
    if (cell.run == no_run) continue;
    world_.keeper.take_up(spawn_order(slot, cell));
    if (cell.entry == no_entry) continue;
    const ports::EntryView view = world_.keeper.entry(cell.entry);
    // It began unseen, and may have said what nobody will hear (run_spawned).
    if (view.run == cell.run && view.pid != 0 && !view.exited && cell.pid == 0 && state.life.phase == Phase::starting)
      state.life.reason = Reason::adopted;
    if (view.run != cell.run && !cell.spawn && !cell.reap) {
      // The keeper, left without a supervisor, has ended it and given the entry back.
      ports::EntryView lost;
      lost.run = cell.run;
      lost.pid = cell.pid;
      lost.exited = true;
      lost.exit_code = wire::wait_code_unknown;
      run_ended(slot, cell, lost, now);
    }
  }
  // READY=1 may have been said while nobody listened, and is not said twice: what has been loading for an hour must not
  // be ended for that (health.h, adopt). What has ended loads no more.
  Health& health = state.health;
  if (state.role != SlotRole::service || !health.watching || health.ready ||
      spec_of(slot).ready.type != ProbeType::notify || world_.keeper.entry(state.run().entry).exited)
    return;
  char said[sizeof health.status];
  std::memcpy(said, health.status, sizeof said);
  apply_verdict(slot, health::adopt(health, spec_of(slot), now), now);
  std::memcpy(health.status, said, sizeof said);
  add_note(label(slot) + " counts as ready: nobody knows whether it said so while all of hearth was dead");
}

// Tries of our own process died with our predecessor. Those of exec probes are runs, and go on without us: their answer
// is still to come, and another try meanwhile would count against the service.
void Supervisor::forget_tries(SlotIndex slot, Now now) {
  Health& health = slots_[slot].health;
  const Health before = health;
  health::forget_tries(health, now);
  if (slots_[slot].role != SlotRole::service) return;
  const AppliedDocument& applied = *registry_.find(slots_[slot].document);
  const ServiceSpec& spec = spec_of(slot);
  const auto goes_on = [&](const Probe& probe, SlotIndex runner, const ProbeState& state) {
    return probe.type == ProbeType::exec && runner != no_slot && slots_[runner].life.run_live &&
           slots_[runner].probe_attempt == state.attempt;
  };
  if (goes_on(spec.ready, applied.ready_probes[slots_[slot].service], before.ready_probe))
    health.ready_probe = before.ready_probe;
  if (goes_on(spec.live, applied.live_probes[slots_[slot].service], before.live_probe))
    health.live_probe = before.live_probe;
}

void Supervisor::index_slots() {
  for (SlotIndex slot = 0; slot < slots_.size(); ++slot) {
    const SlotState& state = slots_[slot];
    if (!state.used) continue;
    AppliedDocument* applied = registry_.find(state.document);
    if (applied == nullptr || state.service >= applied->slots.size()) continue;
    std::vector<SlotIndex>& by_service = state.role == SlotRole::service       ? applied->slots
                                         : state.role == SlotRole::ready_probe ? applied->ready_probes
                                                                               : applied->live_probes;
    by_service[state.service] = slot;
  }
}

// Those of the heritage that an entry holds already.
std::unordered_map<RunId, SlotIndex> Supervisor::runs_in_table(const ports::Heritage& heritage) const {
  std::unordered_map<RunId, SlotIndex> found;
  if (heritage.runs.empty() && heritage.gone.empty()) return found;
  for (SlotIndex slot = 0; slot < wire::max_slots; ++slot)
    if (const RunId run = world_.keeper.entry(slot * wire::entries_per_slot).run; run != no_run) found[run] = slot;
  return found;
}

void Supervisor::adopt(const ports::Heritage& heritage, Now now) {
  for (const std::string& loss : heritage.losses) add_note(loss);
  head_.last_document = heritage.greatest_document;
  for (const Document& document : heritage.documents) {
    head_.last_document = std::max(head_.last_document, document.version);
    if (const Status added = registry_.add(document); !added)
      add_note("document " + std::to_string(document.version) + " is lost: " + added.error().text());
  }
  // A predecessor that died before its first commit may have taken over some of them: they stay where they are, and
  // what has ended since is known there.
  const std::unordered_map<RunId, SlotIndex> taken = runs_in_table(heritage);
  const auto place = [&](const ports::RunNote& note) -> SlotIndex {
    AppliedDocument* applied = registry_.find(note.document);
    if (applied == nullptr || note.service >= applied->slots.size()) return no_slot;
    const auto its = taken.find(note.run);
    if (applied->slots[note.service] == no_slot)
      applied->slots[note.service] =
          allocate(*applied, note.service, SlotRole::service, its == taken.end() ? no_slot : its->second);
    return applied->slots[note.service];
  };
  std::vector<ports::RunNote> runs = heritage.runs;
  for (const ports::RunNote& note : heritage.gone)
    if (taken.contains(note.run)) runs.push_back(note);
  // First those whose place is fixed.
  std::stable_partition(runs.begin(), runs.end(), [&](const ports::RunNote& note) { return taken.contains(note.run); });
  for (const ports::RunNote& note : runs) {
    const SlotIndex slot = place(note);
    if (slot == no_slot) {
      add_note(note.label + " (PID " + std::to_string(note.pid) + ") runs, but " +
               (registry_.find(note.document) == nullptr ? "its specification is lost" : "there is no room for it") +
               "; it is left alone");
      continue;
    }
    SlotState& state = slots_[slot];
    RunCell& cell = state.run();
    if (cell.run != no_run) {
      add_note(note.label + ": a second process (PID " + std::to_string(note.pid) + ") is left alone");
      continue;
    }
    cell.run = note.run;
    cell.entry = slot * wire::entries_per_slot;
    cell.document = note.document;
    cell.started = now.wall;
    state.life.want_up = note.want_up;
    state.life.run_live = true;
    state.life.phase = Phase::starting;
    state.life.reason = Reason::adopted;
    ports::SpawnOrder order;
    order.slot = slot;
    order.entry = cell.entry;
    order.run = cell.run;
    order.label = label(slot);
    order.document = document_of(slot);
    order.spec = &spec_of(slot);
    order.notify = true;  // as it was started: it may speak without being asked to
    head_.last_run = std::max(head_.last_run, note.run);
    if (taken.contains(note.run)) {
      world_.keeper.take_up(order);
    } else if (!world_.keeper.adopt(order, note.pid, note.start_ticks)) {
      state.life.run_live = false;
      state.life.phase = Phase::stopped;
      state.last_exit.code = wire::wait_code_unknown;
      state.last_exit.run = cell.run;
      ++head_.statuses_lost;
      cell = RunCell{};
      lifecycle::Event again;
      again.kind = lifecycle::EventKind::order_start;
      again.dependencies_met = false;
      if (note.want_up) feed(slot, again, now);
    }
    touch(slot);
    want_act(slot);
    look_at(slot * wire::entries_per_slot, now);
    if (!note.want_up && state.life.run_live) {
      // It was being stopped when everything died; as it is it would be kept up. Its dependents still end before it.
      lifecycle::Event stop;
      stop.kind = lifecycle::EventKind::order_stop;
      stop.hold = true;
      feed(slot, stop, now);
      propagate_from(slot, now);
    }
  }
  for (const ports::RunNote& note : heritage.gone) {
    if (taken.contains(note.run)) continue;
    const SlotIndex slot = place(note);
    if (slot == no_slot || slots_[slot].life.run_live) continue;
    // Without a run it was down already, and nothing is lost.
    if (note.run != no_run) {
      slots_[slot].life.reason = Reason::lost;
      slots_[slot].last_exit.code = wire::wait_code_unknown;
      slots_[slot].last_exit.run = note.run;
      ++head_.statuses_lost;
    }
    if (note.want_up && note.run != no_run && spec_of(slot).restart == RestartPolicy::never) {
      // It ran and ended, nobody can say how: that is a failure, and its policy forbids another run.
      slots_[slot].life.want_up = true;
      slots_[slot].life.phase = Phase::failed;
    } else if (note.want_up) {
      lifecycle::Event again;
      again.kind = lifecycle::EventKind::order_start;
      again.dependencies_met = false;
      feed(slot, again, now);
    }
    touch(slot);
    want_act(slot);
  }
  for (const auto& [version, applied] : registry_.all()) {
    place_probes(*applied);
    // A successor finds only what is parked, and these were found on disk.
    const bool followed =
        std::any_of(applied->slots.begin(), applied->slots.end(), [](SlotIndex slot) { return slot != no_slot; });
    if (!followed) continue;
    if (const Status kept = world_.store.put_document(applied->document); !kept)
      add_note("project " + applied->document.project + " would not outlive this supervisor: " + kept.error().text());
  }
  runs_changed_ = true;
}

}  // namespace hearth::supervisor
