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
  expect_in(report_of(imported_with("SystemCallFilter=~@signal\n")), "@signal is nothing that hearth denies");
  expect_in(report_of(imported_with("SystemCallFilter=~@resources\n")), "@resources is nothing that hearth denies");
  expect_in(report_of(imported_with("SystemCallFilter=~ptrace\n")), "the program is not killed");
  expect_in(report_of(imported_with("SystemCallFilter=~prlimit64\n")), "only for the limits of other processes");
  expect_in(report_of(imported_with("SystemCallFilter=@system-service\n")), "hearth says what is denied");
}

TEST(SystemdUnits, words_are_split_before_specifiers_and_escapes_are_those_of_c) {
  const Imported imported = import_systemd({{"web@80.service",
                                             "[Service]\nExecStart=/bin/web --name=%i 'a b'\\x41 \"%n\\n\" \\\n"
                                             "# a comment between\n  $$HOME 100%% '' \\u00e4\n"
                                             "Environment=\"A=x y\" B=\\s 'C=\\101\\t' D\n"}})
                                .value();
  expect_in(imported.toml,
            R"(command = ["/bin/web", "--name=80", "a bA", "web@80.service\n", "$HOME", "100%", "", "ä"])");
  expect_in(imported.toml, R"(env = { A = "x y", B = " ", C = "A\t" })");
  EXPECT_EQ(report_of(imported),
            "web@80.service: web@80: it is called web-80 now; names have letters, digits, _ and -, 48 at most\n"
            "web@80.service:5: web@80: Environment: D is not NAME=VALUE, and left out; env = { NAME = \"value\" }\n");
}

TEST(SystemdUnits, a_command_with_variables_is_one_of_the_shell_and_what_differs_is_said) {
  const auto of = [](const std::string& command) {
    return import_systemd({{"a.service", "[Service]\nExecStart=" + command + "\n"}}).value();
  };
  const Imported split = of("/usr/sbin/sshd -D $SSHD_OPTS --x='it\\'s'");
  expect_in(split.toml, "\nshell = true\ncommand = \"exec /usr/sbin/sshd -D $SSHD_OPTS '--x=it'\\\\''s'\"\n");
  expect_in(report_of(split), "a.service:2: a: ExecStart: $SSHD_OPTS is split by the shell: at blanks");
  const Imported whole = of("/bin/a --at=${HOST}:80 \"$$5 `x`\"");
  expect_in(whole.toml, R"(command = "exec /bin/a \"--at=$${HOST}:80\" '$5 `x`'")");
  EXPECT_EQ(report_of(whole), "");
  const Imported plain = of(":/bin/a $X ${Y} $$");
  expect_in(plain.toml, R"(command = ["/bin/a", "$X", "$${Y}", "$$"])");
  expect_in(of("/bin/a --opt=$X").toml, R"(command = ["/bin/a", "--opt=$X"])");
  expect_in(of("/bin/a --key %d/key").toml, R"(command = "exec /bin/a --key \"$${CREDENTIALS_DIRECTORY}/key\"")");
  expect_in(report_of(of("/bin/a \\q")), "\\q is no escape that is known");
  expect_in(report_of(of("@/bin/a argv0 -x")), "argv0 as the name that it sees (argv[0]) is left out");
  expect_in(of("@/bin/a argv0 -x").toml, R"(command = ["/bin/a", "-x"])");
  expect_in(of("/bin/a x \\; y ; /bin/b").toml, R"(command = ["/bin/a", "x", ";", "y"])");
}

