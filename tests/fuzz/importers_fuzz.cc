// Hostile files of other supervisors. The first byte chooses: 's' supervisord.conf and what it includes, 'j' pm2,
// 'p' Procfile and .env, 'u' systemd units, 'w' words as a shell splits them; files are parted by the byte 0x1e.
//
// What comes of them is TOML, whatever stood there. A value that is wrong in the original may be wrong there too, in a
// line of its own, so that `hearth import` can leave that line out and say so (cli/commands_import.cc); with that done,
// hearth's own reader takes the rest. What is refused says why.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/split.h"
#include "base/toml_text.h"
#include "config/toml.h"
#include "fuzz/bytes.h"
#include "importers/export_systemd.h"
#include "importers/importers.h"
#include "importers/words.h"

namespace {

using namespace hearth;
using importers::Imported;
using importers::Source;

constexpr std::size_t lines_tried = 40;  // of an input whose every line is wrong not all are taken out

// Each "${NAME}" has a value.
config::Environment environment_for(std::string_view toml) {
  std::vector<std::string> lines = {"HOME=/home/ada", "PATH=/usr/bin:/bin"};
  for (std::size_t at = toml.find("${"); at != toml.npos; at = toml.find("${", at + 1)) {
    const std::size_t end = toml.find_first_of("}:", at);
    if (end != toml.npos) lines.push_back(std::string(toml.substr(at + 2, end - at - 2)) + "=1");
  }
  return config::Environment(lines);
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

void check_export(const Document& document) {
  std::vector<importers::Finding> findings;
  const auto units = importers::export_systemd(document, [](const ServiceSpec&) { return true; }, findings);
  for (const importers::Exported& unit : units) {
    HEARTH_CHECK(!unit.name.empty() && unit.name.find('/') == std::string::npos, "a unit has the name of a file");
    HEARTH_CHECK(valid_utf8(unit.text), "a unit is text");
  }
  for (const importers::Finding& finding : findings) HEARTH_CHECK(!finding.what.empty(), "a finding says what it is");
}

void check_readable(const std::string& toml) {
  std::vector<std::string> lines;
  std::string_view rest = toml;
  while (const auto line = take_line(rest)) lines.emplace_back(*line);
  for (std::size_t tries = 0; tries < lines_tried; ++tries) {
    const std::string text = joined(lines);
    const config::Parsed parsed = config::parse_project(text, "/hearth.toml", environment_for(text));
    if (parsed.document) return check_export(*parsed.document);
    // Nothing is left that could be wrong in a line; the command says that no service could be carried over.
    if (text.find("[service.") == text.npos) return;
    const config::Diagnostic& first = parsed.diagnostics.front();
    HEARTH_CHECK(!first.message.starts_with("syntax error"), "what is written is TOML");
    const std::size_t line = first.at.line;
    HEARTH_CHECK(line >= 1 && line <= lines.size(), "what is refused stands in a line that can be left out");
    auto begin = lines.begin() + static_cast<std::ptrdiff_t>(line - 1), end = begin + 1;
    if (begin->starts_with('[')) end = std::find_if(end, lines.end(), [](auto& each) { return each.starts_with('['); });
    lines.erase(begin, end);
  }
}

std::size_t line_count(std::string_view text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
}

void check(const Result<Imported>& imported, std::size_t longest) {
  if (!imported) {
    HEARTH_CHECK(!imported.error().reason.empty() && valid_utf8(imported.error().text()), "every refusal says why");
    return;
  }
  HEARTH_CHECK(valid_utf8(imported->toml), "a hearth.toml is UTF-8");
  for (const importers::Finding& finding : imported->findings) {
    HEARTH_CHECK(!finding.what.empty() && finding.line <= longest, "a finding says what it is and where");
    HEARTH_CHECK(valid_utf8(finding.what) && valid_utf8(finding.remedy), "and is text");
  }
  importers::report_of(*imported);
  check_readable(imported->toml);
  check_readable(importers::commented(*imported));
}

void check_words(std::string_view text) {
  const auto words = importers::split_words(text);
  importers::needs_shell(text);
  if (!words) return;
  std::string quoted;
  for (const std::string& word : *words) {
    quoted += '\'';
    for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    quoted += "' ";
  }
  HEARTH_CHECK(importers::split_words(quoted) == words, "words in quotes are the same words");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Bytes bytes(data, size);
  const char kind = static_cast<char>(bytes.byte());
  // What is no UTF-8 is refused by who reads the files.
  if (!valid_utf8(bytes.rest())) return 0;
  if (kind == 'w') return check_words(bytes.rest()), 0;
  static const importers::Environment environment = {{"HOME", "/home/ada"}, {"PORT", "80"}};
  const std::size_t longest = line_count(bytes.rest());
  std::vector<Source> sources;
  const char* const names[] = {"web.service", "db.service", "cache.socket", "job@.service"};
  for (const char* name : names) {
    if (bytes.empty() && !sources.empty()) break;
    sources.push_back({name, std::string(bytes.part()), "/srv"});
  }
  if (kind == 's') {
    const auto include = [&](const std::string& pattern, const Source&) {
      return pattern.empty() || sources.size() < 2 ? std::vector<Source>() : std::vector<Source>{sources[1]};
    };
    check(importers::import_supervisord({sources[0]}, include, environment), longest);
  } else if (kind == 'j') {
    check(importers::import_pm2(sources[0]), longest);
  } else if (kind == 'p') {
    check(importers::import_procfile(sources[0], sources.size() > 1 ? sources[1] : Source{".env", ""}), longest);
  } else if (kind == 'u') {
    check(importers::import_systemd(sources), longest);
  }
  return 0;
}
