#include "wire/decision_page.h"

#include <cstring>
#include <memory>
#include <string>

#include <gtest/gtest.h>

namespace hearth::wire {
namespace {

constexpr std::uint32_t record_version = 7;

struct Page {
  std::unique_ptr<DecisionPage> page = std::make_unique<DecisionPage>();
  PageWriter writer{*page};

  Page() { decision_page_init(*page, record_version); }
  void set(SlotIndex slot, const std::string& text) {
    writer.set_slot(slot, text.data(), static_cast<std::uint32_t>(text.size()));
  }
  void head(const std::string& text) { writer.set_head(text.data(), static_cast<std::uint32_t>(text.size())); }
  void operation(char key, OrderId order) {
    OperationRecord record{};
    std::memset(record.key, key, sizeof record.key);
    record.order = order;
    writer.add_operation(record);
  }
  std::string slot(SlotIndex index) const {
    char bytes[slot_record_bytes + 1] = {};
    return read_slot(*page, index, bytes, slot_record_bytes) ? bytes : "none";
  }
  std::string head() const {
    const unsigned char* bytes = held_head(*page);
    return bytes == nullptr ? "none" : reinterpret_cast<const char*>(bytes);
  }
  OrderId order(char key) const {
    unsigned char bytes[16];
    std::memset(bytes, key, sizeof bytes);
    const OperationRecord* found = find_operation(*page, bytes);
    return found == nullptr ? 0 : found->order;
  }
};

TEST(DecisionPage, HoldsNothingAtFirst) {
  Page page;
  EXPECT_EQ(page.slot(0), "none");
  EXPECT_EQ(page.head(), "none");
  EXPECT_EQ(page.order('a'), 0u);
}

TEST(DecisionPage, ShowsAChangeOnlyOnceItIsPublished) {
  Page page;
  page.set(3, "one");
  page.head("head");
  page.operation('a', 5);
  EXPECT_EQ(page.slot(3), "none");
  EXPECT_EQ(page.head(), "none");
  EXPECT_EQ(page.order('a'), 0u);
  EXPECT_EQ(page.writer.publish(), 1u);
  EXPECT_EQ(page.slot(3), "one");
  EXPECT_EQ(page.head(), "head");
  EXPECT_EQ(page.order('a'), 5u);
}

TEST(DecisionPage, KeepsTheOldCopyWhileTheNewOneIsWritten) {
  Page page;
  page.set(3, "one");
  page.writer.publish();
  page.set(3, "two");
  EXPECT_EQ(page.slot(3), "one");
  page.writer.publish();
  EXPECT_EQ(page.slot(3), "two");
  page.set(3, "three");
  EXPECT_EQ(page.slot(3), "two");
}

TEST(DecisionPage, OfTwoChangesInOneCommitKeepsTheLater) {
  Page page;
  page.set(3, "one");
  page.writer.publish();
  page.set(3, "two");
  page.set(3, "three");
  EXPECT_EQ(page.slot(3), "one");
  page.writer.publish();
  EXPECT_EQ(page.slot(3), "three");
}

TEST(DecisionPage, LeavesNothingOfALongerRecordBehindAShorterOne) {
  Page page;
  page.set(0, std::string(slot_record_bytes, 'x'));
  page.writer.publish();
  for (int i = 0; i < 2; ++i) {
    page.set(0, "ab");
    page.writer.publish();
  }
  EXPECT_EQ(page.slot(0), "ab");
}

TEST(DecisionPage, KeepsWhatStandsBehindTheFrontWithTheCopyThatItBelongsTo) {
  Page page;
  const std::string front(slot_front_bytes, 'f');
  for (const char* text : {"one", "two", "three"}) {
    page.set(0, front + text);
    page.writer.publish();
    EXPECT_EQ(page.slot(0), front + text);
    page.set(0, front + "never");
    EXPECT_EQ(page.slot(0), front + text) << "not published";
    page.set(0, front + text);
  }
  page.set(0, std::string(slot_record_bytes, 'x'));
  page.writer.publish();
  EXPECT_EQ(page.slot(0), std::string(slot_record_bytes, 'x'));
}

TEST(DecisionPage, NeitherWritesNorReadsARestThatIsAllZeros) {
  Page page;
  std::memset(static_cast<void*>(page.page->rest), 0xa5, sizeof page.page->rest);
  std::string record(slot_record_bytes, '\0');
  record[0] = 'a';
  for (int i = 0; i < 3; ++i) {
    page.set(0, record);
    page.writer.publish();
    EXPECT_EQ(page.slot(0), "a");
  }
  unsigned char bytes[slot_record_bytes];
  ASSERT_TRUE(read_slot(*page.page, 0, bytes, sizeof bytes));
  EXPECT_EQ(bytes[slot_record_bytes - 1], 0);
  for (const SlotRest& rest : page.page->rest[0]) EXPECT_EQ(rest.bytes[0], 0xa5);
}

TEST(DecisionPage, CommitsNothingWhenNothingWasSet) {
  Page page;
  EXPECT_EQ(page.writer.publish(), 0u);
  page.set(0, "a");
  EXPECT_EQ(page.writer.publish(), 1u);
  EXPECT_EQ(page.writer.publish(), 1u);
}

TEST(DecisionPage, HasRoomForTheLastSlotAndNoMore) {
  Page page;
  page.set(max_slots - 1, "last");
  page.writer.publish();
  EXPECT_EQ(page.slot(max_slots - 1), "last");
  EXPECT_DEATH(page.set(max_slots, "beyond"), "");
  EXPECT_DEATH(page.set(0, std::string(slot_record_bytes + 1, 'x')), "");
  EXPECT_DEATH(page.head(std::string(head_record_bytes + 1, 'x')), "");
}

TEST(DecisionPage, RemembersTheNewestOperationsAndForgetsTheOldest) {
  Page page;
  for (std::uint32_t i = 0; i < max_operations + 1; ++i) {
    OperationRecord record{};
    std::memcpy(record.key, &i, sizeof i);
    record.key[15] = 1;
    record.order = i + 1;
    page.writer.add_operation(record);
    page.writer.publish();
  }
  const auto order = [&](std::uint32_t i) -> OrderId {
    unsigned char key[16] = {};
    std::memcpy(key, &i, sizeof i);
    key[15] = 1;
    const OperationRecord* found = find_operation(*page.page, key);
    return found == nullptr ? 0 : found->order;
  };
  EXPECT_EQ(order(0), 0u);
  for (std::uint32_t i = 1; i <= max_operations; ++i) EXPECT_EQ(order(i), i + 1);
}

TEST(DecisionPage, ACommitThatNeverWasCostsNoneOfTheNewestOperations) {
  Page page;
  const auto record = [](std::uint32_t i) {
    OperationRecord operation{};
    std::memcpy(operation.key, &i, sizeof i);
    operation.key[15] = 1;
    return operation;
  };
  for (std::uint32_t i = 0; i < max_operations; ++i) {
    page.writer.add_operation(record(i));
    page.writer.publish();
  }
  for (std::uint32_t i = 0; i < max_new_operations; ++i) page.writer.add_operation(record(max_operations + i));
  EXPECT_DEATH(page.writer.add_operation(record(0)), "");
  discard_uncommitted(*page.page, 0);
  for (std::uint32_t i = max_operations - kept_operations; i < max_operations; ++i)
    EXPECT_NE(find_operation(*page.page, record(i).key), nullptr) << i;
}

TEST(DecisionPage, TakesSeveralOperationsInOneCommit) {
  Page page;
  page.operation('a', 1);
  page.operation('b', 2);
  page.writer.publish();
  EXPECT_EQ(page.order('a'), 1u);
  EXPECT_EQ(page.order('b'), 2u);
}

// A successor commits all that it found: as it is, that costs neither time nor memory.
TEST(DecisionPage, WhatHoldsAlreadyIsNotWrittenAgain) {
  Page page;
  for (const std::size_t rest : {0u, 1u, slot_rest_bytes}) {
    std::string record(slot_record_bytes, '\0');
    record[0] = 'a';
    record.replace(slot_front_bytes, rest, rest, 'r');
    page.set(3, record);
    const std::uint64_t commit = page.writer.publish();
    const std::uint64_t stamps[] = {page.page->slot[3][0].stamp, page.page->slot[3][1].stamp};
    page.set(3, record);
    EXPECT_EQ(page.writer.publish(), commit) << rest;
    EXPECT_EQ(page.page->slot[3][0].stamp, stamps[0]) << rest;
    EXPECT_EQ(page.page->slot[3][1].stamp, stamps[1]) << rest;
    for (const std::size_t at : {std::size_t{1}, std::size_t{slot_front_bytes - 1}, std::size_t{slot_front_bytes},
                                 std::size_t{slot_record_bytes - 1}}) {
      std::string other = record;
      other[at] ^= 1;
      page.set(3, other);
      EXPECT_GT(page.writer.publish(), commit) << rest << " " << at;
      char held[slot_record_bytes];
      EXPECT_TRUE(read_slot(*page.page, 3, held, sizeof held));
      EXPECT_EQ(std::string(held, sizeof held), other) << rest << " " << at;
    }
  }
}

TEST(DecisionPage, OfTwoThatAreSetInACommitTheLaterHoldsAlsoWhenItIsWhatHeldBefore) {
  Page page;
  const std::string before(slot_record_bytes, 'b'), between(slot_record_bytes, 'c');
  page.set(3, before);
  page.writer.publish();
  page.set(3, between);
  page.set(3, before);
  page.writer.publish();
  EXPECT_EQ(page.slot(3), before);
}

// The reason why discard_uncommitted() exists.
TEST(DecisionPage, WithoutADiscardWouldBringAnUnfinishedCommitToLife) {
  Page page;
  page.set(3, "good");
  page.head("head");
  page.writer.publish();
  page.set(3, "never decided");
  page.head("never decided");
  page.operation('a', 9);  // killed here, before publish()

  PageWriter successor(*page.page);
  successor.set_slot(8, "else", 4);
  successor.publish();
  EXPECT_EQ(page.slot(3), "never decided");
  EXPECT_EQ(page.head(), "never decided");
  EXPECT_EQ(page.order('a'), 9u);
}

TEST(DecisionPage, AfterADiscardNeverBringsAnUnfinishedCommitToLife) {
  Page page;
  page.set(3, "good");
  page.head("head");
  page.writer.publish();
  page.set(3, "never decided");
  page.head("never decided");
  page.operation('a', 9);

  discard_uncommitted(*page.page, 9);
  PageWriter successor(*page.page);
  for (int i = 0; i < 5; ++i) {
    successor.set_slot(8, "else", 4);
    successor.publish();
    EXPECT_EQ(page.slot(3), "good");
    EXPECT_EQ(page.head(), "head");
    EXPECT_EQ(page.order('a'), 0u);
  }
}

TEST(DecisionPage, IsRecognisedByMagicVersionsAndSize) {
  Page page;
  const auto valid = [&] { return decision_page_valid(*page.page, sizeof(DecisionPage), record_version); };
  EXPECT_TRUE(valid());
  EXPECT_FALSE(decision_page_valid(*page.page, sizeof(DecisionPage) - 1, record_version));
  EXPECT_FALSE(decision_page_valid(*page.page, sizeof(DecisionPage), record_version + 1));
  page.page->magic ^= 1;
  EXPECT_FALSE(valid());
  decision_page_init(*page.page, record_version);
  page.page->version++;
  EXPECT_FALSE(valid());
  decision_page_init(*page.page, record_version);
  page.page->size--;
  EXPECT_FALSE(valid());
}

}  // namespace
}  // namespace hearth::wire
