#include "importers/systemd_text.h"

#include <cctype>

namespace hearth::importers {
namespace {

// One character: specifiers doubled, the sign as its specifier.
void append(std::string& out, char c) {
  if (c == '%')
    out += "%%";
  else if (c == instance_sign)
    out += "%i";
  else if (c == '\n')
    out += "\\n";
  else if (c == '\t')
    out += "\\t";
  else
    out += c;
}

std::string word(const std::string& text) {
  std::string out;
  bool quotes = text.empty();
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '$') out += c;
    append(out, c);
    quotes =
        quotes || std::isspace(static_cast<unsigned char>(c)) != 0 || c == '"' || c == '\'' || c == ';' || c == '#';
  }
  return quotes ? "\"" + out + "\"" : out;
}

}  // namespace

std::string command_line(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& each : words) out += (out.empty() ? "" : " ") + word(each);
  return out;
}

std::string assignment(const std::string& name, const std::string& value) {
  std::string out = "\"" + name + "=";
  for (const char c : value) {
    if (c == '"' || c == '\\') out += '\\';
    append(out, c);
  }
  return out + "\"";
}

std::string plain_text(const std::string& text) {
  std::string out;
  for (const char c : text) append(out, c);
  return out;
}

std::string span_text(SpanNs value) {
  return value % ns_per_s == 0 ? std::to_string(value / ns_per_s) + "s" : std::to_string(value / ns_per_ms) + "ms";
}

}  // namespace hearth::importers
