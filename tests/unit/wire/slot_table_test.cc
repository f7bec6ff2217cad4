#include "wire/slot_table.h"

#include <cstddef>
#include <memory>

#include <gtest/gtest.h>

namespace hearth::wire {
namespace {

TEST(SlotTable, IsRecognisedByMagicVersionAndSize) {
  const auto table = std::make_unique<SlotTable>();
  EXPECT_FALSE(slot_table_valid(*table, sizeof(SlotTable))) << "zeroes are no table";
  table->magic = slot_table_magic;
  table->version = slot_table_version;
  table->size = sizeof(SlotTable);
  EXPECT_TRUE(slot_table_valid(*table, sizeof(SlotTable)));
  EXPECT_TRUE(slot_table_valid(*table, sizeof(SlotTable) + 4096)) << "mappings end at a page";
  EXPECT_FALSE(slot_table_valid(*table, sizeof(SlotTable) - 1));
  table->version++;
  EXPECT_FALSE(slot_table_valid(*table, sizeof(SlotTable)));
  table->version--;
  table->size++;
  EXPECT_FALSE(slot_table_valid(*table, sizeof(SlotTable)));
  table->size--;
  table->magic++;
  EXPECT_FALSE(slot_table_valid(*table, sizeof(SlotTable)));
}

TEST(SlotTable, IsGoneOnWithInTheSameBootPidNamespaceAndDirectoryOnly) {
  const StateIdentity ours{"8b5c", 4026531836, 1, 2, 3};
  const auto changed = [&](auto change) {
    StateIdentity theirs = ours;
    change(theirs);
    return compare_identities(theirs, ours);
  };
  EXPECT_EQ(StateProblem::none, compare_identities(ours, ours));
  EXPECT_EQ(StateProblem::other_boot, changed([](StateIdentity& id) { id.boot_id[0] = 'x'; }));
  EXPECT_EQ(StateProblem::other_pid_namespace, changed([](StateIdentity& id) { ++id.pid_namespace; }));
  EXPECT_EQ(StateProblem::other_directory, changed([](StateIdentity& id) { ++id.inode; }));
  EXPECT_EQ(StateProblem::other_directory, changed([](StateIdentity& id) { ++id.birth_ns; })) << "removed, made again";
  EXPECT_EQ(StateProblem::other_boot, compare_identities(StateIdentity{}, StateIdentity{})) << "who knows?";
}

TEST(SlotTable, GivesEveryRunCacheLinesOfItsOwn) {
  EXPECT_EQ(offsetof(SlotTable, entry) % 128, 0u);
  EXPECT_EQ(sizeof(RunEntry) % 128, 0u);
  EXPECT_EQ(max_entries, max_slots * entries_per_slot);
}

TEST(SlotTable, HasOneNoticeBitForEachEntry) {
  EXPECT_EQ(change_words * 64, max_entries);
  const auto table = std::make_unique<SlotTable>();
  for (const EntryIndex entry : {0u, 1u, 63u, 64u, max_entries - 1}) {
    mark_changed(table->changed_for_supervisor, entry);
    mark_changed(table->changed_for_supervisor, entry);
    EXPECT_EQ(table->changed_for_supervisor[entry / 64] >> (entry % 64) & 1, 1u);
  }
  EXPECT_EQ(table->changed_for_supervisor[0], (std::uint64_t{1} << 63) | 3);
  EXPECT_EQ(table->changed_for_supervisor[1], 1u);
  EXPECT_EQ(table->changed_for_supervisor[change_words - 1], std::uint64_t{1} << 63);
  EXPECT_EQ(table->changed_for_keeper[0], 0u);
}

}  // namespace
}  // namespace hearth::wire
