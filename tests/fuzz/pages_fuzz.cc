// Slot table and decision page, as shared memory that others may have written. The first byte chooses: 'w' a life of the
// decision page (commits, kills between and inside them, a successor each time) beside a model of it in ordinary
// memory; 'h' hostile stamps and flags in a page; 't' a hostile head of a slot table, and of a page beside it.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "fuzz/bytes.h"
#include "wire/decision_page.h"
#include "wire/slot_table.h"
#include "wire/state.h"

namespace {

using namespace hearth;
using namespace hearth::wire;

using Record = std::array<unsigned char, slot_record_bytes>;
using HeadRecord = std::array<unsigned char, head_record_bytes>;
using Key = std::array<unsigned char, 16>;

constexpr SlotIndex slots_touched[] = {0, 1, 2, 3, 63, max_slots - 1};

// One page for all inputs; most of it is never touched.
DecisionPage& clean_page() {
  static DecisionPage* const page = static_cast<DecisionPage*>(std::calloc(1, sizeof(DecisionPage)));
  std::memset(static_cast<void*>(page), 0, offsetof(DecisionPage, slot));
  for (const SlotIndex slot : slots_touched) {
    std::memset(page->slot[slot], 0, sizeof page->slot[slot]);
    std::memset(page->rest[slot], 0, sizeof page->rest[slot]);
  }
  decision_page_init(*page, decision_record_version);
  return *page;
}

// What has been committed, and what the turn at hand has set.
struct Model {
  std::map<SlotIndex, Record> slots;
  std::map<Key, OrderId> operations;
  bool has_head = false;
  HeadRecord head{};
};

class Life {
 public:
  explicit Life(fuzz::Bytes bytes) : page_(clean_page()), writer_(std::in_place, page_), bytes_(bytes) {}

  void live() {
    for (int steps = 0; !bytes_.empty() && steps < 200; ++steps) step();
    die();
    check();
  }

 private:
  void step() {
    switch (bytes_.byte() % 8) {
      case 0:
      case 1: set_slot(); break;
      case 2: set_head(); break;
      case 3: add_operation(); break;
      case 4:
      case 5: publish(); break;
      case 6: die(); break;
      case 7: tear(); break;
    }
  }
  SlotIndex slot() { return slots_touched[bytes_.byte() % std::size(slots_touched)]; }
  // Short texts, often zeros behind: as records are.
  template <std::size_t n>
  std::uint32_t fill(std::array<unsigned char, n>& record) {
    const auto size = static_cast<std::uint32_t>(bytes_.number<std::uint16_t>() % (n + 1));
    std::memset(record.data(), 0, n);
    const std::string_view text = bytes_.text();
    std::memcpy(record.data(), text.data(), std::min<std::size_t>(text.size(), size));
    if (size == n && bytes_.flag()) record[n - 1] = bytes_.byte();
    return size;
  }
  void set_slot() {
    const SlotIndex which = slot();
    Record record;
    const std::uint32_t size = fill(record);
    writer_->set_slot(which, record.data(), size);
    next_.slots[which] = record;
  }
  void set_head() {
    const std::uint32_t size = fill(next_.head);
    writer_->set_head(next_.head.data(), size);
    next_.has_head = true;
  }
  void add_operation() {
    if (++operations_ > max_new_operations) return;
    OperationRecord record{};
    Key key{};
    key[0] = static_cast<unsigned char>(++keys_ & 0xff), key[1] = static_cast<unsigned char>(keys_ >> 8), key[15] = 1;
    std::memcpy(record.key, key.data(), key.size());
    record.order = keys_;
    writer_->add_operation(record);
    next_.operations[key] = keys_;
  }
  void publish() {
    const std::uint64_t before = page_.commit.load();
    const std::uint64_t commit = writer_->publish();
    HEARTH_CHECK(commit == page_.commit.load() && (commit == before || commit == before + 1), "one commit, or none");
    now_ = next_;
    operations_ = 0;
    check();
  }
  // SIGKILL before the commit: a successor erases what never was.
  void die() {
    discard_uncommitted(page_, max_slots);
    writer_.emplace(page_);
    next_ = now_;
    operations_ = 0;
    check();
  }
  // SIGKILL while a spare copy is being written: its bytes are anybody's, its stamp is old.
  void tear() {
    const SlotIndex which = slot();
    die();
    SlotCopy(&copies)[2] = page_.slot[which];
    const int spare = copies[0].stamp > copies[1].stamp ? 1 : 0;
    const std::string_view text = bytes_.text();
    std::memcpy(copies[spare].bytes, text.data(), text.size());
    copies[spare].has_rest = bytes_.byte();
    check();
  }
  void check() {
    for (const SlotIndex which : slots_touched) {
      Record read;
      const bool there = read_slot(page_, which, read.data(), slot_record_bytes);
      const auto known = now_.slots.find(which);
      HEARTH_CHECK(there == (known != now_.slots.end()), "what was committed is there, and nothing else");
      if (there) HEARTH_CHECK(read == known->second, "as it was committed");
    }
    const unsigned char* head = held_head(page_);
    HEARTH_CHECK((head != nullptr) == now_.has_head, "the head is there when it was committed");
    if (head != nullptr) HEARTH_CHECK(std::memcmp(head, now_.head.data(), head_record_bytes) == 0, "as it was");
    // The oldest and the newest: each look goes over the whole ring.
    if (!now_.operations.empty())
      for (const auto& [key, order] : {*now_.operations.begin(), *now_.operations.rbegin()}) {
        const OperationRecord* found = find_operation(page_, key.data());
        HEARTH_CHECK(found != nullptr && found->order == order, "an operation is known by its key");
      }
    const Key never_given{};
    HEARTH_CHECK(find_operation(page_, never_given.data()) == nullptr, "and no other is");
    HEARTH_CHECK(decision_page_valid(page_, sizeof page_, decision_record_version), "the page stays ours");
  }

