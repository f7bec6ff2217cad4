// What is in effect and where it comes from; and the schema, which is made of the same tables.
#include "config/effective.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>

#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/schema.h"
#include "config/service_keys.h"
#include "places.h"
#include "unit/config/memory_files.h"

namespace hearth::config {
namespace {

namespace json = boost::json;

const std::vector<std::string> variables = {"HOME=/home/ada", "PORT=8080", "HEARTH__SERVICE__WEB__NICE=7"};
const std::vector<std::string> settings = {"service.web.umask=\"077\""};

Effective effective(std::string_view text, bool standards = false) {
  static MemoryFiles files;
  files.add("/p/hearth.d/x.toml", "[service.web]\nenv.B = \"b\"\n");
  static const Environment env(variables);
  return effective_configuration(ProjectInput{text, "/p/hearth.toml", "hearth.toml", env, &files, settings}, standards);
}

std::string lines(const Effective& all) {
  std::string out;
  for (const Setting& one : all.settings) out += one.key + " = " + one.value + "  # " + one.origin + "\n";
  return out;
}

const Setting* find(const Effective& all, std::string_view key) {
  for (const Setting& one : all.settings) {
    if (one.key == key) return &one;
  }
  return nullptr;
}

TEST(Effective, each_value_says_where_it_comes_from) {
  const Effective all = effective(
      "[vars]\nHOST = \"h\"\n[defaults]\nstop_timeout = 3\n[template.t]\nbackoff = { max = \"1m\" }\n"
      "[service.web]\ncommand = [\"x\", \"${HOST}:${PORT}\"]\ntemplate = \"t\"\nenv = { A = 1 }\n");
  ASSERT_TRUE(all.parsed.document) << all.parsed.text();
  EXPECT_EQ(lines(all),
            "vars.HOST = \"h\"  # hearth.toml:2\n"
            "service.web.stop_timeout = 3  # hearth.toml:4 (defaults)\n"
            "service.web.backoff.max = \"1m\"  # hearth.toml:6 (template t)\n"
            "service.web.command = [\"x\", \"h:8080\"]  # hearth.toml:8\n"
            "service.web.env.A = 1  # hearth.toml:10\n"
            "service.web.env.B = \"b\"  # hearth.d/x.toml:2\n"
            "service.web.nice = 7  # HEARTH__SERVICE__WEB__NICE\n"
            "service.web.umask = \"077\"  # --set service.web.umask=\"077\"\n");
}

TEST(Effective, what_nobody_has_set_has_its_default) {
  const Effective all = effective(
      "[service.web]\ncommand = [\"x\"]\nbackoff.max = 60\nready = { type = \"tcp\", address = \"h:1\" }\n", true);
  ASSERT_TRUE(all.parsed.document) << all.parsed.text();
  const std::pair<const char*, const char*> expected[] = {
      {"service.web.restart", "\"on-failure\""},
      {"service.web.stop_signal", "\"TERM\""},
      {"service.web.stop_timeout", "\"10s\""},
      {"service.web.backoff.initial", "\"200ms\""},
      {"service.web.log.max_size", "\"10MiB\""},
      {"service.web.ready.interval", "\"1s\""},
      {"service.web.shell", "false"},
      {"service.web.success_exit_codes", "[0]"},
      {"service.web.cgroup.cpu_max", "\"0%\""},
      {"service.web.cwd", "\"/p\""},
      {"project.name", "\"p\""},
  };
  for (const auto& [key, value] : expected) {
    const Setting* setting = find(all, key);
    ASSERT_NE(setting, nullptr) << key;
    EXPECT_EQ(setting->value, value);
    EXPECT_TRUE(setting->standard);
    EXPECT_EQ(setting->origin, "default");
  }
  EXPECT_EQ(find(all, "service.web.live->interval"), nullptr) << "there is no such probe";
  EXPECT_EQ(find(all, "service.web.user"), nullptr) << "it has no default";
  EXPECT_FALSE(find(all, "service.web.backoff.max")->standard);
  EXPECT_EQ(find(all, "service.web.restart")->plain, "on-failure");
}

// docs/reference/configuration.md names these defaults, and cli.md has the first as its example of `config get`.
TEST(Effective, nice_and_umask_have_their_defaults_too) {
  const Environment env;
  const Effective all = effective_configuration(
      ProjectInput{"[service.web]\ncommand = [\"x\"]\n", "/p/hearth.toml", "hearth.toml", env}, true);
  ASSERT_TRUE(all.parsed.document) << all.parsed.text();
  const Setting *nice = find(all, "service.web.nice"), *umask = find(all, "service.web.umask");
  ASSERT_NE(nice, nullptr);
  EXPECT_EQ(nice->plain, "0");
  ASSERT_NE(umask, nullptr);
  EXPECT_EQ(umask->plain, "022");
  EXPECT_EQ(umask->value, "\"022\"");
}

TEST(Effective, a_file_that_is_not_valid_has_no_settings) {
  const Effective all = effective("[service.web]\ncommand = 5\n", true);
  EXPECT_FALSE(all.parsed.document);
  EXPECT_TRUE(all.settings.empty());
  EXPECT_EQ(all.parsed.diagnostics.size(), 1u);
}

TEST(Effective, the_values_it_shows_read_back_to_the_same) {
  const Effective all = effective(
      "[service.\"web\"]\ncommand = [\"x\", \"a\\\"\\\\\\n\\u0001ä\"]\nenv = { \"A b\" = true, C = \"${PORT}\" }\n"
      "depends_on = { db = { condition = \"started\" } }\n[service.db]\ncommand = [\"y\"]\nbackoff = { factor = 1.0 "
      "}\n",
      true);
  ASSERT_TRUE(all.parsed.document) << all.parsed.text();
  std::string text;
  for (const Setting& one : all.settings) text += one.key + " = " + one.value + "\n";
  const Environment env(variables);
  const Parsed again = parse_project(text, "/p/hearth.toml", env);
  ASSERT_TRUE(again.document) << again.text() << text;
  EXPECT_EQ(again.document->services, all.parsed.document->services);
}

// What has no meaning with a probe of that type, or in a task, is not shown: `hearth config show --defaults` is a file.
TEST(Effective, all_defaults_written_down_are_a_file_that_means_the_same) {
  for (const char* more : {
           "ready = \"notify\"",
           "ready = \"fd:4\"",
           "ready = { type = \"notify\" }",
           "ready = { type = \"fd\", fd = 3 }",
           "ready = { type = \"http\", url = \"http://127.0.0.1:1/\" }",
           "ready = { type = \"tcp\", address = \"127.0.0.1:1\" }",
           "ready = { type = \"unix\", path = \"s\" }",
           "ready = { type = \"exec\", command = [\"x\"] }",
           "ready = { type = \"file\", path = \"f\" }",
           "ready = { type = \"log\", pattern = \"up\" }",
           "ready = { type = \"frame\", path = \"s\" }",
           "ready = { type = \"uptime\", after = \"1s\" }",
           "live = { type = \"memory\" }\nmax_memory = \"1GiB\"",
           "live = { type = \"http\", url = \"http://127.0.0.1:1/\" }\nmax_memory = \"1GiB\"",
           "max_memory = \"1GiB\"",
           "type = \"task\"",
           "type = \"forking\"",
       }) {
    const Effective all = effective(std::string("[service.web]\ncommand = [\"x\"]\n") + more + "\n", true);
    ASSERT_TRUE(all.parsed.document) << all.parsed.text() << more;
    std::string text;
    for (const Setting& one : all.settings) text += one.key + " = " + one.value + "\n";
    const Environment env;
    const Parsed again = parse_project(text, "/p/hearth.toml", env);
    ASSERT_TRUE(again.document) << again.text() << text;
    EXPECT_EQ(again.document->services, all.parsed.document->services) << text;
  }
}

TEST(Effective, keys_that_may_be_set_are_told_from_others) {
  const Effective all = effective("[service.web]\ncommand = [\"x\"]\n");
  std::string near;
  EXPECT_TRUE(is_key("service.web.user", all, near));
  EXPECT_TRUE(is_key("service.web.env.ANYTHING", all, near));
  EXPECT_TRUE(is_key("service.web.backoff.max", all, near));
  EXPECT_FALSE(is_key("service.web.backoff.maxx", all, near));
  EXPECT_EQ(near, "service.web.backoff.max");
  EXPECT_FALSE(is_key("service.wbe.nice", all, near));
  EXPECT_EQ(near, "service.web.nice");
  EXPECT_FALSE(is_key("web.nice", all, near));
  EXPECT_EQ(near, "service.web.nice");
  EXPECT_FALSE(is_key("web.nicce", all, near));
  EXPECT_EQ(near, "");
  EXPECT_FALSE(is_key("nonsense", all, near));
  EXPECT_EQ(near, "");
}

// docs/guide/configuration.md: what `hearth config show tts --origin` is said to write about the file above it.
TEST(Effective, the_guide_shows_what_is_so) {
  std::ifstream file(HEARTH_SOURCE_DIR "/docs/guide/configuration.md");
  std::string page{std::istreambuf_iterator<char>(file), {}};
  page.erase(0, page.find("## Say it once"));
  const auto block = [&](const std::string& begin) {
    page.erase(0, page.find(begin) + begin.size());
    return page.substr(0, page.find("```"));
  };
  const std::string text = block("```toml\n");
  std::istringstream shown(block("$ hearth config show tts --origin\n"));
  const Environment env;
  const Effective all = effective_configuration(ProjectInput{text, "/p/hearth.toml", "hearth.toml", env}, false);
  ASSERT_TRUE(all.parsed.document) << all.parsed.text();
  std::string line;
  std::getline(shown, line);
  EXPECT_EQ(line, "[service.tts]");
  const std::string begin = "service.tts.";
  for (const Setting& one : all.settings) {
    if (!one.key.starts_with(begin)) continue;
    std::getline(shown, line);
    std::string expected = one.key.substr(begin.size()) + " = " + one.value;
    expected.resize(std::max<std::size_t>(expected.size(), 50), ' ');
    EXPECT_EQ(line, expected + "  # " + one.origin);
  }
  EXPECT_FALSE(std::getline(shown, line)) << line;
}

TEST(Schema, is_json_and_has_every_key_with_a_description) {
  json::error_code error;
  const json::value schema = json::parse(json_schema(), error);
  ASSERT_FALSE(error) << error.message();
  const json::object& keys = schema.at("$defs").at("keys").at("properties").as_object();
  for (const ServiceRule& rule : service_rules()) {
    const json::value* key = keys.if_contains(json::string_view(rule.name.data(), rule.name.size()));
    ASSERT_NE(key, nullptr) << rule.name;
    EXPECT_TRUE(key->as_object().contains("description")) << rule.name << ": write a sentence into its rule";
  }
}

TEST(Schema, says_types_ranges_words_and_defaults) {
  const json::value schema = json::parse(json_schema());
  const json::value& keys = schema.at("$defs").at("keys").at("properties");
  EXPECT_EQ(keys.at("nice").at("minimum").as_int64(), -20);
  EXPECT_FALSE(keys.at("oom_score_adj").as_object().contains("default"));
  EXPECT_EQ(keys.at("restart").at("enum").as_array().size(), 3u);
  EXPECT_EQ(keys.at("restart").at("default").as_string(), "on-failure");
  EXPECT_EQ(keys.at("backoff").at("properties").at("factor").at("maximum").as_int64(), 10);
  EXPECT_EQ(keys.at("ready").at("anyOf").at(0).at("const").as_string(), "notify");
  EXPECT_TRUE(keys.at("ready").at("anyOf").at(1).at("properties").as_object().contains("url"));
  EXPECT_EQ(keys.at("stop_timeout").at("default").as_string(), "10s");
  EXPECT_TRUE(schema.at("properties").at("project").at("properties").as_object().contains("name"));
  const json::value& denied = keys.at("sandbox").at("properties").at("deny_syscalls").at("items").at("enum");
  for (const char* word : {"@default", "@mount", "ptrace", "socket"})
    EXPECT_NE(std::ranges::find(denied.as_array(), json::value(word)), denied.as_array().end()) << word;
}

}  // namespace
}  // namespace hearth::config
