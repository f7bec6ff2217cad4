// Runs: spawned, watched, signalled, reaped.

#include "integration/keeper/runs.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <fstream>
#include <map>
#include <poll.h>
#include <sched.h>
#include <set>
#include <signal.h>
#include <sys/fanotify.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace hearth::test {
namespace {

using wire::EntryPhase;
using wire::SpawnStage;

TEST_F(Runs, AreChildrenOfTheKeeperInASessionOfTheirOwn) {
  auto said = describe(service_plan(5, 1, {"describe"}));
  EXPECT_EQ(said["pid"], std::to_string(h.entry(5).pid.load()));
  EXPECT_EQ(said["ppid"], std::to_string(h.keeper));
  EXPECT_EQ(said["sid"], said["pid"]);
  EXPECT_EQ(said["pgid"], said["pid"]);
  EXPECT_EQ(h.entry(5).claim.load(), h.spawner_generation[0]);
}

TEST_F(Runs, BeginWithNoSignalBlockedIgnoredOrHandled) {
  auto said = describe(service_plan(0, 1, {"describe"}));
  for (const char* field : {"SigBlk", "SigIgn", "SigCgt"}) EXPECT_EQ(said[field], "\t0000000000000000") << field;
}

TEST_F(Runs, HaveTheDescriptorsOfTheirPlanAndNoOthers) {
  auto [read_end, write_end] = make_pipe();
  Fd null(open("/dev/null", O_RDWR));
  Plan plan = service_plan(0, 1, {"describe"});
  // Targets where the spawner has its own descriptors and those of the message, in an order that would clobber.
  plan.descriptors = {{0, 0}, {0, 3}, {0, 4}, {0, 7}, {0, 8}, {0, 6}, {0, 200}};
  auto said = describe(plan, {null.get()});
  EXPECT_EQ(said["fds"], "0,1,3,4,6,7,8,200,");
}

TEST_F(Runs, HaveTheLimitsPriorityMaskDirectoryAndPidOfTheirPlan) {
  Plan plan = service_plan(0, 1, {"describe"});
  plan.limits = {{RLIMIT_CORE, 0, 4096, 8192}};
  plan.umask = 027;
  errno = 0;
  const int our_nice = getpriority(PRIO_PROCESS, 0);
  ASSERT_EQ(errno, 0);
  plan.nice = std::min(our_nice + 5, 19);
  plan.oom_score_adj = 123;
  plan.cwd = "/usr";
  plan.env.push_back("LISTEN_PID=0000000000");
  plan.pid_patch_env = {plan.env.size() - 1};
  auto said = describe(plan);
  EXPECT_EQ(said["core"], "4096");
  EXPECT_EQ(said["umask"], "27");
  EXPECT_EQ(said["nice"], std::to_string(plan.nice));
  EXPECT_EQ(said["oom"], "123");
  EXPECT_EQ(said["cwd"], "/usr");
  EXPECT_EQ(said["env_pid"], said["pid"]);
  // The next one has nothing of it: neither the spawner nor its oom_score_adj was touched.
  said = describe(service_plan(1, 2, {"describe"}));
  EXPECT_TRUE(said["nice"] == "0" || said["nice"] == std::to_string(our_nice)) << "a keeper that may resets it";
  std::ifstream ours("/proc/self/oom_score_adj");
  std::string value;
  ours >> value;
  EXPECT_EQ(said["oom"], value);
}

TEST_F(Runs, HaveTheProcessorsIoPriorityAndInputOfTheirPlan) {
  Plan plan = service_plan(0, 1, {"describe"});
  plan.cpus = {1};
  plan.io_priority = 2 << 13 | 6;
  plan.input = "/dev/zero";
  auto said = describe(plan);
  EXPECT_EQ(said["Cpus_allowed_list"], "\t0");
  EXPECT_EQ(said["ioprio"], std::to_string(plan.io_priority));
  EXPECT_EQ(said["input"], "/dev/zero");
  said = describe(service_plan(1, 2, {"describe"}));
  EXPECT_EQ(said["ioprio"], "0");
  EXPECT_EQ(said["input"], "");
}

TEST_F(Runs, ThatCannotHaveTheirProcessorsOrInputSayAtWhatStage) {
  Plan plan = service_plan(0, 1, {"describe"});
  plan.cpus = std::vector<std::uint64_t>(wire::plan_cpu_words_max);
  plan.cpus.back() = std::uint64_t{1} << 63;
  h.spawn(plan);
  expect_failure(0, SpawnStage::priority, EINVAL);
  plan = service_plan(1, 2, {"describe"});
  plan.input = "/nonexistent/input";
  h.spawn(plan);
  expect_failure(1, SpawnStage::input, ENOENT);
}

TEST_F(Runs, AreNotHeldUpByAFifoThatNobodyWritesTo) {
  const std::string fifo = h.dir + "/input";
  ASSERT_EQ(0, mkfifo(fifo.c_str(), 0600));
  Plan plan = service_plan(0, 1, {"describe"});
  plan.input = fifo;
  EXPECT_EQ(describe(plan)["input"], fifo);
}

// A keeper that somebody has started on one processor and as a batch job.
struct Confined {
  cpu_set_t before;
  Confined() {
    sched_getaffinity(0, sizeof before, &before);
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++cpu)
      if (CPU_ISSET(cpu, &before)) CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
    set_policy(SCHED_BATCH);
    syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 7);
  }
  ~Confined() {
    sched_setaffinity(0, sizeof before, &before);
    set_policy(SCHED_OTHER);
    syscall(SYS_ioprio_set, 1, 0, 0);
  }
  Confined(const Confined&) = delete;
  Confined& operator=(const Confined&) = delete;
  static void set_policy(int policy) {
    sched_param none{};
    sched_setscheduler(0, policy, &none);
  }
};
class RunsOfAConfinedKeeper : Confined, public Runs {
 protected:
  int usual_cpus() const { return CPU_COUNT(&before); }
};

