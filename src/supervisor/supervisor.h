// The supervisor: holds decisions, not possessions.
//
// Model
// -----
// All it knows is in two places that outlive it: the slot table (what is; written by kernel, keeper, spawners)
// and the decision page (what shall be; written here). It is built from them at every start, the first one
// included, so that taking over is not a special case but the only case.
//
// A turn:
//   peek      changed entries of the slot table and inputs, removed from nowhere
//   step      pure rooms: evidence first (what a run said before its end, then its end), then requests, then
//             deadlines, then dependencies until nothing moves
//   commit    changed slots and head into the decision page, one store
//   act       make the slot table agree with the decisions: spawn, signal, end trees, reap. Each act is a
//             comparison of a slot's outbox cell with the entry; done twice it does nothing.
//   consume   the inputs that were peeked; answers to requests
//
// Killed anywhere, a successor repeats: before the commit the whole turn, after it act and consume.
//
// Deadlines are looked at only when the inputs are drained, because evidence may be waiting. *Our absence never
// kills*: what ran out while nobody watched (we were dead, stopped, or the machine was) starts anew with its
// whole span; a retry that became due is made.
//
// One thread. Borrowed references must outlive it. Nothing here reads a clock or makes a system call.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "health/health.h"
#include "lifecycle/lifecycle.h"
#include "model/request.h"
#include "model/slot_state.h"
#include "ports/control.h"
#include "ports/inputs.h"
#include "ports/keeper.h"
#include "ports/probes.h"
#include "ports/store.h"
#include "supervisor/head.h"
#include "supervisor/registry.h"
#include "wire/decision_page.h"

namespace hearth::supervisor {

struct World {
  ports::Keeper& keeper;
  ports::Inputs& inputs;
  ports::Probes& probes;
  ports::Store& store;
};

struct Options {
  std::string instance;
  std::string version;
  std::string directory;
  std::string log_directory;
  std::int32_t pid = 0;
  std::int32_t keeper_pid = 0;
  std::uint32_t keeper_generation = 1;
  std::uint32_t continued_by = 0;                      // SlotTable::continued_by
  std::vector<std::pair<int, std::uint32_t>> signals;  // the keeper's counters, for signals of a dead one
  std::uint64_t seed = 0;                              // of the jitter, when the page is new
  std::function<void()> between_stores;  // before each store of a commit and after the last; null in production
};

class Supervisor final : public ports::Control {
 public:
  // From a new page or a predecessor's. `heritage`: what an earlier hearth in this directory left, for a new page.
  static std::unique_ptr<Supervisor> create(World world, wire::DecisionPage& page, Options options,
                                            const ports::Heritage& heritage, Now now);

  // False: create() begins anew, from heritage.
  static bool readable(const wire::DecisionPage& page);

  // One turn. Returns when the next one is due on CLOCK_MONOTONIC even if nothing happens (`never`: not at all);
  // a value not above now.mono asks for another turn at once.
  MonoNs turn(Now now);

  // Everything is stopped (or shall be left) and the keeper has been told so.
  bool finished() const { return finish_sent_; }
  // All of hearth had died, and this goes on from its slot table and page.
  bool revived() const { return revived_; }
  // Since the last call: did anything that clients can see change?
  bool take_changed();
  void keeper_replaced(std::int32_t pid, std::uint32_t generation);
  void add_note(std::string note, bool event = true);  // for people; the newest 50 are kept. Not an event: has no time

  InstanceStatus status() const override;
  std::optional<OrderReport> order(const OperationKey& key) const override;

 private:
  // What a successor need not know of a slot: it finds out again.
  struct Scratch {
    MonoNs settle_at = 0;  // without a readiness probe: until then an order does not call it done
    RunId spawn_sent = no_run;
    OpId signal_sent = 0;
    RunId reap_sent[2] = {};
    MonoNs clear_at = 0;          // until then an ended run is not cleared away, because its successor comes first
    bool changed = false;         // in changed_
    bool acting = false;          // in acting_
    bool propagate = false;       // in propagate_
    bool noting = false;          // in noting_
    std::uint32_t heard_out = 0;  // turns for which the end of a run has waited for its last words
    RunId sweeping = no_run;      // whose descendants are being swept: frozen, so it must come to its end
    RunId cleared = no_run;  // whose tree has been ended as far as it can be; what is left is named, then it is reaped
    RunId refused = no_run;  // whose spawn was refused, until that is decided upon; the error:
    std::unique_ptr<Error> refusal;
    std::unique_ptr<Error> unprobed;  // why the last try of its exec probe could not be made; null: it could
  };
  struct ProbeStart {
    SlotIndex slot;
    bool live;
    std::uint64_t attempt;
  };
  struct StoreAction {
    std::size_t input;
    SlotIndex slot;
    bool remove;
    std::string name;
    std::uint32_t most;
    bool poll;
  };
  struct Reply {
    std::size_t input;
    Result<Accepted> result;
  };

