// Completion scripts of three shells, made of the command table. Names of services come from the hearth that
// --dir or --instance names, wherever they stand in the line, by `hearth completion services`; when none of them fits
// what is typed, PROJECT.SERVICE by `hearth completion names`; of what begins with @, `hearth completion tags`. `hearth completion
// projects` is for `down -p`; `keys` and `settings` (those that are set) are for `config`. Shells hand the words over
// as they were typed: what the line would have made of quotes and of ~/ is done here.
#include <algorithm>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "cli/command_table.h"

namespace hearth::cli {
namespace {

constexpr const char* made_by = "# Made by `hearth completion {}`; change src/cli/command_table.cc instead.\n";

std::string visible_commands() {
  std::string names;
  for (const CommandText& command : commands()) {
    if (!names.empty()) names += ' ';
    names += command.name;
  }
  return names;
}

// How each shell offers the words of a command; <commands> stands for the names of all commands.
struct Offer {
  Words words;
  const char* bash;  // run where no flag is typed
  const char* zsh;   // arguments of _arguments
  const char* fish;  // options of complete
};

constexpr Offer offers[] = {
    {Words::none, "", "", ""},
    {Words::services, "{ _hearth_names; return; }", " '*:service:_hearth_services'", " -a '(__hearth_services)'"},
    {Words::commands, "words='<commands>'", " '1:command:(<commands>)'", " -a '<commands>'"},
    {Words::shells, "words='bash zsh fish'", " '1:shell:(bash zsh fish)'", " -a 'bash zsh fish'"},
    {Words::config, "{ _hearth_config; return; }",
     " '1:what:(validate show get set unset schema)' '2:key:_hearth_config'", " -a '(__hearth_config)'"},
    {Words::files, "{ COMPREPLY=($(compgen -f -- \"$current\")); return; }", " '*:file:_files'", " -F"},
    {Words::counts,
     "{ _hearth_offer services; COMPREPLY=(\"${COMPREPLY[@]/%/=}\"); compopt -o nospace 2>/dev/null; return; }",
     " '*:service:_hearth_counts'", " -a '(__hearth_counts)'"},
};

const Offer& offer_of(Words words) {
  return *std::ranges::find(offers, words, &Offer::words);
}

std::string said(std::string text) {
  constexpr std::string_view all = "<commands>";
  if (const std::size_t at = text.find(all); at != text.npos) text.replace(at, all.size(), visible_commands());
  return text;
}

// Values that are one of a few words. Empty: anything, or of a kind that the shells know.
std::string_view choices_of(const OptionText& option) {
  const std::string_view value = option.value == nullptr ? "" : option.value;
  if (value == "POLICY") return "always on-failure never";
  if (value == "STATE") return "ready stopped completed failed";
  if (value == "KEY") return "cpu memory restarts uptime name";
  return {};
}

std::string flags_of(std::span<const OptionText> options) {
  std::string flags;
  for (const OptionText& option : options) {
    if (!flags.empty()) flags += ' ';
    if (option.letter != 0) flags += fmt::format("-{} ", option.letter);
    flags += fmt::format("--{}", option.name);
  }
  return flags;
}

// "--timeout|-n|--lines": options whose value nobody can guess. A letter may mean something else to another command.
std::string free_values() {
  std::string all;
  const auto add = [&](std::span<const OptionText> options) {
    for (const OptionText& option : options) {
      const std::string_view value = option.value == nullptr ? "" : option.value;
      if (value.empty() || value == "FILE" || value == "DIR" || value == "PROJECT" || !choices_of(option).empty())
        continue;
      const std::string flag = fmt::format("--{}", option.name);
      if ((all + '|').find(flag + '|') != all.npos) continue;
      if (!all.empty()) all += '|';
      if (option.letter != 0) all += fmt::format("-{}|", option.letter);
      all += flag;
    }
  };
  add(global_options());
  for (const CommandText& command : commands()) add(command.options);
  return all;
}

// "-s|--sort) COMPREPLY=(...)": once each, whichever command has them.
std::string bash_choices() {
  std::string lines;
  for (const CommandText& command : commands()) {
    for (const OptionText& option : command.options) {
      const std::string_view choices = choices_of(option);
      const std::string letter = option.letter != 0 ? fmt::format("-{}|", option.letter) : std::string();
      const std::string line = fmt::format("    {}--{}) COMPREPLY=($(compgen -W '{}' -- \"$current\")); return ;;\n",
                                           letter, option.name, choices);
      if (!choices.empty() && lines.find(line) == lines.npos) lines += line;
    }
  }
  return lines;
}

constexpr const char* bash_functions =
    "_hearth_unquoted() {\n"
    "  local word=${1//[\\\"\\']/}\n"
    "  word=${word//\\\\/}\n"
    "  [[ $1 == \\~/* ]] && word=$HOME${word#\\~}\n"
    "  printf '%s' \"$word\"\n"
    "}\n"
    "_hearth_offer() {\n"
    "  COMPREPLY=($(compgen -W \"$(hearth \"${place[@]}\" completion \"$1\" 2>/dev/null)\" -- \"$current\"))\n"
    "}\n"
    // "@" is a word of its own, unless somebody has taken it out of COMP_WORDBREAKS; what readline(3) replaces has it in any
    // case.
    "_hearth_names() {\n"
    "  [[ $previous == @ ]] && current=@$current\n"
    "  if [[ $current == @* ]]; then _hearth_offer tags\n"
    "  else\n"
    "    _hearth_offer services\n"
    "    ((${#COMPREPLY[@]})) || _hearth_offer names\n"
    "  fi\n"
    "}\n"
    // A service has some hundred keys: what stands behind the next dot is offered when that is typed.
    "_hearth_keys() {\n"
    "  local i rest\n"
    "  _hearth_offer \"$1\"\n"
    "  for i in \"${!COMPREPLY[@]}\"; do\n"
    "    rest=${COMPREPLY[i]#\"$current\"}\n"
    "    [[ $rest == *.* ]] && COMPREPLY[i]=$current${rest%%.*}.\n"
    "  done\n"
    "  COMPREPLY=($(printf '%s\\n' \"${COMPREPLY[@]}\" | sort -u))\n"
    "  [[ ${COMPREPLY[*]} != *. ]] || compopt -o nospace 2>/dev/null\n"
    "}\n"
    "_hearth_config() {\n"
    "  case $given$first in\n"
    "    0*) COMPREPLY=($(compgen -W 'validate show get set unset schema' -- \"$current\")) ;;\n"
    "    1get|1set) _hearth_keys keys ;;\n"
    "    1unset) _hearth_keys settings ;;\n"
    "    1show) _hearth_offer services ;;\n"
    "  esac\n"
    "}\n"
    // Of bash-completion where there is one, which knows what the command itself takes.
    "_hearth_command() {\n"
    "  if declare -F _command_offset >/dev/null; then _command_offset $1\n"
    "  elif (($1 == COMP_CWORD)); then COMPREPLY=($(compgen -c -- \"$current\"))\n"
    "  else COMPREPLY=($(compgen -f -- \"$current\"))\n"
    "  fi\n"
    "}\n";

// Which command it is, and which instance; up to what stands behind "--".
constexpr const char* bash_words_before =
    "_hearth() {\n"
    "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command= place=() i given=0 "
    "first=\n"
    "  COMPREPLY=()\n"
    "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "    case ${COMP_WORDS[i]} in\n"
    "      --dir|--instance)\n"
    "        local option=${COMP_WORDS[i]}\n"
    "        [[ ${COMP_WORDS[i+1]} == = ]] && ((i++))\n"  // "=" is a word of its own here
    "        ((++i < COMP_CWORD)) && place+=(\"$option\" \"$(_hearth_unquoted \"${COMP_WORDS[i]}\")\") ;;\n";
// The end of that loop, and values of the option before the word that is typed.
constexpr const char* bash_last_word =
    "      -f|--file) [[ $command == logs || $command == events ]] || ((++i)) ;;\n"
    "      -*) ;;\n"
    "      *) if [[ $command ]]; then ((++given)); : \"${first:=${COMP_WORDS[i]}}\"; else command=${COMP_WORDS[i]}; fi "
    ";;\n"
    "    esac\n"
    "  done\n"
    "  [[ $current == = ]] && current=\n"
    "  [[ $previous == = ]] && previous=${COMP_WORDS[COMP_CWORD-2]}\n"
    "  case $previous in\n"
    "    --dir|--cwd) COMPREPLY=($(compgen -d -- \"$current\")); return ;;\n"
    "    -f|--file) if [[ $command != logs && $command != events ]]; then COMPREPLY=($(compgen -f -- \"$current\")); "
    "return; fi ;;\n"
    "    -p|--project) _hearth_offer projects; return ;;\n";

// "run|exec": what stands behind their "--" is a command with its words.
std::string takers_of_commands() {
  std::string names;
  for (const CommandText& command : commands())
    if (command.dashes) names += fmt::format("{}{}", names.empty() ? "" : "|", command.name);
  return names;
}

// Flags where they are asked for, or where there is nothing else: bash sorts them before all words.
std::string bash_line(std::string_view command, const std::string& flags, const std::string& others) {
  return others.empty() ? fmt::format("    {}) words='{}' ;;\n", command, flags)
                        : fmt::format("    {}) words='{}'; [[ $current == -* ]] || {} ;;\n", command, flags, others);
}

std::string bash_command(const CommandText& command) {
  std::string flags = flags_of(command.options);
  if (!flags.empty()) flags += ' ';
  flags += flags_of(global_options());
  std::string others = said(offer_of(command.completes).bash);
  if (*command.first != '\0') {
    others = fmt::format("{{ ((given)) || {{ COMPREPLY=($(compgen -W '{}' -- \"$current\")); return; }}; {}; }}",
                         command.first, others);
  }
  return bash_line(command.name, flags, others);
}

std::string bash_script() {
  std::string out = fmt::format(fmt::runtime(made_by), "bash");
  out += bash_functions;
  out += bash_words_before;
  out += fmt::format("      --) case $command in {}) _hearth_command $((i + 1)); return ;; esac ;;\n",
                     takers_of_commands());
  out += bash_last_word;
  out += bash_choices();
  out += fmt::format("    {}) return ;;\n", free_values());
  out +=
      "  esac\n"
      "  local words=\n"
      "  case $command in\n";
  out += bash_line("''", flags_of(global_options()), "words='" + visible_commands() + "'");
  for (const CommandText& command : commands()) out += bash_command(command);
  out +=
      "  esac\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
      "}\n"
      "complete -F _hearth hearth\n";
  return out;
}

// Inside single quotes, with the characters that _arguments and _describe read taken away.
std::string zsh_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else if (c == '[' || c == ']' || c == ':') {
      out += '\\';
      out += c;
    } else {
      out += c;
    }
  }
  return out;
}

