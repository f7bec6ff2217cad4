// Each importer against golden files: cases/NAME is read, golden/NAME.toml and NAME.report are what comes of it.
// HEARTH_UPDATE_GOLDEN=1 writes them anew; then read the difference. Whatever comes out, hearth's own reader accepts.
#include "importers/importers.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <unistd.h>

#include <gtest/gtest.h>

#include "config/toml.h"
#include "importers/export_systemd.h"
#include "importers/ini.h"
#include "importers/words.h"
#include "unit/config/memory_files.h"

namespace hearth::importers {
namespace {

const std::string here = std::string(HEARTH_SOURCE_DIR) + "/tests/unit/importers/";

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

Source source(const std::string& name) {
  return {name, text_of(here + "cases/" + name)};
}

std::vector<Source> include_cases(const std::string& pattern, const Source&) {
  return pattern == "more.ini" ? std::vector<Source>{source("more.ini")} : std::vector<Source>();
}

const Environment environment = {{"HOME", "/home/u"}};

void expect_golden(const std::string& name, const std::string& text) {
  const std::string path = here + "golden/" + name;
  if (std::getenv("HEARTH_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
  EXPECT_EQ(text, text_of(path)) << path;
}

void expect_accepted(const std::string& toml) {
  const std::vector<std::string> lines = {"HOME=/home/u", "STATIC_PORT=8080", "PATH=/usr/bin"};
  const config::Environment variables(lines);
  config::MemoryFiles files;
  const config::Parsed parsed =
      config::parse_project(config::ProjectInput{toml, "/p/hearth.toml", "hearth.toml", variables, &files});
  EXPECT_TRUE(parsed.document) << parsed.text() << toml;
}

void expect_imported(const std::string& name, const Result<Imported>& imported) {
  ASSERT_TRUE(imported) << imported.error().text();
  expect_golden(name + ".toml", imported->toml);
  expect_golden(name + ".report", report_of(*imported));
  expect_accepted(imported->toml);
}

Result<Imported> supervisord(const std::string& text) {
  return import_supervisord({{"s.conf", text}}, include_cases, environment);
}

TEST(Importers, a_supervisord_configuration_of_six_programs_is_carried_over) {
  expect_imported("six_programs", import_supervisord({source("six_programs.conf")}, include_cases, environment));
}

TEST(Importers, an_ecosystem_of_pm2_is_carried_over) {
  expect_imported("ecosystem", import_pm2(source("ecosystem.json")));
}

TEST(Importers, a_procfile_with_its_variables_is_carried_over) {
  Source dotenv = source("dotenv");
  dotenv.path = ".env";
  expect_imported("procfile", import_procfile(source("Procfile"), dotenv));
}

TEST(Importers, units_that_need_each_other_are_carried_over_together) {
  expect_imported("units", import_systemd({source("web.service"), source("db.service")}));
}

TEST(Importers, a_unit_that_goes_into_the_background_does_so_here) {
  expect_imported("forking", import_systemd({source("cron.service")}));
}

TEST(Importers, a_pid_file_of_who_stays_in_the_foreground_is_left_out) {
  const Result<Imported> imported = import_systemd({{"a.service", "[Service]\nPIDFile=a.pid\nExecStart=/bin/a\n"}});
  ASSERT_TRUE(imported);
  EXPECT_EQ(imported->toml.find("pid_file"), std::string::npos);
  EXPECT_NE(report_of(*imported).find("PIDFile is not needed"), std::string::npos) << report_of(*imported);
}

TEST(Importers, who_has_a_pidproxy_is_told_of_forking) {
  const Result<Imported> imported = supervisord("[program:db]\ncommand=/usr/bin/pidproxy /run/db.pid /usr/bin/db -d\n");
  ASSERT_TRUE(imported);
  EXPECT_NE(report_of(*imported).find("command = [\"/usr/bin/db\", \"-d\"]"), std::string::npos)
      << report_of(*imported);
  EXPECT_NE(report_of(*imported).find("pid_file = \"/run/db.pid\""), std::string::npos) << report_of(*imported);
}

TEST(Importers, what_is_not_of_its_kind_is_refused) {
  EXPECT_FALSE(supervisord("[supervisord]\nnodaemon=true\n"));
  EXPECT_FALSE(supervisord("just text\n"));
  EXPECT_FALSE(import_pm2({"e.json", "module.exports = {}"}));
  EXPECT_FALSE(import_pm2({"e.json", "{\"apps\": []}"}));
  EXPECT_FALSE(import_procfile({"Procfile", "\n# nothing\n"}, {".env", ""}));
  EXPECT_FALSE(import_systemd({{"x.socket", "[Socket]\nListenStream=80\n"}}));
  const Result<Imported> line = supervisord("[program:x]\ncommand=a\nnonsense\n");
  ASSERT_FALSE(line);
  EXPECT_NE(line.error().text().find("s.conf:3"), std::string::npos) << line.error().text();
}

TEST(Importers, two_programs_that_would_have_one_name_have_two) {
  const Result<Imported> imported = supervisord("[program:a b]\ncommand=x\n[program:a-b]\ncommand=y\n");
  ASSERT_TRUE(imported);
  EXPECT_EQ(imported->services, 2u);
  expect_accepted(imported->toml);
}

TEST(Importers, whatever_stands_in_a_command_hearth_reads_it_as_it_was) {
  const std::string odd = R"(prog "a \"b\" c" 'd $e ${F} \g' h\ i "" %%)";
  const Result<Imported> imported = supervisord("[program:x]\ncommand=" + odd + "\n");
  ASSERT_TRUE(imported);
  const config::Parsed parsed =
      config::parse_project(imported->toml, "/p/hearth.toml", config::Environment(std::vector<std::string>{}));
  ASSERT_TRUE(parsed.document) << parsed.text();
  const std::vector<std::string> expected = {"prog", "a \"b\" c", "d $e ${F} \\g", "h i", "", "%"};
  EXPECT_EQ(parsed.document->services[0].command, expected);
}

TEST(Importers, a_variable_that_is_not_set_now_is_replaced_at_up) {
  const Result<Imported> imported = supervisord("[program:x]\ncommand=run %(ENV_LATER)s\n");
  ASSERT_TRUE(imported);
  EXPECT_NE(imported->toml.find("\"${LATER}\""), std::string::npos) << imported->toml;
}

TEST(Export, units_are_what_systemd_takes) {
  const std::string toml = R"([service.db]
command = ["/bin/sleep", "1000"]
[service.web]
command = ["/bin/echo", "100% of $HOME", "a \"b\" c", "", "x;y"]
cwd = "/tmp"
env = { GREETING = "hello \"you\" 100%", EMPTY = "" }
ready = "notify"
restart = "always"
max_restarts = 3
success_exit_codes = [0, 75]
stop_signal = "QUIT"
watchdog = "30s"
umask = "027"
limits = { nofile = { soft = 1024, hard = "unlimited" } }
depends_on = ["db"]
[service.cron]
command = ["/bin/echo", "-f"]
type = "forking"
pid_file = "/run/cron.pid"
)";
  const std::vector<std::string> lines = {"HOME=/home/u"};
  const config::Environment variables(lines);
  config::MemoryFiles files;
  const config::Parsed parsed =
      config::parse_project(config::ProjectInput{toml, "/p/hearth.toml", "hearth.toml", variables, &files});
  ASSERT_TRUE(parsed.document) << parsed.text();
  std::vector<Finding> findings;
  const std::vector<Exported> units = export_systemd(*parsed.document, findings);
  ASSERT_EQ(units.size(), 3u);
  for (const Exported& unit : units)
    if (unit.name != "p-db.service") expect_golden(unit.name, unit.text);
  EXPECT_TRUE(findings.empty());
  ASSERT_EQ(std::system("command -v systemd-analyze >/dev/null 2>&1"), 0) << "it is in the package systemd";
  const std::string directory = testing::TempDir() + "hearth-units-" + std::to_string(::getpid());
  std::filesystem::create_directory(directory);
  for (const Exported& unit : units) std::ofstream(directory + "/" + unit.name) << unit.text;
  const std::string report = directory + "/report";
  const int code = std::system(("SYSTEMD_UNIT_PATH=" + directory + ": systemd-analyze verify --recursive-errors=no " +
                                directory + "/*.service >" + report + " 2>&1 </dev/null")
                                   .c_str());
  EXPECT_EQ(code, 0) << text_of(report);
  EXPECT_EQ(text_of(report).find("p-"), std::string::npos) << text_of(report);
  std::filesystem::remove_all(directory);
}

TEST(Words, are_split_as_a_shell_does) {
  using List = std::vector<std::string>;
  EXPECT_EQ(split_words("a  b\tc"), List({"a", "b", "c"}));
  EXPECT_EQ(split_words("'a b' \"c d\"e"), List({"a b", "c de"}));
  EXPECT_EQ(split_words("\"\" ''"), List({"", ""}));
  EXPECT_EQ(split_words(R"("\$x \y" \z)"), List({"$x \\y", "z"}));
  EXPECT_EQ(split_words(""), List());
  EXPECT_EQ(split_words("'open"), std::nullopt);
  EXPECT_EQ(split_words("end\\"), std::nullopt);
}

TEST(Ini, lines_are_counted_where_keys_stand) {
  const auto sections = read_ini({"x", "# c\n[a]\nK = 1 ; c\n  more\n\n[b]\nk: 2\n"}, IniDialect::supervisord);
  ASSERT_TRUE(sections);
  ASSERT_EQ(sections->size(), 2u);
  EXPECT_EQ((*sections)[0].entries[0].key, "k");
  EXPECT_EQ((*sections)[0].entries[0].value, "1\nmore");
  EXPECT_EQ((*sections)[1].line, 6u);
  EXPECT_EQ((*sections)[1].entries[0].line, 7u);
}

}  // namespace
}  // namespace hearth::importers