  Supervisor(World world, wire::DecisionPage& page, Options options);

  // takeover.cc
  void load(Now now);
  void adopt(const ports::Heritage& heritage, Now now);
  void load_documents();
  std::unordered_map<RunId, SlotIndex> runs_in_table(const ports::Heritage& heritage) const;
  void revive();
  void take_up(SlotIndex slot, Now now);
  void forget_tries(SlotIndex slot, Now now);
  void index_slots();

  // turn.cc
  void note_absence(Now now);
  void handle_inputs(bool requests, Now now);
  void handle_notify(std::size_t index, const ports::Input& input, Now now);
  void handle_probe_result(const ports::Input& input, Now now);
  void handle_keeper_signals(const ports::Input& input, Now now);
  void pass_time(Now now);
  void decide_refusal(SlotIndex slot, Now now);
  void commit(Now now);
  void consume();
  MonoNs next_due(Now now) const;

  // evidence.cc: what the slot table shows
  void look_at(EntryIndex entry, Now now);
  void run_spawned(SlotIndex slot, RunCell& cell, const ports::EntryView& view, Now now);
  void end_runs(Now now);
  void run_ended(SlotIndex slot, RunCell& cell, const ports::EntryView& view, Now now);
  void entry_freed(SlotIndex slot, RunCell& cell, Now now);

  // orders.cc
  Result<Accepted> handle_request(const Request& request, Now now);
  Result<Accepted> apply(const Request& request, Now now);
  Result<Accepted> order_named(const Request& request, Now now);
  Result<std::vector<SlotIndex>> named(const Request& request) const;  // refuses names that select nothing
  std::string projects_here() const;
  Result<Accepted> down(const Request& request, Now now);
  Status refuse_conflicts(const Document& document, std::uint64_t replaced) const;
  void place_services(AppliedDocument& applied, const AppliedDocument* before, bool start, Accepted& accepted, Now now);
  void place_probes(AppliedDocument& applied);
  Status find_room(const Document& document) const;
  bool vacant(SlotIndex slot) const;
  SlotIndex allocate(const AppliedDocument& applied, std::uint32_t service, SlotRole role, SlotIndex wanted = no_slot);
  void order_up(SlotIndex slot, lifecycle::EventKind kind, Now now);
  void enlist(SlotIndex slot, OrderId order, bool up);
  void order_stop_all(const std::vector<SlotIndex>& slots, OrderId order, bool force, Now now);
  void shut_down(bool leave, OrderId order, Now now);
  std::vector<SlotIndex> select(const Request& request) const;
  const AppliedDocument* current_of(const std::string& project) const;
  void drop_unused_documents();
  void forget(SlotIndex slot);

  // step.cc: feeding the pure rooms
  void feed(SlotIndex slot, lifecycle::Event event, Now now);
  void apply_verdict(SlotIndex slot, const health::Verdict& verdict, Now now);
  void new_run(SlotIndex slot);
  void cancel_unsent(SlotIndex slot, Now now);
  void begin_try(SlotIndex slot, bool live, std::uint64_t attempt, Now now);
  void end_tries(SlotIndex slot, Now now);
  void probe_run_ended(SlotIndex probe_slot, const ExitInfo& exit, Now now);
  void probe_refused(SlotIndex probe_slot, const Error& why, Now now);
  void refuse_overdue_tries(SlotIndex slot, Now now);
  void touch(SlotIndex slot);
  void want_act(SlotIndex slot);

