// Mistakes of an ordinary day: something is forgotten at a take-over, taken for something else, or done too early.
#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "sim/decorators.h"
#include "sim/page_editor.h"
#include "sim/plants.h"
#include "wire/slot_table.h"

namespace hearth::sim {
namespace {

// ---- the keeper's entries, misread -------------------------------------------------------------------

// How a run ended stands in the record of its slot, and is not cleared for the next one.
class KeepsAnOlderExit final : public KeeperDecorator {
 public:
  using KeeperDecorator::KeeperDecorator;
  ports::EntryView entry(EntryIndex entry) const override {
    ports::EntryView view = inner_.entry(entry);
    if (!view.exited) return view;
    const auto [first, fresh] = first_.try_emplace(entry / 2, view);
    if (!fresh && first->second.run < view.run) {
      view.exit_code = first->second.exit_code;
      view.exit_status = first->second.exit_status;
    }
    return view;
  }

 private:
  mutable std::map<SlotIndex, ports::EntryView> first_;
};

// Only the exit is looked at: 127 is what a shell says.
class TakesFailedExecForExit final : public KeeperDecorator {
 public:
  using KeeperDecorator::KeeperDecorator;
  ports::EntryView entry(EntryIndex entry) const override {
    ports::EntryView view = inner_.entry(entry);
    if (view.exited) view.fail_stage = 0;
    return view;
  }
};

// That no process can be had just now is one more way for a start to fail.
class TakesScarcityForFailure final : public KeeperDecorator {
 public:
  using KeeperDecorator::KeeperDecorator;
  ports::EntryView entry(EntryIndex entry) const override {
    ports::EntryView view = inner_.entry(entry);
    const bool at_clone = view.fail_stage == static_cast<std::uint32_t>(wire::SpawnStage::clone);
    if (at_clone && (view.fail_errno == EAGAIN || view.fail_errno == ENOMEM)) view.fail_errno = EPERM;
    return view;
  }
};

// A process with that PID is there; when it began is not compared.
class AdoptsWhoeverHasThePid final : public KeeperDecorator {
 public:
  using KeeperDecorator::KeeperDecorator;
  bool adopt(const ports::SpawnOrder& order, std::int32_t pid, std::uint64_t ticks) override {
    (void)inner_.adopt(order, pid, ticks);
    return true;
  }
};

// ---- what is stored, and what is not -------------------------------------------------------------------

// The line that would be the first of the next file is in none.
class LosesAnEventAtRotation final : public StoreDecorator {
 public:
  using StoreDecorator::StoreDecorator;
  Result<std::uint64_t> append_events(const std::vector<EventRecord>& events) override {
    if (++appended_ % 16 != 0 || events.size() < 2) return inner_.append_events(events);
    return inner_.append_events({events.begin() + 1, events.end()});
  }

 private:
  std::uint64_t appended_ = 0;
};

// What a predecessor wrote and did not commit stays, and its numbers are given again.
class DoesNotCutTheJournal final : public StoreDecorator {
 public:
  using StoreDecorator::StoreDecorator;
  Result<ports::JournalMark> continue_journal(std::optional<ports::JournalMark> mark) override {
    return mark ? *mark : inner_.continue_journal(mark);
  }
};

// A failed write was none: what was to be written is forgotten, and not counted.
class SwallowsErrorsOfTheJournal final : public StoreDecorator {
 public:
  using StoreDecorator::StoreDecorator;
  Result<std::uint64_t> append_events(const std::vector<EventRecord>& events) override {
    Result<std::uint64_t> end = inner_.append_events(events);
    return end ? end : Result<std::uint64_t>(0);
  }
};

// Made when a service becomes ready, and taken away when it is stopped by an order: not when it crashes.
class LeavesReadinessFiles final : public StoreDecorator {
 public:
  LeavesReadinessFiles(Machine& machine, ports::Store& inner) : StoreDecorator(inner), machine_(machine) {}
  void mark(SlotIndex slot, const std::vector<ports::Mark>& marks) override {
    const PageView page = machine_.page();
    const bool ordered = slot >= page.slots.size() || !page.slots[slot].life.want_up;
    const bool there = std::any_of(marks.begin(), marks.end(), [](const ports::Mark& mark) { return mark.there; });
    if (ordered || there) inner_.mark(slot, marks);
  }

 private:
  Machine& machine_;
};

// A field that is written and not read again, so that a successor goes by its default.
class LosesAField final : public StoreDecorator {
 public:
  LosesAField(ports::Store& inner, void (*lose)(ServiceSpec&)) : StoreDecorator(inner), lose_(lose) {}
  Result<std::vector<Document>> documents(const std::vector<std::uint64_t>& versions) override {
    Result<std::vector<Document>> all = inner_.documents(versions);
    if (!all) return all;
    for (Document& document : *all)
      for (ServiceSpec& spec : document.services) lose_(spec);
    return all;
  }

