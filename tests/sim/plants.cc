#include "sim/plants.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <utility>

#include "sim/decorators.h"

namespace hearth::sim {
namespace {

// Writes into the copies that hold, as a supervisor with that bug would have left them.
void edit_head(Machine& machine, const std::function<void(supervisor::Head&)>& change) {
  wire::DecisionPage& page = machine.raw_page();
  auto* copy = const_cast<wire::HeadCopy*>(copy_that_holds(page.head, page.commit.load()));
  if (copy == nullptr) return;
  supervisor::Head head;
  std::memcpy(&head, copy->bytes, sizeof head);
  change(head);
  std::memcpy(copy->bytes, &head, sizeof head);
}

void edit_slots(Machine& machine, const std::function<void(SlotState&)>& change) {
  wire::DecisionPage& page = machine.raw_page();
  const std::size_t count = machine.page().slots.size();
  for (std::size_t slot = 0; slot < count; ++slot) {
    auto* copy = const_cast<wire::SlotCopy*>(copy_that_holds(page.slot[slot], page.commit.load()));
    if (copy == nullptr) continue;
    SlotState state = slot_of(*copy, page.rest[slot][copy - page.slot[slot]]);
    if (!state.used) continue;
    change(state);  // none of its texts
    std::memcpy(copy->bytes, &state, sizeof copy->bytes);
  }
}

// ---- ports ------------------------------------------------------------------------------------------

// A message is taken out of its socket when it is read, not when what it says is committed.
class ConsumesFirst final : public InputsDecorator {
 public:
  using InputsDecorator::InputsDecorator;
  void peek(std::vector<ports::Input>& inputs) override {
    inner_.peek(inputs);
    for (const ports::Input& input : inputs)
      if (input.kind == ports::InputKind::notify) inner_.consume(input);
  }
  void consume(const ports::Input& input) override {
    if (input.kind != ports::InputKind::notify) inner_.consume(input);
  }
};

// A turn that was asked for by a clock looks at the clocks alone.
class DeadlinesFirst final : public InputsDecorator {
 public:
  DeadlinesFirst(Machine& machine, ports::Inputs& inner) : InputsDecorator(inner), machine_(machine) {}
  void peek(std::vector<ports::Input>& inputs) override {
    inputs.clear();
    if (machine_.due() > machine_.time.now.mono || std::exchange(skipped_, machine_.due()) == machine_.due())
      inner_.peek(inputs);
  }

 private:
  Machine& machine_;
  MonoNs skipped_ = 0;
};

// Messages go by the slot's name instead of the run's socket.
class GoesBySlot final : public InputsDecorator {
 public:
  GoesBySlot(Machine& machine, ports::Inputs& inner) : InputsDecorator(inner), machine_(machine) {}
  void peek(std::vector<ports::Input>& inputs) override {
    inner_.peek(inputs);
    sender_.clear();
    const PageView page = machine_.page();
    for (ports::Input& input : inputs) {
      if (input.kind != ports::InputKind::notify || input.slot >= page.slots.size()) continue;
      sender_[input.token] = input.run;
      if (page.slots[input.slot].used) input.run = page.slots[input.slot].run().run;
    }
  }
  void consume(const ports::Input& input) override {
    ports::Input true_one = input;
    if (const auto found = sender_.find(input.token); found != sender_.end()) true_one.run = found->second;
    inner_.consume(true_one);
  }
  void store_descriptors(const ports::Input& input, const std::string& name, std::uint32_t most, bool poll) override {
    ports::Input true_one = input;
    if (const auto found = sender_.find(input.token); found != sender_.end()) true_one.run = found->second;
    inner_.store_descriptors(true_one, name, most, poll);
  }