TEST_F(RunsOfAConfinedKeeper, AreNotConfined) {
  const std::string cpus = describe(service_plan(0, 1, {"describe"}))["Cpus_allowed_list"];
  EXPECT_EQ(usual_cpus() > 1, cpus.find_first_of("-,") != cpus.npos) << cpus;
  auto said = describe(service_plan(1, 2, {"describe"}));
  EXPECT_EQ(said["policy"], std::to_string(SCHED_OTHER));
  EXPECT_EQ(said["ioprio"], "0");
}

TEST_F(Runs, HaveTheDescriptorLimitTheKeeperWasStartedWith) {
  rlimit given;
  getrlimit(RLIMIT_NOFILE, &given);
  auto said = describe(service_plan(0, 1, {"describe"}));
  EXPECT_EQ(said["nofile"], std::to_string(given.rlim_cur) + ":" + std::to_string(given.rlim_max));
}

TEST_F(Runs, MayBelongToAnotherUser) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  Plan plan = service_plan(0, 1, {"describe"});
  plan.uid = plan.gid = 65534;
  plan.groups = {65534, 100};
  // The program stands below a directory that may be closed to others: give it by descriptor.
  Fd service(open(program("hearth-test-service").c_str(), O_RDONLY));
  plan.descriptors = {{0, 9}};
  plan.paths = {"/proc/self/fd/9"};
  auto said = describe(plan, {service.get()});
  EXPECT_EQ(said["uid"], "65534");
  EXPECT_EQ(said["gid"], "65534");
  EXPECT_EQ(said["groups"], "2");
  // And the spawner is root still.
  said = describe(service_plan(1, 2, {"describe"}));
  EXPECT_EQ(said["uid"], "0");
}

TEST_F(Runs, KeepTheirExitStatusAndTheirPidUntilReaped) {
  h.spawn(service_plan(3, 9, {"exit", "42"}));
  ASSERT_TRUE(h.until([&] { return h.exited(3); }));
  const pid_t pid = h.entry(3).pid.load();
  EXPECT_EQ(h.entry(3).wait_code, CLD_EXITED);
  EXPECT_EQ(h.entry(3).wait_status, 42);
  EXPECT_GT(h.entry(3).exited_at_ns, 0);
  EXPECT_EQ(state_of(pid), 'Z');
  ASSERT_TRUE(h.reap(3, 8));  // another run: ignored
  ASSERT_TRUE(h.reap(3, 9));
  ASSERT_TRUE(h.until([&] { return h.entry(3).run.load() == no_run && h.entry(3).claim.load() == 0; }));
  EXPECT_EQ(state_of(pid), '\0');
  EXPECT_EQ(h.entry(3).pid.load(), 0);
  EXPECT_EQ(h.table->strays_reaped.load(), 0u);
}

