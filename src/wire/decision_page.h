// The decision page: what the supervisor has decided. Shared memory, made by the keeper beside the slot table
// (a file in DIR/state where there can be one, wire/state.h), written by the supervisor alone, so that a successor
// goes on from the last commit.
//
// Model
// -----
// The page has a commit number C. Each slot has two copies of its record, each stamped with the commit that
// wrote it. *A copy counts if its stamp is not above C; of two that count the later one holds.* A commit:
//
//   1. for each changed slot: write the spare copy (the one that does not hold), stamp it C + 1. What of its bytes
//      lies beyond slot_front_bytes is written into its `rest` before, unless it is all zeros: such a rest is neither
//      written nor read, so that slots that have nothing to say there cost no memory
//   2. the same for the head, when it changed, and for operation records (a ring; a record counts if its
//      stamp is not 0 and not above C)
//   3. one release store of C + 1
//
// Killed before 3, nothing happened; killed after 3, all of it happened. Copies stamped C + 1 that were left by
// a commit that never was must be erased by the successor before its first commit (discard_uncommitted), else
// its own C + 1 would bring them to life. SIGKILL cannot reorder stores, and both ends run on one machine, so
// there is no checksum.
//
// There is no ring of effects. A slot's record holds its own *outbox cells*: per run the spawn, the last
// signal and the reap that have been decided. Whether each is done is read from the slot table (entry.run,
// last_op, run == 0), never from memory, so acting is comparing the two, and redoing it is harmless.
//
// The bytes of a record are the business of the room supervisor (`decision_record_version`); this room only keeps
// copies. Room for head, operations and slots is reserved before they are written (decision_page_extents): a store
// into a hole of a full tmpfs is SIGBUS, and so is a load.
// Single writer, no concurrent readers: the successor maps it after the keeper has reaped the old one.
// docs/formats/decision-page.md
#pragma once

#include <array>
#include <atomic>
#include <stdint.h>

#include "base/ids.h"
#include "wire/slot_table.h"

namespace hearth::wire {

inline constexpr uint32_t decision_page_magic = 0x31445448;  // "HTD1"
inline constexpr uint32_t decision_page_version = 3;
// Of the bytes in head and slot records (supervisor/head.h). Here, because a keeper must know whether its supervisor
// will be able to read a page that it finds.
inline constexpr uint32_t decision_record_version = 12;
inline constexpr uint32_t slot_front_bytes = 568;  // texts come behind them
inline constexpr uint32_t slot_rest_bytes = 304;
inline constexpr uint32_t slot_record_bytes = slot_front_bytes + slot_rest_bytes;
inline constexpr uint32_t head_record_bytes = 120;
inline constexpr uint32_t max_operations = 2048;
inline constexpr uint32_t max_new_operations = 64;  // in one commit
// The newest so many are known for sure: a commit that never was may have overwritten max_new_operations others.
inline constexpr uint32_t kept_operations = max_operations - max_new_operations;

struct SlotCopy {
  uint64_t stamp;     // 0 = never written
  uint64_t has_rest;  // 0 = all of it is zero, and is neither written nor read
  unsigned char bytes[slot_front_bytes];
};

struct SlotRest {
  unsigned char bytes[slot_rest_bytes];
};

struct HeadCopy {
  uint64_t stamp;
  unsigned char bytes[head_record_bytes];
};

struct OperationRecord {
  uint64_t stamp;
  unsigned char key[16];  // made by the client; it is the operation's id
  OrderId order;
  int64_t accepted_wall_ns;
  uint32_t kind;
  uint32_t slots;  // that it concerned when it was accepted
  uint64_t reserved;
};

struct DecisionPage {
  uint32_t magic;
  uint32_t version;
  uint64_t size;
  uint32_t record_version;  // of the bytes in slot and head copies
  uint32_t reserved;
  uint64_t state_id;  // written by the keeper: SlotTable::state_id of the table that goes with it
  std::atomic<uint64_t> commit;
  HeadCopy head[2];
  OperationRecord operation[max_operations];
  SlotCopy slot[max_slots][2];
  SlotRest rest[max_slots][2];  // of the copy with the same number
};

// Writer's view: collects changes, then publishes them. Borrowed page must outlive it.
class PageWriter {
 public:
  explicit PageWriter(DecisionPage& page) : page_(page) {}
  // `size` <= slot_record_bytes. A slot set twice before publish() keeps the later bytes. What holds already is not
  // written again: a successor commits all slots, most of them as they are.
  void set_slot(SlotIndex slot, const void* bytes, uint32_t size);
  void set_head(const void* bytes, uint32_t size);
  // Stamp is filled in; overwrites the oldest, at once. At most max_new_operations between two publish().
  void add_operation(const OperationRecord& record);
  // Step 3. Does nothing when nothing was set. Returns the commit number in force.
  uint64_t publish();

 private:
  DecisionPage& page_;
  bool dirty_ = false;
  uint32_t new_operations_ = 0;
};

// Copies what holds, with zeros behind it; false when nothing does. `size` <= slot_record_bytes.
bool read_slot(const DecisionPage& page, SlotIndex slot, void* bytes, uint32_t size);
// The copy that holds, or null when none does.
const unsigned char* held_head(const DecisionPage& page);
// Erases what an unfinished commit left in head, operations and the first `slots_used` slots. Slots at or
// beyond that need no care: whoever raises the count writes them in the same commit.
void discard_uncommitted(DecisionPage& page, uint32_t slots_used);
// Null when no counted record has that key.
const OperationRecord* find_operation(const DecisionPage& page, const unsigned char key[16]);

// What of a page must have been reserved for the first `slots` slots.
struct Extent {
  uint64_t offset;
  uint64_t size;
};
std::array<Extent, 2> decision_page_extents(uint32_t slots);

// Writes magic, versions and size into a page whose other bytes are zero, but for state_id.
void decision_page_init(DecisionPage& page, uint32_t record_version);
bool decision_page_valid(const DecisionPage& page, uint64_t mapped, uint32_t record_version);

}  // namespace hearth::wire
