#include "points.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <random>
#include <set>
#include <string_view>
#include <sys/syscall.h>
#include <utility>

#include "failures.h"

namespace hearth::kill_anywhere {
namespace {

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t colon = text.find(':');
    parts.push_back(text.substr(0, colon));
    if (colon == text.npos) return parts;
    text.remove_prefix(colon + 1);
  }
}

template <typename Integer>
bool number(std::string_view text, Integer& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

const std::map<long, const char*>& call_names() {
  static const std::map<long, const char*> names = {
      {SYS_read, "read"},
      {SYS_write, "write"},
      {SYS_close, "close"},
      {SYS_fstat, "fstat"},
      {SYS_poll, "poll"},
      {SYS_lseek, "lseek"},
      {SYS_mmap, "mmap"},
      {SYS_mprotect, "mprotect"},
      {SYS_munmap, "munmap"},
      {SYS_brk, "brk"},
      {SYS_rt_sigaction, "rt_sigaction"},
      {SYS_rt_sigprocmask, "rt_sigprocmask"},
      {SYS_ioctl, "ioctl"},
      {SYS_pread64, "pread64"},
      {SYS_pwrite64, "pwrite64"},
      {SYS_access, "access"},
      {SYS_pipe2, "pipe2"},
      {SYS_mremap, "mremap"},
      {SYS_madvise, "madvise"},
      {SYS_dup2, "dup2"},
      {SYS_getpid, "getpid"},
      {SYS_getppid, "getppid"},
      {SYS_socket, "socket"},
      {SYS_connect, "connect"},
      {SYS_accept, "accept"},
      {SYS_accept4, "accept4"},
      {SYS_sendmsg, "sendmsg"},
      {SYS_recvmsg, "recvmsg"},
      {SYS_recvfrom, "recvfrom"},
      {SYS_sendto, "sendto"},
      {SYS_bind, "bind"},
      {SYS_listen, "listen"},
      {SYS_socketpair, "socketpair"},
      {SYS_setsockopt, "setsockopt"},
      {SYS_getsockopt, "getsockopt"},
      {SYS_getsockname, "getsockname"},
      {SYS_getpeername, "getpeername"},
      {SYS_clone, "clone"},
      {SYS_clone3, "clone3"},
      {SYS_fork, "fork"},
      {SYS_vfork, "vfork"},
      {SYS_execve, "execve"},
      {SYS_execveat, "execveat"},
      {SYS_exit, "exit"},
      {SYS_exit_group, "exit_group"},
      {SYS_kill, "kill"},
      {SYS_waitid, "waitid"},
      {SYS_wait4, "wait4"},
      {SYS_fcntl, "fcntl"},
      {SYS_flock, "flock"},
      {SYS_ftruncate, "ftruncate"},
      {SYS_fchmod, "fchmod"},
      {SYS_fchown, "fchown"},
      {SYS_umask, "umask"},
      {SYS_uname, "uname"},
      {SYS_getdents64, "getdents64"},
      {SYS_getcwd, "getcwd"},
      {SYS_unlink, "unlink"},
      {SYS_rename, "rename"},
      {SYS_mkdir, "mkdir"},
      {SYS_rmdir, "rmdir"},
      {SYS_getuid, "getuid"},
      {SYS_geteuid, "geteuid"},
      {SYS_getgid, "getgid"},
      {SYS_getegid, "getegid"},
      {SYS_setpgid, "setpgid"},
      {SYS_setsid, "setsid"},
      {SYS_prctl, "prctl"},
      {SYS_arch_prctl, "arch_prctl"},
      {SYS_setrlimit, "setrlimit"},
      {SYS_getrlimit, "getrlimit"},
      {SYS_prlimit64, "prlimit64"},
      {SYS_futex, "futex"},
      {SYS_set_tid_address, "set_tid_address"},
      {SYS_set_robust_list, "set_robust_list"},
      {SYS_rseq, "rseq"},
      {SYS_epoll_ctl, "epoll_ctl"},
      {SYS_epoll_wait, "epoll_wait"},
      {SYS_epoll_pwait, "epoll_pwait"},
      {SYS_epoll_create1, "epoll_create1"},
      {SYS_eventfd2, "eventfd2"},
      {SYS_signalfd4, "signalfd4"},
      {SYS_timerfd_create, "timerfd_create"},
      {SYS_timerfd_settime, "timerfd_settime"},
      {SYS_openat, "openat"},
      {SYS_openat2, "openat2"},
      {SYS_mkdirat, "mkdirat"},
      {SYS_mknodat, "mknodat"},
      {SYS_fchownat, "fchownat"},
      {SYS_newfstatat, "newfstatat"},
      {SYS_statx, "statx"},
      {SYS_unlinkat, "unlinkat"},
      {SYS_renameat, "renameat"},
      {SYS_renameat2, "renameat2"},
      {SYS_symlinkat, "symlinkat"},
      {SYS_readlink, "readlink"},
      {SYS_readlinkat, "readlinkat"},
      {SYS_faccessat, "faccessat"},
      {SYS_faccessat2, "faccessat2"},
      {SYS_splice, "splice"},
      {SYS_tee, "tee"},
      {SYS_fallocate, "fallocate"},
      {SYS_memfd_create, "memfd_create"},
      {SYS_getrandom, "getrandom"},
      {SYS_close_range, "close_range"},
      {SYS_pidfd_open, "pidfd_open"},
      {SYS_pidfd_send_signal, "pidfd_send_signal"},
      {SYS_dup3, "dup3"},
      {SYS_dup, "dup"},
      {SYS_clock_nanosleep, "clock_nanosleep"},
      {SYS_sched_getaffinity, "sched_getaffinity"},
      {SYS_rt_sigreturn, "rt_sigreturn"},
      {SYS_restart_syscall, "restart_syscall"},
      {SYS_sysinfo, "sysinfo"},
      {SYS_getresuid, "getresuid"},
      {SYS_getresgid, "getresgid"},
      {SYS_gettid, "gettid"},
      {SYS_writev, "writev"},
      {SYS_readv, "readv"},
      {SYS_ppoll, "ppoll"},
      {SYS_shutdown, "shutdown"},
      {SYS_stat, "stat"},
      {SYS_lstat, "lstat"},
      {SYS_open, "open"},
      {SYS_sigaltstack, "sigaltstack"},
      {SYS_sync_file_range, "sync_file_range"},
  };
  return names;
}

// "fail-EIO", "fail-EIOx10".
bool read_failure(std::string_view text, Point& point) {
  text.remove_prefix(5);
  const std::size_t x = text.find('x');
  point.times = 1;
  if (x != text.npos && (!number(text.substr(x + 1), point.times) || point.times < 2)) return false;
  const std::optional<int> failure = failure_of(text.substr(0, x));
  point.failure = failure.value_or(0);
  return failure.has_value();
}

constexpr std::pair<Phase, std::string_view> phase_names[] = {
    {Phase::launch, "launch"},   {Phase::up, "up"},           {Phase::say, "say"},         {Phase::exit, "exit"},
    {Phase::restart, "restart"}, {Phase::end, "end"},         {Phase::stop, "stop"},       {Phase::down, "down"},
    {Phase::probes, "probes"},   {Phase::hooks, "hooks"},     {Phase::signal, "signal"},   {Phase::live, "live"},
    {Phase::apply, "apply"},     {Phase::backlog, "backlog"}, {Phase::upgrade, "upgrade"}, {Phase::after, "after"},
};

constexpr std::pair<Scope, std::string_view> partners[] = {
    {Scope::with_keeper, "keeper"},
    {Scope::with_supervisor, "supervisor"},
    {Scope::with_logger, "logger"},
    {Scope::with_spawner, "spawner"},
};

}  // namespace

