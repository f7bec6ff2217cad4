#include <algorithm>

#include <fmt/format.h>

#include "cli/answers.h"
#include "cli/commands.h"
#include "cli/doctor.h"
#include "os/fd.h"
#include "os/instance_lock.h"

namespace hearth::cli {
namespace {

struct Word {
  const char* text;
  const char* color;
};

Word word_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::good: return {"ok", "\x1b[32m"};
    case Verdict::note: return {"note", ""};
    case Verdict::warning: return {"warning", "\x1b[33m"};
    case Verdict::problem: return {"problem", "\x1b[31m"};
    case Verdict::fixed: return {"fixed", "\x1b[32m"};
  }
  return {"", ""};
}

Findings examine(const Context& context) {
  Findings findings;
  const InstanceState state = look_at_instance(context);
  check_kernel(findings);
  check_cgroups(context, state, findings);
  check_limits(findings);
  check_programs(context, state, findings);
  check_instance(context, state, findings);
  check_space(context, state, findings);
  check_strays(context, state, findings);
  check_gpu(context, findings);
  return findings;
}

// While no hearth lives, in whatever PID namespace, and none can start; else nothing is touched.
void put_right(const Context& context, Findings& findings) {
  if (std::ranges::none_of(findings, [](const Finding& finding) { return finding.fix != nullptr; })) return;
  const Result<os::Fd> held_off = os::hold_off_starts(context.instance.directory);
  for (Finding& finding : findings) {
    if (!finding.fix) continue;
    if (!held_off) {
      finding.remedy = "nothing was done: " + held_off.error().text();
      continue;
    }
    if (const Status done = finding.fix(); !done) {
      finding.remedy = done.error().text();
      continue;
    }
    finding.verdict = Verdict::fixed;
    finding.remedy.clear();
  }
}

}  // namespace

std::string findings_text(const Findings& findings, bool color) {
  std::string text;
  for (const Finding& finding : findings) {
    const Word word = word_of(finding.verdict);
    const bool tinted = color && *word.color != '\0';
    text += fmt::format("{}{:<8}{} {:<9} {}\n", tinted ? word.color : "", word.text, tinted ? "\x1b[0m" : "",
                        finding.area, finding.text);
    if (!finding.remedy.empty()) text += fmt::format("{:<18} -> {}\n", "", finding.remedy);
  }
  return text;
}

std::string findings_json(const Findings& findings) {
  std::string text = R"({"findings":[)";
  for (const Finding& finding : findings) {
    text += fmt::format(R"({}{{"verdict":"{}","area":"{}","text":{},"remedy":{},"fixable":{}}})",
                        &finding == findings.data() ? "" : ",", word_of(finding.verdict).text, finding.area,
                        json_text(finding.text), finding.remedy.empty() ? "null" : json_text(finding.remedy),
                        finding.fix != nullptr);
  }
  return text + "]}\n";
}

int command_doctor(const Context& context) {
  Findings findings = examine(context);
  if (context.arguments.has("fix")) put_right(context, findings);
  write_out(context.json ? findings_json(findings) : findings_text(findings, look_at_terminal(STDOUT_FILENO).color));
  for (const Finding& finding : findings)
    if (finding.verdict == Verdict::problem) return exit_code::failed;
  return exit_code::done;
}

}  // namespace hearth::cli
