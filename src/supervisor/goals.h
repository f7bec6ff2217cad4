// Carries orders to slots: sets their goals, and notes whose order it was.
//
// Model
// -----
// An order names slots. Each is enlisted, so that report.h can tell how the order stands, and then fed the event. What
// is to end is held at first, dependents or not: all are marked as stopping, and propagate.h lets go those whom nobody
// holds, dependents before what they depend on. What is to start is fed in the order of starts (dependencies_first).
#pragma once

#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "lifecycle/lifecycle.h"
#include "model/request.h"
#include "model/service_spec.h"

namespace hearth::supervisor {

class Lives;
class SlotBook;

class Goals {
 public:
  Goals(SlotBook& book, Lives& lives) : book_(book), lives_(lives) {}

  void enlist(SlotIndex slot, OrderId order, bool up);
  // A start or a restart.
  void raise(SlotIndex slot, lifecycle::EventKind kind, Now now);
  // What these need and nobody wants up, for a start or a restart of them; `accepted` then names it too.
  void start_needed(const std::vector<SlotIndex>& chosen, bool restart, Accepted& accepted, Now now);
  // These, and all that is up and restarted with them, whom `accepted` then names too. Returns all.
  std::vector<SlotIndex> restart(const std::vector<SlotIndex>& chosen, Accepted& accepted, Now now);
  // What runs of it goes on by another specification than the one before.
  void adjust(SlotIndex slot, const ServiceSpec& before, Now now);
  // A hook that nothing waits for but the order. False: it has none.
  bool run_beside(SlotIndex slot, Hook hook, Now now);
  // Dependents come before what they depend on, unless `force`.
  void stop(const std::vector<SlotIndex>& slots, OrderId order, bool force, Now now);
  // And those that stop with what was stopped; each has a note.
  void stop_left(const std::vector<SlotIndex>& stopped, Accepted& accepted, Now now);
  // `leave`: hearth ends, services stay.
  void shut_down(bool leave, OrderId order, Now now);

 private:
  SlotBook& book_;
  Lives& lives_;
};

}  // namespace hearth::supervisor
