// Builds spawn plans byte by byte, so that a test can also build wrong ones.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "wire/spawn_plan.h"

namespace hearth::test {

struct Plan {
  EntryIndex entry = 0;
  RunId run = 1;
  std::vector<std::string> paths, argv, env;
  std::vector<std::size_t> pid_patch_env;  // indices of env whose value is the ten-zero field
  std::vector<wire::PlanDescriptor> descriptors;
  std::vector<wire::PlanLimit> limits;
  std::vector<std::uint32_t> groups;
  std::string cwd;
  std::int32_t cgroup = -1;
  std::uint32_t uid = wire::plan_keep_id, gid = wire::plan_keep_id;
  std::int32_t umask = wire::plan_keep, nice = wire::plan_keep, oom_score_adj = wire::plan_keep;
  std::int32_t io_priority = wire::plan_keep;
  std::vector<std::uint64_t> cpus;
  std::string input;
  std::uint32_t flags = 0;
  std::uint64_t bounding = 0, capabilities = 0, ambient = 0;
  std::vector<std::uint64_t> filter;
  std::int32_t ruleset = -1;

  std::string bytes() const {
    std::string out(sizeof(wire::PlanHeader), '\0');
    wire::PlanHeader h{};
    h.magic = wire::plan_magic;
    h.version = wire::plan_version;
    h.entry = entry;
    h.run = run;
    const auto text = [&](const std::string& s) {
      const auto at = static_cast<std::uint32_t>(out.size());
      out += s;
      out += '\0';
      return at;
    };
    const auto put = [&](const void* records, std::size_t size, std::size_t count) {
      while (out.size() % 8 != 0) out += '\0';
      const auto at = static_cast<std::uint32_t>(out.size());
      out.append(static_cast<const char*>(records), size * count);
      return wire::PlanTable{at, static_cast<std::uint32_t>(count)};
    };
    const auto texts = [&](const std::vector<std::string>& all, std::vector<std::uint32_t>& at) {
      for (const std::string& s : all) at.push_back(text(s));
      return put(at.data(), 4, at.size());
    };
    std::vector<std::uint32_t> path_at, argv_at, env_at, patch_at;
    h.paths = texts(paths, path_at);
    h.argv = texts(argv, argv_at);
    h.env = texts(env, env_at);
    for (std::size_t i : pid_patch_env)
      patch_at.push_back(env_at[i] + static_cast<std::uint32_t>(env[i].find('=')) + 1);
    h.pid_patches = put(patch_at.data(), 4, patch_at.size());
    h.descriptors = put(descriptors.data(), sizeof descriptors[0], descriptors.size());
    h.limits = put(limits.data(), sizeof limits[0], limits.size());
    h.groups = put(groups.data(), 4, groups.size());
    h.cpus = put(cpus.data(), sizeof cpus[0], cpus.size());
    h.cwd = cwd.empty() ? 0 : text(cwd);
    h.input = input.empty() ? 0 : text(input);
    h.io_priority = io_priority;
    h.cgroup = cgroup;
    h.uid = uid;
    h.gid = gid;
    h.umask = umask;
    h.nice = nice;
    h.oom_score_adj = oom_score_adj;
    h.flags = flags;
    h.bounding = bounding;
    h.capabilities = capabilities;
    h.ambient = ambient;
    h.filter = put(filter.data(), sizeof(std::uint64_t), filter.size());
    h.ruleset = ruleset;
    h.size = static_cast<std::uint32_t>(out.size());
    std::memcpy(out.data(), &h, sizeof h);
    return out;
  }
};

}  // namespace hearth::test
