#include "wire/spawn_plan.h"

#include <string.h>

namespace hearth::wire {
namespace {

bool inside(const PlanHeader& plan, uint64_t offset, uint64_t bytes) {
  return offset >= sizeof(PlanHeader) && offset <= plan.size && bytes <= plan.size - offset;
}

bool table_inside(const PlanHeader& plan, PlanTable table, uint32_t record, uint32_t most, uint32_t align) {
  if (table.count == 0) return true;
  return table.count <= most && table.offset % align == 0 && inside(plan, table.offset, uint64_t{table.count} * record);
}

bool string_inside(const PlanHeader& plan, uint32_t offset) {
  if (!inside(plan, offset, 1)) return false;
  const char* text = reinterpret_cast<const char*>(&plan) + offset;
  return memchr(text, 0, plan.size - offset) != nullptr;
}

bool strings_inside(const PlanHeader& plan, PlanTable table) {
  if (!table_inside(plan, table, sizeof(uint32_t), plan_strings_max, alignof(uint32_t))) return false;
  const char* base = reinterpret_cast<const char*>(&plan);
  for (uint32_t i = 0; i < table.count; ++i) {
    uint32_t offset = 0;
    memcpy(&offset, base + table.offset + i * sizeof(uint32_t), sizeof offset);
    if (!string_inside(plan, offset)) return false;
  }
  return true;
}

bool patches_inside(const PlanHeader& plan) {
  constexpr uint32_t field = 11;  // ten digits and NUL
  if (!table_inside(plan, plan.pid_patches, sizeof(uint32_t), 8, alignof(uint32_t))) return false;
  const char* base = reinterpret_cast<const char*>(&plan);
  for (uint32_t i = 0; i < plan.pid_patches.count; ++i) {
    uint32_t offset = 0;
    memcpy(&offset, base + plan.pid_patches.offset + i * sizeof(uint32_t), sizeof offset);
    if (!inside(plan, offset, field) || memcmp(base + offset, "0000000000", field) != 0) return false;
  }
  return true;
}

bool descriptors_fit(const PlanHeader& plan, uint32_t descriptors) {
  if (!table_inside(plan, plan.descriptors, sizeof(PlanDescriptor), plan_descriptors_max, alignof(PlanDescriptor)))
    return false;
  constexpr uint32_t target_end = plan_descriptors_max + 16;
  bool used[target_end] = {};
  const char* base = reinterpret_cast<const char*>(&plan);
  for (uint32_t i = 0; i < plan.descriptors.count; ++i) {
    PlanDescriptor d;
    memcpy(&d, base + plan.descriptors.offset + i * sizeof d, sizeof d);
    if (d.index >= descriptors || d.target < 0 || static_cast<uint32_t>(d.target) >= target_end) return false;
    if (used[d.target]) return false;
    used[d.target] = true;
  }
  return true;
}

bool io_priority_holds(int32_t priority) {
  constexpr int32_t classes_end = 4;
  constexpr int32_t levels_end = 8;
  return priority == plan_keep || (priority >= 0 && priority >> 13 < classes_end && (priority & 0x1fff) < levels_end);
}

bool capabilities_hold(const PlanHeader& plan) {
  if (plan.flags >= plan_flags_end) return false;
  const bool bounds = (plan.flags & plan_bounds) != 0, given = (plan.flags & plan_capabilities) != 0;
  if ((!bounds && plan.bounding != 0) || (!given && (plan.capabilities | plan.ambient) != 0)) return false;
  return (plan.ambient & ~plan.capabilities) == 0 && (!bounds || (plan.capabilities & ~plan.bounding) == 0);
}

bool sandbox_holds(const PlanHeader& plan, uint32_t descriptors) {
  if (!table_inside(plan, plan.filter, sizeof(uint64_t), plan_filter_max, alignof(uint64_t))) return false;
  if (plan.ruleset < -1 || (plan.ruleset >= 0 && static_cast<uint32_t>(plan.ruleset) >= descriptors)) return false;
  return (plan.filter.count == 0 && plan.ruleset < 0) || (plan.flags & plan_no_new_privs) != 0;
}

}  // namespace

const char* plan_problem(const void* bytes, uint64_t length, uint32_t descriptors) {
  if (length < sizeof(PlanHeader)) return "shorter than its header";
  const PlanHeader& plan = *static_cast<const PlanHeader*>(bytes);
  if (plan.magic != plan_magic) return "not a spawn plan";
  if (plan.version != plan_version) return "another version";
  if (plan.size != length || plan.size > plan_size_max) return "size does not match";
  if (plan.paths.count == 0 || !strings_inside(plan, plan.paths)) return "paths";
  if (plan.argv.count == 0 || !strings_inside(plan, plan.argv)) return "arguments";
  if (!strings_inside(plan, plan.env)) return "environment";
  if (!patches_inside(plan)) return "PID fields";
  if (!descriptors_fit(plan, descriptors)) return "descriptors";
  if (!table_inside(plan, plan.limits, sizeof(PlanLimit), plan_limits_max, alignof(PlanLimit))) return "limits";
  if (!table_inside(plan, plan.groups, sizeof(uint32_t), plan_groups_max, alignof(uint32_t))) return "groups";
  if (plan.cwd != 0 && !string_inside(plan, plan.cwd)) return "directory";
  if (plan.input != 0 && !string_inside(plan, plan.input)) return "standard input";
  if (!table_inside(plan, plan.cpus, sizeof(uint64_t), plan_cpu_words_max, alignof(uint64_t))) return "processors";
  if (!io_priority_holds(plan.io_priority)) return "I/O priority";
  if (!capabilities_hold(plan)) return "capabilities";
  if (!sandbox_holds(plan, descriptors)) return "sandbox";
  if (plan.cgroup < -1 || (plan.cgroup >= 0 && static_cast<uint32_t>(plan.cgroup) >= descriptors)) return "cgroup";
  return nullptr;
}

}  // namespace hearth::wire
