// Commands that the docs show exist: each `hearth ...` of a code span or a code block is held against the command
// table. And the other way round: the reference page names every command and option.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include <gtest/gtest.h>

#include "cli/command_table.h"
#include "cli/other_words.h"
#include "model/system_calls.h"
#include "places.h"

namespace hearth::cli {
namespace {

namespace fs = std::filesystem;

const std::string source = HEARTH_SOURCE_DIR;

std::string text_of(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// What stands behind each "hearth " that begins a word, in the spans and blocks of code of a page. A command ends
// where the shell's would.
std::vector<std::string> commands_in(const std::string& page, bool all_is_code = false) {
  std::vector<std::string> found;
  std::istringstream lines(page);
  std::string line;
  bool inside = false;  // a block
  bool block = false;   // one of commands
  while (std::getline(lines, line)) {
    if (line.starts_with("```")) {
      inside = !inside;
      block = inside && line != "```dockerfile";
      continue;
    }
    if (inside && !block) continue;
    for (std::size_t at = line.find("hearth "); at != line.npos; at = line.find("hearth ", at + 1)) {
      const char before = at == 0 ? '\n' : line[at - 1];
      const bool prompt = at >= 2 && line.substr(at - 2, 2) == "$ ";
      const bool code = block || all_is_code ? at == 0 || prompt || before == '(' || before == '/' : before == '`';
      const std::size_t comment = line.find(" #");
      if (!code || ((block || all_is_code) && comment < at)) continue;
      std::string rest = line.substr(at + 7);
      rest.resize(std::min(rest.find_first_of("`|;&)>#<,"), rest.size()));
      found.push_back(rest);
    }
  }
  return found;
}

bool is_option_of(std::span<const OptionText> options, const std::string& word) {
  return std::ranges::any_of(options, [&](const OptionText& option) {
    return word == std::string("--") + option.name || (option.letter != 0 && word == std::string("-") + option.letter);
  });
}

// What is wrong with the words behind "hearth"; "" when nothing is. Placeholders end the look: `hearth [OPTIONS]`.
std::string problem_of(const std::string& text) {
  std::istringstream words(text);
  std::string word;
  const CommandText* command = nullptr;
  bool first = true;
  while (words >> word) {
    if (word == "--") break;
    const bool option = word.starts_with('-');
    if (command == nullptr && !option) {
      if (std::isupper(static_cast<unsigned char>(word[0])) != 0 || word[0] == '[' || word[0] == '(' || word[0] == '$')
        return "";
      command = find_command(word);
      if (command == nullptr) return "hearth " + text + ": there is no command \"" + word + "\"";
      continue;
    }
    if (!option && command->completes == Words::config && std::exchange(first, false)) {
      if (std::isupper(static_cast<unsigned char>(word[0])) == 0 && std::string(command->words).find(word) == word.npos)
        return "hearth " + text + ": there is no \"" + word + "\" in it";
    }
    if (!option) continue;
    word.resize(std::min(word.find('='), word.size()));
    while (word.ends_with(']') || word.ends_with('.')) word.pop_back();
    if (is_option_of(global_options(), word)) {
      const bool takes_value = word == "--dir" || word == "--instance";
      if (takes_value && !(words >> word)) break;
      continue;
    }
    if (command == nullptr && word == "--version") return "";
    if (command == nullptr || !is_option_of(command->options, word))
      return "hearth " + text + ": there is no option " + word;
  }
  return "";
}

TEST(Docs, a_wrong_command_and_a_wrong_option_are_found) {
  const std::vector<std::string> found = commands_in(
      "Say `hearth status --json`, or `hearth statsu`. hearth is here.\n```\n$ hearth up --no-wiat   # hearth comment\n"
      "kill $(hearth --dir /x status | jq)\nhearth run --name a -- sh --not-ours\n```\n");
  ASSERT_EQ(found.size(), 5u);
  EXPECT_EQ(problem_of(found[0]), "");
  EXPECT_NE(problem_of(found[1]).find("no command \"statsu\""), std::string::npos);
  EXPECT_NE(problem_of(found[2]).find("no option --no-wiat"), std::string::npos);
  EXPECT_EQ(problem_of(found[3]), "");
  EXPECT_EQ(problem_of(found[4]), "");
  EXPECT_EQ(problem_of("[--dir DIR] COMMAND"), "");
}

TEST(Docs, every_command_they_show_exists) {
  std::size_t seen = 0;
  const auto check = [&](const fs::path& path) {
    const bool unit = path.extension() == ".service";
    for (const std::string& text : commands_in(text_of(path), unit)) {
      ++seen;
      EXPECT_EQ(problem_of(text), "") << path;
    }
  };
  check(source + "/README.md");
  for (const char* part : {"/docs", "/examples", "/packaging"}) {
    for (const auto& entry : fs::recursive_directory_iterator(source + part)) {
      const std::string kind = entry.path().extension();
      if (kind == ".md" || kind == ".service") check(entry.path());
    }
  }
  EXPECT_GT(seen, 30u);
}

TEST(Docs, help_and_manual_show_only_commands_that_exist) {
  for (const CommandText& command : commands()) {
    for (const std::string& text : commands_in(help_text(command))) EXPECT_EQ(problem_of(text), "") << command.name;
    for (const OptionText& option : command.options) {
      for (const std::string& text : commands_in(option.help)) EXPECT_EQ(problem_of(text), "") << command.name;
    }
  }
}

TEST(Docs, words_of_other_managers_are_answered_with_commands_that_exist) {
  std::size_t seen = 0;
  for (const std::string_view word : other_words()) {
    for (const std::string& text : commands_in(std::string(answer_to(word)))) {
      ++seen;
      EXPECT_EQ(problem_of(text), "") << word;
    }
  }
  EXPECT_GT(seen, other_words().size());
}

TEST(Docs, the_reference_names_every_command_and_option) {
  const std::string page = text_of(source + "/docs/reference/cli.md");
  const auto named = [&](const OptionText& option) {
    return page.find(std::string("--") + option.name) != page.npos ||
           (option.letter != 0 && page.find(std::string("-") + option.letter + " ") != page.npos);
  };
  for (const CommandText& command : commands()) {
    EXPECT_NE(page.find(std::string("`") + command.name), page.npos) << command.name;
    for (const OptionText& option : command.options) EXPECT_TRUE(named(option)) << command.name << " --" << option.name;
  }
  for (const OptionText& option : global_options()) EXPECT_TRUE(named(option)) << option.name;
}

// A row for each group, and one for the names that are in none: all that deny_syscalls takes.
TEST(Docs, the_reference_lists_every_system_call_that_can_be_denied) {
  const std::string page = text_of(source + "/docs/reference/configuration.md");
  const auto row = [](const std::string& head, const std::vector<std::string_view>& calls) {
    std::string text = "| " + head + " | ";
    for (const std::string_view call : calls) text += (text.ends_with('`') ? ", `" : "`") + std::string(call) + "`";
    return text + " |\n";
  };
  std::vector<std::string_view> others(system_call_names().begin(), system_call_names().end());
  std::string table = "| group | system calls |\n|---|---|\n";
  for (const SystemCallGroup& group : system_call_groups()) {
    const std::vector<std::string_view> calls(group.calls.begin(), group.calls.end());
    std::erase_if(others, [&](std::string_view name) { return std::ranges::find(calls, name) != calls.end(); });
    table += row("`" + std::string(group.name) + "`", calls);
  }
  table += row("in no group", others);
  EXPECT_NE(page.find(table), page.npos) << "it should have:\n" << table;
}

}  // namespace
}  // namespace hearth::cli
