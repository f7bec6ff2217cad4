// The command table as text for people (help, manual) and as JSON.
#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "cli/answers.h"
#include "cli/command_table.h"

namespace hearth::cli {
namespace {

constexpr std::size_t width = 79;

constexpr const char* introduction =
    "hearth keeps expensive processes warm and never loses one: it starts, watches, restarts and stops daemons, "
    "and its own death does not touch them.";

struct ExitCode {
  int code;
  const char* meaning;
};
constexpr ExitCode exit_codes[] = {
    {0, "done; status: all running and ready"},
    {1, "failed; the message says what and why"},
    {2, "wrong usage"},
    {3, "status: not running"},
    {4, "no permission; status: hearth cannot be asked, or the name is unknown"},
    {6, "no configuration, or a wrong one"},
    {7, "hearth is not running"},
    {75, "daemon: hearth runs already in this instance"},
    {130, "interrupted while waiting; the order goes on"},
    {150, "status: starting"},
    {151, "status: degraded"},
    {152, "status: crash-looping"},
};

std::string wrapped(std::string_view text, std::size_t indent) {
  std::string out;
  while (!text.empty()) {
    const std::size_t paragraph = std::min(text.find('\n'), text.size());
    std::string_view rest = text.substr(0, paragraph);
    if (rest.empty()) out += '\n';
    while (!rest.empty()) {
      std::size_t cut = rest.size();
      if (cut > width - indent) {
        cut = rest.rfind(' ', width - indent);
        if (cut == rest.npos) cut = std::min(rest.find(' '), rest.size());
      }
      out.append(indent, ' ').append(rest.substr(0, cut)).append("\n");
      rest.remove_prefix(std::min(cut + 1, rest.size()));
    }
    text.remove_prefix(std::min(paragraph + 1, text.size()));
  }
  return out;
}

std::string option_flags(const OptionText& option) {
  std::string flags = option.letter != 0 ? fmt::format("-{}, ", option.letter) : "    ";
  flags += fmt::format("--{}", option.name);
  if (option.value != nullptr) flags += fmt::format(" {}", option.value);
  return flags;
}

std::string option_lines(std::span<const OptionText> options) {
  std::size_t widest = 0;
  for (const OptionText& option : options) widest = std::max(widest, option_flags(option).size());
  std::string out;
  for (const OptionText& option : options) {
    const std::size_t indent = widest + 4;
    std::string text = wrapped(option.help, indent);
    out += fmt::format("  {:<{}}  ", option_flags(option), widest) + text.substr(indent);
  }
  return out;
}

// Source of man(7): backslashes and leading dots have a meaning there, and a bare - is a hyphen.
std::string roff(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      out += "\\e";
    } else if (text[i] == '-') {
      out += "\\-";
    } else if (text[i] == '\n') {
      out += i + 1 < text.size() && text[i + 1] == '\n' ? "\n.PP" : "\n";
    } else {
      if ((text[i] == '.' || text[i] == '\'') && (i == 0 || text[i - 1] == '\n')) out += "\\&";
      out += text[i];
    }
  }
  return out;
}

std::string roff_options(std::span<const OptionText> options) {
  std::string out;
  for (const OptionText& option : options) {
    out += ".TP\n";
    if (option.letter != 0) out += fmt::format("\\fB\\-{}\\fR, ", option.letter);
    out += "\\fB\\-\\-" + roff(option.name) + "\\fR";
    if (option.value != nullptr) out += fmt::format(" \\fI{}\\fR", option.value);
    out += "\n" + roff(option.help) + "\n";
  }
  return out;
}

}  // namespace

std::string help_text() {
  std::string out = wrapped(introduction, 0);
  out += "\nUsage: hearth [--dir DIR | --instance NAME] COMMAND\n\nCommands:\n";
  for (const CommandText& command : commands()) {
    out += fmt::format("  {:<11} {}\n", command.name, command.summary);
  }
  out += "\nOptions of every command:\n" + option_lines(global_options());
  out +=
      "\n`hearth help COMMAND` explains one. Exit codes: 0 done, 1 failed, 2 wrong usage;\n"
      "`hearth help status` has those of status, `hearth help daemon` that for systemd.\n";
  return out;
}

std::string help_text(const CommandText& command) {
  std::string out = fmt::format("hearth {}: {}\n\nUsage: {}\n", command.name, command.summary, usage_line(command));
  if (*command.details != '\0') out += "\n" + wrapped(command.details, 0);
  if (!command.options.empty()) out += "\nOptions:\n" + option_lines(command.options);
  out += "\nOptions of every command:\n" + option_lines(global_options());
  return out;
}

std::string help_json() {
  std::string out = "{\"commands\":[";
  bool first = true;
  const auto options_json = [](std::span<const OptionText> options) {
    std::string list = "[";
    for (const OptionText& option : options) {
      if (list.size() > 1) list += ",";
      list += fmt::format(R"({{"name":"--{}","letter":{},"value":{},"help":{}}})", option.name,
                          option.letter != 0 ? fmt::format("\"-{}\"", option.letter) : "null",
                          option.value != nullptr ? json_text(option.value) : "null", json_text(option.help));
    }
    return list + "]";
  };
  for (const CommandText& command : commands()) {
    if (!first) out += ",";
    first = false;
    out += fmt::format(R"({{"name":"{}","usage":{},"summary":{},"details":{},"options":{}}})", command.name,
                       json_text(usage_line(command)), json_text(command.summary), json_text(command.details),
                       options_json(command.options));
  }
  return out + "],\"options\":" + options_json(global_options()) + "}\n";
}

std::string manual_page(std::string_view version) {
  std::string out = ".\\\" Made by `hearth help --man`; change src/cli/command_table.cc instead.\n";
  out += fmt::format(".TH HEARTH 1 \"\" \"hearth {}\" \"User Commands\"\n", version);
  out += ".SH NAME\nhearth \\- keep expensive processes warm\n";
  out +=
      ".SH SYNOPSIS\n.B hearth\n[\\fB\\-\\-dir\\fR \\fIDIR\\fR | \\fB\\-\\-instance\\fR \\fINAME\\fR] "
      "\\fICOMMAND\\fR\n";
  out += ".SH DESCRIPTION\n" + roff(introduction) + "\n";
  out += ".SH COMMANDS\n";
  for (const CommandText& command : commands()) {
    out += fmt::format(".SS \"{}\"\n", roff(usage_line(command)));
    std::string summary = command.summary;
    out += roff(summary) + ".\n";
    if (*command.details != '\0') out += ".PP\n" + roff(command.details) + "\n";
    out += roff_options(command.options);
  }
  out += ".SH OPTIONS\nThese stand before or behind every command.\n" + roff_options(global_options());
  out += ".SH EXIT STATUS\n";
  for (const ExitCode& each : exit_codes) out += fmt::format(".TP\n.B {}\n{}\n", each.code, roff(each.meaning));
  out += ".SH ENVIRONMENT\n.TP\n.B NO_COLOR\nSet to anything: no colors.\n";
  out +=
      ".SH FILES\n.TP\n.I hearth.toml\nThe services of a project.\n"
      ".TP\n.I /run/hearth/NAME\nInstance directory of root; logs are in \\fI/var/log/hearth/NAME\\fR.\n"
      ".TP\n.I ~/.local/state/hearth/HOST/NAME\nInstance directory of other users; logs are in its \\fIlogs\\fR.\n";
  return out;
}

}  // namespace hearth::cli