TEST(SystemdUnits, several_commands_of_one_kind_are_one_that_stops_at_the_first_failure) {
  const Imported imported = imported_with(
      "ExecReload=/usr/sbin/sshd -t\nExecReload=/bin/kill -HUP $MAINPID\nExecStartPre=-/bin/rm 'a b'\n"
      "ExecStopPost=/bin/x\nExecStopPost=\nExecStopPost=/bin/y ${MAINPID}\n");
  expect_in(imported.toml,
            R"(reload_command = { shell = true, command = "/usr/sbin/sshd -t && /bin/kill -HUP $HEARTH_PID" })");
  expect_in(imported.toml, "before_start = { shell = true, command = \"(/bin/rm 'a b' || true)\" }");
  expect_in(imported.toml, R"(after_stop = { shell = true, command = "/bin/y \"$${HEARTH_PID}\"" })");
  EXPECT_EQ(report_of(imported), "");
}

TEST(SystemdUnits, what_a_hook_has_of_systemd_has_its_name_of_hearth_and_nothing_else_has) {
  const auto reload = [](const std::string& line) {
    const std::string toml = imported_with("ExecReload=" + line + "\n").toml;
    const std::size_t at = toml.find("reload_command");
    return at == toml.npos ? toml : toml.substr(at, toml.find('\n', at) - at);
  };
  expect_in(reload("/bin/a $MAINPID ${MAINPID}x $MAINPID_FILE ${MAINPID_FILE}"),
            R"("/bin/a $HEARTH_PID \"$${HEARTH_PID}x\" $MAINPID_FILE \"$${MAINPID_FILE}\"")");
  expect_in(reload("/bin/a $X 'not $$MAINPID'"), R"("/bin/a $X 'not $MAINPID'")");
  expect_in(reload("/bin/a $EXIT_STATUS"), R"("/bin/a $HEARTH_EXIT_CODE")");
  expect_in(import_systemd({{"a.service", "[Service]\nExecStart=/bin/a $MAINPID\n"}}).value().toml,
            "exec /bin/a $MAINPID");
}

TEST(SystemdUnits, targets_of_one_line_are_told_in_one) {
  EXPECT_EQ(
      report_of(imported_with("[Unit]\nAfter=network.target remote-fs.target nss-lookup.target\n")),
      "a.service:4: a: After=remote-fs.target nss-lookup.target is not carried over: hearth starts when it is told to; "
      "order hearth's own unit after it (docs/guide/systemd.md)\n");
}

TEST(SystemdUnits, commands_have_the_time_that_the_unit_says) {
  const std::string toml =
      imported_with("TimeoutStopSec=1h\nTimeoutStartSec=0\nExecStop=/bin/ctl stop\nExecStartPre=/bin/a $X\n").toml;
  expect_in(toml, R"(stop_command = { command = ["/bin/ctl", "stop"], timeout = "3600s" })");
  expect_in(toml, R"(before_start = { shell = true, command = "/bin/a $X", timeout = "86400s" })");
  expect_in(imported_with("TimeoutSec=5\nExecStop=/bin/ctl stop\n").toml, R"(stop_command = ["/bin/ctl", "stop"])");
}

TEST(SystemdUnits, what_is_not_known_of_a_command_is_told_once) {
  const Imported imported =
      import_systemd({{"pg@.service", "[Service]\nExecStart=/bin/a\nExecStop=/bin/ctl %i\nRuntimeDirectory=%i\n"}})
          .value();
  EXPECT_EQ(imported.findings.size(), 2u) << report_of(imported);
}

TEST(SystemdUnits, specifiers_that_can_be_told_are_and_others_are_said) {
  const auto of = [](const std::string& path, const std::string& lines) {
    return import_systemd({{path, "[Service]\nExecStart=/bin/a\n" + lines}}, "box").value();
  };
  const std::string all = "Environment=A=%p B=%i C=%I D=%t E=%S F=%H G=%h H=%u I=%%i J=%j K=%N\n";
  expect_in(
      of("/etc/systemd/system/db-pg@15-main.service", all).toml,
      R"(A = "db-pg", B = "15-main", C = "15/main", D = "/run", E = "/var/lib", F = "box", G = "${HOME}", H = "${USER}")"
      R"(, I = "%i", J = "pg", K = "db-pg@15-main")");
  expect_in(of("/home/u/.config/systemd/user/a.service", "Environment=A=%t/a\n").toml, R"(A = "${XDG_RUNTIME_DIR}/a")");
  const Imported unknown = of("pg@.service", "Environment=A=%i B=%d C=%m\n");
  expect_in(unknown.toml, R"(A = "%i", B = "%d", C = "%m")");
  for (const char* part : {"Environment: %i is not known: it is the instance of a template; copy the file to "
                           "pg@NAME.service",
                           "Environment: %d is not carried over", "Environment: %m is not carried over"})
    expect_in(report_of(unknown), part);
}

