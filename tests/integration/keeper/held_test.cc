// A supervisor whose process is over and does not end, because the kernel holds a thread of it.

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <signal.h>
#include <string>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "integration/keeper/harness.h"
#include "support/hung_disk.h"

namespace hearth::test {
namespace {

struct KeeperHeld : testing::Test {
  void SetUp() override {
    h.accept_supervisor();
    h.take_over_from_keeper();
    ASSERT_EQ(0, mkfifo((h.dir + "/crash").c_str(), 0600));
    disk.emplace(h.dir + "/hung");
    if (!disk->mounted()) GTEST_SKIP() << "no file system of our own can be mounted here";
    // The next one looks for a name on it (member.cc), and the keeper hears that it does.
    h.kill_supervisor();
    h.accept_supervisor();
    h.take_over_from_keeper();
    ASSERT_TRUE(disk->wait_held(1));
    const Fd timer(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
    itimerspec spec = {};
    spec.it_value.tv_nsec = spec.it_interval.tv_nsec = 20'000'000;
    ASSERT_EQ(timerfd_settime(timer.get(), 0, &spec, nullptr), 0);
    ASSERT_TRUE(h.supervisor.send<wire::RunRecord>(wire::MessageType::at_work, {}, {timer.get()}));
    held = h.supervisor.pid;
  }
  void expect_buried() {
    ASSERT_TRUE(h.until([&] { return h.table->supervisor.deaths == 2; })) << "it is waited for";
    EXPECT_NE(state_of(held), 0) << "the disk does not answer, and yet it is gone";
    EXPECT_EQ(h.table->supervisor.last_wait_code, CLD_KILLED);
    EXPECT_EQ(h.table->supervisor.last_wait_status, SIGKILL);
    h.accept_supervisor();
    h.take_over_from_keeper();
    disk->answer();
    EXPECT_TRUE(h.until([&] { return state_of(held) == 0; })) << "it is reaped when it ends";
  }

  Instance h;
  std::optional<support::HungDisk> disk;  // goes first, and answers then: so all others can end
  pid_t held = 0;
};

TEST_F(KeeperHeld, IsBuriedWhenItIsKilled) {
  kill(held, SIGKILL);
  expect_buried();
}

TEST_F(KeeperHeld, IsBuriedWhenItCrashes) {
  kill(held, SIGSEGV);
  expect_buried();
}

// The first thread is on its way out then, and waits for the core, as the one that crashed waits for the disk.
TEST_F(KeeperHeld, IsBuriedWhenAnotherThreadOfItCrashes) {
  Fd crash(open((h.dir + "/crash").c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_GE(crash.get(), 0) << strerror(errno);
  crash.reset();  // its successor is not told
  expect_buried();
}

}  // namespace
}  // namespace hearth::test
