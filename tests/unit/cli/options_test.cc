#include "cli/options.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "cli/command_table.h"
#include "cli/context.h"
#include "cli/other_words.h"

namespace hearth::cli {
namespace {

using Words = std::vector<std::string>;

Arguments parsed(const Words& line) {
  Result<Arguments> arguments = parse_arguments(line);
  EXPECT_TRUE(arguments.has_value()) << arguments.error().text();
  return arguments ? *arguments : Arguments{};
}

std::string hint_of(const Words& line) {
  const Result<Arguments> arguments = parse_arguments(line);
  EXPECT_FALSE(arguments.has_value());
  if (arguments) return "no error";
  EXPECT_EQ(arguments.error().remedy, Remedy::fix_input);
  return arguments.error().hint;
}

TEST(Options, global_options_stand_before_or_behind_the_command) {
  for (const Words& line : {Words{"--dir", "/x", "status", "web"}, Words{"status", "--dir", "/x", "web"},
                            Words{"status", "web", "--dir=/x"}, Words{"--dir=/x", "status", "web"}}) {
    const Arguments arguments = parsed(line);
    EXPECT_EQ(arguments.command, "status");
    EXPECT_EQ(arguments.value("dir"), "/x");
    EXPECT_EQ(arguments.words, Words{"web"});
  }
}

TEST(Options, a_directory_may_be_called_like_a_command) {
  const Arguments arguments = parsed({"--dir", "stop", "status"});
  EXPECT_EQ(arguments.command, "status");
  EXPECT_EQ(arguments.value("dir"), "stop");
}

TEST(Options, letters_and_values_in_every_form) {
  EXPECT_EQ(parsed({"logs", "-f", "-n", "5", "web"}).value("lines"), "5");
  EXPECT_EQ(parsed({"logs", "-n5", "web"}).value("lines"), "5");
  EXPECT_EQ(parsed({"logs", "--lines=5", "web"}).value("lines"), "5");
  EXPECT_TRUE(parsed({"logs", "web", "--follow"}).has("follow"));
  EXPECT_FALSE(parsed({"logs", "web"}).has("follow"));
  EXPECT_EQ(parsed({"up", "-f", "a.toml"}).value("file"), "a.toml");
}

TEST(Options, what_stands_behind_two_dashes_is_the_command_as_it_is) {
  const Arguments arguments =
      parsed({"run", "--name", "n", "--env", "A=1", "--env", "B=2", "--", "sh", "-c", "--", "--json"});
  EXPECT_EQ(arguments.after, (Words{"sh", "-c", "--", "--json"}));
  EXPECT_FALSE(arguments.has("json"));
  EXPECT_EQ(arguments.options.at("env"), (Words{"A=1", "B=2"}));
}

TEST(Options, an_unknown_command_is_answered_with_the_nearest) {
  EXPECT_EQ(hint_of({"staus"}), "did you mean `hearth status`?");
  EXPECT_EQ(hint_of({"--dir", "/x", "restrat", "web"}), "did you mean `hearth restart`?");
  EXPECT_EQ(hint_of({"ps"}), "did you mean `hearth status`?");
  EXPECT_EQ(hint_of({"xyzzy"}), "`hearth help` lists them");
}

TEST(Options, a_word_of_another_manager_is_answered_with_what_hearth_has_for_it) {
  const std::pair<const char*, const char*> words[] = {
      {"update", "hearth reload"},        {"add", "hearth up"},
      {"remove", "hearth down NAME"},     {"monit", "hearth top"},
      {"save", "hearth enable"},          {"resurrect", "hearth up"},
      {"flush", "log.max_files"},         {"clear", "log.max_files"},
      {"fg", "hearth logs -f"},           {"attach", "hearth exec NAME"},
      {"tail", "hearth logs -f"},         {"reread", "hearth reload --dry-run"},
      {"kill", "hearth signal KILL"},     {"delete", "hearth down NAME"},
      {"describe", "hearth status NAME"}, {"show", "hearth explain NAME"},
      {"info", "hearth config show"},     {"is-active", "exit code"},
      {"daemon-reload", "hearth reload"}, {"avail", "hearth status"},
      {"startsrc", "hearth start"},       {"env", "hearth exec NAME -- env"},
      {"journalctl", "hearth logs -f"},   {"is-enabled", "hearth enable --print"},
      {"isolate", "hearth stop NAME"}};
  for (const auto& [theirs, ours] : words) EXPECT_NE(hint_of({theirs, "web"}).find(ours), std::string::npos) << theirs;
}

// An answer that names what is not there, or stands in the way of a command, would be worse than none.
TEST(Options, no_command_of_hearth_is_taken_for_a_word_of_another_manager) {
  for (const CommandText& command : commands()) EXPECT_EQ(answer_to(command.name), "") << command.name;
  std::vector<std::string_view> words = other_words();
  std::ranges::sort(words);
  EXPECT_TRUE(std::ranges::adjacent_find(words) == words.end()) << "two answers to one word";
}

TEST(Options, an_unknown_option_is_answered_with_the_nearest_of_that_command) {
  EXPECT_EQ(hint_of({"logs", "--folow", "web"}), "did you mean --follow?");
  EXPECT_EQ(hint_of({"up", "--tiemout=3s"}), "did you mean --timeout?");
  EXPECT_EQ(hint_of({"status", "--colour"}), "`hearth help status` lists them");
}

TEST(Options, an_option_that_another_command_is_for_is_answered_with_that) {
  for (const char* option : {"--watch", "-w", "--follow", "-f", "--watch=2"})
    EXPECT_EQ(hint_of({"status", option}).substr(0, 40), "`hearth top` shows services live, `heart") << option;
  EXPECT_EQ(hint_of({"status", "--wait"}).substr(0, 46), "`hearth wait NAME` waits until it is ready, `h") << "--wait";
  EXPECT_EQ(hint_of({"up", "-d"}).substr(0, 12), "leave it out");
  EXPECT_EQ(hint_of({"logs", "--tail", "5"}).substr(0, 8), "-n COUNT");
  EXPECT_EQ(hint_of({"up", "--watch"}), "`hearth help up` lists them");
}

TEST(Options, an_unknown_option_before_the_command_is_told_and_not_its_value) {
  const Result<Arguments> arguments = parse_arguments({"--instanc", "x", "status"});
  ASSERT_FALSE(arguments.has_value());
  EXPECT_EQ(arguments.error().reason, "unknown option --instanc");
  EXPECT_EQ(arguments.error().hint, "did you mean --instance?");
  EXPECT_EQ(hint_of({"--instanc=x", "staus"}), "did you mean --instance?");
  EXPECT_EQ(hint_of({"--instance", "x", "staus"}), "did you mean `hearth status`?");
  EXPECT_EQ(hint_of({"-f", "a.toml", "up"}), "options of a command stand behind it: hearth COMMAND -f a.toml");
  EXPECT_EQ(parsed({"--no-wait", "up"}).command, "up");
}

TEST(Options, a_value_where_none_belongs_is_refused_in_our_words) {
  const Result<Arguments> arguments = parse_arguments({"logs", "--follow=x", "web"});
  ASSERT_FALSE(arguments.has_value());
  EXPECT_EQ(arguments.error().subject, "the option --follow");
  EXPECT_EQ(arguments.error().hint, "write it without: --follow");
}

TEST(Options, version_is_also_an_option) {
  EXPECT_EQ(parsed({"--version"}).command, "version");
  EXPECT_EQ(parsed({"-v"}).command, "version");
}

TEST(Options, names_where_none_belong_are_refused) {
  EXPECT_EQ(hint_of({"up", "web"}), "`hearth help up` explains it");
  EXPECT_EQ(hint_of({"stop", "--", "web"}), "leave it out");
}

TEST(Options, a_value_that_is_missing_is_said_so) {
  EXPECT_FALSE(parse_arguments({"status", "--dir"}).has_value());
  EXPECT_EQ(hint_of({"logs", "-n"}), "write --lines COUNT; `hearth help logs` explains it");
  EXPECT_EQ(hint_of({"--dir"}), "write --dir DIR; `hearth help` explains it");
}

TEST(Options, timeouts_are_spans_or_seconds) {
  for (const char* half : {"0.5", "500ms", "0.5s"}) EXPECT_EQ(span_of(half), milliseconds(500)) << half;
  EXPECT_EQ(span_of("2"), seconds(2));
  for (const char* none : {"", ".", "1.2.3", "soon", "-1", "0.5x", "1e3"}) EXPECT_FALSE(span_of(none)) << none;
  EXPECT_EQ(timeout_of(parsed({"up"})), never);
  EXPECT_EQ(timeout_of(parsed({"up", "--timeout", "90s"})), seconds(90));
  EXPECT_EQ(timeout_of(parsed({"up", "--timeout", "15"})), seconds(15));
  EXPECT_EQ(timeout_of(parsed({"up", "--timeout", "1h30m"})), seconds(5400));
  EXPECT_EQ(timeout_of(parsed({"up", "--timeout", "1.5"})), milliseconds(1500));
  EXPECT_FALSE(timeout_of(parsed({"up", "--timeout", "soon"})).has_value());
  EXPECT_FALSE(timeout_of(parsed({"up", "--timeout", "0"})).has_value());
  EXPECT_FALSE(timeout_of(parsed({"up", "--timeout", "0.0"})).has_value());
  EXPECT_FALSE(timeout_of(parsed({"up", "--timeout", "1.2.3"})).has_value());
  EXPECT_FALSE(timeout_of(parsed({"up", "--timeout", "-5s"})).has_value());
}

TEST(Options, json_is_refused_where_files_of_another_form_are_written) {
  for (const Words& line : std::vector<Words>{{"import", "procfile", "Procfile", "--json"},
                                              {"--json", "export", "systemd"},
                                              {"enable", "--print", "--json"}}) {
    const Result<Arguments> refused = parse_arguments(line);
    ASSERT_FALSE(refused) << line[0];
    EXPECT_EQ(refused.error().subject, "--json");
  }
  EXPECT_TRUE(parse_arguments({"enable", "--json"}));
  EXPECT_TRUE(parse_arguments({"enable", "--print"}));
}

TEST(Options, versions_are_asked_for_in_three_ways) {
  for (const char* word : {"--version", "-v", "-V"}) EXPECT_EQ(parsed({word}).command, "version") << word;
}

TEST(Options, every_option_of_the_table_is_understood) {
  for (const CommandText& command : commands()) {
    for (const OptionText& option : command.options) {
      Words line = {command.name, std::string("--") + option.name};
      if (option.value != nullptr) line.push_back("value");
      const Result<Arguments> arguments = parse_arguments(line);
      ASSERT_TRUE(arguments.has_value()) << command.name << " --" << option.name << ": " << arguments.error().text();
      EXPECT_TRUE(arguments->has(option.name)) << command.name << " --" << option.name;
    }
  }
}

TEST(Context, no_environment_variable_chooses_the_instance) {
  const auto usual = make_context(*parse_arguments({"status"}), "0");
  ASSERT_TRUE(usual);
  ::setenv("HEARTH_DIR", "/tmp/another", 1);
  ::setenv("HEARTH_INSTANCE", "/tmp/another", 1);
  const auto context = make_context(*parse_arguments({"status"}), "0");
  ::unsetenv("HEARTH_DIR");
  ::unsetenv("HEARTH_INSTANCE");
  ASSERT_TRUE(context);
  EXPECT_EQ(context->instance.directory, usual->instance.directory);
}

}  // namespace
}  // namespace hearth::cli