std::string zsh_option(const OptionText& option) {
  std::string action;
  if (option.value != nullptr) {
    const std::string_view value = option.value;
    const char* what = value == "FILE"      ? "_files"
                       : value == "DIR"     ? "_files -/"
                       : value == "PROJECT" ? "_hearth_projects"
                                            : " ";
    const std::string_view choices = choices_of(option);
    action = fmt::format(":{}:{}", option.value, choices.empty() ? what : fmt::format("({})", choices));
  }
  const char* equals = option.value != nullptr ? "=" : "";  // also as --option=value
  std::string lines = fmt::format(" \\\n        '--{}{}[{}]{}'", option.name, equals, zsh_text(option.help), action);
  if (option.letter != 0)
    lines += fmt::format(" \\\n        '-{}[{}]{}'", option.letter, zsh_text(option.help), action);
  return lines;
}

constexpr const char* zsh_functions =
    "_hearth_services() {\n"
    "  local -a names\n"
    "  if [[ $PREFIX == @* ]]; then\n"
    "    names=(${(f)\"$(hearth $hearth_place completion tags 2>/dev/null)\"})\n"
    "    compadd -a names\n"
    "    return\n"
    "  fi\n"
    "  names=(${(f)\"$(hearth $hearth_place completion services 2>/dev/null)\"})\n"
    "  compadd -a names && return\n"
    "  names=(${(f)\"$(hearth $hearth_place completion names 2>/dev/null)\"})\n"
    "  compadd -a names\n"
    "}\n"
    "_hearth_config() {\n"
    "  local -a names\n"
    "  local kind=\n"
    "  case ${words[(r)(get|set|unset|show)]} in\n"
    "    get|set) kind=keys ;;\n"
    "    unset) kind=settings ;;\n"
    "    show) kind=services ;;\n"
    "    *) return ;;\n"
    "  esac\n"
    "  names=(${(f)\"$(hearth $hearth_place completion $kind 2>/dev/null)\"})\n"
    "  compadd -a names\n"
    "}\n"
    "_hearth_counts() {\n"
    "  local -a names\n"
    "  names=(${(f)\"$(hearth $hearth_place completion services 2>/dev/null)\"})\n"
    "  compadd -S = -a names\n"
    "}\n"
    "_hearth_projects() {\n"
    "  local -a names\n"
    "  names=(${(f)\"$(hearth $hearth_place completion projects 2>/dev/null)\"})\n"
    "  compadd -a names\n"
    "}\n"
    "_hearth() {\n"
    "  local context state line word\n"
    "  local -a hearth_place global\n"
    "  local -i i\n"
    "  typeset -A opt_args\n"
    "  for ((i = 2; i < CURRENT; i++)); do\n"
    "    word=$words[i]\n"
    "    case $word in\n"
    "      --) break ;;\n"
    "      --dir=*|--instance=*) hearth_place+=(${word%%=*} ${${(Q)word#*=}/#\\~\\//$HOME/}) ;;\n"
    "      --dir|--instance)\n"
    "        ((++i < CURRENT)) && hearth_place+=($word ${${(Q)words[i]}/#\\~\\//$HOME/}) ;;\n"
    "    esac\n"
    "  done\n"
    "  global=(";

