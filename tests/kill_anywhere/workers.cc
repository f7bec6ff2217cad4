#include <algorithm>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "campaign.h"
#include "os/fd.h"
#include "support/processes.h"

namespace hearth::kill_anywhere {

using namespace support;

namespace {

constexpr int tries_to_reach = 4;

struct Worker {
  os::Fd results;
  std::string rest;
};

std::string directory_of(const std::string& root, std::size_t index) {
  return root + "/" + std::to_string(index);
}

void work(const CampaignOptions& options, const std::string& root, std::uint64_t commit_offset,
          const std::vector<Planned>& planned, std::size_t first, int results) {
  become_reaper();
  for (std::size_t i = first; i < planned.size(); i += static_cast<std::size_t>(options.jobs)) {
    ScenarioOptions run = options_of_runs(options);
    run.directory = directory_of(root, i);
    run.write_calls = options.keep;
    run.attack = true;
    run.point = planned[i].point;
    run.commit_offset = commit_offset;
    // A commit that is walked through instruction by instruction takes half a minute on a busy machine.
    if (run.point.commit != 0) run.deadline *= 3;
    // Another run may have one call fewer of a kind: the point is tried again before it counts as not reached. A
    // violation ends it at once, for what a run shows is never thrown away.
    RunResult result;
    for (int tries = 0; tries < tries_to_reach; ++tries) {
      std::error_code error;
      if (tries != 0) std::filesystem::remove_all(run.directory, error);
      mkdir(run.directory.c_str(), 0755);
      result = isolated_run(run);
      if (result.report.reached || !result.verdict.violations.empty()) break;
    }
    // The clean run's are known; these would only make the line long.
    result.report.calls.clear();
    if (!os::write_all(results, std::to_string(i) + " " + to_json(result) + "\n", "results")) _exit(1);
  }
  _exit(0);
}

}  // namespace

ScenarioOptions options_of_runs(const CampaignOptions& options) {
  ScenarioOptions run;
  run.programs = options.programs;
  run.supervisor = options.supervisor;
  run.logger = options.logger;
  run.service_mode = options.service_mode;
  run.next = options.next;
  run.story = options.story;
  run.deadline = options.deadline;
  return run;
}

void run_points(const CampaignOptions& options, const std::string& root, std::uint64_t commit_offset,
                const std::vector<Planned>& planned, const std::function<void(Outcome)>& done) {
  std::vector<Worker> workers(static_cast<std::size_t>(options.jobs));
  for (std::size_t w = 0; w < workers.size(); ++w) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return;
    workers[w].results.reset(ends[0]);
    if (fork() == 0) work(options, root, commit_offset, planned, w, ends[1]);
    close(ends[1]);
  }
  const auto at_work = [](const Worker& worker) { return static_cast<bool>(worker.results); };
  while (std::any_of(workers.begin(), workers.end(), at_work)) {
    std::vector<pollfd> polled;
    for (const Worker& worker : workers) polled.push_back({worker.results.get(), POLLIN, 0});
    poll(polled.data(), polled.size(), -1);
    for (std::size_t w = 0; w < workers.size(); ++w) {
      Worker& worker = workers[w];
      if (!worker.results || polled[w].revents == 0) continue;
      char bytes[65536];
      const ssize_t n = read(worker.results.get(), bytes, sizeof bytes);
      if (n <= 0) worker.results.reset();
      if (n > 0) worker.rest.append(bytes, static_cast<std::size_t>(n));
      for (std::size_t end = 0; (end = worker.rest.find('\n')) != std::string::npos;) {
        const std::string line = worker.rest.substr(0, end);
        worker.rest.erase(0, end + 1);
        const std::size_t index = std::stoul(line);
        Outcome outcome{planned[index], result_from_json(line.substr(line.find(' ') + 1)), directory_of(root, index)};
        if (outcome.result.verdict.violations.empty() && !options.keep) {
          std::error_code error;
          std::filesystem::remove_all(outcome.directory, error);
          outcome.directory.clear();
        }
        done(std::move(outcome));
      }
    }
  }
  while (wait(nullptr) > 0) {
  }
}

}  // namespace hearth::kill_anywhere
