#include "os/holders.h"

#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/proc_stat.h"

namespace hearth::os {
namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

using Directory = std::unique_ptr<DIR, CloseDirectory>;

std::string descriptors_of(pid_t pid) {
  return "/proc/" + std::to_string(pid) + "/fd";
}

// As the kernel knows it without asking its server, which may be gone: nfs(5), FUSE.
bool look_at(const std::string& path, struct statx& file) {
  return ::statx(AT_FDCWD, path.c_str(), AT_STATX_DONT_SYNC, STATX_INO, &file) == 0;
}

// As proc_pid_fdinfo(5) has it. Whoever only reads a lock file, as a backup does, is none that has its lock.
bool may_write(pid_t pid, const char* number) {
  const Result<std::string> info = read_file("/proc/" + std::to_string(pid) + "/fdinfo/" + number);
  const std::size_t at = info ? info->find("flags:") : std::string::npos;
  return at == std::string::npos || (std::strtoul(info->c_str() + at + 6, nullptr, 8) & O_ACCMODE) != O_RDONLY;
}

bool holds(pid_t pid, const struct statx& file) {
  const std::string base = descriptors_of(pid);
  const Directory directory(::opendir(base.c_str()));
  if (!directory) return false;
  while (const dirent* entry = ::readdir(directory.get())) {
    struct statx its{};
    if (look_at(base + "/" + entry->d_name, its) && its.stx_ino == file.stx_ino &&
        its.stx_dev_major == file.stx_dev_major && its.stx_dev_minor == file.stx_dev_minor &&
        may_write(pid, entry->d_name))
      return true;
  }
  return false;
}

}  // namespace

std::vector<Holder> holders_of(const std::string& path) {
  std::vector<Holder> all;
  struct statx file{};
  if (!look_at(path, file)) return all;
  for (const pid_t pid : list_processes()) {
    if (pid == ::getpid() || !holds(pid, file)) continue;
    Holder holder{pid, Fd(pidfd_open(pid)), command_of(pid)};
    // Once more, now that the number is pinned.
    if (holder.pidfd && holds(pid, file)) all.push_back(std::move(holder));
  }
  return all;
}

bool holds_file(pid_t pid, const std::string& path) {
  struct statx file{};
  return pid > 0 && look_at(path, file) && holds(pid, file);
}

std::optional<DescriptorUse> descriptor_use(pid_t pid) {
  const Directory directory(::opendir(descriptors_of(pid).c_str()));
  rlimit limit{};
  if (!directory || ::prlimit(pid, RLIMIT_NOFILE, nullptr, &limit) < 0) return std::nullopt;
  DescriptorUse use{0, limit.rlim_cur, limit.rlim_max};
  while (const dirent* entry = ::readdir(directory.get())) use.open += entry->d_name[0] != '.' ? 1 : 0;
  return use;
}

}  // namespace hearth::os