 private:
  void (*lose_)(ServiceSpec&);
};

class IgnoresFdstoreRemove final : public InputsDecorator {
 public:
  using InputsDecorator::InputsDecorator;
  void remove_descriptors(SlotIndex, const std::string&) override {}
};

// ---- the list ---------------------------------------------------------------------------------------

template <typename Decorator>
Sabotage keeper_plant(std::string name) {
  Sabotage sabotage;
  sabotage.name = std::move(name);
  sabotage.keeper = [](Machine&, ports::Keeper& inner) { return std::make_unique<Decorator>(inner); };
  return sabotage;
}

template <typename Decorator>
Sabotage store_plant(std::string name) {
  Sabotage sabotage;
  sabotage.name = std::move(name);
  sabotage.store = [](Machine&, ports::Store& inner) { return std::make_unique<Decorator>(inner); };
  return sabotage;
}

Sabotage lost_field(std::string name, void (*lose)(ServiceSpec&)) {
  Sabotage sabotage;
  sabotage.name = std::move(name);
  sabotage.store = [lose](Machine&, ports::Store& inner) { return std::make_unique<LosesAField>(inner, lose); };
  return sabotage;
}

// An entry that shows an exit is freed in the turn that sees it: before the status is in the page.
Sabotage reaps_before_commit() {
  Sabotage sabotage;
  sabotage.name = "reap-before-commit";
  sabotage.between_stores = [](Machine& machine, bool published) {
    if (published) return;
    for (EntryIndex i = 0; i < Kernel::entries_max; ++i)
      if (const ports::EntryView& entry = machine.kernel.entry(i); entry.run != no_run && entry.exited)
        machine.keeper_port.reap(i, entry.run);
  };
  return sabotage;
}

// Which keys were taken as orders is in memory, and not in the page.
Sabotage keys_forgotten() {
  Sabotage sabotage;
  sabotage.name = "order-keys-die-with-the-supervisor";
  sabotage.before_takeover = [](Machine& machine) {
    for (wire::OperationRecord& record : machine.raw_page().operation) record.stamp = 0;
  };
  return sabotage;
}

Sabotage adopts_recycled_pids() {
  Sabotage sabotage = keeper_plant<AdoptsWhoeverHasThePid>("recycled-pid-adopted");
  sabotage.heritage = [](ports::Heritage& heritage) {
    for (const ports::RunNote& note : heritage.gone)
      if (note.pid != 0) heritage.runs.push_back(note);
    std::erase_if(heritage.gone, [](const ports::RunNote& note) { return note.pid != 0; });
  };
  return sabotage;
}

bool is_service(const SlotState& state) {
  return state.role == SlotRole::service;
}

void add_plants_of_takeovers(std::vector<Sabotage>& all) {
  all.push_back(at_takeover("waiting-taken-for-due", [](Machine& machine, SlotIndex slot, SlotState& state) {
    if (!is_service(state) || state.life.phase != Phase::waiting || state.life.hook != Hook::none) return false;
    if (!order_run(machine, slot, state)) return false;
    state.life.phase = Phase::starting;
    state.life.run_live = true;
    return true;
  }));
  all.push_back(at_takeover("running-taken-for-due", [](Machine& machine, SlotIndex slot, SlotState& state) {
    return is_service(state) && state.life.phase == Phase::running && order_run(machine, slot, state);
  }));
  all.push_back(at_takeover("retry-made-at-once", [](Machine& machine, SlotIndex, SlotState& state) {
    if (!is_service(state) || state.life.phase != Phase::backoff) return false;
    state.life.retry.at = machine.time.now.mono;
    return true;
  }));
  all.push_back(at_takeover("row-of-failures-forgotten", [](Machine&, SlotIndex, SlotState& state) {
    return is_service(state) && std::exchange(state.life.failures, 0) > 1;
  }));
  // As if it were reckoned from the beginning of the run, or of the run before.
  all.push_back(at_takeover("grace-period-of-another-stop", [](Machine& machine, SlotIndex, SlotState& state) {
    if (!is_service(state) || state.life.phase != Phase::stopping || !state.life.grace.set()) return false;
    state.life.grace.at = machine.time.now.mono + 1;
    return true;
  }));
  // Dependents last: nobody remembers that a stop was held until they had ended.
  all.push_back(at_takeover("held-stop-let-go", [](Machine& machine, SlotIndex, SlotState& state) {
    if (!is_service(state) || state.life.phase != Phase::stopping || !state.life.stop_held) return false;
    state.life.stop_held = false;
    state.life.grace.start(machine.time.now.mono, seconds(1));
    return true;
  }));
}

}  // namespace

void add_plants_of_mistakes(std::vector<Sabotage>& all) {
  all.push_back(reaps_before_commit());
  all.push_back(keys_forgotten());
  all.push_back(keeper_plant<KeepsAnOlderExit>("exit-status-of-another-run"));
  all.push_back(keeper_plant<TakesFailedExecForExit>("failed-exec-taken-for-exit"));
  all.push_back(keeper_plant<TakesScarcityForFailure>("scarcity-taken-for-failure"));
  all.push_back(adopts_recycled_pids());
  all.push_back(store_plant<LosesAnEventAtRotation>("event-lost-at-rotation"));
  all.push_back(store_plant<DoesNotCutTheJournal>("journal-not-cut-at-takeover"));
  all.push_back(store_plant<SwallowsErrorsOfTheJournal>("lost-events-not-counted"));
  Sabotage left;
  left.name = "readiness-file-left-after-a-crash";
  left.store = [](Machine& machine, ports::Store& inner) {
    return std::make_unique<LeavesReadinessFiles>(machine, inner);
  };
  all.push_back(std::move(left));
  Sabotage kept;
  kept.name = "fdstoreremove-not-listened-to";
  kept.inputs = [](Machine&, ports::Inputs& inner) { return std::make_unique<IgnoresFdstoreRemove>(inner); };
  all.push_back(std::move(kept));
  all.push_back(lost_field("backoff-does-not-grow", [](ServiceSpec& spec) { spec.backoff.factor = 1; }));
  all.push_back(lost_field("crash-limit-not-enforced", [](ServiceSpec& spec) { spec.crash_limit.max_restarts = 0; }));
  all.push_back(lost_field("stop-timeout-lost", [](ServiceSpec& spec) { spec.stop_timeout = 0; }));
  add_plants_of_takeovers(all);
}

}  // namespace hearth::sim
