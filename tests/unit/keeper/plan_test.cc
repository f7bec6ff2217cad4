// A spawn plan is bytes from another process: whatever they are, a spawner that accepts them stays inside.

#include <cstdlib>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "integration/keeper/plan_builder.h"
#include "keeper/spawner.h"

namespace hearth::keeper {
namespace {

constexpr std::uint32_t descriptors = 3;

test::Plan full_plan() {
  test::Plan plan;
  plan.entry = 4;
  plan.run = 17;
  plan.paths = {"/usr/local/bin/x", "/usr/bin/x"};
  plan.argv = {"x", "--serve"};
  plan.env = {"A=1", "LISTEN_PID=0000000000"};
  plan.pid_patch_env = {1};
  plan.descriptors = {{0, 0}, {1, 1}, {1, 2}};
  plan.limits = {{7, 0, 1024, 4096}};
  plan.groups = {100};
  plan.cwd = "/srv";
  plan.cgroup = 2;
  plan.io_priority = 2 << 13;
  plan.cpus = {1, 2};
  plan.input = "/dev/zero";
  plan.uid = plan.gid = 1000;
  plan.flags = wire::plan_no_new_privs | wire::plan_bounds | wire::plan_capabilities;
  plan.bounding = 0xf0;
  plan.capabilities = 0x30;
  plan.ambient = 0x10;
  plan.filter = {1, 2, 3};
  plan.ruleset = 1;
  return plan;
}

const char* problem(const std::string& bytes) {
  // Exactly as long as it is, so that a sanitizer sees each byte too far.
  auto* copy = static_cast<char*>(std::malloc(bytes.size()));
  std::unique_ptr<char, decltype(&std::free)> owner(copy, &std::free);
  std::memcpy(copy, bytes.data(), bytes.size());
  return wire::plan_problem(copy, bytes.size(), descriptors);
}

// Reads all that the child reads. Out of bounds is the sanitizer's to find.
std::size_t use(const std::string& bytes) {
  std::unique_ptr<char[]> copy(new char[bytes.size()]);
  std::memcpy(copy.get(), bytes.data(), bytes.size());
  const char* base = copy.get();
  wire::PlanHeader h;
  std::memcpy(&h, base, sizeof h);
  std::size_t sum = 0;
  const auto records = [&](wire::PlanTable table, std::size_t size) {
    for (std::size_t i = 0; i < table.count * size; ++i) sum += static_cast<unsigned char>(base[table.offset + i]);
  };
  const auto strings = [&](wire::PlanTable table) {
    for (std::uint32_t i = 0; i < table.count; ++i) {
      std::uint32_t at;
      std::memcpy(&at, base + table.offset + i * 4, 4);
      sum += std::strlen(base + at);
    }
  };
  strings(h.paths);
  strings(h.argv);
  strings(h.env);
  records(h.pid_patches, 4);
  for (std::uint32_t i = 0; i < h.pid_patches.count; ++i) {
    std::uint32_t at;
    std::memcpy(&at, base + h.pid_patches.offset + i * 4, 4);
    std::strcpy(copy.get() + at, "4294967295");
  }
  records(h.descriptors, sizeof(wire::PlanDescriptor));
  for (std::uint32_t i = 0; i < h.descriptors.count; ++i) {
    wire::PlanDescriptor d;
    std::memcpy(&d, base + h.descriptors.offset + i * sizeof d, sizeof d);
    EXPECT_LT(d.index, descriptors);
    EXPECT_GE(d.target, 0);
    EXPECT_LT(d.target, static_cast<int>(wire::plan_descriptors_max + 16));
  }
  records(h.limits, sizeof(wire::PlanLimit));
  records(h.groups, 4);
  records(h.cpus, 8);
  records(h.filter, 8);
  EXPECT_LT(h.ruleset, static_cast<int>(descriptors));
  if (h.input != 0) sum += std::strlen(base + h.input);
  if (h.cwd != 0) sum += std::strlen(base + h.cwd);
  EXPECT_LT(h.cgroup, static_cast<int>(descriptors));
  prepare_child(*reinterpret_cast<const wire::PlanHeader*>(base));
  return sum;
}

TEST(SpawnPlan, OfAllPartsHolds) {
  const std::string bytes = full_plan().bytes();
  ASSERT_EQ(problem(bytes), nullptr);
  EXPECT_GT(use(bytes), 0u);
}

TEST(SpawnPlan, WithAnyOneByteChangedIsRejectedOrHarmless) {
  const std::string good = full_plan().bytes();
  int accepted = 0;
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (int change = 1; change < 256; ++change) {
      std::string bytes = good;
      bytes[at] = static_cast<char>(bytes[at] ^ change);
      if (problem(bytes) != nullptr) continue;
      ++accepted;
      use(bytes);
    }
  }
  EXPECT_GT(accepted, 0);
}

TEST(SpawnPlan, CutShortAnywhereIsRejected) {
  const std::string good = full_plan().bytes();
  for (std::size_t length = 0; length < good.size(); ++length) EXPECT_NE(problem(good.substr(0, length)), nullptr);
  EXPECT_NE(problem(good + '\0'), nullptr);
}

TEST(SpawnPlan, WithExtremeNumbersInAnyPlaceIsRejectedOrHarmless) {
  const std::string good = full_plan().bytes();
  for (std::size_t at = 0; at + 4 <= sizeof(wire::PlanHeader); at += 4) {
    for (std::uint32_t value : {0u, 1u, 0x7fffffffu, 0x80000000u, 0xfffffffcu, 0xffffffffu}) {
      std::string bytes = good;
      std::memcpy(bytes.data() + at, &value, 4);
      if (problem(bytes) == nullptr) use(bytes);
    }
  }
}

TEST(SpawnPlan, ThatSharesATargetOrNamesADescriptorThatDidNotComeIsRejected) {
  test::Plan plan = full_plan();
  plan.descriptors = {{0, 5}, {1, 5}};
  EXPECT_STREQ(problem(plan.bytes()), "descriptors");
  plan.descriptors = {{descriptors, 5}};
  EXPECT_STREQ(problem(plan.bytes()), "descriptors");
  plan.descriptors = {{0, -1}};
  EXPECT_STREQ(problem(plan.bytes()), "descriptors");
}

}  // namespace
}  // namespace hearth::keeper
