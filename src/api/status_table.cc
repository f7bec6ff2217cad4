#include "api/status_table.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "api/text.h"
#include "base/placed.h"
#include "config/limits.h"

namespace hearth::api {
namespace {

enum Column : std::size_t { service, state, since, pid, restarts, columns };
constexpr std::array<const char*, columns> titles = {"SERVICE", "STATE", "FOR", "PID", "RESTARTS"};
constexpr std::array<bool, columns> right = {false, false, false, true, true};
constexpr std::size_t gap = 2;
constexpr std::size_t least_detail = 24;  // narrower than this, the detail gets a line of its own

struct Row {
  std::array<std::string, columns> cell;
  std::string detail;
  const char* color = "";
};

constexpr const char* green = "\x1b[32m";
constexpr const char* yellow = "\x1b[33m";
constexpr const char* red = "\x1b[31m";
constexpr const char* dim = "\x1b[2m";
constexpr const char* plain = "\x1b[0m";

constexpr int ok = 0, stopped = 3, starting = 150, degraded = 151, looping = 152;
constexpr std::uint32_t loop_from = 3;  // failures in a row

int code_of(const SlotStatus& s) {
  switch (s.phase) {
    case Phase::stopped: return stopped;
    case Phase::waiting:
    case Phase::starting: return s.failures >= loop_from ? looping : starting;
    case Phase::running:
      // Up again is not yet well: the failures count until it has stayed up for reset_after.
      if (s.failures >= loop_from) return looping;
      return s.ready || !s.has_readiness ? ok : degraded;
    case Phase::stopping: return s.want_up ? starting : stopped;
    case Phase::backoff: return s.failures >= loop_from ? looping : degraded;
    case Phase::failed: return s.reason == Reason::crash_loop ? looping : degraded;
    case Phase::completed: return ok;
  }
  return degraded;
}

const char* color_of(const SlotStatus& s) {
  if (s.phase == Phase::stopped || s.phase == Phase::completed) return dim;
  switch (code_of(s)) {
    case ok: return green;
    case looping: return red;
    default: return s.phase == Phase::failed ? red : yellow;
  }
}

// "busy: frame 7 (7 of 9)", "idle"
std::string work_text(const SlotStatus& s) {
  std::string text = s.work == Work::busy ? "busy" : s.work == Work::idle ? "idle" : "";
  if (!s.work_item.empty()) text += (text.empty() ? "" : ": ") + printable(s.work_item);
  std::string count;
  if (s.work_total != 0)
    count = fmt::format("{} of {}", s.work_done, s.work_total);
  else if (s.work_done != 0)
    count = fmt::format("{} done", s.work_done);
  if (count.empty()) return text;
  return text.empty() ? count : text + " (" + count + ")";
}

// Never less than it takes. Below ten seconds in tenths, as the event says it: of a backoff of 0.3 s, "1s" would be wrong.
std::string until_retry(SpanNs span) {
  constexpr SpanNs tenth = ns_per_s / 10;
  const std::int64_t tenths = (span + tenth - 1) / tenth;
  if (tenths >= 100 || tenths % 10 == 0) return short_span(span + ns_per_s - 1);
  return fmt::format("{}.{}s", tenths / 10, tenths % 10);
}

// Why it is so, when that needs telling; then what its log suffers; then what the service says of itself.
std::string detail_of(const SlotStatus& s, std::string_view place, WallNs now) {
  std::string detail;
  const bool calm = code_of(s) == ok || s.phase == Phase::stopped;
  const std::string work = work_text(s);
  if (!calm || (s.status_text.empty() && work.empty())) {
    // Of an end that was asked for only what is in its way is worth a word: a hook, a KILL that has not helped yet.
    const bool at_work = s.phase == Phase::starting || s.phase == Phase::running || s.phase == Phase::stopping;
    const bool asked_only = s.reason == Reason::ordered && !at_work;
    if (!asked_only || !s.hook.empty()) detail = printable(placed(s.reason_text, place));
  }
  if ((s.phase == Phase::backoff || s.phase == Phase::failed) && s.next_retry > 0) {
    if (!detail.empty()) detail += "; ";
    detail += s.next_retry > now ? "next try in " + until_retry(s.next_retry - now) : "next try now";
  }
  if (!s.ailing.empty()) {
    if (!detail.empty()) detail += "; ";
    detail += printable(s.ailing);
  }
  if (const std::string log = placed(log_trouble(s), place); !log.empty()) {
    if (!detail.empty()) detail += "; ";
    detail += log;
  }
  for (const std::string& said : {work, printable(s.status_text)}) {
    if (said.empty()) continue;
    if (!detail.empty()) detail += "; ";
    detail += said;
  }
  // What was dear to start says what it would cost to start again, when there is nothing else to say.
  if (detail.empty() && s.load >= seconds(1)) detail = "loaded in " + short_span(s.load);
  return detail;
}

Row row_of(const SlotStatus& s, bool with_project, bool with_index, std::string_view place, WallNs now) {
  Row row;
  std::string name = with_project ? s.project + "." + s.name : s.name;
  if (with_index) name += fmt::format(".{}", s.index);
  row.cell[service] = std::move(name);
  row.cell[state] = state_word(s);
  row.cell[since] = s.since > 0 ? short_span(now - s.since) : "-";
  row.cell[pid] = s.pid > 0 ? fmt::format("{}", s.pid) : "-";
  row.cell[restarts] = fmt::format("{}", s.restarts);
  row.detail = detail_of(s, place, now);
  row.color = color_of(s);
  return row;
}

// What came later stands with the others of its project, a replica with those of its service; hearth's own runs stand last.
std::vector<std::size_t> by_service(const InstanceStatus& status, std::vector<std::size_t> chosen) {
  std::map<std::string_view, std::size_t> first_of_project;
  std::map<std::pair<std::string_view, std::string_view>, std::size_t> first;
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const SlotStatus& s = status.services[chosen[i]];
    first_of_project.emplace(s.project, i);
    first.emplace(std::pair(std::string_view(s.project), std::string_view(s.name)), i);
  }
  const auto place = [&](std::size_t i) {
    const SlotStatus& s = status.services[i];
    return std::tuple(s.project == config::own_project, first_of_project.at(s.project), first.at({s.project, s.name}),
                      s.index);
  };
  std::ranges::stable_sort(chosen, {}, place);
  return chosen;
}

struct Layout {
  std::array<std::size_t, columns> width{};  // 0: not shown
  std::size_t detail = 0;                    // characters for the last column; 0: on its own line, or not at all
  std::size_t line = 0;                      // 0: no limit

