// Several files, the environment and arguments become one configuration, and each value keeps its place.
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/toml.h"
#include "unit/config/memory_files.h"

namespace hearth::config {
namespace {

using testing::ElementsAre;
using testing::Pair;

constexpr std::string_view web = "[service.web]\ncommand = [\"x\"]\n";

struct Given {
  MemoryFiles files;
  std::vector<std::string> variables = {"HOME=/home/ada"};
  std::vector<std::string> settings;

  Parsed parse(std::string_view text) {
    const Environment env(variables);
    return parse_project(ProjectInput{text, "/p/hearth.toml", "hearth.toml", env, &files, settings});
  }
  ServiceSpec first(std::string_view text) {
    Parsed parsed = parse(text);
    EXPECT_TRUE(parsed.document.has_value()) << parsed.text();
    return parsed.document ? parsed.document->services.at(0) : ServiceSpec{};
  }
};

TEST(Layers, a_later_one_wins_key_by_key) {
  Given given;
  given.files.add("/p/base.toml",
                  "[service.web]\nnice = 1\nenv = { A = \"base\", B = \"base\" }\ncommand = [\"base\"]\n");
  given.files.add("/p/hearth.d/20-b.toml", "[service.web]\nnice = 4\n");
  given.files.add("/p/hearth.d/10-a.toml", "[service.web]\nnice = 3\nenv.C = \"drop-in\"\n");
  const std::string text = "include = [\"base.toml\"]\n[service.web]\nnice = 2\nenv = { B = \"file\" }\n";
  const ServiceSpec spec = given.first(text);
  EXPECT_THAT(spec.command, ElementsAre("base"));
  EXPECT_EQ(spec.process->nice, 4);
  EXPECT_THAT(spec.env, ElementsAre(Pair("A", "base"), Pair("B", "file"), Pair("C", "drop-in")));

  given.variables.push_back("HEARTH__SERVICE__WEB__NICE=5");
  EXPECT_EQ(given.first(text).process->nice, 5);
  given.settings = {"service.web.nice=6", "service.web.nice=7"};
  EXPECT_EQ(given.first(text).process->nice, 7);
}

TEST(Layers, drop_ins_may_add_services_and_belong_to_the_name_of_the_file) {
  Given given;
  given.files.add("/p/hearth.d/x.toml", "[service.more]\ncommand = [\"y\"]\n");
  given.files.add("/p/other.d/x.toml", "[service.strange]\ncommand = [\"y\"]\n");
  const Parsed parsed = given.parse(web);
  ASSERT_TRUE(parsed.document) << parsed.text();
  ASSERT_EQ(parsed.document->services.size(), 2u);
  EXPECT_EQ(parsed.document->services[1].name, "more");
}

TEST(Layers, includes_are_relative_to_the_file_they_stand_in_and_may_be_patterns) {
  Given given;
  given.files.add("/p/parts/all.toml", "include = [\"*/one.toml\", \"../last.toml\"]\n");
  given.files.add("/p/parts/a/one.toml", "[service.a]\ncommand = [\"a\"]\n");
  given.files.add("/p/parts/b/one.toml", "[service.b]\ncommand = [\"b\"]\n");
  given.files.add("/p/last.toml", "[service.b]\nnice = 3\n");
  const Parsed parsed = given.parse("include = [\"parts/all.toml\", \"none/*.toml\"]\n");
  ASSERT_TRUE(parsed.document) << parsed.text();
  ASSERT_EQ(parsed.document->services.size(), 2u);
  EXPECT_EQ(parsed.document->services[1].process->nice, 3);
  EXPECT_EQ(parsed.document->services[1].cwd, "/p")
      << "directories are relative to the project's file, wherever a key stands";
}

TEST(Layers, a_problem_names_the_file_in_which_it_stands) {
  Given given;
  given.files.add("/p/parts/a.toml", "[service.web]\nnice = 99\n");
  given.files.add("/p/hearth.d/b.toml", "\n[service.web]\n  umask = 7\n");
  given.variables.push_back("HEARTH__SERVICE__web__STOP_TIMEOUT=soon");
  given.settings = {"service.web.restart=no"};
  EXPECT_EQ(
      given.parse("include = [\"parts/a.toml\"]\n" + std::string(web)).text(),
      "parts/a.toml:2:8: service web: nice is 99, not an integer from -20 to 19\n"
      "hearth.d/b.toml:3:11: service web: umask is 7, not a umask from \"000\" to \"777\"; write octal digits in "
      "quotes: umask = \"022\"\n"
      "HEARTH__SERVICE__web__STOP_TIMEOUT: service web: stop_timeout is \"soon\", not a duration; write seconds as "
      "a number, or text like \"500ms\", \"30s\", \"1h30m\"\n"
      "--set service.web.restart=no: service web: restart is \"no\", not \"always\", \"on-failure\" or \"never\"; "
      "did you mean \"never\"?\n");
}

TEST(Layers, the_line_of_a_problem_is_that_of_its_file) {
  Given given;
  given.files.add("/p/hearth.d/b.toml", "[service.web]\nnice = 99\n");
  const Parsed parsed = given.parse(web);
  ASSERT_EQ(parsed.diagnostics.size(), 1u);
  EXPECT_EQ(parsed.excerpt(parsed.diagnostics[0]), "  nice = 99\n         ^\n");
}

TEST(Layers, a_syntax_error_in_an_included_file_has_its_place) {
  Given given;
  given.files.add("/p/a.toml", "[service.web]\nnice 5\n");
  const std::string text = given.parse("include = [\"a.toml\"]\n" + std::string(web)).text();
  EXPECT_TRUE(text.starts_with("a.toml:2:6: syntax error")) << text;
}

TEST(Layers, a_file_that_is_missing_unreadable_or_not_text_is_refused_at_its_include) {
  Given given;
  given.files.refuse("/p/secret.toml", "permission denied");
  EXPECT_EQ(given.parse("include = [\"gone.toml\",\n  \"secret.toml\", 5, \"${NOPE}\"]\n" + std::string(web)).text(),
            "hearth.toml:1:12: there is no file \"gone.toml\"; write it, or remove it here\n"
            "hearth.toml:2:3: \"secret.toml\" cannot be read: permission denied\n"
            "hearth.toml:2:18: include[2] is 5, not a path\n"
            "hearth.toml:2:21: include[3]: it uses ${NOPE}, and NOPE is not set in your environment; set it, give a "
            "default with ${NOPE:-default}, or write $${NOPE} for the characters themselves\n");
}

TEST(Layers, a_cycle_of_includes_is_told_with_its_way) {
  Given given;
  given.files.add("/p/a.toml", "include = [\"b.toml\"]\n");
  given.files.add("/p/b.toml", "include = [\"a.toml\"]\n");
  EXPECT_EQ(
      given.parse("include = [\"a.toml\"]\n" + std::string(web)).text(),
      "b.toml:1:12: it includes \"a.toml\", by which it is included; so far: hearth.toml includes a.toml includes "
      "b.toml\n");
}

TEST(Layers, depth_number_and_size_of_includes_have_bounds) {
  Given deep;
  for (int i = 0; i < 12; ++i) {
    deep.files.add("/p/" + std::to_string(i) + ".toml", "include = [\"" + std::to_string(i + 1) + ".toml\"]\n");
  }
  EXPECT_THAT(deep.parse("include = [\"0.toml\"]\n").text(), testing::HasSubstr("include goes deeper than 8 files"));

  Given many;
  for (int i = 1000; i < 1300; ++i) many.files.add("/p/many/" + std::to_string(i) + ".toml", "\n");
  EXPECT_THAT(many.parse("include = [\"many/*.toml\"]\n").text(), testing::HasSubstr("more than 256 files"));

  Given large;
  for (int i = 0; i < 9; ++i) {
    large.files.add("/p/large/" + std::to_string(i) + ".toml", "#" + std::string(1000000, 'x') + "\n");
  }
  EXPECT_THAT(large.parse("include = [\"large/*.toml\"]\n").text(), testing::HasSubstr("more than 8 MiB"));
}

TEST(Layers, arrays_are_replaced_and_so_is_a_probe_of_another_type) {
  Given given;
  given.files.add("/p/hearth.d/x.toml",
                  "[service.web]\nready = { type = \"tcp\", address = \"127.0.0.1:1\" }\nlive.interval = \"7s\"\n"
                  "command = [\"y\"]\n");
  const ServiceSpec spec = given.first(
      "[service.web]\ncommand = [\"x\", \"1\"]\nready = { type = \"http\", url = \"http://h/\", interval = 3 }\n"
      "live = { type = \"tcp\", address = \"127.0.0.1:2\", interval = 3 }\n");
  EXPECT_THAT(spec.command, ElementsAre("y"));
  EXPECT_EQ(*spec.ready, (Probe{.type = ProbeType::tcp, .address = "127.0.0.1:1"}));
  EXPECT_EQ(*spec.live, (Probe{.type = ProbeType::tcp, .address = "127.0.0.1:2", .interval = seconds(7)}));
}

TEST(Settings, a_value_is_toml_where_it_can_be_and_else_text) {
  Given given;
  given.settings = {"service.web.command=[\"a\", \"b=c\"]", "service.web.restart=always",
                    "service.web.env.\"A.B\"=1 # one", "service.web.stop_timeout=\"3s\"", "service.web.env.E="};
  const ServiceSpec spec = given.first(web);
  EXPECT_THAT(spec.command, ElementsAre("a", "b=c"));
  EXPECT_EQ(spec.restart, RestartPolicy::always);
  EXPECT_EQ(spec.stop_timeout, seconds(3));
  EXPECT_THAT(spec.env, ElementsAre(Pair("A.B", "1"), Pair("E", "")));
}

TEST(Settings, a_variable_finds_names_whatever_their_case_and_dashes) {
  Given given;
  given.variables.insert(given.variables.end(),
                         {"HEARTH__SERVICE__MY_DB__ENV__Key=v", "HEARTH__SERVICE__my-db__BACKOFF__INITIAL=2"});
  const ServiceSpec spec = given.first("[service.my-db]\ncommand = [\"x\"]\n");
  EXPECT_THAT(spec.env, ElementsAre(Pair("Key", "v")));
  EXPECT_EQ(spec.backoff.initial, seconds(2));
}

TEST(Settings, that_name_nothing_are_refused) {
  Given given;
  given.variables.insert(given.variables.end(), {"HEARTH__SERVICE__WBE__NICE=1", "HEARTH__=1"});
  given.settings = {"service.wbe.nice=1", "nonsense", "=5"};
  EXPECT_EQ(
      given.parse(web).text(),
      "HEARTH__: it is not of the form HEARTH__SERVICE__NAME__KEY; write for example HEARTH__SERVICE__web__NICE=5\n"
      "HEARTH__SERVICE__WBE__NICE: there is no service \"WBE\"; a setting changes what is there and adds nothing\n"
      "--set service.wbe.nice=1: there is no service \"wbe\"; did you mean \"web\"?\n"
      "--set nonsense: it is not KEY=VALUE; write for example --set service.web.nice=5\n"
      "--set =5: it is not KEY=VALUE; write for example --set service.web.nice=5\n");
}

TEST(Shared, what_defaults_say_of_readiness_is_not_said_of_tasks) {
  const std::string defaults =
      "[defaults]\nnice = 3\nready = { type = \"uptime\", after = \"1s\" }\nlive = { type = \"tcp\", address = "
      "\"localhost:1\" }\n"
      "start_timeout = \"9s\"\nwatchdog = \"1s\"\nrestart = \"always\"\n[template.once]\ntype = \"task\"\n";
  for (const std::string type : {"type = \"task\"\n", "template = \"once\"\n"}) {
    Given given;
    const ServiceSpec spec = given.first(defaults + "[service.job]\ncommand = [\"x\"]\n" + type);
    EXPECT_EQ(spec.process->nice, 3) << type;
    EXPECT_EQ(spec.ready->type, ProbeType::none) << type;
    EXPECT_EQ(spec.live->type, ProbeType::none) << type;
    EXPECT_EQ(spec.start_timeout, ServiceSpec().start_timeout) << type;
    EXPECT_EQ(spec.watchdog, 0) << type;
    EXPECT_EQ(spec.restart, RestartPolicy::never) << type;
  }
  Given given;
  EXPECT_EQ(given.first(defaults + "[service.web]\ncommand = [\"x\"]\n").ready->type, ProbeType::uptime);
}

TEST(Shared, defaults_are_inherited_key_by_key) {
  Given given;
  const std::string text =
      "[defaults]\nnice = 3\nenv = { A = \"1\" }\nbackoff = { initial = \"2s\", factor = 3 }\n"
      "[service.web]\ncommand = [\"x\"]\nenv = { B = \"2\" }\nbackoff.initial = \"1s\"\n";
  const ServiceSpec spec = given.first(text);
  EXPECT_EQ(spec.process->nice, 3);
  EXPECT_THAT(spec.env, ElementsAre(Pair("A", "1"), Pair("B", "2")));
  EXPECT_EQ(spec.backoff.initial, seconds(1));
  EXPECT_EQ(spec.backoff.factor, 3);
}

TEST(Shared, templates_stand_between_the_defaults_and_the_service_and_may_be_made_of_others) {
  Given given;
  const std::string text =
      "[defaults]\nnice = 1\numask = \"077\"\n"
      "[template.base]\ncommand = [\"base\"]\nnice = 2\nfdstore_max = 2\n"
      "[template.gpu]\ntemplate = \"base\"\nnice = 3\nfdstore_max = 3\n"
      "[template.quiet]\nnice = 4\n"
      "[service.web]\ntemplate = [\"gpu\", \"quiet\"]\nfdstore_max = 5\n";
  const ServiceSpec spec = given.first(text);
  EXPECT_THAT(spec.command, ElementsAre("base"));
  EXPECT_EQ(spec.process->nice, 4);
  EXPECT_EQ(spec.fdstore_max, 5u);
  EXPECT_EQ(spec.process->umask, 077);
}

TEST(Shared, what_is_wrong_in_a_shared_table_is_told_once_and_as_its_own) {
  Given given;
  const std::string text =
      "[defaults]\nnice = 99\n[template.t]\numask = 1\n[template.unused]\nstop_signal = \"X\"\n"
      "[service.a]\ncommand = [\"x\"]\ntemplate = \"t\"\n[service.b]\ncommand = [\"x\"]\ntemplate = \"t\"\n"
      "[service.c]\ncommand = [\"x\"]\ntemplate = \"tt\"\n";
  EXPECT_EQ(
      given.parse(text).text(),
      "hearth.toml:2:8: defaults: nice is 99, not an integer from -20 to 19\n"
      "hearth.toml:4:9: template t: umask is 1, not a umask from \"000\" to \"777\"; write octal digits in quotes: "
      "umask = \"022\"\n"
      "hearth.toml:6:15: template unused: stop_signal is \"X\", not a signal; write a name like \"TERM\" or "
      "\"INT\", or its number\n"
      "hearth.toml:15:12: service c: there is no template \"tt\"; did you mean \"t\"?\n");
}

TEST(Shared, a_template_that_is_made_of_itself_is_refused) {
  Given given;
  EXPECT_EQ(given
                .parse("[template.a]\ntemplate = \"b\"\n[template.b]\ntemplate = \"a\"\n"
                       "[service.x]\ncommand = [\"x\"]\ntemplate = \"a\"\n")
                .text(),
            "hearth.toml:4:12: template b: the templates form a cycle: \"a\" is made of itself; remove one of them\n");
}

TEST(Shared, a_dependency_of_all_services_on_one_of_them_is_explained) {
  Given given;
  EXPECT_EQ(given.parse("[defaults]\ndepends_on = [\"db\"]\n[service.db]\ncommand = [\"x\"]\n").text(),
            "hearth.toml:2:15: defaults: service db depends on itself; name it in the services that need it\n");
}

TEST(Vars, come_before_the_environment_and_may_use_it_and_those_above) {
  Given given;
  given.variables.insert(given.variables.end(), {"PORT=9", "WHO=env"});
  const std::string text =
      "[vars]\nPORT = \"${PORT:-8080}\"\nURL = \"http://${WHO}:${PORT}\"\nWHO = \"vars\"\nN = 3\n"
      "[service.web]\ncommand = [\"${URL}\", \"${WHO}\", \"${N}\"]\n";
  const Parsed parsed = given.parse(text);
  ASSERT_TRUE(parsed.document) << parsed.text();
  EXPECT_THAT(parsed.document->services[0].command, ElementsAre("http://env:9", "vars", "3"));
  EXPECT_THAT(parsed.document->environment, ElementsAre("HOME=/home/ada", "PORT=9", "WHO=env"))
      << "they are for the file, not for the services";
}

TEST(Index, braces_without_a_dollar_are_left_alone) {
  Given given;
  const ServiceSpec spec = given.first(
      "[service.web]\ncommand = [\"x\", \"--port\", \"80{index}\", \"{other}\"]\nenv = { A = \"{index}\" }\ncwd = "
      "\"d{index}\"\n");
  EXPECT_THAT(spec.command, ElementsAre("x", "--port", "80{index}", "{other}"));
  EXPECT_THAT(spec.env, ElementsAre(Pair("A", "{index}")));
  EXPECT_EQ(spec.cwd, "/p/d{index}");
}

TEST(Variables, of_a_setting_never_reach_a_service) {
  Given given;
  given.variables.push_back("HEARTH__SERVICE__WEB__NICE=1");
  const Parsed parsed = given.parse(web);
  ASSERT_TRUE(parsed.document);
  EXPECT_THAT(parsed.document->environment, ElementsAre("HOME=/home/ada"));
}

TEST(Services, know_where_their_accounts_are_named) {
  Given given;
  given.files.add("/p/hearth.d/x.toml", "[service.web]\nuser = \"ada\"\n");
  const Parsed parsed = given.parse(web);
  ASSERT_TRUE(parsed.document);
  EXPECT_EQ(parsed.diagnostic(parsed.places.at(0).user, "m", "r").text(), "hearth.d/x.toml:2:8: m; r");
  EXPECT_EQ(parsed.diagnostic(parsed.places.at(0).group, "m", "").text(), "hearth.toml:1:10: m");
}

}  // namespace
}  // namespace hearth::config
