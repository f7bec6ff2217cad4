// What single keys of a unit become, and what dependencies become on their way back.
#include <string>

#include <gtest/gtest.h>

#include "config/toml.h"
#include "importers/export_systemd.h"
#include "importers/importers.h"
#include "importers/sizes.h"

namespace hearth::importers {
namespace {

Imported imported_with(const std::string& lines) {
  const Result<Imported> imported = import_systemd(
      {{"a.service", "[Service]\nExecStart=/bin/a\n" + lines}, {"b.service", "[Service]\nExecStart=/bin/b\n"}});
  EXPECT_TRUE(imported);
  return imported ? *imported : Imported();
}

void expect_in(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << part << " is not in:\n" << text;
}

TEST(SystemdUnits, who_requires_another_stops_and_restarts_with_it) {
  for (const char* key : {"Requires", "Requisite", "BindsTo", "PartOf"}) {
    const Imported imported = imported_with("[Unit]\nAfter=b.service\n" + std::string(key) + "=b.service\n");
    expect_in(imported.toml, "depends_on = { b = { stop = true, restart = true } }");
  }
  expect_in(imported_with("[Unit]\nRequires=b.service\nAfter=b.service\n").toml, "stop = true, restart = true");
  expect_in(imported_with("[Unit]\nWants=b.service\n").toml, "depends_on = { b = { required = false } }");
}

TEST(SystemdUnits, who_follows_another_requires_it_and_is_not_bound_to_it) {
  const auto unit = [](const std::string& dependency, std::string* report) {
    const config::Parsed parsed =
        config::parse_project("[service.a]\ncommand = [\"/bin/a\"]\ndepends_on = { b = " + dependency +
                                  " }\n[service.b]\ncommand = [\"/bin/b\"]\n",
                              "/p/hearth.toml", config::Environment());
    EXPECT_TRUE(parsed.document) << parsed.text();
    Imported findings;
    const std::vector<Exported> units = export_systemd(
        parsed.document.value_or(Document()), [](const ServiceSpec& spec) { return spec.name == "a"; },
        findings.findings);
    *report = report_of(findings);
    return units.empty() ? std::string() : units[0].text;
  };
  std::string report;
  for (const char* follows : {"{ stop = true }", "{ restart = true }", "{ stop = true, restart = true }"}) {
    const std::string text = unit(follows, &report);
    expect_in(text, "\nRequires=p-b.service\nAfter=p-b.service\n");
    EXPECT_EQ(text.find("BindsTo"), std::string::npos) << "that would stop it at each crash";
    expect_in(report, "Requires= ");
  }
  expect_in(report, "stop = true of b; Requires= stops it when that is stopped, and not when that has failed");
  expect_in(unit("{ restart = true, required = false }", &report),
            "\nWants=p-b.service\nPartOf=p-b.service\nAfter=p-b.service\n");
  expect_in(unit("\"ready\"", &report), "\nRequires=p-b.service\n");
  EXPECT_EQ(report, "");
}

TEST(SystemdUnits, a_limit_of_starts_counts_the_first_one_and_one_of_restarts_does_not) {
  expect_in(imported_with("StartLimitBurst=4\n").toml, "\nmax_restarts = 3\n");
  expect_in(imported_with("[Unit]\nStartLimitBurst=2\nStartLimitIntervalSec=60\n").toml, "\nmax_restarts = 1\n");
  expect_in(imported_with("StartLimitBurst=0\n").toml, "\nmax_restarts = 0\n");
  const Imported one = imported_with("StartLimitBurst=1\n");
  expect_in(one.toml, "\nmax_restarts = 1\n");
  expect_in(report_of(one), "a.service:3: a: StartLimitBurst=1 allows no restart");
  const std::string none = imported_with("StartLimitIntervalSec=0\nStartLimitBurst=4\n").toml;
  EXPECT_EQ(none.find("max_restarts"), std::string::npos) << none;
}

TEST(SystemdUnits, limits_of_resources_are_those_of_the_cgroup_and_none_says_nothing) {
  for (const char* key : {"MemoryMax", "MemoryHigh", "TasksMax"})
    EXPECT_EQ(report_of(imported_with(std::string(key) + "=infinity\n")), "");
  const Imported all =
      imported_with("MemoryMax=1536M\nMemoryHigh=1G\nTasksMax=512\nCPUQuota=150%\nCPUWeight=50\nIOWeight=200\n");
  EXPECT_EQ(report_of(all), "");
  for (const char* ours : {"memory_max = \"1536MiB\"", "memory_high = \"1GiB\"", "pids_max = 512", "cpu_max = \"150%\"",
                           "cpu_weight = 50", "io_weight = 200"})
    expect_in(all.toml, ours);
  for (const char* line : {"MemoryMax=50%", "TasksMax=10%", "CPUQuota=12.5%", "CPUWeight=idle"})
    expect_in(report_of(imported_with(std::string(line) + "\n")), std::string(line) + " is not carried over");
}

TEST(SystemdUnits, a_sandbox_is_carried_over_where_it_means_the_same) {
  const Imported strict =
      imported_with("ProtectSystem=strict\nReadWritePaths=/srv/data -/srv/maybe\nNoExecPaths=/\nExecPaths=/usr\n");
  expect_in(strict.toml, "write_paths = [\"/srv/data\", \"/srv/maybe\", \"/dev\", \"/proc\", \"/sys\"]");
  expect_in(strict.toml, "exec_paths = [\"/usr\"]");
  expect_in(report_of(strict), "ReadWritePaths=-/srv/maybe: it has to be there");
  expect_in(report_of(imported_with("ReadWritePaths=/srv\n")), "says nothing where all may be written");
  expect_in(report_of(imported_with("ProtectSystem=full\n")), "ProtectSystem=full is not carried over");
  const Imported denied =
      imported_with("SystemCallFilter=~@mount ptrace @cpu-emulation\nSystemCallErrorNumber=EPERM\n");
  expect_in(denied.toml, "deny_syscalls = [\"@mount\", \"ptrace\"]");
  EXPECT_EQ(report_of(denied).find("not killed"), std::string::npos);
  expect_in(report_of(denied), "@cpu-emulation is nothing that hearth denies");
  expect_in(report_of(imported_with("SystemCallFilter=~ptrace\n")), "the program is not killed");
  expect_in(report_of(imported_with("SystemCallFilter=@system-service\n")), "hearth says what is denied");
}

TEST(Sizes, are_those_of_1024s) {
  EXPECT_EQ(bytes_of("2048"), 2048u);
  EXPECT_EQ(bytes_of("300MB"), 300u << 20);
  EXPECT_EQ(bytes_of("1.5g"), 1536u << 20);
  EXPECT_EQ(bytes_of("2 GiB"), std::uint64_t{2} << 30);
  for (const char* none : {"", "M", "-1", "50%", "lots", "1MM", "1e3", "99999999999P", "nan", "inf"})
    EXPECT_EQ(bytes_of(none), std::nullopt) << none;
  EXPECT_EQ(size_of_bytes(1536u << 20), "1536MiB");
  EXPECT_EQ(size_of_bytes(1000), "1000");
  EXPECT_EQ(max_memory_remedy(5), "max_memory = \"1MiB\"");
}

}  // namespace
}  // namespace hearth::importers
