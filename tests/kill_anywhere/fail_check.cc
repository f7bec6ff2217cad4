#include "fail_check.h"

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <optional>
#include <string>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <vector>

namespace hearth::kill_anywhere {
namespace {

bool is_of_memory(long kind) {
  return kind == SYS_mmap || kind == SYS_brk || kind == SYS_mremap || kind == SYS_mprotect;
}

bool is_of_removal(long kind) {
  return kind == SYS_unlink || kind == SYS_unlinkat || kind == SYS_rmdir;
}

bool exit_is_told(const std::string& directory, int code) {
  std::ifstream in(directory + "/i/events.jsonl");
  for (std::string line; std::getline(in, line);)
    if (line.find("\"exit\":{\"code\":" + std::to_string(code) + "}") != std::string::npos) return true;
  return false;
}

std::string ending(int status) {
  if (WIFSIGNALED(status)) return "was killed by signal " + std::to_string(WTERMSIG(status));
  return "exited with " + std::to_string(WEXITSTATUS(status));
}

// docs/internals/out-of-memory.md: the keeper and its spawners have no heap.
bool may_end_for_memory(const Report& report) {
  return is_of_memory(report.call_number) && (report.role == "supervisor" || report.role == "logger");
}

void judge_refusals(const Evidence& evidence, Verdict& verdict) {
  for (const std::string& refusal : evidence.refusals) {
    // Whoever is refused must be able to tell what to do about it.
    if (refusal.find("\"error\"") == std::string::npos && refusal.find("\"message\"") == std::string::npos)
      verdict.violations.push_back("an order was refused without a reason: " + refusal);
    verdict.tolerated.push_back("an order was refused with the reason, and taken when it was given again: " + refusal);
  }
}

// Starts that were refused and made later are told otherwise than those of a story in peace.
void excuse_refused_starts(const std::string& directory, Verdict& verdict) {
  // Of a run that could not be started afterwards status tells the newest end; the one before stands in the events.
  for (const int code : {7, 9}) {
    const std::string text = "exit code " + std::to_string(code);
    if (std::erase_if(verdict.violations,
                      [&](const std::string& v) { return v.starts_with(text) && exit_is_told(directory, code); }) > 0)
      verdict.tolerated.push_back(
          "an exit code stands in the events, and status tells of a start that was refused since");
  }
  // An order that waits for a start ends as failed when that is refused, and the start is tried again all the same.
  const auto ended_early = std::erase_if(verdict.violations, [&](const std::string& v) {
    const bool waits = v.starts_with("the order \"") && v.find("\"outcome\":\"failed\"") != std::string::npos &&
                       v.find("\"state\":\"backoff\"") != std::string::npos;
    if (waits) verdict.tolerated.push_back("an order ended as failed, and the start was made later: " + v);
    return waits;
  });
  // Whoever waits for that order tells the new b that it is ready; nobody did.
  if (ended_early != 0) std::erase(verdict.violations, "b is starting, not ready");
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
  // docs/internals/not-yet.md: an end that could not be written down, by who writes it.
  std::erase_if(verdict.violations, [&](const std::string& v) {
    const bool unwritten = report.role == "supervisor" && v.starts_with("left over: in runs.json: cannot open");
    if (unwritten) verdict.tolerated.push_back("the end of hearth was not written to runs.json: " + v);
    return unwritten;
  });
}

struct Loss {
  unsigned long long told = 0, missing = 0;
};

// What a violation says of events that are not there, or are told not to be.
std::optional<Loss> loss_of(const std::string& violation) {
  unsigned long long lost = 0, next = 0, last = 0;
  if (std::sscanf(violation.c_str(), "in the event journal: event %llu follows %llu", &next, &last) == 2)
    return Loss{0, next - last - 1};
  const bool told = std::sscanf(violation.c_str(), "in the event journal: %llu event", &lost) == 1 &&
                    violation.find(" could not be written and ") != violation.npos;
  return told ? std::optional(Loss{lost, 0}) : std::nullopt;
}

// What DIR/state does not take is lost, counted, and told by the next event that it does take.
void excuse_events_that_are_told_as_lost(const Report& report, Verdict& verdict) {
  Loss all;
  for (const std::string& violation : verdict.violations) {
    const Loss one = loss_of(violation).value_or(Loss{});
    all = {all.told + one.told, all.missing + one.missing};
  }
  // An event that tells a loss, and is lost itself, is not counted.
  if (report.role != "supervisor" || all.told == 0 || all.told > all.missing || all.missing > 2 * all.told) return;
  verdict.tolerated.push_back("events were lost, and are told as lost: " + std::to_string(all.told));
  std::erase_if(verdict.violations, [](const std::string& violation) {
    return loss_of(violation) || violation.starts_with("the event journal says 0 times");
  });
}

// `refused`: what hearth said to standard error at last.
void judge_end(const Report& report, const Evidence& evidence, const std::string& refused, Verdict& verdict) {
  if (!report.target_ended) {
    // Nobody else ends of it either. (Of those that were not up yet one may, and be started again.)
    if (report.had_waited && evidence.story != Story::upgrade && evidence.last.takeovers != 0)
      verdict.violations.push_back("a supervisor ended for a call of another process that failed");
    return;
  }
  if (report.role == "dry-run") return;  // it is there to end, and the keeper to live on
  const bool on_purpose = WIFEXITED(report.target_status) && WEXITSTATUS(report.target_status) == 0;
  const std::string what = "the process " + ending(report.target_status);
  // Whoever gives way to the next program. In the other stories who ends so has taken a living keeper for dead.
  if (on_purpose && evidence.story == Story::upgrade && evidence.stuck.empty()) return;
  if (!report.had_waited) {
    // It was not up yet. The keeper's members are started again; a keeper is refused with its reason.
    verdict.tolerated.push_back("a process that could not start ended, and was started again: " + what);
    if (evidence.processes.empty() && report.keeper_exited && !refused.empty()) {
      verdict.violations.clear();
      verdict.tolerated.push_back("hearth did not start, and said why: " + refused);
    }
    return;
  }
  if (may_end_for_memory(report)) {
    verdict.tolerated.push_back("for want of memory, as out-of-memory.md says: " + what);
    return;
  }
  verdict.violations.push_back(what + " for a call that failed");
}

}  // namespace

void judge_failure(const Report& report, const Evidence& evidence, const std::string& directory, Verdict& verdict) {
  std::ifstream in(directory + "/stderr");
  std::string refused;
  std::vector<std::string> bugs;
  for (std::string line; std::getline(in, line);) {
    if (line.find("hearth: bug:") != std::string::npos) bugs.push_back(line);
    if (!line.empty() && !line.starts_with("{")) refused = line;  // of libc, too
  }
  judge_refusals(evidence, verdict);
  excuse_refused_starts(directory, verdict);
  excuse_what_the_disk_refused(report, verdict);
  excuse_events_that_are_told_as_lost(report, verdict);
  judge_end(report, evidence, refused, verdict);
  // Last: nothing excuses them.
  verdict.violations.insert(verdict.violations.end(), bugs.begin(), bugs.end());
}

}  // namespace hearth::kill_anywhere
