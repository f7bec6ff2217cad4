// What one event makes hearth write down and hand over: a service crashes and is started again.
//
// Nothing of it is made up here. The real supervisor decides it, on the simulated machine of tests/sim, and it is taken
// down turn by turn: the records that were committed, the events that went into the journal with them, and the orders to
// keeper and spawner that followed from the outbox cells. bench/event.cc does the same again on the real things, and measures.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "model/event.h"
#include "model/slot_state.h"
#include "ports/keeper.h"
#include "sim/machine.h"
#include "supervisor/head.h"
#include "wire/keeper_messages.h"

namespace hearth::bench {

// One that committed something.
struct Turn {
  std::vector<SlotState> records;
  std::optional<supervisor::Head> head;
  std::vector<EventRecord> events;
  std::vector<ports::SpawnOrder> spawns;  // point into the recording's machine
  std::vector<wire::RunRecord> reaps;
};

class Recording final : private sim::Watcher {
 public:
  // `environment`: the document's, NAME=VALUE, sorted: most of a spawn plan.
  explicit Recording(std::vector<std::string> environment);

  const std::vector<Turn>& turns() const { return turns_; }
  // One exit, one start and one REAP are in it.
  bool is_whole() const;

 private:
  void committed() override;
  void journal_grew(const std::vector<EventRecord>& events) override;
  void spawn_called(const ports::SpawnOrder& order) override;
  void reap_called(EntryIndex entry, RunId run) override;

  std::unique_ptr<sim::Machine> machine_;
  std::vector<Turn> turns_;
};

}  // namespace hearth::bench
