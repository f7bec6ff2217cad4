// The lives of the slots: feeds the pure rooms (lifecycle, health) and takes their effects into the slot's record.
//
// Model
// -----
// feed() is one step of a slot's lifecycle, judge() takes a verdict of its health there. A spawn becomes a numbered run
// in a cell of the slot, a signal a numbered operation; acts.h carries them out after the commit. A change of phase is
// marked for weighing and changes no other slot here, with one exception: the exec probes of a service.
//
// Probes (tries.cc). A try over http or tcp is an errand of our own process. One by exec is a run in the probe's slot:
// begun by a start or a restart of that slot, answered by its end, taken back when the run that it asks about is over.
// Its outcome is a verdict on the service, which may begin the next try or end the service; so service -> probe ->
// service may come back here, but never deeper, for a probe has no probes.
#pragma once

#include <cstdint>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "health/health.h"
#include "lifecycle/lifecycle.h"
#include "model/slot_state.h"
#include "ports/keeper.h"

namespace hearth::supervisor {

class SlotBook;

class Lives {
 public:
  Lives(SlotBook& book, ports::Keeper& keeper) : book_(book), keeper_(keeper) {}

  void feed(SlotIndex slot, lifecycle::Event event, Now now);
  void judge(SlotIndex slot, const health::Verdict& verdict, Now now);

  // In the cell that is free; while both wait for their reap the run is only wanted.
  void new_run(SlotIndex slot);
  // A slot that is being stopped, and whose run has not reached its entry, has ended.
  void cancel_unsent(SlotIndex slot, Now now);

  // tries.cc
  void end_tries(SlotIndex slot, Now now);
  void try_ended(SlotIndex probe_slot, const ExitInfo& exit, Now now);
  // It could not be made, and the service is not to blame.
  void try_refused(SlotIndex probe_slot, const Error& why, Now now);
  void refuse_overdue_tries(SlotIndex slot, Now now);

 private:
  void begin_try(SlotIndex slot, bool live, std::uint64_t attempt, Now now);
  bool is_watched(SlotIndex parent) const;

  SlotBook& book_;
  ports::Keeper& keeper_;
};

}  // namespace hearth::supervisor
