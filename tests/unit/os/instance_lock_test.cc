#include "os/instance_lock.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <new>
#include <poll.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "os/holders.h"
#include "os/messages.h"
#include "os/proc_stat.h"
#include "support/hung_disk.h"
#include "support/own_world.h"
#include "unit/os/temp_directory.h"

namespace hearth::os {
namespace {

class InstanceLock : public testing::Test {
 protected:
  // As a keeper opens it.
  Fd open_lock(int more = 0) const {
    return Fd(::open((directory / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | more, 0600));
  }
  static bool lock(const Fd& file) { return ::flock(file.get(), LOCK_EX | LOCK_NB) == 0; }
  // The exit code of a child that does this.
  template <typename Do>
  static int in_a_child(Do work) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(work());
    int status = 0;
    EXPECT_EQ(child, ::waitpid(child, &status, 0));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  test::TempDirectory directory;
};

TEST_F(InstanceLock, is_held_while_somebody_has_it_and_asking_leaves_it_as_it_is) {
  EXPECT_FALSE(lock_is_held(directory.path())) << "there is no file";
  Fd file = open_lock();
  EXPECT_FALSE(lock_is_held(directory.path())) << "it is open, and not locked";
  EXPECT_TRUE(lock(file));
  EXPECT_TRUE(lock_is_held(directory.path()));
  file.reset();
  EXPECT_FALSE(lock_is_held(directory.path()));
  EXPECT_TRUE(lock(open_lock()));
}

TEST_F(InstanceLock, is_held_while_it_is_on_its_way_in_a_socket) {
  int ends[2];
  ASSERT_EQ(0, ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
  const Fd a(ends[0]), b(ends[1]);
  Fd file = open_lock();
  ASSERT_TRUE(lock(file));
  const int descriptors[] = {file.get()};
  ASSERT_EQ(Sent::yes, send_message(a.get(), wire::MessageType::adopt, nullptr, 0, 0, descriptors));
  file.reset();
  EXPECT_TRUE(lock_is_held(directory.path()));
}

// There /proc/locks does not show it.
TEST_F(InstanceLock, is_seen_from_another_PID_namespace) {
  const Fd file = open_lock();
  ASSERT_TRUE(lock(file));
  const auto ask_elsewhere = [this] {
    if (!support::enter_own_world(true).can_mount) return 2;
    return lock_is_held(directory.path()) ? 0 : 1;
  };
  const int code = in_a_child(ask_elsewhere);
  if (code == 2) GTEST_SKIP() << "no PID namespace can be had here";
  EXPECT_EQ(0, code);
}

// A keeper takes it, its supervisor outlives it. In a container /proc/locks shows it no more from then on.
TEST_F(InstanceLock, is_seen_in_a_container_when_who_took_it_is_dead) {
  const auto ask_inside = [this] {
    if (!support::enter_own_world(true).can_mount) return 2;
    const Fd file = open_lock();
    if (in_a_child([&] { return lock(file) ? 0 : 1; }) != 0) return 3;
    return lock_is_held(directory.path()) ? 0 : 1;
  };
  const int code = in_a_child(ask_inside);
  if (code == 2) GTEST_SKIP() << "no PID namespace can be had here";
  EXPECT_EQ(0, code);
}

TEST_F(InstanceLock, who_is_asked_about_it_all_the_time_gets_it_each_time) {
  constexpr int times = 100;
  auto* asked = static_cast<std::atomic<int>*>(
      ::mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(MAP_FAILED, static_cast<void*>(asked));
  new (asked) std::atomic<int>(0);
  const pid_t starter = ::fork();
  if (starter == 0) {
    for (int i = 0; i < times; ++i) {
      if (!lock(open_lock())) ::_exit(1);
      for (const int before = *asked; *asked == before;) ::sched_yield();
    }
    ::_exit(0);
  }
  int status = 0;
  while (::waitpid(starter, &status, WNOHANG) == 0) {
    (void)lock_is_held(directory.path());
    ++*asked;
  }
  EXPECT_EQ(0, status) << "it was disturbed";
  ::munmap(asked, sizeof *asked);
}

TEST_F(InstanceLock, who_starts_while_starts_are_held_off_waits) {
  Result<Fd> held_off = hold_off_starts(directory.path());
  ASSERT_TRUE(held_off) << held_off.error().text();
  EXPECT_TRUE(hold_off_starts(directory.path())) << "two may";
  EXPECT_FALSE(open_lock(O_NONBLOCK));
  EXPECT_EQ(EWOULDBLOCK, errno) << "not told to wait";
  *held_off = Fd();
  EXPECT_TRUE(lock(open_lock(O_NONBLOCK)));
}

TEST_F(InstanceLock, starts_cannot_be_held_off_where_somebody_has_it) {
  const Fd file = open_lock();
  ASSERT_TRUE(lock(file));
  const Result<Fd> held_off = hold_off_starts(directory.path());
  ASSERT_FALSE(held_off);
  EXPECT_EQ(Remedy::conflict, held_off.error().remedy);
  EXPECT_TRUE(holds_file(::getpid(), directory / "lock"));
  EXPECT_FALSE(holds_file(::getppid(), directory / "lock"));
  EXPECT_FALSE(holds_file(0, directory / "lock"));
}

// Nobody kills a backup that reads it.
TEST_F(InstanceLock, who_only_reads_its_file_does_not_hold_it) {
  ASSERT_TRUE(open_lock());
  const Fd file(::open((directory / "lock").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(file);
  EXPECT_FALSE(holds_file(::getpid(), directory / "lock"));
}

// Who looks for its holders looks at the files of everybody. It is a child, so that it can be killed.
TEST_F(InstanceLock, its_holders_are_found_beside_a_file_whose_server_is_dead) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may mount";
  support::HungDisk disk(directory / "hung", support::HungDisk::Requests::unread);
  if (!disk.mounted()) GTEST_SKIP() << "there is no /dev/fuse here";
  const Fd there(::open(disk.path().c_str(), O_PATH | O_CLOEXEC));
  const Fd file = open_lock();
  ASSERT_TRUE(there && file);
  ASSERT_LT(there.get(), file.get());
  const pid_t looking = ::fork();
  if (looking == 0) {
    const bool holds = holds_file(::getppid(), directory / "lock");
    const std::vector<Holder> all = holders_of(directory / "lock");
    const auto parent = [](const Holder& holder) { return holder.pid == ::getppid(); };
    ::_exit(holds && std::any_of(all.begin(), all.end(), parent) ? 0 : 1);
  }
  const Fd its_end(pidfd_open(looking));
  pollfd polled{its_end.get(), POLLIN, 0};
  EXPECT_EQ(1, ::poll(&polled, 1, 30'000)) << "it waits for the server";
  ::kill(looking, SIGKILL);
  int status = 0;
  ASSERT_EQ(looking, ::waitpid(looking, &status, 0));
  EXPECT_EQ(0, status);
}

}  // namespace
}  // namespace hearth::os
