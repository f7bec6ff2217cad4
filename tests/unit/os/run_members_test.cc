// Whose processes are: of real ones that have the environment of a run.
#include "os/run_members.h"

#include <csignal>
#include <fcntl.h>
#include <map>
#include <string>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "os/clock.h"
#include "os/fd.h"
#include "os/found_runs.h"
#include "os/proc_stat.h"
#include "os/sweep.h"
#include "support/refused_calls.h"
#include "unit/os/container.h"
#include "unit/os/few_descriptors.h"
#include "unit/os/marked.h"

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

TEST_F(CensusTest, who_cannot_look_at_a_process_or_list_them_does_not_say_that_no_run_is_left) {
  HEARTH_SKIP_IF_SANITIZED();
  Result<std::map<RunId, FoundRun>> without_descriptors, without_memory;
  {
    const test::FewDescriptors few(0);
    without_descriptors = find_runs(instance);
  }
  ASSERT_FALSE(without_descriptors);
  EXPECT_EQ(EMFILE, without_descriptors.error().code);
  std::thread([&] {
    support::refuse({SYS_read, ENOMEM});
    without_memory = find_runs(instance);
  }).join();
  ASSERT_FALSE(without_memory);
  EXPECT_EQ(ENOMEM, without_memory.error().code);
}

// A hearth in a container may be at the same path, and have runs of the same number.
TEST_F(CensusTest, who_shows_the_same_in_a_container_is_of_no_run_of_ours) {
  const std::vector<std::string> environment{"HEARTH_INSTANCE=" + instance, "HEARTH_RUN=7", "HEARTH_SLOT=p.web.0"};
  test::Container container([&] {
    ::setsid();
    test::Container::become(environment);
  });
  if (container.inside == 0) GTEST_SKIP() << "no PID namespace can be had here";
  ASSERT_EQ("7", environment_of(container.inside, "HEARTH_RUN"));
  EXPECT_TRUE(members_of(none, {instance, "p.web.0", 7, 0}).empty());
  EXPECT_EQ(Pids{}, counted(7, read_mono()));
  RunMember member;
  EXPECT_FALSE(is_member_of(none, {instance, "p.web.0", 7, 0}, container.inside, member));
  EXPECT_TRUE(find_runs(instance)->empty());
}

TEST_F(CensusTest, who_is_in_a_namespace_that_a_process_of_the_run_has_made_is_of_the_run) {
  const std::uint64_t mark = sweep_mark(instance, "p.web.0");
  test::Container box([&] {}, [&] { test::set_mark(::getpid(), mark); });
  if (box.inside == 0) GTEST_SKIP() << "no PID namespace can be had here";
  const std::vector<RunMember> members = members_of(none, {instance, "p.web.0", 7, 0});
  ASSERT_EQ(2u, members.size());
  EXPECT_EQ(1u, roots_of(members).size());
}

// Of those the links in /proc/PID/ns are not to be read: programs with capabilities of their files, agents that hold
// keys.
TEST_F(CensusTest, who_may_not_be_traced_is_found_by_his_leaf_by_who_is_not_root) {
  if (::geteuid() != 0) GTEST_SKIP() << "becomes an ordinary user";
  CgroupTree tree = CgroupTree::open(instance);
  if (!tree.usable()) GTEST_SKIP() << tree.why();
  ASSERT_TRUE(tree.make_leaf("p.web.0", 7));
  int ends[2];
  ASSERT_EQ(0, ::pipe2(ends, O_CLOEXEC));
  const Fd from(ends[0]), to(ends[1]);
  const pid_t secret = ::fork();
  if (secret == 0) {
    const Fd procs(::open((tree.path() + "/p.web.0.7/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
    const bool is_secret =
        ::write(procs.get(), "0", 1) == 1 && ::setresuid(65534, 65534, 65534) == 0 && ::prctl(PR_SET_DUMPABLE, 0) == 0;
    (void)!::write(to.get(), is_secret ? "y" : "n", 1);
    for (;;) ::pause();
  }
  children.push_back({secret, Fd()});
  char byte = 0;
  ASSERT_EQ(1, ::read(from.get(), &byte, 1));
  ASSERT_EQ('y', byte);
  const pid_t looker = ::fork();
  if (looker == 0) {
    if (::setresuid(65534, 65534, 65534) != 0) ::_exit(2);
    const std::vector<RunMember> members = members_of(none, {instance, "p.web.0", 7, 0});
    ::_exit(members.size() == 1 && members[0].pid == secret ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(looker, ::waitpid(looker, &status, 0));
  EXPECT_EQ(0, status);
  ::kill(secret, SIGKILL);
  ::waitpid(secret, nullptr, 0);
  children.pop_back();
  EXPECT_EQ(CgroupTree::Removed::gone, tree.remove_leaf("p.web.0", 7));
  tree.remove();
}

}  // namespace
}  // namespace hearth::os