// A tracer has the status first, and the keeper hears nothing more when that lets go: here its SIGCHLD is lost in another.
TEST_F(Runs, ThatDieUnderADebuggerAreKnownWhenItLetsThemGo) {
  const Fd speaks = start_speaking(4, 1, {"pause"});
  const Fd others = start_speaking(6, 2, {"pause"});
  const pid_t pid = h.entry(4).pid.load(), other = h.entry(6).pid.load();
  if (ptrace(PTRACE_SEIZE, pid, nullptr, nullptr) < 0) {
    ASSERT_EQ(errno, EPERM);
    GTEST_SKIP() << "ptrace is not allowed";
  }
  kill(pid, SIGKILL);
  ASSERT_TRUE(h.until([&] { return state_of(pid) == 'Z'; }));
  EXPECT_FALSE(h.exited(4));
  kill(h.keeper, SIGSTOP);
  ASSERT_TRUE(h.until([&] { return state_of(h.keeper) == 'T'; }));
  kill(other, SIGKILL);
  ASSERT_TRUE(h.until([&] { return state_of(other) == 'Z'; }));
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, __WALL), pid);
  kill(h.keeper, SIGCONT);
  ASSERT_TRUE(h.until([&] { return h.exited(4); }));
  EXPECT_EQ(h.entry(4).wait_code, CLD_KILLED);
  EXPECT_EQ(h.entry(4).wait_status, SIGKILL);
  EXPECT_TRUE(h.reap(4, 1));
  EXPECT_TRUE(h.until([&] { return h.entry(4).run.load() == no_run; }));
}

TEST_F(Runs, ThatAreAliveCannotBeReaped) {
  Fd speaks = start_speaking(0, 1, {"pause"});
  ASSERT_TRUE(h.reap(0, 1));
  ASSERT_TRUE(h.signal(0, 1, 1, SIGKILL));
  ASSERT_TRUE(h.until([&] { return h.exited(0); }));
  EXPECT_EQ(h.entry(0).wait_code, CLD_KILLED);
  EXPECT_EQ(h.entry(0).wait_status, SIGKILL);
}

TEST_F(Runs, WithoutAProgramFailAtExec) {
  Plan plan = service_plan(0, 1, {});
  plan.paths = {"/nowhere/program", "/etc/passwd/program"};
  h.spawn(plan);
  expect_failure(0, SpawnStage::exec, ENOTDIR);
  ASSERT_TRUE(h.until([&] { return h.exited(0); }));
  EXPECT_EQ(h.entry(0).wait_status, 127);
  plan = service_plan(1, 2, {});
  plan.paths = {"/etc/passwd", "/nowhere/program"};  // not executable: remembered, as execvp does
  h.spawn(plan);
  expect_failure(1, SpawnStage::exec, EACCES);
}

// root's PATH of a service of another user: a typing error was told as "Permission denied".
TEST_F(Runs, TakeADirectoryOfPathThatTheirUserMayNotEnterAsOneWithoutTheProgram) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  char closed[] = "/tmp/hearth-closed-XXXXXX";
  ASSERT_NE(mkdtemp(closed), nullptr);  // 0700
  Plan plan = service_plan(0, 1, {});
  plan.uid = plan.gid = 65534;
  plan.argv = {"slep"};
  plan.paths = {"/nowhere/slep", std::string(closed) + "/slep"};
  h.spawn(plan);
  expect_failure(0, SpawnStage::exec, ENOENT);
  plan.entry = 1;
  plan.run = 2;
  plan.argv = {std::string(closed) + "/slep"};  // not looked for: this is what stands in the way
  plan.paths = plan.argv;
  h.spawn(plan);
  expect_failure(1, SpawnStage::exec, EACCES);
  rmdir(closed);
}

TEST_F(Runs, TryTheCandidatesForTheirProgramInOrder) {
  Plan plan = service_plan(0, 1, {"exit", "4"});
  plan.paths.insert(plan.paths.begin(), "/nowhere/service");
  h.spawn(plan);
  ASSERT_TRUE(h.until([&] { return h.exited(0); }));
  EXPECT_EQ(h.entry(0).wait_status, 4);
}

