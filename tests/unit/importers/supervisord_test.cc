// What single keys and sections of a supervisord.conf become.
#include <algorithm>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "importers/importers.h"

namespace hearth::importers {
namespace {

Imported imported_of(const std::string& text, const std::string& host = "") {
  const Include none = [](const std::string&, const Source&) { return std::vector<Source>(); };
  const Environment environment;
  const Result<Imported> imported = import_supervisord({{"s.conf", text}}, none, environment, host);
  EXPECT_TRUE(imported);
  return imported ? *imported : Imported();
}

void expect_in(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << part << " is not in:\n" << text;
}

// Of the first line of it that begins so: the line of the original.
std::size_t line_of(const Imported& imported, std::string_view begin) {
  std::string_view rest = imported.toml;
  for (const Origin& origin : imported.origins) {
    const std::size_t end = rest.find('\n');
    if (rest.substr(0, end).starts_with(begin)) return origin.line;
    rest.remove_prefix(end + 1);
  }
  ADD_FAILURE() << "no line begins with " << begin << imported.toml;
  return 0;
}

TEST(Supervisord, a_stop_that_waits_for_more_than_an_hour_waits_for_one) {
  const Imported imported = imported_of("[program:a]\ncommand=/a\nstopwaitsecs=7200\n");
  expect_in(imported.toml, "\nstop_timeout = \"1h\"\n");
  expect_in(report_of(imported), "s.conf:3: program a: stopwaitsecs = 7200 is taken for an hour");
  for (const char* taken : {"3600", "60"}) {
    const Imported plain = imported_of("[program:a]\ncommand=/a\nstopwaitsecs=" + std::string(taken) + "\n");
    expect_in(plain.toml, "\nstop_timeout = \"" + std::string(taken) + "s\"\n");
    EXPECT_EQ(report_of(plain), "");
  }
}

TEST(Supervisord, each_line_says_of_which_it_was_made) {
  const Imported imported = imported_of(
      "[supervisord]\nenvironment=A=1\n[program:a]\ncommand=/a\nstopsignal=STOP\nenvironment=B=2\n"
      "[program:b]\nuser=u\ncommand=/b\n");
  EXPECT_EQ(imported.origins.size(),
            static_cast<std::size_t>(std::count(imported.toml.begin(), imported.toml.end(), '\n')));
  EXPECT_EQ(line_of(imported, "[service.a]"), 3u);
  EXPECT_EQ(line_of(imported, "stop_signal"), 5u);
  EXPECT_EQ(line_of(imported, "env = "), 3u) << "of several lines: that of the program";
  EXPECT_EQ(line_of(imported, "[service.b]"), 7u);
  EXPECT_EQ(line_of(imported, "user = "), 8u);
  EXPECT_EQ(line_of(imported, "# Made by"), 0u);
}

TEST(Supervisord, the_name_of_the_machine_is_that_of_now) {
  const std::string text = "[program:a]\ncommand=/a --name %(host_node_name)s\nuser=%(host_node_name)s\n";
  const Imported imported = imported_of(text, "box");
  expect_in(imported.toml, "\ncommand = [\"/a\", \"--name\", \"box\"]\n");
  expect_in(imported.toml, "\nuser = \"box\"\n");
  expect_in(report_of(imported),
            "s.conf:2: program a: %(host_node_name)s was replaced by the name of this machine, box");
  expect_in(report_of(imported_of(text)), "s.conf:2: program a: %(host_node_name)s is not known");
}

TEST(Supervisord, values_of_the_environment_have_no_escapes) {
  const Imported imported = imported_of(
      "[program:a]\ncommand=/a\nenvironment=A=\"C:\\\\x\\n $Y\",B='{\"k\": \"v, w\"}',C=a b,D=\"\",E='\"x\"'\n");
  expect_in(imported.toml, R"(A = "C:\\\\x\\n $Y", B = "{\"k\": \"v, w\"}", C = "a b", D = "", E = "x")");
  EXPECT_EQ(report_of(imported), "");
}

TEST(Supervisord, what_the_daemon_sets_for_all_is_known_in_their_texts) {
  const Imported imported = imported_of(
      "[program:a]\ncommand=/a %(ENV_MODELS)s %(ENV_OTHER)s\nuser=%(ENV_MODELS)s\n"
      "[supervisord]\nenvironment=MODELS=\"/data\"\nstrip_ansi=true\n");
  expect_in(imported.toml, R"(command = ["/a", "/data", "${OTHER}"])");
  expect_in(imported.toml, "user = \"/data\"");
  EXPECT_EQ(
      report_of(imported),
      "s.conf:6: supervisord: strip_ansi: colours and other escape sequences stay in the output; most programs write "
      "none when NO_COLOR=1 is in their env\n");
}

TEST(Supervisord, a_log_called_syslog_goes_there) {
  const Imported imported = imported_of("[program:a]\ncommand=/a\nstdout_logfile=syslog\nstderr_logfile=syslog\n");
  expect_in(imported.toml, "\nlog = { sink = \"syslog\" }\n");
  EXPECT_EQ(report_of(imported), "");
}

TEST(Supervisord, what_memmon_restarts_has_a_max_memory) {
  const Imported imported = imported_of(
      "[program:a]\ncommand=/a\n[program:b]\ncommand=/b\n[program:c]\ncommand=/c\n[group:g]\nprograms=b,c\n"
      "[eventlistener:m]\ncommand=python /opt/memmon.py -p a=300MB -g g=1GB --program=g:c=512mb -a 2GB -m me@x "
      "-p gone=2GB -p a=lots\nevents=TICK_60\n");
  const auto of = [&](const std::string& name) {
    const std::string text = imported.toml.substr(imported.toml.find("[service." + name + "]"));
    return text.substr(0, text.find("\n["));
  };
  expect_in(of("a"), "\nmax_memory = \"300MiB\"\n");
  expect_in(of("b"), "\nmax_memory = \"1GiB\"\n");
  expect_in(of("c"), "\nmax_memory = \"512MiB\"\n");
  const std::string report = report_of(imported);
  expect_in(report, "s.conf:10: memmon: no mail is sent to me@x");
  expect_in(report, "s.conf:10: memmon -p gone=2GB: there is no such program; write max_memory = \"2GiB\"");
  expect_in(report, "s.conf:10: memmon -p a=lots is not carried over");
  EXPECT_EQ(report.find("speaks no such protocol"), std::string::npos);
  expect_in(report_of(imported_of("[program:a]\ncommand=/a\n[eventlistener:x]\ncommand=crashmail\n")),
            "s.conf:3: [eventlistener:x] is left out: hearth speaks no such protocol");
}

}  // namespace
}  // namespace hearth::importers
