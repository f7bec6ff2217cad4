#include "sim/liveness.h"

#include <algorithm>

namespace hearth::sim {
namespace {

// All replicas of it that go by the same document.
std::vector<const SlotState*> find(const PageView& page, const Checker& checker, const SlotState& of,
                                   const std::string& name) {
  std::vector<const SlotState*> found;
  for (const SlotState& state : page.slots)
    if (state.used && state.role == SlotRole::service && state.document == of.document &&
        checker.name_of(state) == name)
      found.push_back(&state);
  return found;
}

bool ended(Phase phase) {
  return phase == Phase::failed || phase == Phase::completed || phase == Phase::stopped;
}

// A service that never gets up is somewhere between two tries for ever.
bool restless(Phase phase) {
  return phase == Phase::starting || phase == Phase::running || phase == Phase::backoff || phase == Phase::stopping;
}

// As the condition asks, if it is not to be tolerated that it is away.
bool stands(const Checker& checker, const SlotState& other, const Dependency& dependency) {
  const bool ready = checker.spec_of(other)->ready->type == ProbeType::none || other.health.ready;
  const bool there = dependency.condition == Condition::ready
                         ? other.life.phase == Phase::running && ready
                         : other.life.phase == Phase::running || other.life.phase == Phase::completed;
  const bool asked =
      (dependency.condition != Condition::completed && dependency.condition != Condition::completed_successfully) ||
      other.life.phase == Phase::completed;
  return there && asked;
}

// Where one with restart = true was started again, and is as the condition asks.
std::string outlived(const PageView& page, const Checker& checker, const SlotState& state) {
  for (const Dependency& dependency : checker.spec_of(state)->depends_on) {
    const std::vector<const SlotState*> others = find(page, checker, state, dependency.service);
    const auto older = [&](const SlotState* other) { return other->run().run < state.run().run; };
    const bool was_there = std::any_of(others.begin(), others.end(), older);
    const bool restarted = std::any_of(others.begin(), others.end(), [&](const SlotState* other) {
      return !older(other) && (!was_there || other->last_exit.run != no_run);
    });
    if (dependency.restart && restarted && std::all_of(others.begin(), others.end(), [&](const SlotState* other) {
          return stands(checker, *other, dependency);
        }))
      return dependency.service;
  }
  return "";
}

// Nothing but an order brings it back: it has ended, or waits for somebody of whom a replica has gone.
bool has_gone(const PageView& page, const Checker& checker, const SlotState& state) {
  const ServiceSpec& spec = *checker.spec_of(state);
  if (ended(state.life.phase)) return spec.type != ServiceType::task;
  if (state.life.phase != Phase::waiting) return false;
  for (const Dependency& dependency : spec.depends_on) {
    if (!dependency.required) continue;
    for (const SlotState* other : find(page, checker, state, dependency.service))
      if (!stands(checker, *other, dependency) && has_gone(page, checker, *other)) return true;
  }
  return false;
}

// What it is to stop with, and of which no replica is left.
std::string left_by(const PageView& page, const Checker& checker, const SlotState& state) {
  for (const Dependency& dependency : checker.spec_of(state)->depends_on) {
    if (!dependency.stop) continue;
    const std::vector<const SlotState*> others = find(page, checker, state, dependency.service);
    const bool gone = std::all_of(others.begin(), others.end(),
                                  [&](const SlotState* other) { return has_gone(page, checker, *other); });
    if (!others.empty() && gone) return dependency.service;
  }
  return "";
}

// "a stopping, a's hook 4 backoff"
std::string all_phases(const PageView& page, const Checker& checker) {
  std::string text;
  for (const SlotState& state : page.slots) {
    if (!state.used) continue;
    if (!text.empty()) text += ", ";
    text += checker.name_of(state) + (state.role == SlotRole::service ? " " : "'s ") + phase_name(state.life.phase);
    if (state.life.hook != Hook::none) text += " with hook " + std::to_string(static_cast<int>(state.life.hook));
    if (state.hook != Hook::none) text += " as hook " + std::to_string(static_cast<int>(state.hook));
    if (state.run_wanted) text += " wanted";
    if (state.life.stop_held) text += " held";
    for (const RunCell& cell : state.cell)
      if (cell.entry != no_entry)
        text += " run " + std::to_string(cell.run) + (cell.reap ? " reap" : "") + (cell.spawn ? " spawn" : "");
  }
  return text;
}

std::string wrong_phase(const PageView& page, const Checker& checker, const Troupe& troupe, const SlotState& state) {
  const ServiceSpec& spec = *checker.spec_of(state);
  const Phase phase = state.life.phase;
  const Character character = troupe.character(spec.name);
  const std::string is = spec.name + " is " + phase_name(phase) + " (" + reason_name(state.life.reason) + ")";
  if (!state.life.want_up) return phase == Phase::stopped ? "" : is + ", and nobody wants it";
  if (character == Character::broken && restless(phase)) return "";
  switch (phase) {
    case Phase::running:
      if (const std::string dependency = outlived(page, checker, state); !dependency.empty())
        return is + ", and has outlived a restart of " + dependency;
      if (const std::string dependency = left_by(page, checker, state); !dependency.empty())
        return is + ", and should have stopped with " + dependency;
      if (spec.ready->type == ProbeType::none || state.health.ready) return "";
      return is + " and not ready";
    case Phase::completed:
      if (spec.restart == RestartPolicy::always) return is + " under restart = always";
      return "";
    case Phase::failed: {
      if (state.life.reason == Reason::crash_loop &&
          (spec.crash_limit.max_restarts > 0 || spec.crash_limit.max_failed_starts > 0))
        return "";
      if (state.life.reason == Reason::dependency_failed) {
        for (const Dependency& dependency : spec.depends_on) {
          for (const SlotState* other : find(page, checker, state, dependency.service))
            if (ended(other->life.phase)) return "";
        }
        return is + ", and none of its dependencies has";
      }
      if (spec.restart == RestartPolicy::never) return "";
      return is + ", and its policy says to go on";
    }
    case Phase::waiting: {
      for (const Dependency& dependency : spec.depends_on) {
        const std::vector<const SlotState*> others = find(page, checker, state, dependency.service);
        // Of a list that was written behind, some may be missing (docs/internals/not-yet.md).
        if (others.empty() || others.size() < checker.spec_of(*others[0])->replicas) return "";
        for (const SlotState* other : others) {
          // What is not there for good, or never will be.
          const bool away = ended(other->life.phase) || other->life.phase == Phase::waiting ||
                            troupe.character(dependency.service) == Character::broken;
          const bool never_ends = (dependency.condition == Condition::completed ||
                                   dependency.condition == Condition::completed_successfully) &&
                                  !ended(other->life.phase);
          if (away || never_ends) return "";
        }
      }
      return is + ", and its dependencies are there";
    }
    case Phase::stopped: return is + ", and it is wanted";
    case Phase::starting:
    case Phase::stopping:
    case Phase::backoff: return is;
  }
  return is;
}

}  // namespace

std::string not_at_rest(Machine& machine, const Checker& checker, const Troupe& troupe) {
  if (!machine.alive()) return "there is no supervisor";
  const PageView page = machine.page();
  for (SlotIndex slot = 0; slot < page.slots.size(); ++slot) {
    const SlotState& state = page.slots[slot];
    if (!state.used) continue;
    if (state.removing)
      return checker.name_of(state) + " should have been forgotten (" + all_phases(page, checker) + ")";
    const bool busy = troupe.character(checker.name_of(state)) == Character::broken;
    for (const RunCell& cell : state.cell) {
      if (busy || state.role != SlotRole::service) break;
      if (cell.reap) return checker.name_of(state) + ": run " + std::to_string(cell.run) + " waits for its reap";
      if (cell.spawn) return checker.name_of(state) + ": run " + std::to_string(cell.run) + " waits for its spawn";
    }
    if (state.role != SlotRole::service) {
      const bool left = state.parent >= page.slots.size() || !page.slots[state.parent].used ||
                        page.slots[state.parent].role != SlotRole::service;
      if (left) return std::string(is_hook(state.role) ? "a hook" : "a probe") + "'s slot is left without its service";
      // A hook may have been begun by a version before, with another number of replicas; but never of another replica.
      if (state.replica != page.slots[state.parent].replica)
        return checker.name_of(state) + ": a slot is another replica's than the one that it belongs to";
      continue;
    }
    if (std::string wrong = wrong_phase(page, checker, troupe, state); !wrong.empty()) return wrong;
    // What the supervisor tells is what it has committed.
    for (const SlotStatus& told : machine.supervisor().status().services) {
      if (told.slot != slot) continue;
      if (told.phase != state.life.phase || told.run != state.run().run || told.last_exit.run != state.last_exit.run)
        return told.name + ": status and page differ";
    }
  }
  for (const auto& [run, process] : machine.kernel.processes()) {
    if (process->daemon && process->daemon->running() && !process->daemon->left_alone &&
        troupe.character(process->service) != Character::broken)
      return process->label + ": run " + std::to_string(run) + " has left a daemon, and nobody follows it";
    if (!process->running() || process->left_alone) continue;
    const bool known = std::any_of(page.slots.begin(), page.slots.end(), [&](const SlotState& state) {
      return state.used && state.life.run_live && state.run().run == run;
    });
    if (!known) return process->label + ": run " + std::to_string(run) + " lives, and nobody knows it";
  }
  for (const ClientCall& call : machine.calls) {
    if (!call.sent) continue;
    if (!call.answered) return "an order is not answered";
    if (call.forgotten) continue;
    if (!call.answer->has_value()) continue;
    const auto report = machine.supervisor().order(call.request.key);
    if (!report) return "an order is forgotten";
    if (report->settled) continue;
    for (const SlotOutcome& one : report->slots) {
      if (one.outcome != hearth::Outcome::pending) continue;
      const Phase phase = one.status.phase;
      if (phase == Phase::waiting || troupe.character(one.status.name) == Character::broken) continue;
      return "order " + std::to_string(report->order) + " is not settled: " + one.status.name + " is " +
             phase_name(phase);
    }
  }
  return "";
}

}  // namespace hearth::sim
