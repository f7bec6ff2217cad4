// What an import could not carry over, as people read it: a report, and comments in the hearth.toml.
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "importers/importers.h"

namespace hearth::importers {
namespace {

// What a finding says, without whom it is about; and whom.
struct Parts {
  std::string of_all, of_each;
};

Parts parts_of(const Finding& finding) {
  if (!finding.of_all.empty()) return {finding.of_all, finding.of_each};
  const std::size_t colon = finding.what.find(": ");
  if (colon == std::string::npos) return {finding.what, ""};
  return {finding.what.substr(colon + 2), finding.what.substr(0, colon)};
}

std::string place_of(const Finding& finding) {
  return finding.path + (finding.line == 0 ? "" : ":" + std::to_string(finding.line));
}

std::string with_remedy(const std::string& what, const Finding& finding) {
  return what + (finding.remedy.empty() ? "" : "; " + finding.remedy);
}

std::string whole_text(const Finding& finding) {
  return one_line(place_of(finding) + ": " + with_remedy(finding.what, finding));
}

// In lines of a usual width; what has no blank stays whole.
std::string comment(const std::string& text) {
  constexpr std::size_t width = 118;
  std::string out, line = "#";
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    if (line.size() > 2 && line.size() + 1 + end - at > width) {
      out += line + "\n";
      line = "#  ";
    }
    line += " " + text.substr(at, end - at);
    at = end + 1;
  }
  return out + line + "\n";
}

// Of "[service.web]": web. "" = it is another line.
std::string service_of(std::string_view line) {
  constexpr std::string_view begin = "[service.";
  if (!line.starts_with(begin) || !line.ends_with("]")) return "";
  return std::string(line.substr(begin.size(), line.size() - begin.size() - 1));
}

}  // namespace

void put_in_order(Imported& imported) {
  std::map<std::string, std::size_t> rank;
  for (const std::string& file : imported.files) rank.emplace(file, rank.size());
  for (const Finding& finding : imported.findings) rank.emplace(finding.path, rank.size());
  std::stable_sort(imported.findings.begin(), imported.findings.end(), [&](const Finding& a, const Finding& b) {
    return rank[a.path] != rank[b.path] ? rank[a.path] < rank[b.path] : a.line < b.line;
  });
}

std::string report_of(const Imported& imported) {
  std::map<std::pair<std::string, std::string>, std::vector<const Finding*>> alike;
  for (const Finding& finding : imported.findings)
    alike[{parts_of(finding).of_all, finding.remedy}].push_back(&finding);
  std::string out;
  for (const Finding& finding : imported.findings) {
    const std::string of_all = parts_of(finding).of_all;
    const std::vector<const Finding*>& same = alike[{of_all, finding.remedy}];
    if (same.front() != &finding) continue;  // said already
    if (same.size() == 1) {
      out += whole_text(finding) + "\n";
      continue;
    }
    out += one_line(with_remedy(of_all, finding)) + ":\n";
    for (const Finding* each : same) {
      const std::string whom = parts_of(*each).of_each;
      out += "  " + one_line(place_of(*each) + (whom.empty() ? "" : ": " + whom)) + "\n";
    }
  }
  return out;
}

std::string commented(const Imported& imported) {
  std::set<std::string> there;
  const auto each_line = [&imported](const auto& take) {
    for (std::string_view rest = imported.toml; !rest.empty();) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      take(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  };
  each_line([&](std::string_view line) { there.insert(service_of(line)); });
  there.erase("");
  std::string head;
  std::map<std::string, std::string> beside;
  for (const Note& note : imported.notes) beside[note.service] += comment(one_line(note.text));
  for (const Finding& finding : imported.findings) {
    const bool has_place = there.contains(finding.service);
    if (!has_place || !finding.is_noted) (has_place ? beside[finding.service] : head) += comment(whole_text(finding));
  }
  if (!imported.findings.empty())
    head =
        "# Not all of it could be carried over as it is. What the import said stands here and beside the services.\n" +
        head;
  std::string out;
  each_line([&](std::string_view line) {
    const auto found = beside.find(service_of(line));
    if (found != beside.end()) out += found->second;
    out += std::string(line) + "\n";
    if (line.data() == imported.toml.data()) out += head;
  });
  return out;
}

// Also those beyond ASCII (U+0080 to U+009F), which terminals obey as well.
std::string one_line(std::string_view text) {
  constexpr char digits[] = "0123456789abcdef";
  std::string out;
  const auto hex = [&](unsigned char byte) { out += std::string("\\x") + digits[byte >> 4] + digits[byte & 15]; };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : 0);
    if (byte == 0xC2 && next >= 0x80 && next <= 0x9F) {
      hex(next);
      ++i;
    } else if (byte == '\n' || byte == '\t' || byte == '\r') {
      out += byte == '\n' ? "\\n" : byte == '\t' ? "\\t" : "\\r";
    } else if (byte < 0x20 || byte == 0x7F) {
      hex(byte);
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace hearth::importers
