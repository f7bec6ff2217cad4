// Slot table and decision page that an earlier hearth has left, opened again.
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "keeper/state.h"
#include "os/instance.h"
#include "os/state_directory.h"
#include "unit/os/few_descriptors.h"
#include "unit/os/temp_directory.h"
#include "wire/decision_page.h"
#include "wire/state.h"

namespace hearth::keeper {
namespace {

using wire::HelloDescriptor;
using wire::StateOrigin;
using wire::StateProblem;

class PagesTest : public testing::Test {
 protected:
  // Where hearth itself would have them.
  void SetUp() override {
    instance.directory = root / "i";
    instance.log_directory = root / "l";
    ASSERT_TRUE(os::make_instance(instance, os::host_facts()));
    if (const Status made = os::make_state_directory(instance, os::host_facts()); !made)
      GTEST_SKIP() << "no hearth on this machine leaves any: " << made.error().text();
    place = ::open(instance.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ASSERT_GE(place, 0);
  }
  void TearDown() override {
    forget();
    if (place < 0) return;
    os::remove_state_directory(place);
    ::close(place);
  }
  bool open() {
    k = std::make_unique<Keeper>();
    for (int& fd : k->fd) fd = -1;
    k->fd[static_cast<std::uint32_t>(HelloDescriptor::directory)] = place;
    return open_pages(*k);
  }
  // As its end does.
  void forget() {
    if (k && k->table != nullptr) ::munmap(k->table, sizeof *k->table);
    for (const HelloDescriptor which : {HelloDescriptor::slot_table, HelloDescriptor::decision_page})
      if (k && k->fd[static_cast<std::uint32_t>(which)] >= 0) ::close(k->fd[static_cast<std::uint32_t>(which)]);
    k.reset();
  }
  // What a supervisor does with a new page.
  void commit() {
    const int fd = k->fd[static_cast<std::uint32_t>(HelloDescriptor::decision_page)];
    void* const at = ::mmap(nullptr, sizeof(wire::DecisionPage), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ASSERT_NE(MAP_FAILED, at);
    auto& page = *static_cast<wire::DecisionPage*>(at);
    wire::decision_page_init(page, wire::decision_record_version);
    wire::PageWriter writer(page);
    writer.set_head("x", 1);
    writer.publish();
    ::munmap(at, sizeof(wire::DecisionPage));
  }
  std::string table_file() const {
    return instance.directory + "/" + wire::state_directory_name + "/" + wire::slot_table_file;
  }
  bool is_put_aside() const { return std::filesystem::exists(table_file() + wire::put_aside_suffix); }

  test::TempDirectory root;
  os::Instance instance;
  int place = -1;
  std::unique_ptr<Keeper> k;
};

TEST_F(PagesTest, are_gone_on_with) {
  ASSERT_TRUE(open());
  EXPECT_EQ(StateOrigin::made, k->table->origin);
  commit();
  forget();
  ASSERT_TRUE(open());
  EXPECT_EQ(StateOrigin::continued, k->table->origin);
  EXPECT_EQ(2u, k->table->keeper_generation.load());
  EXPECT_EQ(2u, k->table->continued_by);
}

TEST_F(PagesTest, that_are_none_are_put_aside) {
  std::ofstream(table_file()) << "something";
  ASSERT_TRUE(open());
  EXPECT_EQ(StateOrigin::made, k->table->origin);
  EXPECT_TRUE(is_put_aside());
}

// Who takes them for none then leaves every service that runs to nobody.
TEST_F(PagesTest, that_cannot_be_looked_at_for_want_of_descriptors_stay_as_they_are) {
  HEARTH_SKIP_IF_SANITIZED();
  ASSERT_TRUE(open());
  commit();
  forget();
  int refused = 0;
  for (int few = 0;; ++few) {
    ASSERT_LT(few, 100);
    bool opened = false;
    int error = 0;
    {
      const test::FewDescriptors left(few);
      opened = open();
      error = errno;
    }
    ASSERT_FALSE(is_put_aside()) << few;
    if (opened) break;
    EXPECT_EQ(EMFILE, error) << few;
    ++refused;
    forget();
  }
  EXPECT_EQ(StateOrigin::continued, k->table->origin);
  EXPECT_EQ(StateProblem::none, k->table->problem);
  EXPECT_GE(refused, 3) << "boot id, slot table, decision page";
}

TEST_F(PagesTest, that_cannot_be_looked_at_for_want_of_memory_stay_as_they_are) {
  HEARTH_SKIP_IF_SANITIZED();
  ASSERT_TRUE(open());
  commit();
  forget();
  rlimit before{};
  ASSERT_EQ(0, ::getrlimit(RLIMIT_AS, &before));
  const rlimit none{1, before.rlim_max};
  k = std::make_unique<Keeper>();  // it has a table of megabytes of its own
  for (int& fd : k->fd) fd = -1;
  k->fd[static_cast<std::uint32_t>(HelloDescriptor::directory)] = place;
  ASSERT_EQ(0, ::setrlimit(RLIMIT_AS, &none));
  const bool opened = open_pages(*k);
  const int error = errno;
  ASSERT_EQ(0, ::setrlimit(RLIMIT_AS, &before));
  EXPECT_FALSE(opened);
  EXPECT_EQ(ENOMEM, error);
  EXPECT_FALSE(is_put_aside());
  forget();
  ASSERT_TRUE(open());
  EXPECT_EQ(StateOrigin::continued, k->table->origin);
}

}  // namespace
}  // namespace hearth::keeper
