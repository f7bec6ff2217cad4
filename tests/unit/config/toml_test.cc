#include "config/toml.h"

#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "places.h"
#include "unit/config/memory_files.h"

namespace hearth::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

const std::vector<std::string> environment_lines = {
    "HOME=/home/ada", "PORT=8080",          "EMPTY=", "DOLLAR=$",          "LANG=C",
    "HEARTH_RUN=7",   "SSH_TTY=/dev/pts/0", "PWD=/x", "_=/usr/bin/hearth", "XDG_SESSION_ID=2"};

Parsed parse(std::string_view text) {
  return parse_project(text, "/srv/my shop/hearth.toml", Environment(environment_lines), "hearth.toml");
}

Document document_of(std::string_view text) {
  Parsed parsed = parse(text);
  EXPECT_TRUE(parsed.document.has_value()) << parsed.text();
  return parsed.document.value_or(Document{});
}

ServiceSpec service_of(std::string_view keys) {
  Document document = document_of("[service.web]\ncommand = [\"x\"]\n" + std::string(keys));
  EXPECT_EQ(document.services.size(), 1u);
  return document.services.empty() ? ServiceSpec{} : document.services[0];
}

std::string problem_of(std::string_view keys) {
  return parse("[service.web]\ncommand = [\"x\"]\n" + std::string(keys)).text();
}

TEST(Toml, the_shortest_file_is_a_header_and_a_command) {
  const Document document = document_of("[service.web]\ncommand = [\"python3\", \"-m\", \"http.server\"]\n");
  EXPECT_EQ(document.project, "my-shop");
  EXPECT_EQ(document.path, "/srv/my shop/hearth.toml");
  EXPECT_EQ(document.version, 0u);
  ServiceSpec expected{.name = "web", .command = {"python3", "-m", "http.server"}, .cwd = "/srv/my shop"};
  EXPECT_THAT(document.services, ElementsAre(expected));
}

TEST(Toml, services_keep_the_order_of_the_file) {
  const Document document = document_of(R"(
    [service.zebra]
    command = ["z"]
    [service.ape]
    command = ["a"]
    [service.mole]
    command = ["m"]
  )");
  std::vector<std::string> names;
  for (const ServiceSpec& service : document.services) names.push_back(service.name);
  EXPECT_THAT(names, ElementsAre("zebra", "ape", "mole"));
}

// The counterpart of bad/listen_of_two_services.toml.
TEST(Toml, sockets_that_do_not_meet_may_have_one_port) {
  for (const auto& [a, b] : std::vector<std::pair<const char*, const char*>>{{"127.0.0.1", "127.0.0.2"},
                                                                             {"127.0.0.1", "[::1]"},
                                                                             {"0.0.0.0", "[::]"},
                                                                             {"0.0.0.0", "[::1]"},
                                                                             {"[::]", "127.0.0.1"}}) {
    const auto service = [](const std::string& name, const std::string& host) {
      return "[service." + name + "]\ncommand = [\"x\"]\nlisten = [\"tcp:" + host + ":8001\"]\n";
    };
    EXPECT_EQ(document_of(service("a", a) + service("b", b)).services.size(), 2u) << a << " " << b;
  }
}

