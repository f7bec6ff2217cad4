#include "os/holders.h"

#include <dirent.h>
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

bool holds(pid_t pid, const struct stat& file) {
  const std::string base = descriptors_of(pid);
  const Directory directory(::opendir(base.c_str()));
  if (!directory) return false;
  while (const dirent* entry = ::readdir(directory.get())) {
    struct stat st{};
    if (::stat((base + "/" + entry->d_name).c_str(), &st) == 0 && st.st_dev == file.st_dev && st.st_ino == file.st_ino)
      return true;
  }
  return false;
}

}  // namespace

std::vector<Holder> holders_of(const std::string& path) {
  std::vector<Holder> all;
  struct stat file{};
  if (::stat(path.c_str(), &file) < 0) return all;
  for (const pid_t pid : list_processes()) {
    if (pid == ::getpid() || !holds(pid, file)) continue;
    Holder holder{pid, Fd(pidfd_open(pid)), command_of(pid)};
    // Once more, now that the number is pinned.
    if (holder.pidfd && holds(pid, file)) all.push_back(std::move(holder));
  }
  return all;
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