std::string zsh_command(const CommandText& command) {
  std::string out = fmt::format("      {}) _arguments $global", command.name);
  for (const OptionText& option : command.options) out += zsh_option(option);
  if (*command.first != '\0') out += fmt::format(" '1:what:({})'", command.first);
  out += said(offer_of(command.completes).zsh);
  if (command.completes == Words::none) {
    if (command.dashes) {
      out += " '*::command:_normal'";
    } else if (command.options.empty()) {
      out += " '*: : '";
    }
  }
  return out + " ;;\n";
}

std::string zsh_script() {
  std::string out = "#compdef hearth\n" + fmt::format(fmt::runtime(made_by), "zsh");
  out += zsh_functions;
  for (const OptionText& option : global_options()) out += zsh_option(option);
  out +=
      ")\n"
      "  _arguments -C -A '-*' $global '1:command:->command' '*::argument:->argument'\n"
      "  case $state in\n"
      "    command)\n"
      "      local -a names=(\n";
  for (const CommandText& command : commands()) {
    out += fmt::format("        '{}:{}'\n", command.name, zsh_text(command.summary));
  }
  out +=
      "      )\n"
      "      _describe command names ;;\n"
      "    argument)\n"
      "      case $words[1] in\n";
  for (const CommandText& command : commands()) out += zsh_command(command);
  out +=
      "      esac ;;\n"
      "  esac\n"
      "}\n"
      "if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _hearth \"$@\"; else compdef _hearth hearth; fi\n";
  return out;
}

