#include "judge.h"

#include <algorithm>

#include <boost/json.hpp>
#include <fmt/format.h>

namespace hearth::chaos {
namespace {

namespace json = boost::json;

// From here on our services say that they could not do something, and may not have been able to write that down.
constexpr int kOwnTrouble = 114;

// How much too early a run may say that it was born: a tick of the coarsest clock that kernels count in.
constexpr SpanNs kTick = milliseconds(12);

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
    overlaps(name, runs);
    const Planned* service = plan.find(name);
    if (service == nullptr || !service->hooked) return;
    for (const TrueRun& run : runs)
      if (run.befores == 0) violation("run {} of {} began without its before_start", run.run, name);
  }

  // As they say themselves, also of moments in which nobody looked.
  void overlaps(const std::string& name, const std::vector<TrueRun>& runs) {
    const TrueRun* latest = nullptr;  // whose end is the last of those before
    for (const TrueRun& run : runs) {
      if (run.overlaps != 0)
        violation("run {} of {} (PID {}) began while run {} lived", run.run, name, run.pid, run.overlaps);
      else if (latest != nullptr && run.born != 0 && run.born + kTick < latest->ended)
        violation("the process of run {} of {} (PID {}) was made {} ms before run {} had ended", run.run, name, run.pid,
                  (latest->ended - run.born) / ns_per_ms, latest->run);
      if (run.ended != 0 && (latest == nullptr || run.ended > latest->ended)) latest = &run;
    }
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

  struct Kept {
    std::uint64_t run = 0;
    MonoNs at = 0;           // hearth has it; 0 = perhaps
    MonoNs taken_back = 0;   // it was to let go of it from then on
    MonoNs surely_gone = 0;  // and had been told so then
  };

  // Each run was given exactly what those before have left: that very file, once, and not what was taken back.
  void stored(const std::string& name, const std::vector<TrueRun>& runs) {
    std::map<std::uint64_t, Kept> all;  // by inode
    for (const TrueRun& run : runs) {
      std::set<std::uint64_t> given;
      for (const Stored& got : run.got) {
        const auto it = all.find(got.inode);
        if (it == all.end() || it->second.run != got.run)
          violation("run {} of {} was given a descriptor that nobody had stored: inode {}, \"{}\"", run.run, name,
                    got.inode, got.run);
        else if (!given.insert(got.inode).second)
          violation("run {} of {} was given what run {} has stored twice", run.run, name, got.run);
        else if (it->second.surely_gone != 0 && !meets(e.gaps, it->second.surely_gone, run.started))
          violation("run {} of {} was given what run {} had stored, which was removed", run.run, name, got.run);
      }
      if (run.keeps == 0) continue;  // it has not come to say all that it was given
      for (const auto& [inode, kept] : all)
        if (!given.contains(inode) && kept.at != 0 && kept.taken_back == 0 && !meets(e.gaps, kept.at, run.started))
          violation("run {} of {} was not given what run {} had stored", run.run, name, kept.run);
      std::erase_if(all, [&](const auto& one) { return !given.contains(one.first); });
      for (const auto& [inode, at] : run.drops)
        if (all.contains(inode)) all[inode].taken_back = at;
      for (const auto& [inode, at] : run.dropped)
        if (all.contains(inode)) all[inode].surely_gone = at;
      all[run.keeps] = {run.run, run.kept};
    }
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
  for (const auto& [name, runs] : evidence.truth) {
    judge.one_at_a_time(name, runs);
    if (const Planned* service = plan.find(name); service != nullptr && service->stores) judge.stored(name, runs);
  }
  judge.everybody_is_known();
  judge.ready_files();
  return std::move(judge.found);
}

bool meets(const std::vector<Gap>& gaps, MonoNs from, MonoNs until) {
  return std::any_of(gaps.begin(), gaps.end(), [&](const Gap& gap) { return gap.from <= until && gap.until >= from; });
}

bool may_end_unread(const Deaths& deaths, MonoNs at) {
  return std::any_of(deaths.of_all.begin(), deaths.of_all.end(), [&](const DeathOfAll& death) {
    return at >= death.unread_since - milliseconds(100) && at <= death.until;
  });
}

namespace {

// On a machine that is busy: until a keeper has written down what the kernel has told it.
constexpr SpanNs kWritesDown = seconds(1);
// An end that nobody reaps is given up by a keeper after one second: when we were as late, it is our fault.
constexpr SpanNs kReapsInTime = milliseconds(700);

// Who is judged, and when that was.
struct End {
  const TrueRun& run;
  const Deaths& deaths;
  const Adoptions& adoptions;

  const Reaped* reaped() const {
    const auto [first, last] = adoptions.reaped.equal_range(run.pid);
    const auto it = std::find_if(first, last, [&](const auto& one) { return one.second.at >= run.started; });
    return it == last ? nullptr : &it->second;
  }
  // It lived when a keeper died, or had died just before.
  bool saw_its_keeper_die() const {
    return std::any_of(deaths.of_keeper.begin(), deaths.of_keeper.end(), [&](const KeeperDeath& death) {
      return death.at >= run.started - seconds(1) && (run.ended == 0 || death.at <= run.ended + seconds(3));
    });
  }
  // A supervisor, too, may kill a keeper: one that is not there in time.
  bool lives_on(const Held& held, MonoNs until) const {
    const auto [first, last] = adoptions.reaped.equal_range(held.keeper);
    return std::none_of(first, last, [&](const auto& one) { return one.second.killed && one.second.since < until; }) &&
           std::none_of(deaths.of_keeper.begin(), deaths.of_keeper.end(), [&](const KeeperDeath& death) {
             return death.pid == held.keeper && death.blind_since < until;
           });
  }
  // The keeper that had its pidfd before its end, and has outlived that for long enough; null = none.
  const Held* watched() const {
    const Reaped* orphan = reaped();
    if (orphan == nullptr) return nullptr;
    const MonoNs earliest = std::max(run.ended, orphan->since);
    if (orphan->at - earliest > kReapsInTime) return nullptr;
    const auto [first, last] = adoptions.held.equal_range(run.pid);
    const auto it = std::find_if(first, last, [&](const auto& one) {
      const Held& held = one.second;
      return held.since >= run.started && held.since <= earliest && lives_on(held, orphan->at + kWritesDown);
    });
    return it == last ? nullptr : &it->second;
  }
};

// Why the exit, of which the journal says that nobody knows its status, should be known; "" = it need not be.
std::string why_known(const End& end) {
  if (!end.saw_its_keeper_die()) return "no keeper of it has died";
  if (!end.adoptions.kernel_tells) return "";
  if (const Held* held = end.watched(); held != nullptr)
    return fmt::format("keeper {} had a pidfd of it, and has outlived it", held->keeper);
  return end.reaped() == nullptr ? "it was no orphan" : "";
}

}  // namespace

ExitVerdict judge_exits(const Truth& truth, const std::vector<ToldExit>& exits, const std::set<std::uint64_t>& living,
                        const Deaths& deaths, const Adoptions& adoptions, std::uint64_t lost, bool last,
                        std::set<std::uint64_t>& told) {
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
      const End end{run, deaths, adoptions};
      const bool orphan = end.reaped() != nullptr;
      const std::string truly =
          run.exit_code >= 0 ? fmt::format("exited with code {}", run.exit_code) : "did not exit by itself";
      if (!exit.known) {
        const std::string why = why_known(end);
        if (why.empty())
          ++verdict.unknown;
        else if (orphan || last || !adoptions.kernel_tells)
          complain(fmt::format("{}; the journal says that it ended {}, and {}", truly, text_of(exit), why));
        else
          verdict.complete = false;  // it may be on its way to us
        continue;
      }
      if (end.watched() != nullptr) ++verdict.adopted;
      if ((run.exit_code >= 0 && exit.code != run.exit_code) ||
          (run.exit_code < 0 && exit.signal < 0 && exit.code < kOwnTrouble))
        complain(fmt::format("{}; the journal says that it ended {}", truly, text_of(exit)));
    }
  }
  const bool missing = untold.size() > lost;
  verdict.complete = verdict.complete && !missing;
  for (const auto& [slot, run] : untold)
    if (missing && last && told.insert(run->run).second)
      verdict.violations.push_back(fmt::format(
          "run {} of {} (PID {}) has ended, and the journal has no exit of it; it says of {} events that they are lost",
          run->run, slot, run->pid, lost));
  return verdict;
}

}  // namespace hearth::chaos
