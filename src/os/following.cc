// KeeperClient: the daemon that a leader has left behind is found, looked at, and handed to the keeper.
#include <algorithm>
#include <utility>

#include "os/crash_point.h"
#include "os/keeper_client.h"
#include "os/proc_stat.h"
#include "os/run_members.h"

namespace hearth::os {
namespace {

// Without a leaf; they are 5, 10, 20 ... ms apart.
constexpr unsigned nobody_looks = 5;

std::string named(pid_t pid) {
  const std::string command = command_of(pid);
  return "PID " + std::to_string(pid) + (command.empty() ? "" : " (" + command + ")");
}

}  // namespace

// The pidfd comes first: what is seen under its PID while it can be signalled is its own.
ports::MainAnswer KeeperClient::follow_one(const ports::SpawnOrder& order, std::int32_t pid,
                                           const std::string& source) {
  using ports::MainFound;
  const wire::RunEntry& entry = link_.table().entry[order.entry];
  const RunIdentity run{options_.directory, order.label, order.run, entry.start_ticks.load()};
  const OpenedProcess process = open_process(pid);
  if (process.gone) return {MainFound::no, source + " names PID " + std::to_string(pid) + ", which is not there"};
  if (!process.pidfd) return {MainFound::no, named(pid) + " cannot be opened now"};
  RunMember member;
  if (!is_member_of(cgroups_, run, pid, member) || is_gone(process.pidfd.get()))
    return {MainFound::no, source + " names " + named(pid) + ", which is no process of this run"};
  // Only of its own child the keeper learns how it ends. A leader that was adopted had other parents.
  const std::int32_t keeper = link_.table().keeper_pid.load();
  ProcStat leader;
  const bool was_child = read_stat(entry.pid.load(), leader) && leader.parent == keeper;
  if (was_child && member.parent != keeper)
    return {MainFound::no,
            source + " names " + named(pid) + ", whose parent " + named(member.parent) + " is there still"};
  crash_point("follow");
  if (!link_.follow({order.entry, pid, order.run, member.ticks}, process.pidfd.get()))
    return {MainFound::no, "the keeper cannot be told now"};
  crash_point("follow sent");
  return {MainFound::sent, ""};
}

ports::MainAnswer KeeperClient::follow(const ports::SpawnOrder& order, const ports::MainWish& wish) {
  using ports::MainFound;
  const wire::RunEntry& entry = link_.table().entry[order.entry];
  if (entry.run.load(std::memory_order_acquire) != order.run || wire::is_of_main(entry)) return {MainFound::sent, ""};
  const std::string& file = order.spec->around->pid_file;
  ports::MainAnswer named_one;
  if (wish.told != 0) {
    named_one = follow_one(order, wish.told, "MAINPID=");
  } else if (!file.empty()) {
    PidFile read = pid_files_.read(order.run, file);
    named_one = read.pid != 0 ? follow_one(order, read.pid, file) : ports::MainAnswer{MainFound::no, read.problem};
  }
  if (named_one.found != MainFound::no) return named_one;
  const RunIdentity run{options_.directory, order.label, order.run, entry.start_ticks.load()};
  bool all = true;
  std::vector<RunMember> roots = roots_of(members_of(cgroups_, run, &all));
  // What is seen once may be an instant: who was listed may have ended when it was looked at, and left another; without
  // leaves a process may have been overlooked; and a program that goes into the background by two forks has for a moment
  // only the first of them.
  const LastLook before = std::exchange(last_looks_[order.run], LastLook{});
  if (roots.empty() && !all) return {MainFound::no, "its processes cannot be looked at now: descriptors are short"};
  if (roots.empty()) {
    const unsigned looks = last_looks_[order.run].nobody = before.nobody + 1;
    const bool sure =
        cgroups_.has_leaf(order.label, order.run) ? looks >= 2 : looks >= nobody_looks && !output_is_held(order.run);
    return {sure ? MainFound::nobody : MainFound::no, named_one.missing};
  }
  if (!wish.whoever && !named_one.missing.empty()) return named_one;
  const auto older = [](const RunMember& a, const RunMember& b) {
    return std::pair(a.ticks, a.pid) < std::pair(b.ticks, b.pid);
  };
  const RunMember oldest = *std::min_element(roots.begin(), roots.end(), older);
  if (wish.whoever) return follow_one(order, oldest.pid, "the oldest process of the run");
  if (roots.size() > 1)
    return {MainFound::no, std::to_string(roots.size()) + " processes are left (" + named(roots[0].pid) + ", " +
                               named(roots[1].pid) + (roots.size() > 2 ? ", ..." : "") +
                               "); set pid_file to the file in which it writes its PID"};
  last_looks_[order.run].only = oldest;
  if (before.only.pid != oldest.pid || before.only.ticks != oldest.ticks)
    return {MainFound::no, "it has just gone into the background"};
  return follow_one(order, oldest.pid, "the only process of the run");
}

}  // namespace hearth::os
