// A thread of the supervisor that the kernel holds: its process is killed, replaced or ended, and does not end. The services
// have a supervisor all the same.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <unistd.h>

#include <gmock/gmock.h>

#include "instance.h"
#include "support/hung_disk.h"

namespace hearth::test {
namespace {

using ::testing::HasSubstr;

// Of a process: R, S, D, Z; 0 = there is none.
char state_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  const std::size_t end = text.rfind(')');
  return end == std::string::npos ? '\0' : text[end + 2];
}

// Has it a thread that is held? One that looks for a name for which another looks already is held behind that one, and the
// disk does not hear of it.
bool is_held(pid_t pid) {
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", error)) {
    std::ifstream file(task.path() / "stat");
    std::string text;
    std::getline(file, text);
    if (text.find(") D ") != std::string::npos) return true;
  }
  return false;
}

// Does it sleep with a socket open?
bool is_connected(pid_t pid) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd", error))
    if (std::filesystem::read_symlink(entry.path(), error).string().starts_with("socket:") && state_of(pid) == 'S')
      return true;
  return false;
}

struct Held : Machine {
  void hang(support::HungDisk::Requests requests = support::HungDisk::Requests::read) {
    if (root()) disk = std::make_unique<support::HungDisk>(base + "/hung", requests);
  }
  bool usable() const { return disk != nullptr && disk->mounted(); }
  // One service that is there, and one whose start looks for a directory that nobody finds.
  Actor start() {
    project("[service.web]\nrestart = \"always\"\nbackoff = { initial = 0 }\n" + puppet() + "\n[service.lost]\n" +
            puppet("lost") + "library_path = [\"" + disk->path() + "/lib\"]\n");
    const Output begun = up({"--no-wait"});
    EXPECT_EQ(0, begun.code) << begun.all();
    Actor web = stage->enter();
    EXPECT_EQ("web", web.label);
    return web;
  }
  std::unique_ptr<support::HungDisk> disk;
};

TEST_F(Held, a_supervisor_that_is_killed_has_a_successor_though_its_process_does_not_end) {
  hang();
  if (!usable()) GTEST_SKIP() << "no file system of our own can be mounted here";
  Actor web = start();
  ASSERT_TRUE(disk->wait_held(1));
  const pid_t before = status().supervisor;
  ASSERT_EQ(0, ::kill(before, SIGKILL));
  EXPECT_TRUE(until([&] { return status().takeovers == 1; }));
  EXPECT_EQ('Z', state_of(before)) << "the disk does not answer, and yet it is gone";
  EXPECT_TRUE(web.alive());
  EXPECT_EQ(web.pid, service().pid);
  // Its exits are seen.
  web.order("exit 7");
  const Actor next = stage->enter();
  EXPECT_TRUE(until([&] { return service().pid == next.pid; }));
  // Twice: the successor's thread is held, too.
  EXPECT_TRUE(until([&] { return is_held(status().supervisor); }));
  ASSERT_EQ(0, ::kill(status().supervisor, SIGKILL));
  EXPECT_TRUE(until([&] { return status().takeovers == 2; }));
  disk->answer();
  EXPECT_TRUE(until([&] { return state_of(before) == '\0'; })) << "it is reaped when it ends";
  expect_clean_shutdown();
}

TEST_F(Held, what_crashes_is_buried_without_its_core) {
  hang();
  if (!usable()) GTEST_SKIP() << "no file system of our own can be mounted here";
  const Actor web = start();
  ASSERT_TRUE(disk->wait_held(1));
  ASSERT_EQ(0, ::kill(status().supervisor, SIGSEGV));
  EXPECT_TRUE(until([&] { return status().takeovers == 1; }));
  EXPECT_EQ(web.pid, service().pid);
}

