#include "importers/ini.h"

#include <algorithm>
#include <cctype>

#include "importers/draft.h"
#include "importers/words.h"

namespace hearth::importers {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
  return text;
}

Error wrong_line(const Source& source, std::size_t line, const std::string& reason) {
  return Error{
      Remedy::fix_input, "read", source.path + ":" + std::to_string(line), reason, "is it a file of that kind?", 0};
}

std::string without_comment(const std::string& value) {
  for (const char* sign : {" ;", "\t;"})
    if (const std::size_t at = value.find(sign); at != value.npos) return trimmed(value.substr(0, at));
  return value;
}

// An even number of backslashes at the end are escaped ones.
bool continues(const std::string& text) {
  const std::size_t last = text.find_last_not_of('\\');
  return (text.size() - (last == text.npos ? 0 : last + 1)) % 2 == 1;
}

}  // namespace

const IniEntry* IniSection::find(std::string_view key) const {
  const auto found = std::find_if(entries.rbegin(), entries.rend(), [&](const IniEntry& e) { return e.key == key; });
  return found == entries.rend() ? nullptr : &*found;
}

Result<std::vector<IniSection>> read_ini(const Source& source, IniDialect dialect) {
  const bool python = dialect == IniDialect::supervisord;
  std::vector<IniSection> sections;
  bool goes_on = false;  // systemd: the line before ended in a backslash
  std::size_t number = 0;
  std::string_view rest = source.text;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view raw = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    ++number;
    std::string line = foreign(trimmed(raw));
    if (line.empty()) goes_on = false;
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;  // a comment between lines that go on, too
    IniEntry* last = sections.empty() || sections.back().entries.empty() ? nullptr : &sections.back().entries.back();
    const bool indented = python && (raw[0] == ' ' || raw[0] == '\t');
    if ((goes_on || indented) && last != nullptr) {
      goes_on = !python && continues(line);
      if (goes_on) line = trimmed(std::string_view(line).substr(0, line.size() - 1));
      last->value += (python ? "\n" : " ") + (python ? without_comment(line) : line);
      continue;
    }
    if (line[0] == '[') {
      const std::size_t close = line.find(']');
      if (close == line.npos) return failure(wrong_line(source, number, "the section has no ]"));
      sections.push_back({trimmed(line.substr(1, close - 1)), number, {}});
      continue;
    }
    const std::size_t sign = line.find_first_of(python ? "=:" : "=");
    if (sign == line.npos) return failure(wrong_line(source, number, "it is neither a section nor KEY = VALUE"));
    if (sections.empty()) return failure(wrong_line(source, number, "it stands before the first section"));
    std::string value = trimmed(line.substr(sign + 1));
    goes_on = !python && continues(value);
    if (goes_on) value = trimmed(value.substr(0, value.size() - 1));
    std::string key = trimmed(line.substr(0, sign));
    if (python) value = value.starts_with(";") ? "" : without_comment(value);
    sections.back().entries.push_back({python ? lower(std::move(key)) : std::move(key), std::move(value), number});
  }
  return sections;
}

}  // namespace hearth::importers
