// Services as units of systemd: against golden files, and read by systemd itself.
// HEARTH_UPDATE_GOLDEN=1 writes the golden files anew; then read the difference.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <unistd.h>

#include <gtest/gtest.h>

#include "config/toml.h"
#include "importers/export_systemd.h"
#include "unit/config/memory_files.h"
#include "unit/importers/golden.h"

namespace hearth::importers {
namespace {

Document document_of(const std::string& toml) {
  const std::vector<std::string> lines = {"HOME=/home/u"};
  const config::Environment variables(lines);
  config::MemoryFiles files;
  files.add("/p/token", "secret");
  const config::Parsed parsed =
      config::parse_project(config::ProjectInput{toml, "/p/hearth.toml", "hearth.toml", variables, &files});
  EXPECT_TRUE(parsed.document) << parsed.text();
  return parsed.document.value_or(Document());
}

bool all(const ServiceSpec&) {
  return true;
}

const Exported& unit_called(const std::vector<Exported>& units, const std::string& name) {
  static const Exported none;
  for (const Exported& unit : units)
    if (unit.name == name) return unit;
  ADD_FAILURE() << "there is no " << name;
  return none;
}

// systemd reads them, each by itself and with those that they name, and has nothing to say.
void expect_verified(const std::vector<Exported>& units) {
  ASSERT_EQ(std::system("command -v systemd-analyze >/dev/null 2>&1"), 0) << "it is in the package systemd";
  const std::string directory = testing::TempDir() + "hearth-units-" + std::to_string(::getpid());
  std::filesystem::create_directory(directory);
  for (const Exported& unit : units) std::ofstream(directory + "/" + unit.name) << unit.text;
  const std::string report = directory + "/report";
  const int code = std::system(("cd " + directory + " && SYSTEMD_UNIT_PATH=" + directory +
                                ": systemd-analyze verify --recursive-errors=no ./*.service $(ls | grep 'target$') >" +
                                report + " 2>&1 </dev/null")
                                   .c_str());
  EXPECT_EQ(code, 0) << text_of(report);
  EXPECT_EQ(text_of(report).find("p-"), std::string::npos) << text_of(report);
  std::filesystem::remove_all(directory);
}

TEST(Export, units_are_what_systemd_takes) {
  const Document document = document_of(R"([service.db]
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
)");
  std::vector<Finding> findings;
  const std::vector<Exported> units = export_systemd(document, all, findings);
  ASSERT_EQ(units.size(), 3u);
  for (const Exported& unit : units)
    if (unit.name != "p-db.service") expect_golden(unit.name, unit.text);
  EXPECT_TRUE(findings.empty());
  expect_verified(units);
}

TEST(Export, commands_around_a_life_are_those_that_mean_the_same) {
  const Document document = document_of(R"([service.web]
command = ["./run", "--fast"]
cwd = "/bin"
before_start = ["./mkdir", "-p", "/tmp/x"]
after_start = { shell = true, command = "/bin/echo $HEARTH_PID > /tmp/x/pid" }
before_stop = ["true"]
stop_command = ["true", "stop"]
after_stop = { command = ["true", "after"], timeout = "5s" }
on_failure = ["true"]
on_give_up = { command = ["true", "gone"], then = "exit" }
reload_command = ["true", "reload"]
io_priority = "idle"
cpus = "0"
runtime_directories = ["web", "web/more"]
credentials = { token = "/p/token" }
)");
  std::vector<Finding> findings;
  const std::vector<Exported> units = export_systemd(document, all, findings);
  ASSERT_EQ(units.size(), 2u);
  expect_golden("p-hooks.service", units[0].text);
  EXPECT_EQ(units[1].name, "p-web.on-give-up.service");
  EXPECT_NE(units[1].text.find("ExecStart=true gone\n"), std::string::npos) << units[1].text;
  EXPECT_NE(units[1].text.find("WorkingDirectory=/bin\n"), std::string::npos) << units[1].text;
  Imported report;
  report.findings = findings;
  expect_golden("p-hooks.report", report_of(report));
}

TEST(Export, what_of_path_log_and_tags_is_not_carried_over_is_said) {
  const auto report = [](const std::string& lines) {
    const Document document = document_of("[service.web]\n" + lines);
    Imported imported;
    const std::vector<Exported> units = export_systemd(document, all, imported.findings);
    expect_verified(units);
    return report_of(imported);
  };
  EXPECT_EQ(report("command = [\"/bin/echo\"]\nlog = { sink = \"journald\" }\n"), "");
  const std::string all_of_it = report(
      "command = [\"echo\"]\ntags = [\"front\", \"eu\"]\nlog = { format = \"json\", max_size = \"1MiB\", sink = "
      "\"stdout\" }\n");
  for (const char* part : {"service web: programs without a path (echo) are looked for in systemd's PATH",
                           "service web: tags (front, eu) have no counterpart; a target that wants its units, or a "
                           "pattern: systemctl restart 'p-*'",
                           "service web: log.format = \"json\" has no counterpart",
                           "service web: sizes, numbers and ages of its log files",
                           "service web: log.sink = \"stdout\" has no counterpart"})
    EXPECT_NE(all_of_it.find(part), std::string::npos) << part << " is not in:\n" << all_of_it;
  const std::string shell = "shell = true\ncommand = \"echo x\"\n";
  EXPECT_NE(report(shell).find("(those of a shell)"), std::string::npos);
  EXPECT_EQ(report(shell + "env = { PATH = \"/opt/bin\" }\n"), "");
}

TEST(Export, capabilities_are_those_that_mean_the_same) {
  const Document document = document_of(R"([service.web]
command = ["/bin/echo"]
user = "daemon"
capabilities = ["net_bind_service", "chown"]
no_new_privs = true
[service.root]
command = ["/bin/echo"]
capabilities = []
[service.most]
command = ["/bin/echo"]
capability_bounding_set = ["all", "-sys_admin", "-sys_ptrace"]
[service.wide]
command = ["/bin/echo"]
user = "daemon"
capabilities = ["kill"]
capability_bounding_set = ["all"]
)");
  std::vector<Finding> findings;
  const std::vector<Exported> units = export_systemd(document, all, findings);
  const auto says = [&](const char* unit, const std::string& lines) {
    const std::string& text = unit_called(units, unit).text;
    EXPECT_NE(text.find("\n" + lines), std::string::npos) << text;
  };
  says("p-web.service",
       "CapabilityBoundingSet=CAP_CHOWN CAP_NET_BIND_SERVICE\nAmbientCapabilities=CAP_CHOWN CAP_NET_BIND_SERVICE\n"
       "NoNewPrivileges=yes\n");
  says("p-root.service", "CapabilityBoundingSet=\n");
  says("p-most.service", "CapabilityBoundingSet=~CAP_SYS_PTRACE CAP_SYS_ADMIN\n");
  says("p-wide.service", "CapabilityBoundingSet=~\nAmbientCapabilities=CAP_KILL\n");
  EXPECT_TRUE(findings.empty());
  expect_verified(units);
}

TEST(Export, a_sandbox_and_limits_are_what_systemd_calls_so) {
  const Document document = document_of(R"([service.web]
command = ["/bin/sleep", "1000"]
sandbox = { write_paths = ["/srv/data", "/tmp"], exec_paths = ["/usr"], deny_syscalls = ["@namespaces", "@reboot", "prlimit64"] }
cgroup = { memory_high = "1GiB", memory_max = "2GiB", pids_max = 512, cpu_max = "150%", cpu_weight = 50, io_weight = 200 }
[service.reader]
command = ["/bin/sleep", "1000"]
sandbox = { read_paths = ["/usr"], write_paths = [] }
)");
  std::vector<Finding> findings;
  const std::vector<Exported> units = export_systemd(document, all, findings);
  const std::string web = unit_called(units, "p-web.service").text;
  for (const char* line :
       {"ProtectSystem=strict", "ReadWritePaths=/srv/data /tmp", "NoExecPaths=/", "ExecPaths=/usr",
        "RestrictNamespaces=yes", "SystemCallFilter=~kexec_file_load kexec_load reboot setns unshare",
        "SystemCallErrorNumber=EPERM", "SystemCallArchitectures=native", "MemoryHigh=1073741824",
        "MemoryMax=2147483648", "TasksMax=512", "CPUQuota=150%", "CPUWeight=50", "IOWeight=200"})
    EXPECT_NE(web.find("\n" + std::string(line) + "\n"), std::string::npos) << line << "\n" << web;
  // Which a unit would deny whole, and a program could not read its own limits as it begins.
  EXPECT_EQ(web.find("prlimit64"), std::string::npos) << web;
  std::string told;
  for (const Finding& finding : findings) told += finding.what + "\n";
  EXPECT_EQ(findings.size(), 2u) << told;
  EXPECT_NE(told.find("prlimit64 is left out"), std::string::npos) << told;
  EXPECT_NE(told.find("read_paths has no counterpart"), std::string::npos) << told;
  expect_verified(units);
}

TEST(Export, replicas_are_instances_of_a_template_where_one_number_says_it_all) {
  const Document document = document_of(R"([service.web]
command = ["/bin/echo", "--port={index+8001}", "100%", "{{index}}"]
cwd = "/tmp"
env = { PORT = "{index+8001}" }
replicas = 3
on_give_up = ["/bin/echo", "{index+8001} is gone"]
[service.front]
command = ["/bin/sleep", "1000"]
depends_on = ["web"]
)");
  std::vector<Finding> findings;
  const std::vector<Exported> units = export_systemd(document, all, findings);
  EXPECT_TRUE(findings.empty());
  ASSERT_EQ(units.size(), 4u);
  expect_golden("p-replicas.service", unit_called(units, "p-web@.service").text);
  expect_golden("p-replicas.target", unit_called(units, "p-web.target").text);
  EXPECT_NE(unit_called(units, "p-web.on-give-up@.service").text.find("ExecStart=/bin/echo \"%i is gone\"\n"),
            std::string::npos);
  EXPECT_NE(unit_called(units, "p-front.service")
                .text.find("Requires=p-web@8001.service p-web@8002.service p-web@8003.service\n"),
            std::string::npos);
  expect_verified(units);
}

TEST(Export, replicas_whose_texts_need_two_numbers_are_written_out) {
  const Document document = document_of(R"([service.web]
command = ["/bin/echo", "{index}", "{index+8001}"]
cwd = "/tmp"
replicas = 2
before_start = { command = ["/bin/true"], timeout = "1s" }
autostart = false
)");
  std::vector<Finding> findings;
  const std::vector<Exported> units = export_systemd(document, all, findings);
  ASSERT_EQ(units.size(), 3u);
  EXPECT_EQ(findings.size(), 1u) << "once, and not for each";
  EXPECT_NE(unit_called(units, "p-web@1.service").text.find("ExecStart=/bin/echo 1 8002\n"), std::string::npos);
  const std::string& target = unit_called(units, "p-web.target").text;
  EXPECT_NE(target.find("Wants=p-web@0.service p-web@1.service\n"), std::string::npos) << target;
  EXPECT_EQ(target.find("WantedBy"), std::string::npos) << "autostart = false: nothing to enable";
  expect_verified(units);
}

TEST(Export, who_is_not_wanted_is_named_by_others_all_the_same) {
  const Document document = document_of(
      "[service.db]\ncommand = [\"/bin/sleep\", \"1\"]\nreplicas = 2\n"
      "[service.web]\ncommand = [\"/bin/sleep\", \"1\"]\ndepends_on = [\"db\"]\n");
  std::vector<Finding> findings;
  const auto web = [](const ServiceSpec& spec) { return spec.name == "web"; };
  const std::vector<Exported> units = export_systemd(document, web, findings);
  ASSERT_EQ(units.size(), 1u);
  EXPECT_NE(units[0].text.find("After=p-db@0.service p-db@1.service\n"), std::string::npos) << units[0].text;
}

}  // namespace
}  // namespace hearth::importers
