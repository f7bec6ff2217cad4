#include "os/proc_stat.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace hearth::os {
namespace {

struct PidfdInfo {  // struct pidfd_info, as of Linux 6.15
  std::uint64_t mask;
  std::uint64_t cgroupid;
  std::uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
  std::int32_t exit_code;
};
constexpr unsigned long get_info = _IOWR(0xFF, 11, PidfdInfo);  // PIDFD_GET_INFO
constexpr std::uint64_t info_exit = 1u << 3;                    // PIDFD_INFO_EXIT

std::string proc_path(pid_t pid, const char* file) {
  return "/proc/" + std::to_string(pid) + "/" + file;
}

}  // namespace

bool parse_stat(const std::string& line, ProcStat& stat) {
  std::size_t open = line.find('(');
  std::size_t close = line.rfind(')');
  if (open == std::string::npos || close == std::string::npos || close < open) return false;
  stat.name = line.substr(open + 1, close - open - 1);
  const char* rest = line.c_str() + close + 1;
  unsigned long long ticks[4] = {};
  unsigned long long threads = 0;
  unsigned long long start = 0;
  unsigned long long pages = 0;
  unsigned long long pending = 0;
  int parent = 0;
  int group = 0;
  int session = 0;
  unsigned long flags = 0;
  // Fields 3 to 6, 9, 14 to 17, 20, 22, 24 and 31.
  int got = std::sscanf(rest,
                        " %c %d %d %d %*s %*s %lu %*s %*s %*s %*s %llu %llu %llu %llu %*s %*s %llu %*s %llu %*s %llu "
                        "%*s %*s %*s %*s %*s %*s %llu",
                        &stat.state, &parent, &group, &session, &flags, &ticks[0], &ticks[1], &ticks[2], &ticks[3],
                        &threads, &start, &pages, &pending);
  if (got != 13) return false;
  constexpr unsigned long forknoexec = 0x40;  // PF_FORKNOEXEC of the kernel's sched.h; 0 where a kernel does not say
  static const auto page_kib = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE) / 1024);
  stat.parent = parent;
  stat.group = group;
  stat.session = session;
  stat.ticks = ticks[0] + ticks[1] + ticks[2] + ticks[3];
  stat.threads = threads;
  stat.start_ticks = start;
  stat.resident_kib = pages * page_kib;
  stat.pending_signals = pending;
  stat.only_forked = (flags & forknoexec) != 0;
  return true;
}

std::optional<int> end_of_reaped(int pidfd) {
  PidfdInfo info{};
  info.mask = info_exit;
  if (::ioctl(pidfd, get_info, &info) < 0 || (info.mask & info_exit) == 0) return std::nullopt;
  return info.exit_code;
}

bool read_stat(pid_t pid, ProcStat& stat) {
  Fd fd(::open(proc_path(pid, "stat").c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return false;
  char buffer[1024];
  ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
  return n > 0 && parse_stat(std::string(buffer, static_cast<std::size_t>(n)), stat);
}

std::uint64_t start_ticks(pid_t pid) {
  ProcStat stat;
  return read_stat(pid, stat) ? stat.start_ticks : 0;
}

Result<std::string> read_boot_id() {
  Result<std::string> text = read_file("/proc/sys/kernel/random/boot_id", 256);
  while (text && !text->empty() && text->back() == '\n') text->pop_back();
  return text;
}

std::string boot_id() {
  return read_boot_id().value_or("");
}

std::uint64_t pid_namespace() {
  struct stat st{};
  return ::stat("/proc/self/ns/pid", &st) == 0 ? st.st_ino : 0;
}

OpenedProcess open_process(pid_t pid) {
  if (pid <= 0) return {Fd(), true};
  Fd pidfd(pidfd_open(pid));
  const bool gone = !pidfd && errno == ESRCH;
  return {std::move(pidfd), gone};
}

OpenedProcess open_process(pid_t pid, std::uint64_t ticks) {
  if (ticks == 0) return {Fd(), true};
  OpenedProcess process = open_process(pid);
  if (!process.pidfd) return process;
  // Compared after the pidfd is there: what has this start time now is what the pidfd names.
  const std::uint64_t its = start_ticks(pid);
  if (its == ticks) return process;
  return {Fd(), its != 0 || is_gone(process.pidfd.get())};
}

Result<bool> whether_lives(pid_t pid, std::uint64_t ticks) {
  if (pid <= 0) return false;
  const std::string path = proc_path(pid, "stat");
  const Result<std::string> line = read_file(path, 4096);
  const int error = line ? 0 : line.error().code;
  if (error == ENOENT || error == ESRCH) return false;
  // /proc with hidepid lets nobody look at those of other users, one of whom has got the number since.
  struct stat st{};
  const bool hidden = error == EPERM || error == EACCES;
  if (hidden && ::stat(proc_path(pid, "").c_str(), &st) == 0 && st.st_uid != ::geteuid()) return false;
  if (!line) return failure(line.error());
  ProcStat stat;
  if (!parse_stat(*line, stat)) return failure(Remedy::environment, "read", path, "it is not as the kernel writes it");
  return stat.start_ticks == ticks && stat.state != 'Z' && stat.state != 'X';
}

bool process_lives(pid_t pid, std::uint64_t ticks) {
  return whether_lives(pid, ticks).value_or(false);
}

Result<std::vector<pid_t>> read_process_list() {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir("/proc"), ::closedir);
  if (!directory) return errno_failure("open", "/proc", errno);
  std::vector<pid_t> pids;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(directory.get());
    if (entry == nullptr) break;
    char* end = nullptr;
    const long pid = std::strtol(entry->d_name, &end, 10);
    if (pid > 0 && *end == 0) pids.push_back(static_cast<pid_t>(pid));
  }
  if (errno != 0) return errno_failure("read", "/proc", errno);
  return pids;
}

