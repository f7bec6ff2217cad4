// What runs did and said: the slot table's entries, datagrams, results of probes, refused spawns.
//
// Model
// -----
// A cell of a slot and the entry that it names are compared; what differs is news:
//   entry holds the run, with a PID   it has been spawned: health is watched from here on
//   entry holds the run, ended        its end is decided upon when its socket is empty, for a run that said READY=1 and
//                                     ended was ready (end_runs); then it is to be reaped
//   entry holds the run, its leader ended with code 0 (or nobody can tell how), and the service is one that leaves a daemon behind: nothing has
//                                     ended yet. The main process is looked for (acts.h) until the entry holds that
//                                     (main_found), until nobody is left, or KILL is decided
//   entry is free or another's        after a reap: the cell is free, and a run that is wanted may have it. Before: the
//                                     spawn that was decided has not come there yet, which is no news
// All of it may be seen twice. What a run says after its end, or an old run says now, is kept out of the newest one's
// health; its end decides nothing either.
#pragma once

#include <cstddef>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "model/slot_state.h"
#include "ports/inputs.h"
#include "ports/keeper.h"

namespace hearth::supervisor {

class Lives;
class SlotBook;

class Evidence {
 public:
  Evidence(SlotBook& book, Lives& lives, ports::Keeper& keeper) : book_(book), lives_(lives), keeper_(keeper) {}

  void look_at(EntryIndex entry, Now now);
  // One datagram; `index`: its place among the inputs of the turn.
  void notified(std::size_t index, const ports::Input& input, Now now);
  void said_ready(const ports::Input& input, Now now);
  void probed(const ports::Input& input, Now now);
  // `inputs`: all that was peeked in this turn.
  void end_runs(const std::vector<ports::Input>& inputs, Now now);
  // The last turn's act could not spawn this one.
  void decide_refusal(SlotIndex slot, Now now);
  // The last turn's act has found nobody to follow.
  void decide_daemonless(SlotIndex slot, Now now);
  // Of a run whose entry was given back while no supervisor was there: nobody can tell how it ended.
  void lost(SlotIndex slot, RunCell& cell, Now now);

 private:
  bool speaks_for(SlotIndex slot, RunId run) const;
  void tell_unready(const ports::Input& input);
  void tell_other_main(SlotIndex slot, Now now);
  void refused(const ports::Input& input, Now now);
  bool hear(SlotIndex slot, RunId run, Now now);
  // adopted: it was found alive, and may have said what nobody will hear.
  void begin_watch(SlotIndex slot, bool adopted, bool is_main, Now now);
  bool leaves_daemon(SlotIndex slot, const RunCell& cell, const ports::EntryView& view) const;
  bool is_sought(SlotIndex slot, const RunCell& cell, const ports::EntryView& view) const;
  void main_found(SlotIndex slot, RunCell& cell, const ports::EntryView& view, Now now);
  void run_spawned(SlotIndex slot, RunCell& cell, const ports::EntryView& view, Now now);
  void run_ended(SlotIndex slot, RunCell& cell, const ports::EntryView& view, Now now);
  void entry_freed(SlotIndex slot, RunCell& cell, Now now);

  SlotBook& book_;
  Lives& lives_;
  ports::Keeper& keeper_;
  std::vector<EntryIndex> ended_;    // entries whose run has ended, and that is not decided upon yet
  std::vector<EntryIndex> waiting_;  // of these, in end_runs(), who goes on waiting
};

}  // namespace hearth::supervisor
