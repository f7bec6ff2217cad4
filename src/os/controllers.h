// Why a controller of cgroup v2 is not there for hearth: who has it, and what would change that. Text to text, so that every
// kind of host can be tested on any.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hearth::os {

struct MissingController {
  std::string name;           // "memory"
  std::string why;            // "cgroup v1 has it, as /proc/cgroups says"; alike for several, they are told together
  std::string remedy;         // what to do
  std::string detail = {};    // what is its own: "hierarchy 4"
  bool may_be_given = false;  // hearth asks for it when a service needs it, and where it may, it has it then
};

// `missing`: those that the tree of hearth has not (CgroupTree::not_handed_on). `proc_cgroups`: the file, cgroups(7); newer
// kernels list in it only what v1 knows, so that absence says nothing. `offered`: cgroup.controllers of the place where the
// hierarchy is mounted, `mount`.
std::vector<MissingController> why_missing(const std::vector<std::string>& missing, std::string_view proc_cgroups,
                                           std::string_view offered, const std::string& mount);
// The same with the files of this machine.
std::vector<MissingController> why_missing_here(const std::vector<std::string>& missing);

}  // namespace hearth::os