TEST_F(Runs, WithoutTheirDirectoryFailAtThatStage) {
  Plan plan = service_plan(0, 1, {"exit"});
  plan.cwd = "/nowhere";
  h.spawn(plan);
  expect_failure(0, SpawnStage::directory, ENOENT);
}

TEST_F(Runs, FailAtTheLimitThatIsNone) {
  Plan plan = service_plan(0, 1, {"exit"});
  plan.limits = {{999, 0, 1, 1}};
  h.spawn(plan);
  expect_failure(0, SpawnStage::limits, EINVAL);
}

TEST_F(Runs, OfABadPlanFailBeforeTheirClone) {
  Plan plan = service_plan(0, 1, {"exit"});
  plan.paths.clear();
  h.spawn(plan);
  expect_failure(0, SpawnStage::plan, EINVAL);
  EXPECT_EQ(h.entry(0).pid.load(), 0);
  plan = service_plan(1, 2, {"exit"});
  h.order(1, 2);
  plan.run = 3;  // the plan is of another run than its message says
  Fd memory = memfd_of(plan.bytes());
  Peer to;
  to.socket = Fd(dup(h.spawner[0].get()));
  ASSERT_TRUE(to.send<wire::RunRecord>(wire::MessageType::plan, {{1, 0, 2}}, {memory.get()}));
  expect_failure(1, SpawnStage::plan, EINVAL);
  ASSERT_TRUE(h.reap(0, 1));
  ASSERT_TRUE(h.until([&] { return h.entry(0).run.load() == no_run; }));
  EXPECT_EQ(h.entry(0).fail_stage.load(), 0u);
}

