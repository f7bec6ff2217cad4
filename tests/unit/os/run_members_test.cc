// Whose processes are: of real ones that have the environment of a run.
#include "os/run_members.h"

#include <csignal>
#include <fcntl.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "os/clock.h"
#include "os/fd.h"
#include "unit/os/few_descriptors.h"

namespace hearth::os {
namespace {

const std::string instance = "/no/instance/of/" + std::to_string(::getpid());

struct CensusTest : ::testing::Test {
  struct Child {
    pid_t pid = 0;
    Fd input;
  };
  std::vector<Child> children;
  const CgroupTree none;
  Census census{none, instance};

  // A cat that is of this run, has begun, and ends with the test.
  pid_t begin_child(RunId run, const std::string& its_instance = instance) {
    int in[2], out[2];
    if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0) return 0;
    const Fd its_input(in[0]), output(out[0]);
    Fd its_output(out[1]), input(in[1]);
    const std::string names[] = {"HEARTH_INSTANCE=" + its_instance, "HEARTH_RUN=" + std::to_string(run)};
    const pid_t child = ::fork();
    if (child == 0) {
      ::dup2(its_input.get(), 0);
      ::dup2(its_output.get(), 1);
      const char* const environment[] = {names[0].c_str(), names[1].c_str(), nullptr};
      ::execle("/bin/cat", "cat", nullptr, environment);
      ::_exit(127);
    }
    // It is the program, and has its environment, when it has answered.
    its_output.reset();
    char byte = '!';
    EXPECT_EQ(1, ::write(input.get(), &byte, 1));
    EXPECT_EQ(1, ::read(output.get(), &byte, 1));
    children.push_back({child, std::move(input)});
    return child;
  }
  std::vector<pid_t> counted(RunId run, MonoNs asked) {
    std::vector<pid_t> pids;
    for (const RunMember& member : census.members_of({instance, "p.web.0", run, 0}, asked)) pids.push_back(member.pid);
    return pids;
  }
  ~CensusTest() override {
    for (const Child& child : children) {
      ::kill(child.pid, SIGKILL);
      ::waitpid(child.pid, nullptr, 0);
    }
  }
};

using Pids = std::vector<pid_t>;

TEST_F(CensusTest, each_run_has_its_own_processes) {
  const pid_t first = begin_child(7);
  const pid_t second = begin_child(8);
  begin_child(7, "/another/instance");
  const MonoNs asked = read_mono();
  EXPECT_EQ(Pids{first}, counted(7, asked));
  EXPECT_EQ(Pids{second}, counted(8, asked));
  EXPECT_EQ(Pids{}, counted(9, asked));
}

// What has begun after a reading is not in it: so it tells which reading was asked.
TEST_F(CensusTest, one_reading_is_for_all_who_asked_before_it_and_for_nobody_who_asks_later) {
  const pid_t first = begin_child(7);
  const MonoNs asked = read_mono();
  EXPECT_EQ(Pids{first}, counted(7, asked));
  const pid_t second = begin_child(8);
  EXPECT_EQ(Pids{}, counted(8, asked)) << "nobody reads all processes again for this one";
  EXPECT_EQ(Pids{second}, counted(8, read_mono()));
}

// Whoever takes "none is seen" for "none is there" starts a daemon once more beside itself.
TEST_F(CensusTest, who_cannot_look_says_so) {
  HEARTH_SKIP_IF_SANITIZED();
  const pid_t child = begin_child(7);
  const RunIdentity run{instance, "p.web.0", 7, 0};
  bool all = false;
  ASSERT_EQ(1u, members_of(none, run, &all).size());
  EXPECT_TRUE(all);
  {
    const test::FewDescriptors few(0);
    EXPECT_TRUE(members_of(none, run, &all).empty());
    EXPECT_FALSE(all);
  }
  ASSERT_EQ(1u, members_of(none, run, &all).size());
  EXPECT_EQ(child, members_of(none, run, &all).front().pid);
  EXPECT_TRUE(all);
}

}  // namespace
}  // namespace hearth::os
