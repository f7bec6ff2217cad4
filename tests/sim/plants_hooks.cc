// Bugs that only services with hooks reveal.
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "sim/decorators.h"
#include "sim/plants.h"

namespace hearth::sim {
namespace {

// Writes into the copies that hold, as a supervisor with that bug would have left them.
template <typename Record, typename Copy>
bool edit(const Copy (&copies)[2], std::uint64_t commit, const std::function<bool(Record&)>& change) {
  auto* copy = const_cast<Copy*>(copy_that_holds(copies, commit));
  if (copy == nullptr) return false;
  Record record;
  std::memcpy(static_cast<void*>(&record), copy->bytes, sizeof record);
  if (!change(record)) return false;
  std::memcpy(copy->bytes, &record, sizeof record);
  return true;
}

RunId next_run(Machine& machine) {
  RunId run = no_run;
  edit<supervisor::Head>(machine.raw_page().head, machine.raw_page().commit.load(), [&](supervisor::Head& head) {
    run = ++head.last_run;
    return true;
  });
  return run;
}

// Asks for a new run in the entry that is free.
bool order_run(Machine& machine, SlotIndex slot, SlotState& state) {
  const auto next = static_cast<std::uint8_t>(state.current ^ 1);
  if (state.cell[next].entry != no_entry) return false;
  RunCell cell;
  cell.run = next_run(machine);
  cell.entry = slot * 2 + next;
  cell.spawn = true;
  cell.document = state.document;
  state.cell[next] = cell;
  state.current = next;
  return true;
}

Sabotage at_takeover(std::string name, std::function<bool(Machine&, SlotIndex, SlotState&)> change) {
  Sabotage sabotage;
  sabotage.name = std::move(name);
  sabotage.before_takeover = [change](Machine& machine) {
    const std::size_t count = machine.page().slots.size();
    wire::DecisionPage& page = machine.raw_page();
    for (SlotIndex slot = 0; slot < count; ++slot)
      edit<SlotState>(page.slot[slot], page.commit.load(),
                      [&](SlotState& state) { return state.used && change(machine, slot, state); });
  };
  return sabotage;
}

// What before_start says is not listened to.
class IgnoresItsExit final : public KeeperDecorator {
 public:
  IgnoresItsExit(Machine& machine, ports::Keeper& inner) : KeeperDecorator(inner), machine_(machine) {}
  ports::EntryView entry(EntryIndex entry) const override {
    ports::EntryView view = inner_.entry(entry);
    const Process* process = machine_.kernel.process(view.run);
    if (process != nullptr && process->hook == "before_start" && view.exited && view.fail_stage == 0) {
      view.exit_code = 1;
      view.exit_status = 0;
    }
    return view;
  }

 private:
  Machine& machine_;
};

}  // namespace

void add_plants_of_hooks(std::vector<Sabotage>& all) {
  Sabotage ignores;
  ignores.name = "before-start-not-listened-to";
  ignores.keeper = [](Machine& machine, ports::Keeper& inner) {
    return std::make_unique<IgnoresItsExit>(machine, inner);
  };
  all.push_back(ignores);
  // A successor does not know that its predecessor was waiting for a hook.
  all.push_back(at_takeover("run-beside-its-before-start", [](Machine& machine, SlotIndex slot, SlotState& state) {
    if (state.role != SlotRole::service || state.life.hook != Hook::before_start ||
        state.life.phase != Phase::starting || !order_run(machine, slot, state))
      return false;
    state.life.hook = Hook::none;
    state.life.run_live = true;
    return true;
  }));
  // ... nor that the hook has been run already.
  all.push_back(at_takeover("hook-run-again-at-takeover", [](Machine& machine, SlotIndex slot, SlotState& state) {
    if (state.role != SlotRole::hook || state.life.phase != Phase::completed || state.hook != Hook::none) return false;
    const PageView page = machine.page();
    if (state.parent >= page.slots.size() || page.slots[state.parent].life.phase != Phase::backoff) return false;
    if (!order_run(machine, slot, state)) return false;
    state.hook = Hook::after_stop;
    state.life.phase = Phase::starting;
    state.life.run_live = true;
    return true;
  }));
}

}  // namespace hearth::sim
