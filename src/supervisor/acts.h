// Making the slot table agree with the decisions, after the commit.
//
// Model
// -----
// Each act compares a cell of a slot with the entry that it names, so that doing it twice, or doing it again in a
// successor, changes nothing:
//   spawn    until the entry holds the run. Before all other acts: a successor does not wait until its predecessor has
//            been cleared away
//   seek     where a leader has ended and left a daemon: the keeper is told of its main process, until the entry holds that.
//            Nothing of it is committed before: what is told is a fact that whoever looks finds, and the first one told holds
//   signal   until the keeper has recorded the operation; KILL until the run has ended
//   reap     after the end of a run: its output, its tree, a sweep where the service stays down, what is left by name;
//            then the entry is free
// What cannot be handed over now stays marked (SlotBook::acting) and is tried again; most are woken earlier by what
// they wait for. A spawn that is refused is evidence for the next turn.
//
// Errands of the turn follow, then files that tell others of services (marks.cc), then the list of runs on disk, then the end of all of hearth when it is due.
#pragma once

#include <cstdint>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "model/slot_state.h"
#include "ports/keeper.h"
#include "ports/probes.h"
#include "ports/store.h"

namespace hearth::supervisor {

class SlotBook;

// What a run of this cell is started from. Points into the book.
ports::SpawnOrder spawn_order(const SlotBook& book, SlotIndex slot, const RunCell& cell);

class Acts {
 public:
  Acts(SlotBook& book, ports::Keeper& keeper, ports::Probes& probes, ports::Store& store)
      : book_(book), keeper_(keeper), probes_(probes), store_(store) {}

  void act(Now now);
  // When something is to be tried again, or written.
  MonoNs next_due(Now now) const;
  // Plans and signals that were on their way to a keeper that died may be lost.
  void forget_sent();
  bool finished() const { return finish_sent_; }

 private:
  void respecify(SlotIndex slot);
  void spawn_for(SlotIndex slot, Now now);
  void act_on(SlotIndex slot, Now now);
  bool spawn(SlotIndex slot, RunCell& cell, Now now);
  void seek(SlotIndex slot, const RunCell& cell, Now now);
  bool signal(SlotIndex slot, RunCell& cell);
  bool successor_first(SlotIndex slot, std::uint8_t which, Now now);
  bool reap(SlotIndex slot, RunCell& cell, std::uint8_t which);
  bool clear_away(SlotIndex slot, const RunCell& cell);
  void run_probes();
  void mark_files();
  void note_runs(Now now);
  ports::RunNote note_of(SlotIndex slot) const;
  void finish_if_done();
  bool all_stopped() const;

  SlotBook& book_;
  ports::Keeper& keeper_;
  ports::Probes& probes_;
  ports::Store& store_;
  std::vector<SlotIndex> batch_;  // of this act
  MonoNs note_runs_at_ = 0;       // the list of runs is not noted before
  bool spawners_full_ = false;    // in this act: the others that wait need not be asked for
  bool finish_waits_ = false;     // for the store
  bool finish_sent_ = false;
};

}  // namespace hearth::supervisor
