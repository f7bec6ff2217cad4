// Slots for hooks, and tasks that need not be run again.
#include "model/hook.h"
#include "supervisor/book.h"
#include "supervisor/placing.h"

namespace hearth::supervisor {
namespace {

constexpr SlotRole hook_roles[] = {SlotRole::hook, SlotRole::side_hook};

}  // namespace

std::size_t Placing::hook_slots_missing(const ServiceSpec& spec, SlotIndex slot) const {
  std::size_t missing = 0;
  for (const SlotRole role : hook_roles)
    missing += has_hooks(*spec.actions, role) && (slot == no_slot || book_.hook_slot(slot, role) == no_slot);
  return missing;
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
