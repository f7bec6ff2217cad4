#include "cli/options.h"

#include <algorithm>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/nearest.h"
#include "cli/command_table.h"
#include "cli/other_words.h"
#include "config/numbers.h"
#include "config/scalars.h"

namespace hearth::cli {
namespace {

Error usage(std::string subject, std::string reason, std::string hint) {
  return Error{Remedy::fix_input, "understand", std::move(subject), std::move(reason), std::move(hint), 0};
}

const OptionText* global_option(std::string_view word) {
  if (!word.starts_with("--")) return nullptr;
  word.remove_prefix(2);
  word = word.substr(0, word.find('='));
  for (const OptionText& option : global_options()) {
    if (word == option.name) return &option;
  }
  return nullptr;
}

// The first word that is no option, nor the value of one: the command. npos when there is none.
std::size_t command_position(const std::vector<std::string>& line) {
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == "--") return std::string::npos;
    if (!line[i].starts_with('-')) return i;
    const OptionText* option = global_option(line[i]);
    if (option != nullptr && option->value != nullptr && line[i].find('=') == std::string::npos) ++i;
  }
  return std::string::npos;
}

Error unknown_command(const std::string& name) {
  // A word that others have is none that somebody mistyped.
  if (const std::string_view answer = answer_to(name); !answer.empty())
    return usage("the command " + name, "there is none of that name", std::string(answer));
  std::vector<std::string_view> known;
  for (const CommandText& command : commands()) {
    known.push_back(command.name);
  }
  const std::string_view near = nearest(name, known);
  return usage("the command " + name, "there is none of that name",
               near.empty() ? "`hearth help` lists them" : fmt::format("did you mean `hearth {}`?", near));
}

Error unknown_option(const std::string& word, const CommandText* command) {
  const std::string_view answer =
      command == nullptr ? std::string_view() : answer_to_option(command->name, word.substr(0, word.find('=')));
  if (!answer.empty())
    return usage("the option " + word, fmt::format("`hearth {}` has none of that name", command->name),
                 std::string(answer));
  std::vector<std::string> flags;
  if (command != nullptr) {
    for (const OptionText& option : command->options) flags.push_back(std::string("--") + option.name);
  }
  for (const OptionText& option : global_options()) flags.push_back(std::string("--") + option.name);
  const std::vector<std::string_view> known(flags.begin(), flags.end());
  const std::string_view near = nearest(word.substr(0, word.find('=')), known);
  const std::string where = command != nullptr ? fmt::format("hearth help {}", command->name) : "hearth help";
  return usage(
      command != nullptr ? "the option " + word : "the command line",
      command != nullptr ? fmt::format("`hearth {}` has none of that name", command->name) : "unknown option " + word,
      near.empty() ? fmt::format("`{}` lists them", where) : fmt::format("did you mean {}?", near));
}

bool has_option(std::span<const OptionText> options, std::string_view word) {
  const std::string_view name = word.substr(0, word.find('='));
  return std::ranges::any_of(options, [&](const OptionText& option) {
    return name == std::string("--") + option.name || (option.letter != 0 && word == std::string("-") + option.letter);
  });
}

// `hearth --instanc x status`: "x" is no command that somebody mistyped but the value of an option that stands before
// the command and that only the command, or nobody, knows.
Error no_command_at(const std::vector<std::string>& line, std::size_t at) {
  for (std::size_t i = 0; i < at; ++i) {
    const std::string& word = line[i];
    if (word.size() < 2 || word[0] != '-' || has_option(global_options(), word)) continue;
    const bool of_a_command =
        std::ranges::any_of(commands(), [&](const CommandText& command) { return has_option(command.options, word); });
    if (!of_a_command) return unknown_option(word, nullptr);
    if (i + 1 == at && word.find('=') == word.npos)
      return usage("the command " + line[at], "there is none of that name",
                   fmt::format("options of a command stand behind it: hearth COMMAND {} {}", word, line[at]));
  }
  return unknown_command(line[at]);
}

// What they write is read by others, hearth itself or systemd: there is no object of it.
bool writes_files(std::string_view command) {
  return command == "import" || command == "export";
}

Error missing_value(const std::string& option, const CommandText* command) {
  const char* value = "VALUE";
  const auto look = [&](std::span<const OptionText> options) {
    for (const OptionText& one : options)
      if (one.value != nullptr && option == std::string("--") + one.name) value = one.value;
  };
  look(global_options());
  if (command != nullptr) look(command->options);
  return usage("the option " + option, "its value is missing",
               fmt::format("write {} {}; `hearth help{}{}` explains it", option, value, command != nullptr ? " " : "",
                           command != nullptr ? command->name : ""));
}

// CLI11 writes into these; they stay where they are while it parses.
struct Slots {
  std::map<std::string, std::vector<std::string>> values;
  std::map<std::string, bool> flags;
};

