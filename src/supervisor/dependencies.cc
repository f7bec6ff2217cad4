#include "supervisor/dependencies.h"

#include <algorithm>
#include <span>

#include "lifecycle/lifecycle.h"
#include "supervisor/book.h"

namespace hearth::supervisor {
namespace {

enum class Presence { there, waits, gone };

Presence presence_of(const SlotBook& book, SlotIndex slot) {
  const SlotState& state = book.slots[slot];
  switch (state.life.phase) {
    case Phase::stopped: return Presence::gone;
    case Phase::completed:
      // A task is there when it has done its work.
      return book.spec_of(slot).type == ServiceType::task ? Presence::there : Presence::gone;
    case Phase::failed: return state.life.reason == Reason::dependency_failed ? Presence::waits : Presence::gone;
    case Phase::waiting: return Presence::waits;
    case Phase::stopping:
      if (!state.life.want_up) return Presence::gone;
      return state.life.reason == Reason::dependency_missing ? Presence::waits : Presence::there;
    case Phase::starting:
    case Phase::running:
    case Phase::backoff: break;
  }
  return Presence::there;
}

}  // namespace

lifecycle::Standing standing_of(const SlotBook& book, const AppliedDocument& applied, lifecycle::Edge edge) {
  bool met = true;
  for (const SlotIndex other : applied.slots_of(edge.to)) {
    const lifecycle::Standing one = standing_of(book, other, edge);
    if (one == lifecycle::Standing::failed) return one;
    met = met && one == lifecycle::Standing::met;
  }
  return met ? lifecycle::Standing::met : lifecycle::Standing::unmet;
}

lifecycle::Standing standing_of(const SlotBook& book, SlotIndex other, lifecycle::Edge edge) {
  if (other == no_slot || !book.slots[other].used) return lifecycle::Standing::unmet;
  const SlotState& dependency = book.slots[other];
  const bool ready = book.has_readiness(other) ? dependency.health.ready : dependency.life.phase == Phase::running;
  const ServiceSpec& spec = book.spec_of(other);
  const bool success = dependency.last_exit.run != no_run && lifecycle::is_success(dependency.last_exit, spec);
  // While its hooks before a start run, its newest run is the one before.
  const bool prepares = dependency.life.phase == Phase::starting && !dependency.life.run_live;
  const bool started = dependency.run().started != 0 && !prepares;
  // A task is what others wait for when it has done its work.
  if (spec.type == ServiceType::task && edge.condition == Condition::ready)
    edge.condition = Condition::completed_successfully;
  const lifecycle::Standing standing = lifecycle::standing(edge, dependency.life.phase, ready, started, success);
  // Nobody starts over what would take him along again: one that has completed was started, too, and has gone.
  const bool left = edge.stop && edge.required && presence_of(book, other) == Presence::gone;
  return left && standing == lifecycle::Standing::met ? lifecycle::Standing::unmet : standing;
}

bool dependencies_met(const SlotBook& book, SlotIndex slot, Reason* why, std::string* what) {
  const SlotState& state = book.slots[slot];
  if (state.role != SlotRole::service) return true;
  const AppliedDocument* applied = book.applied(slot);
  if (applied == nullptr) return true;
  const bool must_wait = must_wait_its_turn(book, slot, *applied);
  if (must_wait && why != nullptr) *why = Reason::dependency_missing;
  return needs_met(book, slot, why, what) && !must_wait;
}

bool needs_met(const SlotBook& book, SlotIndex slot, Reason* why, std::string* what) {
  const SlotState& state = book.slots[slot];
  const AppliedDocument* applied = book.applied(slot);
  if (state.role != SlotRole::service || applied == nullptr) return true;
  bool met = true;
  for (const lifecycle::Edge& edge : applied->graph.dependencies(state.service)) {
    const lifecycle::Standing standing = standing_of(book, *applied, edge);
    if (standing == lifecycle::Standing::met) continue;
    if (!edge.required && standing == lifecycle::Standing::failed) continue;
    met = false;
    const bool failed = standing == lifecycle::Standing::failed;
    if (why != nullptr && (*why == Reason::none || failed))
      *why = failed ? Reason::dependency_failed : Reason::dependency_missing;
    if (what != nullptr) {
      if (!what->empty()) *what += ", ";
      *what += applied->document.services[edge.to].name;
    }
  }
  return met;
}

bool must_wait_its_turn(const SlotBook& book, SlotIndex slot, const AppliedDocument& applied) {
  if (applied.document.start_concurrency == 0) return false;
  const bool itself = slot != no_slot && book.slots[slot].role == SlotRole::service &&
                      book.slots[slot].document == applied.document.version &&
                      book.slots[slot].life.phase == Phase::starting;
  return book.starting(applied.document.version) >= applied.document.start_concurrency + (itself ? 1 : 0);
}

bool must_hold(const SlotBook& book, SlotIndex slot) {
  const SlotState& state = book.slots[slot];
  const AppliedDocument* applied = book.applied(slot);
  if (applied == nullptr || state.role != SlotRole::service || book.head.force) return false;
  for (const std::uint32_t dependent : applied->graph.dependents(state.service)) {
    for (const SlotIndex other : applied->slots_of(dependent)) {
      if (other == no_slot || !book.slots[other].used || book.slots[other].life.phase != Phase::stopping) continue;
      // Of a document that was replaced the list may name what is somebody else's now.
      const Document* its = book.document_of(other);
      if (its != nullptr && its->project == applied->document.project) return true;
    }
  }
  return false;
}

namespace {

// Has one of these replicas a newer run than this one? The first run of a replica that joins others is no restart of
// their service.
bool restarted_since(const SlotBook& book, std::span<const SlotIndex> replicas, RunId run) {
  const auto older = [&](SlotIndex slot) { return slot != no_slot && book.slots[slot].run().run < run; };
  const bool was_there = std::any_of(replicas.begin(), replicas.end(), older);
  return std::any_of(replicas.begin(), replicas.end(), [&](SlotIndex slot) {
    if (slot == no_slot || older(slot)) return false;
    return !was_there || book.slots[slot].last_exit.run != no_run;
  });
}

}  // namespace

bool outlived_a_dependency(const SlotBook& book, SlotIndex slot) {
  const SlotState& state = book.slots[slot];
  const AppliedDocument* applied = book.applied(slot);
  if (applied == nullptr || !book.is_up(slot) || state.run_wanted || state.removing) return false;
  if (lifecycle::is_damped(state.life)) return false;
  const std::vector<lifecycle::Edge>& edges = applied->graph.dependencies(state.service);
  return std::any_of(edges.begin(), edges.end(), [&](lifecycle::Edge edge) {
    if (!edge.restart || !restarted_since(book, applied->slots_of(edge.to), state.run().run)) return false;
    edge.required = true;  // what merely is tolerated to be away has not been restarted
    return standing_of(book, *applied, edge) == lifecycle::Standing::met;
  });
}

namespace {

// Of a service: all its replicas. One that nobody has placed yet is not said to have gone.
Presence presence_of(const SlotBook& book, std::span<const SlotIndex> replicas) {
  bool found = false, waits = false;
  for (const SlotIndex slot : replicas) {
    if (slot == no_slot || !book.slots[slot].used) continue;
    const Presence one = presence_of(book, slot);
    if (one == Presence::there) return one;
    found = true;
    waits = waits || one == Presence::waits;
  }
  return !found ? Presence::there : waits ? Presence::waits : Presence::gone;
}

}  // namespace

Losses::Found& Losses::found_of(const AppliedDocument& applied) {
  if (as_of_ != book_.changes) found_.clear();
  as_of_ = book_.changes;
  Found& found = found_[&applied];
  found.walked.resize(applied.services());
  found.has_gone.resize(applied.services());
  return found;
}

// Where all of a service have gone, it has. Else along those that wait, each looked at once, to what keeps them from
// starting: of that one replica which has gone is enough, though the others of it are there.
bool Losses::has_gone(const AppliedDocument& applied, std::uint32_t service) {
  const Presence asked = presence_of(book_, applied.slots_of(service));
  if (asked != Presence::waits) return asked == Presence::gone;
  Found& found = found_of(applied);
  if (found.has_gone[service] != 0) return found.has_gone[service] == 'y';
  std::vector<std::uint32_t> waiting = {service};
  std::vector<bool> known(applied.services());
  known[service] = true;
  bool gone = false;
  for (std::size_t i = 0; i < waiting.size() && !gone; ++i) {
    ++book_.looks;
    for (const lifecycle::Edge& edge : applied.graph.dependencies(waiting[i])) {
      if (!edge.required) continue;
      for (const SlotIndex other : applied.slots_of(edge.to)) {
        if (other == no_slot || !book_.slots[other].used) continue;
        if (standing_of(book_, other, edge) == lifecycle::Standing::met) continue;
        const Presence presence = presence_of(book_, other);
        gone = gone || presence == Presence::gone || (presence == Presence::waits && found.has_gone[edge.to] == 'y');
        if (presence != Presence::waits || known[edge.to] || found.has_gone[edge.to] == 'n') continue;
        known[edge.to] = true;
        waiting.push_back(edge.to);
      }
    }
  }
  // Nothing has gone of all that was walked along; where something has, only the one that was asked for is known.
  if (gone)
    found.has_gone[service] = 'y';
  else
    for (const std::uint32_t each : waiting) found.has_gone[each] = 'n';
  return gone;
}

bool Losses::is_left(SlotIndex slot) {
  const SlotState& state = book_.slots[slot];
  const AppliedDocument* applied = book_.applied(slot);
  if (applied == nullptr || !book_.is_up(slot) || !state.life.run_live || state.removing) return false;
  const std::vector<lifecycle::Edge>& edges = applied->graph.dependencies(state.service);
  return std::any_of(edges.begin(), edges.end(), [&](const lifecycle::Edge& edge) {
    return edge.stop && edge.required && has_gone(*applied, edge.to);
  });
}

std::vector<SlotIndex> Losses::left_by(SlotIndex slot) {
  std::vector<SlotIndex> left;
  const AppliedDocument* applied = book_.applied(slot);
  if (applied == nullptr || !book_.is_service(slot) || !applied->graph.any_stops()) return left;
  if (presence_of(book_, slot) == Presence::there) return left;
  Found& found = found_of(*applied);
  const auto walk = [&](std::vector<std::uint32_t>& away, std::uint32_t service) {
    if (found.walked[service]) return;
    found.walked[service] = true;
    away.push_back(service);
  };
  std::vector<std::uint32_t> away;
  walk(away, book_.slots[slot].service);
  for (std::size_t i = 0; i < away.size(); ++i) {
    ++book_.looks;
    for (const std::uint32_t dependent : applied->graph.dependents(away[i])) {
      const std::vector<lifecycle::Edge>& edges = applied->graph.dependencies(dependent);
      const bool bound = std::any_of(edges.begin(), edges.end(),
                                     [&](const lifecycle::Edge& edge) { return edge.to == away[i] && edge.stop; });
      bool waits = false;
      for (const SlotIndex other : applied->slots_of(dependent)) {
        if (other == no_slot || !book_.slots[other].used) continue;
        const bool told = std::find(left.begin(), left.end(), other) != left.end();
        if (bound && !told && is_left(other)) left.push_back(other);
        waits = waits || presence_of(book_, other) == Presence::waits;
      }
      // Nothing changes of one that waits already, so nobody else asks for those that are to stop with it.
      if (waits) walk(away, dependent);
    }
  }
  return left;
}

std::vector<SlotIndex> with_restarted_dependents(const SlotBook& book, std::vector<SlotIndex> chosen) {
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const SlotState& state = book.slots[chosen[i]];
    const AppliedDocument* applied = book.applied(chosen[i]);
    // Of some nothing runs any more, or has been told to end, that anybody could have to go before.
    if (applied == nullptr || !(book.is_up(chosen[i]) || state.life.stop_held)) continue;
    for (const std::uint32_t dependent : applied->graph.dependents(state.service)) {
      const std::vector<lifecycle::Edge>& edges = applied->graph.dependencies(dependent);
      const bool follows = std::any_of(edges.begin(), edges.end(), [&](const lifecycle::Edge& edge) {
        return edge.to == state.service && edge.restart;
      });
      if (!follows) continue;
      for (const SlotIndex other : applied->slots_of(dependent)) {
        const bool there = other != no_slot && book.is_up(other);
        if (there && std::find(chosen.begin(), chosen.end(), other) == chosen.end()) chosen.push_back(other);
      }
    }
  }
  return chosen;
}

std::vector<SlotIndex> dependencies_first(const SlotBook& book, std::vector<SlotIndex> slots) {
  const auto rank = [&book](SlotIndex slot) {
    const AppliedDocument* applied = book.applied(slot);
    return applied == nullptr ? 0 : applied->graph.rank(book.slots[slot].service);
  };
  std::stable_sort(slots.begin(), slots.end(), [&](SlotIndex a, SlotIndex b) { return rank(a) < rank(b); });
  return slots;
}

}  // namespace hearth::supervisor
