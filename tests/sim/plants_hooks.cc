// Bugs that only services with hooks reveal.
#include <memory>
#include <string>

#include "sim/decorators.h"
#include "sim/page_editor.h"
#include "sim/plants.h"

namespace hearth::sim {
namespace {

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
