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
            "%(host_node_name)s was replaced by the name of this machine, box; for another one, write its name:\n"
            "  s.conf:2: program a\n  s.conf:3: program a\n");
  expect_in(report_of(imported_of(text)), "%(host_node_name)s is not known; write what it stands for:\n  s.conf:2: ");
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

TEST(Supervisord, what_several_lines_say_is_said_once_in_the_order_of_files_and_lines) {
  const Include include = [](const std::string& pattern, const Source&) {
    const std::string log = "stdout_logfile=/var/log/" + pattern + ".log\n";
    return std::vector<Source>{{pattern + ".conf", "[program:" + pattern + "]\ncommand=/x\n" + log + "odd=1\n"}};
  };
  const Environment environment;
  // [group:c] is looked at first, and is in the last file.
  const auto imported =
      import_supervisord({{"s.conf", "[include]\nfiles=b a\n[program:c]\ncommand=/c\n[unix_http_server]\nchown=me\n"},
                          {"t.conf", "[group:c]\nprograms=c,gone\n"}},
                         include, environment, "", "/logs/shop");
  ASSERT_TRUE(imported);
  EXPECT_EQ(report_of(*imported),
            "s.conf:6: [unix_http_server] chown is not carried over; only who runs hearth, and root, get in\n"
            "output goes to files of hearth's own; `hearth logs -f NAME` shows it; what follows the file, as a log "
            "shipper, follows that one:\n"
            "  b.conf:3: program b: /var/log/b.log is now /logs/shop.b.0/current\n"
            "  a.conf:3: program a: /var/log/a.log is now /logs/shop.a.0/current\n"
            "odd is not known, and left out:\n"
            "  b.conf:4: program b\n"
            "  a.conf:4: program a\n"
            "t.conf:2: group c: there is no [program:gone]\n");
}

TEST(Supervisord, an_output_file_becomes_one_whose_path_is_told) {
  const std::string text = "[program:a]\ncommand=/a\nstdout_logfile=/var/log/a.log\n";
  expect_in(report_of(imported_of(text)),
            "s.conf:3: program a: output does not go to /var/log/a.log but to "
            "/var/log/hearth/default/PROJECT.a.0/current; `hearth logs -f NAME` shows it");
  expect_in(report_of(imported_of(text + "numprocs=2\nprocess_name=%(process_num)d\n")), "/PROJECT.a.*/current;");
}

TEST(Supervisord, an_interface_of_others_is_told_and_its_own_is_not) {
  const std::string text = "[program:a]\ncommand=/a\n[rpcinterface:supervisor]\nf=x\n";
  EXPECT_EQ(report_of(imported_of(text)), "");
  expect_in(report_of(imported_of(text + "[rpcinterface:twiddler]\nf=x\n")),
            "s.conf:5: [rpcinterface:twiddler] is left out");
}

std::string beside(const std::string& service, const std::string& toml) {
  const std::size_t at = toml.find("[service." + service + "]");
  const std::size_t begin = toml.rfind("\n\n", at);
  return begin == toml.npos || at == toml.npos ? toml : toml.substr(begin + 2, at - begin - 2);
}

TEST(Supervisord, priorities_are_proposed_as_dependencies_and_none_is_made_of_them) {
  const Imported imported = imported_of(
      "[program:web]\ncommand=/w\npriority=30\n[program:redis]\ncommand=/r\npriority=10\n"
      "[program:db]\ncommand=/d\npriority=20\n[program:db2]\ncommand=/d\npriority=20\n"
      "[program:hand]\ncommand=/h\npriority=25\nautostart=false\n[program:last]\ncommand=/l\n");
  EXPECT_EQ(imported.toml.find("depends_on"), std::string::npos);
  const std::string toml = commented(imported);
  EXPECT_EQ(beside("redis", toml),
            "# priority = 10: what has a greater one was started after it, without waiting for it\n");
  EXPECT_EQ(beside("db", toml),
            "# priority = 20: started after these; where that is a need: depends_on = [\"redis\"]\n");
  EXPECT_EQ(beside("web", toml),
            "# priority = 30: started after these; where that is a need: depends_on = [\"db\", \"db2\"]\n");
  EXPECT_EQ(beside("last", toml),
            "# no priority, which is 999: started after these; where that is a need: depends_on = [\"web\"]\n");
  expect_in(beside("hand", toml), "# s.conf:15: program hand: priority = 25 is not carried over");
  expect_in(report_of(imported), "priority is not carried over; ");
  expect_in(report_of(imported),
            "\n  s.conf:3: program web: priority = 30\n  s.conf:6: program redis: priority = 10\n");
}

TEST(Supervisord, priorities_count_group_by_group) {
  const Imported imported = imported_of(
      "[program:a]\ncommand=/a\npriority=900\n[program:b]\ncommand=/b\npriority=1\n[program:c]\ncommand=/c\n"
      "priority=500\n[program:d]\ncommand=/d\n[group:g]\nprograms=a,b\npriority=2\n[group:h]\nprograms=d\n");
  const std::string toml = commented(imported);
  expect_in(beside("b", toml), "# priority = 1: what has a greater one");
  expect_in(beside("a", toml), "depends_on = [\"b\"]");
  expect_in(beside("c", toml), "depends_on = [\"a\"]");
  expect_in(beside("d", toml), "depends_on = [\"c\"]");
  expect_in(toml.substr(0, toml.find("[service")), "group g: priority = 2 is not carried over");
  // All alike is no order.
  const Imported alike = imported_of("[program:a]\ncommand=/a\npriority=5\n");
  EXPECT_TRUE(alike.notes.empty());
  expect_in(beside("a", commented(alike)), "# s.conf:3: program a: priority = 5 is not carried over");
}

TEST(Supervisord, the_report_stands_beside_the_services_as_comments) {
  Imported imported =
      imported_of("[supervisord]\nminfds=9\n[program:a]\ncommand=/a\nodd=1\n[program:b]\ncommand=/b\nodder=\n");
  const std::string toml = commented(imported);
  EXPECT_EQ(beside("a", toml), "# s.conf:5: program a: odd is not known, and left out\n");
  const std::string head = toml.substr(0, toml.find("\n\n"));
  expect_in(head, "# Made by `hearth import` from s.conf.\n# Not all of it");
  expect_in(head, "\n# s.conf:2: supervisord: minfds is not carried over; hearth needs none");
  EXPECT_EQ(head.find("odd is not known"), std::string::npos);
  imported.findings[0].what = std::string(300, 'x') + " a\nb";
  expect_in(commented(imported), "\n#   a\\nb; hearth");
  EXPECT_EQ(commented(imported_of("[program:a]\ncommand=/a\n")), imported_of("[program:a]\ncommand=/a\n").toml);
}

}  // namespace
}  // namespace hearth::importers
