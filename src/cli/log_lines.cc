#include "cli/log_lines.h"

#include <dirent.h>

#include <algorithm>
#include <string>

#include "os/fd.h"

namespace hearth::cli {

std::vector<std::string> last_lines(const SlotNews& slot, std::size_t count) {
  std::vector<std::string> names;
  if (DIR* directory = ::opendir(slot.log_directory.c_str())) {
    while (const dirent* entry = ::readdir(directory)) {
      const std::string name = entry->d_name;
      if (name.ends_with(".log") && name[0] != '.') names.push_back(name);
    }
    ::closedir(directory);
  }
  std::sort(names.begin(), names.end());
  std::vector<std::string> lines;
  for (auto name = names.rbegin(); name != names.rend() && lines.size() < count; ++name) {
    const Result<std::string> text = os::read_file(slot.log_directory + "/" + *name, 64u << 20);
    if (!text) break;
    std::vector<std::string> here;
    std::string_view rest = *text;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      here.emplace_back(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    lines.insert(lines.begin(), here.begin(), here.end());
  }
  if (lines.size() > count) lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(count));
  return lines;
}

}  // namespace hearth::cli
