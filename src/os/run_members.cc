#include "os/run_members.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <sys/resource.h>

#include "os/clock.h"
#include "os/fd.h"
#include "os/notify_sender.h"
#include "os/proc_stat.h"
#include "os/run_identity.h"
#include "os/sweep.h"

namespace hearth::os {
namespace {

// The number of a service in a limit (sweep.h); 0: there is none, or it cannot be read.
std::uint64_t mark_of(pid_t pid) {
  rlimit locks{};
  if (::prlimit(pid, RLIMIT_LOCKS, nullptr, &locks) == 0) return locks.rlim_cur == RLIM_INFINITY ? 0 : locks.rlim_cur;
  if (errno != EPERM) return 0;
  const Result<std::string> text = read_file("/proc/" + std::to_string(pid) + "/limits", 65536);
  const std::size_t at = text ? text->find("Max file locks") : std::string::npos;
  return at == std::string::npos ? 0 : std::strtoull(text->c_str() + at + 14, nullptr, 10);
}

// False: it is gone, or as good as.
bool read_member(pid_t pid, RunMember& member) {
  ProcStat stat;
  if (!read_stat(pid, stat) || stat.state == 'Z' || stat.state == 'X') return false;
  member = {pid, stat.start_ticks, stat.parent, stat.resident_kib};
  return true;
}

// What this process itself shows. The environment of a process is away for an instant while it executes another
// program: without it mark and leaf tell. Those of one that began before `since` tell nothing.
bool read_own_claim(const std::string& instance, std::uint64_t since, pid_t pid, RunClaim& claim) {
  claim = {};
  if (pid <= 1 || !read_member(pid, claim.process)) return false;
  const Result<std::string> environment = read_file("/proc/" + std::to_string(pid) + "/environ", 4u << 20);
  if (environment) {
    bool has_instance = false;
    const std::string its_run = value_in(*environment, "HEARTH_RUN", &claim.has_run);
    const std::string its_instance = value_in(*environment, "HEARTH_INSTANCE", &has_instance);
    const RunId number = std::strtoull(its_run.c_str(), nullptr, 10);
    if (its_run == std::to_string(number)) claim.run = number;
    claim.foreign = has_instance && its_instance != instance;
    claim.named = claim.has_run && has_instance;
  }
  if (claim.foreign || claim.named || claim.process.ticks < since) return true;
  claim.mark = mark_of(pid);
  errno = 0;
  std::string cgroup = cgroup_of(pid);
  if (is_shortage(errno)) return false;
  if (cgroup.find("/" + tree_name(instance) + "/") != std::string::npos) claim.cgroup = std::move(cgroup);
  return true;
}

// Says nothing of the instance's.
bool is_empty(const RunClaim& claim) {
  return claim.foreign || (!claim.named && claim.mark == 0 && claim.cgroup.empty());
}

bool read_claim(const std::string& instance, std::uint64_t since, pid_t pid, RunClaim& claim) {
  if (!read_own_claim(instance, since, pid, claim)) return false;
  if (is_empty(claim)) return true;
  const pid_t judge = judged_by(pid);
  if (judge == pid) return true;
  RunClaim of_judge;
  if (judge == 0 || !read_own_claim(instance, since, judge, of_judge)) return false;
  of_judge.process = claim.process;
  claim = std::move(of_judge);
  return true;
}

bool is_of(const RunIdentity& run, const RunClaim& claim) {
  if (claim.foreign || (claim.has_run && claim.run != run.run)) return false;
  if (claim.named) return true;
  if (!above_tree(claim.cgroup, tree_name(run.instance), leaf_name(run.label, run.run)).empty()) return true;
  return claim.process.ticks >= run.leader_ticks && claim.mark == sweep_mark(run.instance, run.label);
}

}  // namespace

std::vector<RunMember> members_of(const CgroupTree& cgroups, const RunIdentity& run, bool* all) {
  std::vector<RunMember> members;
  bool seen = true;
  if (cgroups.has_leaf(run.label, run.run)) {
    RunMember member;
    for (const int pid : cgroups.processes(run.label, run.run, &seen)) {
      errno = 0;
      if (pid > 1 && read_member(pid, member))
        members.push_back(member);
      else if (is_shortage(errno))
        seen = false;
    }
  } else {
    const std::vector<pid_t> pids = list_processes();
    seen = !pids.empty();  // at least we are there
    RunClaim claim;
    for (const pid_t pid : pids) {
      errno = 0;
      if (read_claim(run.instance, run.leader_ticks, pid, claim) && is_of(run, claim))
        members.push_back(claim.process);
      else if (is_shortage(errno))
        seen = false;
    }
  }
  if (all != nullptr) *all = seen;
  return members;
}

bool is_member_of(const CgroupTree& cgroups, const RunIdentity& run, pid_t pid, RunMember& member) {
  if (pid <= 1) return false;
  if (cgroups.has_leaf(run.label, run.run)) {
    const std::vector<int> all = cgroups.processes(run.label, run.run);
    return std::find(all.begin(), all.end(), pid) != all.end() && read_member(pid, member);
  }
  RunClaim claim;
  if (!read_claim(run.instance, run.leader_ticks, pid, claim) || !is_of(run, claim)) return false;
  member = claim.process;
  return true;
}

std::vector<RunMember> Census::members_of(const RunIdentity& run, MonoNs asked) {
  if (cgroups_.has_leaf(run.label, run.run)) return os::members_of(cgroups_, run);
  std::unique_lock lock(mutex_);
  if (begun_ < asked) {
    // Not under the lock: files of a process that hangs in the kernel may hold up who reads them.
    lock.unlock();
    const MonoNs begun = read_mono();
    std::vector<RunClaim> claims;
    RunClaim claim;
    for (const pid_t pid : list_processes())
      if (read_claim(instance_, 0, pid, claim) && !is_empty(claim)) claims.push_back(claim);
    lock.lock();
    if (begun > begun_) {
      begun_ = begun;
      claims_ = std::move(claims);
    }
  }
  std::vector<RunMember> members;
  for (const RunClaim& claim : claims_)
    if (is_of(run, claim)) members.push_back(claim.process);
  return members;
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