// A writable cgroup v2 leaf, or empty.
std::string make_leaf() {
  for (const char* root : {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"}) {
    if (access((std::string(root) + "/cgroup.procs").c_str(), W_OK) != 0) continue;
    const std::string leaf = std::string(root) + "/hearth-test-" + std::to_string(getpid());
    if (mkdir(leaf.c_str(), 0755) == 0) return leaf;
  }
  return {};
}

TEST_F(Runs, BeginInTheirLeaf) {
  const std::string leaf = make_leaf();
  if (leaf.empty()) GTEST_SKIP() << "no writable cgroup v2 here";
  Fd directory(open(leaf.c_str(), O_RDONLY | O_DIRECTORY));
  Plan plan = service_plan(0, 1, {"describe"});
  plan.cgroup = 0;
  auto said = describe(plan, {directory.get()});
  EXPECT_NE(said["0"].find("hearth-test"), std::string::npos) << said["0"];
  ASSERT_TRUE(h.reap(0, 1));
  ASSERT_TRUE(h.until([&] { return rmdir(leaf.c_str()) == 0; }));
  // Now it is gone.
  plan = service_plan(1, 2, {"exit"});
  plan.cgroup = 0;
  h.spawn(plan, {directory.get()});
  ASSERT_TRUE(h.until([&] { return h.entry(1).fail_stage.load() != 0; }));
  EXPECT_EQ(h.entry(1).fail_stage.load(), static_cast<std::uint32_t>(SpawnStage::cgroup));
  EXPECT_TRUE(h.entry(1).fail_errno == ENODEV || h.entry(1).fail_errno == ENOENT) << h.entry(1).fail_errno;
}

TEST_F(Runs, GetASignalAtMostOncePerOperation) {
  Fd speaks = start_speaking(0, 1, {"count-terms"});
  ASSERT_TRUE(h.signal(0, 1, 7, SIGTERM));
  EXPECT_EQ(read_some(speaks.get(), 1), "t");
  EXPECT_EQ(h.entry(0).last_op.load(), 7u);
  // The same again, an older one, and one for another run: none is sent. Op 8 comes after them.
  ASSERT_TRUE(h.signal(0, 1, 7, SIGTERM));
  ASSERT_TRUE(h.signal(0, 1, 6, SIGTERM));
  ASSERT_TRUE(h.signal(0, 2, 9, SIGTERM));
  ASSERT_TRUE(h.signal(0, 1, 8, SIGTERM));
  EXPECT_EQ(read_some(speaks.get(), 1), "t");
  ASSERT_TRUE(h.signal(0, 1, 5, SIGKILL));  // may repeat, whatever was before
  ASSERT_TRUE(h.until([&] { return h.exited(0); }));
  EXPECT_EQ(read_some(speaks.get(), 10), "");
  EXPECT_EQ(h.entry(0).last_op.load(), 8u);
}

TEST_F(Runs, WhoseLeaderIsGoneStillHaveTheirGroupKilled) {
  auto [read_end, write_end] = make_pipe();
  Plan plan = service_plan(0, 1, {"leave-child", "3"});
  plan.descriptors = {{0, 1}};
  h.spawn(plan, {write_end.get()});
  write_end.reset();
  EXPECT_EQ(read_some(read_end.get(), 1), "c");
  ASSERT_TRUE(h.until([&] { return h.exited(0); }));
  ASSERT_TRUE(h.signal(0, 1, 1, SIGKILL));
  EXPECT_EQ(read_some(read_end.get(), 1), "");  // its child held the other end
}

TEST_F(Runs, MayAskForSignalsToTheLeaderAlone) {
  Plan plan = service_plan(0, 1, {"leave-child"});
  auto [read_end, write_end] = make_pipe();
  plan.descriptors = {{0, 1}};
  h.order(0, 1);
  h.entry(0).flags = wire::entry_flag_signal_leader_only;
  ASSERT_TRUE(h.send_plan(plan, {write_end.get()}));
  write_end.reset();
  EXPECT_EQ(read_some(read_end.get(), 1), "c");
  ASSERT_TRUE(h.until([&] { return h.entry(0).phase.load() == EntryPhase::watched; }));
  ASSERT_TRUE(h.signal(0, 1, 1, SIGTERM));
  ASSERT_TRUE(h.until([&] { return h.exited(0); }));
  pollfd end = {read_end.get(), POLLIN, 0};
  EXPECT_EQ(poll(&end, 1, 100), 0) << "the child was signalled, too";
}

TEST_F(Runs, WhosePlanComesTwiceStartOnce) {
  Fd speaks = start_speaking(0, 1, {"pause"});
  const pid_t pid = h.entry(0).pid.load();
  ASSERT_TRUE(h.send_plan(service_plan(0, 1, {"exit"}), {}, 0));
  ASSERT_TRUE(h.send_plan(service_plan(0, 1, {"exit"}), {}, 1));
  // What comes after them in the same sockets is done: so were they.
  h.spawn(service_plan(2, 2, {"exit"}));
  h.order(4, 3);
  ASSERT_TRUE(h.send_plan(service_plan(4, 3, {"exit"}), {}, 1));
  ASSERT_TRUE(h.until([&] { return h.exited(2) && h.exited(4); }));
  EXPECT_EQ(h.entry(0).pid.load(), pid);
  EXPECT_EQ(h.entry(0).phase.load(), EntryPhase::watched);
}

TEST_F(Runs, OrderedAndNotBegunAreTakenBackByReap) {
  h.order(0, 1);
  ASSERT_TRUE(h.reap(0, 1));
  ASSERT_TRUE(h.until([&] { return h.entry(0).run.load() == no_run && h.entry(0).claim.load() == 0; }));
  ASSERT_TRUE(h.send_plan(service_plan(0, 1, {"exit"})));  // too late
  h.spawn(service_plan(2, 2, {"exit"}));
  ASSERT_TRUE(h.until([&] { return h.exited(2); }));
  EXPECT_EQ(h.entry(0).pid.load(), 0);
  h.spawn(service_plan(0, 3, {"exit", "5"}));
  ASSERT_TRUE(h.until([&] { return h.exited(0); }));
  EXPECT_EQ(h.entry(0).wait_status, 5);
}

TEST_F(Runs, AreToldFromStraysAtAThousandForksASecond) {
  Plan plan = service_plan(8190, 1, {"orphans", "1500"});
  h.spawn(plan);
  RunId run = 2;
  std::uint32_t finished = 0;
  // Meanwhile runs come and go in 20 entries.
  for (EntryIndex i = 0; i < 20; ++i) h.spawn(service_plan(i, run++, {"exit", "9"}));
  ASSERT_TRUE(h.until(
      [&] {
        for (EntryIndex i = 0; i < 20; ++i) {
          if (h.exited(i)) {
            EXPECT_EQ(h.entry(i).wait_code, CLD_EXITED);
            EXPECT_EQ(h.entry(i).wait_status, 9);
            ++finished;
            h.reap(i, h.entry(i).run.load());
            EXPECT_TRUE(h.until([&] { return h.entry(i).run.load() == no_run && h.entry(i).claim.load() == 0; }));
          }
          if (h.entry(i).run.load() == no_run && finished < 500) h.spawn(service_plan(i, run++, {"exit", "9"}));
        }
        return finished >= 500 && h.exited(8190) && h.table->strays_reaped.load() == 1500;
      },
      60'000))
      << finished << " runs, " << h.table->strays_reaped.load() << " strays";
  EXPECT_EQ(h.entry(8190).wait_status, 0);
}

TEST_F(Runs, AThousandAtOnceAreAllWatchedAndStopped) {
  auto [read_end, write_end] = make_pipe();
  for (EntryIndex i = 0; i < 1000; ++i) {
    Plan plan = service_plan(i, i + 1, {"pause"});
    plan.descriptors = {{0, 1}};
    h.order(i, i + 1);
    ASSERT_TRUE(h.send_plan(plan, {write_end.get()}, i % 2));
  }
  write_end.reset();
  EXPECT_EQ(read_some(read_end.get(), 1000), std::string(1000, 'r'));
  ASSERT_TRUE(h.until([&] {
    for (EntryIndex i = 0; i < 1000; ++i)
      if (h.entry(i).phase.load() != EntryPhase::watched) return false;
    return true;
  }));
  for (EntryIndex i = 0; i < 1000; ++i) ASSERT_TRUE(h.signal(i, i + 1, i + 1, SIGTERM));
  EXPECT_EQ(read_some(read_end.get(), 1), "");
  ASSERT_TRUE(h.until([&] {
    for (EntryIndex i = 0; i < 1000; ++i)
      if (!h.exited(i)) return false;
    return true;
  }));
  for (EntryIndex i = 0; i < 1000; ++i) ASSERT_TRUE(h.reap(i, i + 1));
  ASSERT_TRUE(h.until([&] {
    for (EntryIndex i = 0; i < 1000; ++i)
      if (h.entry(i).run.load() != no_run) return false;
    return true;
  }));
  EXPECT_EQ(h.table->strays_reaped.load(), 0u);
}

// Container runtimes refuse clone3, with one number or the other.
class RunsWithoutClone3 : public testing::TestWithParam<int> {};

TEST_P(RunsWithoutClone3, AreMadeByCloneAndEnterTheirLeafByHand) {
  Instance h({.refuse_clone3 = GetParam()});
  h.accept_supervisor();
  h.take_over_from_keeper();
  h.spawn(service_plan(0, 1, {"exit", "7"}));
  ASSERT_TRUE(h.until([&] { return h.exited(0); }));
  EXPECT_EQ(h.entry(0).wait_status, 7);
  const std::string leaf = make_leaf();
  if (leaf.empty()) return;
  Fd directory(open(leaf.c_str(), O_RDONLY | O_DIRECTORY));
  auto [read_end, write_end] = make_pipe();
  Plan plan = service_plan(2, 2, {"describe"});
  plan.cgroup = 0;
  plan.descriptors = {{1, 1}};
  h.spawn(plan, {directory.get(), write_end.get()});
  write_end.reset();
  EXPECT_NE(read_some(read_end.get(), 1 << 20).find("0::/hearth-test"), std::string::npos);
  ASSERT_TRUE(h.until([&] { return h.exited(2); }));
  EXPECT_EQ(h.entry(2).fail_stage.load(), 0u);
  ASSERT_TRUE(h.reap(2, 2));
  ASSERT_TRUE(h.until([&] { return rmdir(leaf.c_str()) == 0; }));
}

INSTANTIATE_TEST_SUITE_P(Refused, RunsWithoutClone3, testing::Values(ENOSYS, EPERM));

// Descriptors that run out hold up nothing but themselves.
TEST(RunsOfAPoorKeeper, AreWatchedWithoutDescriptorsForAll) {
  Instance h({.nofile = 100});
  h.accept_supervisor();
  h.take_over_from_keeper();
  Fd null(open("/dev/null", O_RDWR));
  for (EntryIndex i = 0; i < 150; ++i) {
    Plan plan = service_plan(i, i + 1, {"pause"});
    plan.descriptors = {{0, 1}};
    h.order(i, i + 1);
    ASSERT_TRUE(h.send_plan(plan, {null.get()}, i % 2));
  }
  ASSERT_TRUE(h.until([&] {
    for (EntryIndex i = 0; i < 150; ++i)
      if (h.entry(i).pid.load() == 0) return false;
    return true;
  }));
  for (EntryIndex i = 0; i < 150; ++i) ASSERT_TRUE(h.signal(i, i + 1, i + 1, SIGTERM));
  ASSERT_TRUE(h.until([&] {
    for (EntryIndex i = 0; i < 150; ++i)
      if (!h.exited(i)) return false;
    return true;
  }));
  for (EntryIndex i = 0; i < 150; ++i) EXPECT_EQ(h.entry(i).wait_status, SIGTERM);
}

// A permission event of fanotify, never answered, is an exec that hangs: a dead file server, an access scanner.
class HangingExec {
 public:
  explicit HangingExec(const std::string& path) {
    fd_ = Fd(fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK, O_RDONLY));
    if (fd_.get() >= 0 && fanotify_mark(fd_.get(), FAN_MARK_ADD, FAN_OPEN_EXEC_PERM, AT_FDCWD, path.c_str()) < 0)
      fd_.reset();
  }
  bool works() const { return fd_.get() >= 0; }
  bool somebody_hangs() {
    pollfd p = {fd_.get(), POLLIN, 0};
    return poll(&p, 1, deadline_ms) == 1;
  }
  void let_go() { fd_.reset(); }  // the kernel then allows what hangs

 private:
  Fd fd_;
};

class HangingRuns : public Runs {
 protected:
  void SetUp() override {
    Runs::SetUp();
    path = h.dir + "/program";
    std::ifstream from(program("hearth-test-service"), std::ios::binary);
    std::ofstream(path, std::ios::binary) << from.rdbuf();
    ASSERT_EQ(chmod(path.c_str(), 0755), 0);
    hanging = std::make_unique<HangingExec>(path);
    if (!hanging->works()) GTEST_SKIP() << "needs root and fanotify permission events";
  }
  std::string path;
  std::unique_ptr<HangingExec> hanging;
};

TEST_F(HangingRuns, HoldASpawnerAndNobodyElseAndSurviveItsReplacement) {
  Plan plan = service_plan(0, 1, {"exit", "6"});
  plan.paths = {path};
  h.spawn(plan);
  ASSERT_TRUE(hanging->somebody_hangs());
  EXPECT_NE(h.entry(0).pid.load(), 0);
  EXPECT_EQ(h.table->work[0].entry_plus_1.load(), 1u);
  h.order(2, 2);
  ASSERT_TRUE(h.send_plan(service_plan(2, 2, {"exit", "1"}), {}, 1));
  ASSERT_TRUE(h.until([&] { return h.exited(2); }));
  // Plans behind the hanging one are lost with the spawner; its successor is announced when that is certain.
  h.order(4, 3);
  ASSERT_TRUE(h.send_plan(service_plan(4, 3, {"exit", "2"}), {}, 0));
  const std::uint32_t old = h.spawner_generation[0];
  ASSERT_TRUE(h.supervisor.send<wire::SpawnerRecord>(wire::MessageType::replace_spawner, {{0, old}}));
  while (h.spawner_generation[0] == old) ASSERT_TRUE(h.handle_message());
  EXPECT_GT(h.spawner_generation[0], h.spawner_generation[1]);
  EXPECT_EQ(h.entry(4).claim.load(), 0u);
  EXPECT_EQ(h.entry(0).phase.load(), EntryPhase::watched);
  EXPECT_LT(h.entry(0).exec_over.load(), 1u);
  EXPECT_TRUE(h.until([&] { return h.entry(2).exec_over.load() == 2u; }));
  ASSERT_TRUE(h.send_plan(service_plan(4, 3, {"exit", "2"}), {}, 0));
  ASSERT_TRUE(h.until([&] { return h.exited(4); }));
  hanging->let_go();
  ASSERT_TRUE(h.until([&] { return h.exited(0); }));
  EXPECT_EQ(h.entry(0).wait_status, 6);
}

TEST_F(HangingRuns, CanBeKilledOrTermedBeforeTheirExec) {
  Plan plan = service_plan(0, 1, {"exit", "6"});
  plan.paths = {path};
  h.spawn(plan);
  ASSERT_TRUE(hanging->somebody_hangs());
  ASSERT_TRUE(h.signal(0, 1, 1, SIGKILL));
  ASSERT_TRUE(h.until([&] { return h.exited(0); }));
  EXPECT_EQ(h.entry(0).wait_code, CLD_KILLED);
  // The spawner was let go by that, and works on.
  h.spawn(service_plan(2, 2, {"exit", "1"}));
  ASSERT_TRUE(h.until([&] { return h.exited(2); }));
}

TEST_F(Runs, ClaimedByASpawnerThatIsKilledBeforeItBeganAreFreeAgain) {
  const pid_t spawner = h.table->spawner[0].pid.load();
  const std::uint32_t old = h.spawner_generation[0];
  ASSERT_EQ(kill(spawner, SIGSTOP), 0);
  ASSERT_TRUE(h.until([&] { return state_of(spawner) == 'T'; }));
  h.spawn(service_plan(0, 1, {"exit", "3"}));
  h.order(2, 2);
  h.entry(2).claim = old;  // as if it had come so far
  h.table->work[0].entries_end = 3;
  ASSERT_EQ(kill(spawner, SIGKILL), 0);
  while (h.spawner_generation[0] == old) ASSERT_TRUE(h.handle_message());
  EXPECT_EQ(h.entry(2).claim.load(), 0u);
  ASSERT_TRUE(h.send_plan(service_plan(0, 1, {"exit", "3"})));
  ASSERT_TRUE(h.send_plan(service_plan(2, 2, {"exit", "4"})));
  ASSERT_TRUE(h.until([&] { return h.exited(0) && h.exited(2); }));
  EXPECT_EQ(h.entry(0).wait_status, 3);
  EXPECT_EQ(h.entry(2).wait_status, 4);
}

TEST_F(Runs, AreNotLostWhenSpawnersAreKilledAllTheTime) {
  RunId run = 1;
  std::map<EntryIndex, RunId> sent;
  for (int kills = 0; kills < 60; ++kills) {
    for (EntryIndex i = 0; i < 30; ++i) {
      h.order(i, run);
      ASSERT_TRUE(h.send_plan(service_plan(i, run, {"exit", "8"}), {}, 0));
      sent[i] = run++;
    }
    const std::uint32_t old = h.spawner_generation[0];
    ASSERT_TRUE(h.until([&] { return h.entry(static_cast<EntryIndex>(kills % 30)).claim.load() != 0; }));
    kill(h.table->spawner[0].pid.load(), SIGKILL);
    while (h.spawner_generation[0] == old) ASSERT_TRUE(h.handle_message());
    for (const auto& [i, r] : sent) {
      if (h.entry(i).pid.load() != 0 || h.entry(i).claim.load() != 0) continue;
      ASSERT_TRUE(h.send_plan(service_plan(i, r, {"exit", "8"}), {}, 0));
    }
    ASSERT_TRUE(h.until([&] {
      for (EntryIndex i = 0; i < 30; ++i)
        if (!h.exited(i)) return false;
      return true;
    })) << "after "
        << kills << " kills";
    for (EntryIndex i = 0; i < 30; ++i) {
      EXPECT_EQ(h.entry(i).wait_code, CLD_EXITED);
      EXPECT_EQ(h.entry(i).wait_status, 8);
      ASSERT_TRUE(h.reap(i, sent[i]));
    }
    ASSERT_TRUE(h.until([&] {
      for (EntryIndex i = 0; i < 30; ++i)
        if (h.entry(i).run.load() != no_run || h.entry(i).claim.load() != 0) return false;
      return true;
    }));
  }
  EXPECT_EQ(h.table->strays_reaped.load(), 0u);
}

}  // namespace
}  // namespace hearth::test
