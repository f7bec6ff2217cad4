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
//   consume   the inputs that were peeked; answers to requests. One that cannot be decided yet, because something is still
//             being looked at for it, has changed nothing and comes again in the next turn
//
// Killed anywhere, a successor repeats: before the commit the whole turn, after it act and consume.
//
// Deadlines are looked at only when the inputs are drained, because evidence may be waiting. *Our absence never
// kills*: what ran out while nobody watched (we were dead, stopped, or the machine was) starts anew with its
// whole span; a retry that became due is made.
//
// This class owns the pieces and drives them through the turn (turn.cc, read it first); what they do is at the top of
// their headers. All share the book, which is what of the supervisor is neither code nor the outside.
//
// One thread. Borrowed references must outlive it. Nothing here reads a clock or makes a system call.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"
#include "model/request.h"
#include "ports/control.h"
#include "ports/inputs.h"
#include "ports/keeper.h"
#include "ports/probes.h"
#include "ports/store.h"
#include "supervisor/acts.h"
#include "supervisor/book.h"
#include "supervisor/evidence.h"
#include "supervisor/goals.h"
#include "supervisor/journal.h"
#include "supervisor/lives.h"
#include "supervisor/orders.h"
#include "supervisor/placing.h"
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
  std::string client;     // the program `hearth`, absolute; "" = there is none that may be run
  std::string no_client;  // why
  std::int32_t pid = 0;
  std::int32_t keeper_pid = 0;
  std::uint32_t keeper_generation = 1;
  std::uint32_t continued_by = 0;                      // SlotTable::continued_by
  std::vector<std::pair<int, std::uint32_t>> signals;  // the keeper's counters, for signals of a dead one
  std::uint32_t upgrades = 0, returns = 0;             // SlotTable::upgrades and supervisor_returns
  std::string return_reason;                           // of the last return, in words
  KeeperPrograms keeper_programs;                      // SlotTable::keeper_execs and keeper_refusal
  std::uint64_t seed = 0;                              // of the jitter, when the page is new
  std::function<void()> between_stores;  // before each store of a commit and after the last; null in production
};

class Supervisor final : public ports::Control {
 public:
  // From a new page or a predecessor's. `heritage`: what an earlier hearth in this directory left, for a new page.
  // Fails, with nothing changed, when the store cannot say which documents there are.
  static Result<std::unique_ptr<Supervisor>> create(World world, wire::DecisionPage& page, Options options,
                                                    const ports::Heritage& heritage, Now now);

  // False: create() begins anew, from heritage.
  static bool readable(const wire::DecisionPage& page);

  // One turn. Returns when the next one is due on CLOCK_MONOTONIC even if nothing happens (`never`: not at all);
  // a value not above now.mono asks for another turn at once.
  MonoNs turn(Now now);

  // Whether nobody has watched until now, and since when: what ran out meanwhile starts anew. For who has deadlines of his
  // own, before he looks at them, and before the turn, which does the same with ours.
  std::optional<MonoNs> absent_since(MonoNs now) const;

  // Everything is stopped (or shall be left) and the keeper has been told so.
  bool finished() const { return acts_.finished(); }
  // All of hearth had died, and this goes on from its slot table and page.
  bool revived() const { return revived_; }
  // For tests: what a decision costs (SlotBook::looks).
  std::uint64_t looks() const { return book_.looks; }
  // Since the last call: did anything that clients can see change?
  bool take_changed() { return std::exchange(book_.visible_change, false); }
  // Since the last call: was SIGUSR1 sent, so that status is to be written out?
  bool take_dump_wish() { return std::exchange(book_.dump_wished, false); }
  // Since the last call: was an upgrade ordered, so that we are to end and the next supervisor goes on?
  bool take_upgrade_wish() { return std::exchange(book_.upgrade_wished, false); }
  // Of an order that has not been handled before: would it be refused now, whatever it says? For what must be done before
  // it is taken.
  std::optional<Error> refusal_of(const Request& request) const { return orders_.refusal_of(request); }
  void add_upgrade_note(std::string text);
  void keeper_replaced(std::int32_t pid, std::uint32_t generation);
  // The same keeper has executed another program in its own place, or refused to: an event of each, also of those that
  // happened while nobody was here. Before a turn, which commits them.
  void look_at_keeper(const KeeperPrograms& found, WallNs now);
  // For people; the newest 50 are kept. `slot`: as Note has it.
  void add_note(std::string text, std::string slot = {});
  void drop_note(const std::string& text);  // its cause is gone; events still have it
  void add_lasting_note(std::string text);  // of how things are: no event, and without a time

  InstanceStatus status() const override;
  InstanceStatus instance() const override;
  Result<Document> specification(const std::string& name) const override;
  bool has_sandboxes() const override;
  bool is_sandboxed(const std::string& label) const override;
  std::optional<OrderReport> order(const OperationKey& key) const override;
  std::optional<bool> settled(const OperationKey& key) const override;
  ports::EventLines events(EventId after, std::size_t most_bytes) const override;

 private:
  Supervisor(World world, wire::DecisionPage& page, Options options);

  // The turn, in its order.
  void shut_down_for_one_given_up(Now now);
  void handle_inputs(bool requests, Now now);
  void handle(std::size_t index, Now now);
  void ask(std::size_t index, Now now);
  void pass_time(Now now);
  void pass_deadlines(SlotIndex slot, Now now);
  void forgive_absence(Now now);
  void commit(Now now);
  MonoNs due_of(SlotIndex slot, Now now) const;
  void consume();
  MonoNs next_due(Now now) const;

  World world_;
  wire::DecisionPage& page_;
  wire::PageWriter writer_;
  Options options_;

  SlotBook book_;
  Lives lives_;
  Evidence evidence_;
  Goals goals_;
  Placing placing_;
  Orders orders_;
  Acts acts_;
  JournalScribe scribe_;

  std::vector<ports::Input> inputs_;     // of this turn
  std::vector<ports::Input> postponed_;  // requests that wait for something to be looked at: come again in each turn
  std::vector<EntryIndex> entries_;
  Now now_{};                           // of the last turn
  WallNs since_ = 0;                    // when this supervisor began
  MonoNs due_ = never;                  // what the last turn returned
  std::optional<MonoNs> absent_since_;  // deadlines from here to now passed unwatched
  std::uint32_t undrained_turns_ = 0;
  bool revived_ = false;
};

}  // namespace hearth::supervisor
