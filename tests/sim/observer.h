// What the simulated world tells to whoever checks it. Called at the moment of the effect.
#pragma once

#include <vector>

#include "base/ids.h"
#include "model/event.h"
#include "model/request.h"
#include "ports/inputs.h"
#include "ports/keeper.h"

namespace hearth::sim {

struct Process;
struct Datagram;

class Observer {
 public:
  virtual ~Observer() = default;
  // In the machine.
  virtual void cloned(const Process&) {}
  virtual void signal_delivered(const Process&, int /*signal*/) {}
  virtual void entry_freed(EntryIndex, RunId) {}
  // The supervisor calls.
  virtual void spawn_called(const ports::SpawnOrder&) {}
  virtual void spawn_refused(const ports::SpawnOrder&) {}
  virtual void signal_called(EntryIndex, RunId, OpId, int /*signal*/) {}
  virtual void reap_called(EntryIndex, RunId) {}
  virtual void end_tree_called(EntryIndex, RunId) {}
  virtual void release_run_called(SlotIndex, RunId) {}
  virtual void release_slot_called(SlotIndex) {}
  virtual void finish_called(bool /*leave*/) {}
  virtual void notify_consumed(const Process&, const Datagram&) {}
  virtual void descriptor_consumed(SlotIndex, const Datagram&) {}
  virtual void answered(const Request&, const Result<Accepted>&) {}
  // Events that are committed and were not told of before.
  virtual void journal_grew(const std::vector<EventRecord>&) {}
  virtual void journal_begins_anew() {}
  virtual void probe_refused(SlotIndex) {}  // of readiness: it could not be made
  virtual void probe_answered(SlotIndex, RunId, bool /*live*/, bool /*good*/) {}
};

}  // namespace hearth::sim
