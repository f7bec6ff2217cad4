// Rulesets of landlock(7) and filters of seccomp(2) in runs: what the child enters right before its exec, and the spawner,
// in whose memory that happens, does not.

#include <cerrno>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string>
#include <sys/syscall.h>
#include <unistd.h>

#include "integration/keeper/runs.h"

namespace hearth::test {
namespace {

using wire::SpawnStage;

// Handles the execution of programs, and allows it nowhere or below `path`.
Fd execution_ruleset(const char* path = nullptr) {
  const std::uint64_t execute = 1;
  Fd ruleset(static_cast<int>(syscall(444, &execute, sizeof execute, 0)));
  if (path == nullptr || ruleset.get() < 0) return ruleset;
  const Fd at(open(path, O_PATH | O_CLOEXEC));
  struct [[gnu::packed]] {
    std::uint64_t access;
    std::int32_t at;
  } const rule{execute, at.get()};
  EXPECT_EQ(syscall(445, ruleset.get(), 1, &rule, 0), 0);
  return ruleset;
}

std::vector<std::uint64_t> filter_of(std::initializer_list<sock_filter> instructions) {
  std::vector<std::uint64_t> words;
  for (const sock_filter& each : instructions) {
    std::uint64_t word = 0;
    memcpy(&word, &each, sizeof each);
    words.push_back(word);
  }
  return words;
}

// getppid(2) fails.
std::vector<std::uint64_t> deny_parent() {
  return filter_of({{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0},
                    {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_getppid},
                    {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EPERM},
                    {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}});
}

TEST_F(Runs, EnterTheRulesetOfTheirPlanAndTheSpawnerDoesNot) {
  const Fd nothing = execution_ruleset();
  if (nothing.get() < 0) GTEST_SKIP() << "Landlock is not there";
  Plan plan = service_plan(0, 1, {"describe"});
  plan.flags = wire::plan_no_new_privs;
  plan.ruleset = 0;
  h.spawn(plan, {nothing.get()});
  expect_failure(0, SpawnStage::exec, EACCES);
  const Fd everything = execution_ruleset("/");
  plan = service_plan(1, 2, {"describe"});
  plan.flags = wire::plan_no_new_privs;
  plan.ruleset = 0;
  auto said = describe(plan, {everything.get()});
  EXPECT_EQ(said["NoNewPrivs"], "\t1");
  EXPECT_EQ(said["fds"], "1,") << "the ruleset is not the service's";
  EXPECT_EQ(describe(service_plan(2, 3, {"describe"}))["fds"], "1,") << "the spawner executes as ever";
}

TEST_F(Runs, MayHaveMoreDescriptorsThanTheNumberOfTheRuleset) {
  const Fd everything = execution_ruleset("/");
  if (everything.get() < 0) GTEST_SKIP() << "Landlock is not there";
  const Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  Plan plan = service_plan(0, 1, {"describe"});
  plan.flags = wire::plan_no_new_privs;
  plan.ruleset = 0;
  for (std::int32_t target = 3; target < 40; ++target) plan.descriptors.push_back({1, target});
  auto said = describe(plan, {everything.get(), null.get()});
  EXPECT_TRUE(said["fds"].starts_with("1,3,4,")) << said["fds"];
  EXPECT_TRUE(said["fds"].ends_with("38,39,")) << said["fds"];
}

TEST_F(Runs, HaveTheFilterOfTheirPlanAndTheSpawnerHasNot) {
  Plan plan = service_plan(0, 1, {"describe"});
  plan.flags = wire::plan_no_new_privs;
  plan.filter = deny_parent();
  auto said = describe(plan);
  EXPECT_EQ(said["ppid"], "-1");
  EXPECT_EQ(said["NoNewPrivs"], "\t1");
  said = describe(service_plan(1, 2, {"describe"}));
  EXPECT_NE(said["ppid"], "-1") << "it was for that run alone";
  EXPECT_EQ(said["NoNewPrivs"], "\t0");
}

TEST_F(Runs, AreNotStartedWithARulesetOrFilterThatTheKernelDoesNotTake) {
  const Fd no_ruleset(open("/dev/null", O_RDWR | O_CLOEXEC));
  Plan plan = service_plan(0, 1, {"describe"});
  plan.flags = wire::plan_no_new_privs;
  plan.ruleset = 0;
  h.spawn(plan, {no_ruleset.get()});
  EXPECT_TRUE(h.until([&] { return h.entry(0).fail_stage.load() != 0; }));
  EXPECT_EQ(h.entry(0).fail_stage.load(), static_cast<std::uint32_t>(SpawnStage::sandbox));
  plan = service_plan(1, 2, {"describe"});
  plan.flags = wire::plan_no_new_privs;
  plan.filter = {UINT64_MAX};
  h.spawn(plan);
  expect_failure(1, SpawnStage::sandbox, EINVAL);
}

}  // namespace
}  // namespace hearth::test
