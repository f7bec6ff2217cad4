// Bugs that only the death of the keeper or of everybody reveals.
#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "sim/decorators.h"
#include "sim/plants.h"
#include "wire/slot_table.h"

namespace hearth::sim {
namespace {

// What an entry shows, of runs whose keeper has died.
class ShowsForeign : public KeeperDecorator {
 public:
  ShowsForeign(Machine& machine, ports::Keeper& inner) : KeeperDecorator(inner), machine_(machine) {}
  ports::EntryView entry(EntryIndex entry) const override {
    ports::EntryView view = inner_.entry(entry);
    const Process* process = machine_.kernel.process(view.run);
    if (process != nullptr && process->foreign) change(view, *process);
    return view;
  }

 protected:
  virtual void change(ports::EntryView& view, const Process& process) const = 0;

 private:
  Machine& machine_;
};

// Its keeper is gone, so it counts as gone itself.
class TakesAdoptedForEnded final : public ShowsForeign {
 public:
  using ShowsForeign::ShowsForeign;
  void change(ports::EntryView& view, const Process& process) const override {
    if (!process.running() || !process.adopted) return;
    view.exited = true;
    view.exit_code = wire::wait_code_unknown;
  }
};

// What the dead keeper has seen is not believed.
class ForgetsRecordedExits final : public ShowsForeign {
 public:
  using ShowsForeign::ShowsForeign;
  void change(ports::EntryView& view, const Process&) const override {
    if (!view.exited) return;
    view.exit_code = wire::wait_code_unknown;
    view.exit_status = 0;
  }
};

class TakesUnknownForSuccess final : public ShowsForeign {
 public:
  using ShowsForeign::ShowsForeign;
  void change(ports::EntryView& view, const Process&) const override {
    if (view.exited && view.exit_code == wire::wait_code_unknown) view.exit_code = 1;
  }
};

// Names are opened again, but no keeper is told of the process.
class NobodyIsTold final : public KeeperDecorator {
 public:
  using KeeperDecorator::KeeperDecorator;
  void take_up(const ports::SpawnOrder&) override {}
};

template <typename Decorator>
Sabotage shows(std::string name) {
  Sabotage sabotage;
  sabotage.name = std::move(name);
  sabotage.keeper = [](Machine& machine, ports::Keeper& inner) { return std::make_unique<Decorator>(machine, inner); };
  return sabotage;
}

// Changes each entry that holds a run.
void edit_entries(Machine& machine, const std::function<void(EntryIndex, ports::EntryView&)>& change) {
  for (EntryIndex i = 0; i < Kernel::entries_max; ++i)
    if (ports::EntryView& entry = machine.kernel.planted_entry(i); entry.run != no_run) change(i, entry);
}

// A spawn that the page has as decided is taken for one that has not taken place.
Sabotage spawns_again() {
  Sabotage sabotage;
  sabotage.name = "decided-spawn-carried-out-twice";
  sabotage.before_revival = [](Machine& machine) {
    const PageView page = machine.page();
    edit_entries(machine, [&](EntryIndex index, ports::EntryView& entry) {
      if (index / 2 >= page.slots.size()) return;
      for (const RunCell& cell : page.slots[index / 2].cell)
        if (cell.run == entry.run && cell.spawn) entry.pid = 0, entry.claim = 0;
    });
  };
  return sabotage;
}

// A new keeper begins its entries anew, and with them the numbers of operations.
Sabotage operations_forgotten() {
  Sabotage sabotage;
  sabotage.name = "operations-die-with-the-keeper";
  sabotage.before_handover = [](Machine& machine) {
    edit_entries(machine, [](EntryIndex, ports::EntryView& entry) { entry.last_op = 0; });
  };
  return sabotage;
}

Sabotage numbers_of_the_list_only() {
  Sabotage sabotage;
  sabotage.name = "run-numbers-from-the-list-only";
  sabotage.heritage = [](ports::Heritage& heritage) {
    heritage.greatest_run = no_run;
    for (const ports::RunNote& note : heritage.runs) heritage.greatest_run = std::max(heritage.greatest_run, note.run);
  };
  return sabotage;
}

// The newest list wins over what is found alive.
Sabotage only_what_was_noted() {
  Sabotage sabotage;
  sabotage.name = "only-noted-runs-are-adopted";
  sabotage.heritage = [](ports::Heritage& heritage) {
    for (const ports::RunNote& note : heritage.runs) heritage.gone.push_back(note);
    heritage.runs.clear();
  };
  return sabotage;
}

}  // namespace

void add_plants_of_deaths(std::vector<Sabotage>& all) {
  all.push_back(shows<TakesAdoptedForEnded>("adopted-run-taken-for-ended"));
  all.push_back(shows<ForgetsRecordedExits>("exit-of-the-dead-keeper-forgotten"));
  all.push_back(shows<TakesUnknownForSuccess>("unknown-exit-taken-for-success"));
  Sabotage untold;
  untold.name = "survivors-not-handed-to-the-keeper";
  untold.keeper = [](Machine&, ports::Keeper& inner) { return std::make_unique<NobodyIsTold>(inner); };
  all.push_back(std::move(untold));
  all.push_back(spawns_again());
  all.push_back(operations_forgotten());
  all.push_back(numbers_of_the_list_only());
  all.push_back(only_what_was_noted());
}

}  // namespace hearth::sim
