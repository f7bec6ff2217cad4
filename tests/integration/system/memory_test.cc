// Allocations that fail for real: a limit is set from outside, at what a process of hearth has just then, and it is given
// more to do. docs/internals/out-of-memory.md says what is promised.
#include <signal.h>
#include <sys/resource.h>

#include <gmock/gmock.h>

#include "instance.h"
#include "os/proc_stat.h"

namespace hearth::test {
namespace {

using ::testing::HasSubstr;

struct Memory : Machine {
  // From now on no page can be added to its address space. False: it is gone.
  static bool limit(pid_t pid) {
    const std::string text = os::read_file("/proc/" + std::to_string(pid) + "/statm").value_or("");
    const rlim_t bytes = static_cast<rlim_t>(std::strtoull(text.c_str(), nullptr, 10)) * 4096;
    const rlimit none{bytes, RLIM_INFINITY};
    return bytes > 0 && ::prlimit(pid, RLIMIT_AS, &none, nullptr) == 0;
  }
  static void lift(pid_t pid) {
    const rlimit any{RLIM_INFINITY, RLIM_INFINITY};
    EXPECT_EQ(0, ::prlimit(pid, RLIMIT_AS, &any, nullptr));
  }
  // Tasks that write a thousand lines each.
  static std::string writers(int count) {
    std::string text;
    for (int i = 0; i < count; ++i)
      text += "[service.writer-" + std::to_string(i) +
              "]\ntype = \"task\"\ncommand = [\"/usr/bin/seq\", \"1\", \"1000\"]\n";
    return text;
  }
  void expect_all_lines(int count) {
    std::string all;
    for (int i = 1; i <= 1000; ++i) all += std::to_string(i) + "\n";
    for (int i = 0; i < count; ++i) {
      const std::string name = "writer-" + std::to_string(i);
      EXPECT_TRUE(until([&] { return logged(name) == all; })) << name << " has " << logged(name).size() << " bytes";
    }
  }
  pid_t only(const std::string& program) {
    std::vector<pid_t> found;
    EXPECT_TRUE(until([&] { return (found = members(program)).size() == 1; })) << program;
    return found.empty() ? 0 : found.front();
  }
};

// A large file is more than it has room for. It says so, or dies of it, and then the next one takes the same order.
TEST_F(Memory, a_supervisor_without_any_refuses_new_work_with_the_reason_or_is_followed_by_one_that_does_it) {
  constexpr int count = 150;
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  const Actor web = stage->enter();
  const InstanceView before = status();
  ASSERT_TRUE(limit(before.supervisor));
  project("[service.web]\n" + puppet() + writers(count));
  const Output output = up();
  const bool survived = status().supervisor == before.supervisor;
  EXPECT_TRUE(survived || output.code == 0) << output.all();
  EXPECT_FALSE(survived && output.code == 0) << "it had enough: the test shows nothing";
  if (output.code != 0) {
    EXPECT_EQ(1, output.code);
    EXPECT_THAT(output.err, HasSubstr("memory"));
  }
  // What runs is watched as before.
  EXPECT_TRUE(web.alive());
  EXPECT_EQ(web.pid, service().pid);
  EXPECT_EQ("ok", web.ask("print none the worse"));
  EXPECT_TRUE(until([&] { return logged().find("none the worse") != std::string::npos; }));
  if (survived) lift(before.supervisor);
  const Output again = up();
  EXPECT_EQ(0, again.code) << again.all();
  EXPECT_EQ(0U, service().restarts);
  expect_all_lines(count);
  expect_clean_shutdown();
}

// Who writes meanwhile waits, as for a disk that is full.
TEST_F(Memory, a_logger_without_any_loses_no_line) {
  constexpr int count = 400;  // more than what it has in reserve
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  const Actor web = stage->enter();
  const pid_t before = only("hearth-logger");
  ASSERT_TRUE(limit(before));
  project("[service.web]\n" + puppet() + writers(count));
  const Output output = up();
  EXPECT_EQ(0, output.code) << output.all();
  // It says what it cannot do and tries again, or dies of it and is followed by one without a limit.
  const bool survived = only("hearth-logger") == before;
  EXPECT_TRUE(!survived || os::read_file(directory + "/hearth.log").value_or("").find("memory") != std::string::npos)
      << "it had enough: the test shows nothing";
  if (survived) lift(before);
  EXPECT_EQ("ok", web.ask("lines 100000"));
  expect_all_lines(count);
  EXPECT_TRUE(until([&] { return logged().ends_with("line 100000\n"); }));
  EXPECT_TRUE(web.alive());
  expect_clean_shutdown();
}

// It needs none: it goes on as before, while none of its members can be started again. Then the shortage passes.
TEST_F(Memory, a_keeper_without_any_goes_on_and_starts_its_members_when_there_is_some_again) {
  project("[service.web]\nbackoff = { initial = 0 }\n" + puppet());
  ASSERT_EQ(0, up().code);
  const Actor web = stage->enter();
  const InstanceView before = status();
  ASSERT_TRUE(limit(before.keeper));
  kill_members("hearth-supervisor", SIGKILL);
  const Output output = hearth({"status"});
  EXPECT_NE(0, output.code) << "a supervisor was started: the test shows nothing";
  EXPECT_THAT(output.err, HasSubstr("hearth"));
  EXPECT_EQ("ok", web.ask("print nobody decides"));
  EXPECT_TRUE(until([&] { return logged().find("nobody decides") != std::string::npos; }));
  EXPECT_TRUE(web.alive());
  lift(before.keeper);
  EXPECT_TRUE(until([&] { return status().answered; }));
  EXPECT_EQ(before.keeper, status().keeper);
  EXPECT_EQ(web.pid, service().pid);
  EXPECT_TRUE(web.kill(SIGKILL));
  const Actor next = stage->enter();
  EXPECT_TRUE(next.here());
  EXPECT_EQ(9, service().exit_signal);
  expect_clean_shutdown();
}

}  // namespace
}  // namespace hearth::test
