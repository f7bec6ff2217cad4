#include "supervisor/placing.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>

#include "base/check.h"
#include "supervisor/book.h"
#include "supervisor/dependencies.h"
#include "supervisor/goals.h"
#include "supervisor/selection.h"

namespace hearth::supervisor {
namespace {

// Null: it has none of that name.
const ServiceSpec* find_service(const Document& document, std::string_view name) {
  const auto same = std::find_if(document.services.begin(), document.services.end(),
                                 [&](const ServiceSpec& spec) { return spec.name == name; });
  return same == document.services.end() ? nullptr : &*same;
}

bool contains(const std::vector<SlotIndex>& slots, SlotIndex slot) {
  return std::find(slots.begin(), slots.end(), slot) != slots.end();
}

}  // namespace

Result<Accepted> Placing::apply(const Request& request, Now now) {
  Document document = request.document;
  if (document.services.empty())
    return failure(Remedy::fix_input, "apply", document.project, "it has no services", "add a [service.NAME] table");
  const Result<const AppliedDocument*> before = predecessor_of(document);
  if (!before) return failure(before.error());
  const std::uint64_t version = book_.head.last_document + 1;
  document.version = version;
  if (const Status room = find_room(document); !room) return failure(room.error());
  if (const Status added = book_.registry.add(document); !added) return failure(added.error());
  // Kept last, when nothing can be refused any more: the number of a refused document is used again.
  if (const Status stored = store_.put_document(document); !stored) {
    book_.registry.drop(version);
    return failure(stored.error());
  }
  book_.head.last_document = version;
  Accepted accepted;
  accepted.order = book_.next_order();
  place_services(*book_.registry.find(version), *before, request.start, accepted, now);
  book_.drop_unused_documents();
  book_.runs_changed = true;
  return accepted;
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
                   "hearth down -p " + other.project + " first, or leave [project] name as it was");
  }
  const AppliedDocument* before = current_of(document.project);
  if (before != nullptr && before->document.path != document.path)
    return failure(Remedy::conflict, "apply", document.path,
                   "project " + document.project + " is already there from " +
                       (before->document.path.empty() ? "`hearth run`" : before->document.path),
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
                     "choose another --name, or: hearth restart " + name);
  }
  return {};
}

