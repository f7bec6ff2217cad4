// Memory of GPUs that processes have, as the driver tells it. For `doctor` and `reset`: after a hard reset nobody should
// have any that was ours.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/time.h"

namespace hearth::os {

struct GpuUse {
  std::string gpu;  // UUID, or "card0"
  int pid = 0;      // 0 = of all processes together, where the driver tells no more
  std::uint64_t bytes = 0;
};

struct GpuReport {
  bool seen = false;    // there is a GPU that can be asked
  std::string trouble;  // why it could not be asked; "" = it could, or there is none
  std::vector<GpuUse> uses;
};

// nvidia-smi where it is in PATH (ended after `limit`), else what amdgpu tells in /sys/class/drm.
GpuReport gpu_memory(SpanNs limit = seconds(10));

// Lines "PID, UUID, MIB" of `nvidia-smi --query-compute-apps=pid,gpu_uuid,used_memory --format=csv,noheader,nounits`.
std::vector<GpuUse> parse_compute_apps(const std::string& text);

}  // namespace hearth::os