std::string_view partner(Scope scope) {
  for (const auto& [with, role] : partners)
    if (with == scope) return role;
  return "";
}

std::optional<Scope> scope_with(std::string_view role) {
  for (const auto& [with, name] : partners)
    if (name == role) return with;
  return std::nullopt;
}

std::string text_of(const Point& point) {
  std::string text;
  if (point.commit != 0) {
    text = "commit:" + std::to_string(point.commit) + ":" + std::to_string(point.instruction);
  } else {
    text = std::to_string(point.ordinal) + ":";
    for (const auto& [phase, name] : phase_names)
      if (phase == point.phase) text += std::string(name) + "/";
    if (point.kind != any_kind) text += call_name(point.kind) + "#";
    text += std::to_string(point.call);
    if (point.times == 0) text += point.after ? ":exit" : ":entry";
    if (point.times != 0) text += ":fail-" + failure_name(point.failure);
    if (point.times > 1) text += "x" + std::to_string(point.times);
  }
  if (point.scope == Scope::everything) text += ":all";
  if (!partner(point.scope).empty()) text += ":with-" + std::string(partner(point.scope));
  return text;
}

std::optional<Point> parse_point(const std::string& text) {
  std::vector<std::string_view> parts = split(text);
  Point point;
  if (parts.size() == 4) {
    const bool with = parts[3].starts_with("with-");
    const std::optional<Scope> scope = parts[3] == "all" ? Scope::everything
                                       : with            ? scope_with(parts[3].substr(5))
                                                         : std::nullopt;
    if (!scope) return std::nullopt;
    point.scope = *scope;
    parts.pop_back();
  }
  if (parts.size() != 3) return std::nullopt;
  if (const std::size_t slash = parts[1].find('/'); slash != std::string_view::npos) {
    for (const auto& [phase, name] : phase_names)
      if (name == parts[1].substr(0, slash)) point.phase = phase;
    if (point.phase == Phase::any) return std::nullopt;
    parts[1].remove_prefix(slash + 1);
  }
  if (const std::size_t hash = parts[1].find('#'); hash != std::string_view::npos) {
    point.kind = call_number(parts[1].substr(0, hash));
    if (point.kind < 0) return std::nullopt;
    parts[1].remove_prefix(hash + 1);
  }
  if (!number(parts[1], point.call)) return std::nullopt;
  if (parts[0] == "commit") {
    point.commit = std::exchange(point.call, 0);
    point.ordinal = 1;  // the supervisor is the keeper's first child
    return point.commit > 0 && number(parts[2], point.instruction) ? std::optional(point) : std::nullopt;
  }
  if (parts[2].starts_with("fail-"))
    return number(parts[0], point.ordinal) && read_failure(parts[2], point) ? std::optional(point) : std::nullopt;
  if (!number(parts[0], point.ordinal) || (parts[2] != "entry" && parts[2] != "exit")) return std::nullopt;
  point.after = parts[2] == "exit";
  return point;
}

