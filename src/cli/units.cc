#include "cli/units.h"

#include <fmt/format.h>

namespace hearth::cli {
namespace {

std::string place(const UnitFacts& facts) {
  return facts.instance == "default" ? "" : fmt::format(" --instance {}", facts.instance);
}

// Paths and names were checked by unit_word() before; here it cannot fail.
std::string word(std::string_view text) {
  return unit_word(text).value_or(std::string(text));
}

// systemd.unit(5), SPECIFIERS: a percent sign stands for itself when it is doubled.
std::string plain(std::string_view text) {
  std::string out;
  for (const char c : text) out.append(c == '%' ? 2 : 1, c);
  return out;
}

// The two comment lines above a project's unit; of other units the first alone.
std::string_view marks_of(std::string_view text) {
  std::size_t end = 0;
  while (end < text.size() && text[end] == '#') end = std::min(text.find('\n', end), text.size() - 1) + 1;
  return text.substr(0, end);
}

}  // namespace

Owner owner_of(std::string_view present, const Unit& unit) {
  if (!present.starts_with(unit_mark)) return Owner::somebody_else;
  return marks_of(present) == marks_of(unit.text) ? Owner::same : Owner::another_project;
}

Result<std::string> unit_word(std::string_view text) {
  std::string out;
  bool quoted = text.empty();
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      return failure(Remedy::fix_input, "write into a unit", std::string(text), "there is a control character in it",
                     "rename it");
    quoted = quoted || c == ' ' || c == '"' || c == '\'' || c == '\\' || c == ';';
    if (c == '%' || c == '$') out += c;
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return quoted ? "\"" + out + "\"" : out;
}

Unit instance_unit(const UnitFacts& facts) {
  const std::string name =
      !facts.user && facts.instance == "default" ? "hearth.service" : fmt::format("hearth@{}.service", facts.instance);
  std::string text(unit_mark);
  text += fmt::format("[Unit]\nDescription=hearth{}\nDocumentation=man:hearth(1)\n{}\n",
                      facts.instance == "default" ? "" : ", instance " + facts.instance,
                      facts.user ? "" : "After=network.target\n");
  text += fmt::format(
      "[Service]\nType=notify\nNotifyAccess=all\nExecStart={0}{1} daemon\nExecStop={0}{1} shutdown\nDelegate=yes\n"
      "KillMode=process\nRestart=always\nRestartPreventExitStatus=75\nTimeoutStopSec=infinity\n{2}\n",
      word(facts.program), place(facts), facts.user ? "" : "LimitNOFILE=1024:524288\n");
  text += fmt::format("[Install]\nWantedBy={}\n", facts.user ? "default.target" : "multi-user.target");
  return {name, text};
}

Unit project_unit(const UnitFacts& facts) {
  const std::string own = instance_unit(facts).name;
  std::string text(unit_mark);
  text += fmt::format("# For {}, instance {}.\n", facts.file, facts.instance);
  text +=
      fmt::format("[Unit]\nDescription=the services of {}\nRequires={}\nAfter={}{}\n{}\n", plain(facts.file), own, own,
                  facts.user ? "" : " network-online.target", facts.user ? "" : "Wants=network-online.target\n");
  text +=
      fmt::format("[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart={}{} up -f {}\nTimeoutStartSec=infinity\n\n",
                  word(facts.program), place(facts), word(facts.file));
  text += fmt::format("[Install]\nWantedBy={}\n", facts.user ? "default.target" : "multi-user.target");
  return {fmt::format("hearth-{}.service", facts.project), text};
}

}  // namespace hearth::cli
