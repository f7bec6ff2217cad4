#include "cli/left_behind.h"

#include <algorithm>

#include <fmt/format.h>

#include "cli/answers.h"
#include "os/found_runs.h"
#include "os/proc_stat.h"
#include "os/state_directory.h"

namespace hearth::cli {
namespace {

constexpr std::size_t list_bytes_max = 64u << 20;

}  // namespace

std::vector<LeftRun> left_runs(const std::string& instance_directory) {
  std::vector<LeftRun> left;
  const Result<std::string> text = os::read_file(instance_directory + "/runs.json", list_bytes_max);
  const Result<NotedRuns> noted = text ? noted_runs(*text) : failure(text.error());
  if (noted && noted->boot_id == os::boot_id() && noted->pid_namespace == os::pid_namespace()) {
    for (const NotedRun& run : noted->runs) {
      if (run.run != 0 && os::process_lives(run.pid, run.start_ticks)) left.push_back({run.label, run.pid});
    }
  }
  for (const auto& [run, found] : os::find_runs(instance_directory)) {
    if (std::ranges::find(left, found.pid, &LeftRun::pid) == left.end()) left.push_back({found.label, found.pid});
  }
  std::ranges::sort(left, {}, &LeftRun::label);
  return left;
}

std::string words_of(const std::vector<LeftRun>& runs) {
  constexpr std::size_t most = 6;
  std::string text;
  for (std::size_t i = 0; i < std::min(runs.size(), most); ++i)
    text += fmt::format("{}{} (PID {})", i == 0 ? "" : ", ", runs[i].label, runs[i].pid);
  if (runs.size() > most) text += fmt::format(" and {} more", runs.size() - most);
  return text;
}

bool something_is_left(const std::string& instance_directory) {
  return os::state_is_left(instance_directory) || !left_runs(instance_directory).empty();
}

}  // namespace hearth::cli
