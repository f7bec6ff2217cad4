// What a run has left behind, for who judges it.
#include <filesystem>

#include "scenario.h"
#include "support/processes.h"

namespace hearth::kill_anywhere {

using namespace support;

namespace {

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error))
    names.push_back(entry.path().string());
  return names;
}

}  // namespace

void Scenario::collect(const Report& report) {
  hub_.read();
  evidence_.story = options_.story;
  evidence_.loss = loss();
  evidence_.reached = tracer_ && tracer_->reached();
  evidence_.calls_failed = failing();
  evidence_.dry_run_killed = evidence_.reached && options_.story == Story::keeper && options_.point.ordinal == 5;
  evidence_.killed_alone = options_.point.scope == Scope::target;
  evidence_.overlaps = hub_.violations();
  for (const ServiceProcess* process : hub_.all())
    evidence_.processes.push_back({process->name, process->pid, process->run, process->listen_fds,
                                   process->listen_names, process->content, process->start_ticks, process->told_exit,
                                   process->ended_ticks});
  for (auto& order : orders_) {
    order->join();
    evidence_.orders.push_back(
        {order->name(), order->orders(), order->report(), order->error(), order->key_unknown(), order->refused()});
    for (const Refusal& refusal : order->refusals())
      evidence_.refusals.push_back({order->name() + ": " + refusal.reason, refusal.after_death});
  }
  evidence_.asked = load_.end();
  evidence_.ended = keeper_ended_;
  // Of those, too, that have left the document.
  for (const auto& [name, directory] : log_directories_) evidence_.logs[name] = log_of(name, directory);
  collect_members(report);
  // After a step that stuck, everything is still there, and the journal's copy may be half a second behind.
  if (!evidence_.stuck.empty()) return;
  evidence_.events = check_events(options_.directory + "/i");
  find_leftovers();
}

LogFindings Scenario::log_of(const std::string& name, const std::string& directory) const {
  const std::map<std::string, std::string> formats = {{"b", "stamped"}, {"c", "json"}, {"m", "stamped"}, {"o", "json"}};
  const auto format = formats.find(name);
  return check_log(directory, format == formats.end() ? "raw" : format->second,
                   read_counters(options_.directory + "/counters/" + name));
}

void Scenario::collect_members(const Report& report) {
  const std::string said = os::read_file(options_.directory + "/stderr").value_or("");
  if (!failing())
    for (const auto& words : {bugs_in(said), crashes_in(said)})
      evidence_.crashes.insert(evidence_.crashes.end(), words.begin(), words.end());
  // One that could not begin beside living services has a successor, as a user starts it.
  evidence_.keeper = tracer_ && !(failing() && revivals_ > 0) ? tracer_->keeper() : 0;
  evidence_.died_as_next = died_as_next_.load();
  evidence_.killed_at_ticks = killed_at_ticks_.load();
  evidence_.answered_at_ticks = answered_at_ticks_;
  if (options_.story == Story::revival) {
    evidence_.begun_anew_at_ticks = launched_at_ticks_;
    evidence_.takeovers_before = 1;
  }
  evidence_.killed_from = killed_from_.load();
  evidence_.killed_to = killed_to_.load();
  evidence_.killed_in_shutdown = killed_in_shutdown_.load();
  for (const pid_t pid : children()) evidence_.hearth_is_left |= program_of(pid).starts_with("hearth-");
  evidence_.starts_known = counts_.known() && counted_revivals_ == revivals_;
  if (!evidence_.starts_known) return;
  evidence_.starts = counts_.starts();
  // Of a call that failed nobody dies but perhaps who made it, which fail_check.h judges.
  const Deaths deaths = deaths_of(options_.story, options_.point, report.role);
  const bool died = failing() ? report.target_ended : evidence_.reached;
  evidence_.allowed = allowed_starts(options_.story, died ? deaths : Deaths{}, static_cast<std::uint32_t>(revivals_));
  // A keeper that could not go on as the other program, and came back, has spawners of its own again.
  if (failing() && options_.story == Story::keeper && report.role == "keeper")
    evidence_.allowed.spawners += wire::spawner_count;
  const bool counted = evidence_.reached && !failing() && !deaths.keeper && !deaths.everything && revivals_ == 0 &&
                       is_followed(options_.story, evidence_.killed_from, evidence_.killed_to);
  if (counted && deaths.spawners > 0) evidence_.least_spawners = evidence_.allowed.spawners;
}

void Scenario::find_leftovers() {
  for (const NamedEnd& end : reap_named())
    if (const std::string crash = crash_of(end); !crash.empty()) evidence_.crashes.push_back(crash);
  for (const pid_t pid : children()) evidence_.left_over.push_back(describe(pid));
  for (const char* part : {"/i/o", "/i/n", "/i/spec"})
    for (const std::string& name : names_in(options_.directory + part)) evidence_.left_over.push_back(name);
  std::error_code error;
  for (const char* name : {"/i/api.sock", "/i/keeper.sock"})
    if (std::filesystem::exists(options_.directory + name, error))
      evidence_.left_over.push_back(options_.directory + name);
  // What was shut down is not to come back with the next hearth.
  const Result<std::string> runs = os::read_file(options_.directory + "/i/runs.json");
  if (!runs || runs->find("\"label\"") != std::string::npos)
    evidence_.left_over.push_back("in runs.json: " + (runs ? *runs : runs.error().text()));
  for (const char* mount : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
    if (!std::filesystem::exists(std::string(mount) + "/cgroup.procs", error)) continue;
    for (auto it = std::filesystem::recursive_directory_iterator(
             mount, std::filesystem::directory_options::skip_permission_denied, error);
         !error && it != std::filesystem::recursive_directory_iterator(); it.increment(error)) {
      const std::string name = it->path().filename().string();
      // Of both projects: the other one's name begins with the first one's.
      if (name.starts_with(project_)) evidence_.left_over.push_back("cgroup leaf " + it->path().string());
    }
  }
}

}  // namespace hearth::kill_anywhere