  std::size_t used() const {
    std::size_t sum = 0;
    for (const std::size_t w : width) sum += w == 0 ? 0 : w + (sum == 0 ? 0 : gap);
    return sum;
  }
};

Layout layout_of(const std::vector<Row>& rows, std::size_t line) {
  Layout layout;
  layout.line = line;
  std::size_t widest_detail = 0;
  for (std::size_t c = 0; c < columns; ++c) layout.width[c] = std::string_view(titles[c]).size();
  for (const Row& row : rows) {
    for (std::size_t c = 0; c < columns; ++c) {
      layout.width[c] = std::max(layout.width[c], display_width(row.cell[c]));
    }
    widest_detail = std::max(widest_detail, display_width(row.detail));
  }
  if (line == 0) {
    layout.detail = widest_detail;
    return layout;
  }
  for (const Column c : {restarts, pid, since}) {
    if (layout.used() > line) layout.width[c] = 0;
  }
  if (layout.used() > line) {  // long names on a narrow terminal: cut the name, keep the state
    const std::size_t other = layout.used() - layout.width[service];
    layout.width[service] = line > other + 8 ? line - other : 8;
  }
  const std::size_t rest = line > layout.used() + gap ? line - layout.used() - gap : 0;
  if (widest_detail > 0 && rest >= std::min(widest_detail, least_detail)) layout.detail = rest;
  return layout;
}

void append_cell(std::string& out, const std::string& text, std::size_t width, bool to_right) {
  const std::string cut = fitted(text, width);
  const std::size_t blanks = width - std::min(width, display_width(cut));
  if (to_right) out.append(blanks, ' ');
  out += cut;
  if (!to_right) out.append(blanks, ' ');
}

void append_line(std::string& out, const Row& row, const Layout& layout, bool color, bool head) {
  std::string line;
  bool first = true;
  for (std::size_t c = 0; c < columns; ++c) {
    if (layout.width[c] == 0) continue;
    if (!first) line.append(gap, ' ');
    first = false;
    const bool paint = color && !head && c == state;
    if (paint) line += row.color;
    append_cell(line, row.cell[c], layout.width[c], right[c]);
    if (paint) line += plain;
  }
  if (layout.detail > 0 && !row.detail.empty()) {
    line.append(gap, ' ');
    line += fitted(row.detail, layout.detail);
  }
  while (!line.empty() && line.back() == ' ') line.pop_back();
  if (color && head) line = dim + line + plain;
  out += line;
  out += '\n';
  if (layout.detail == 0 && !head && !row.detail.empty()) {
    const std::size_t width = layout.line > 4 ? layout.line - 2 : layout.line;
    out += "  " + (layout.line == 0 ? row.detail : fitted(row.detail, width)) + "\n";
  }
}

}  // namespace

