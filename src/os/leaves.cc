// KeeperClient: leaves of runs, also those that an earlier hearth has made in another tree (cgroup.h).
#include <algorithm>
#include <cerrno>
#include <signal.h>
#include <string_view>

#include "os/clock.h"
#include "os/keeper_client.h"
#include "os/notify_sender.h"
#include "os/proc_stat.h"
#include "os/run_identity.h"

namespace hearth::os {

// One reading of /proc for all who are asked for in a turn: after the death of everybody these may be a thousand. Whose
// run had ended before the turn has nobody who began after the reading, and a run that began since has its leaf in our
// tree.
const KeeperClient::LeavesSeen& KeeperClient::look_for_leaves() {
  if (leaves_seen_) return *leaves_seen_;
  LeavesSeen& seen = leaves_seen_.emplace(LeavesSeen{{}, false});
  const std::string tree = "/" + tree_name(options_.directory) + "/";
  const std::vector<pid_t> all = list_processes();
  seen.all = !all.empty();
  for (const pid_t pid : all) {
    errno = 0;
    const std::string path = cgroup_of(pid);
    seen.all &= !path.empty() || !is_shortage(errno);
    std::size_t at = path.find(tree);
    if (at == std::string::npos) continue;
    if (const pid_t judge = judged_by(pid); judge != pid) {
      seen.all &= judge != 0 || !is_shortage(errno);
      continue;
    }
    for (; at != std::string::npos; at = path.find(tree, at + 1)) {
      const std::size_t begin = at + tree.size();
      const std::string leaf = path.substr(begin, path.find('/', begin) - begin);
      seen.above.emplace(leaf, above_tree(path, tree.substr(1, tree.size() - 2), leaf));
    }
  }
  return seen;
}

// Our tree, where no leaf is found: then it has none.
KeeperClient::LeafPlace KeeperClient::place_of(EntryIndex index, RunId run, const std::string& label) {
  if (cgroups_.has_leaf(label, run)) return {&cgroups_};
  for (const CgroupTree& tree : elsewhere_)
    if (tree.has_leaf(label, run)) return {&tree};
  const std::string leaf = leaf_name(label, run);
  const wire::RunEntry& entry = link_.table().entry[index];
  const pid_t leader = entry.pid.load(std::memory_order_acquire);
  const std::uint64_t ticks = entry.start_ticks.load(std::memory_order_acquire);
  // A zombie has its cgroup still, and who began in no leaf is asked no further.
  errno = 0;
  const bool is_there = ticks == 0 || os::start_ticks(leader) == ticks;
  std::string of_leader = is_there ? cgroup_of(leader) : "";
  bool seen = !of_leader.empty() || !is_shortage(errno);
  // As the kernel writes it behind the path of a cgroup that was removed: by a predecessor, who could not say so any
  // more.
  constexpr std::string_view removed = " (deleted)";
  const bool is_removed = of_leader.ends_with(removed);
  if (is_removed) of_leader.erase(of_leader.size() - removed.size());
  std::string cgroup = above_tree(of_leader, tree_name(options_.directory), leaf);
  if (is_removed && !cgroup.empty() && of_leader.ends_with("/" + leaf)) return {&cgroups_, true};
  // Where another one has reaped the leader somebody else may tell; without cgroups, where that is all that there ever
  // is to find, the sweep looks for whom it leads to.
  if (seen && of_leader.empty() && cgroups_.usable()) {
    const LeavesSeen& leaves = look_for_leaves();
    const auto found = leaves.above.find(leaf);
    if (found != leaves.above.end()) cgroup = found->second;
    seen = leaves.all;
  }
  if (cgroup.empty()) return {seen ? &cgroups_ : nullptr};
  CgroupTree tree = CgroupTree::open_at(cgroup, options_.directory);
  if (!tree.usable()) return {tree.scarce() ? nullptr : &cgroups_};
  return {&elsewhere_.emplace_back(std::move(tree)), is_removed && !elsewhere_.back().has_leaf(label, run)};
}

bool KeeperClient::end_tree(EntryIndex index, RunId run, const std::string& label) {
  const wire::RunEntry& entry = link_.table().entry[index];
  if (entry.run.load(std::memory_order_acquire) != run) return true;
  const LeafPlace place = place_of(index, run, label);
  const CgroupTree* const tree = place.tree;
  const CgroupTree::Removed removed = place.is_removed  ? CgroupTree::Removed::gone
                                      : tree != nullptr ? tree->remove_leaf(label, run)
                                                        : CgroupTree::Removed::busy;
  if (removed == CgroupTree::Removed::gone) {
    std::erase_if(busy_, [&](const BusyLeaf& busy) { return busy.run == run; });
    return true;
  }
  const MonoNs now = read_mono();
  auto busy = std::find_if(busy_.begin(), busy_.end(), [&](const BusyLeaf& b) { return b.run == run; });
  const bool first = busy == busy_.end();
  // KILL is sent whatever the last operation was, so it needs no number of its own.
  if (first) link_.signal({index, SIGKILL, run, entry.last_op.load(std::memory_order_relaxed)});
  if (removed != CgroupTree::Removed::busy) {
    uncontained_.insert(run);
    std::erase_if(busy_, [&](const BusyLeaf& b) { return b.run == run; });
    return true;
  }
  if (first) busy = busy_.insert(busy_.end(), {run, now, milliseconds(1)});
  if (now - busy->since > busy_leaf_max) {
    std::string survivors = tree != nullptr ? "" : "nobody could look for it: descriptors or memory were short";
    if (tree != nullptr)
      for (int pid : tree->processes(label, run))
        survivors += (survivors.empty() ? "" : ", ") + command_of(pid) + " (PID " + std::to_string(pid) + ")";
    notes_.push_back(
        {0, label + ": what is left of run " + std::to_string(run) + " cannot be killed: " + survivors, label});
    leftovers_[run] = survivors;
    busy_.erase(busy);
    return true;
  }
  if (tree != nullptr && !tree->kill_leaf(label, run))
    for (int pid : tree->processes(label, run)) {
      Fd pidfd(pidfd_open(pid));
      // The leaf of this run is never used again, so what is in it now is this run's.
      if (pidfd) (void)pidfd_signal(pidfd.get(), SIGKILL);
    }
  link_.wake_in(busy->wait);
  busy->wait = std::min<SpanNs>(busy->wait * 2, milliseconds(100));
  return false;
}

// A run that never had a process has no end of its tree, and its label is not known here.
void KeeperClient::remove_leaf_of(RunId run) {
  const std::string end = "." + std::to_string(run);
  for (const std::string& leaf : cgroups_.leaves())
    if (leaf.ends_with(end)) (void)cgroups_.remove_leaf(leaf.substr(0, leaf.size() - end.size()), run);
}

bool KeeperClient::left_behind(RunId run, const std::string& label) const {
  return cgroups_.has_leaf(label, run) ? !cgroups_.processes(label, run).empty() : output_is_held(run);
}

}  // namespace hearth::os
