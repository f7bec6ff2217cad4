#include "log_check.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include <boost/json.hpp>

#include "lines.h"

namespace hearth::kill_anywhere {
namespace {

std::string slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// What the service wrote, taken out of what the logger made of it. False: it is not in that form.
bool take_text(std::string& line, const std::string& format) {
  if (format == "stamped") {
    const std::size_t space = line.find(' ');
    if (space != 27 || line[10] != 'T' || line[26] != 'Z') return false;
    line.erase(0, space + 1);
  } else if (format == "json") {
    boost::json::error_code error;
    const boost::json::value value = boost::json::parse(line, error);
    const boost::json::object* object = error ? nullptr : value.if_object();
    const boost::json::value* text = object == nullptr ? nullptr : object->if_contains("text");
    if (text == nullptr || !text->is_string()) return false;
    line.assign(text->get_string().data(), text->get_string().size());
  }
  return true;
}

std::string shown(std::string text) {
  if (text.size() > 100) text = text.substr(0, 60) + "..." + text.substr(text.size() - 30);
  return "\"" + text + "\"";
}

struct Reading {
  const Written& written;
  LogFindings findings;
  std::set<std::uint64_t> seen;
  std::map<std::uint64_t, std::uint64_t> last_of_run;

  void complain(std::uint64_t& count, const std::string& what) {
    ++count;
    if (findings.example.empty()) findings.example = what;
  }

  void take(std::string line, const std::string& format, const std::string& where) {
    unsigned long long number = 0;
    unsigned long long run = 0;
    std::string text = line;
    const bool ours = take_text(text, format) && std::sscanf(text.c_str(), "%8llu r%llu ", &number, &run) == 2 &&
                      make_line(number, run) == text + "\n" && number < written.begun;
    if (!ours) return complain(findings.damaged, "in " + where + ": " + shown(line));
    const std::string name = "line " + std::to_string(number) + " of run " + std::to_string(run);
    if (!seen.insert(number).second) return complain(findings.doubled, name + " stands in " + where + " again");
    const auto last = last_of_run.find(run);
    if (last != last_of_run.end() && last->second > number)
      complain(findings.disordered, name + " comes after line " + std::to_string(last->second) + " in " + where);
    last_of_run[run] = number;
    ++findings.lines;
  }
};

}  // namespace

Written read_counters(const std::string& path) {
  const std::string bytes = slurp(path);
  Written written;
  if (bytes.size() < sizeof(Counters)) return written;
  const auto* at = reinterpret_cast<const std::uint64_t*>(bytes.data());
  written.begun = at[0];
  written.finished = at[1];
  return written;
}

LogFindings check_log(const std::string& directory, const std::string& format, const Written& written) {
  std::vector<std::string> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".log") && !entry.is_symlink()) files.push_back(name);
  }
  std::sort(files.begin(), files.end());
  Reading reading{written, {}, {}, {}};
  reading.findings.files = files.size();
  std::string rest;
  for (const std::string& file : files) {
    const std::string text = rest + slurp(directory + "/" + file);
    std::size_t begin = 0;
    for (std::size_t end = 0; (end = text.find('\n', begin)) != text.npos; begin = end + 1)
      reading.take(text.substr(begin, end - begin), format, file);
    rest = text.substr(begin);
  }
  if (!rest.empty()) reading.complain(reading.findings.damaged, "the log ends in the middle of " + shown(rest));
  bool in_gap = false;
  for (std::uint64_t number = 0; number < written.finished; ++number) {
    const bool here = reading.seen.contains(number);
    if (!here) reading.complain(reading.findings.lost, "line " + std::to_string(number) + " is not there");
    if (!here && !in_gap) ++reading.findings.gaps;
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
