#include "log_check.h"

#include <map>

#include "os/fd.h"
#include "support/lines.h"
#include "support/log_lines.h"

namespace hearth::kill_anywhere {
namespace {

struct Reading {
  const Written& written;
  LogFindings findings;
  std::map<std::uint64_t, std::uint64_t> seen;  // number, run
  std::map<std::uint64_t, std::uint64_t> last_of_run;

  void complain(std::uint64_t& count, const std::string& what) {
    ++count;
    if (findings.example.empty()) findings.example = what;
  }

  void take(const support::LogLine& line) {
    if (!line.whole || line.torn || line.number >= written.begun)
      return complain(findings.damaged, "in " + line.where + ": " + support::shown(line.text));
    const std::string name = "line " + std::to_string(line.number) + " of run " + std::to_string(line.run);
    if (!seen.emplace(line.number, line.run).second)
      return complain(findings.doubled, name + " stands in " + line.where + " again");
    const auto last = last_of_run.find(line.run);
    if (last != last_of_run.end() && last->second > line.number)
      complain(findings.disordered, name + " comes after line " + std::to_string(last->second) + " in " + line.where);
    last_of_run[line.run] = line.number;
    ++findings.lines;
  }
};

}  // namespace

Written read_counters(const std::string& path) {
  const std::string bytes = os::read_file(path).value_or("");
  Written written;
  if (bytes.size() < sizeof(support::Counters)) return written;
  const auto* at = reinterpret_cast<const std::uint64_t*>(bytes.data());
  written.begun = at[0];
  written.finished = at[1];
  return written;
}

LogFindings check_log(const std::string& directory, const std::string& format, const Written& written) {
  Reading reading{written, {}, {}, {}};
  support::LogCursor cursor(directory, support::log_form(format));
  cursor.read([&](const support::LogLine& line) { reading.take(line); });
  reading.findings.files = cursor.files();
  if (!cursor.rest().empty())
    reading.complain(reading.findings.damaged, "the log ends in the middle of " + support::shown(cursor.rest()));
  while (reading.seen.contains(reading.findings.prefix)) ++reading.findings.prefix;
  bool in_gap = false;
  std::uint64_t run = reading.seen.empty() ? 0 : reading.seen.begin()->second;
  for (std::uint64_t number = 0; number < written.finished; ++number) {
    const bool here = reading.seen.contains(number);
    if (!here) reading.complain(reading.findings.lost, "line " + std::to_string(number) + " is not there");
    if (here) run = reading.seen.at(number);
    if (!here && !in_gap) ++reading.findings.gaps;
    if (!here) reading.findings.lost_bytes += support::make_line(number, run).size();
    in_gap = !here;
  }
  return reading.findings;
}

std::string text_of(const LogFindings& findings) {
  std::string text = std::to_string(findings.lines) + " lines in " + std::to_string(findings.files) + " files";
  const auto add = [&](std::uint64_t count, const char* what) {
    if (count != 0) text += ", " + std::to_string(count) + " " + what;
  };
  add(findings.lost, "lost");
  add(findings.doubled, "twice");
  add(findings.disordered, "out of order");
  add(findings.damaged, "damaged");
  if (!findings.example.empty()) text += "; first: " + findings.example;
  return text;
}

}  // namespace hearth::kill_anywhere