 private:
  Machine& machine_;
  std::map<std::uint64_t, RunId> sender_;
};

class ReapsTheOtherEntry final : public KeeperDecorator {
 public:
  using KeeperDecorator::KeeperDecorator;
  bool reap(EntryIndex entry, RunId run) override {
    const ports::EntryView other = inner_.entry(entry ^ 1);
    return other.run != no_run ? inner_.reap(entry ^ 1, other.run) : inner_.reap(entry, run);
  }
};

class TakesEofForExit final : public KeeperDecorator {
 public:
  TakesEofForExit(Machine& machine, ports::Keeper& inner) : KeeperDecorator(inner), machine_(machine) {}
  ports::EntryView entry(EntryIndex entry) const override {
    ports::EntryView view = inner_.entry(entry);
    const Process* process = machine_.kernel.process(view.run);
    if (process == nullptr || process->life != Life::alive || process->script.closes_output_after == not_at_all)
      return view;
    if (machine_.time.now.mono < process->began + process->script.closes_output_after) return view;
    view.exited = true;
    view.exit_code = 1;
    return view;
  }

 private:
  Machine& machine_;
};

// A signal is handed over again under another number when nobody remembers having sent it.
class SignalsWithoutOperation final : public KeeperDecorator {
 public:
  using KeeperDecorator::KeeperDecorator;
  bool signal(EntryIndex entry, RunId run, OpId op, int signal) override {
    return inner_.signal(entry, run, op, signal) && (signal == 9 || inner_.signal(entry, run, op + 1'000'000, signal));
  }
};

// ---- the list ---------------------------------------------------------------------------------------

Sabotage with_inputs(std::string name, std::function<std::unique_ptr<ports::Inputs>(Machine&, ports::Inputs&)> make) {
  Sabotage sabotage;
  sabotage.name = std::move(name);
  sabotage.inputs = std::move(make);
  return sabotage;
}

Sabotage with_keeper(std::string name, std::function<std::unique_ptr<ports::Keeper>(Machine&, ports::Keeper&)> make) {
  Sabotage sabotage;
  sabotage.name = std::move(name);
  sabotage.keeper = std::move(make);
  return sabotage;
}

Sabotage at_takeover(std::string name, std::function<void(Machine&)> change) {
  Sabotage sabotage;
  sabotage.name = std::move(name);
  sabotage.before_takeover = std::move(change);
  return sabotage;
}

// The commit number is stored only when everything has been done.
Sabotage acts_before_commit() {
  Sabotage sabotage;
  sabotage.name = "send-before-record";
  sabotage.between_stores = [](Machine& machine, bool published) {
    if (published) machine.raw_page().commit.fetch_sub(1);
  };
  sabotage.after_turn = [](Machine& machine) {
    bool pending = false;
    const std::uint64_t commit = machine.raw_page().commit.load();
    for (const wire::HeadCopy& copy : machine.raw_page().head) pending |= copy.stamp > commit;
    for (std::size_t slot = 0; slot < Kernel::entries_max / 2; ++slot)
      for (const wire::SlotCopy& copy : machine.raw_page().slot[slot]) pending |= copy.stamp > commit;
    if (pending) machine.raw_page().commit.fetch_add(1);
  };
  return sabotage;
}

// Killed between the stores of a commit: its number had been stored first.
Sabotage number_before_copies() {
  Sabotage sabotage;
  sabotage.name = "commit-number-before-copies";
  sabotage.died = [](Machine& machine, const std::string& where) {
    if (where == "in commit") machine.raw_page().commit.fetch_add(1);
  };
  return sabotage;
}

// The successor does not erase what an unfinished commit has left.
Sabotage stale_copies() {
  Sabotage sabotage;
  sabotage.name = "stale-copies-come-alive";
  auto stamps = std::make_shared<std::vector<std::pair<std::uint64_t*, std::uint64_t>>>();
  sabotage.before_takeover = [stamps](Machine& machine) {
    stamps->clear();
    wire::DecisionPage& page = machine.raw_page();
    const auto remember = [&](std::uint64_t& stamp) {
      if (stamp > page.commit.load()) stamps->emplace_back(&stamp, stamp);
    };
    for (wire::HeadCopy& copy : page.head) remember(copy.stamp);
    for (wire::OperationRecord& record : page.operation) remember(record.stamp);
    for (std::size_t slot = 0; slot < Kernel::entries_max / 2; ++slot)
      for (wire::SlotCopy& copy : page.slot[slot]) remember(copy.stamp);
  };
  sabotage.after_create = [stamps](Machine&) {
    for (const auto& [stamp, value] : *stamps) *stamp = value;
    stamps->clear();
  };
  return sabotage;
}

Sabotage unparks_before_commit() {
  Sabotage sabotage;
  sabotage.name = "unpark-before-commit";
  sabotage.between_stores = [](Machine& machine, bool published) {
    if (published) return;
    const PageView page = machine.page();
    for (SlotIndex slot = 0; slot < page.slots.size(); ++slot)
      if (page.slots[slot].used && page.slots[slot].removing && !page.slots[slot].life.run_live)
        machine.keeper_port.release_slot(slot);
  };
  return sabotage;
}

std::vector<Sabotage> all_plants() {
  std::vector<Sabotage> all;
  all.push_back(with_inputs("consume-before-commit",
                            [](Machine&, ports::Inputs& inner) { return std::make_unique<ConsumesFirst>(inner); }));
  all.push_back(acts_before_commit());
  all.push_back(with_inputs("deadline-before-drain", [](Machine& machine, ports::Inputs& inner) {
    return std::make_unique<DeadlinesFirst>(machine, inner);
  }));
  all.push_back(at_takeover("outbox-redone-under-a-new-run", [](Machine& machine) {
    edit_head(machine, [&](supervisor::Head& head) {
      edit_slots(machine, [&](SlotState& state) {
        if (state.run().spawn) state.run().run = ++head.last_run;
      });
    });
  }));
  all.push_back(number_before_copies());
  all.push_back(at_takeover("run-number-reused", [](Machine& machine) {
    edit_head(machine, [](supervisor::Head& head) { head.last_run -= head.last_run > 0; });
  }));
  Sabotage stray;
  stray.name = "stray-taken-for-a-run";
  stray.strays_are_taken_for_runs = true;
  all.push_back(stray);
  all.push_back(with_keeper("reap-of-the-wrong-run", [](Machine&, ports::Keeper& inner) {
    return std::make_unique<ReapsTheOtherEntry>(inner);
  }));
  all.push_back(with_keeper("eof-taken-for-exit", [](Machine& machine, ports::Keeper& inner) {
    return std::make_unique<TakesEofForExit>(machine, inner);
  }));
  all.push_back(stale_copies());
  all.push_back(with_inputs("ready-of-an-old-run", [](Machine& machine, ports::Inputs& inner) {
    return std::make_unique<GoesBySlot>(machine, inner);
  }));
  all.push_back(at_takeover("retry-renewed-at-takeover", [](Machine& machine) {
    edit_slots(machine, [&](SlotState& state) {
      if (state.life.retry.set()) state.life.retry.at = after(machine.time.now.mono, state.life.retry.span);
    });
  }));
  all.push_back(unparks_before_commit());
  all.push_back(with_keeper("signal-without-operation", [](Machine&, ports::Keeper& inner) {
    return std::make_unique<SignalsWithoutOperation>(inner);
  }));
  all.push_back(at_takeover("absence-kills", [](Machine& machine) {
    // As if what ran out unwatched were not forgiven: it is due as soon as somebody looks.
    const MonoNs now = machine.time.now.mono;
    edit_slots(machine, [&](SlotState& state) {
      for (Deadline* deadline : {&state.life.grace, &state.health.start, &state.health.watchdog})
        if (deadline->due(now)) deadline->at = now + 1;
    });
  }));
  add_plants_of_deaths(all);
  add_plants_of_hooks(all);
  add_plants_of_mistakes(all);
  return all;
}

}  // namespace

const std::vector<Sabotage>& plants() {
  static const std::vector<Sabotage> all = all_plants();
  return all;
}

}  // namespace hearth::sim
