#include "wire/decision_page.h"

#include <stddef.h>
#include <string.h>

namespace hearth::wire {
namespace {

// Index of the copy that holds, or -1.
template <typename Copy>
int held(const Copy (&copies)[2], uint64_t commit) {
  int best = -1;
  for (int i = 0; i < 2; ++i) {
    if (copies[i].stamp == 0 || copies[i].stamp > commit) continue;
    if (best < 0 || copies[i].stamp > copies[best].stamp) best = i;
  }
  return best;
}

template <typename Copy>
int spare_of(const Copy (&copies)[2], uint64_t commit) {
  return held(copies, commit) == 0 ? 1 : 0;
}

template <size_t n>
void fill(unsigned char (&to)[n], const unsigned char* bytes, uint32_t size) {
  memcpy(to, bytes, size);
  memset(to + size, 0, n - size);
}

// The stamp comes after the bytes: a copy of this commit that was written only in part must not look complete to a
// reader that finds the next commit number published by a later turn.
void stamp(uint64_t& stamp, uint64_t commit) {
  std::atomic_signal_fence(std::memory_order_release);
  stamp = commit + 1;
}

bool is_zero(const unsigned char* bytes, uint32_t size) {
  // A byte that is zero, and each of the others the same as the one before it.
  return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

// It would be read as these slot_record_bytes.
bool holds(const DecisionPage& page, SlotIndex slot, const unsigned char* record) {
  const int i = held(page.slot[slot], page.commit.load(std::memory_order_relaxed));
  if (i < 0 || memcmp(page.slot[slot][i].bytes, record, slot_front_bytes) != 0) return false;
  const unsigned char* const rest = record + slot_front_bytes;
  return page.slot[slot][i].has_rest != 0 ? memcmp(page.rest[slot][i].bytes, rest, slot_rest_bytes) == 0
                                          : is_zero(rest, slot_rest_bytes);
}

}  // namespace

void PageWriter::set_slot(SlotIndex slot, const void* bytes, uint32_t size) {
  if (slot >= max_slots || size > slot_record_bytes) __builtin_trap();
  const uint64_t commit = page_.commit.load(std::memory_order_relaxed);
  const int spare = spare_of(page_.slot[slot], commit);
  const auto* const record = static_cast<const unsigned char*>(bytes);
  SlotCopy& copy = page_.slot[slot][spare];
  const uint32_t front = size < slot_front_bytes ? size : slot_front_bytes;
  // Unless something else has been said of it since: then the later bytes hold, be they what was before.
  if (size == slot_record_bytes && copy.stamp != commit + 1 && holds(page_, slot, record)) return;
  copy.has_rest = !is_zero(record + front, size - front);
  if (copy.has_rest != 0) fill(page_.rest[slot][spare].bytes, record + front, size - front);
  fill(copy.bytes, record, front);
  stamp(copy.stamp, commit);
  dirty_ = true;
}

void PageWriter::set_head(const void* bytes, uint32_t size) {
  if (size > head_record_bytes) __builtin_trap();
  const uint64_t commit = page_.commit.load(std::memory_order_relaxed);
  HeadCopy& copy = page_.head[spare_of(page_.head, commit)];
  fill(copy.bytes, static_cast<const unsigned char*>(bytes), size);
  stamp(copy.stamp, commit);
  dirty_ = true;
}

void PageWriter::add_operation(const OperationRecord& record) {
  if (++new_operations_ > max_new_operations) __builtin_trap();
  const uint64_t commit = page_.commit.load(std::memory_order_relaxed);
  OperationRecord* oldest = &page_.operation[0];
  for (OperationRecord& candidate : page_.operation) {
    if (candidate.stamp < oldest->stamp) oldest = &candidate;
    if (oldest->stamp == 0) break;
  }
  *oldest = record;
  oldest->stamp = commit + 1;
  dirty_ = true;
}

uint64_t PageWriter::publish() {
  const uint64_t commit = page_.commit.load(std::memory_order_relaxed);
  if (!dirty_) return commit;
  dirty_ = false;
  new_operations_ = 0;
  page_.commit.store(commit + 1, std::memory_order_release);
  return commit + 1;
}

bool read_slot(const DecisionPage& page, SlotIndex slot, void* bytes, uint32_t size) {
  if (size > slot_record_bytes) __builtin_trap();
  const int i = held(page.slot[slot], page.commit.load(std::memory_order_acquire));
  if (i < 0) return false;
  const SlotCopy& copy = page.slot[slot][i];
  auto* const out = static_cast<unsigned char*>(bytes);
  const uint32_t front = size < slot_front_bytes ? size : slot_front_bytes;
  memcpy(out, copy.bytes, front);
  if (copy.has_rest != 0) {
    memcpy(out + front, page.rest[slot][i].bytes, size - front);
  } else {
    memset(out + front, 0, size - front);
  }
  return true;
}

const unsigned char* held_head(const DecisionPage& page) {
  const int i = held(page.head, page.commit.load(std::memory_order_acquire));
  return i < 0 ? nullptr : page.head[i].bytes;
}

void discard_uncommitted(DecisionPage& page, uint32_t slots_used) {
  const uint64_t commit = page.commit.load(std::memory_order_acquire);
  for (HeadCopy& copy : page.head)
    if (copy.stamp > commit) copy.stamp = 0;
  for (OperationRecord& record : page.operation)
    if (record.stamp > commit) record.stamp = 0;
  for (uint32_t slot = 0; slot < slots_used && slot < max_slots; ++slot)
    for (SlotCopy& copy : page.slot[slot])
      if (copy.stamp > commit) copy.stamp = 0;
}

const OperationRecord* find_operation(const DecisionPage& page, const unsigned char key[16]) {
  const uint64_t commit = page.commit.load(std::memory_order_acquire);
  for (const OperationRecord& record : page.operation) {
    if (record.stamp == 0 || record.stamp > commit) continue;
    if (memcmp(record.key, key, sizeof record.key) == 0) return &record;
  }
  return nullptr;
}

std::array<Extent, 2> decision_page_extents(uint32_t slots) {
  return {{{0, offsetof(DecisionPage, slot) + uint64_t{slots} * sizeof(DecisionPage::slot[0])},
           {offsetof(DecisionPage, rest), uint64_t{slots} * sizeof(DecisionPage::rest[0])}}};
}

void decision_page_init(DecisionPage& page, uint32_t record_version) {
  page.magic = decision_page_magic;
  page.version = decision_page_version;
  page.size = sizeof(DecisionPage);
  page.record_version = record_version;
}

bool decision_page_valid(const DecisionPage& page, uint64_t mapped, uint32_t record_version) {
  return mapped >= sizeof(DecisionPage) && page.magic == decision_page_magic && page.version == decision_page_version &&
         page.size == sizeof(DecisionPage) && page.record_version == record_version;
}

}  // namespace hearth::wire
