#include "os/notify_sender.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "os/cgroup.h"

namespace hearth::os {
namespace {

TEST(NotifySender, the_leaf_of_a_run_is_found_in_a_path) {
  EXPECT_EQ(leaf_in("/user/hearth.0a/app.web.0.7", 7), "/user/hearth.0a/app.web.0.7");
  EXPECT_EQ(leaf_in("/user/hearth.0a/app.web.0.7/own/deep", 7), "/user/hearth.0a/app.web.0.7");
  EXPECT_EQ(leaf_in("/hearth.0a/app.a.0.3/hearth.0b/app.web.0.7/x", 7), "/hearth.0a/app.a.0.3/hearth.0b/app.web.0.7");
  EXPECT_EQ(leaf_in("/hearth.0a/app.web.0.17", 7), "");
  EXPECT_EQ(leaf_in("/hearth.0a/app.web.0.7 (deleted)", 7), "");
  EXPECT_EQ(leaf_in("/hearth.service", 7), "");
  EXPECT_EQ(leaf_in("/", 7), "");
}

// The leader and another process of a run in their leaf; the test itself is the stranger.
struct NotifySenderInCgroups : testing::Test {
  CgroupTree tree = CgroupTree::open(testing::TempDir() + "notify-sender-" + std::to_string(::getpid()));
  pid_t leader = -1, child = -1;
  Fd receiver, sender;

  void SetUp() override {
    if (!tree.usable()) GTEST_SKIP() << tree.why();
    ASSERT_TRUE(tree.make_leaf("app.web.0", 7));
    int ends[2];
    ASSERT_EQ(0, ::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends));
    receiver.reset(ends[0]);
    sender.reset(ends[1]);
    const int on = 1;
    ASSERT_EQ(0, ::setsockopt(receiver.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
    leader = start_in_leaf();
    child = start_in_leaf();
  }
  void TearDown() override {
    for (const pid_t pid : {leader, child}) {
      if (pid <= 0) continue;
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
    if (!tree.usable()) return;
    (void)tree.remove_leaf("app.web.0", 7);
    tree.remove();
  }
  pid_t start_in_leaf() {
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      for (;;) ::pause();
    }
    const Fd procs(::open((tree.path() + "/app.web.0.7/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
    const std::string text = std::to_string(pid);
    EXPECT_EQ(static_cast<ssize_t>(text.size()), ::write(procs.get(), text.data(), text.size()));
    return pid;
  }
};

TEST_F(NotifySenderInCgroups, who_is_outside_of_the_leaf_is_a_stranger) {
  ASSERT_EQ(1, ::send(sender.get(), "x", 1, 0));
  for (const bool pidfd_messages : {true, false}) {
    NotifySenders senders(pidfd_messages);
    senders.looked();
    EXPECT_EQ(senders.look(receiver.get(), leader, leader, 7).who, "");
    const NotifySenders::Stranger stranger = senders.look(receiver.get(), ::getpid(), leader, 7);
    EXPECT_TRUE(stranger.who.starts_with("PID " + std::to_string(::getpid()) + " (")) << stranger.who;
    EXPECT_EQ(stranger.label, "app.web.0");
    EXPECT_EQ(senders.look(receiver.get(), ::getpid(), ::getpid(), 7).who, "");
    EXPECT_EQ(senders.look(receiver.get(), ::getpid(), leader, 8).who, "") << "the leader is in no leaf of that run";
    EXPECT_EQ(senders.look(receiver.get(), 0, leader, 7).who, "") << "of another PID namespace";
  }
}

// Without SO_PASSPIDFD the PID is all there is, and whoever has it now may be another process than the sender.
TEST_F(NotifySenderInCgroups, by_its_pid_alone_only_who_was_there_before_the_datagram_is_told) {
  NotifySenders senders(false);
  EXPECT_EQ(senders.look(receiver.get(), ::getpid(), leader, 7).who, "");
  senders.looked();
  EXPECT_NE(senders.look(receiver.get(), ::getpid(), leader, 7).who, "");
  EXPECT_EQ(senders.look(receiver.get(), child, leader, 7).who, "") << "in the leaf";
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(senders.look(receiver.get(), child, leader, 7).who, "") << "it has ended";
}

}  // namespace
}  // namespace hearth::os
