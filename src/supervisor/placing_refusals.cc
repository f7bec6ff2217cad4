// What may refuse an apply, before anything is changed.
#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "config/diff.h"
#include "config/replicas.h"
#include "model/document.h"
#include "model/hook.h"
#include "model/replica.h"
#include "supervisor/book.h"
#include "supervisor/placing.h"

namespace hearth::supervisor {

// Each replica needs for itself what only one can have. Files are read so; this is for scale and what comes by the API.
Status Placing::refuse_shared(const Document& document, Verb verb) {
  for (const ServiceSpec& spec : document.services) {
    const std::vector<config::ReplicaProblem> problems = config::replica_problems(spec);
    if (problems.empty()) continue;
    const config::ReplicaProblem& first = problems.front();
    return failure(Remedy::fix_input, verb == Verb::scale ? "scale" : "apply", spec.name, first.reason,
                   verb == Verb::scale ? "in its file, " + first.remedy : first.remedy);
  }
  return {};
}

Result<const AppliedDocument*> Placing::predecessor_of(const Document& document) const {
  if (document.path.empty()) {
    if (const Status free = refuse_conflicts(document); !free) return failure(free.error());
    return nullptr;
  }
  // Under another name everything in it would start a second time.
  for (const SlotIndex slot : book_.services()) {
    const Document& other = *book_.document_of(slot);
    if (book_.slots[slot].removing || other.path != document.path || other.project == document.project) continue;
    return failure(Remedy::conflict, "apply", document.path,
                   "it is up as project " + other.project + ", and its services would be started a second time",
                   "`hearth down -p " + other.project + "` first, or leave [project] name as it was");
  }
  const AppliedDocument* before = current_of(document.project);
  if (before != nullptr && before->document.path != document.path)
    return failure(Remedy::conflict, "apply", document.path,
                   "project " + document.project + " is already there from " +
                       (before->document.path.empty() ? "hearth run" : before->document.path),
                   "choose another name with [project] name");
  return before;
}

const AppliedDocument* Placing::current_of(const std::string& project) const {
  const AppliedDocument* newest = nullptr;
  for (const auto& [version, applied] : book_.registry.all()) {
    if (applied->document.project != project) continue;
    const bool followed = std::any_of(applied->slots.begin(), applied->slots.end(), [&](SlotIndex slot) {
      return slot != no_slot && book_.slots[slot].used && book_.slots[slot].document == version &&
             !book_.slots[slot].removing;
    });
    if (followed) newest = applied.get();
  }
  return newest;
}

Status Placing::refuse_conflicts(const Document& document) const {
  for (const SlotIndex slot : book_.services()) {
    const SlotState& state = book_.slots[slot];
    const Document* other = book_.document_of(slot);
    if (state.document == 0 || other->project != document.project) continue;
    const std::string& name = other->services[state.service].name;
    if (find_service(document, name) == nullptr) continue;
    if (state.life.run_live || state.life.want_up)
      return failure(Remedy::conflict, "run", name,
                     "it is already there" +
                         (state.run().pid != 0 ? " (PID " + std::to_string(state.run().pid) + ")" : std::string()),
                     "choose another --name, or `hearth restart " + name + "`");
  }
  return {};
}

std::size_t Placing::probe_slots_missing(const ServiceSpec& spec, SlotIndex slot) const {
  std::size_t missing = 0;
  for (const SlotRole role : {SlotRole::ready_probe, SlotRole::live_probe}) {
    if ((role == SlotRole::ready_probe ? spec.ready : spec.live)->type != ProbeType::exec) continue;
    SlotIndex its = no_slot;
    if (const AppliedDocument* applied = slot == no_slot ? nullptr : book_.applied(slot); applied != nullptr)
      its = (role == SlotRole::ready_probe ? applied->ready_probes
                                           : applied->live_probes)[applied->place(book_.slots[slot])];
    missing += its == no_slot || book_.slots[its].removing;
  }
  return missing;
}

std::size_t Placing::hook_slots_missing(const ServiceSpec& spec, SlotIndex slot) const {
  std::size_t missing = 0;
  for (const SlotRole role : hook_roles)
    missing += has_hooks(*spec.actions, role) && (slot == no_slot || book_.hook_slot(slot, role) == no_slot);
  return missing;
}

// For each replica, its exec probes and its hooks, what has no slot yet.
Status Placing::find_room(const Document& document) const {
  std::map<std::pair<std::string_view, std::uint32_t>, SlotIndex> placed;
  for (const SlotIndex slot : book_.services()) {
    const Document* other = book_.document_of(slot);
    const SlotState& state = book_.slots[slot];
    if (other->project == document.project) placed[{other->services[state.service].name, state.replica}] = slot;
  }
  std::size_t needed = 0;
  for (const ServiceSpec& spec : document.services) {
    for (std::uint32_t i = 0; i < spec.replicas; ++i) {
      const auto its = placed.find({spec.name, i});
      const SlotIndex slot = its == placed.end() ? no_slot : its->second;
      needed += (slot == no_slot) + probe_slots_missing(spec, slot) + hook_slots_missing(spec, slot);
    }
  }
  // The ones that allocate() will take: entries of runs whose specification is lost may lie between and behind ours.
  SlotIndex end = 0;
  for (; needed > 0 && end < wire::max_slots; ++end) needed -= vacant(end);
  if (needed == 0) return store_.reserve(std::max(end, book_.size()));
  return failure(
      Remedy::try_later, "apply", document.project,
      "no more than " + std::to_string(wire::max_slots) + " services, exec probes and hooks fit in one hearth",
      "take something down first");
}

// What hearth may not give to a service it may not give later either: that is a mistake in the file, or in how hearth was
// started, and nobody should have to find it in a list of starts that failed.
Status Placing::refuse_impossible(const Document& document) const {
  for (const ServiceSpec& spec : document.services) {
    Status can = keeper_.can_start(spec);
    if (can) continue;
    Error error = can.error();
    error.reason += "; nothing has changed";
    return failure(std::move(error));
  }
  return {};
}

// A service that is up would be stopped, and then not start again, were one of its new addresses somebody else's. Where
// nothing is up yet all others can be started: the one that cannot listen says why, and tries it again.
Status Placing::refuse_taken_addresses(const Document& document, const AppliedDocument* before) const {
  if (before == nullptr) return {};
  for (const ServiceSpec& spec : document.services) {
    if (spec.listen.empty()) continue;
    const ServiceSpec* was = find_service(before->document, spec.name);
    const std::size_t place = was == nullptr ? 0 : static_cast<std::size_t>(was - before->document.services.data());
    const auto wanted_up = [this](SlotIndex slot) { return slot != no_slot && book_.slots[slot].life.want_up; };
    const std::span<const SlotIndex> slots =
        was == nullptr ? std::span<const SlotIndex>() : before->slots_of(static_cast<std::uint32_t>(place));
    if (was == nullptr ? !spec.autostart : std::none_of(slots.begin(), slots.end(), wanted_up)) continue;
    for (std::uint32_t i = 0; i < spec.replicas; ++i) {
      std::vector<ListenSocket> had;
      if (was != nullptr && i < was->replicas) had = replica_of(*was, i).listen;
      for (const ListenSocket& socket : replica_of(spec, i).listen) {
        const auto same = [&](const ListenSocket& other) { return other.address == socket.address; };
        if (std::any_of(had.begin(), had.end(), same)) continue;
        Status can = keeper_.can_listen(socket, spec);
        if (can) continue;
        Error error = can.error();
        error.subject += " for " + spec.name;
        error.reason += "; nothing has changed";
        return failure(std::move(error));
      }
    }
  }
  return {};
}

namespace {

// Makes a run of it by itself what is not there yet?
bool is_made_at_its_start(const ServiceSpec& spec) {
  const Surroundings& around = *spec.around;
  return !spec.actions->before_start.command.empty() || !around.runtime_directories.empty() ||
         !around.state_directories.empty() || !around.cache_directories.empty();
}

bool waits_for_an_end_of(const Dependency& dependency, const ServiceSpec& other) {
  return other.type == ServiceType::task || dependency.condition == Condition::completed ||
         dependency.condition == Condition::completed_successfully;
}

}  // namespace

// Does something run to its end before it that may make what is not there yet? What has completed makes nothing any more,
// unless this change has it run again.
bool Placing::is_made_before(const Document& document, const AppliedDocument& before, const ServiceSpec& spec,
                             const Request& request) const {
  return std::ranges::any_of(spec.depends_on, [&](const Dependency& dependency) {
    const ServiceSpec* other = find_service(document, dependency.service);
    if (other == nullptr || !waits_for_an_end_of(dependency, *other)) return false;
    const ServiceSpec* was = find_service(before.document, other->name);
    if (was == nullptr || other->replicas > was->replicas || config::needs_restart(*was, *other)) return true;
    if (other->type != ServiceType::task && !request.reload) return true;  // an `up` runs all but tasks again
    const auto service = static_cast<std::uint32_t>(was - before.document.services.data());
    return std::ranges::any_of(before.slots_of(service), [this](SlotIndex slot) {
      return slot == no_slot || book_.slots[slot].removing || book_.slots[slot].life.phase != Phase::completed;
    });
  });
}

// What is up and would be restarted must find what it is started from, or it would be stopped and not come back
// (docs/decisions/0023). Of what is not up nothing is lost: its start says so.
Status Placing::refuse_missing(const Document& document, const AppliedDocument* before, const Request& request) const {
  if (before == nullptr) return {};
  std::deque<ServiceSpec> specs;  // the orders point into it
  std::vector<ports::SpawnOrder> orders;
  for (const ServiceSpec& spec : document.services) {
    const ServiceSpec* was = find_service(before->document, spec.name);
    if (was == nullptr || !config::needs_restart(*was, spec)) continue;
    if (is_made_at_its_start(spec) || is_made_before(document, *before, spec, request)) continue;
    const auto service = static_cast<std::uint32_t>(was - before->document.services.data());
    const std::span<const SlotIndex> slots = before->slots_of(service);
    for (std::uint32_t i = 0; i < std::min<std::size_t>(spec.replicas, slots.size()); ++i) {
      if (slots[i] == no_slot || !book_.is_up(slots[i])) continue;
      ports::SpawnOrder& order = orders.emplace_back();
      order.label = label_of(document.project, spec.name, i);
      order.document = &document;
      order.spec = &specs.emplace_back(replica_of(spec, i));
      order.command = &order.spec->command;
    }
  }
  if (orders.empty()) return {};
  const std::optional<Status> found = keeper_.can_find(orders);
  book_.errands.undecided = !found;
  if (!found) return failure(Remedy::try_later, "apply", document.project, "it is being looked whether all is there");
  if (*found) return {};
  Error error = found->error();
  error.reason += "; nothing has changed";
  return failure(std::move(error));
}

}  // namespace hearth::supervisor
