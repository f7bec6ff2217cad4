// Slot table and decision page that an earlier hearth has left, opened again.
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <linux/magic.h>
#include <memory>
#include <string>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "keeper/state.h"
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
  void SetUp() override {
    struct statfs fs{};
    const std::string state = directory / wire::state_directory_name;
    ASSERT_EQ(0, ::mkdir(state.c_str(), 0700));
    if (::statfs(state.c_str(), &fs) < 0 || fs.f_type != TMPFS_MAGIC) GTEST_SKIP() << "/dev/shm is no tmpfs here";
    place = ::open(directory.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  }
  void TearDown() override {
    forget();
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
  bool is_put_aside() {
    return std::filesystem::exists(
        directory / (std::string(wire::state_directory_name) + "/" + wire::slot_table_file + wire::put_aside_suffix));
  }

  test::TempDirectory directory{"/dev/shm"};
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
  std::ofstream(directory / (std::string(wire::state_directory_name) + "/" + wire::slot_table_file)) << "something";
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