TEST(SystemdUnits, a_user_that_only_systemd_knows_is_left_out_and_told) {
  const Imported imported = imported_with("User=%u\nGroup=staff\n");
  EXPECT_EQ(imported.toml.find("\nuser"), std::string::npos) << imported.toml;
  expect_in(imported.toml, "\ngroup = \"staff\"\n");
  expect_in(report_of(imported),
            "a.service:3: a: User=%u is left out: no variable is replaced in user; it runs as who");
  expect_in(imported_with("User=web\nUser=\nUser=app-%p\n").toml, "\nuser = \"app-a\"\n");
  EXPECT_EQ(imported_with("User=web\nUser=\n").toml.find("\nuser"), std::string::npos);
}

TEST(SystemdUnits, what_a_sandbox_says_in_another_way_is_told_with_that) {
  for (const auto& [line, remedy] :
       {std::pair("RestrictNamespaces=yes", "@namespaces"), std::pair("ProtectClock=true", "@clock"),
        std::pair("ProtectKernelModules=true", "@module"), std::pair("ProtectHostname=true", "sethostname"),
        std::pair("ProtectKernelLogs=true", "syslog"), std::pair("LockPersonality=true", "personality")}) {
    const std::string report = report_of(imported_with(std::string(line) + "\n"));
    expect_in(report, std::string(line) + " is not carried over");
    expect_in(report, "sandbox = { deny_syscalls = [\"" + std::string(remedy));
    // What is advised hearth reads.
    const std::size_t begin = report.find("sandbox = "), end = report.find('}', begin);
    const config::Parsed parsed =
        config::parse_project("[service.a]\ncommand = [\"/a\"]\n" + report.substr(begin, end + 1 - begin) + "\n",
                              "/p/hearth.toml", config::Environment());
    EXPECT_TRUE(parsed.document) << parsed.text();
  }
  EXPECT_EQ(report_of(imported_with("LockPersonality=no\nPrivateTmp=false\n")), "");
  expect_in(report_of(imported_with("Slice=big.slice\n")), "cgroup = { memory_max = ");
}

TEST(SystemdUnits, surroundings_have_the_keys_that_mean_the_same) {
  const Imported imported = imported_with(
      "CPUAffinity=0 2-4,7\nCPUAffinity=3\nIOSchedulingClass=2\nIOSchedulingPriority=6\nOOMScoreAdjust=-900\n"
      "Nice=-5\nUMask=77\nLimitNOFILE=64K\nLimitCPU=2min\nLimitNICE=+19\nStandardInput=file:/a b\n"
      "FileDescriptorStoreMax=8\nLoadCredential=key:/etc/key\n");
  for (const char* line : {"cpus = \"0,2-4,7\"", "io_priority = \"best-effort:6\"", "oom_score_adj = -900", "nice = -5",
                           "umask = \"077\"", "limits = { nofile = 65536, cpu = 120, nice = 1 }",
                           "stdin = \"file:/a b\"", "fdstore_max = 8", "credentials = { key = \"/etc/key\" }"})
    expect_in(imported.toml, "\n" + std::string(line) + "\n");
  EXPECT_EQ(report_of(imported), "");
  expect_in(imported_with("IOSchedulingClass=idle\n").toml, "\nio_priority = \"idle\"\n");
  expect_in(imported_with("IOSchedulingPriority=1\n").toml, "\nio_priority = \"best-effort:1\"\n");
  EXPECT_EQ(imported_with("CPUAffinity=1\nCPUAffinity=\n").toml.find("cpus"), std::string::npos);
  expect_in(report_of(imported_with("CPUAffinity=numa\n")),
            "CPUAffinity: numa is not carried over; name the processors");
}

