// Slot table and decision page that an earlier hearth has left, opened again.
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <sched.h>
#include <string>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "keeper/state.h"
#include "os/instance.h"
#include "os/state_directory.h"
#include "support/refused_calls.h"
#include "unit/os/few_descriptors.h"
#include "unit/os/temp_directory.h"
#include "wire/decision_page.h"
#include "wire/state.h"

namespace {
bool halves = false;
}

// The kernel's own, or that of a file system which gives less than is asked for.
extern "C" ssize_t pread(int fd, void* into, size_t size, off_t at) {
  return ::syscall(SYS_pread64, fd, into, halves && size > 1 ? size / 2 : size, at);
}

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
    lock = os::Fd(::openat(place, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_TRUE(lock);
  }
  void TearDown() override {
    forget();
    if (place < 0) return;
    os::remove_state_directory(place);
    ::close(place);
  }
  void prepare() {
    k = std::make_unique<Keeper>();
    for (int& fd : k->fd) fd = -1;
    k->fd[static_cast<std::uint32_t>(HelloDescriptor::directory)] = place;
    k->fd[static_cast<std::uint32_t>(HelloDescriptor::lock)] = lock.get();
  }
  bool open() {
    prepare();
    return open_pages(*k, looked_at) && name_pages(*k);
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
  std::string lock_text() const {
    std::ifstream in(instance.directory + "/lock");
    return {std::istreambuf_iterator<char>(in), {}};
  }
  bool is_put_aside() const { return std::filesystem::exists(table_file() + wire::put_aside_suffix); }

  test::TempDirectory root;
  os::Instance instance;
  int place = -1;
  os::Fd lock;
  const char* looked_at = "";
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

// A hearth that could not use DIR/state has started, stopped and numbered runs of which the pair there knows nothing.
TEST_F(PagesTest, of_a_hearth_before_the_last_are_put_aside) {
  ASSERT_TRUE(open());
  commit();
  forget();
  const std::string state = instance.directory + "/" + wire::state_directory_name;
  std::filesystem::rename(state, state + ".hidden");
  ASSERT_TRUE(open());
  EXPECT_EQ(StateOrigin::memory, k->table->origin);
  forget();
  std::filesystem::rename(state + ".hidden", state);
  ASSERT_TRUE(open());
  EXPECT_EQ(StateOrigin::made, k->table->origin);
  EXPECT_EQ(StateProblem::not_the_last, k->table->problem);
  EXPECT_TRUE(is_put_aside());
  commit();
  forget();
  ASSERT_TRUE(open());
  EXPECT_EQ(StateOrigin::continued, k->table->origin) << "and those that it made are the last";
}

TEST_F(PagesTest, of_a_version_that_names_none_are_gone_on_with_and_named) {
  ASSERT_TRUE(open());
  commit();
  forget();
  const std::string named = lock_text();
  EXPECT_EQ(23u, named.size());
  ASSERT_EQ(0, ::ftruncate(lock.get(), 0));
  ASSERT_TRUE(open());
  EXPECT_EQ(StateOrigin::continued, k->table->origin);
  EXPECT_EQ(named, lock_text());
}

TEST_F(PagesTest, are_named_in_no_file_that_has_another_name) {
  std::ofstream(root / "precious") << "precious";
  std::filesystem::remove(instance.directory + "/lock");
  ASSERT_EQ(0, ::link((root / "precious").c_str(), (instance.directory + "/lock").c_str()));
  lock = os::Fd(::openat(place, "lock", O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(open());
  commit();
  forget();
  ASSERT_TRUE(open());
  EXPECT_EQ(StateOrigin::continued, k->table->origin);
  EXPECT_EQ("precious", lock_text());
}

TEST_F(PagesTest, are_not_kept_when_the_lock_goes_on_naming_others) {
  ASSERT_TRUE(open());
  forget();
  lock = os::Fd(::openat(place, "lock", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(lock);
  EXPECT_FALSE(open());
  EXPECT_EQ(EBADF, errno);
}

TEST_F(PagesTest, are_told_by_all_of_the_lock_however_few_bytes_come_at_a_time) {
  ASSERT_TRUE(open());
  commit();
  forget();
  halves = true;
  const bool opened = open();
  halves = false;
  ASSERT_TRUE(opened);
  EXPECT_EQ(StateOrigin::continued, k->table->origin);
  EXPECT_EQ(StateProblem::none, k->table->problem);
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

// With /proc read-only or masked, say.
TEST_F(PagesTest, of_which_nobody_can_say_whether_this_is_their_boot_stay_as_they_are) {
  ASSERT_TRUE(open());
  commit();
  forget();
  const std::string empty = root / "empty";
  std::ofstream{empty};
  const auto in_a_child = [&](const std::function<bool()>& holds) {
    const pid_t child = ::fork();
    if (child == 0) {
      const bool masked = ::unshare(CLONE_NEWNS) == 0 &&
                          ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                          ::mount(empty.c_str(), "/proc/sys/kernel/random/boot_id", nullptr, MS_BIND, nullptr) == 0;
      ::_exit(!masked ? 2 : holds() ? 0 : 1);
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    return WEXITSTATUS(status);
  };
  const int refused = in_a_child(
      [&] { return !open() && errno == ENODATA && std::string(looked_at) == "/proc/sys/kernel/random/boot_id"; });
  if (refused == 2) GTEST_SKIP() << "/proc cannot be masked here";
  EXPECT_EQ(0, refused);
  EXPECT_FALSE(is_put_aside());
  ASSERT_TRUE(open());
  EXPECT_EQ(StateOrigin::continued, k->table->origin);
  forget();
  // Where there is nothing to be told, nothing is asked for.
  for (const char* file : {wire::slot_table_file, wire::decision_page_file})
    std::filesystem::remove(instance.directory + "/" + wire::state_directory_name + "/" + file);
  EXPECT_EQ(0, in_a_child([&] { return open() && k->table->origin == StateOrigin::made; }));
}

// As where the kernel has no PID namespaces: who waits until it can be told waits for ever.
TEST_F(PagesTest, of_somebody_who_could_not_tell_either_end_no_start) {
  ASSERT_TRUE(open());
  commit();
  k->table->identity.pid_namespace = 0;
  const std::string boot = k->table->identity.boot_id;
  forget();
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string random = "/proc/sys/kernel/random";
    const bool masked = ::unshare(CLONE_NEWNS) == 0 &&
                        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                        ::mount("none", "/proc", "tmpfs", 0, nullptr) == 0;
    if (!masked) ::_exit(2);
    std::filesystem::create_directories(random);
    std::ofstream(random + "/boot_id") << boot << "\n";
    ::_exit(open() && k->table->problem == StateProblem::other_pid_namespace ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(child, ::waitpid(child, &status, 0));
  if (WEXITSTATUS(status) == 2) GTEST_SKIP() << "/proc cannot be masked here";
  EXPECT_EQ(0, status);
}

TEST_F(PagesTest, on_a_disk_that_breaks_stay_as_they_are) {
  HEARTH_SKIP_IF_SANITIZED();
  ASSERT_TRUE(open());
  commit();
  forget();
  prepare();
  const pid_t child = ::fork();
  if (child == 0) {
    support::refuse({SYS_openat, EIO, 2, O_NOFOLLOW});
    ::_exit(!open_pages(*k, looked_at) && errno == EIO ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(child, ::waitpid(child, &status, 0));
  EXPECT_EQ(0, status);
  EXPECT_FALSE(is_put_aside());
  forget();
  ASSERT_TRUE(open());
  EXPECT_EQ(StateOrigin::continued, k->table->origin);
}

TEST_F(PagesTest, that_cannot_be_looked_at_for_want_of_memory_stay_as_they_are) {
  HEARTH_SKIP_IF_SANITIZED();
  ASSERT_TRUE(open());
  commit();
  forget();
  rlimit before{};
  ASSERT_EQ(0, ::getrlimit(RLIMIT_AS, &before));
  const rlimit none{1, before.rlim_max};
  prepare();  // a keeper has a table of megabytes of its own
  ASSERT_EQ(0, ::setrlimit(RLIMIT_AS, &none));
  const bool opened = open_pages(*k, looked_at);
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
