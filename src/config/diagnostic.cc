#include "config/diagnostic.h"

#include <fmt/core.h>

namespace hearth::config {
namespace {

constexpr std::size_t widest = 100;

bool continues(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

// The bytes before character number `column` (from 1) of the line.
std::size_t bytes_before(std::string_view line, std::uint32_t column) {
  std::size_t at = 0;
  for (std::uint32_t seen = 1; at < line.size() && seen < column; ++seen) {
    ++at;
    while (at < line.size() && continues(line[at])) ++at;
  }
  return at;
}

}  // namespace

std::string Diagnostic::text() const {
  std::string out = at.line == 0 ? fmt::format("{}: {}", file, message)
                                 : fmt::format("{}:{}:{}: {}", file, at.line, at.column, message);
  if (!remedy.empty()) out += "; " + remedy;
  return out;
}

std::string Diagnostic::excerpt(std::string_view source) const {
  if (at.line == 0) return {};
  for (std::uint32_t line = 1; line < at.line; ++line) {
    const std::size_t end = source.find('\n');
    if (end == source.npos) return {};
    source.remove_prefix(end + 1);
  }
  std::string_view line = source.substr(0, source.find('\n'));
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.empty()) return {};

  std::size_t before = bytes_before(line, at.column);
  std::string_view lead;
  if (before > widest / 2) {
    std::size_t from = before - widest / 2;
    while (from < before && continues(line[from])) ++from;
    line.remove_prefix(from);
    before -= from;
    lead = "...";
  }
  std::size_t length = line.size() < widest ? line.size() : widest;
  while (length < line.size() && length > 0 && continues(line[length])) --length;

  // Tabs stay tabs in the line of the caret, so that it stands below its place on any terminal. Control
  // characters of a hostile file do not reach the terminal.
  std::string shown(lead), pad(lead.size(), ' ');
  for (std::size_t i = 0; i < length; ++i) {
    const char c = line[i];
    const bool control = (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F;
    shown += control ? '?' : c;
    if (i < before && !continues(c)) pad += c == '\t' ? '\t' : ' ';
  }
  return "  " + shown + "\n  " + pad + "^\n";
}

}  // namespace hearth::config
