#include "os/state_directory.h"

#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <linux/magic.h>
#include <optional>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <vector>

#include <gtest/gtest.h>

#include "os/crash_point.h"
#include "unit/os/few_descriptors.h"
#include "unit/os/temp_directory.h"
#include "wire/state.h"

namespace hearth::os {
namespace {

namespace fs = std::filesystem;

bool on_tmpfs(const std::string& path) {
  struct statfs st{};
  return ::statfs(path.c_str(), &st) == 0 && st.f_type == TMPFS_MAGIC;
}

// Instance directories on a disk, states in a directory of its own on /dev/shm.
struct StateDirectoryTest : ::testing::Test {
  void SetUp() override {
    if (!on_tmpfs("/dev/shm") || on_tmpfs(root.path())) GTEST_SKIP() << "needs a tmpfs beside a disk";
    char place[] = "/dev/shm/hearth-test.XXXXXX";
    ASSERT_NE(nullptr, ::mkdtemp(place));
    host = host_facts();
    host.memory_root = place;
  }
  ~StateDirectoryTest() override {
    if (host.memory_root != HostFacts().memory_root) fs::remove_all(host.memory_root);
  }

  // Both files, as a keeper leaves them. Returns what DIR/state leads to.
  std::string make(const std::string& name) {
    EXPECT_TRUE(make_instance(instance(name), host));
    const Status made = make_state_directory(instance(name), host);
    EXPECT_TRUE(made) << made.error().text();
    for (const char* file : {wire::slot_table_file, wire::decision_page_file})
      Fd(::open((root / name + "/state/" + file).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    return target(name);
  }
  Instance instance(const std::string& name) { return {name, root / name, root / name + "/logs"}; }
  std::string target(const std::string& name) {
    std::error_code error;
    return fs::read_symlink(root / name + "/state", error).string();
  }

  test::TempDirectory root;
  HostFacts host;
};

TEST_F(StateDirectoryTest, each_instance_has_its_own_in_memory_and_making_it_again_changes_nothing) {
  const std::string a = make("a");
  EXPECT_NE(a, make("b"));
  EXPECT_TRUE(make_state_directory(instance("a"), host));
  EXPECT_EQ(a, target("a"));
  EXPECT_TRUE(on_tmpfs(a));
  EXPECT_TRUE(state_is_left(root / "a"));
}

TEST_F(StateDirectoryTest, a_failure_leaves_what_is_there) {
  HEARTH_SKIP_IF_SANITIZED();
  const std::string a = make("a");
  std::optional<test::FewDescriptors> few(1);  // the instance directory can be opened, and nothing after it
  const Status made = make_state_directory(instance("a"), host);
  few.reset();
  ASSERT_FALSE(made);
  EXPECT_EQ(EMFILE, made.error().code);
  EXPECT_EQ(a, target("a"));
  EXPECT_TRUE(state_is_left(root / "a"));
}

// Anybody may make a directory in /dev/shm.
TEST_F(StateDirectoryTest, what_somebody_else_has_put_in_its_place_is_named) {
  EXPECT_TRUE(make_instance(instance("a"), host));
  wire::SlotTable table;
  table.origin = wire::StateOrigin::memory;
  table.problem = wire::StateProblem::no_directory;
  table.problem_errno = ENOENT;
  const std::string place = host.memory_root + "/hearth-" + std::to_string(host.uid);
  ASSERT_EQ(0, ::symlink("/nowhere", place.c_str()));
  const std::string risk = state_risk(table, instance("a"), host);
  EXPECT_NE(risk.npos, risk.find(place + ": it is a symbolic link")) << risk;
  ASSERT_EQ(0, ::unlink(place.c_str()));
  EXPECT_NE("", state_risk(table, instance("a"), host)) << "this keeper has none all the same";
  EXPECT_FALSE(target("a").empty()) << "and the next one has";
}

TEST_F(StateDirectoryTest, the_link_in_a_copied_directory_is_replaced) {
  const std::string a = make("a");
  fs::copy(root / "a", root / "b", fs::copy_options::copy_symlinks | fs::copy_options::recursive);
  ASSERT_EQ(a, target("b"));
  EXPECT_TRUE(make_state_directory(instance("b"), host));
  EXPECT_NE(a, target("b"));
  EXPECT_TRUE(state_is_left(root / "a"));
  EXPECT_FALSE(state_is_left(root / "b"));
}

TEST_F(StateDirectoryTest, a_directory_that_has_two_names_keeps_the_one_it_has) {
  HEARTH_SKIP_IF_SANITIZED();
  const std::string a = make("a");
  fs::create_directory_symlink(root.path(), root / "alias");
  const Instance by_another_name{"a", root / "alias/a", root / "alias/a/logs"};
  for (int few = 1; few <= 2; ++few) {
    const test::FewDescriptors left(few);
    EXPECT_FALSE(make_state_directory(by_another_name, host)) << few;
  }
  EXPECT_EQ(a, target("a"));
  EXPECT_TRUE(make_state_directory(by_another_name, host));
  EXPECT_EQ(a, target("a"));
  fs::rename(root / "a", root / "b");
  EXPECT_TRUE(make_state_directory(instance("b"), host));
  EXPECT_NE(a, target("b")) << "whoever makes a directory of that name next has the old one cleared";
}

TEST_F(StateDirectoryTest, what_an_instance_that_was_removed_left_in_memory_goes_with_the_next_start_of_any) {
  const std::string gone = make("gone");
  const std::string replaced = make("replaced");
  make("dead");
  fs::remove_all(root / "gone");
  fs::rename(root / "replaced", root / "moved");
  fs::create_directory(root / "replaced");
  make("a");
  EXPECT_FALSE(fs::exists(gone));
  EXPECT_FALSE(fs::exists(replaced));
  EXPECT_TRUE(state_is_left(root / "dead")) << "its instance is there";
}

// What is to be seen below its mount point then is of another one.
TEST_F(StateDirectoryTest, of_an_instance_whose_file_system_is_not_mounted_is_left) {
  const std::string away = make("away");
  struct statx x{};
  ASSERT_EQ(0, ::statx(AT_FDCWD, (root / "away").c_str(), 0, STATX_INO, &x));
  const auto write_device = [&](std::uint64_t device) {
    const Fd table(::open((away + "/" + wire::slot_table_file).c_str(), O_RDWR | O_CLOEXEC));
    constexpr off_t at = offsetof(wire::SlotTable, identity) + offsetof(wire::StateIdentity, device);
    ASSERT_EQ(8, ::pwrite(table.get(), &device, sizeof device, at));
  };
  const std::uint64_t here = std::uint64_t{x.stx_dev_major} << 32 | x.stx_dev_minor;
  fs::remove_all(root / "away");
  write_device(here + 1);
  make("a");
  EXPECT_TRUE(fs::exists(away));
  write_device(here);
  EXPECT_TRUE(make_state_directory(instance("a"), host));
  EXPECT_FALSE(fs::exists(away));
}

TEST_F(StateDirectoryTest, the_events_of_an_instance_that_is_gone_go_too) {
  const std::string gone = make("gone"), remains = make("remains");
  for (const std::string& state : {gone, remains}) std::ofstream(state + "/events-1") << "{}\n";
  for (const char* file : {"instance", wire::slot_table_file, wire::decision_page_file})
    fs::remove(remains + "/" + file);
  fs::remove_all(root / "gone");
  make("a");
  EXPECT_FALSE(fs::exists(gone));
  EXPECT_FALSE(fs::exists(remains)) << "what earlier versions have left";
}

TEST_F(StateDirectoryTest, what_somebody_has_open_is_left_until_he_has_ended) {
  const std::string gone = make("gone");
  Fd used(::open((gone + "/" + wire::decision_page_file).c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(used);
  fs::remove_all(root / "gone");
  make("a");
  EXPECT_TRUE(fs::exists(gone + "/" + wire::slot_table_file));
  used.reset();
  EXPECT_TRUE(make_state_directory(instance("a"), host));
  EXPECT_FALSE(fs::exists(gone));
}

TEST_F(StateDirectoryTest, what_may_be_in_use_elsewhere_or_is_just_being_made_is_left) {
  const std::string elsewhere = make("elsewhere");
  const std::string nameless = make("nameless");
  fs::remove(elsewhere + "/instance");
  fs::create_symlink("mnt:[1] " + (root / "elsewhere"), elsewhere + "/instance");
  fs::remove(nameless + "/instance");
  fs::remove_all(root / "elsewhere");
  fs::remove_all(root / "nameless");
  make("a");
  EXPECT_TRUE(fs::exists(elsewhere)) << "its mount namespace is another one";
  EXPECT_TRUE(fs::exists(nameless));
}

TEST_F(StateDirectoryTest, one_made_for_a_path_that_says_nothing_here_is_left_and_ends_no_start) {
  const std::string odd = make("odd");
  fs::resize_file(odd + "/" + wire::slot_table_file, sizeof(wire::SlotTable));
  const std::string space = fs::read_symlink("/proc/self/ns/mnt");
  fs::remove(odd + "/instance");
  fs::create_symlink(space + " odd", odd + "/instance");
  fs::remove_all(root / "odd");
  make("a");
  EXPECT_TRUE(fs::exists(odd));
}

TEST_F(StateDirectoryTest, it_ends_with_its_decision_page_and_not_before) {
  make("a");
  const Fd directory(::open((root / "a").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  static std::string instance_directory;
  static std::vector<bool> left;
  instance_directory = root / "a";
  left = {state_is_left(instance_directory)};
  crash_hook = [](const char*) { left.push_back(state_is_left(instance_directory)); };
  remove_state(directory.get());
  crash_hook = nullptr;
  EXPECT_EQ((std::vector<bool>{true, false, false}), left) << "nobody goes on with a table alone";
}

TEST_F(StateDirectoryTest, a_deliberate_end_leaves_no_files_and_the_place_for_the_next) {
  const std::string a = make("a");
  const Fd directory(::open((root / "a").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  remove_state(directory.get());
  EXPECT_FALSE(state_is_left(root / "a"));
  EXPECT_TRUE(fs::exists(a));
  remove_state_directory(directory.get());
  EXPECT_FALSE(fs::exists(a));
  EXPECT_EQ("", target("a"));
}

}  // namespace
}  // namespace hearth::os
