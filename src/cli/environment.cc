#include "cli/environment.h"

#include <unistd.h>

#include <algorithm>

namespace hearth::cli {
namespace {

constexpr std::string_view private_beginnings[] = {"HEARTH_", "LISTEN_", "WATCHDOG_", "SSH_", "TMUX", "XDG_SESSION_"};
constexpr std::string_view private_names[] = {"NOTIFY_SOCKET", "INVOCATION_ID", "JOURNAL_STREAM", "_", "OLDPWD", "SHLVL"};

std::string_view name_of(std::string_view line) { return line.substr(0, line.find('=')); }

bool is_private(std::string_view name) {
  return std::ranges::any_of(private_beginnings, [&](std::string_view begin) { return name.starts_with(begin); }) ||
         std::ranges::find(private_names, name) != std::end(private_names);
}

bool well_formed(std::string_view line) {
  const std::size_t equals = line.find('=');
  return equals != line.npos && equals > 0;
}

}  // namespace

std::vector<std::string> own_environment() {
  std::vector<std::string> lines;
  for (char** line = environ; line != nullptr && *line != nullptr; ++line) {
    if (well_formed(*line)) lines.emplace_back(*line);
  }
  return lines;
}

std::vector<std::string> captured_environment(const std::vector<std::string>& lines) {
  std::vector<std::string> kept;
  for (const std::string& line : lines) {
    if (well_formed(line) && !is_private(name_of(line))) kept.push_back(line);
  }
  const auto by_name = [](const std::string& a, const std::string& b) { return name_of(a) < name_of(b); };
  std::stable_sort(kept.begin(), kept.end(), by_name);
  const auto same_name = [](const std::string& a, const std::string& b) { return name_of(a) == name_of(b); };
  kept.erase(std::unique(kept.begin(), kept.end(), same_name), kept.end());
  return kept;
}

}  // namespace hearth::cli
