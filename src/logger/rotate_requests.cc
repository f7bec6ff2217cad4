#include "logger/rotate_requests.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <unistd.h>

namespace hearth::logger {
namespace {

constexpr const char* directory_name = ".rotate";

}  // namespace

RotateRequests::RotateRequests(System& system, int log_directory) : system_(system) {
  system_.make_directory(log_directory, directory_name);
  int64_t fd = system_.open(log_directory, directory_name, O_RDONLY | O_DIRECTORY, 0);
  if (fd < 0) return;
  directory_.reset(static_cast<int>(fd));
  inotify_.reset(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  std::string path = "/proc/self/fd/" + std::to_string(fd);
  if (inotify_ && inotify_add_watch(inotify_.get(), path.c_str(), IN_CREATE | IN_MOVED_TO) < 0) inotify_.reset();
}

std::vector<std::string> RotateRequests::take() {
  std::vector<std::string> names;
  if (!directory_) return names;
  alignas(inotify_event) char events[4096];
  while (read(inotify_.get(), events, sizeof events) > 0) {
  }
  int fd = openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* entries = fd >= 0 ? fdopendir(fd) : nullptr;
  if (entries == nullptr) {
    if (fd >= 0) close(fd);
    return names;
  }
  while (const dirent* entry = readdir(entries)) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  closedir(entries);
  return names;
}

void RotateRequests::done(const std::string& name) {
  system_.remove(directory_.get(), name.c_str());
}

}  // namespace hearth::logger