void add_options(CLI::App& app, std::span<const OptionText> options, Slots& slots) {
  for (const OptionText& option : options) {
    std::string names = option.letter != 0 ? fmt::format("-{},", option.letter) : std::string();
    names += fmt::format("--{}", option.name);
    if (option.value == nullptr) {
      app.add_flag(names, slots.flags[option.name]);
    } else {
      app.add_option(names, slots.values[option.name])->allow_extra_args(false)->expected(1)->take_all();
    }
  }
}

}  // namespace

std::optional<std::string> Arguments::value(std::string_view option) const {
  const auto found = options.find(option);
  if (found == options.end() || found->second.empty()) return std::nullopt;
  return found->second.back();
}

Result<Arguments> parse_arguments(const std::vector<std::string>& line) {
  Arguments arguments;
  const auto dashes = std::find(line.begin(), line.end(), "--");
  std::vector<std::string> before(line.begin(), dashes);
  const bool has_dashes = dashes != line.end();
  if (has_dashes) arguments.after.assign(dashes + 1, line.end());
  if (before.size() == 1 && (before[0] == "--version" || before[0] == "-v" || before[0] == "-V")) before[0] = "version";

  const std::size_t at = command_position(before);
  const CommandText* command = nullptr;
  if (at != std::string::npos) {
    arguments.command = before[at];
    command = find_command(arguments.command);
    if (command == nullptr) return failure(no_command_at(before, at));
    before.erase(before.begin() + static_cast<std::ptrdiff_t>(at));
  }
  if (has_dashes && (command == nullptr || !command->dashes)) {
    return failure(usage("--", "only `hearth run` and `hearth exec` take a command behind it", "leave it out"));
  }

  // One parser for the options of this command and the global ones, wherever they stand.
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  Slots slots;
  add_options(app, global_options(), slots);
  if (command != nullptr) add_options(app, command->options, slots);
  try {
    std::reverse(before.begin(), before.end());  // CLI11 takes words from the end
    app.parse(before);
  } catch (const CLI::ArgumentMismatch& error) {  // its message: "--lines: 1 required TEXT missing"
    const std::string_view message = error.what();
    return failure(missing_value(std::string(message.substr(0, message.find(':'))), command));
  } catch (const CLI::ConversionError& error) {  // its message: "Could not convert: --follow = x"
    const std::string_view message = error.what();
    const std::size_t from = std::min(message.find("--"), message.size());
    const std::string option(message.substr(from, message.find_first_of(" =", from) - from));
    return failure(usage("the option " + option, "it takes no value", "write it without: " + option));
  } catch (const CLI::ParseError& error) {
    return failure(usage(
        "the command line", error.what(),
        command != nullptr ? fmt::format("`hearth help {}` explains it", command->name) : "`hearth help` explains it"));
  }
  for (const std::string& word : app.remaining()) {
    const bool number = word.size() > 1 && word[1] >= '0' && word[1] <= '9';  // config set KEY -5
    if (word.size() > 1 && word[0] == '-' && !number) return failure(unknown_option(word, command));
    arguments.words.push_back(word);
  }
  for (const auto& [name, values] : slots.values) {
    if (!values.empty()) arguments.options[name] = values;
  }
  for (const auto& [name, given] : slots.flags) {
    if (given) arguments.options[name] = {""};
  }
  if (command != nullptr && *command->words == '\0' && !arguments.words.empty()) {
    return failure(usage(arguments.words[0], fmt::format("`hearth {}` takes no names", command->name),
                         fmt::format("`hearth help {}` explains it", command->name)));
  }
  if (arguments.has("json") && (writes_files(arguments.command) || arguments.has("print")))
    return failure(usage("--json",
                         fmt::format("`hearth {}{}` writes files of another form", arguments.command,
                                     arguments.has("print") ? " --print" : ""),
                         "leave it out; cli.md has what --json is for"));
  return arguments;
}

std::optional<SpanNs> span_of(std::string_view text) {
  if (const auto whole = config::parse_number(text); whole && *whole < 1'000'000'000)
    return seconds(static_cast<std::int64_t>(*whole));
  const bool bare = text.find_first_not_of("0123456789.") == text.npos;
  return config::parse_duration(bare ? std::string(text) + "s" : std::string(text));
}

Result<SpanNs> timeout_of(const Arguments& arguments) {
  const std::optional<std::string> text = arguments.value("timeout");
  if (!text) return never;
  const std::optional<SpanNs> span = span_of(*text);
  if (!span || *span <= 0) {
    return failure(usage("--timeout " + *text, "it is no span of time", "write for example 90s, 5m or 1h30m"));
  }
  return *span;
}

}  // namespace hearth::cli