  // propagate.cc
  void propagate(Now now);
  void propagate_from(SlotIndex slot, Now now);
  void weigh_dependencies(SlotIndex slot, Now now);
  bool must_hold(SlotIndex slot) const;
  bool is_up(SlotIndex slot) const;  // has a run, and that is not being stopped
  void restart_followers(SlotIndex slot, Now now);
  bool restart_all(const std::vector<SlotIndex>& slots, std::size_t first, Now now);
  bool outlived_a_dependency(SlotIndex slot) const;
  lifecycle::Standing standing_of(const AppliedDocument& applied, lifecycle::Edge edge) const;
  std::vector<SlotIndex> with_restarted_dependents(std::vector<SlotIndex> chosen) const;
  std::vector<SlotIndex> dependencies_first(std::vector<SlotIndex> slots) const;
  void start_needed(const std::vector<SlotIndex>& chosen, bool restart, Accepted& accepted, Now now);
  std::vector<SlotIndex> order_restarts(const std::vector<SlotIndex>& chosen, Accepted& accepted, Now now);
  bool dependencies_met(SlotIndex slot, Reason* why = nullptr, std::string* what = nullptr) const;

  // act.cc
  void act(Now now);
  void spawn_for(SlotIndex slot, Now now);
  void act_on(SlotIndex slot, Now now);
  bool successor_first(SlotIndex slot, std::uint8_t which, Now now);
  bool act_spawn(SlotIndex slot, RunCell& cell, Now now);
  ports::SpawnOrder spawn_order(SlotIndex slot, const RunCell& cell) const;
  bool act_signal(SlotIndex slot, RunCell& cell);
  bool act_reap(SlotIndex slot, RunCell& cell, std::uint8_t which);
  void finish_if_done();
  void note_runs(Now now);
  ports::RunNote note_of(SlotIndex slot) const;

  // report.cc
  SlotStatus slot_status(SlotIndex slot, Now now) const;
  std::string reason_text(SlotIndex slot, Now now) const;
  Outcome outcome(SlotIndex slot, Verb verb) const;
  bool waits_for_a_failure(SlotIndex slot) const;
  std::string waiting_words(SlotIndex slot) const;

  const Document* document_of(SlotIndex slot) const;
  const ServiceSpec& spec_of(SlotIndex slot) const;
  std::string label(SlotIndex slot) const;
  bool has_readiness(SlotIndex slot) const;
  bool over(SlotIndex slot) const;  // nothing of it runs and nothing is left to do
  std::uint64_t random();

  World world_;
  wire::DecisionPage& page_;
  wire::PageWriter writer_;
  Options options_;
  Head head_;
  bool head_changed_ = false;
  std::vector<SlotState> slots_;
  std::vector<Scratch> scratch_;
  std::vector<MonoNs> due_at_;  // earliest deadline of each slot; apart, because each turn walks it
  Registry registry_;
  ServiceSpec probe_spec_;  // how probes' runs live; their command comes from the parent's probe

  std::vector<ports::Input> inputs_;
  std::vector<EntryIndex> entries_;
  std::vector<EntryIndex> ended_;  // entries whose run has ended, and that is not decided upon yet
  std::vector<SlotIndex> changed_;
  std::vector<SlotIndex> acting_;
  std::vector<SlotIndex> propagate_;
  std::vector<SlotIndex> noting_;  // changed since runs were noted
  std::vector<ProbeStart> probe_starts_;
  std::vector<SlotIndex> probe_cancels_;
  std::vector<SlotIndex> released_slots_;  // forgotten in this turn
  std::vector<StoreAction> store_actions_;
  std::vector<Reply> replies_;
  std::vector<wire::OperationRecord> operations_;
  std::vector<std::uint64_t> dropped_documents_;
  std::vector<Note> notes_;

  Now now_{};
  WallNs since_ = 0;                    // when this supervisor began
  MonoNs due_ = never;                  // what the last turn returned
  std::optional<MonoNs> absent_since_;  // deadlines from here to now passed unwatched
  std::uint32_t undrained_turns_ = 0;
  bool revived_ = false;
  bool again_ = false;  // another turn is wanted at once
  bool visible_change_ = false;
  bool runs_changed_ = false;  // the list of runs is to be noted, not before:
  MonoNs note_runs_at_ = 0;
  bool documents_unused_ = false;  // perhaps: a slot was forgotten
  SlotIndex first_free_ = 0;       // slots below are used
  bool finish_waits_ = false;      // for the store
  bool finish_sent_ = false;
  bool spawners_full_ = false;  // in this act: the others that wait need not be asked for
};

}  // namespace hearth::supervisor
