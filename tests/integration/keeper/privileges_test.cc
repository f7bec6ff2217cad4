// What a run may do: capabilities (capabilities(7)) and no_new_privs (prctl(2)), as the run itself sees them in /proc.

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <fstream>
#include <linux/securebits.h>
#include <map>
#include <string>
#include <sys/prctl.h>
#include <unistd.h>
#include <vector>

#include "integration/keeper/runs.h"

namespace hearth::test {
namespace {

using wire::SpawnStage;

constexpr std::uint64_t chown_capability = 1u << 0, setpcap = 1u << 8, net_bind = 1u << 10;

std::string set_text(std::uint64_t set) {
  char text[32];
  std::snprintf(text, sizeof text, "\t%016llx", static_cast<unsigned long long>(set));
  return text;
}

// Inheritable, permitted, effective, bounding, ambient.
std::vector<std::string> sets_of(std::map<std::string, std::string>& said) {
  return {said["CapInh"], said["CapPrm"], said["CapEff"], said["CapBnd"], said["CapAmb"]};
}

std::uint64_t own_set(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(name + ":")) return std::stoull(line.substr(name.size() + 1), nullptr, 16);
  return 0;
}

bool may_give_capabilities() {
  const std::uint64_t needed = chown_capability | setpcap | net_bind;
  return geteuid() == 0 && (own_set("CapEff") & own_set("CapBnd") & needed) == needed;
}

TEST_F(Runs, OfRootHaveTheCapabilitiesOfTheirPlanAndNoOthers) {
  if (!may_give_capabilities()) GTEST_SKIP() << "needs root with capabilities";
  Plan plan = service_plan(0, 1, {"describe"});
  plan.flags = wire::plan_bounds | wire::plan_capabilities;
  plan.bounding = plan.capabilities = chown_capability | net_bind;
  auto said = describe(plan);
  const std::string none = set_text(0), all = set_text(plan.capabilities);
  EXPECT_EQ(sets_of(said), (std::vector{none, all, all, all, none}));
  plan = service_plan(1, 2, {"describe"});
  plan.flags = wire::plan_bounds;
  plan.bounding = ~net_bind;
  said = describe(plan);
  const std::string rest = set_text(own_set("CapBnd") & ~net_bind);
  EXPECT_EQ(sets_of(said), (std::vector{none, rest, rest, rest, none})) << "all but one";
  plan = service_plan(2, 3, {"describe"});
  plan.flags = wire::plan_bounds | wire::plan_capabilities;
  said = describe(plan);
  EXPECT_EQ(sets_of(said), std::vector(5, none)) << "none is not the same as nothing said";
  said = describe(service_plan(3, 4, {"describe"}));
  EXPECT_EQ(said["CapPrm"], set_text(own_set("CapBnd"))) << "the spawner has lost nothing";
}

TEST_F(Runs, OfAnotherUserHaveTheCapabilitiesThatTheyAreGivenAcrossTheExec) {
  if (!may_give_capabilities()) GTEST_SKIP() << "needs root with capabilities";
  Fd service(open(program("hearth-test-service").c_str(), O_RDONLY));
  const auto of_nobody = [&](EntryIndex entry, RunId run) {
    Plan plan = service_plan(entry, run, {"describe"});
    plan.uid = plan.gid = 65534;
    plan.descriptors = {{0, 9}};
    plan.paths = {"/proc/self/fd/9"};
    plan.flags = wire::plan_bounds | wire::plan_capabilities;
    return plan;
  };
  Plan plan = of_nobody(0, 1);
  plan.bounding = chown_capability | net_bind;
  plan.capabilities = plan.ambient = net_bind;
  auto said = describe(plan, {service.get()});
  const std::string none = set_text(0), given = set_text(net_bind);
  EXPECT_EQ(said["uid"], "65534");
  EXPECT_EQ(sets_of(said), (std::vector{given, given, given, set_text(plan.bounding), given}));
  plan = of_nobody(1, 2);
  said = describe(plan, {service.get()});
  EXPECT_EQ(sets_of(said), std::vector(5, none));
  plan = of_nobody(2, 3);
  plan.flags = 0;
  said = describe(plan, {service.get()});
  EXPECT_EQ(sets_of(said), (std::vector{none, none, none, set_text(own_set("CapBnd")), none})) << "as without a word";
}

TEST_F(Runs, MayBeKeptFromNewPrivileges) {
  const std::string before = describe(service_plan(0, 1, {"describe"}))["NoNewPrivs"];
  Plan plan = service_plan(1, 2, {"describe"});
  plan.flags = wire::plan_no_new_privs;
  auto said = describe(plan);
  EXPECT_EQ(said["NoNewPrivs"], "\t1");
  EXPECT_EQ(said["CapBnd"], set_text(own_set("CapBnd")));
  EXPECT_EQ(describe(service_plan(2, 3, {"describe"}))["NoNewPrivs"], before) << "it was for that run alone";
}

// A keeper without a single capability, also where the test is root's: then its programs get none for being root's.
struct Unprivileged {
  Unprivileged() {
    if (geteuid() == 0) prctl(PR_SET_SECUREBITS, static_cast<unsigned long>(SECBIT_NOROOT), 0, 0, 0);
  }
  ~Unprivileged() {
    if (geteuid() == 0) prctl(PR_SET_SECUREBITS, 0UL, 0, 0, 0);
  }
  Unprivileged(const Unprivileged&) = delete;
  Unprivileged& operator=(const Unprivileged&) = delete;
};
class RunsOfAnUnprivilegedKeeper : Unprivileged, public Runs {};

TEST_F(RunsOfAnUnprivilegedKeeper, AreNotStartedWithoutWhatTheyWereToHave) {
  if (geteuid() == 0 && prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) != SECBIT_NOROOT) GTEST_SKIP() << "needs CAP_SETPCAP";
  if (own_set("CapBnd") == 0) GTEST_SKIP() << "its bounding set is empty";
  Plan plan = service_plan(0, 1, {"describe"});
  plan.flags = wire::plan_bounds;
  h.spawn(plan);
  expect_failure(0, SpawnStage::privileges, EPERM);
  plan = service_plan(1, 2, {"describe"});
  plan.flags = wire::plan_capabilities;
  plan.capabilities = plan.ambient = net_bind;
  h.spawn(plan);
  expect_failure(1, SpawnStage::privileges, EPERM);
  // Nothing, and nothing to be had: that takes no privilege.
  plan = service_plan(2, 3, {"describe"});
  plan.flags = wire::plan_capabilities | wire::plan_no_new_privs;
  auto said = describe(plan);
  EXPECT_EQ(said["CapPrm"], set_text(0));
  EXPECT_EQ(said["NoNewPrivs"], "\t1");
  plan = service_plan(3, 4, {"describe"});
  plan.flags = wire::plan_bounds;
  plan.bounding = UINT64_MAX;
  EXPECT_EQ(describe(plan)["CapPrm"], set_text(0)) << "a bound that takes nothing away";
}

}  // namespace
}  // namespace hearth::test