TEST_F(Held, an_upgrade_does_not_wait_for_the_disk) {
  hang();
  if (!usable()) GTEST_SKIP() << "no file system of our own can be mounted here";
  const Actor web = start();
  ASSERT_TRUE(disk->wait_held(1));
  const pid_t before = status().supervisor;
  const Output upgraded = hearth({"upgrade"});
  EXPECT_EQ(0, upgraded.code) << upgraded.all();
  EXPECT_EQ('Z', state_of(before));
  EXPECT_EQ(web.pid, service().pid);
  EXPECT_TRUE(web.alive());
}

TEST_F(Held, an_end_does_not_wait_for_it_and_the_next_hearth_begins) {
  hang();
  if (!usable()) GTEST_SKIP() << "no file system of our own can be mounted here";
  Actor web = start();
  ASSERT_TRUE(disk->wait_held(1));
  const pid_t before = status().supervisor;
  const Output ended = hearth({"shutdown"});
  EXPECT_EQ(0, ended.code) << ended.all();
  EXPECT_FALSE(web.alive());
  EXPECT_EQ('Z', state_of(before));
  project("[service.web]\n" + puppet());
  const Output again = up();
  EXPECT_EQ(0, again.code) << again.all();
  EXPECT_EQ(stage->enter().pid, service().pid);
  disk->answer();
  expect_clean_shutdown();
}

// What an NFS server leaves unanswered SIGKILL ends.
TEST_F(Held, a_request_that_nobody_has_read_is_given_up_with_its_process) {
  hang(support::HungDisk::Requests::unread);
  if (!usable()) GTEST_SKIP() << "no file system of our own can be mounted here";
  const Actor web = start();
  const pid_t before = status().supervisor;
  ASSERT_EQ(0, ::kill(before, SIGKILL));
  EXPECT_TRUE(until([&] { return status().takeovers == 1; }));
  EXPECT_TRUE(until([&] { return state_of(before) == '\0'; }));
  EXPECT_EQ(web.pid, service().pid);
  disk->answer();
}

TEST_F(Held, a_service_that_waits_for_its_disk_says_so_and_is_removed_at_once) {
  hang();
  if (!usable()) GTEST_SKIP() << "no file system of our own can be mounted here";
  const Actor web = start();
  ASSERT_TRUE(disk->wait_held(1));
  ServiceView lost;
  EXPECT_TRUE(until([&] {
    lost = service("lost");
    return lost.reason_text.starts_with("waits for its library_path " + disk->path() + "/lib, for ");
  })) << lost.reason_text;
  EXPECT_EQ("starting", lost.state);
  project("[service.web]\nrestart = \"always\"\nbackoff = { initial = 0 }\n" + puppet());
  const Output removed = up();
  EXPECT_EQ(0, removed.code) << removed.all();
  EXPECT_FALSE(service("lost").there);
  EXPECT_EQ(web.pid, service().pid);
}

// The client's question lies in a socket of which the dead still has a descriptor.
TEST_F(Held, who_waits_for_an_answer_asks_the_successor) {
  hang();
  if (!usable()) GTEST_SKIP() << "no file system of our own can be mounted here";
  const Actor web = start();
  ASSERT_TRUE(disk->wait_held(1));
  Command waiting = begin({"up"});
  EXPECT_TRUE(until([&] { return !waiting.out().empty() || waiting.ended() || is_connected(waiting.pid()); }));
  ASSERT_FALSE(waiting.ended());
  const pid_t before = status().supervisor;
  ASSERT_EQ(0, ::kill(before, SIGKILL));
  EXPECT_TRUE(until([&] { return status().takeovers == 1; }));
  EXPECT_EQ('Z', state_of(before));
  EXPECT_EQ(0, hearth({"stop", "lost"}).code);
  const Output told = waiting.wait();
  EXPECT_NE(-1, told.code) << "it waits for the dead";
  EXPECT_EQ('Z', state_of(before));
  EXPECT_EQ(web.pid, service().pid);
}

}  // namespace
}  // namespace hearth::test
