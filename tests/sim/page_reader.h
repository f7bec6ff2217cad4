// The decision page as somebody else reads it: by the words of wire/decision_page.h and docs/formats, not with the
// functions of that room, so that a bug of theirs is seen.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "model/slot_state.h"
#include "supervisor/head.h"
#include "wire/decision_page.h"

namespace hearth::sim {

struct PageView {
  std::uint64_t commit = 0;
  bool has_head = false;
  supervisor::Head head;
  std::vector<SlotState> slots;
};

// Of two copies the one that holds, or null: its stamp is not 0 and not above the commit, and the greater of two.
template <typename Copy>
const Copy* copy_that_holds(const Copy (&copies)[2], std::uint64_t commit) {
  const Copy* best = nullptr;
  for (const Copy& copy : copies)
    if (copy.stamp != 0 && copy.stamp <= commit && (best == nullptr || copy.stamp > best->stamp)) best = &copy;
  return best;
}

// What it has beyond the front stands in its rest, or is zero.
inline SlotState slot_of(const wire::SlotCopy& copy, const wire::SlotRest& rest) {
  unsigned char bytes[wire::slot_record_bytes] = {};
  std::memcpy(bytes, copy.bytes, sizeof copy.bytes);
  if (copy.has_rest != 0) std::memcpy(bytes + sizeof copy.bytes, rest.bytes, sizeof rest.bytes);
  SlotState state;
  std::memcpy(static_cast<void*>(&state), bytes, sizeof state);
  return state;
}

inline PageView read_page(const wire::DecisionPage& page) {
  PageView view;
  view.commit = page.commit.load();
  const wire::HeadCopy* head = copy_that_holds(page.head, view.commit);
  if (head == nullptr) return view;
  view.has_head = true;
  std::memcpy(&view.head, head->bytes, sizeof view.head);
  view.slots.resize(view.head.slots_used);
  for (std::uint32_t i = 0; i < view.head.slots_used; ++i)
    if (const wire::SlotCopy* copy = copy_that_holds(page.slot[i], view.commit))
      view.slots[i] = slot_of(*copy, page.rest[i][copy - page.slot[i]]);
  return view;
}

}  // namespace hearth::sim
