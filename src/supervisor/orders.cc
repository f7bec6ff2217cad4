// Requests: what users order. Everything here is decided within a turn and answered after its commit.
#include <algorithm>
#include <cstring>
#include <set>
#include <string_view>
#include <unordered_set>

#include "supervisor/supervisor.h"

namespace hearth::supervisor {

Result<Accepted> Supervisor::handle_request(const Request& request, Now now) {
  const wire::OperationRecord* known = wire::find_operation(page_, request.key.data());
  // An impatient client may have sent it twice before this turn.
  for (const wire::OperationRecord& operation : operations_)
    if (std::memcmp(operation.key, request.key.data(), sizeof operation.key) == 0) known = &operation;
  if (known != nullptr) {
    Accepted accepted;
    accepted.order = known->order;
    accepted.repeated = true;
    for (SlotIndex slot = 0; slot < slots_.size(); ++slot)
      if (slots_[slot].used && slots_[slot].order == known->order) {
        accepted.slots.push_back(slot);
        if (slots_[slot].removing) accepted.removed.push_back(label(slot));
      }
    return accepted;
  }
  if (head_.shutting_down && request.verb != Verb::shutdown && request.verb != Verb::leave)
    return failure(Remedy::conflict, "take the order", options_.instance, "hearth is shutting down",
                   "start it again when it has ended");
  if (operations_.size() == wire::max_new_operations)
    return failure(Remedy::try_later, "take the order", options_.instance, "too many came at once", "send it again");
  Result<Accepted> accepted = [&]() -> Result<Accepted> {
    switch (request.verb) {
      case Verb::apply: return apply(request, now);
      case Verb::start:
      case Verb::stop:
      case Verb::restart: return order_named(request, now);
      case Verb::down: return down(request, now);
      case Verb::shutdown:
      case Verb::leave: {
        if (head_.shutting_down && request.verb == Verb::shutdown) head_.force = true;
        Accepted all;
        all.order = ++head_.last_order;
        shut_down(request.verb == Verb::leave, all.order, now);
        for (SlotIndex slot = 0; slot < slots_.size(); ++slot)
          if (slots_[slot].used && slots_[slot].role == SlotRole::service) all.slots.push_back(slot);
        return all;
      }
    }
    return failure(Remedy::fix_input, "take the order", "", "unknown verb");
  }();
  if (!accepted) return accepted;
  wire::OperationRecord record{};
  std::memcpy(record.key, request.key.data(), sizeof record.key);
  record.order = accepted->order;
  record.accepted_wall_ns = now.wall;
  record.kind = static_cast<std::uint32_t>(request.verb);
  record.slots = static_cast<std::uint32_t>(accepted->slots.size());
  operations_.push_back(record);
  head_changed_ = true;
  return accepted;
}

std::vector<SlotIndex> Supervisor::select(const Request& request) const {
  std::vector<SlotIndex> found;
  for (SlotIndex slot = 0; slot < slots_.size(); ++slot) {
    const SlotState& state = slots_[slot];
    if (!state.used || state.role != SlotRole::service || state.removing) continue;
    const Document* document = document_of(slot);
    if (!request.project.empty() && document->project != request.project) continue;
    const std::string& service = document->services[state.service].name;
    const bool named = std::any_of(request.names.begin(), request.names.end(), [&](const std::string& name) {
      return selects(name, document->project, service, state.replica);
    });
    if (named || (request.all && request.names.empty())) found.push_back(slot);
  }
  return found;
}

// The projects that have services here, for whoever named one that has not.
std::string Supervisor::projects_here() const {
  std::set<std::string> projects;
  for (SlotIndex slot = 0; slot < slots_.size(); ++slot)
    if (slots_[slot].used && slots_[slot].role == SlotRole::service) projects.insert(document_of(slot)->project);
  if (projects.empty()) return "there are no services at all";
  std::string text;
  for (const std::string& project : projects) text += (text.empty() ? "" : ", ") + project;
  return (projects.size() == 1 ? "the project that is here: " : "the projects that are here: ") + text +
         "; hearth down -p NAME";
}

Result<std::vector<SlotIndex>> Supervisor::named(const Request& request) const {
  for (const std::string& name : request.names) {
    Request one = request;
    one.names = {name};
    if (!select(one).empty()) continue;
    std::vector<std::string> valid;
    for (SlotIndex slot = 0; slot < slots_.size(); ++slot)
      if (slots_[slot].used && slots_[slot].role == SlotRole::service) valid.push_back(spec_of(slot).name);
    const std::string near = lifecycle::nearest(name, valid);
    return failure(Remedy::not_found, "find", name, "no service has that name",
                   near.empty() ? "`hearth status` lists them" : "did you mean " + near + "?");
  }
  std::vector<SlotIndex> chosen = select(request);
  // Nothing is there to be stopped: the goal is reached.
  const bool ends = request.verb == Verb::down || request.verb == Verb::stop;
  if (chosen.empty() && !(request.all && ends))
    return failure(Remedy::not_found, "find", "services", "there are none",
                   "add one: hearth up, or hearth run -- COMMAND");
  return chosen;
}

Result<Accepted> Supervisor::order_named(const Request& request, Now now) {
  const Result<std::vector<SlotIndex>> found = named(request);
  if (!found) return failure(found.error());
  const std::vector<SlotIndex>& chosen = *found;
  Accepted accepted;
  accepted.order = ++head_.last_order;
  accepted.slots = chosen;
  if (request.verb == Verb::stop) {
    order_stop_all(chosen, accepted.order, false, now);
    return accepted;
  }
  runs_changed_ = true;
  if (request.dependencies) start_needed(chosen, request.verb == Verb::restart, accepted, now);
  if (request.verb == Verb::restart) {
    order_restarts(chosen, accepted, now);
    return accepted;
  }
  for (SlotIndex slot : dependencies_first(chosen)) {
    SlotState& state = slots_[slot];
    if (is_up(slot))
      accepted.notes.push_back(label(slot) + " is already running (PID " + std::to_string(state.run().pid) + ")");
    enlist(slot, accepted.order, true);
    order_up(slot, lifecycle::EventKind::order_start, now);
  }
  return accepted;
}

// A start or a restart; what is restarted is held until those that depend on it have ended.
void Supervisor::order_up(SlotIndex slot, lifecycle::EventKind kind, Now now) {
  lifecycle::Event event;
  event.kind = kind;
  event.hold = kind != lifecycle::EventKind::order_start && is_up(slot);
  event.dependencies_met = dependencies_met(slot);
  event.has_readiness = has_readiness(slot);
  feed(slot, event, now);
  touch(slot);
  propagate_from(slot, now);
}

// Two that want the same of a service at the same time both get it: the earlier one is not overtaken.
void Supervisor::enlist(SlotIndex slot, OrderId order, bool up) {
  SlotState& state = slots_[slot];
  if (state.order == order) return;
  state.order_before = up && state.life.want_up ? state.order : 0;
  state.order = order;
}

void Supervisor::order_stop_all(const std::vector<SlotIndex>& slots, OrderId order, bool force, Now now) {
  // First mark all as stopping, dependents before what they depend on, then let go those whom nobody holds.
  for (SlotIndex slot : slots) enlist(slot, order, false);
  for (SlotIndex slot : slots) {
    lifecycle::Event event;
    event.kind = lifecycle::EventKind::order_stop;
    // Held at first, also when it is being stopped already: only `force` insists.
    event.hold = !force && slots_[slot].role == SlotRole::service && slots_[slot].life.run_live;
    feed(slot, event, now);
    touch(slot);
    propagate_from(slot, now);
  }
  runs_changed_ = true;
}

void Supervisor::shut_down(bool leave, OrderId order, Now now) {
  head_.shutting_down = true;
  head_.leaving = leave;
  head_changed_ = true;
  visible_change_ = true;
  if (leave) return;
  std::vector<SlotIndex> all;
  for (SlotIndex slot = 0; slot < slots_.size(); ++slot)
    if (slots_[slot].used) all.push_back(slot);
  order_stop_all(all, order, head_.force, now);
}

const AppliedDocument* Supervisor::current_of(const std::string& project) const {
  const AppliedDocument* newest = nullptr;
  for (const auto& [version, applied] : registry_.all()) {
    if (applied->document.project != project) continue;
    const bool followed = std::any_of(applied->slots.begin(), applied->slots.end(), [&](SlotIndex slot) {
      return slot != no_slot && slots_[slot].used && slots_[slot].document == version && !slots_[slot].removing;
    });
    if (followed) newest = applied.get();
  }
  return newest;
}

Status Supervisor::refuse_conflicts(const Document& document, std::uint64_t replaced) const {
  std::vector<std::string> names;
  for (SlotIndex slot = 0; slot < slots_.size(); ++slot) {
    const SlotState& state = slots_[slot];
    if (!state.used || state.role != SlotRole::service || state.document == replaced) continue;
    const Document* other = document_of(slot);
    if (other->project != document.project) continue;
    const std::string& name = other->services[state.service].name;
    const auto same = std::find_if(document.services.begin(), document.services.end(),
                                   [&](const ServiceSpec& spec) { return spec.name == name; });
    if (same == document.services.end()) continue;
    if (state.life.run_live || state.life.want_up)
      return failure(Remedy::conflict, "run", name,
                     "it is already there" +
                         (state.run().pid != 0 ? " (PID " + std::to_string(state.run().pid) + ")" : std::string()),
                     "choose another --name, or: hearth restart " + name);
  }
  return {};
}

// A slot for each service that has none yet, and for each exec probe: the old ones may still be running.
Status Supervisor::find_room(const Document& document) const {
  std::unordered_set<std::string_view> placed;
  for (SlotIndex slot = 0; slot < slots_.size(); ++slot) {
    if (!slots_[slot].used || slots_[slot].role != SlotRole::service) continue;
    const Document* other = document_of(slot);
    if (other->project == document.project) placed.insert(other->services[slots_[slot].service].name);
  }
  std::size_t needed = 0;
  for (const ServiceSpec& spec : document.services)
    needed += !placed.contains(spec.name) + (spec.ready.type == ProbeType::exec) + (spec.live.type == ProbeType::exec);
  // The ones that allocate() will take: entries of runs whose specification is lost may lie between and behind ours.
  SlotIndex end = 0;
  for (; needed > 0 && end < wire::max_slots; ++end) needed -= vacant(end);
  if (needed == 0) return world_.store.reserve(std::max(end, static_cast<SlotIndex>(slots_.size())));
  return failure(Remedy::try_later, "apply", document.project,
                 "no more than " + std::to_string(wire::max_slots) + " services and exec probes fit in one hearth",
                 "take something down first");
}

Result<Accepted> Supervisor::apply(const Request& request, Now now) {
  Document document = request.document;
  if (document.services.empty())
    return failure(Remedy::fix_input, "apply", document.project, "it has no services", "add a [service.NAME] table");
  const AppliedDocument* before = nullptr;
  if (document.path.empty()) {
    if (const Status free = refuse_conflicts(document, 0); !free) return failure(free.error());
  } else {
    before = current_of(document.project);
    if (before != nullptr && before->document.path != document.path)
      return failure(Remedy::conflict, "apply", document.path,
                     "project " + document.project + " is already there from " +
                         (before->document.path.empty() ? "`hearth run`" : before->document.path),
                     "choose another name with [project] name");
  }
  const std::uint64_t version = head_.last_document + 1;
  document.version = version;
  if (const Status room = find_room(document); !room) return failure(room.error());
  if (const Status added = registry_.add(document); !added) return failure(added.error());
  // Kept last, when nothing can be refused any more: the number of a refused document is used again.
  if (const Status stored = world_.store.put_document(document); !stored) {
    registry_.drop(version);
    return failure(stored.error());
  }
  head_.last_document = version;
  Accepted accepted;
  accepted.order = ++head_.last_order;
  place_services(*registry_.find(version), before, request.start, accepted, now);
  drop_unused_documents();
  head_changed_ = true;
  runs_changed_ = true;
  return accepted;
}

void Supervisor::place_services(AppliedDocument& applied, const AppliedDocument* before, bool start, Accepted& accepted,
                                Now now) {
  const std::vector<ServiceSpec>& services = applied.document.services;
  std::vector<SlotIndex> changed, removed;
  // Slots that go on under the new document; those of `hearth run` that have ended give their names back.
  for (SlotIndex slot = 0; slot < slots_.size(); ++slot) {
    SlotState& state = slots_[slot];
    if (!state.used || state.role != SlotRole::service || state.document == applied.document.version) continue;
    const Document* old = document_of(slot);
    if (old->project != applied.document.project) continue;
    const bool ours = before != nullptr && state.document == before->document.version;
    const auto same = std::find_if(services.begin(), services.end(), [&](const ServiceSpec& spec) {
      return spec.name == old->services[state.service].name;
    });
    if (same == services.end()) {
      if (ours) removed.push_back(slot);
      continue;
    }
    const auto index = static_cast<std::uint32_t>(same - services.begin());
    if (!(old->services[state.service] == *same)) changed.push_back(slot);
    state.document = applied.document.version;
    state.service = index;
    state.removing = false;
    applied.slots[index] = slot;
    touch(slot);
  }
  for (std::uint32_t i = 0; i < services.size(); ++i)
    if (applied.slots[i] == no_slot) applied.slots[i] = allocate(applied, i, SlotRole::service);
  place_probes(applied);
  accepted.slots = applied.slots;
  for (const SlotIndex slot : applied.slots) {
    enlist(slot, accepted.order, start);
    touch(slot);
    propagate_from(slot, now);
  }
  std::erase_if(changed, [this](SlotIndex slot) { return !is_up(slot); });  // those are merely started
  const std::vector<SlotIndex> restarted = start ? order_restarts(changed, accepted, now) : changed;
  for (const SlotIndex slot : dependencies_first(applied.slots)) {
    const SlotState& state = slots_[slot];
    if (!start || std::find(restarted.begin(), restarted.end(), slot) != restarted.end()) continue;
    if (is_up(slot))
      accepted.notes.push_back(services[state.service].name + " is already running (PID " +
                               std::to_string(state.run().pid) + ")");
    order_up(slot, lifecycle::EventKind::order_start, now);
  }
  for (SlotIndex slot : removed) {
    slots_[slot].removing = true;
    accepted.removed.push_back(label(slot));
  }
  order_stop_all(removed, accepted.order, false, now);
}

void Supervisor::place_probes(AppliedDocument& applied) {
  const std::vector<ServiceSpec>& services = applied.document.services;
  // Old probe slots of these services go; what still runs of them is stopped first.
  for (SlotIndex slot = 0; slot < slots_.size(); ++slot) {
    SlotState& state = slots_[slot];
    if (!state.used || state.role == SlotRole::service || state.removing) continue;
    if (std::find(applied.slots.begin(), applied.slots.end(), state.parent) == applied.slots.end()) continue;
    state.removing = true;
    touch(slot);
    order_stop_all({slot}, state.order, true, now_);
  }
  for (std::uint32_t i = 0; i < services.size(); ++i) {
    if (applied.slots[i] == no_slot) continue;
    if (services[i].ready.type == ProbeType::exec)
      applied.ready_probes[i] = allocate(applied, i, SlotRole::ready_probe);
    if (services[i].live.type == ProbeType::exec) applied.live_probes[i] = allocate(applied, i, SlotRole::live_probe);
  }
}

// A run that is left alone (its specification is lost) holds its entry; nothing could ever be spawned there.
bool Supervisor::vacant(SlotIndex slot) const {
  if (slot < slots_.size() && slots_[slot].used) return false;
  for (std::uint32_t i = 0; i < wire::entries_per_slot; ++i)
    if (world_.keeper.entry(slot * wire::entries_per_slot + i).run != no_run) return false;
  return true;
}

// References into slots_ and scratch_ do not outlive this. no_slot: there is none left.
SlotIndex Supervisor::allocate(const AppliedDocument& applied, std::uint32_t service, SlotRole role, SlotIndex wanted) {
  const auto grow_to = [this](SlotIndex slot) {
    if (slot < slots_.size()) return;
    const auto first = static_cast<SlotIndex>(slots_.size());
    slots_.resize(slot + 1);
    scratch_.resize(slot + 1);
    due_at_.resize(slot + 1, never);
    head_.slots_used = static_cast<std::uint32_t>(slots_.size());
    head_changed_ = true;
    // Also those that are passed over: what an unfinished commit has left there would come alive with ours.
    for (SlotIndex i = first; i <= slot; ++i) touch(i);
  };
  SlotIndex slot = wanted;
  if (wanted == no_slot) {
    while (first_free_ < slots_.size() && slots_[first_free_].used) ++first_free_;
    for (slot = first_free_;; ++slot) {
      if (slot == wire::max_slots || !world_.store.reserve(slot + 1)) return no_slot;
      grow_to(slot);
      if (vacant(slot)) break;
    }
  }
  grow_to(slot);
  SlotState fresh;
  fresh.used = true;
  fresh.role = role;
  fresh.document = applied.document.version;
  fresh.service = service;
  fresh.parent = role == SlotRole::service ? no_slot : applied.slots[service];
  slots_[slot] = fresh;
  const bool in_changed = scratch_[slot].changed, in_acting = scratch_[slot].acting,
             in_propagate = scratch_[slot].propagate, in_noting = scratch_[slot].noting;
  scratch_[slot] = Scratch{};
  due_at_[slot] = never;
  scratch_[slot].changed = in_changed;
  scratch_[slot].acting = in_acting;
  scratch_[slot].propagate = in_propagate;
  scratch_[slot].noting = in_noting;
  touch(slot);
  return slot;
}

Result<Accepted> Supervisor::down(const Request& request, Now now) {
  std::vector<SlotIndex> chosen;
  if (request.all || !request.names.empty()) {
    Result<std::vector<SlotIndex>> found = named(request);
    if (!found) return failure(found.error());
    chosen = std::move(*found);
  } else {
    for (SlotIndex slot = 0; slot < slots_.size(); ++slot) {
      if (!slots_[slot].used || slots_[slot].role != SlotRole::service) continue;
      const Document* document = document_of(slot);
      if (request.document.path.empty() ? document->project == request.project
                                        : document->path == request.document.path)
        chosen.push_back(slot);
    }
  }
  if (chosen.empty() && !request.all)
    return failure(Remedy::not_found, "take down",
                   request.document.path.empty() ? request.project : request.document.path, "nothing of it is here",
                   projects_here());
  Accepted accepted;
  accepted.order = ++head_.last_order;
  accepted.slots = chosen;
  for (SlotIndex slot : chosen) {
    slots_[slot].removing = true;
    accepted.removed.push_back(label(slot));
  }
  for (SlotIndex slot = 0; slot < slots_.size(); ++slot) {
    if (!slots_[slot].used || slots_[slot].role == SlotRole::service) continue;
    if (std::find(chosen.begin(), chosen.end(), slots_[slot].parent) == chosen.end()) continue;
    slots_[slot].removing = true;
    order_stop_all({slot}, accepted.order, true, now);
  }
  order_stop_all(chosen, accepted.order, false, now);
  return accepted;
}

void Supervisor::forget(SlotIndex slot) {
  SlotState& state = slots_[slot];
  if (AppliedDocument* applied = registry_.find(state.document)) {
    for (std::vector<SlotIndex>* slots : {&applied->slots, &applied->ready_probes, &applied->live_probes})
      for (SlotIndex& each : *slots)
        if (each == slot) each = no_slot;
  }
  released_slots_.push_back(slot);
  const OrderId order = state.order;
  state = SlotState{};
  state.order = order;
  due_at_[slot] = never;
  first_free_ = std::min(first_free_, slot);
  touch(slot);
  documents_unused_ = true;
  runs_changed_ = true;
}

void Supervisor::drop_unused_documents() {
  documents_unused_ = false;
  std::unordered_set<std::uint64_t> named;
  for (const SlotState& state : slots_)
    if (state.used) named.insert(state.document);
  for (auto it = registry_.all().begin(); it != registry_.all().end();) {
    const std::uint64_t version = it->first;
    ++it;
    if (named.contains(version) || version > head_.last_document) continue;
    registry_.drop(version);
    dropped_documents_.push_back(version);
  }
}

}  // namespace hearth::supervisor
