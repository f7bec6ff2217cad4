// What single keys of an app of pm2 become.
#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "importers/importers.h"
#include "importers/javascript.h"

namespace hearth::importers {
namespace {

Imported imported_of(const std::string& members) {
  const Result<Imported> imported = import_pm2({"e.json", R"([{"name": "a", "script": "a.js", )" + members + "}]"});
  EXPECT_TRUE(imported);
  return imported ? *imported : Imported();
}

void expect_in(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << part << " is not in:\n" << text;
}

// Each is what node prints for it.
TEST(JavaScript, numbers_are_written_as_it_writes_them) {
  EXPECT_EQ(javascript_number(1.5), "1.5");
  EXPECT_EQ(javascript_number(-0.0), "0");
  EXPECT_EQ(javascript_number(0.1 + 0.2), "0.30000000000000004");
  EXPECT_EQ(javascript_number(100), "100");
  EXPECT_EQ(javascript_number(-1234.5678), "-1234.5678");
  EXPECT_EQ(javascript_number(123456789012345680000.0), "123456789012345680000");
  EXPECT_EQ(javascript_number(1e21), "1e+21");
  EXPECT_EQ(javascript_number(1.5e300), "1.5e+300");
  EXPECT_EQ(javascript_number(0.000001), "0.000001");
  EXPECT_EQ(javascript_number(0.0000015), "0.0000015");
  EXPECT_EQ(javascript_number(1e-7), "1e-7");
  EXPECT_EQ(javascript_number(-1.25e-9), "-1.25e-9");
  EXPECT_EQ(javascript_number(5e-324), "5e-324");
  EXPECT_EQ(javascript_number(1.7976931348623157e308), "1.7976931348623157e+308");
}

TEST(Pm2, variables_are_the_texts_that_it_hands_over) {
  const Imported imported = imported_of(
      R"("env": {"RATE": 1.5, "BIG": 9007199254740993, "SMALL": 1e-7, "ON": true, "NONE": null,
         "LIST": [1.0, "a\"b", {"x": 2.50}]})");
  for (const char* part : {"RATE = \"1.5\"", "BIG = \"9007199254740992\"", "SMALL = \"1e-7\"", "ON = \"true\"",
                           "NONE = \"null\"", R"(LIST = "[1,\"a\\\"b\",{\"x\":2.5}]")"})
    expect_in(imported.toml, part);
}

TEST(Pm2, who_runs_a_script_is_as_there) {
  const auto command = [](const std::string& members, std::string* report = nullptr) {
    const Imported imported = import_pm2({"e.json", "[{\"name\": \"a\", " + members + "}]"}).value();
    if (report != nullptr) *report = report_of(imported);
    const std::size_t at = imported.toml.find("\ncommand = ") + 11;
    return imported.toml.substr(at, imported.toml.find('\n', at) - at);
  };
  std::string report;
  EXPECT_EQ(command(R"("script": "npm", "args": "run start", "node_args": "--inspect")", &report),
            R"(["npm", "run", "start"])");
  expect_in(report, "node_args are left out: npm is run as a program");
  EXPECT_EQ(command(R"("script": "./bin/www", "node_args": "--inspect")", &report),
            R"(["node", "--inspect", "./bin/www"])");
  EXPECT_EQ(report, "");
  EXPECT_EQ(command(R"("script": "./bin/www")", &report), R"(["./bin/www"])");
  expect_in(report, "./bin/www is run as a program; if it is JavaScript: command = [\"node\", \"./bin/www\"]");
  EXPECT_EQ(command(R"("script": "a.js", "interpreter": "node@18")", &report), R"(["node", "a.js"])");
  expect_in(report, "interpreter node@18");
  EXPECT_EQ(command(R"("script": "npm run build && npm start", "args": ["-x y"])"),
            R"("npm run build && npm start '-x y'")");
}

TEST(Pm2, keys_that_hearth_has_are_carried_over) {
  const Imported imported = imported_of(
      R"("instances": "2", "max_restarts": "7", "namespace": "jobs", "autostart": false,
         "log_type": "json", "exp_backoff_restart_delay": 100, "ignore_watch": ["x"], "force": true)");
  for (const char* part : {"replicas = 2\n", "max_failed_starts = 7\n", "tags = [\"jobs\"]\n", "autostart = false\n",
                           "format = \"json\"", "backoff = { initial = \"100ms\", max = \"15s\", factor = 1.5 }\n"})
    expect_in(imported.toml, part);
  EXPECT_EQ(report_of(imported), "");
  expect_in(report_of(imported_of(R"("env_file": ".env")")), "write env_files = [\".env\"]");
  const Imported max = imported_of(R"("instances": "max")");
  expect_in(max.toml, "replicas = 1\n");
  expect_in(max.toml, "NODE_APP_INSTANCE = \"{index}\"");
  expect_in(report_of(max), "instances = max depends on the number of processors");
  expect_in(report_of(imported_of(R"("stop_exit_codes": [0], "min_uptime": "1m")")), "beside stop_exit_codes");
}

TEST(Pm2, a_name_of_several_lines_forges_no_line_of_the_report) {
  const Imported imported = import_pm2({"e.json",
                                        R"([{"name": "a\nhearth.toml:1: all is well\u001b[2J\u009b", "script": "a.js",
                                             "watch": true, "env": {"X\n[service.b]": "y\nz"}}])"})
                                .value();
  const std::string report = report_of(imported);
  EXPECT_EQ(std::count(report.begin(), report.end(), '\n'), 2) << report;  // its name, and watch
  expect_in(report, R"(app a\nhearth.toml:1: all is well\x1b[2J\x9b: watch)");
  EXPECT_EQ(imported.toml.find("\n[service.b]"), std::string::npos) << imported.toml;
  expect_in(imported.toml, R"("X\n[service.b]" = "y\nz")");
}

}  // namespace
}  // namespace hearth::importers
