#include "cli/left_behind.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <set>
#include <sys/stat.h>

#include <fmt/format.h>

#include "cli/answers.h"
#include "os/found_runs.h"
#include "os/instance.h"
#include "os/own_file.h"
#include "os/proc_stat.h"
#include "os/state_directory.h"

namespace hearth::cli {
namespace {

constexpr std::size_t list_bytes_max = 64u << 20;

// Whoever reads from a FIFO has it open, or to open it for writing alone fails (fifo(7)); a service has its own for both.
bool output_is_open(const std::string& instance_directory, std::uint64_t run) {
  const std::string path = instance_directory + "/" + os::fifo_name(run);
  struct stat st{};
  const os::Fd end(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
  return end && ::fstat(end.get(), &st) == 0 && S_ISFIFO(st.st_mode);
}

}  // namespace

std::vector<LeftRun> left_runs(const std::string& instance_directory) {
  std::vector<LeftRun> left;
  const Result<std::string> text = os::read_own_file(instance_directory + "/runs.json", list_bytes_max);
  const Result<NotedRuns> noted = text ? noted_runs(*text) : failure(text.error());
  if (noted && noted->boot_id == os::boot_id() && noted->pid_namespace == os::pid_namespace()) {
    for (const NotedRun& run : noted->runs) {
      if (run.run != 0 && os::process_lives(run.pid, run.start_ticks)) left.push_back({run.label, run.pid});
    }
  }
  const auto all = os::find_runs(instance_directory).value_or(std::map<RunId, os::FoundRun>());
  for (const auto& [run, found] : all) {
    if (std::ranges::find(left, found.pid, &LeftRun::pid) == left.end()) left.push_back({found.label, found.pid});
  }
  std::ranges::sort(left, {}, &LeftRun::label);
  return left;
}

std::vector<RunElsewhere> runs_elsewhere(const std::string& instance_directory) {
  const Result<std::string> text = os::read_own_file(instance_directory + "/runs.json", list_bytes_max);
  const Result<NotedRuns> noted = text ? noted_runs(*text) : failure(text.error());
  if (!noted || noted->boot_id != os::boot_id() || noted->pid_namespace == os::pid_namespace()) return {};
  std::vector<RunElsewhere> all;
  std::set<std::uint64_t> known;
  for (const NotedRun& run : noted->runs)
    if (run.run != 0 && known.insert(run.run).second)
      all.push_back({run.label, output_is_open(instance_directory, run.run)});
  // The list is up to 100 ms behind.
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(instance_directory + "/o", error)) {
    const std::uint64_t run = std::strtoull(entry.path().filename().c_str(), nullptr, 10);
    if (!known.contains(run) && output_is_open(instance_directory, run))
      all.push_back({fmt::format("run {}", run), true});
  }
  return all;
}

std::string words_of(const std::vector<RunElsewhere>& runs) {
  const bool some_live = std::ranges::any_of(runs, &RunElsewhere::lives);
  std::string text;
  for (const RunElsewhere& run : runs)
    if (run.lives || !some_live) text += (text.empty() ? "" : ", ") + run.label;
  return text;
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