TEST(Toml, every_key_reaches_the_model) {
  const Document document = document_of(R"(
    [project]
    name = "shop"
    start_concurrency = 4

    [service.db]
    command = ["db"]

    [service.web]
    command = ["~/bin/server", "--port", "${PORT}"]
    cwd = "app/../run/"
    env = { MODE = "fast", WORKERS = 4, DEBUG = false, WHERE = "${LANG}" }
    user = "www-data"
    group = 33
    umask = "027"
    nice = -5
    oom_score_adj = 200
    limits = { nofile = 65536, core = "unlimited", memlock = { soft = "64KiB", hard = "1M" } }
    no_new_privs = true
    capabilities = ["NET_BIND_SERVICE", "cap_chown", "chown"]
    capability_bounding_set = ["all", "-CAP_SYS_ADMIN"]
    autostart = false
    tags = ["gpu", "speech", "gpu"]
    on_give_up = "exit"
    retry_after = "1h"
    restart = "always"
    success_exit_codes = [3, 0, 3]
    backoff = { initial = "1s", max = "1m30s", factor = 1.5, jitter = 0, reset_after = "10m" }
    max_restarts = 5
    restart_window = "2m"
    ready = { type = "http", url = "http://127.0.0.1:${PORT}/health?x=1", expect_status = 204, interval = "250ms", timeout = 2, success_threshold = 2, failure_threshold = 4 }
    live = { type = "exec", command = ["check", "${LANG}"] }
    start_timeout = "1h"
    watchdog = 30
    stop_signal = "SIGINT"
    stop_timeout = 0.5
    reload_signal = 12
    listen = ["tcp:*:{index+80}", { name = "admin", address = "unix:admin.{index}", backlog = 16 }]
    fdstore_max = 0
    log.format = "json"
    log.max_size = "1G"
    log.max_files = 3
    log.max_age = "1d"
    log.max_total = "5G"
    log.compress = true
    log.per_process = true
    log.sink = "journald"
    log.full_wait = 0
    replicas = 2

    [service.web.depends_on]
    db = { condition = "started", required = false, restart = true }
  )");
  ASSERT_EQ(document.services.size(), 2u);
  ServiceSpec expected;
  expected.name = "web";
  expected.command = {"/home/ada/bin/server", "--port", "8080"};
  expected.cwd = "/srv/my shop/run";
  expected.env = {{"MODE", "fast"}, {"WORKERS", "4"}, {"DEBUG", "false"}, {"WHERE", "C"}};
  expected.process.edit().user = "www-data";
  expected.process.edit().group = "33";
  expected.process.edit().umask = 027;
  expected.process.edit().nice = -5;
  expected.process.edit().oom_score_adj = 200;
  expected.process.edit().limits = {
      {"core", UINT64_MAX, UINT64_MAX}, {"memlock", 64 << 10, 1 << 20}, {"nofile", 65536, 65536}};
  expected.process.edit().no_new_privs = true;
  expected.process.edit().capabilities = 1u << 10 | 1u << 0;
  expected.process.edit().capability_bounding_set = all_capabilities & ~capability_bit(21);
  expected.autostart = false;
  expected.tags = {"gpu", "speech"};
  expected.give_up = GiveUp::exit;
  expected.retry_after = seconds(3600);
  expected.restart = RestartPolicy::always;
  expected.success_exit_codes = {0, 3};
  expected.backoff = Backoff{seconds(1), seconds(90), 1.5, 0, seconds(600)};
  expected.crash_limit = CrashLimit{5, seconds(120)};
  expected.depends_on = {{"db", Condition::started, false, true}};
  expected.ready = Probe{.type = ProbeType::http,
                         .url = "http://127.0.0.1:8080/health?x=1",
                         .expect_status = 204,
                         .interval = milliseconds(250),
                         .timeout = seconds(2),
                         .success_threshold = 2,
                         .failure_threshold = 4};
  expected.live = Probe{.type = ProbeType::exec, .command = {"check", "C"}};
  expected.start_timeout = seconds(3600);
  expected.watchdog = seconds(30);
  expected.stop_signal = 2;
  expected.stop_timeout = milliseconds(500);
  expected.reload_signal = 12;
  expected.listen = {{"socket0", "tcp:*:{index+80}", 4096}, {"admin", "unix:/srv/my shop/run/admin.{index}", 16}};
  expected.fdstore_max = 0;
  expected.replicas = 2;
  expected.log = LogSpec{.format = "json",
                         .max_size = 1u << 30,
                         .max_files = 3,
                         .max_age = seconds(86'400),
                         .max_total = 5ull << 30,
                         .compress = true,
                         .per_process = true,
                         .sink = "journald",
                         .full_wait = 0};
  EXPECT_EQ(document.project, "shop");
  EXPECT_EQ(document.start_concurrency, 4u);
  EXPECT_EQ(document.services[1], expected);
}

TEST(Toml, what_a_service_has_anyway_may_be_written_down) {
  EXPECT_TRUE(service_of("umask = \"022\"\nnice = 0\n") == service_of(""));
  EXPECT_FALSE(service_of("umask = \"000\"\n") == service_of(""));
  EXPECT_FALSE(service_of("nice = 1\n") == service_of(""));
}

TEST(Toml, a_command_for_the_shell_is_one_text) {
  const Document document = document_of(R"(
    [service.web]
    shell = true
    command = "echo $HOME $$ $${LANG} ${LANG} | tee log"
  )");
  EXPECT_THAT(document.services.at(0).command, ElementsAre("/bin/sh", "-c", "echo $HOME $$ ${LANG} C | tee log"));
}

TEST(Toml, variables_have_defaults_for_unset_and_for_empty) {
  const ServiceSpec spec = service_of(
      R"(env = { A = "${NOPE:-a b}", B = "${EMPTY:-b}", C = "${EMPTY}", D = "${PORT:-1}", E = "${NOPE:-}" })");
  EXPECT_THAT(spec.env, ElementsAre(Pair("A", "a b"), Pair("B", "b"), Pair("C", ""), Pair("D", "8080"), Pair("E", "")));
}

TEST(Toml, a_value_that_ends_in_a_dollar_escapes_nothing) {
  EXPECT_THAT(service_of(R"(env = { A = "${DOLLAR}${LANG}" })").env, ElementsAre(Pair("A", "$C")));
}

TEST(Toml, the_callers_environment_is_captured_without_what_is_private_to_his_session) {
  const Document document = document_of("[service.web]\ncommand = [\"x\"]\n");
  EXPECT_THAT(document.environment, ElementsAre("DOLLAR=$", "EMPTY=", "HOME=/home/ada", "LANG=C", "PORT=8080"));
}

TEST(Toml, directories_are_relative_to_the_project_file_or_begin_at_home) {
  EXPECT_EQ(service_of("cwd = \"a/b\"").cwd, "/srv/my shop/a/b");
  EXPECT_EQ(service_of("cwd = \"../x\"").cwd, "/srv/x");
  EXPECT_EQ(service_of("cwd = \".\"").cwd, "/srv/my shop");
  EXPECT_EQ(service_of("cwd = \"/\"").cwd, "/");
  EXPECT_EQ(service_of("cwd = \"~\"").cwd, "/home/ada");
  EXPECT_EQ(service_of("cwd = \"~/x\"").cwd, "/home/ada/x");
}

TEST(Toml, readiness_has_a_short_form_for_notify) {
  EXPECT_EQ(*service_of("ready = \"notify\"").ready, Probe{.type = ProbeType::notify});
  EXPECT_EQ(*service_of("ready = { type = \"notify\" }").ready, Probe{.type = ProbeType::notify});
}

TEST(Toml, readiness_may_be_a_descriptor_a_path_a_pattern_or_a_frame) {
  const Probe descriptor{.type = ProbeType::fd, .descriptor = 3};
  EXPECT_EQ(*service_of("ready = \"fd:3\"").ready, descriptor);
  EXPECT_EQ(*service_of("ready = { type = \"fd\", fd = 3 }").ready, descriptor);
  EXPECT_EQ(service_of("ready = { type = \"log\", pattern = \"^(up|ready) in [0-9]+ s$\" }").ready->target,
            "^(up|ready) in [0-9]+ s$");
  EXPECT_EQ(service_of("cwd = \"/srv/x\"\nready = { type = \"file\", path = \"run/up\" }").ready->target,
            "/srv/x/run/up");
  EXPECT_EQ(service_of("ready = { type = \"unix\", path = \"/run/x.sock\" }").ready->target, "/run/x.sock");
  const Probe frame = service_of("live = { type = \"frame\", address = \"127.0.0.1:90\", interval = 10 }").live;
  EXPECT_EQ(frame.type, ProbeType::frame);
  EXPECT_EQ(frame.address, "127.0.0.1:90");
  EXPECT_EQ(frame.target, "");
}

TEST(Toml, max_memory_is_looked_at_with_the_tries_of_live_or_by_itself) {
  EXPECT_EQ(*service_of("max_memory = \"4GiB\"").live, memory_probe(std::uint64_t{4} << 30));
  const Probe both = service_of("max_memory = \"4GiB\"\nlive = { type = \"tcp\", address = \"127.0.0.1:1\" }").live;
  EXPECT_EQ(both, (Probe{.type = ProbeType::tcp, .address = "127.0.0.1:1", .max_memory = std::uint64_t{4} << 30}));
  Probe often = memory_probe(std::uint64_t{4} << 30);
  EXPECT_EQ(*service_of("max_memory = \"4GiB\"\nlive = { type = \"memory\" }").live, often);
  often.interval = seconds(1);
  EXPECT_EQ(*service_of("max_memory = \"4GiB\"\nlive = { type = \"memory\", interval = \"1s\" }").live, often);
  EXPECT_EQ(service_of("max_memory = 0").live->type, ProbeType::none);
}

TEST(Toml, a_probe_url_always_has_a_port_and_a_path) {
  EXPECT_EQ(service_of("ready = { type = \"http\", url = \"http://localhost\" }").ready->url, "http://localhost:80/");
  EXPECT_EQ(service_of("ready = { type = \"http\", url = \"http://[::1]?a\" }").ready->url, "http://[::1]:80/?a");
}

TEST(Toml, dependencies_are_names_words_or_tables) {
  const auto of = [](std::string_view form) {
    const Document document =
        document_of("[service.a]\ncommand = [\"x\"]\n[service.web]\ncommand = [\"x\"]\n" + std::string(form));
    return document.services.at(1).depends_on;
  };
  EXPECT_THAT(of("depends_on = [\"a\"]"), ElementsAre(Dependency{"a"}));
  EXPECT_THAT(of("depends_on = { a = \"completed\" }"), ElementsAre(Dependency{"a", Condition::completed}));
  EXPECT_THAT(of("depends_on.a.condition = \"completed_successfully\""),
              ElementsAre(Dependency{"a", Condition::completed_successfully}));
}

TEST(Toml, a_first_delay_above_the_default_maximum_raises_the_maximum) {
  EXPECT_EQ(service_of("backoff = { initial = \"2m\" }").backoff.max, seconds(120));
}

TEST(Toml, zero_switches_timeouts_off) {
  EXPECT_EQ(service_of("start_timeout = 0").start_timeout, 0);
  EXPECT_EQ(service_of("watchdog = \"0s\"").watchdog, 0);
}

TEST(Toml, names_of_projects_come_from_the_directory) {
  const auto project = [](std::string_view path) {
    const Parsed parsed = parse_project("[service.a]\ncommand=[\"x\"]", path, Environment());
    return parsed.document.value_or(Document{}).project;
  };
  EXPECT_EQ(project("/hearth.toml"), "project");
  EXPECT_EQ(project("/a/ü.x/hearth.toml"), "---x");
  EXPECT_EQ(project("/" + std::string(60, 'n') + "/hearth.toml"), std::string(48, 'n'));
}

TEST(Toml, at_most_twenty_problems_are_shown_and_the_rest_is_counted) {
  std::string text = "[service.web]\ncommand = [\"x\"]\n";
  for (int i = 0; i < 30; ++i) text += "zzzzz" + std::to_string(i) + " = 1\n";
  const Parsed parsed = parse(text);
  EXPECT_FALSE(parsed.document);
  ASSERT_EQ(parsed.diagnostics.size(), max_diagnostics);
  EXPECT_EQ(parsed.diagnostics.front().at.line, 3u);
  EXPECT_EQ(parsed.more, 10u);
  EXPECT_THAT(parsed.text(), HasSubstr("... and 10 more\n"));
}

TEST(Toml, a_file_of_more_than_a_mebibyte_is_refused) {
  EXPECT_THAT(parse(std::string((1 << 20) + 1, '#')).text(), HasSubstr("more than 1 MiB"));
}

TEST(Toml, a_key_of_nothing_but_dots_overflows_no_stack) {
  std::string text;
  for (int i = 0; i < 400000; ++i) text += "a.";
  EXPECT_THAT(parse(text + "a = 1").text(), HasSubstr("a key with more than 16 parts"));
  EXPECT_THAT(parse("x = " + std::string(300000, '[')).text(), HasSubstr("syntax error"));
}

TEST(Toml, dots_in_strings_and_comments_are_no_parts_of_keys) {
  const std::string dots(40, '.');
  EXPECT_EQ(service_of("env = { A = \"" + dots + "\", B = '" + dots + "' } # " + dots + "\n").env.size(), 2u);
  EXPECT_EQ(service_of("env.A = \"\"\"" + dots + "\\\"\n" + dots + "\"\"\"\nenv.B = '''\n" + dots + "'''\n").env.size(),
            2u);
}

TEST(Toml, letters_beyond_ascii_may_follow_a_line_ending_backslash) {
  EXPECT_THAT(service_of("env.A = \"\"\"a\\\n  ü\"\"\"").env, ElementsAre(Pair("A", "aü")));
}

TEST(Toml, a_text_may_end_in_the_quotes_that_close_it) {
  const std::string dots(40, '.');
  const std::string five(5, '\'');
  EXPECT_THAT(service_of("env.A = \"\"\"say \"yes\"\"\"\" # " + dots + "\nenv.B = " + five + dots + five).env,
              ElementsAre(Pair("A", "say \"yes\""), Pair("B", "''" + dots + "''")));
}

TEST(Toml, more_services_than_slots_are_refused) {
  std::string text;
  for (int i = 0; i < 4097; ++i) text += "[service.s" + std::to_string(i) + "]\ncommand=[\"x\"]\n";
  EXPECT_THAT(parse(text).text(), HasSubstr("4097 services, more than 4096"));
}

TEST(Toml, long_chains_of_dependencies_are_fine) {
  std::string text;
  for (int i = 0; i < 4096; ++i) {
    text += "[service.s" + std::to_string(i) + "]\ncommand=[\"x\"]\n";
    if (i > 0) text += "depends_on=[\"s" + std::to_string(i - 1) + "\"]\n";
  }
  EXPECT_EQ(document_of(text).services.size(), 4096u);
}

TEST(Toml, two_separate_knots_of_services_are_two_cycles) {
  const std::string text = parse(R"(
    [service.a]
    command = ["x"]
    depends_on = ["b"]
    [service.b]
    command = ["x"]
    depends_on = ["a"]
    [service.c]
    command = ["x"]
    depends_on = ["d"]
    [service.d]
    command = ["x"]
    depends_on = ["c", "a"]
  )")
                               .text();
  EXPECT_THAT(text, HasSubstr("a -> b -> a"));
  EXPECT_THAT(text, HasSubstr("c -> d -> c"));
}

// The examples of docs/reference/configuration.md: a block with headers as a whole, else line by line, because such
// lines are alternatives.
TEST(Toml, every_example_of_the_reference_page_is_accepted) {
  std::ifstream page(HEARTH_SOURCE_DIR "/docs/reference/configuration.md");
  std::string block;
  bool inside = false;
  int examples = 0;
  const std::string others =
      "[service.redis]\ncommand=['x']\n[service.audio]\ncommand=['x']\n[service.migrate]\ncommand=["
      "'x']\n";
  for (std::string line; std::getline(page, line);) {
    if (!line.starts_with("```")) {
      if (inside) block += line + "\n";
      continue;
    }
    std::vector<std::string> parts;
    if (block.find('[' + std::string("service.")) != std::string::npos) {
      parts.push_back(block);
    } else {
      std::istringstream lines(block);
      for (std::string part; std::getline(lines, part);) {
        parts.push_back(others + "[service.web]\ncommand = ['x']\n" + part + "\n");
      }
    }
    MemoryFiles files;
    files.add("/srv/common.toml", "\n");
    files.add("/srv/my shop/app.env", "A=1\n");
    const Environment env(environment_lines);
    for (const std::string& part : parts) {
      const Parsed parsed = parse_project(ProjectInput{part, "/srv/my shop/hearth.toml", "hearth.toml", env, &files});
      EXPECT_EQ(parsed.text(), "") << part;
    }
    examples += static_cast<int>(parts.size());
    inside = line == "```toml";
    block.clear();
  }
  EXPECT_GE(examples, 15);
}

TEST(Toml, the_quickstart_is_accepted) {
  std::ifstream file(HEARTH_SOURCE_DIR "/examples/quickstart/hearth.toml");
  std::stringstream text;
  text << file.rdbuf();
  const Document document = document_of(text.str());
  EXPECT_EQ(document.project, "quickstart");
  EXPECT_EQ(document.services.size(), 7u);
}

TEST(Toml, numbers_that_are_not_finite_are_refused) {
  EXPECT_THAT(problem_of("stop_timeout = nan"), HasSubstr("not a duration"));
  EXPECT_THAT(problem_of("stop_timeout = inf"), HasSubstr("not a duration"));
  EXPECT_THAT(problem_of("backoff = { factor = nan }"), HasSubstr("not a number from 1 to 10"));
}

TEST(Diagnostic, shows_the_place_below_its_line) {
  const Parsed parsed = parse("[service.web]\ncommand = [\"x\"]\n\tnice = \"ü\"\n");
  ASSERT_EQ(parsed.diagnostics.size(), 1u);
  EXPECT_EQ(parsed.diagnostics[0].excerpt("[service.web]\ncommand = [\"x\"]\n\tnice = \"ü\"\n"),
            "  \tnice = \"ü\"\n  \t       ^\n");
  EXPECT_EQ(parsed.diagnostics[0].excerpt("one line"), "");
}

TEST(Diagnostic, cuts_long_lines_around_the_place) {
  Diagnostic diagnostic{"f", {1, 500}, "m", "r"};
  const std::string excerpt = diagnostic.excerpt(std::string(1000, 'x'));
  EXPECT_EQ(excerpt, "  ..." + std::string(100, 'x') + "\n  " + std::string(53, ' ') + "^\n");
}

}  // namespace
}  // namespace hearth::config
