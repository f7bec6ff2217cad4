#include "os/sweep.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace hearth::os {

Sweep::Sweep(SweepTarget target) : target_(std::move(target)) {
  struct stat st {};
  if (target_.output >= 0 && ::fstat(target_.output, &st) == 0) {
    output_device_ = st.st_dev;
    output_inode_ = st.st_ino;
  }
}

Sweep::State Sweep::step(MonoNs now) {
  if (began_ == 0) began_ = now;
  ++passes_;
  const Stats stats = read_all_stats();
  const bool something_new = freeze_new(find_all(stats), stats);
  if (!something_new) {
    kill_all();
    if (all_gone()) {
      if (std::none_of(held_.begin(), held_.end(), [](const Held& h) { return h.refused; })) return State::done;
      name_survivors();
      return State::incomplete;
    }
  }
  if (passes_ < passes_max && now - began_ < limit) return State::again;
  kill_all();  // what is frozen must not stay so
  name_survivors();
  return survivors_.empty() ? State::done : State::incomplete;
}

Sweep::Stats Sweep::read_all_stats() const {
  Stats stats;
  for (pid_t pid : list_processes()) {
    ProcStat stat;
    if (pid > 1 && read_stat(pid, stat) && stat.state != 'Z' && stat.state != 'X') stats.emplace(pid, std::move(stat));
  }
  return stats;
}

Sweep::Evidence Sweep::direct_evidence(pid_t pid, const ProcStat& stat, bool leader_holds) const {
  if (pid == target_.leader && stat.start_ticks == target_.leader_ticks) return Evidence::belongs;
  // While the leader's PID is held (by itself or its zombie) a session or group of that number is its own.
  if (leader_holds && (stat.session == target_.leader || stat.group == target_.leader)) return Evidence::belongs;
  bool has_cookie = false;
  const std::string run = environment_of(pid, "HEARTH_RUN", &has_cookie);
  if (has_cookie && environment_of(pid, "HEARTH_INSTANCE") == target_.instance) {
    if (run == std::to_string(target_.run)) return Evidence::belongs;
    return writes_to_output(pid) ? Evidence::suspicious : Evidence::none;
  }
  return writes_to_output(pid) ? Evidence::belongs : Evidence::none;
}

bool Sweep::writes_to_output(pid_t pid) const {
  if (output_inode_ == 0) return false;
  const std::string base = "/proc/" + std::to_string(pid);
  DIR* directory = ::opendir((base + "/fd").c_str());
  if (directory == nullptr) return false;
  bool writes = false;
  while (dirent* entry = writes ? nullptr : ::readdir(directory)) {
    struct stat st {};
    if (entry->d_name[0] == '.' || ::fstatat(::dirfd(directory), entry->d_name, &st, 0) < 0) continue;
    if (st.st_ino != output_inode_ || st.st_dev != output_device_) continue;
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
  const bool leader_holds = target_.leader > 0 && target_.leader_ticks != 0 &&
                            start_ticks(target_.leader) == target_.leader_ticks;
  std::unordered_map<pid_t, Evidence> evidence;
  suspects_.clear();
  const pid_t self = ::getpid();
  for (const auto& [pid, stat] : stats) {
    const bool spare = pid == self || std::find(target_.spare.begin(), target_.spare.end(), pid) != target_.spare.end();
    if (spare || stat.start_ticks < target_.leader_ticks) continue;
    const Evidence found = holds(pid, stat.start_ticks) ? Evidence::belongs : direct_evidence(pid, stat, leader_holds);
    evidence.emplace(pid, found);
    if (found == Evidence::suspicious) suspects_.push_back({pid, command_of(pid)});
  }
  // Children of what belongs, to any depth.
  std::vector<pid_t> found;
  for (bool more = true; more;) {
    more = false;
    for (auto& [pid, state] : evidence) {
      auto parent = evidence.find(stats.at(pid).parent);
      if (state != Evidence::none || parent == evidence.end() || parent->second != Evidence::belongs) continue;
      state = Evidence::belongs;
      more = true;
    }
  }
  for (const auto& [pid, state] : evidence)
    if (state == Evidence::belongs) found.push_back(pid);
  return found;
}

bool Sweep::holds(pid_t pid, std::uint64_t ticks) const {
  return std::any_of(held_.begin(), held_.end(), [&](const Held& h) { return h.pid == pid && h.ticks == ticks; });
}

bool Sweep::freeze_new(const std::vector<pid_t>& found, const Stats& stats) {
  bool something_new = false;
  for (pid_t pid : found) {
    const std::uint64_t ticks = stats.at(pid).start_ticks;
    if (holds(pid, ticks)) continue;
    Fd pidfd = open_process(pid, ticks);
    if (!pidfd) continue;
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
    if (pidfd_signal(held.pidfd.get(), SIGKILL) == 0) ++killed_;
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

void Sweep::name_survivors() {
  (void)all_gone();
  for (const Held& held : held_)
    if (!held.gone && process_lives(held.pid, held.ticks)) survivors_.push_back({held.pid, command_of(held.pid)});
}

}  // namespace hearth::os
