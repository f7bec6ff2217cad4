// Every command with its options, once: the parser, `hearth help`, the manual page and the completions are made
// of this table.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace hearth::cli {

struct OptionText {
  char letter;        // 0: none
  const char* name;   // without dashes
  const char* value;  // how its value is called; nullptr: a flag
  const char* help;
};

// What the words of a command are, for completions.
enum class Words { none, services, commands, shells, config, files, counts };

struct CommandText {
  const char* name;
  const char* words;    // as in the usage line: "NAME..."; "" = none
  const char* summary;  // half a line
  const char* details;  // paragraphs for `hearth help NAME` and the manual
  std::span<const OptionText> options;
  Words completes = Words::none;
  bool dashes = false;     // takes what stands behind "--"
  const char* first = "";  // what its first word may be, for completions: "supervisord pm2"
};

std::span<const CommandText> commands();
std::span<const OptionText> global_options();
const CommandText* find_command(std::string_view name);

std::string usage_line(const CommandText& command);
std::string help_text();                            // of everything
std::string help_text(const CommandText& command);  // of one command
std::string help_json();
std::string manual_page(std::string_view version);  // man(7) source of hearth(1)
// "bash", "zsh", "fish"; empty for another shell.
std::string completion_script(std::string_view shell);

}  // namespace hearth::cli
