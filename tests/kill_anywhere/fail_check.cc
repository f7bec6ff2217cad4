#include "fail_check.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <signal.h>
#include <sstream>
#include <string>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <vector>

#include <boost/json.hpp>

#include "os/fd.h"

namespace hearth::kill_anywhere {
namespace {

bool is_of_memory(long kind) {
  return kind == SYS_mmap || kind == SYS_brk || kind == SYS_mremap || kind == SYS_mprotect;
}

bool is_of_removal(long kind) {
  return kind == SYS_unlink || kind == SYS_unlinkat || kind == SYS_rmdir;
}

namespace json = boost::json;

std::string text_in(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

// How each run of the service ended, in order.
std::vector<json::object> exits_of(const std::string& events, const std::string& service) {
  std::istringstream in(events);
  std::vector<json::object> exits;
  for (std::string line; std::getline(in, line);) {
    json::error_code error;
    const json::value value = json::parse(line, error);
    const json::object* event = error ? nullptr : value.if_object();
    const json::value* exit = event == nullptr ? nullptr : event->if_contains("exit");
    if (exit != nullptr && exit->is_object() && text_in(*event, "kind") == "exit" &&
        text_in(*event, "service").ends_with("." + service + ".0"))
      exits.push_back(exit->get_object());
  }
  return exits;
}

bool is_refused_start(const json::object& exit) {
  const json::value* started = exit.if_contains("started");
  return started != nullptr && *started == json::value(false);
}

// An end of the service with that code, and behind it a start of the same that was refused.
bool exit_is_told(const std::string& events, const std::string& service, int code) {
  bool told = false;
  for (const json::object& exit : exits_of(events, service)) {
    if (told && is_refused_start(exit)) return true;
    const json::value* with = exit.if_contains("code");
    if (with != nullptr && *with == json::value(code)) told = true;
  }
  return false;
}

// The services of which an order's report says that their start was refused, and will be made; none where it says that of
// one which is not.
std::vector<std::string> failed_and_wait(const std::string& violation) {
  const std::size_t from = violation.find('{');
  json::error_code error;
  const json::value value = from == violation.npos ? json::value() : json::parse(violation.substr(from), error);
  const json::object* top = error ? nullptr : value.if_object();
  const json::value* slots = top == nullptr ? nullptr : top->if_contains("slots");
  if (slots == nullptr || !slots->is_array()) return {};
  std::vector<std::string> waiting;
  for (const json::value& slot : slots->get_array()) {
    if (!slot.is_object() || text_in(slot.get_object(), "outcome") != "failed") continue;
    // Without a pause between the tries it is at the next one already.
    const bool refused = text_in(slot.get_object(), "reason") == "refused";
    if (text_in(slot.get_object(), "state") != "backoff" && !refused) return {};
    waiting.push_back(text_in(slot.get_object(), "name"));
  }
  return waiting;
}

// The keeper's last line for people, or that of the start of its libc.
std::string why_it_did_not_start(const std::string& said) {
  std::istringstream in(said);
  std::string why;
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("hearth-keeper: ") || line.starts_with("hearth: ") ||
        line.find(": error while loading shared libraries: ") != line.npos || line.starts_with("Fatal glibc error: "))
      why = line;
  return why;
}

std::string ending(int status) {
  if (WIFSIGNALED(status)) return "was killed by signal " + std::to_string(WTERMSIG(status));
  return "exited with " + std::to_string(WEXITSTATUS(status));
}

// As a program does that knows what has failed.
bool gave_up(const Report& report) {
  const int status = report.target_status;
  if (WIFEXITED(status)) return WEXITSTATUS(status) != 0;
  return is_of_memory(report.call_number) && WTERMSIG(status) == SIGABRT;
}

// docs/internals/out-of-memory.md: the keeper and its spawners have no heap.
bool may_end_for_memory(const Report& report) {
  return is_of_memory(report.call_number) && gave_up(report) &&
         (report.role == "supervisor" || report.role == "logger");
}

// docs/internals/not-yet.md: a keeper that has no memory while it executes another program.
bool may_end_executing(const Report& report, const Evidence& evidence) {
  return evidence.story == Story::keeper && report.role == "keeper" && report.executing && report.failure == ENOMEM;
}

void judge_refusals(const Report& report, const Evidence& evidence, Verdict& verdict) {
  for (const SeenRefusal& refusal : evidence.refusals) {
    // Whoever is refused must be able to tell what to do about it.
    if (!refusal.says("\"error\"") && !refusal.says("\"message\""))
      verdict.violations.push_back("an order was refused without a reason: " + refusal.text);
    if (refusal.tells_a_death() && !report.target_ended)
      verdict.violations.push_back("an order was refused for a death, and nobody died: " + refusal.text);
    verdict.tolerated.push_back("an order was refused with the reason, and taken when it was given again: " +
                                refusal.text);
  }
}

// Starts that were refused and made later are told otherwise than those of a story in peace.
void excuse_refused_starts(const std::string& directory, Verdict& verdict) {
  // Of a run that could not be started afterwards status tells the newest end; the one before stands in the events.
  const std::string events = os::read_file(directory + "/i/events.1.jsonl").value_or("") +
                             os::read_file(directory + "/i/events.jsonl").value_or("");
  for (const auto& [service, code] : {std::pair("c", 7), std::pair("d", 9), std::pair("j", 0)}) {
    const std::string text = "exit code " + std::to_string(code) + " of " + service;
    const auto told = [&](const std::string& v) { return v.starts_with(text) && exit_is_told(events, service, code); };
    if (std::erase_if(verdict.violations, told) > 0)
      verdict.tolerated.push_back(
          "an exit code stands in the events, and status tells of a start that was refused since");
  }
  // Each try of a start has its before_start, and one that is refused by hearth itself no after_stop (lifecycle.h).
  const auto h = exits_of(events, "h");
  const bool h_refused = std::any_of(h.begin(), h.end(), is_refused_start);
  if (h_refused && std::erase(verdict.violations,
                              "the hooks were not run once each: before_start\nbefore_start\n"
                              "after_start\nbefore_stop\nafter_stop\n") > 0)
    verdict.tolerated.push_back("a start was refused behind its before_start, and made later with another");
  // An order that waits for a start ends as failed when that is refused, and the start is tried again all the same.
  bool b_waits = false;
  std::erase_if(verdict.violations, [&](const std::string& v) {
    if (!v.starts_with("the order \"")) return false;
    const std::vector<std::string> waiting = failed_and_wait(v);
    const bool waits = !waiting.empty();
    b_waits |= std::ranges::find(waiting, "b") != waiting.end();
    if (waits) verdict.tolerated.push_back("an order ended as failed, and the start was made later: " + v);
    return waits;
  });
  // Whoever waits for that order has the new b write, and say that it is ready; nobody did.
  if (b_waits)
    std::erase_if(verdict.violations, [](const std::string& v) {
      return v == "b is starting, not ready" || v == "the log of b was not rotated";
    });
}

// A listening socket that the dead have left to its service alone, which ended before it could be looked for.
void excuse_who_waited_in_vain(const std::string& directory, const Report& report, Verdict& verdict) {
  const std::string events = os::read_file(directory + "/i/events.jsonl").value_or("");
  const bool told = report.role == "supervisor" &&
                    events.find("who waits for a service to accept is lost if that ends meanwhile") != events.npos;
  std::erase_if(verdict.violations, [&](const std::string& v) {
    const bool excused = told && v.starts_with("who waited in the backlog of k was not answered: ");
    if (excused) verdict.tolerated.push_back("a listening socket ended unseen with its service, as was said: " + v);
    return excused;
  });
}

void excuse_what_the_disk_refused(const Report& report, Verdict& verdict) {
  // What the disk does not let go stays, and nothing else: one for each removal that failed.
  std::uint32_t kept = is_of_removal(report.call_number) ? report.failed : 0;
  std::erase_if(verdict.violations, [&](const std::string& v) {
    const bool file = v.starts_with("left over: /") || v.starts_with("left over: cgroup leaf");
    if (!file || kept == 0) return false;
    --kept;
    verdict.tolerated.push_back("what could not be removed is there: " + v);
    return true;
  });
  // A logger that cannot make the next file goes on in the one that it has.
  std::erase_if(verdict.violations, [&](const std::string& v) {
    const bool went_on = report.role == "logger" && v.starts_with("the log of ") && v.ends_with(" was not rotated");
    if (went_on) verdict.tolerated.push_back("the next file could not be made: " + v);
    return went_on;
  });
  // docs/internals/not-yet.md: an end that could not be written down, by who writes it.
  std::erase_if(verdict.violations, [&](const std::string& v) {
    const bool unwritten = report.role == "supervisor" && v.starts_with("left over: in runs.json: cannot open");
    if (unwritten) verdict.tolerated.push_back("the end of hearth was not written to runs.json: " + v);
    return unwritten;
  });
}

struct EventLoss {
  std::uint64_t told = 0, missing = 0;
};

// What a violation says of events that are not there, or are told not to be.
std::optional<EventLoss> loss_of(const std::string& violation) {
  unsigned long long lost = 0, next = 0, last = 0;
  // One that is doubled or out of order is no loss.
  if (std::sscanf(violation.c_str(), "in the event journal: event %llu follows %llu", &next, &last) == 2)
    return next > last ? std::optional(EventLoss{0, next - last - 1}) : std::nullopt;
  const bool told = std::sscanf(violation.c_str(), "in the event journal: %llu event", &lost) == 1 &&
                    violation.find(" could not be written and ") != violation.npos;
  return told ? std::optional(EventLoss{lost, 0}) : std::nullopt;
}

// How many events of a run a violation says to be missing; none where it complains of too many.
std::uint64_t missing_of_a_run(const std::string& violation) {
  unsigned long long begun = 0, ended = 0;
  const std::size_t at = violation.find(" began, and ");
  const bool of_run = std::sscanf(violation.c_str(), "the event journal says %llu times that run", &begun) == 1 &&
                      at != violation.npos &&
                      std::sscanf(violation.c_str() + at, " began, and %llu times that it ended", &ended) == 1;
  if (!of_run || begun > 1 || ended > 1) return 0;
  return (1 - begun) + (1 - ended);
}

// What DIR/state does not take is lost, counted, and told by the next event that it does take.
void excuse_events_that_are_told_as_lost(const Report& report, Verdict& verdict) {
  EventLoss all;
  for (const std::string& violation : verdict.violations) {
    const EventLoss one = loss_of(violation).value_or(EventLoss{});
    all = {all.told + one.told, all.missing + one.missing};
  }
  // An event that tells a loss, and is lost itself, is not counted: one for each time that they could not be written.
  const bool excused = report.role == "supervisor" && all.told != 0 && all.told <= all.missing &&
                       all.missing - all.told <= report.failed;
  if (!excused) return;
  verdict.tolerated.push_back("events were lost, and are told as lost: " + std::to_string(all.told));
  std::uint64_t left = all.missing;
  std::erase_if(verdict.violations, [&](const std::string& violation) {
    if (loss_of(violation)) return true;
    const std::uint64_t of_run = missing_of_a_run(violation);
    if (of_run == 0 || of_run > left) return false;
    left -= of_run;
    return true;
  });
}

// `why`: what a keeper that did not start said at last.
void judge_end(const Report& report, const Evidence& evidence, const std::string& why, Verdict& verdict) {
  if (!report.target_ended) {
    // Nobody else ends of it either (Evidence::allowed). Of those that were not up yet one may, and be started again.
    if (report.had_waited && evidence.story != Story::upgrade && evidence.last.takeovers > evidence.takeovers_before)
      verdict.violations.push_back("a supervisor ended for a call of another process that failed");
    return;
  }
  if (report.role == "dry-run") return;  // it is there to end, and the keeper to live on
  const bool on_purpose = WIFEXITED(report.target_status) && WEXITSTATUS(report.target_status) == 0;
  const std::string what = "the process " + ending(report.target_status);
  // Whoever gives way to the next program. In the other stories who ends so has taken a living keeper for dead.
  if (on_purpose && evidence.story == Story::upgrade && evidence.stuck.empty()) return;
  // A keeper kills a supervisor that has let go of it, and may be at its exit.
  const bool was_let_go =
      WIFSIGNALED(report.target_status) && WTERMSIG(report.target_status) == SIGKILL && report.role == "supervisor";
  // So early it is the dynamic loader that has got no memory.
  const bool is_loader = WIFSIGNALED(report.target_status) && WTERMSIG(report.target_status) == SIGSEGV &&
                         is_of_memory(report.call_number) && report.trail.find("execve") != report.trail.npos;
  if (!report.had_waited && (gave_up(report) || was_let_go || is_loader)) {
    // It was not up yet. The keeper's members are started again; a keeper is refused with its reason.
    verdict.tolerated.push_back("a process that could not start ended, and was started again: " + what);
    if (evidence.story == Story::revival && report.role == "keeper" && why.empty())
      verdict.violations.push_back("a keeper did not start beside living services, and did not say why");
    const bool refused = WIFEXITED(report.target_status) && !on_purpose && !why.empty() && !evidence.hearth_is_left;
    if (evidence.processes.empty() && report.role == "keeper" && report.keeper_exited && refused) {
      verdict.violations = evidence.crashes;  // whoever crashed beside it did not refuse to start
      verdict.tolerated.push_back("hearth did not start, and said why: " + why);
    }
    return;
  }
  if (may_end_for_memory(report)) {
    verdict.tolerated.push_back("for want of memory, as out-of-memory.md says: " + what);
    return;
  }
  if (may_end_executing(report, evidence)) {
    verdict.tolerated.push_back("without memory in its exec, as not-yet.md says: " + what);
    std::erase_if(verdict.violations, [](const std::string& v) {
      const bool unknown = v.starts_with("exit code ") && v.ends_with(" is not known");
      return unknown || v.starts_with("the keeper was not killed, and is PID") ||
             v.starts_with("the keeper ended with wait status");
    });
    return;
  }
  verdict.violations.push_back(what + " for a call that failed");
}

}  // namespace

void judge_failure(const Report& report, const Evidence& evidence, const std::string& directory, Verdict& verdict) {
  const std::string said = os::read_file(directory + "/stderr").value_or("");
  excuse_refused_starts(directory, verdict);
  excuse_who_waited_in_vain(directory, report, verdict);
  excuse_what_the_disk_refused(report, verdict);
  excuse_events_that_are_told_as_lost(report, verdict);
  judge_end(report, evidence, why_it_did_not_start(said), verdict);
  judge_refusals(report, evidence, verdict);
  // Last: nothing excuses them.
  const std::vector<std::string> bugs = bugs_in(said);
  verdict.violations.insert(verdict.violations.end(), bugs.begin(), bugs.end());
}

}  // namespace hearth::kill_anywhere
