#include "supervisor/head.h"

#include <cstring>
#include <iterator>

namespace hearth::supervisor {

PageProblem problem_of(const wire::DecisionPage& page) {
  if (!wire::decision_page_valid(page, sizeof page, record_version)) return PageProblem::version;
  const unsigned char* const bytes = wire::held_head(page);
  if (bytes == nullptr) return PageProblem::empty;
  return makes_sense(head_of(page)) ? PageProblem::none : PageProblem::head;
}

Head head_of(const wire::DecisionPage& page) {
  Head head;
  std::memcpy(&head, wire::held_head(page), sizeof head);
  return head;
}

bool makes_sense(const SlotState& state, SlotIndex slot, SlotIndex size) {
  if (!state.used) return true;
  const auto own = [slot](const RunCell& cell) {
    return cell.entry == no_entry || cell.entry / wire::entries_per_slot == slot;
  };
  const Lifecycle& life = state.life;
  return own(state.cell[0]) && own(state.cell[1]) && state.current < std::size(state.cell) &&
         state.role <= SlotRole::side_hook && (state.parent == no_slot || state.parent < size) &&
         (state.role == SlotRole::service || is_hook(state.role) || state.parent != no_slot) &&
         state.hook <= Hook::reload && state.ended <= Hook::reload && life.hook <= Hook::reload &&
         life.phase <= Phase::completed;
}

}  // namespace hearth::supervisor
