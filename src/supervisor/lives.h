// The lives of the slots: feeds the pure rooms (lifecycle, health) and takes their effects into the slot's record.
//
// Model
// -----
// feed() is one step of a slot's lifecycle, judge() takes a verdict of its health there. A spawn becomes a numbered run
// in a cell of the slot, a signal a numbered operation; acts.h carries them out after the commit. A change of phase is
// marked for weighing and changes no other slot here, with one exception: the exec probes of a service.
//
// Hooks (hooks.cc). One that the life waits for is a run in the slot of its hooks, one that runs beside it a run in the
// other slot for hooks, where occasions that come meanwhile wait: each kind once. What a hook's slot does is committed
// with what asked for it, so no hook is run twice for one occasion, whoever dies: its run is spawned once, as all are.
// Its end is told when its slot has come to rest. Its timeout is a clock of its slot.
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
  // The slot follows another specification, and what runs of it goes on.
  void respecify(SlotIndex slot, const ServiceSpec& before, Now now);

  // In the cell that is free; while both wait for their reap the run is only wanted.
  void new_run(SlotIndex slot, Now now);
  // A slot that is being stopped, and whose run has not reached its entry, has ended.
  void cancel_unsent(SlotIndex slot, Now now);
  // A start of which the slot table knows nothing yet is taken back: what it depends on is not there (any more).
  void take_start_back(SlotIndex slot, Now now);

  // hooks.cc
  // Runs it beside the service, as soon as no other does. False: there is none.
  bool run_beside(SlotIndex slot, Hook hook, Now now);
  void end_late_hook(SlotIndex hook_slot, Now now);

  // tries.cc
  void end_tries(SlotIndex slot, Now now);
  void try_ended(SlotIndex probe_slot, const ExitInfo& exit, Now now);
  // It could not be made, and the service is not to blame.
  void try_refused(SlotIndex probe_slot, const Error& why, Now now);
  void refuse_overdue_tries(SlotIndex slot, Now now);

 private:
  bool take_unsent(SlotIndex slot);
  void begin_try(SlotIndex slot, bool live, std::uint64_t attempt, Now now);
  bool is_watched(SlotIndex parent) const;
  void follow_hooks(SlotIndex slot, const lifecycle::Effects& effects, Now now);
  void begin_hook(SlotIndex slot, Hook hook, Now now);
  void end_hook(SlotIndex hook_slot, Reason reason, bool at_once, Now now);
  void begin_beside(SlotIndex slot, Now now);
  void look_at_hook(SlotIndex hook_slot, Now now);
  void tell_failed_hook(SlotIndex slot, SlotIndex hook_slot, Hook hook, Now now);
  void hook_ended(SlotIndex slot, Hook hook, bool good, Reason reason, Now now);

  SlotBook& book_;
  ports::Keeper& keeper_;
};

}  // namespace hearth::supervisor
