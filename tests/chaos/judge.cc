#include "judge.h"

#include <algorithm>

#include <boost/json.hpp>
#include <fmt/format.h>

namespace hearth::chaos {
namespace {

namespace json = boost::json;

// From here on our services say that they could not do something, and may not have been able to write that down.
constexpr int kOwnTrouble = 114;

struct Judge {
  const Plan& plan;
  const Evidence& e;
  std::vector<std::string> found;

  template <typename... Args>
  void violation(fmt::format_string<Args...> text, Args&&... args) {
    found.push_back(fmt::format(text, std::forward<Args>(args)...));
  }

  const Living* leader(pid_t pid) const {
    const auto it = std::find_if(e.living.begin(), e.living.end(), [&](const Living& l) { return l.pid == pid; });
    return it == e.living.end() ? nullptr : &*it;
  }

  // What status says of a slot, against the processes that live.
  void slot(const std::string& name, const support::ServiceView& view) {
    if (view.pid > 0) {
      const Living* process = leader(view.pid);
      if (process == nullptr)
        violation("status says that {} is PID {}, which does not live", name, view.pid);
      else if (process->run != view.run)
        violation("status says that {} is PID {}, run {}; that process is of run {}", name, view.pid, view.run,
                  process->run);
    }
    const bool idle =
        view.state == "stopped" || view.state == "failed" || view.state == "completed" || view.state == "backoff";
    if (view.state == "running" && view.pid <= 0)
      violation("status says that {} is running, but not as which process", name);
    if (idle && view.pid > 0) violation("status says that {} is {}, and still PID {}", name, view.state, view.pid);
    if (!view.leftover.empty()) violation("the stop of {} was incomplete: {}", name, view.leftover);
    const auto truth = e.truth.find(name);
    if (truth == e.truth.end()) return;
    for (const TrueRun& run : truth->second) {
      if (run.exit_code >= kOwnTrouble)
        violation("run {} of {} could not do its work: it ended with {}", run.run, name, run.exit_code);
      if (view.exit_run == run.run && view.exit_code && *view.exit_code < kOwnTrouble &&
          run.exit_code != *view.exit_code)
        violation("status says that run {} of {} exited with {}; it said itself {}", run.run, name, *view.exit_code,
                  run.exit_code < 0 ? "nothing" : std::to_string(run.exit_code));
    }
  }

  // Main processes of one slot that live, whatever status says.
  void one_at_a_time(const std::string& name, const std::vector<TrueRun>& runs) {
    std::string alive;
    int count = 0;
    std::uint64_t last = 0;
    for (const TrueRun& run : runs) {
      if (run.run <= last) violation("run {} of {} came after run {}", run.run, name, last);
      last = run.run;
      const Living* process = leader(run.pid);
      if (process == nullptr || process->run != run.run) continue;
      ++count;
      alive += fmt::format(" PID {} (run {})", run.pid, run.run);
    }
    if (count > 1) violation("two runs of {} live at the same time:{}", name, alive);
    const Planned* service = plan.find(name);
    if (service == nullptr || !service->hooked) return;
    for (const TrueRun& run : runs)
      if (run.befores == 0) violation("run {} of {} began without its before_start", run.run, name);
  }

  void everybody_is_known() {
    std::set<std::uint64_t> known;
    for (const auto& [name, view] : e.status.services)
      if (view.pid > 0) known.insert(view.run);
    for (const Living& process : e.living)
      if (!process.hook && (process.run == 0 || !known.contains(process.run)))
        violation("PID {} lives, of run {}, which status does not know as living: {}", process.pid, process.run,
                  process.text);
  }