std::vector<Call> common_calls(const std::vector<std::vector<Call>>& runs) {
  using Kind = std::pair<Phase, long>;
  std::map<Kind, std::size_t> fewest;
  std::map<std::pair<Kind, std::size_t>, std::size_t> returned;  // in how many runs
  for (std::size_t i = 0; i < runs.size(); ++i) {
    std::map<Kind, std::size_t> counts;
    for (const Call& call : runs[i]) {
      const Kind kind{call.phase, call.kind};
      const std::size_t which = counts[kind]++;
      if (call.returned) ++returned[{kind, which}];
    }
    if (i == 0) fewest = counts;
    for (auto& [kind, count] : fewest) count = std::min(count, counts[kind]);
  }
  std::vector<Call> common;
  std::map<Kind, std::size_t> seen;
  for (Call call : runs.empty() ? std::vector<Call>() : runs.front()) {
    const Kind kind{call.phase, call.kind};
    const std::size_t which = seen[kind]++;
    if (which >= fewest[kind]) continue;
    call.returned = returned[{kind, which}] == runs.size();
    common.push_back(call);
  }
  return common;
}

std::vector<Planned> all_points(const Course& course, Scope scope) {
  std::vector<Planned> planned;
  std::map<std::pair<Phase, long>, std::uint64_t> of_kind;
  for (std::size_t i = 0; i < course.calls.size(); ++i) {
    const Call& call = course.calls[i];
    const std::uint64_t which = of_kind[{call.phase, call.kind}]++;
    for (const bool after : {false, true}) {
      if (after && !call.returned) continue;
      Planned one;
      one.point.ordinal = course.ordinal;
      one.point.phase = call.phase;
      one.point.kind = call.kind;
      one.point.call = which;
      one.at = i;
      one.point.after = after;
      one.point.scope = scope;
      one.role = scope == Scope::everything ? "all" : course.role;
      if (!partner(scope).empty()) one.role += "+" + std::string(partner(scope));
      one.call_number = call.kind;
      planned.push_back(one);
    }
  }
  return planned;
}