TEST(SystemdUnits, credentials_that_cannot_be_had_are_told_without_what_is_in_them) {
  const std::string report = report_of(imported_with(
      "SetCredential=token:hunter2\nSetCredentialEncrypted=t2: hunter2\nLoadCredentialEncrypted=t3:/etc/t3\n"
      "LoadCredential=t4\nImportCredential=app.*\n"));
  EXPECT_EQ(report.find("hunter2"), std::string::npos) << report;
  for (const char* part :
       {"SetCredential=token: a value that stands in the unit is not carried over",
        "LoadCredentialEncrypted=t3: hearth decrypts nothing; `systemd-creds decrypt`",
        "LoadCredential=t4: hearth looks into no store of credentials; name its file, as credentials = "
        "{ t4 = \"/etc/credstore/t4\" }",
        "ImportCredential=app.*: hearth looks into no store"})
    expect_in(report, part);
}

TEST(SystemdUnits, times_of_a_unit_that_says_none_are_those_of_systemd) {
  const std::string plain = imported_with("").toml;
  expect_in(plain, "\nstop_timeout = \"90s\"\n");
  EXPECT_EQ(plain.find("start_timeout"), std::string::npos) << "nothing is waited for";
  expect_in(imported_with("Type=notify\n").toml, "\nstart_timeout = \"90s\"\n");
  const Imported none = imported_with("Type=notify\nTimeoutSec=0\n");
  expect_in(none.toml, "\nstart_timeout = 0\n");
  expect_in(none.toml, "\nstop_timeout = \"1h\"\n");
  EXPECT_EQ(report_of(none), "a.service:4: a: a stop without an end has one of an hour\n");
  EXPECT_EQ(report_of(imported_with("TimeoutStartSec=infinity\n")), "");
  expect_in(report_of(imported_with("TimeoutStopSec=2h\n")), "TimeoutStopSec=2h is taken for an hour");
}

TEST(SystemdUnits, what_has_no_counterpart_is_told_with_its_reason_and_not_when_it_asks_for_nothing) {
  const std::string report = report_of(imported_with(
      "SendSIGKILL=no\nRestartPreventExitStatus=255\nDynamicUser=no\nSendSIGHUP=\nLogsDirectory=a\n[Unit]\n"
      "ConditionPathExists=!/x\nBefore=b.service\n"));
  for (const char* part : {"a.service:3: a: SendSIGKILL=no: what is left after stop_timeout is killed, always\n",
                           "a: RestartPreventExitStatus=255 is not carried over: no code keeps",
                           "a: LogsDirectory=a is not carried over: no directory below /var/log is made",
                           "a: ConditionPathExists=!/x is not carried over; before_start can look for it",
                           "a: Before=b.service is not carried over; the other one says it"})
    expect_in(report, part);
  EXPECT_EQ(report.find("DynamicUser"), std::string::npos);
  EXPECT_EQ(report.find("SendSIGHUP"), std::string::npos);
}

TEST(SystemdUnits, an_empty_line_begins_anew) {
  const std::string toml =
      imported_with(
          "ExecStart=\nExecStart=/bin/other\nEnvironment=A=1\nEnvironment=\nEnvironmentFile=/x\nEnvironmentFile=\n"
          "StateDirectory=a\nStateDirectory=b\n")
          .toml;
  expect_in(toml, "command = [\"/bin/other\"]");
  EXPECT_EQ(toml.find("env"), std::string::npos) << toml;
  expect_in(toml, "state_directories = [\"a\", \"b\"]");
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