  DecisionPage& page_;
  std::optional<PageWriter> writer_;
  fuzz::Bytes bytes_;
  Model now_, next_;
  std::uint32_t operations_ = 0;
  OrderId keys_ = 0;
};

void feed_hostile_stamps(fuzz::Bytes bytes) {
  DecisionPage& page = clean_page();
  page.commit.store(bytes.number<std::uint64_t>());
  while (!bytes.empty()) {
    const SlotIndex which = slots_touched[bytes.byte() % std::size(slots_touched)];
    for (SlotCopy& copy : page.slot[which]) {
      copy.stamp = bytes.number<std::uint64_t>();
      copy.has_rest = bytes.byte();
    }
    page.head[bytes.byte() % 2].stamp = bytes.number<std::uint64_t>();
    page.operation[bytes.below(max_operations)].stamp = bytes.number<std::uint64_t>();
  }
  const std::uint64_t commit = page.commit.load();
  discard_uncommitted(page, UINT32_MAX);
  for (const SlotIndex which : slots_touched) {
    for (const SlotCopy& copy : page.slot[which]) HEARTH_CHECK(copy.stamp <= commit, "what never was is gone");
    const std::unique_ptr<unsigned char[]> exact(new unsigned char[slot_front_bytes + 3]);
    read_slot(page, which, exact.get(), slot_front_bytes + 3);
    read_slot(page, which, exact.get(), 5);
  }
  held_head(page);
  const Key key{};
  if (const OperationRecord* found = find_operation(page, key.data())) HEARTH_CHECK(found->stamp != 0, "a real one");
}

void feed_heads(fuzz::Bytes bytes) {
  static SlotTable* const table = static_cast<SlotTable*>(std::calloc(1, sizeof(SlotTable)));
  table->magic = bytes.flag() ? slot_table_magic : bytes.number<std::uint32_t>();
  table->version = bytes.flag() ? slot_table_version : bytes.number<std::uint32_t>();
  table->size = bytes.flag() ? sizeof(SlotTable) : bytes.number<std::uint64_t>();
  const std::uint64_t mapped = bytes.flag() ? sizeof(SlotTable) : bytes.number<std::uint64_t>();
  const bool ours = table->magic == slot_table_magic && table->version == slot_table_version &&
                    table->size == sizeof(SlotTable) && mapped >= sizeof(SlotTable);
  HEARTH_CHECK(slot_table_valid(*table, mapped) == ours, "ours in all of it, or not at all");
  for (SpawnerWork& work : table->work) work.entries_end.store(bytes.number<std::uint32_t>());
  HEARTH_CHECK(entries_end(*table) <= max_entries, "scans stop within the table");
  raise_entries_end(*table, 7);
  HEARTH_CHECK(entries_end(*table) >= 7, "and are not cut short");

  RunEntry& entry = table->entry[3];
  entry.phase.store(static_cast<EntryPhase>(bytes.number<std::uint32_t>()));
  const bool main = is_of_main(entry);
  const bool exited = phase_of(entry) == EntryPhase::exited;
  forget_watching(entry);
  HEARTH_CHECK(is_of_main(entry) == main && (phase_of(entry) == EntryPhase::exited) == exited, "an end stays recorded");
  store_phase(entry, EntryPhase::watched);
  HEARTH_CHECK(is_of_main(entry) == main && phase_of(entry) == EntryPhase::watched, "of the same process");

  const auto theirs = bytes.number<StateIdentity>(), mine = bytes.number<StateIdentity>();
  if (compare_identities(theirs, mine) == StateProblem::none)
    HEARTH_CHECK(mine.boot_id[0] != 0 && mine.pid_namespace != 0 && std::memcmp(&theirs, &mine, sizeof mine) == 0,
                 "the same boot, namespace and directory");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Bytes bytes(data, size);
  const char kind = static_cast<char>(bytes.byte());
  if (kind == 'w') Life(bytes).live();
  if (kind == 'h') feed_hostile_stamps(bytes);
  if (kind == 't') feed_heads(bytes);
  return 0;
}
