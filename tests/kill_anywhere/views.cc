#include "views.h"

#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <set>
#include <string_view>
#include <unistd.h>

#include "model/slot_state.h"
#include "os/fd.h"
#include "wire/decision_page.h"

namespace hearth::kill_anywhere {

os::Fd open_file_of(pid_t pid, std::string_view wanted) {
  const std::string directory = "/proc/" + std::to_string(pid) + "/fd";
  DIR* fds = opendir(directory.c_str());
  os::Fd found;
  while (const dirent* entry = fds == nullptr ? nullptr : readdir(fds)) {
    const std::string link = directory + "/" + entry->d_name;
    char target[256];
    const ssize_t n = readlink(link.c_str(), target, sizeof target);
    const std::string_view name(target, n <= 0 ? 0 : static_cast<std::size_t>(n));
    if (name.find(wanted) != name.npos) found.reset(open(link.c_str(), O_RDONLY | O_CLOEXEC));
    if (found) break;
  }
  if (fds != nullptr) closedir(fds);
  return found;
}

std::string path_of(pid_t pid) {
  char buffer[4096];
  const ssize_t n = readlink(("/proc/" + std::to_string(pid) + "/exe").c_str(), buffer, sizeof buffer);
  return std::string(buffer, n <= 0 ? 0 : static_cast<std::size_t>(n));
}

std::optional<PageView> read_page(pid_t supervisor) {
  const os::Fd fd = open_file_of(supervisor, "decision-page");
  if (!fd) return std::nullopt;
  const auto page = os::Mapping<wire::DecisionPage>::map(fd.get(), os::Access::read, "the decision page");
  if (!page) return std::nullopt;
  PageView view;
  const std::uint64_t commit = (*page)->commit.load();
  std::set<std::string> keys;
  for (const wire::OperationRecord& record : (*page)->operation) {
    if (record.stamp == 0 || record.stamp > commit) continue;
    ++view.operations;
    if (!keys.insert(std::string(reinterpret_cast<const char*>(record.key), sizeof record.key)).second)
      ++view.doubled_keys;
  }
  for (SlotIndex slot = 0; slot < 64; ++slot) {
    SlotState state;
    if (wire::read_slot(**page, slot, &state, sizeof state) && state.used)
      view.watchdog_at[state.run().run] = state.health.watchdog.at;
  }
  return view;
}

}  // namespace hearth::kill_anywhere
