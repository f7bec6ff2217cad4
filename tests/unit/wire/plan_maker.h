// Makes spawn plans for tests: complete ones, which the tests then spoil.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "wire/spawn_plan.h"

namespace hearth::wire {

class PlanMaker {
 public:
  static constexpr std::uint32_t descriptors = 3;

  PlanMaker() : bytes_(sizeof(PlanHeader)) {
    PlanHeader plan{};
    plan.magic = plan_magic;
    plan.version = plan_version;
    plan.entry = 4;
    plan.run = 77;
    plan.paths = strings({"/usr/bin/redis-server", "/bin/redis-server"});
    plan.argv = strings({"redis-server", "--port", "6379"});
    plan.env = strings({"A=1", "HEARTH_RUN=77"});
    const std::uint32_t listen_pid = append("LISTEN_PID=0000000000", 22);
    plan.pid_patches = table<std::uint32_t>({listen_pid + 11});
    plan.descriptors = table<PlanDescriptor>({{0, 0}, {1, 1}, {1, 2}});
    plan.limits = table<PlanLimit>({{7, 0, 1024, 4096}});
    plan.groups = table<std::uint32_t>({10, 20});
    plan.cwd = append("/srv", 5);
    plan.cgroup = 2;
    plan.uid = plan.gid = plan_keep_id;
    plan.umask = plan.nice = plan.oom_score_adj = plan_keep;
    plan.io_priority = 2 << 13 | 4;
    plan.cpus = table<std::uint64_t>({0xf});
    plan.flags = plan_no_new_privs | plan_bounds | plan_capabilities;
    plan.bounding = 0xf0;
    plan.capabilities = 0x30;
    plan.ambient = 0x10;
    plan.input = append("/dev/zero", 10);
    plan.filter = table<std::uint64_t>({0x7fff000000000006});
    plan.ruleset = 1;
    plan.size = static_cast<std::uint32_t>(bytes_.size());
    header() = plan;
  }

  PlanHeader& header() { return *reinterpret_cast<PlanHeader*>(bytes_.data()); }
  std::vector<char>& bytes() { return bytes_; }
  // The bytes in a buffer that ends where they end, so that a sanitizer sees the first byte read too far.
  const char* problem(std::uint32_t came = descriptors) const {
    const std::vector<char> exact(bytes_.begin(), bytes_.end());
    return plan_problem(exact.data(), exact.size(), came);
  }
  std::uint32_t append(const void* data, std::size_t size) {
    const auto at = static_cast<std::uint32_t>(bytes_.size());
    bytes_.resize(bytes_.size() + size);
    std::memcpy(bytes_.data() + at, data, size);
    return at;
  }
  template <typename T>
  PlanTable table(const std::vector<T>& records) {
    bytes_.resize((bytes_.size() + alignof(T) - 1) / alignof(T) * alignof(T));
    return {append(records.data(), records.size() * sizeof(T)), static_cast<std::uint32_t>(records.size())};
  }
  PlanTable strings(const std::vector<std::string>& texts) {
    std::vector<std::uint32_t> offsets;
    for (const std::string& text : texts) offsets.push_back(append(text.c_str(), text.size() + 1));
    return table(offsets);
  }
  template <typename T>
  T& record(const PlanTable& in, std::size_t index) {
    return reinterpret_cast<T*>(bytes_.data() + in.offset)[index];
  }

 private:
  std::vector<char> bytes_;
};

}  // namespace hearth::wire
