#include "supervisor/takeover.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <string>
#include <utility>

#include "supervisor/acts.h"
#include "supervisor/book.h"
#include "supervisor/evidence.h"
#include "supervisor/lives.h"
#include "supervisor/supervisor.h"

namespace hearth::supervisor {

Takeover::Takeover(SlotBook& book, Lives& lives, Evidence& evidence, Placing& placing, const World& world,
                   const Options& options, Now now)
    : book_(book),
      lives_(lives),
      evidence_(evidence),
      placing_(placing),
      keeper_(world.keeper),
      store_(world.store),
      options_(options),
      now_(now) {}

void Takeover::note(std::string text, std::string slot) {
  book_.add_note({now_.wall, std::move(text), std::move(slot)});
}

Result<bool> Takeover::resume(wire::DecisionPage& page) {
  Head& head = book_.head;
  head = head_of(page);
  wire::discard_uncommitted(page, head.slots_used);
  ++head.takeovers;
  book_.head_changed = true;
  if (const Status found = continue_journal(); !found) return failure(found.error());
  const bool revived = head.keeper_generation < options_.continued_by;
  if (revived) revive();
  head.keeper_generation = options_.keeper_generation;

  book_.grow_to(head.slots_used);
  for (SlotIndex slot = 0; slot < book_.size(); ++slot) {
    SlotState& state = book_.slots[slot];
    (void)wire::read_slot(page, slot, &state, sizeof(SlotState));
    if (!makes_sense(state, slot, book_.size())) disbelieve(slot);
  }
  if (const Status read = read_documents(); !read) return failure(read.error());
  book_.index_slots();
  book_.runs_changed = true;  // our predecessor may have died before it wrote its last change
  for (SlotIndex slot = 0; slot < book_.size(); ++slot) resume_slot(slot, revived);
  return revived;
}

Status Takeover::continue_journal() {
  Head& head = book_.head;
  const Result<ports::JournalMark> mark =
      store_.continue_journal(ports::JournalMark{head.last_event, head.journal_end});
  if (!mark) return failure(mark.error());
  head.last_event = mark->last;
  head.journal_end = mark->end;
  EventRecord event;
  event.what = Happening::takeover;
  event.time = now_.wall;
  event.pid = options_.pid;
  event.text = "supervisor PID " + std::to_string(options_.pid) + " goes on in the place of the one before";
  book_.errands.happened.push_back(std::move(event));
  return {};
}

// What was committed behind a copy may have been read by somebody, who would miss another event of the same number. A hearth
// that has ended had nothing behind it.
void Takeover::begin_events(const ports::JournalMark& mark, EventId last_of_ended) {
  Head& head = book_.head;
  head.last_event = mark.last;
  head.journal_end = mark.end;
  if (!mark.of_copy || mark.last == last_of_ended) return;
  head.last_event += ports::ids_left_out;
  EventRecord event;
  event.what = Happening::loss;
  event.time = now_.wall;
  event.text = "events after " + std::to_string(mark.last) +
               " may be lost: DIR/state had them and is gone, and the copy on the disk is behind, or cannot be read";
  book_.errands.happened.push_back(std::move(event));
}

// Those that slots name: of an apply that was never committed nothing is taken over.
Status Takeover::read_documents() {
  std::vector<std::uint64_t> versions;
  for (const SlotIndex slot : book_.used()) versions.push_back(book_.slots[slot].document);
  std::sort(versions.begin(), versions.end());
  versions.erase(std::unique(versions.begin(), versions.end()), versions.end());
  Result<std::vector<Document>> documents = store_.documents(versions);
  if (!documents) return failure(documents.error());
  for (Document& document : *documents) {
    const std::uint64_t version = document.version;
    if (const Status added = book_.registry.add(std::move(document)); !added)
      note("document " + std::to_string(version) + " is lost: " + added.error().text());
  }
  return {};
}

// What was parked at the keeper, and what was under way in sockets, is gone; slot table and page are as they were.
void Takeover::revive() {
  Head& head = book_.head;
  note((head.leaving ? "an earlier hearth has left its services" : "all of hearth had died") +
       std::string("; this one goes on from ") + options_.directory +
       "/state. Lost are descriptors that services had stored, their unread notifications, at most one batch of "
       "output, and what whoever has ended since had written last");
  // Who was told to leave the services has left them.
  if (head.leaving) head.shutting_down = head.leaving = head.force = false;
  // Signals that nobody had handled were for a hearth that is dead.
  for (std::size_t i = 0; i < std::size(keeper_signals); ++i)
    for (const auto& [number, count] : options_.signals)
      if (keeper_signals[i] == number) head.signals_handled[i] = count;
}

void Takeover::resume_slot(SlotIndex slot, bool revived) {
  // Forgotten, and perhaps not released any more.
  if (!book_.slots[slot].used) return keeper_.release_slot(slot);
  if (book_.document_of(slot) == nullptr) return give_up(slot);
  forget_tries(slot);
  revived ? take_up(slot) : keep_open(slot);
  // Our predecessor may have died before it told what has changed since the run began.
  if (book_.slots[slot].run().document != book_.slots[slot].document) book_.errands.respecified.push_back(slot);
  book_.touch(slot);
  book_.want_act(slot);
  for (std::uint32_t i = 0; i < wire::entries_per_slot; ++i) evidence_.look_at(slot * wire::entries_per_slot + i, now_);
  book_.weigh(slot);
}

// As give_up(), for what would lead us astray: who it was cannot even be said.
void Takeover::disbelieve(SlotIndex slot) {
  note("what the decision page has of slot " + std::to_string(slot) +
       " makes no sense, and nothing of it is believed; what runs of it is left alone. hearth up starts what is "
       "missing");
  book_.slots[slot] = SlotState{};
  book_.touch(slot);
}

// Without its specification a slot can be neither run nor told about; what runs of it is left alone and named.
void Takeover::give_up(SlotIndex slot) {
  SlotState& state = book_.slots[slot];
  note("the specification of slot " + std::to_string(slot) + " is lost; run " + std::to_string(state.run().run) +
       " (PID " + std::to_string(state.run().pid) + ") is left alone");
  state.used = false;
  book_.touch(slot);
}

void Takeover::take_up(SlotIndex slot) {
  SlotState& state = book_.slots[slot];
  for (RunCell& cell : state.cell) {
    if (cell.run == no_run) continue;
    keeper_.take_up(spawn_order(book_, slot, cell));
    if (cell.entry == no_entry) continue;
    const ports::EntryView view = keeper_.entry(cell.entry);
    // It began unseen, and may have said what nobody will hear (Evidence::run_spawned).
    // The leader of one that goes into the background may have ended: what it has left is the run.
    const bool ended = view.exited && book_.spec_of(slot).type != ServiceType::forking;
    if (view.run == cell.run && view.pid != 0 && !ended && cell.pid == 0 && state.life.phase == Phase::starting)
      state.life.reason = Reason::adopted;
    // The keeper, left without a supervisor, has ended it and given the entry back.
    if (view.run != cell.run && !cell.spawn && !cell.reap) evidence_.lost(slot, cell, now_);
  }
  take_for_ready(slot, "while all of hearth was dead");
}

void Takeover::keep_open(SlotIndex slot) {
  const SlotState& state = book_.slots[slot];
  for (const RunCell& cell : state.cell) {
    if (cell.run == no_run) continue;
    // One that goes on under a newer document follows that; one that is to make place for the next does not.
    const bool goes_on = &cell == &state.run() && book_.is_up(slot) && !state.run_wanted;
    const bool its_spec = goes_on || cell.document == state.document;
    const std::string lost = keeper_.keep_open(spawn_order(book_, slot, cell), its_spec);
    if (!lost.empty() && goes_on) take_for_ready(slot, "while the keeper had no room for its " + lost);
  }
}

// READY=1 may have been said while nobody listened, and is not said twice: what has been loading for an hour must not
// be ended for that (health.h, adopt). What has ended loads no more, nor does what has said STOPPING=1.
void Takeover::take_for_ready(SlotIndex slot, const std::string& when) {
  SlotState& state = book_.slots[slot];
  Health& health = state.health;
  if (state.role != SlotRole::service || !health.watching || health.ready || health.stopping ||
      !is_said_once(book_.spec_of(slot).ready->type))
    return;
  if (health.forks) {
    // Its main process has not been found: that is waited for, whether or not its leader lives, and then it counts as ready.
    health.ready_said = true;
    return;
  }
  if (keeper_.entry(state.run().entry).exited) return;
  char said[sizeof health.status];
  std::memcpy(said, health.status, sizeof said);
  lives_.judge(slot, health::adopt(health, book_.spec_of(slot), false, now_), now_);
  std::memcpy(health.status, said, sizeof said);
  note(book_.label(slot) + " counts as ready: nobody knows whether it said so " + when, book_.label(slot));
}

// Tries of our own process died with our predecessor. Those of exec probes are runs, and go on without us: their answer
// is still to come, and another try meanwhile would count against the service.
void Takeover::forget_tries(SlotIndex slot) {
  SlotState& state = book_.slots[slot];
  const Health before = state.health;
  health::forget_tries(state.health, now_);
  if (state.role != SlotRole::service) return;
  const AppliedDocument& applied = *book_.applied(slot);
  const ServiceSpec& spec = book_.spec_of(slot);
  const auto goes_on = [&](const Probe& probe, SlotIndex runner, const ProbeState& tried) {
    return probe.type == ProbeType::exec && runner != no_slot && book_.slots[runner].life.run_live &&
           book_.slots[runner].probe_attempt == tried.attempt;
  };
  if (goes_on(spec.ready, applied.ready_probes[applied.place(state)], before.ready_probe))
    state.health.ready_probe = before.ready_probe;
  if (goes_on(spec.live, applied.live_probes[applied.place(state)], before.live_probe))
    state.health.live_probe = before.live_probe;
}

}  // namespace hearth::supervisor
