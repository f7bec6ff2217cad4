#include "wire/spawn_plan.h"

#include <gtest/gtest.h>

#include "unit/wire/plan_maker.h"

namespace hearth::wire {
namespace {

TEST(SpawnPlan, ThatIsCompleteHasNoProblem) {
  EXPECT_STREQ(PlanMaker().problem(), nullptr);
}

TEST(SpawnPlan, ThatIsCutAnywhereHasAProblem) {
  PlanMaker plan;
  while (!plan.bytes().empty()) {
    plan.bytes().pop_back();
    EXPECT_NE(plan.problem(), nullptr) << plan.bytes().size();
  }
}

TEST(SpawnPlan, OfAnotherKindVersionOrSizeIsRefused) {
  PlanMaker plan;
  plan.header().magic++;
  EXPECT_STREQ(plan.problem(), "not a spawn plan");
  plan = {};
  plan.header().version++;
  EXPECT_STREQ(plan.problem(), "another version");
  plan = {};
  plan.header().size++;
  EXPECT_STREQ(plan.problem(), "size does not match");
  plan = {};
  plan.bytes().resize(plan_size_max + 8);
  plan.header().size = plan_size_max + 8;
  EXPECT_STREQ(plan.problem(), "size does not match");
}

TEST(SpawnPlan, NeedsAProgramAndItsName) {
  PlanMaker plan;
  plan.header().paths.count = 0;
  EXPECT_STREQ(plan.problem(), "paths");
  plan = {};
  plan.header().argv.count = 0;
  EXPECT_STREQ(plan.problem(), "arguments");
  plan = {};
  plan.header().env.count = 0;
  EXPECT_STREQ(plan.problem(), nullptr) << "an empty environment is one";
}

TEST(SpawnPlan, RefusesTablesOutsideMisalignedOrTooLong) {
  const auto spoilt = [](PlanTable PlanHeader::* table, PlanTable value) {
    PlanMaker plan;
    plan.header().*table = value;
    return plan.problem() != nullptr;
  };
  const std::uint32_t size = PlanMaker().header().size;
  for (const auto table :
       {&PlanHeader::paths, &PlanHeader::argv, &PlanHeader::env, &PlanHeader::pid_patches, &PlanHeader::descriptors,
        &PlanHeader::limits, &PlanHeader::groups, &PlanHeader::cpus, &PlanHeader::filter}) {
    EXPECT_TRUE(spoilt(table, {size, 1}));
    EXPECT_TRUE(spoilt(table, {size - 2, 1}));
    EXPECT_TRUE(spoilt(table, {UINT32_MAX - 3, 1}));
    EXPECT_TRUE(spoilt(table, {0, 1})) << "the header is no table";
    EXPECT_TRUE(spoilt(table, {sizeof(PlanHeader), UINT32_MAX}));
    EXPECT_TRUE(spoilt(table, {sizeof(PlanHeader), UINT32_MAX / 4 + 1})) << "a product that wraps";
    EXPECT_TRUE(spoilt(table, {sizeof(PlanHeader) + 1, 1}));
  }
}

TEST(SpawnPlan, RefusesStringsThatDoNotEnd) {
  PlanMaker plan;
  const std::uint32_t open = plan.append("abc", 3);
  plan.header().size = static_cast<std::uint32_t>(plan.bytes().size());
  EXPECT_STREQ(plan.problem(), nullptr);
  plan.record<std::uint32_t>(plan.header().argv, 1) = open;
  EXPECT_STREQ(plan.problem(), "arguments");
  plan = {};
  plan.header().cwd = plan.append("abc", 3);
  plan.header().size = static_cast<std::uint32_t>(plan.bytes().size());
  EXPECT_STREQ(plan.problem(), "directory");
  plan = {};
  plan.header().input = plan.append("abc", 3);
  plan.header().size = static_cast<std::uint32_t>(plan.bytes().size());
  EXPECT_STREQ(plan.problem(), "standard input");
}

TEST(SpawnPlan, RefusesPidFieldsThatAreNoFields) {
  PlanMaker plan;
  plan.record<std::uint32_t>(plan.header().pid_patches, 0)--;
  EXPECT_STREQ(plan.problem(), "PID fields");
  plan = {};
  plan.record<std::uint32_t>(plan.header().pid_patches, 0) = plan.header().size - 5;
  EXPECT_STREQ(plan.problem(), "PID fields");
}

TEST(SpawnPlan, RefusesDescriptorsThatDidNotComeOrShareATarget) {
  EXPECT_STREQ(PlanMaker().problem(1), "descriptors");
  EXPECT_STREQ(PlanMaker().problem(2), "cgroup");
  PlanMaker plan;
  plan.record<PlanDescriptor>(plan.header().descriptors, 2).target = 1;
  EXPECT_STREQ(plan.problem(), "descriptors");
  for (const std::int32_t target : {-1, INT32_MIN, static_cast<std::int32_t>(plan_descriptors_max + 16), INT32_MAX}) {
    plan = {};
    plan.record<PlanDescriptor>(plan.header().descriptors, 2).target = target;
    EXPECT_STREQ(plan.problem(), "descriptors") << target;
  }
}

TEST(SpawnPlan, RefusesAnIoPriorityThatTheKernelDoesNotKnow) {
  PlanMaker plan;
  for (const std::int32_t priority : {plan_keep, 0, 1 << 13 | 7, 3 << 13}) {
    plan.header().io_priority = priority;
    EXPECT_STREQ(plan.problem(), nullptr) << priority;
  }
  for (const std::int32_t priority : {-1, 8, 4 << 13, 2 << 13 | 8, INT32_MAX}) {
    plan.header().io_priority = priority;
    EXPECT_STREQ(plan.problem(), "I/O priority") << priority;
  }
}

TEST(SpawnPlan, RefusesMoreProcessorsThanThereAre) {
  PlanMaker plan;
  plan.header().cpus = plan.table<std::uint64_t>(std::vector<std::uint64_t>(plan_cpu_words_max + 1));
  plan.header().size = static_cast<std::uint32_t>(plan.bytes().size());
  EXPECT_STREQ(plan.problem(), "processors");
}

TEST(SpawnPlan, RefusesCapabilitiesBeyondTheirBoundAndFlagsThatNobodyKnows) {
  const auto spoilt = [](auto change) {
    PlanMaker plan;
    change(plan.header());
    return std::string(plan.problem() == nullptr ? "" : plan.problem());
  };
  EXPECT_EQ(spoilt([](PlanHeader& h) {
              h.flags = h.bounding = h.capabilities = h.ambient = 0;
              h.filter = {0, 0};
              h.ruleset = -1;
            }),
            "");
  EXPECT_EQ(spoilt([](PlanHeader& h) { h.capabilities = h.ambient = 0; }), "") << "none is a set";
  EXPECT_EQ(spoilt([](PlanHeader& h) { h.bounding = UINT64_MAX; }), "");
  EXPECT_EQ(spoilt([](PlanHeader& h) {
              h.flags &= ~plan_bounds;
              h.bounding = 0;
            }),
            "")
      << "no_new_privs may stand for a bound";
  EXPECT_EQ(spoilt([](PlanHeader& h) { h.capabilities |= 1; }), "capabilities");
  EXPECT_EQ(spoilt([](PlanHeader& h) { h.ambient |= 0x80; }), "capabilities");
  EXPECT_EQ(spoilt([](PlanHeader& h) { h.flags |= plan_flags_end; }), "capabilities");
  EXPECT_EQ(spoilt([](PlanHeader& h) { h.flags &= ~plan_bounds; }), "capabilities") << "a set without its flag";
  EXPECT_EQ(spoilt([](PlanHeader& h) { h.flags &= ~plan_capabilities; }), "capabilities");
}

TEST(SpawnPlan, RefusesACgroupThatDidNotCome) {
  PlanMaker plan;
  plan.header().cgroup = -1;
  EXPECT_STREQ(plan.problem(), nullptr);
  plan.header().cgroup = -2;
  EXPECT_STREQ(plan.problem(), "cgroup");
  plan.header().cgroup = PlanMaker::descriptors;
  EXPECT_STREQ(plan.problem(), "cgroup");
}

TEST(SpawnPlan, RefusesASandboxThatWasNotSentOrThatTheKernelWouldNotTake) {
  const auto spoilt = [](auto change) {
    PlanMaker plan;
    change(plan.header());
    return std::string(plan.problem() == nullptr ? "" : plan.problem());
  };
  EXPECT_EQ(spoilt([](PlanHeader& h) { h.ruleset = -1; }), "");
  EXPECT_EQ(spoilt([](PlanHeader& h) { h.filter = {0, 0}; }), "") << "the one does not need the other";
  EXPECT_EQ(spoilt([](PlanHeader& h) { h.ruleset = PlanMaker::descriptors; }), "sandbox");
  EXPECT_EQ(spoilt([](PlanHeader& h) { h.ruleset = -2; }), "sandbox");
  EXPECT_EQ(spoilt([](PlanHeader& h) { h.filter.count = plan_filter_max + 1; }), "sandbox");
  EXPECT_EQ(spoilt([](PlanHeader& h) { h.filter.offset += 4; }), "sandbox") << "not aligned";
  EXPECT_EQ(spoilt([](PlanHeader& h) { h.filter.offset = h.size; }), "sandbox");
  EXPECT_EQ(spoilt([](PlanHeader& h) { h.flags &= ~plan_no_new_privs; }), "sandbox") << "it cannot be had without";
}

}  // namespace
}  // namespace hearth::wire