std::string fish_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

std::string fish_option(const OptionText& option, const std::string& condition) {
  std::string line = "complete -c hearth" + condition;
  if (option.letter != 0) line += fmt::format(" -s {}", option.letter);
  line += fmt::format(" -l {}", option.name);
  if (option.value != nullptr) {
    const std::string_view value = option.value, choices = choices_of(option);
    line += value == "FILE"      ? " -r -F"
            : value == "DIR"     ? " -x -a '(__fish_complete_directories)'"
            : value == "PROJECT" ? " -x -a '(__hearth_ask projects)'"
            : choices.empty()    ? " -x"
                                 : fmt::format(" -x -a '{}'", choices);
  }
  return line + " -d " + fish_quoted(option.help) + "\n";
}

constexpr const char* fish_functions =
    "function __hearth_ask\n"
    "  set -l place\n"
    "  set -l words (commandline -opc)\n"
    "  set -l i 2\n"
    "  while test $i -le (count $words)\n"
    "    set -l word $words[$i]\n"
    "    set i (math $i + 1)\n"
    "    switch $word\n"
    "      case --\n"
    "        break\n"
    "      case '--dir=*' '--instance=*'\n"
    "        set -a place (string replace '=~/' \"=$HOME/\" -- $word)\n"
    "      case --dir --instance\n"
    "        test $i -le (count $words); and set -a place $word (string replace -r '^~/' \"$HOME/\" -- $words[$i])\n"
    "        set i (math $i + 1)\n"
    "    end\n"
    "  end\n"
    "  hearth $place completion $argv[1] 2>/dev/null\n"
    "end\n"
    "function __hearth_services\n"
    "  set -l typed (commandline -ct)\n"
    "  if string match -q -- '@*' \"$typed\"\n"
    "    __hearth_ask tags\n"
    "    return\n"
    "  end\n"
    "  set -l names (__hearth_ask services | string match -- \"$typed*\")\n"
    "  or set names (__hearth_ask names)\n"
    "  printf '%s\\n' $names\n"
    "end\n"
    // __fish_use_subcommand takes the value of --dir for a command.
    "function __hearth_needs_command\n"
    "  set -l words (commandline -opc)\n"
    "  set -l i 2\n"
    "  while test $i -le (count $words)\n"
    "    switch $words[$i]\n"
    "      case --dir --instance\n"
    "        set i (math $i + 1)\n"
    "      case '-*'\n"
    "      case '*'\n"
    "        return 1\n"
    "    end\n"
    "    set i (math $i + 1)\n"
    "  end\n"
    "end\n"
    "function __hearth_config\n"
    "  set -l words (commandline -opc)\n"
    "  if contains -- get $words; or contains -- set $words\n"
    "    __hearth_ask keys\n"
    "  else if contains -- unset $words\n"
    "    __hearth_ask settings\n"
    "  else if contains -- show $words\n"
    "    __hearth_ask services\n"
    "  else if not contains -- validate $words; and not contains -- schema $words\n"
    "    printf '%s\\n' validate show get set unset schema\n"
    "  end\n"
    "end\n"
    "function __hearth_counts\n"
    "  for name in (__hearth_ask services)\n"
    "    echo $name=\n"
    "  end\n"
    "end\n"
    // Is this command the last word before the one that is typed?
    "function __hearth_first\n"
    "  set -l words (commandline -opc)\n"
    "  test \"$words[-1]\" = $argv[1]\n"
    "end\n"
    "complete -c hearth -f\n";

