#include "os/run_members.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <sys/resource.h>

#include "os/fd.h"
#include "os/proc_stat.h"
#include "os/sweep.h"

namespace hearth::os {
namespace {

bool has_mark(pid_t pid, std::uint64_t mark) {
  rlimit locks{};
  if (::prlimit(pid, RLIMIT_LOCKS, nullptr, &locks) == 0) return locks.rlim_cur == mark;
  if (errno != EPERM) return false;
  const Result<std::string> text = read_file("/proc/" + std::to_string(pid) + "/limits", 65536);
  const std::size_t at = text ? text->find("Max file locks") : std::string::npos;
  return at != std::string::npos && std::strtoull(text->c_str() + at + 14, nullptr, 10) == mark;
}

// The environment of a process is away for an instant while it executes another program: without it the mark tells.
bool says_so(const RunIdentity& run, pid_t pid, std::uint64_t ticks) {
  bool has_run = false;
  bool has_instance = false;
  const std::string its_run = environment_of(pid, "HEARTH_RUN", &has_run);
  const std::string its_instance = environment_of(pid, "HEARTH_INSTANCE", &has_instance);
  if (has_run && its_run != std::to_string(run.run)) return false;
  if (has_instance && its_instance != run.instance) return false;
  return (has_run && has_instance) || (ticks >= run.leader_ticks && has_mark(pid, sweep_mark(run.instance, run.label)));
}

bool look_at(const RunIdentity& run, pid_t pid, bool in_leaf, RunMember& member) {
  ProcStat stat;
  if (!read_stat(pid, stat) || stat.state == 'Z' || stat.state == 'X') return false;
  if (!in_leaf && !says_so(run, pid, stat.start_ticks)) return false;
  member = {pid, stat.start_ticks, stat.parent, stat.resident_kib};
  return true;
}

}  // namespace

std::vector<RunMember> members_of(const CgroupTree& cgroups, const RunIdentity& run) {
  std::vector<RunMember> members;
  const auto add = [&](pid_t pid, bool in_leaf) {
    RunMember member;
    if (pid > 1 && look_at(run, pid, in_leaf, member)) members.push_back(member);
  };
  if (cgroups.usable()) {
    for (const int pid : cgroups.processes(run.label, run.run)) add(pid, true);
  } else {
    for (const pid_t pid : list_processes()) add(pid, false);
  }
  return members;
}

bool is_member_of(const CgroupTree& cgroups, const RunIdentity& run, pid_t pid, RunMember& member) {
  if (pid <= 1) return false;
  if (!cgroups.usable()) return look_at(run, pid, false, member);
  const std::vector<int> all = cgroups.processes(run.label, run.run);
  return std::find(all.begin(), all.end(), pid) != all.end() && look_at(run, pid, true, member);
}

std::vector<RunMember> roots_of(const std::vector<RunMember>& members) {
  std::vector<RunMember> roots;
  for (const RunMember& member : members)
    if (std::none_of(members.begin(), members.end(),
                     [&](const RunMember& other) { return other.pid == member.parent; }))
      roots.push_back(member);
  return roots;
}

}  // namespace hearth::os
