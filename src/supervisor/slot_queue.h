// Slots that wait for something, each of them once, in the order in which they came.
#pragma once

#include <cstddef>
#include <vector>

#include "base/ids.h"

namespace hearth::supervisor {

class SlotQueue {
 public:
  void push(SlotIndex slot) {
    if (slot >= waits_.size()) waits_.resize(slot + 1);
    if (waits_[slot]) return;
    waits_[slot] = true;
    slots_.push_back(slot);
  }

  bool has(SlotIndex slot) const { return slot < waits_.size() && waits_[slot]; }
  bool empty() const { return slots_.empty(); }
  std::size_t size() const { return slots_.size(); }
  SlotIndex operator[](std::size_t i) const { return slots_[i]; }
  const std::vector<SlotIndex>& all() const { return slots_; }

  SlotIndex pop_newest() {
    const SlotIndex slot = slots_.back();
    slots_.pop_back();
    waits_[slot] = false;
    return slot;
  }

  // Moves all into `out`, and takes its room for those that come: two vectors go to and fro, and nothing is allocated.
  void take(std::vector<SlotIndex>& out) {
    out.clear();
    out.swap(slots_);
    for (const SlotIndex slot : out) waits_[slot] = false;
  }

  void clear() {
    for (const SlotIndex slot : slots_) waits_[slot] = false;
    slots_.clear();
  }

 private:
  std::vector<SlotIndex> slots_;
  std::vector<bool> waits_;  // by slot
};

}  // namespace hearth::supervisor