std::string log_trouble(const SlotStatus& s) {
  const LogStatus& log = s.log;
  std::string text;
  const auto add = [&](const std::string& trouble) {
    if (!text.empty()) text += ", and ";
    text += trouble;
  };
  if (!log.waiting.empty()) add("its log waits: " + printable(log.waiting));
  if (!log.untidied.empty()) add("old files of its log are not compressed or removed: " + printable(log.untidied));
  if (log.dropped > 0) {
    const std::string name = s.replicas > 1 ? fmt::format("{}.{}", s.name, s.index) : s.name;
    add(fmt::format("{} line{} did not reach its log sink{}{}: `hearth logs {}` has {}", log.dropped,
                    log.dropped == 1 ? "" : "s", log.dropped_reason.empty() ? "" : ", last because of: ",
                    printable(log.dropped_reason), name, log.dropped == 1 ? "it" : "them"));
  }
  if (log.discarded > 0) add(fmt::format("{} bytes of its output are lost", log.discarded));
  return text;
}

const char* state_word(const SlotStatus& slot) {
  if (slot.phase != Phase::running || !slot.has_readiness) return phase_name(slot.phase);
  return slot.ready ? "ready" : "not ready";
}

int status_exit_code(const InstanceStatus& status, const std::vector<std::size_t>& chosen) {
  if (chosen.empty()) return stopped;
  int worst = ok;
  for (const std::size_t i : chosen) worst = std::max(worst, code_of(status.services[i]));
  return worst;
}

std::string status_table(const InstanceStatus& status, const std::vector<std::size_t>& chosen,
                         const TableOptions& options, WallNs now) {
  std::string out;
  if (chosen.empty()) {
    out = placed("no services; `hearth up` starts those of ./hearth.toml, `hearth run -- COMMAND` a single one\n",
                 options.place);
  } else {
    std::set<std::string_view> projects;
    std::set<std::pair<std::string_view, std::string_view>> replicated;
    for (const SlotStatus& s : status.services) {
      if (s.project != config::own_project) projects.insert(s.project);
      if (s.index > 0 || s.replicas > 1) replicated.emplace(s.project, s.name);
    }
    std::vector<Row> rows;
    rows.reserve(chosen.size());
    for (const std::size_t i : by_service(status, chosen)) {
      const SlotStatus& s = status.services[i];
      const bool with_project = projects.size() > 1 || s.project == config::own_project;
      rows.push_back(row_of(s, with_project, replicated.contains({s.project, s.name}), options.place, now));
    }
    const Layout layout = layout_of(rows, options.columns);
    Row head;
    for (std::size_t c = 0; c < columns; ++c) head.cell[c] = titles[c];
    if (layout.detail > 0) head.detail = "DETAIL";
    append_line(out, head, layout, options.color, true);
    for (const Row& row : rows) append_line(out, row, layout, options.color, false);
  }
  for (const Note& note : status.notes) {
    out += options.color ? std::string(yellow) + "note:" + plain : std::string("note:");
    out += " " + printable(placed(note.text, options.place));
    if (note.at > 0) out += " (" + short_span(now - note.at) + " ago)";
    out += '\n';
  }
  return out;
}

}  // namespace hearth::api
