#include "cli/log_lines.h"

#include <cstdlib>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>

namespace hearth::cli {
namespace {

namespace fs = std::filesystem;

struct ServicesWithLogs : testing::Test {
  ServicesWithLogs() {
    std::string pattern = testing::TempDir() + "hearth-logs-XXXXXX";
    directory = ::mkdtemp(pattern.data());
    for (const char* name : {"shop.worker.0", "shop.worker.1", "shop.worker.2", "shop.worker.0.hook", "shop.db.0"})
      fs::create_directory(directory + "/" + name);
  }
  ~ServicesWithLogs() override { fs::remove_all(directory); }
  std::string found(const std::string& name) const {
    const Result<std::vector<SlotNews>> slots = services_with_logs(directory, {name});
    if (!slots) return slots.error().reason + ": " + slots.error().hint;
    std::string all;
    for (const SlotNews& slot : *slots) all += slot.name + "." + std::to_string(slot.index) + " ";
    return all;
  }
  std::string directory;
};

TEST_F(ServicesWithLogs, are_found_by_name_and_index) {
  EXPECT_EQ(found("worker"), "worker.0 worker.1 worker.2 ");
  EXPECT_EQ(found("shop.worker.1"), "worker.1 ");
}

TEST_F(ServicesWithLogs, who_names_an_index_that_is_not_there_is_told_which_are) {
  EXPECT_EQ(found("worker.7"), "no replica of that index has written one here: there are worker.0 to worker.2");
  EXPECT_EQ(found("shop.db.1"), "no replica of that index has written one here: there is shop.db.0 alone");
  EXPECT_EQ(found("workr"), "no service of that name has written one here: did you mean \"worker\"?");
}

TEST_F(ServicesWithLogs, a_name_that_is_nobodys_is_refused_beside_others_that_are) {
  SlotNews silent;
  silent.project = "shop";
  silent.name = "silent";
  const auto named = [&](const std::vector<std::string>& names) {
    return services_with_logs(directory, names, {silent});
  };
  ASSERT_TRUE(named({"silent", "worker"}));
  EXPECT_EQ(named({"silent", "worker"})->size(), 4u) << "it runs, and has written nothing";
  EXPECT_EQ(named({"silent"})->size(), 1u);
  for (const std::vector<std::string>& names :
       std::vector<std::vector<std::string>>{{"silnt", "worker"}, {"worker", "silnt"}, {"silent", "silnt"}}) {
    ASSERT_FALSE(named(names));
    EXPECT_EQ(named(names).error().subject, "silnt");
    EXPECT_EQ(named(names).error().hint, "did you mean \"silent\"?");
  }
}

TEST_F(ServicesWithLogs, what_hearth_has_forgotten_is_told_from_what_it_knows) {
  std::vector<SlotNews> slots = *services_with_logs(directory, {});
  std::vector<SlotNews> known = {slots[1], slots[3]};  // worker.0, worker.2
  EXPECT_EQ(full_name(known[0]), "shop.worker.0");
  const std::vector<SlotNews> forgotten = take_forgotten(slots, known);
  ASSERT_EQ(slots.size(), 2u);
  EXPECT_EQ(full_name(slots[0]), "shop.worker.0");
  EXPECT_EQ(full_name(slots[1]), "shop.worker.2");
  ASSERT_EQ(forgotten.size(), 2u);
  EXPECT_EQ(full_name(forgotten[0]), "shop.db.0");
  EXPECT_EQ(full_name(forgotten[1]), "shop.worker.1");
  EXPECT_EQ(take_forgotten(slots, {}).size(), 2u);
  EXPECT_TRUE(slots.empty());
}

}  // namespace
}  // namespace hearth::cli
