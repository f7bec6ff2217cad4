// A writer that dies between any two stores. The page is copied at every step of a commit, and, inside a step, with
// only some of its bytes stored (the stamp is always stored last); a successor then works on the copy.
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <sys/mman.h>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "wire/decision_page.h"

namespace hearth::wire {
namespace {

constexpr SlotIndex slots = 4;
constexpr SlotIndex other_slot = 9;  // what successors write, to make a commit of their own

// A page in memory of its own, as a supervisor has it: what nobody writes costs nothing.
struct UnmapPage {
  void operator()(DecisionPage* page) const { ::munmap(static_cast<void*>(page), sizeof *page); }
};
using MappedPage = std::unique_ptr<DecisionPage, UnmapPage>;

MappedPage map_page() {
  void* const memory =
      ::mmap(nullptr, sizeof(DecisionPage), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return MappedPage(static_cast<DecisionPage*>(memory));
}

// The page's bytes, without the slots that nobody here writes: the whole page is some hundred times as long.
using Bytes = std::vector<unsigned char>;
constexpr std::size_t fronts_end = offsetof(DecisionPage, slot) + ((other_slot + 1) * 2 * sizeof(SlotCopy));
constexpr std::size_t rests_begin = offsetof(DecisionPage, rest);
constexpr std::size_t rests_end = rests_begin + ((other_slot + 1) * 2 * sizeof(SlotRest));

Bytes bytes_of(const DecisionPage& page) {
  const auto* const begin = reinterpret_cast<const unsigned char*>(&page);
  Bytes bytes(fronts_end + rests_end - rests_begin);
  std::memcpy(bytes.data(), begin, fronts_end);
  std::memcpy(bytes.data() + fronts_end, begin + rests_begin, rests_end - rests_begin);
  return bytes;
}

MappedPage page_of(const Bytes& bytes) {
  MappedPage page = map_page();
  auto* const begin = reinterpret_cast<unsigned char*>(page.get());
  std::memcpy(begin, bytes.data(), fronts_end);
  std::memcpy(begin + rests_begin, bytes.data() + fronts_end, rests_end - rests_begin);
  return page;
}

// What the page says: the only thing that counts.
struct Truth {
  std::map<SlotIndex, std::string> slot;
  std::string head;
  std::map<unsigned char, OrderId> operation;
  friend bool operator==(const Truth&, const Truth&) = default;
};

std::string text(const unsigned char* bytes) {
  return bytes == nullptr ? std::string() : reinterpret_cast<const char*>(bytes);
}

Truth read(const DecisionPage& page) {
  Truth truth;
  for (SlotIndex i = 0; i < slots; ++i) {
    unsigned char bytes[slot_record_bytes + 1] = {};
    if (read_slot(page, i, bytes, slot_record_bytes)) truth.slot[i] = text(bytes);
  }
  truth.head = text(held_head(page));
  for (unsigned char key = 1; key < 64; ++key) {
    unsigned char whole[16];
    std::memset(whole, key, sizeof whole);
    if (const OperationRecord* found = find_operation(page, whole)) truth.operation[key] = found->order;
  }
  return truth;
}

// What a successor finds on `bytes`, and still finds after commits of its own.
void expect_after_recovery(const Bytes& bytes, const Truth& expected, const char* when) {
  const auto page = page_of(bytes);
  discard_uncommitted(*page, other_slot + 1);
  RC_LOG() << when << std::endl;
  RC_ASSERT(read(*page) == expected);
  PageWriter successor(*page);
  for (int i = 0; i < 2; ++i) {
    successor.set_slot(other_slot, "successor", 9);
    successor.publish();
    RC_ASSERT(read(*page) == expected);
  }
}

struct Change {
  enum class Kind { slot, head, operation } kind = Kind::slot;
  SlotIndex slot = 0;
  std::string text;
  unsigned char key = 1;
};

Change any_change() {
  Change change;
  change.kind = *rc::gen::element(Change::Kind::slot, Change::Kind::slot, Change::Kind::head, Change::Kind::operation);
  change.slot = *rc::gen::inRange<SlotIndex>(0, slots);
  change.text = *rc::gen::nonEmpty(rc::gen::string<std::string>());
  std::erase(change.text, '\0');
  change.text = "x" + change.text.substr(0, 100);
  // Also of those whose end lies behind the front.
  if (change.kind == Change::Kind::slot && *rc::gen::arbitrary<bool>())
    change.text = std::string(slot_front_bytes - 20, 'f') + change.text;
  change.key = *rc::gen::inRange<unsigned char>(1, 64);
  return change;
}

void write(PageWriter& writer, Truth& truth, const Change& change) {
  const auto size = static_cast<std::uint32_t>(change.text.size());
  switch (change.kind) {
    case Change::Kind::slot:
      writer.set_slot(change.slot, change.text.data(), size);
      truth.slot[change.slot] = change.text;
      break;
    case Change::Kind::head:
      writer.set_head(change.text.data(), size);
      truth.head = change.text;
      break;
    case Change::Kind::operation: {
      if (truth.operation.contains(change.key)) break;  // a key is used once
      OperationRecord record{};
      std::memset(record.key, change.key, sizeof record.key);
      record.order = change.key + 1000u;
      writer.add_operation(record);
      truth.operation[change.key] = record.order;
      break;
    }
  }
}

// Offsets of the copy's bytes that a step changed, without its stamp.
std::vector<std::size_t> changed_bytes(const Bytes& before, const Bytes& after) {
  std::vector<std::size_t> changed;
  const std::size_t head = offsetof(DecisionPage, head);
  const std::size_t operations = offsetof(DecisionPage, operation);
  const std::size_t slot = offsetof(DecisionPage, slot);
  const std::size_t rest = fronts_end;
  for (std::size_t i = rest; i < rest + (slots * 2 * sizeof(SlotRest)); ++i)
    if (before[i] != after[i]) changed.push_back(i);
  for (std::size_t i = head; i < slot + (slots * 2 * sizeof(SlotCopy)); ++i) {
    if (before[i] == after[i]) continue;
    const std::size_t in_record = i < operations ? (i - head) % sizeof(HeadCopy)
                                  : i < slot     ? (i - operations) % sizeof(OperationRecord)
                                                 : (i - slot) % sizeof(SlotCopy);
    if (in_record >= sizeof(std::uint64_t)) changed.push_back(i);
  }
  return changed;
}

void expect_before_inside_the_step(const Bytes& before, const Bytes& after, const Truth& committed) {
  Bytes torn = before;
  for (const std::size_t i : changed_bytes(before, after)) {
    if (*rc::gen::arbitrary<bool>()) torn[i] = after[i];
  }
  expect_after_recovery(torn, committed, "inside a step");
}

RC_GTEST_PROP(DecisionPageCrash, ACommitHappenedWhollyOrNotAtAll, ()) {
  const MappedPage page = map_page();
  decision_page_init(*page, 1);
  PageWriter writer(*page);
  Truth committed;
  for (int commit = *rc::gen::inRange(1, 4); commit > 0; --commit) {
    Truth next = committed;
    for (int changes = *rc::gen::inRange(1, 4); changes > 0; --changes) {
      const Bytes before = bytes_of(*page);
      write(writer, next, any_change());
      const Bytes after = bytes_of(*page);
      expect_before_inside_the_step(before, after, committed);
      expect_after_recovery(after, committed, "between two steps");
    }
    writer.publish();
    committed = next;
    expect_after_recovery(bytes_of(*page), committed, "after the commit");
  }
}

RC_GTEST_PROP(DecisionPageCrash, ASuccessorThatDiesWhileItDiscardsLeavesItToTheNext, ()) {
  const MappedPage page = map_page();
  decision_page_init(*page, 1);
  PageWriter writer(*page);
  Truth committed;
  for (int i = 0; i < 3; ++i) write(writer, committed, any_change());
  writer.publish();
  Truth never = committed;
  for (int i = 0; i < 3; ++i) write(writer, never, any_change());
  discard_uncommitted(*page, *rc::gen::inRange<SlotIndex>(0, slots));  // it came that far
  expect_after_recovery(bytes_of(*page), committed, "after half a discard");
}

}  // namespace
}  // namespace hearth::wire