std::vector<pid_t> list_processes() {
  return read_process_list().value_or(std::vector<pid_t>());
}

std::string command_of(pid_t pid) {
  Result<std::string> text = read_file(proc_path(pid, "cmdline"), 4u << 20);
  if (text && !text->empty()) {
    while (!text->empty() && text->back() == 0) text->pop_back();
    for (char& c : *text)
      if (static_cast<unsigned char>(c) < ' ') c = ' ';
    if (text->size() > 200) text->resize(200);
    return *text;
  }
  ProcStat stat;
  return read_stat(pid, stat) ? "[" + stat.name + "]" : "";
}

std::string environment_of(pid_t pid, const std::string& name, bool* found) {
  return value_in(environment_text(pid), name, found);
}

Result<std::string> read_environment(pid_t pid) {
  return read_file(proc_path(pid, "environ"), 4u << 20);
}

std::string environment_text(pid_t pid) {
  return read_environment(pid).value_or("");
}

bool says_empty_environment(const std::string& line) {
  std::size_t at = line.rfind(')');
  for (int field = 2; field < 50 && at != std::string::npos; ++field) at = line.find(' ', at + 1);
  unsigned long long start = 0;
  unsigned long long end = 0;
  const bool found = at != std::string::npos && std::sscanf(line.c_str() + at, "%llu %llu", &start, &end) == 2;
  return found && end != 0 && start == end;
}

bool has_empty_environment(pid_t pid) {
  // execve(2) sets the end of it when the texts are there. While it walks over them both are the same for less than a
  // microsecond, hence the second look.
  for (int look = 0; look < 2; ++look) {
    const Result<std::string> text = read_file(proc_path(pid, "stat"), 4096);
    if (!text || !says_empty_environment(*text)) return false;
  }
  return true;
}

std::string value_in(const std::string& environment, const std::string& name, bool* found) {
  if (found != nullptr) *found = false;
  const std::string key = name + "=";
  std::size_t at = 0;
  while (at < environment.size()) {
    std::size_t end = environment.find('\0', at);
    if (end == std::string::npos) end = environment.size();
    if (environment.compare(at, key.size(), key) == 0) {
      if (found != nullptr) *found = true;
      return environment.substr(at + key.size(), end - at - key.size());
    }
    at = end + 1;
  }
  return "";
}

bool same_program(pid_t a, pid_t b) {
  struct stat of_a{};
  struct stat of_b{};
  return ::stat(("/proc/" + std::to_string(a) + "/exe").c_str(), &of_a) == 0 &&
         ::stat(("/proc/" + std::to_string(b) + "/exe").c_str(), &of_b) == 0 && of_a.st_ino == of_b.st_ino &&
         of_a.st_dev == of_b.st_dev;
}

int pidfd_open(pid_t pid) {
  return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
}

int pidfd_signal(int pidfd, int signal) {
  return static_cast<int>(::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0));
}

bool is_gone(int pidfd) {
  return pidfd_signal(pidfd, 0) < 0 && errno == ESRCH;
}

}  // namespace hearth::os
