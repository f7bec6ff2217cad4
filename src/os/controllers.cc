#include "os/controllers.h"

#include "base/split.h"
#include "os/cgroup.h"
#include "os/fd.h"

namespace hearth::os {
namespace {

constexpr const char* use_v2 =
    "boot with cgroup v2 alone: systemd.unified_cgroup_hierarchy=1 or cgroup_no_v1=all on the kernel's command line";
constexpr const char* delegate =
    "with systemd 254 or later: Delegate=yes and DelegateSubgroup=hearth "
    "(docs/guide/systemd.md)";

// A line of /proc/cgroups: name, hierarchy, number of cgroups, enabled. Empty: there is none of that name.
struct Row {
  std::string hierarchy, enabled;
};
Row row_of(std::string_view proc_cgroups, std::string_view name) {
  while (auto line = take_line(proc_cgroups)) {
    const auto first = take_word(*line), hierarchy = take_word(*line);
    take_word(*line);  // how many cgroups it has
    const auto enabled = take_word(*line);
    if (first && enabled && *first == name) return {std::string(*hierarchy), std::string(*enabled)};
  }
  return {};
}

MissingController explained(const std::string& name, std::string_view proc_cgroups, std::string_view offered,
                            const std::string& mount) {
  const std::string of_v1 = name == "io" ? "blkio" : name;
  const Row row = row_of(proc_cgroups, of_v1);
  if (row.enabled == "0")
    return {name, "the kernel was started without it (enabled is 0 in /proc/cgroups)",
            "take cgroup_disable=" + of_v1 + " from the kernel's command line, or add cgroup_enable=" + of_v1};
  if (!row.hierarchy.empty() && row.hierarchy != "0")
    return {name, "cgroup v1 has it, as /proc/cgroups says", use_v2, "hierarchy " + row.hierarchy};
  if (mount.empty()) return {name, "no cgroup v2 hierarchy is mounted here", use_v2};
  if (!has_word(offered, name))
    return {name, mount + "/cgroup.controllers does not have it",
            "in a container, who runs it has to hand it on (`docker run --privileged`); else the kernel has none"};
  return {name, "it is not delegated to hearth", delegate, {}, true};
}

}  // namespace

std::vector<MissingController> why_missing(const std::vector<std::string>& missing, std::string_view proc_cgroups,
                                           std::string_view offered, const std::string& mount) {
  std::vector<MissingController> all;
  for (const std::string& name : missing) all.push_back(explained(name, proc_cgroups, offered, mount));
  return all;
}

std::vector<MissingController> why_missing_here(const std::vector<std::string>& missing) {
  const auto text_of = [](const std::string& path) { return read_file(path, 1u << 20).value_or(std::string()); };
  const std::string mountinfo = read_file("/proc/self/mountinfo", 16u << 20).value_or(std::string());
  const CgroupPlace place = parse_cgroup_place(mountinfo, text_of("/proc/self/cgroup"));
  return why_missing(missing, text_of("/proc/cgroups"),
                     place.mount.empty() ? std::string() : text_of(place.mount + "/cgroup.controllers"), place.mount);
}

}  // namespace hearth::os