// A slot for each service that has none yet, and for each exec probe: the old ones may still be running.
Status Placing::find_room(const Document& document) const {
  std::unordered_map<std::string_view, SlotIndex> placed;
  for (const SlotIndex slot : book_.services()) {
    const Document* other = book_.document_of(slot);
    if (other->project == document.project) placed[other->services[book_.slots[slot].service].name] = slot;
  }
  std::size_t needed = 0;
  for (const ServiceSpec& spec : document.services) {
    const auto its = placed.find(spec.name);
    needed += (its == placed.end()) + (spec.ready.type == ProbeType::exec) + (spec.live.type == ProbeType::exec);
    needed += hook_slots_missing(spec, its == placed.end() ? no_slot : its->second);
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

bool Placing::vacant(SlotIndex slot) const {
  if (book_.in_use(slot)) return false;
  for (std::uint32_t i = 0; i < wire::entries_per_slot; ++i)
    if (keeper_.entry(slot * wire::entries_per_slot + i).run != no_run) return false;
  return true;
}

// Also those that are passed over are committed: what an unfinished commit has left there would come alive with ours.
void Placing::grow_to(SlotIndex size) {
  const SlotIndex first = book_.size();
  book_.grow_to(size);
  for (SlotIndex slot = first; slot < size; ++slot) book_.touch(slot);
}

SlotIndex Placing::allocate(const AppliedDocument& applied, std::uint32_t service, SlotRole role, SlotIndex wanted) {
  SlotIndex slot = wanted;
  if (wanted == no_slot) {
    for (slot = book_.first_free();; ++slot) {
      if (slot == wire::max_slots || !store_.reserve(slot + 1)) return no_slot;
      grow_to(slot + 1);
      if (vacant(slot)) break;
    }
  }
  grow_to(slot + 1);
  SlotState fresh;
  fresh.used = true;
  fresh.role = role;
  fresh.document = applied.document.version;
  fresh.service = service;
  fresh.parent = role == SlotRole::service ? no_slot : applied.slots[service];
  book_.take_into_use(slot, fresh);
  return slot;
}

// Slots that go on under the new document; those of `hearth run` that have ended give their names back.
Placing::Change Placing::move_slots(AppliedDocument& applied, const AppliedDocument* before) {
  Change change;
  const std::vector<ServiceSpec>& services = applied.document.services;
  for (const SlotIndex slot : book_.services()) {
    SlotState& state = book_.slots[slot];
    if (state.document == applied.document.version) continue;
    const Document* old = book_.document_of(slot);
    if (old->project != applied.document.project) continue;
    const bool ours = before != nullptr && state.document == before->document.version;
    const ServiceSpec* same = find_service(applied.document, old->services[state.service].name);
    if (same == nullptr) {
      if (ours) change.removed.push_back(slot);
      continue;
    }
    if (!(old->services[state.service] == *same)) change.changed.push_back(slot);
    state.document = applied.document.version;
    state.service = static_cast<std::uint32_t>(same - services.data());
    state.removing = false;
    applied.slots[state.service] = slot;
    book_.touch(slot);
  }
  return change;
}

void Placing::place_services(AppliedDocument& applied, const AppliedDocument* before, bool start, Accepted& accepted,
                             Now now) {
  Change change = move_slots(applied, before);
  for (std::uint32_t i = 0; i < applied.slots.size(); ++i)
    if (applied.slots[i] == no_slot) applied.slots[i] = allocate(applied, i, SlotRole::service);
  place_probes(applied, now);
  for (std::uint32_t i = 0; i < applied.slots.size(); ++i) {
    const ServiceSpec& spec = applied.document.services[i];
    HEARTH_CHECK(applied.slots[i] != no_slot, "find_room has counted it");
    HEARTH_CHECK(spec.ready.type != ProbeType::exec || applied.ready_probes[i] != no_slot, "find_room has counted it");
    HEARTH_CHECK(spec.live.type != ProbeType::exec || applied.live_probes[i] != no_slot, "find_room has counted it");
  }
  accepted.slots = applied.slots;
  for (const SlotIndex slot : applied.slots) {
    goals_.enlist(slot, accepted.order, start);
    book_.touch(slot);
    book_.weigh(slot);
  }
  if (start) {
    std::vector<SlotIndex> restarted = change.changed;
    std::erase_if(restarted, [this](SlotIndex slot) { return !book_.comes_up(slot); });  // those are merely started
    start_services(applied, goals_.restart(restarted, accepted, now), change.changed, accepted, now);
  }
  for (const SlotIndex slot : change.removed) {
    book_.slots[slot].removing = true;
    accepted.removed.push_back(book_.label(slot));
  }
  goals_.stop(change.removed, accepted.order, false, now);
}

void Placing::start_services(const AppliedDocument& applied, const std::vector<SlotIndex>& restarted,
                             const std::vector<SlotIndex>& changed, Accepted& accepted, Now now) {
  const TypedNames names(book_);
  for (const SlotIndex slot : dependencies_first(book_, applied.slots)) {
    if (contains(restarted, slot)) continue;
    if (has_done_its_work(slot) && !contains(changed, slot)) {
      accepted.notes.push_back(names.of(slot) + " has completed and is not run again: hearth start " + names.of(slot));
      continue;
    }
    if (book_.is_up(slot))
      accepted.notes.push_back(names.of(slot) + " is already running (PID " +
                               std::to_string(book_.slots[slot].run().pid) + ")");
    goals_.raise(slot, lifecycle::EventKind::order_start, now);
  }
}

void Placing::place_probes(AppliedDocument& applied, Now now) {
  // Old probe slots of these services go; what still runs of them is stopped first.
  for (const SlotIndex slot : book_.used()) {
    SlotState& state = book_.slots[slot];
    if (!is_probe(state.role) || state.removing || !contains(applied.slots, state.parent)) continue;
    state.removing = true;
    book_.touch(slot);
    goals_.stop({slot}, state.order, true, now);
  }
  const std::vector<ServiceSpec>& services = applied.document.services;
  for (std::uint32_t i = 0; i < services.size(); ++i) {
    if (applied.slots[i] == no_slot) continue;
    if (services[i].ready.type == ProbeType::exec)
      applied.ready_probes[i] = allocate(applied, i, SlotRole::ready_probe);
    if (services[i].live.type == ProbeType::exec) applied.live_probes[i] = allocate(applied, i, SlotRole::live_probe);
  }
  place_hooks(applied);
}

}  // namespace hearth::supervisor
