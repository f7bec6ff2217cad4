// The part of taking over that goes from what an earlier hearth has left on disk (takeover.h, adopt).
#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "supervisor/acts.h"
#include "supervisor/book.h"
#include "supervisor/evidence.h"
#include "supervisor/lives.h"
#include "supervisor/placing.h"
#include "supervisor/takeover.h"

namespace hearth::supervisor {

void Takeover::adopt(const ports::Heritage& heritage) {
  for (const std::string& loss : heritage.losses) note(loss);
  book_.head.last_document = heritage.greatest_document;
  for (const Document& document : heritage.documents) {
    book_.head.last_document = std::max(book_.head.last_document, document.version);
    if (const Status added = book_.registry.add(document); !added)
      note("document " + std::to_string(document.version) + " is lost: " + added.error().text());
  }
  find_taken(heritage);
  std::vector<ports::RunNote> runs = heritage.runs;
  for (const ports::RunNote& run : heritage.gone)
    if (taken_.contains(run.run)) runs.push_back(run);
  // First those whose place is fixed.
  std::stable_partition(runs.begin(), runs.end(),
                        [this](const ports::RunNote& run) { return taken_.contains(run.run); });
  for (const ports::RunNote& run : runs) adopt_run(run);
  for (const ports::RunNote& run : heritage.gone)
    if (!taken_.contains(run.run)) mourn(run);
  go_on_removing();
  keep_documents();
  book_.runs_changed = true;
}

// A project follows one document. What follows an older one and is to be down had left it, and was going away.
void Takeover::go_on_removing() {
  std::map<std::string_view, std::uint64_t> newest;
  for (const SlotIndex slot : book_.services()) {
    const Document& document = *book_.document_of(slot);
    if (document.path.empty()) continue;  // of `hearth run` each has its own
    std::uint64_t& version = newest[document.project];
    version = std::max(version, document.version);
  }
  for (const SlotIndex slot : book_.services()) {
    SlotState& state = book_.slots[slot];
    const Document& document = *book_.document_of(slot);
    if (document.path.empty() || state.life.want_up || document.version == newest[document.project]) continue;
    state.removing = true;
    book_.touch(slot);
    book_.weigh(slot);
  }
}

// A predecessor that died before its first commit may have taken over some of them: they stay where they are, and what
// has ended since is known there. So do all when its page cannot be read.
void Takeover::find_taken(const ports::Heritage& heritage) {
  if (heritage.runs.empty() && heritage.gone.empty()) return;
  for (EntryIndex entry = 0; entry < wire::max_slots * wire::entries_per_slot; ++entry)
    if (const RunId run = keeper_.entry(entry).run; run != no_run) taken_[run] = entry;
}

// no_slot: its document is lost, or there is no room.
SlotIndex Takeover::place(const ports::RunNote& run) {
  AppliedDocument* applied = book_.registry.find(run.document);
  if (applied == nullptr || !applied->has(run.service, run.replica)) return no_slot;
  SlotIndex& slot = applied->slots[applied->place(run.service, run.replica)];
  if (slot != no_slot) return slot;
  const auto its = taken_.find(run.run);
  slot = placing_.allocate(*applied, {run.service, run.replica}, SlotRole::service,
                           its == taken_.end() ? no_slot : its->second / wire::entries_per_slot);
  return slot;
}

void Takeover::adopt_run(const ports::RunNote& run) {
  const SlotIndex slot = place(run);
  if (slot == no_slot)
    return note(
        run.label + " (PID " + std::to_string(run.pid) + ") runs, but " +
            (book_.registry.find(run.document) == nullptr ? "its specification is lost" : "there is no room for it") +
            "; it is left alone",
        run.label);
  SlotState& state = book_.slots[slot];
  const auto its = taken_.find(run.run);
  const bool is_there = its != taken_.end() && its->second / wire::entries_per_slot == slot;
  const EntryIndex entry = is_there ? its->second : slot * wire::entries_per_slot;
  if (state.run().run == no_run) state.current = static_cast<std::uint8_t>(entry % wire::entries_per_slot);
  RunCell& cell = state.run();
  if (cell.run != no_run)
    return note(run.label + ": a second process (PID " + std::to_string(run.pid) + ") is left alone", run.label);
  cell.run = run.run;
  cell.entry = entry;
  cell.document = run.document;
  cell.started = now_.wall;
  if (run.was_ready) book_.scratch[slot].found_ready = run.run;
  state.life.want_up = run.want_up;
  state.life.run_live = true;
  state.life.phase = Phase::starting;
  state.life.reason = Reason::adopted;
  give_to_keeper(slot, run);
  book_.touch(slot);
  book_.want_act(slot);
  evidence_.look_at(entry, now_);
  take_other_run(slot);
  if (run.want_up || !state.life.run_live) return;
  // It was being stopped when everything died; as it is it would be kept up. Its dependents still end before it.
  lifecycle::Event stop;
  stop.kind = lifecycle::EventKind::order_stop;
  stop.hold = true;
  lives_.feed(slot, stop, now_);
  book_.weigh(slot);
}

// The run before may wait for its reap in the other entry, which the next one will need.
void Takeover::take_other_run(SlotIndex slot) {
  SlotState& state = book_.slots[slot];
  const auto other = static_cast<std::uint8_t>(state.current ^ 1);
  const EntryIndex entry = slot * wire::entries_per_slot + other;
  const RunId run = keeper_.entry(entry).run;
  if (run == no_run || state.cell[other].run != no_run) return;
  state.cell[other].run = run;
  state.cell[other].entry = entry;
  state.cell[other].document = state.document;
  evidence_.look_at(entry, now_);
}

void Takeover::give_to_keeper(SlotIndex slot, const ports::RunNote& run) {
  SlotState& state = book_.slots[slot];
  RunCell& cell = state.run();
  const ports::SpawnOrder order = spawn_order(book_, slot, cell);
  book_.head.last_run = std::max(book_.head.last_run, run.run);
  if (taken_.contains(run.run)) return keeper_.take_up(order);
  if (keeper_.adopt(order, run.pid, run.start_ticks)) return;
  state.life.run_live = false;
  state.life.phase = Phase::stopped;
  state.last_exit.code = wire::wait_code_unknown;
  state.last_exit.run = cell.run;
  ++book_.head.statuses_lost;
  cell = RunCell{};
  if (run.want_up) start_again(slot);
}

// A run that was noted and is no longer there.
void Takeover::mourn(const ports::RunNote& run) {
  const SlotIndex slot = place(run);
  if (slot == no_slot || book_.slots[slot].life.run_live) return;
  SlotState& state = book_.slots[slot];
  // Without a run it was down already, and nothing is lost.
  if (run.run != no_run) {
    state.life.reason = Reason::lost;
    state.last_exit.code = wire::wait_code_unknown;
    state.last_exit.run = run.run;
    ++book_.head.statuses_lost;
  }
  if (run.want_up && run.run != no_run && book_.spec_of(slot).restart == RestartPolicy::never) {
    // It ran and ended, nobody can say how: that is a failure, and its policy forbids another run.
    state.life.want_up = true;
    state.life.phase = Phase::failed;
  } else if (run.want_up) {
    start_again(slot);
  }
  book_.touch(slot);
  book_.want_act(slot);
}

// When its dependencies are there: nothing is known of them yet.
void Takeover::start_again(SlotIndex slot) {
  lifecycle::Event again;
  again.kind = lifecycle::EventKind::order_start;
  again.dependencies_met = false;
  lives_.feed(slot, again, now_);
}

// A successor finds only what is parked, and these were found on disk.
void Takeover::keep_documents() {
  for (const auto& [version, applied] : book_.registry.all()) {
    placing_.place_probes(*applied, now_);
    const bool followed =
        std::any_of(applied->slots.begin(), applied->slots.end(), [](SlotIndex slot) { return slot != no_slot; });
    if (!followed) continue;
    if (const Status kept = store_.keep_document(applied->document); !kept)
      note("the specification of project " + applied->document.project +
           " stays only where it was found: " + kept.error().text());
  }
}

}  // namespace hearth::supervisor