std::string fish_command(const CommandText& command) {
  std::string out = fmt::format("complete -c hearth -n __hearth_needs_command -a {} -d {}\n", command.name,
                                fish_quoted(command.summary));
  std::string seen = fmt::format("__fish_seen_subcommand_from {}", command.name);
  for (const OptionText& option : command.options) out += fish_option(option, fmt::format(" -n '{}'", seen));
  if (*command.first != '\0') {
    out += fmt::format("complete -c hearth -n '__hearth_first {}' -a '{}'\n", command.name, command.first);
    seen += fmt::format("; and not __hearth_first {}", command.name);
  }
  const bool of_a_command = command.completes == Words::none && command.dashes;
  const std::string words =
      of_a_command ? " -a '(__fish_complete_subcommand)'" : said(offer_of(command.completes).fish);
  if (!words.empty()) out += fmt::format("complete -c hearth -n '{}'{}\n", seen, words);
  return out;
}

std::string fish_script() {
  std::string out = fmt::format(fmt::runtime(made_by), "fish");
  out += fish_functions;
  for (const OptionText& option : global_options()) out += fish_option(option, "");
  for (const CommandText& command : commands()) out += fish_command(command);
  return out;
}

}  // namespace

std::string completion_script(std::string_view shell) {
  if (shell == "bash") return bash_script();
  if (shell == "zsh") return zsh_script();
  if (shell == "fish") return fish_script();
  return {};
}

}  // namespace hearth::cli
