#include "os/sweep.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "os/cgroup.h"
#include "os/notify_sender.h"
#include "os/peer_run.h"
#include "os/run_identity.h"

namespace hearth::os {

std::uint64_t sweep_mark(const std::string& instance, const std::string& label) {
  return (hash_bytes(label, hash_bytes(instance)) >> 2) | (std::uint64_t{1} << 40);
}

Sweep::Sweep(SweepTarget target) : target_(std::move(target)), tree_name_(tree_name(target_.instance)) {
  for (int output : target_.outputs) {
    struct stat st{};
    if (::fstat(output, &st) < 0) continue;
    outputs_.push_back({st.st_dev, st.st_ino});
    if (Result<Fd> copy = duplicate(output); copy) output_ends_.push_back(std::move(*copy));
  }
}

Sweep::State Sweep::step(MonoNs now) {
  if (began_ == 0) began_ = now;
  const Stats stats = read_all_stats();
  const bool stopped = stop_groups_of_the_dead();
  const bool something_new = freeze_new(find_all(stats), stats) || stopped;
  const bool hunting = something_new || !outran_.empty();
  hunts_ += hunting ? 1 : 0;
  waits_ = hunting ? 0 : waits_ + 1;
  bool gone = false;
  if (!something_new) {
    kill_all();
    gone = all_gone();
    // Where processes came and went while we looked, one of them may have been the service's, each time another.
    // And the kernel knows whether somebody can still write to the output, whoever that is.
    const bool calm = vanished_ == 0 || ++calm_passes_ >= calm_passes_wanted;
    const bool sure = calm && (!suspects_.empty() || !output_is_held());
    if (gone && outran_.empty() && sure && unclear_.empty() && !blind_) {
      if (std::none_of(held_.begin(), held_.end(), [](const Held& h) { return h.refused; })) return State::done;
      name_survivors();
      return State::incomplete;
    }
  }
  if (hunting) calm_passes_ = 0;
  patience_ = !gone ? limit : unclear_.empty() && !blind_ ? 0 : limit_of_unclear;
  if (hunts_ < hunts_max && (waits_ < waits_min || now - began_ < patience_)) return State::again;
  kill_all();  // what is frozen must not stay so
  name_survivors();
  return survivors_.empty() && unclear_.empty() && !blind_ ? State::done : State::incomplete;
}

Sweep::Stats Sweep::read_all_stats() {
  Stats stats;
  zombies_.clear();
  vanished_ = 0;
  const std::vector<pid_t> listed = list_processes();
  blind_ = listed.empty();  // at least we are there
  for (pid_t pid : listed) {
    ProcStat stat;
    if (pid <= 1) continue;
    errno = 0;
    if (!read_stat(pid, stat)) {
      ++vanished_;
      blind_ |= is_shortage(errno);
    } else if (stat.state == 'Z') {
      zombies_.emplace_back(pid, std::move(stat));
    } else if (stat.state != 'X') {
      stats.emplace(pid, std::move(stat));
    }
  }
  return stats;
}

// Of a chain of processes one sees only the dead: the living one is always newer than the list. But the dead tell
// its group. Each group is stopped once.
bool Sweep::stop_groups_of_the_dead() {
  // Its processes have the same mark, and may have groups of their own: nobody would ever continue them.
  if (later_ != no_run) return false;
  bool stopped = false;
  for (const auto& [pid, stat] : zombies_) {
    const bool known = std::find(stopped_groups_.begin(), stopped_groups_.end(), stat.group) != stopped_groups_.end();
    if (known || stat.group <= 1 || stat.group == target_.leader || stat.group == ::getpgrp()) continue;
    if (stat.start_ticks < target_.leader_ticks || !marked(pid, true) || judged_by(pid) != pid) continue;
    stopped_groups_.push_back(stat.group);
    stopped |= ::kill(-stat.group, signal_of_group()) == 0;
  }
  return stopped;
}

// After the last hunt nobody comes back for those who were stopped.
int Sweep::signal_of_group() const {
  return hunts_ + 1 < hunts_max ? SIGSTOP : SIGKILL;
}

// What a process shows of itself. Of a chain of processes one has often ended by now: there its parent tells where it
// was.
Sweep::Evidence Sweep::shown(pid_t pid, const ProcStat& stat, Evidence evidence) {
  const pid_t judge = judged_by(pid);
  if (judge == pid || (judge == 0 && is_in_our_pid_namespace(stat.parent))) return evidence;
  return judge == 0 ? Evidence::unclear : Evidence::none;
}

Sweep::Evidence Sweep::direct_evidence(pid_t pid, const ProcStat& stat, bool leader_holds) const {
  const bool young = stat.start_ticks >= target_.leader_ticks;
  if (later_ != no_run && pid == later_leader_) return Evidence::later;
  const bool has_mark = marked(pid, young);
  if (!young) return has_mark ? shown(pid, stat, Evidence::belongs) : Evidence::none;
  if (pid == target_.leader && stat.start_ticks == target_.leader_ticks) return Evidence::belongs;
  // While the leader's PID is held (by itself or its zombie) a session or group of that number is its own.
  if (leader_holds && (stat.session == target_.leader || stat.group == target_.leader)) return Evidence::belongs;
  bool has_cookie = false;
  const std::string environment = environment_text(pid);
  const std::string slot = value_in(environment, "HEARTH_SLOT", &has_cookie);
  const bool is_of_instance =
      has_cookie && !target_.instance.empty() && value_in(environment, "HEARTH_INSTANCE") == target_.instance;
  const bool has_label = is_of_instance && !slot.empty() && slot == target_.label;
  // Whoever is in no leaf has no label, and a target without one (a run whose label is not known) must not be taken to
  // own all of those: it would kill every process of the machine.
  const std::string cgroup = has_cookie || target_.label.empty() ? "" : cgroup_of(pid);
  const bool has_leaf = !cgroup.empty() && label_below(cgroup, tree_name_) == target_.label;
  const bool names_later = has_label && value_in(environment, "HEARTH_RUN") == std::to_string(later_);
  const bool is_later = later_ != no_run && (names_later || (has_leaf && !leaf_in(cgroup, later_).empty()));
  Evidence evidence = Evidence::none;
  if (has_mark || has_label || has_leaf) evidence = shown(pid, stat, is_later ? Evidence::later : Evidence::belongs);
  if (evidence == Evidence::belongs || evidence == Evidence::later || !writes_to_output(pid)) return evidence;
  if (is_of_instance && !has_label) return Evidence::suspicious;
  return environment.empty() && !has_empty_environment(pid) ? Evidence::unclear : Evidence::belongs;
}

// The system call answers for processes of our own user (and for all, as root) in a fraction of the time that the
// file takes; the file is there for everybody: "Max file locks            unlimited            unlimited    locks".
bool Sweep::marked(pid_t pid, bool read_file_too) const {
  if (target_.mark == 0) return false;
  rlimit locks{};
  if (::prlimit(pid, RLIMIT_LOCKS, nullptr, &locks) == 0) return locks.rlim_cur == target_.mark;
  if (errno != EPERM || !read_file_too) return false;
  Result<std::string> text = read_file("/proc/" + std::to_string(pid) + "/limits", 65536);
  const std::size_t at = text ? text->find("Max file locks") : std::string::npos;
  return at != std::string::npos && std::strtoull(text->c_str() + at + 14, nullptr, 10) == target_.mark;
}

bool Sweep::writes_to_output(pid_t pid) const {
  if (outputs_.empty()) return false;
  const std::string base = "/proc/" + std::to_string(pid);
  DIR* directory = ::opendir((base + "/fd").c_str());
  if (directory == nullptr) return false;
  bool writes = false;
  while (dirent* entry = writes ? nullptr : ::readdir(directory)) {
    struct stat st{};
    if (entry->d_name[0] == '.' || ::fstatat(::dirfd(directory), entry->d_name, &st, 0) < 0) continue;
    if (std::none_of(outputs_.begin(), outputs_.end(), [&](const FifoIdentity& output) {
          return st.st_ino == output.inode && st.st_dev == output.device;
        }))
      continue;
    // Somebody who reads the FIFO by name is no part of the service. fdinfo: "pos:\t0\nflags:\t02\n..." in octal.
    Result<std::string> info = read_file(base + "/fdinfo/" + entry->d_name, 4096);
    const std::size_t at = info ? info->find("flags:") : std::string::npos;
    if (at == std::string::npos) continue;
    writes = (std::strtoul(info->c_str() + at + 6, nullptr, 8) & O_ACCMODE) != O_RDONLY;
  }
  ::closedir(directory);
  return writes;
}

std::vector<pid_t> Sweep::find_all(const Stats& stats) {
  const bool leader_holds =
      target_.leader > 0 && target_.leader_ticks != 0 && start_ticks(target_.leader) == target_.leader_ticks;
  std::unordered_map<pid_t, Evidence> evidence;
  const pid_t self = ::getpid();
  for (const auto& [pid, stat] : stats) {
    const bool spare = pid == self || std::find(target_.spare.begin(), target_.spare.end(), pid) != target_.spare.end();
    if (spare) continue;
    const Evidence found = holds(pid, stat.start_ticks) ? Evidence::belongs : direct_evidence(pid, stat, leader_holds);
    evidence.emplace(pid, found);
  }
  // Children to any depth: also one that has no environment now, before it makes children of its own. What is below a
  // later run has its mark, too, and nothing that tells the two apart.
  const auto pass_on = [&](Evidence from, auto&& is_open) {
    for (bool more = true; more;) {
      more = false;
      for (auto& [pid, state] : evidence) {
        const auto parent = evidence.find(stats.at(pid).parent);
        if (parent == evidence.end() || parent->second != from || !is_open(pid, state)) continue;
        state = from;
        more = true;
      }
    }
  };
  pass_on(Evidence::later, [&](pid_t pid, Evidence state) {
    return state != Evidence::later && !holds(pid, stats.at(pid).start_ticks);
  });
  pass_on(Evidence::belongs, [](pid_t, Evidence state) {
    return state == Evidence::none || state == Evidence::unclear || state == Evidence::later;
  });
  std::vector<pid_t> found;
  suspects_.clear();
  unclear_.clear();
  for (const auto& [pid, state] : evidence) {
    if (state == Evidence::belongs) found.push_back(pid);
    if (state == Evidence::suspicious) suspects_.push_back({pid, command_of(pid)});
    if (state == Evidence::unclear) unclear_.push_back({pid, command_of(pid)});
  }
  return found;
}

bool Sweep::holds(pid_t pid, std::uint64_t ticks) const {
  return std::any_of(held_.begin(), held_.end(), [&](const Held& h) { return h.pid == pid && h.ticks == ticks; });
}

bool Sweep::freeze_new(const std::vector<pid_t>& found, const Stats& stats) {
  bool something_new = false;
  outran_.clear();
  for (pid_t pid : found) {
    const ProcStat& stat = stats.at(pid);
    const std::uint64_t ticks = stat.start_ticks;
    if (holds(pid, ticks)) continue;
    Fd pidfd = open_process(pid, ticks).pidfd;
    if (!pidfd) {
      outran_.push_back({pid, stat.name});
      // Its session was made by the leader or by a descendant: whoever is in this group is one, too. While one of
      // them lives nobody else can get the group's number.
      if (stat.group > 1 && stat.group != ::getpgrp()) ::kill(-stat.group, signal_of_group());
      continue;
    }
    Held held{pid, ticks, std::move(pidfd)};
    held.refused = pidfd_signal(held.pidfd.get(), SIGSTOP) < 0 && errno == EPERM;
    something_new |= !held.refused;
    held_.push_back(std::move(held));
  }
  if (something_new) killing_ = false;
  return something_new;
}

void Sweep::kill_all() {
  killing_ = true;
  for (Held& held : held_) {
    if (held.gone || held.refused) continue;
    if (pidfd_signal(held.pidfd.get(), SIGKILL) < 0 || held.killed) continue;
    held.killed = true;
    ++killed_;
  }
}

bool Sweep::all_gone() {
  bool all = true;
  for (Held& held : held_) {
    if (held.gone || held.refused) continue;
    // Readable: it has ended, whether reaped or not.
    pollfd polled{held.pidfd.get(), POLLIN, 0};
    held.gone = ::poll(&polled, 1, 0) > 0;
    all &= held.gone;
  }
  return all;
}

bool Sweep::output_is_held() const {
  return std::any_of(output_ends_.begin(), output_ends_.end(), [](const Fd& end) {
    pollfd polled{end.get(), 0, 0};
    return ::poll(&polled, 1, 0) == 0;  // no POLLHUP: there is a writer
  });
}

void Sweep::name_survivors() {
  (void)all_gone();
  for (const Held& held : held_)
    if (!held.gone && process_lives(held.pid, held.ticks)) survivors_.push_back({held.pid, command_of(held.pid)});
  for (const FoundProcess& process : outran_)
    survivors_.push_back({process.pid, "[" + process.command + "], which forks faster than it can be held"});
}

}  // namespace hearth::os