namespace {
constexpr std::uint64_t commits_for_all = 8;
}

std::vector<Planned> commit_points(const Course& course, std::uint64_t every_of_last, std::uint64_t some_of_rest) {
  std::vector<Planned> planned;
  for (std::size_t i = 0; i < course.commits.size(); ++i) {
    const std::uint64_t length = course.commits[i];
    const std::uint64_t dense_from = length > every_of_last ? length - every_of_last : 0;
    const std::uint64_t step = std::max<std::uint64_t>(1, dense_from / std::max<std::uint64_t>(1, some_of_rest));
    for (std::uint64_t at = 0; at < length; at += at < dense_from ? step : 1) {
      // Counted from the end, which is the same code in each.
      const bool taken = i == 0 || at < dense_from || (length - at) % commits_for_all == i % commits_for_all;
      if (!taken) continue;
      Planned one;
      one.point.ordinal = course.ordinal;
      one.point.commit = i + 1;
      one.point.instruction = at;
      one.at = i + 1;
      one.role = "commit";
      planned.push_back(one);
      // The first instruction after the sparse part begins the dense one.
      if (at < dense_from && at + step > dense_from) at = dense_from - step;
    }
  }
  return planned;
}

std::vector<Planned> sample(const std::vector<Planned>& planned, std::size_t count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::map<std::string, std::vector<std::size_t>> by_role;
  std::map<std::pair<std::string, long>, std::vector<std::size_t>> by_kind;
  for (std::size_t i = 0; i < planned.size(); ++i) {
    by_role[planned[i].role].push_back(i);
    by_kind[{planned[i].role, planned[i].call_number}].push_back(i);
  }
  std::set<std::size_t> chosen;
  for (auto& [kind, members] : by_kind) chosen.insert(members[random() % members.size()]);
  std::vector<std::vector<std::size_t>*> roles;
  for (auto& [role, members] : by_role) {
    std::shuffle(members.begin(), members.end(), random);
    roles.push_back(&members);
  }
  // In turn from each role until there are enough, or none is left.
  for (bool any = true; any && chosen.size() < count;) {
    any = false;
    for (std::vector<std::size_t>* members : roles) {
      while (!members->empty() && chosen.contains(members->back())) members->pop_back();
      if (members->empty() || chosen.size() >= count) continue;
      chosen.insert(members->back());
      any = true;
    }
  }
  std::vector<Planned> out;
  for (const std::size_t i : chosen) out.push_back(planned[i]);
  return out;
}

std::string call_name(long number) {
  if (number == -1) return "commit";
  const auto it = call_names().find(number);
  return it == call_names().end() ? "call" + std::to_string(number) : it->second;
}

long call_number(std::string_view name) {
  for (const auto& [number, known] : call_names())
    if (name == known) return number;
  long other = -1;
  return name.starts_with("call") && number(name.substr(4), other) ? other : -1;
}

}  // namespace hearth::kill_anywhere
