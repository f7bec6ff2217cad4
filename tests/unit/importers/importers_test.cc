// Each importer against golden files: cases/NAME is read, golden/NAME.toml and NAME.report are what comes of it.
// HEARTH_UPDATE_GOLDEN=1 writes them anew; then read the difference. Whatever comes out, hearth's own reader accepts.
#include "importers/importers.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "config/toml.h"
#include "importers/ini.h"
#include "importers/words.h"
#include "model/capabilities.h"
#include "model/replica.h"
#include "unit/config/memory_files.h"
#include "unit/importers/golden.h"

namespace hearth::importers {
namespace {

Source source(const std::string& name) {
  return {name, text_of(here + "cases/" + name)};
}

std::vector<Source> include_cases(const std::string& pattern, const Source&) {
  return pattern == "more.ini" ? std::vector<Source>{source("more.ini")} : std::vector<Source>();
}

const Environment environment = {{"HOME", "/home/u"}};

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
  expect_golden(name + ".toml", commented(*imported));
  expect_golden(name + ".report", report_of(*imported));
  expect_accepted(commented(*imported));
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

TEST(Importers, a_memory_limit_of_pm2_may_be_bytes_and_is_told_when_it_makes_no_sense) {
  const auto of = [](const std::string& value) {
    return import_pm2({"e.json", "{\"apps\": [{\"script\": \"a\", \"max_memory_restart\": " + value + "}]}"});
  };
  EXPECT_NE(of("1073741824")->toml.find("\nmax_memory = 1073741824\n"), std::string::npos);
  EXPECT_NE(of("\"2G\"")->toml.find("\nmax_memory = \"2GiB\"\n"), std::string::npos);
  EXPECT_NE(of("\"1.5G\"")->toml.find("\nmax_memory = \"1536MiB\"\n"), std::string::npos);
  EXPECT_NE(report_of(*of("\"100K\"")).find("max_memory = \"1MiB\""), std::string::npos);
  for (const char* odd : {"\"lots\"", "-1", "\"100K\"", "0"}) {
    const auto imported = of(odd);
    EXPECT_EQ(imported->toml.find("\nmax_memory"), std::string::npos) << odd;
    EXPECT_EQ(imported->findings.size(), 1u) << odd;
  }
}

TEST(Importers, a_procfile_with_its_variables_is_carried_over) {
  Source dotenv = source("dotenv");
  dotenv.path = ".env";
  expect_imported("procfile", import_procfile(source("Procfile"), dotenv));
}

TEST(Importers, units_that_need_each_other_are_carried_over_together) {
  expect_imported("units", import_systemd({source("web.service"), source("db.service"), source("worker.service")}));
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

TEST(Importers, numbers_are_expanded_and_what_is_none_is_said) {
  const Result<Imported> imported = import_supervisord({{"s.conf",
                                                         "[program:a]\ncommand=x\nnumprocs=%(ENV_N)s\nprocess_name=a%("
                                                         "process_num)d\nstartsecs=%(ENV_N)s\nstartretries=soon\n"
                                                         "[program:b]\ncommand=y\nnumprocs=0\n"}},
                                                       include_cases, {{"N", "3"}});
  ASSERT_TRUE(imported);
  EXPECT_EQ(imported->services, 2u) << "one is not left out because it has none of processes";
  EXPECT_NE(imported->toml.find("replicas = 3"), std::string::npos) << imported->toml;
  EXPECT_NE(imported->toml.find("after = \"3s\""), std::string::npos) << imported->toml;
  const std::string report = report_of(*imported);
  EXPECT_NE(report.find("s.conf:6: program a: startretries = soon is taken for 3"), std::string::npos) << report;
  EXPECT_NE(report.find("s.conf:9: program b: numprocs = 0 is taken for 1"), std::string::npos) << report;
  EXPECT_NE(report.find("%(ENV_N)s was replaced by the value of now, 3"), std::string::npos) << report;
}

TEST(Importers, a_variable_that_is_not_set_now_is_replaced_at_up) {
  const Result<Imported> imported = supervisord("[program:x]\ncommand=run %(ENV_LATER)s\n");
  ASSERT_TRUE(imported);
  EXPECT_NE(imported->toml.find("\"${LATER}\""), std::string::npos) << imported->toml;
}

ServiceSpec first_of(const Result<Imported>& imported) {
  const config::Parsed parsed =
      config::parse_project(imported->toml, "/p/hearth.toml", config::Environment(std::vector<std::string>{}));
  EXPECT_TRUE(parsed.document) << parsed.text() << imported->toml;
  return parsed.document ? parsed.document->services.at(0) : ServiceSpec();
}

TEST(Importers, processes_of_one_program_are_replicas_that_say_what_each_of_them_said) {
  const Result<Imported> imported = supervisord(
      "[program:web]\ncommand=serve --port=80%(process_num)02d --n %(process_num)d {index}\n"
      "process_name=%(program_name)s_%(process_num)02d\nnumprocs=12\nnumprocs_start=1\n"
      "environment=ME=\"%(program_name)s-%(process_num)s of %(numprocs)s\"\ndirectory=/srv/%(process_num)d\n");
  ASSERT_TRUE(imported);
  EXPECT_EQ(imported->services, 1u);
  const ServiceSpec spec = first_of(imported);
  EXPECT_EQ(spec.replicas, 12u);
  const ServiceSpec last = replica_of(spec, 11);
  EXPECT_EQ(last.command, (std::vector<std::string>{"serve", "--port=8012", "--n", "12", "{index}"}));
  EXPECT_EQ(replica_of(spec, 0).command[1], "--port=8001");
  EXPECT_EQ(last.env[0].second, "web-12 of 12");
  EXPECT_EQ(last.cwd, "/srv/12");
  EXPECT_NE(report_of(*imported).find("web_01 to web_12 are called web.0 to web.11"), std::string::npos)
      << report_of(*imported);
}

TEST(Importers, a_number_that_index_cannot_say_leaves_a_service_for_each_process) {
  for (const char* odd : {"command=w --name=%(process_num)02d", "command=w --name=%(process_name)s",
                          "command=w\nuser=u%(process_num)d", "command=w {%(process_num)d}"}) {
    const Result<Imported> imported =
        supervisord("[program:w]\n" + std::string(odd) + "\nprocess_name=w_%(process_num)02d\nnumprocs=2\n");
    ASSERT_TRUE(imported);
    EXPECT_EQ(imported->services, 2u) << imported->toml;
    EXPECT_NE(report_of(*imported).find("each of the 2 processes is a service of its own"), std::string::npos)
        << report_of(*imported);
    EXPECT_NE(imported->toml.find("[service.w_01]"), std::string::npos) << imported->toml;
  }
}

TEST(Importers, digits_before_a_number_grow_only_as_far_as_its_zeros_reach) {
  // 8099 and then 80100: no addition gives that.
  const Result<Imported> imported =
      supervisord("[program:w]\ncommand=w 80%(process_num)02d\nnumprocs=2\nnumprocs_start=99\n");
  ASSERT_TRUE(imported);
  EXPECT_EQ(imported->services, 2u) << imported->toml;
  EXPECT_NE(imported->toml.find("80100"), std::string::npos) << imported->toml;
}

TEST(Importers, instances_of_pm2_are_replicas_with_their_variables) {
  const Result<Imported> imported =
      import_pm2({"e.json",
                  R"([{"name": "api", "script": "a.js", "instances": 3, "increment_var": "PORT", "instance_var": "ME",
            "env": {"PORT": 3000, "NOTE": "{index}"}}])"});
  ASSERT_TRUE(imported);
  const ServiceSpec spec = first_of(imported);
  EXPECT_EQ(spec.replicas, 3u);
  using Variables = std::vector<std::pair<std::string, std::string>>;
  Variables env = replica_of(spec, 2).env;
  std::sort(env.begin(), env.end());
  EXPECT_EQ(env, (Variables{{"ME", "2"}, {"NOTE", "{index}"}, {"PORT", "3002"}}));
  EXPECT_TRUE(imported->findings.empty()) << report_of(*imported);
}

ServiceSpec unit_of(const std::string& lines, std::string* report = nullptr) {
  const Result<Imported> imported = import_systemd({{"a.service", "[Service]\nExecStart=/bin/a\n" + lines}});
  EXPECT_TRUE(imported);
  if (report != nullptr) *report = report_of(*imported);
  return first_of(imported);
}

TEST(Importers, capabilities_of_a_unit_mean_here_what_they_mean_there) {
  const CapabilitySet bind = capability_bit(10), raw = capability_bit(13), admin = capability_bit(21);
  std::string report;
  ServiceSpec spec = unit_of(
      "NoNewPrivileges=true\nUser=www-data\nAmbientCapabilities=CAP_NET_BIND_SERVICE\nAmbientCapabilities=CAP_NET_"
      "RAW\n",
      &report);
  EXPECT_TRUE(spec.process->no_new_privs);
  EXPECT_EQ(spec.process->capabilities, bind | raw);
  EXPECT_EQ(spec.process->capability_bounding_set, all_capabilities) << "the bound is not touched there";
  EXPECT_EQ(report, "");
  spec = unit_of("CapabilityBoundingSet=~CAP_SYS_ADMIN\nCapabilityBoundingSet=~CAP_NET_RAW\n");
  EXPECT_EQ(spec.process->capability_bounding_set, all_capabilities & ~admin & ~raw);
  EXPECT_FALSE(spec.process->capabilities);
  spec = unit_of("CapabilityBoundingSet=CAP_NET_RAW CAP_NO_SUCH\nCapabilityBoundingSet=\n", &report);
  EXPECT_EQ(spec.process->capability_bounding_set, CapabilitySet{0}) << "an empty one is none";
  EXPECT_NE(report.find("CAP_NO_SUCH is no capability"), std::string::npos) << report;
  spec = unit_of("AmbientCapabilities=CAP_NET_RAW\nCapabilityBoundingSet=CAP_SYS_ADMIN\nUser=ada\n");
  EXPECT_EQ(spec.process->capabilities, CapabilitySet{0}) << "there it is bound, too";
  spec = unit_of("AmbientCapabilities=CAP_NET_RAW\nNoNewPrivileges=no\n", &report);
  EXPECT_FALSE(spec.process->capabilities);
  EXPECT_NE(report.find("changes nothing for root"), std::string::npos) << report;
}

// Found by importers_fuzz: numbers were written as they stood in the original.
TEST(Importers, what_is_no_number_in_the_original_does_not_become_toml) {
  const auto problem = [](const Result<Imported>& imported) {
    if (!imported) return imported.error().text();
    return config::parse_project(imported->toml, "/p/hearth.toml", config::Environment()).text();
  };
  const auto unit = [](const std::string& line) {
    return import_systemd({{"web.service", "[Service]\nExecStart=/bin/web\n" + line + "\n"}});
  };
  const std::string pm2 = R"([{"name": "a", "script": "/a", "interpreter": "none", )";
  for (const Result<Imported>& imported :
       {supervisord("[program:a]\ncommand=/a\nexitcodes=0,\x01\n"),
        supervisord("[program:a]\ncommand=/a\nexitcodes=0]\n"), unit("Nice=5 # nicer"), unit("OOMScoreAdjust="),
        unit("StartLimitBurst=many"), unit("LimitNOFILE="),
        import_pm2({"e.json", pm2 + R"("stop_exit_codes": ["1]\n[service.b]\ncommand = [\"/b\""]}])"}),
        import_pm2({"e.json", pm2 + R"("uid": null, "gid": {"a": 1}}])"})}) {
    ASSERT_TRUE(imported) << imported.error().text();
    EXPECT_EQ(imported->services, 1u);
    EXPECT_EQ(problem(imported).find("syntax error"), std::string::npos) << problem(imported) << imported->toml;
    EXPECT_EQ(imported->toml.find("\n[service.b]"), std::string::npos) << imported->toml;
  }
  EXPECT_NE(unit("Nice=007")->toml.find("nice = 7\n"), std::string::npos);
  EXPECT_NE(unit("LimitNOFILE=0100:infinity")->toml.find("soft = 100, hard = \"unlimited\""), std::string::npos);
}

