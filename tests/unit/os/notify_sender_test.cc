#include "os/notify_sender.h"

#include <cstdint>
#include <fcntl.h>
#include <limits>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "os/cgroup.h"
#include "os/peer_run.h"
#include "os/proc_stat.h"

namespace hearth::os {
namespace {

constexpr std::uint64_t after_all = std::numeric_limits<std::uint64_t>::max();  // a look after every process began

TEST(NotifySender, the_leaf_of_a_run_is_found_in_a_path) {
  EXPECT_EQ(leaf_in("/user/hearth.0a/app.web.0.7", 7), "/user/hearth.0a/app.web.0.7");
  EXPECT_EQ(leaf_in("/user/hearth.0a/app.web.0.7/own/deep", 7), "/user/hearth.0a/app.web.0.7");
  EXPECT_EQ(leaf_in("/hearth.0a/app.a.0.3/hearth.0b/app.web.0.7/x", 7), "/hearth.0a/app.a.0.3/hearth.0b/app.web.0.7");
  EXPECT_EQ(leaf_in("/hearth.0a/app.web.0.17", 7), "");
  EXPECT_EQ(leaf_in("/hearth.0a/app.web.0.7 (deleted)", 7), "");
  EXPECT_EQ(leaf_in("/hearth.service", 7), "");
  EXPECT_EQ(leaf_in("/", 7), "");
}

TEST(PeerRun, the_label_of_a_leaf_is_found_in_a_path_and_what_is_made_below_a_leaf_is_no_other) {
  EXPECT_EQ(label_below("/user/hearth.0a/app.web.0.7", "hearth.0a"), "app.web.0");
  EXPECT_EQ(label_below("/hearth.0a/app.web.0.hook.7/own/deep", "hearth.0a"), "app.web.0.hook");
  EXPECT_EQ(label_below("/hearth.0a/app.web.0.7/hearth.0a/app.free.0.8", "hearth.0a"), "app.web.0");
  EXPECT_EQ(label_below("/hearth.0a/app.a.0.3/hearth.0b/app.web.0.7", "hearth.0b"), "app.web.0");
  EXPECT_EQ(label_below("/hearth.0a/app.web.0.7 (deleted)", "hearth.0a"), "app.web.0");
  for (const char* none : {"/hearth.0b/app.web.0.7", "/hearth.0a", "/", "", "/user.slice"})
    EXPECT_EQ(label_below(none, "hearth.0a"), "") << none;
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
    senders.looked(after_all, {});
    EXPECT_EQ(senders.look(receiver.get(), leader, leader, 7).who, "");
    const NotifySenders::Stranger stranger = senders.look(receiver.get(), ::getpid(), leader, 7);
    EXPECT_TRUE(stranger.who.starts_with("PID " + std::to_string(::getpid()) + " (")) << stranger.who;
    EXPECT_EQ(stranger.label, "app.web.0");
    EXPECT_EQ(senders.look(receiver.get(), ::getpid(), ::getpid(), 7).who, "");
    EXPECT_EQ(senders.look(receiver.get(), ::getpid(), leader, 8).who, "") << "the leader is in no leaf of that run";
    EXPECT_EQ(senders.look(receiver.get(), 0, leader, 7).who, "") << "of another PID namespace";
  }
}

// The sender has ended, and the test stands for whoever was given its PID since.
TEST_F(NotifySenderInCgroups, who_has_ended_is_believed_whoever_has_its_pid_now) {
  const pid_t ended = ::fork();
  if (ended == 0) ::_exit(::send(sender.get(), "x", 1, 0) == 1 ? 0 : 1);
  int status = -1;
  ASSERT_EQ(ended, ::waitpid(ended, &status, 0));
  ASSERT_EQ(0, status);
  const int on = 1;
  if (::setsockopt(receiver.get(), SOL_SOCKET, 76 /* SO_PASSPIDFD */, &on, sizeof on) < 0)
    GTEST_SKIP() << "SO_PASSPIDFD needs Linux 6.5";
  NotifySenders senders;
  senders.looked(after_all, {});
  EXPECT_EQ(senders.look(receiver.get(), ::getpid(), leader, 7).who, "");
}

// Without SO_PASSPIDFD the PID is all there is, and whoever has it now may be another process than the sender.
TEST_F(NotifySenderInCgroups, by_its_pid_alone_only_who_was_there_before_the_datagram_is_told) {
  const std::uint64_t began = start_ticks(::getpid());
  NotifySenders senders(false);
  EXPECT_EQ(senders.look(receiver.get(), ::getpid(), leader, 7).who, "") << "nothing was looked at yet";
  senders.looked(began, {});
  EXPECT_EQ(senders.look(receiver.get(), ::getpid(), leader, 7).who, "") << "it may have begun after the look";
  senders.looked(began + 1, {});
  EXPECT_NE(senders.look(receiver.get(), ::getpid(), leader, 7).who, "");
}

TEST_F(NotifySenderInCgroups, by_its_pid_alone_a_datagram_is_as_old_as_the_last_look_that_found_its_socket_empty) {
  const std::uint64_t began = start_ticks(::getpid());
  const RunId both[] = {6, 7}, ours[] = {7}, other[] = {6};
  NotifySenders senders(false);
  senders.looked(began, {});
  senders.looked(began + 1, both);
  senders.looked(began + 2, ours);
  EXPECT_EQ(senders.look(receiver.get(), ::getpid(), leader, 7).who, "") << "it may wait since its sender was another";
  senders.looked(began + 3, other);
  EXPECT_NE(senders.look(receiver.get(), ::getpid(), leader, 7).who, "");
}

TEST_F(NotifySenderInCgroups, by_its_pid_alone_who_is_in_the_leaf_or_has_ended_is_believed) {
  NotifySenders senders(false);
  ASSERT_NE(0u, start_ticks(child));
  senders.looked(after_all, {});
  EXPECT_NE(senders.look(receiver.get(), ::getpid(), leader, 7).who, "") << "such a look does tell strangers";
  EXPECT_EQ(senders.look(receiver.get(), child, leader, 7).who, "") << "in the leaf";
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(senders.look(receiver.get(), child, leader, 7).who, "") << "it has ended";
}

}  // namespace
}  // namespace hearth::os