  void ready_files() {
    for (const auto& [name, text] : e.ready_files) {
      const auto it = e.status.services.find(name);
      const bool ready = it != e.status.services.end() && it->second.ready;
      if (ready == text.empty()) {
        violation("{} is {}, and its ready_file is {}", name, ready ? "ready" : "not ready",
                  text.empty() ? "not there" : "there");
        continue;
      }
      if (text.empty()) continue;
      json::error_code error;
      const json::value value = json::parse(text, error);
      const json::object* object = error ? nullptr : value.if_object();
      const json::value* run = object == nullptr ? nullptr : object->if_contains("run");
      const json::value* pid = object == nullptr ? nullptr : object->if_contains("pid");
      if (run == nullptr || pid == nullptr || !run->is_number() || !pid->is_number())
        violation("the ready_file of {} is not readable: {}", name, text);
      else if (run->to_number<std::uint64_t>() != it->second.run || pid->to_number<pid_t>() != it->second.pid)
        violation("the ready_file of {} speaks of run {}, status of run {}", name, run->to_number<std::uint64_t>(),
                  it->second.run);
    }
  }
};

std::string text_of(const ToldExit& exit) {
  if (!exit.known) return "with a status that nobody knows";
  if (exit.signal >= 0) return fmt::format("by signal {}", exit.signal);
  return fmt::format("with code {}", exit.code);
}

}  // namespace

std::vector<std::string> judge_state(const Plan& plan, const Evidence& evidence) {
  Judge judge{plan, evidence, {}};
  for (const auto& [name, view] : evidence.status.services) judge.slot(name, view);
  for (const auto& [name, runs] : evidence.truth) judge.one_at_a_time(name, runs);
  judge.everybody_is_known();
  judge.ready_files();
  return std::move(judge.found);
}

bool may_end_unread(const Deaths& deaths, MonoNs at) {
  return std::any_of(deaths.of_all.begin(), deaths.of_all.end(), [&](const DeathOfAll& death) {
    return at >= death.unread_since - milliseconds(100) && at <= death.until;
  });
}

ExitVerdict judge_exits(const Truth& truth, const std::vector<ToldExit>& exits, const std::set<std::uint64_t>& living,
                        const Deaths& deaths, std::uint64_t lost, bool last, std::set<std::uint64_t>& told) {
  ExitVerdict verdict;
  std::map<std::uint64_t, std::vector<const ToldExit*>> by_run;
  for (const ToldExit& exit : exits) by_run[exit.run].push_back(&exit);
  std::vector<std::pair<std::string, const TrueRun*>> untold;
  for (const auto& [slot, runs] : truth) {
    for (const TrueRun& run : runs) {
      if (living.contains(run.run) || told.contains(run.run)) continue;
      const auto complain = [&](const std::string& text) {
        told.insert(run.run);
        verdict.violations.push_back(fmt::format("run {} of {} (PID {}) {}", run.run, slot, run.pid, text));
      };
      const std::vector<const ToldExit*>& said = by_run[run.run];
      if (said.empty()) {
        untold.emplace_back(slot, &run);
        continue;
      }
      ++verdict.compared;
      if (said.size() > 1) complain(fmt::format("has {} exits in the journal", said.size()));
      const ToldExit& exit = *said.front();
      const bool adopted = std::any_of(deaths.of_keeper.begin(), deaths.of_keeper.end(), [&](MonoNs at) {
        return at >= run.started - seconds(1) && (run.ended == 0 || at <= run.ended + seconds(3));
      });
      const std::string truly =
          run.exit_code >= 0 ? fmt::format("exited with code {}", run.exit_code) : "did not exit by itself";
      if (!exit.known && adopted)
        ++verdict.unknown;
      else if (!exit.known || (run.exit_code >= 0 && exit.code != run.exit_code) ||
               (run.exit_code < 0 && exit.signal < 0 && exit.code < kOwnTrouble))
        complain(fmt::format("{}; the journal says that it ended {}", truly, text_of(exit)));
    }
  }
  verdict.complete = untold.size() <= lost;
  for (const auto& [slot, run] : untold)
    if (!verdict.complete && last && told.insert(run->run).second)
      verdict.violations.push_back(fmt::format(
          "run {} of {} (PID {}) has ended, and the journal has no exit of it; it says of {} events that they are lost",
          run->run, slot, run->pid, lost));
  return verdict;
}

}  // namespace hearth::chaos