TEST(Importers, a_name_of_a_file_and_bytes_of_ours_stay_what_they_are) {
  const auto toml = [](const std::string& path, const std::string& text) {
    return import_procfile({path, text}, {".env", "A=\x01{HOME}\n"})->toml;
  };
  const std::string named = toml("x\n[service.evil]\ncommand = [\"evil\"]\n#", "web: sleep 5\n");
  EXPECT_EQ(named.find("\n[service.evil]"), std::string::npos) << named;
  const std::string marked = toml("Procfile", "web: echo \x01{HOME} \x02index\x03\n");
  EXPECT_NE(marked.find("echo ?{HOME} ?index?"), std::string::npos) << marked;
  EXPECT_NE(marked.find("A = \"?{HOME}\""), std::string::npos) << marked;
  const auto unit = import_systemd({{"web.service", "[Service]\nExecStart=/bin/web \x01{HOME}\n"}});
  EXPECT_NE(unit->toml.find("\"?{HOME}\""), std::string::npos) << unit->toml;
  const auto pm2 = import_pm2({"e.json", R"([{"name": "a", "script": "\u0001{HOME}", "interpreter": "none"}])"});
  EXPECT_EQ(pm2->toml.find("${HOME}"), std::string::npos) << pm2->toml;
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

TEST(Ini, lines_of_a_unit_go_on_over_comments_and_end_at_empty_ones) {
  const auto sections =
      read_ini({"x", "[a]\nk=1 \\\n# c \\\n; d\n  2 \\\n\nl=3\nm=back\\\\\nn=4\\\\\\\n 5\n"}, IniDialect::systemd);
  ASSERT_TRUE(sections) << sections.error().text();
  const std::vector<IniEntry>& entries = (*sections)[0].entries;
  ASSERT_EQ(entries.size(), 4u);
  EXPECT_EQ(entries[0].value, "1 2");
  EXPECT_EQ(entries[1].value, "3");
  EXPECT_EQ(entries[1].line, 7u);
  EXPECT_EQ(entries[2].value, "back\\\\");
  EXPECT_EQ(entries[3].value, "4\\\\ 5");
}

}  // namespace
}  // namespace hearth::importers
