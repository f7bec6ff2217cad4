// Slots for services, their probes and their hooks.
#include <algorithm>
#include <utility>

#include "model/hook.h"
#include "supervisor/book.h"
#include "supervisor/goals.h"
#include "supervisor/placing.h"

namespace hearth::supervisor {

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

SlotIndex Placing::allocate(const AppliedDocument& applied, Place place, SlotRole role, SlotIndex wanted) {
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
  fresh.service = place.service;
  fresh.replica = place.replica;
  fresh.parent = role == SlotRole::service ? no_slot : applied.slots[applied.place(place.service, place.replica)];
  book_.take_into_use(slot, fresh);
  return slot;
}

// Those of a replica that goes on go on with it, tries under way included. What still runs of others is stopped first.
void Placing::place_probes(AppliedDocument& applied, Now now) {
  const auto is_exec = [](const ServiceSpec& spec, SlotRole role) {
    return (role == SlotRole::ready_probe ? spec.ready : spec.live)->type == ProbeType::exec;
  };
  for (const SlotIndex slot : book_.used()) {
    SlotState& state = book_.slots[slot];
    if (!is_probe(state.role) || state.removing) continue;
    if (!book_.is_service(state.parent) || book_.slots[state.parent].document != applied.document.version) continue;
    const SlotState& parent = book_.slots[state.parent];
    SlotIndex& its = applied.slots_as(state.role)[applied.place(parent)];
    book_.touch(slot);
    if (its == no_slot && is_exec(applied.document.services[parent.service], state.role)) {
      state.document = parent.document;
      state.service = parent.service;
      its = slot;
      continue;
    }
    if (its == slot) continue;
    state.removing = true;
    goals_.stop({slot}, state.order, true, now);
  }
  const std::vector<Place> places = applied.places();
  for (std::uint32_t i = 0; i < places.size(); ++i) {
    if (applied.slots[i] == no_slot || book_.slots[applied.slots[i]].removing) continue;
    const ServiceSpec& spec = applied.document.services[places[i].service];
    for (const SlotRole role : {SlotRole::ready_probe, SlotRole::live_probe})
      if (SlotIndex& its = applied.slots_as(role)[i]; its == no_slot && is_exec(spec, role))
        its = allocate(applied, places[i], role);
  }
  place_hooks(applied);
}

// One whose hook is under way goes on with that, under the version in which that began (Lives::begin_hook).
void Placing::place_hooks(const AppliedDocument& applied) {
  for (const SlotIndex slot : applied.slots) {
    if (slot == no_slot) continue;
    for (const SlotRole role : hook_roles) {
      const bool needed = has_hooks(*book_.spec_of(slot).actions, role);
      SlotIndex its = book_.hook_slot(slot, role);
      if (its == no_slot && needed) {
        its = allocate(applied, {book_.slots[slot].service, book_.slots[slot].replica}, role);
        book_.hook_slot(slot, role) = its;
      }
      if (its == no_slot) continue;
      const SlotState& service = book_.slots[slot];
      SlotState& state = book_.slots[its];
      state.removing = !needed;
      if (state.hook == Hook::none) {
        state.document = service.document;
        state.service = service.service;
        state.replica = service.replica;
      }
      book_.touch(its);
      book_.weigh(its);
    }
  }
}

bool Placing::has_done_its_work(SlotIndex slot) const {
  return book_.spec_of(slot).type == ServiceType::task && book_.slots[slot].life.phase == Phase::completed;
}

}  // namespace hearth::supervisor
