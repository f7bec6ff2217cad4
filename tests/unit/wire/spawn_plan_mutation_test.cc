// Whatever happens to the bytes of a plan: plan_problem() reads nothing outside of them, and what it lets pass, a
// spawner can follow blindly. The second half is checked by a walk of its own.
#include <set>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "unit/wire/plan_maker.h"

namespace hearth::wire {
namespace {

struct Walk {
  const std::vector<char>& bytes;
  PlanHeader plan;
  bool good = true;

  explicit Walk(const std::vector<char>& all) : bytes(all) { std::memcpy(&plan, all.data(), sizeof plan); }

  bool holds(std::uint64_t offset, std::uint64_t size) const { return offset + size <= bytes.size(); }
  void string(std::uint32_t offset) {
    std::size_t at = offset;
    while (at < bytes.size() && bytes[at] != 0) ++at;
    good = good && at < bytes.size();
  }
  template <typename T>
  std::vector<T> records(PlanTable table) {
    std::vector<T> all(table.count < 100'000 ? table.count : 0);
    good = good && all.size() == table.count && holds(table.offset, std::uint64_t{table.count} * sizeof(T));
    if (good && !all.empty()) std::memcpy(all.data(), bytes.data() + table.offset, all.size() * sizeof(T));
    return good ? all : std::vector<T>();
  }
  bool all(std::uint32_t descriptors) {
    for (const PlanTable table : {plan.paths, plan.argv, plan.env}) {
      for (const std::uint32_t offset : records<std::uint32_t>(table)) string(offset);
    }
    for (const std::uint32_t offset : records<std::uint32_t>(plan.pid_patches)) {
      good = good && holds(offset, 11) && std::memcmp(bytes.data() + offset, "0000000000", 11) == 0;
    }
    std::set<std::int32_t> targets;
    for (const PlanDescriptor& d : records<PlanDescriptor>(plan.descriptors)) {
      good = good && d.index < descriptors && d.target >= 0 && d.target < 256 && targets.insert(d.target).second;
    }
    records<PlanLimit>(plan.limits);
    records<std::uint32_t>(plan.groups);
    records<std::uint64_t>(plan.cpus);
    records<std::uint64_t>(plan.filter);
    if (plan.cwd != 0) string(plan.cwd);
    if (plan.input != 0) string(plan.input);
    good = good && plan.cgroup < static_cast<std::int64_t>(descriptors);
    return good && plan.paths.count > 0 && plan.argv.count > 0;
  }
};

void expect_refused_or_sound(const PlanMaker& maker, const std::vector<char>& bytes, std::uint32_t descriptors) {
  if (maker.problem(descriptors) == nullptr) RC_ASSERT(Walk(bytes).all(descriptors));
}

RC_GTEST_PROP(SpawnPlanMutation, AnyWordReplacedIsRefusedOrSound, ()) {
  PlanMaker plan;
  const auto words = plan.bytes().size() / sizeof(std::uint32_t);
  for (int changes = *rc::gen::inRange(1, 4); changes > 0; --changes) {
    const auto at = *rc::gen::inRange<std::size_t>(2, words);  // magic and version are not worth the luck
    const auto value = *rc::gen::oneOf(
        rc::gen::arbitrary<std::uint32_t>(), rc::gen::inRange<std::uint32_t>(0, plan.header().size + 8),
        rc::gen::element<std::uint32_t>(0, 1, INT32_MAX, UINT32_MAX, UINT32_MAX / 4 + 1, UINT32_MAX / 8 + 1));
    std::memcpy(plan.bytes().data() + at * sizeof value, &value, sizeof value);
  }
  expect_refused_or_sound(plan, plan.bytes(), *rc::gen::inRange(0u, 5u));
}

RC_GTEST_PROP(SpawnPlanMutation, AnyLengthWithItsSizeToMatchIsRefusedOrSound, ()) {
  PlanMaker plan;
  const auto length = *rc::gen::inRange<std::size_t>(sizeof(PlanHeader), plan.bytes().size() + 64);
  plan.bytes().resize(length);
  plan.header().size = static_cast<std::uint32_t>(length);
  expect_refused_or_sound(plan, plan.bytes(), PlanMaker::descriptors);
}

RC_GTEST_PROP(SpawnPlanMutation, NoiseBehindAGoodHeaderIsRefusedOrSound, ()) {
  PlanMaker plan;
  for (std::size_t i = sizeof(PlanHeader); i < plan.bytes().size(); ++i) {
    plan.bytes()[i] = *rc::gen::arbitrary<char>();
  }
  expect_refused_or_sound(plan, plan.bytes(), PlanMaker::descriptors);
}

}  // namespace
}  // namespace hearth::wire
