#include <sys/stat.h>

#include "integration/cli/hearth_command.h"

namespace hearth::cli {
namespace {

// A zombie does not: whoever is PID 1 here may be slow to reap it, or never do.
bool lives(pid_t pid) {
  const std::string stat = text_of("/proc/" + std::to_string(pid) + "/stat");
  const std::size_t name_end = stat.rfind(") ");
  return name_end != stat.npos && stat[name_end + 2] != 'Z';
}

TEST_F(CommandTest, before_anything_runs_status_says_so_with_3_and_orders_with_7) {
  const Finished status = hearth({"status"});
  EXPECT_EQ(status.code, 3);
  EXPECT_NE(status.err.find("`hearth --dir " + directory + " up` starts it"), std::string::npos) << status.err;
  EXPECT_EQ(hearth({"stop", "web"}).code, 7);
  EXPECT_EQ(hearth({"pid"}).code, 3) << "as status";
  EXPECT_EQ(hearth({"pid", "web"}).code, 3);
  for (const char* look : {"top", "tree"}) {
    const Finished looked = hearth({look});
    EXPECT_EQ(looked.code, 7) << look;
    EXPECT_NE(looked.err.find("hearth --dir " + directory + " up"), std::string::npos) << looked.err;
  }
  const Finished shutdown = hearth({"shutdown"});
  EXPECT_EQ(shutdown.code, 0);
  EXPECT_EQ(shutdown.out, "hearth is not running\n");
  EXPECT_EQ(hearth({"shutdown", "--json"}).code, 0);
  EXPECT_FALSE(fs::exists(directory));
}

TEST_F(CommandTest, one_command_is_run_seen_stopped_and_shut_down) {
  const Finished run = hearth({"run", "--name", "nap", "--", "sleep", "1000"});
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_NE(run.out.find("nap: 1 running"), std::string::npos) << run.out;

  const Finished table = hearth({"status"});
  EXPECT_EQ(table.code, 0);
  EXPECT_TRUE(table.out.starts_with("SERVICE  STATE")) << table.out;
  const boost::json::value nap = status().at("services").at(0);
  EXPECT_EQ(nap.at("name").as_string(), "nap");
  const auto pid = static_cast<pid_t>(nap.at("pid").as_int64());
  EXPECT_TRUE(lives(pid));
  EXPECT_EQ(hearth({"pid", "nap"}).out, std::to_string(pid) + "\n");
  EXPECT_EQ(hearth({"pid"}).out, std::to_string(pid_of("keeper")) + "\n");
  const Finished half = hearth({"pid", "nap", "naps"});
  EXPECT_EQ(half.code, 2);
  EXPECT_EQ(half.out, "") << "of several, one of which is unknown, none is told";

  EXPECT_EQ(hearth({"stop", "nap"}).code, 0);
  const Finished gone = hearth({"pid", "nap"});
  EXPECT_EQ(gone.code, 3);
  EXPECT_EQ(gone.out, "");
  EXPECT_NE(gone.err.find("cannot tell the PID of nap: it is stopped"), std::string::npos) << gone.err;
  EXPECT_EQ(hearth({"pid", "--json", "nap"}).out, R"({"pids":[{"project":"run","name":"nap","index":0,"pid":null}]})"
                                                  "\n");
  EXPECT_FALSE(lives(pid));
  EXPECT_EQ(hearth({"status"}).code, 3);
  EXPECT_EQ(hearth({"start", "nap"}).code, 0);
  EXPECT_EQ(hearth({"restart", "--all"}).code, 0);
  EXPECT_EQ(hearth({"status", "nap"}).code, 0);

  const auto keeper = static_cast<pid_t>(pid_of("keeper"));
  const Finished shutdown = hearth({"shutdown"});
  EXPECT_EQ(shutdown.code, 0) << shutdown.err;
  EXPECT_TRUE(shutdown.out.ends_with("Shutdown complete\n")) << shutdown.out;
  EXPECT_FALSE(lives(keeper));
  EXPECT_EQ(hearth({"status"}).code, 3);
}

TEST_F(CommandTest, a_second_run_of_the_same_name_is_refused_while_the_first_lives) {
  ASSERT_EQ(hearth({"run", "--", "sleep", "1000"}).code, 0);
  const Finished second = hearth({"run", "--", "sleep", "2000"});
  EXPECT_EQ(second.code, 1);
  EXPECT_NE(second.err.find("cannot run sleep: it is already there (PID "), std::string::npos) << second.err;
  EXPECT_EQ(hearth({"run", "--name", "other", "--", "sleep", "2000"}).code, 0);
}

TEST_F(CommandTest, one_service_is_taken_down_by_its_name_and_its_logs_stay) {
  ASSERT_EQ(hearth({"run", "--name", "a", "--", "sh", "-c", "echo said; exec sleep 1000"}).code, 0);
  ASSERT_EQ(hearth({"run", "--name", "b", "--", "sleep", "1000"}).code, 0);
  ASSERT_TRUE(eventually([&] { return hearth({"logs", "a"}).out == "said\n"; }));
  const Finished down = hearth({"down", "a"});
  EXPECT_EQ(down.code, 0) << down.err;
  EXPECT_NE(down.out.find("down: 1 stopped"), std::string::npos) << down.out;
  EXPECT_EQ(status().at("services").as_array().size(), 1u);
  EXPECT_EQ(hearth({"status", "b"}).code, 0);
  EXPECT_EQ(hearth({"logs", "a"}).out, "said\n");
  EXPECT_EQ(hearth({"down", "a"}).code, 2);

  const Finished no_file = hearth({"down"});
  EXPECT_EQ(no_file.code, 6);
  EXPECT_NE(no_file.err.find("of other directories are up: run; name one with -p"), std::string::npos) << no_file.err;
  const Finished unknown = hearth({"down", "-p", "runn"});
  EXPECT_NE(unknown.err.find("the project that is here: run"), std::string::npos) << unknown.err;
  EXPECT_EQ(hearth({"down", "--all", "b"}).code, 2);
  EXPECT_EQ(hearth({"down", "-p", "run", "b"}).code, 0);
  EXPECT_EQ(hearth({"run", "--name", "c", "--", "sleep", "1000"}).code, 0);
  EXPECT_EQ(hearth({"down", "--all"}).code, 0);
  EXPECT_EQ(hearth({"down", "--all"}).code, 0) << "as it was wanted";
  EXPECT_EQ(status().at("services").as_array().size(), 0u);
}

TEST_F(CommandTest, logs_of_what_is_down_are_shown_to_who_names_it_or_asks_for_all) {
  const auto talk = [&](const char* name, const std::string& words) {
    return hearth({"run", "--name", name, "--", "sh", "-c", "echo " + words + "; exec sleep 1000"}).code;
  };
  ASSERT_EQ(talk("a", "from a"), 0);
  ASSERT_EQ(talk("b", "from b"), 0);
  for (const std::string name : {"a", "b"})
    ASSERT_TRUE(eventually([&] { return hearth({"logs", name}).out == "from " + name + "\n"; }));
  ASSERT_EQ(hearth({"down", "a"}).code, 0);
  EXPECT_EQ(hearth({"logs"}).out, "from b\n");
  const std::string all = hearth({"logs", "--all"}).out;
  EXPECT_NE(all.find("a | from a\n"), all.npos) << all;
  EXPECT_NE(all.find("b | from b\n"), all.npos) << all;
  EXPECT_EQ(hearth({"logs", "a"}).out, "from a\n");

  Running follow = start({"logs", "-f"});
  ASSERT_TRUE(eventually([&] { return follow.out() == "b | from b\n"; })) << follow.out();
  ASSERT_EQ(talk("a", "again"), 0);
  ASSERT_TRUE(eventually([&] { return follow.out() == "b | from b\na | again\n"; })) << follow.out();
  ::kill(follow.pid(), SIGTERM);
  follow.finish();

  ASSERT_EQ(hearth({"down", "--all"}).code, 0);
  const Finished none = hearth({"logs"});
  EXPECT_EQ(none.out, "");
  EXPECT_NE(none.err.find("logs of 2 that are down"), std::string::npos) << none.err;
}

TEST_F(CommandTest, run_has_its_own_variables_directory_and_none_of_the_callers_session) {
  ::setenv("SSH_AUTH_SOCK", "/secret", 1);
  ::setenv("HEARTH_RUN", "99", 1);
  ::setenv("MARK", "from the caller", 1);
  fs::create_directory(project + "/sub");
  ASSERT_EQ(hearth({"run", "--name", "env", "--cwd", "sub", "--env", "OWN=a=b", "--restart", "never", "--", "sh", "-c",
                    "pwd; env; echo end; sleep 1000"})
                .code,
            0);
  std::string log;
  ASSERT_TRUE(eventually([&] {
    log = hearth({"logs", "-n", "all", "env"}).out;
    return log.find("\nend\n") != log.npos;
  })) << log;
  EXPECT_TRUE(log.starts_with(fs::canonical(project).string() + "/sub\n")) << log;
  EXPECT_NE(log.find("OWN=a=b\n"), log.npos);
  EXPECT_NE(log.find("MARK=from the caller\n"), log.npos);
  EXPECT_EQ(log.find("SSH_AUTH_SOCK"), log.npos);
  EXPECT_EQ(log.find("HEARTH_RUN=99\n"), log.npos);
  for (const char* role : {"keeper", "supervisor"}) {
    const std::string environment = text_of("/proc/" + std::to_string(pid_of(role)) + "/environ");
    EXPECT_EQ(environment.find("SSH_AUTH_SOCK"), environment.npos) << role;
    EXPECT_EQ(environment.find("HEARTH_RUN="), environment.npos) << role;
  }
}

TEST_F(CommandTest, a_command_that_does_not_exist_is_told_with_its_reason) {
  const Finished run = hearth({"run", "--restart", "never", "--", "/nonexistent/server"});
  EXPECT_EQ(run.code, 1);
  EXPECT_NE(run.err.find("hearth: server failed: "), std::string::npos) << run.err;
  EXPECT_NE(run.err.find("No such file"), std::string::npos) << run.err;
}

TEST_F(CommandTest, the_daemon_belongs_to_no_session_of_the_caller) {
  ASSERT_EQ(hearth({"run", "--", "sleep", "1000"}).code, 0);
  const auto keeper = static_cast<pid_t>(pid_of("keeper"));
  EXPECT_NE(::getsid(keeper), ::getsid(0));
  EXPECT_EQ(fs::read_symlink("/proc/" + std::to_string(keeper) + "/cwd").string(), "/");
  EXPECT_EQ(fs::read_symlink("/proc/" + std::to_string(keeper) + "/fd/0").string(), "/dev/null");
  EXPECT_EQ(fs::read_symlink("/proc/" + std::to_string(keeper) + "/fd/2").string(), directory + "/hearth.log");
}

TEST_F(CommandTest, a_second_daemon_says_who_keeps_the_instance) {
  ASSERT_EQ(hearth({"daemon", "--detach"}).code, 0);
  const Finished second = hearth({"daemon"});
  EXPECT_EQ(second.code, 75);
  EXPECT_NE(second.err.find("hearth runs already in " + directory + " (keeper PID "), std::string::npos) << second.err;
}

TEST_F(CommandTest, ten_starts_at_once_make_one_daemon) {
  std::vector<Running> all;
  for (int i = 0; i < 10; ++i) all.push_back(start({"run", "--name", "s" + std::to_string(i), "--", "sleep", "1000"}));
  for (Running& one : all) {
    const Finished finished = one.finish();
    EXPECT_EQ(finished.code, 0) << finished.err;
  }
  EXPECT_EQ(status().at("services").as_array().size(), 10u);
}

TEST_F(CommandTest, unknown_names_are_answered_with_the_nearest) {
  ASSERT_EQ(hearth({"run", "--name", "transcriber", "--", "sleep", "1000"}).code, 0);
  const Finished stop = hearth({"stop", "transcriper"});
  EXPECT_EQ(stop.code, 2);
  EXPECT_NE(stop.err.find("transcriber"), std::string::npos) << stop.err;
  const Finished status = hearth({"status", "transcriper"});
  EXPECT_EQ(status.code, 4);
  EXPECT_NE(status.err.find("transcriber"), std::string::npos) << status.err;
  EXPECT_EQ(hearth({"logs", "transcriper"}).code, 2);
  EXPECT_EQ(hearth({"logs", "transcriber", "transcriper"}).code, 2);
  EXPECT_EQ(hearth({"stpo", "transcriber"}).code, 2);
}

TEST_F(CommandTest, logs_are_followed_and_outlive_hearth) {
  ASSERT_EQ(::mkfifo((project + "/go").c_str(), 0600), 0);
  ASSERT_EQ(
      hearth({"run", "--name", "talk", "--", "sh", "-c", "echo first; read x < go; echo second; sleep 1000"}).code, 0);
  Running follow = start({"logs", "-f", "talk"});
  ASSERT_TRUE(eventually([&] { return follow.out() == "first\n"; })) << follow.out();
  write("go", "x\n");
  ASSERT_TRUE(eventually([&] { return follow.out().find("second\n") != std::string::npos; })) << follow.out();
  ::kill(follow.pid(), SIGTERM);
  follow.finish();
  ASSERT_EQ(hearth({"shutdown"}).code, 0);
  EXPECT_EQ(hearth({"logs", "-n", "1", "talk"}).out, "second\n");
}

TEST_F(CommandTest, who_follows_a_service_without_a_log_waits_for_a_hearth_that_is_stopped) {
  ASSERT_EQ(::mkfifo((project + "/go").c_str(), 0600), 0);
  ASSERT_EQ(hearth({"run", "--name", "talk", "--", "sh", "-c", "read x < go; echo second; sleep 1000"}).code, 0);
  const auto supervisor = static_cast<pid_t>(status().at("supervisor").at("pid").as_int64());
  ASSERT_EQ(::kill(supervisor, SIGSTOP), 0);
  Running follow = start({"logs", "-f", "talk"});
  const Finished once = hearth({"logs", "talk"});
  EXPECT_EQ(once.code, 1) << once.err;
  EXPECT_NE(once.err.find("hearth does not say whether there is such a service"), std::string::npos) << once.err;
  ASSERT_TRUE(eventually([&] { return follow.err().find("waiting for hearth to say") != std::string::npos; }));
  ASSERT_EQ(::kill(supervisor, SIGCONT), 0);
  write("go", "x\n");
  ASSERT_TRUE(eventually([&] { return follow.out() == "second\n"; })) << follow.out() << follow.err();
  // Who follows already needs no hearth.
  ASSERT_EQ(::kill(supervisor, SIGKILL), 0);
  ASSERT_EQ(hearth({"run", "--name", "other", "--", "sleep", "1000"}).code, 0);
  ::kill(follow.pid(), SIGTERM);
  EXPECT_EQ(follow.finish().code, 128 + SIGTERM);
  EXPECT_EQ(hearth({"logs", "-f", "nobody"}).code, 2) << "a hearth that answers knows";
}

TEST_F(CommandTest, who_follows_a_service_sees_the_replicas_that_join) {
  write("hearth.toml", "[service.web]\ncommand = [\"sh\", \"-c\", \"echo I am {index}; sleep 1000\"]\n");
  ASSERT_EQ(hearth({"up"}).code, 0);
  Running follow = start({"logs", "-f", "web"});
  ASSERT_TRUE(eventually([&] { return follow.out() == "I am 0\n"; })) << follow.out();
  const Finished scaled = hearth({"scale", "web=3"});
  EXPECT_EQ(scaled.code, 0) << scaled.err;
  const auto shows = [&](const char* line) { return follow.out().find(line) != std::string::npos; };
  ASSERT_TRUE(eventually([&] { return shows("web.1 | I am 1\n") && shows("web.2 | I am 2\n"); })) << follow.out();
  EXPECT_EQ(follow.out().find("I am 0"), follow.out().rfind("I am 0")) << follow.out();
  ::kill(follow.pid(), SIGTERM);
  follow.finish();
  const Finished stopped = hearth({"stop", "web.0"});
  EXPECT_NE(stopped.out.find("web.0: stopped"), std::string::npos) << stopped.out;
}

TEST_F(CommandTest, logs_of_several_services_are_merged_by_the_time_of_their_lines) {
  const auto log = [&](const std::string& service, const std::string& text) {
    fs::create_directories(directory + "/logs/demo." + service + ".0");
    std::ofstream(directory + "/logs/demo." + service + ".0/00000001.log") << text;
  };
  fs::create_directory(directory);
  fs::permissions(directory, fs::perms::owner_all);
  log("a", "2025-01-31T12:00:00.000001Z one\n2025-01-31T12:00:00.000003Z three\n");
  log("b", "{\"ts\":\"2025-01-31T12:00:00.000002Z\",\"run\":1,\"text\":\"two\"}\n");
  log("raw", "no time\n");
  const std::string all = hearth({"logs", "a", "b", "raw"}).out;
  const std::size_t one = all.find("one"), two = all.find("two"), three = all.find("three"),
                    raw = all.find("raw | no time");
  ASSERT_TRUE(raw < one && one < two && two < three && three != all.npos) << all;
  EXPECT_EQ(hearth({"logs", "a"}).out.find(" | "), std::string::npos);
  EXPECT_EQ(hearth({"logs"}).out, all) << "without names: all";

  EXPECT_EQ(hearth({"logs", "--since", "2025-01-31T12:00:00.000002Z", "a", "b"}).out.find("one"), all.npos);
  const std::string middle =
      hearth({"logs", "--since", "2025-01-31T12:00:00.000002Z", "--until", "2025-01-31T12:00:00.000002Z", "?"}).out;
  EXPECT_NE(middle.find("two"), middle.npos) << middle;
  EXPECT_EQ(std::ranges::count(middle, '\n'), 1) << middle;
  EXPECT_EQ(hearth({"logs", "--grep", "t(wo|hree)$", "a"}).out, "2025-01-31T12:00:00.000003Z three\n");
  EXPECT_EQ(hearth({"logs", "--grep", "T(WO|HREE)$", "-i", "--invert-match", "a"}).out,
            "2025-01-31T12:00:00.000001Z one\n");
  EXPECT_EQ(hearth({"logs", "-n", "1", "--grep", "Z", "a"}).out, "2025-01-31T12:00:00.000003Z three\n");
  EXPECT_NE(hearth({"logs", "--json", "a"}).out.find(R"("time":"2025-01-31T12:00:00.000003Z"})"), all.npos);
  EXPECT_EQ(hearth({"logs", "-t", "raw"}).out, "- no time\n");
}

TEST_F(CommandTest, logs_refuse_questions_that_have_no_answer) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"logs", "--since", "soon"},
                                             {"logs", "--since", "5m", "--until", "10m"},
                                             {"logs", "-f", "--until", "5m"},
                                             {"logs", "--grep", "("},
                                             {"logs", "--invert-match"},
                                             {"logs", "-i"},
                                             {"logs", "-n", "few"}}) {
    const Finished refused = hearth(words);
    EXPECT_EQ(refused.code, 2) << refused.err;
    EXPECT_NE(refused.err.find("hearth: "), std::string::npos) << refused.err;
  }
}

TEST_F(CommandTest, raw_logs_are_searched_by_the_time_at_which_their_lines_came) {
  ASSERT_EQ(::mkfifo((project + "/go").c_str(), 0600), 0);
  ASSERT_EQ(
      hearth({"run", "--name", "talk", "--", "sh", "-c", "echo first; read x < go; echo second; sleep 1000"}).code, 0);
  ASSERT_TRUE(eventually([&] { return hearth({"logs", "talk"}).out == "first\n"; }));
  // The time at which the first line came, as it is shown, and later than that.
  const std::string shown = hearth({"logs", "-t", "talk"}).out;
  const std::string first = shown.substr(0, shown.find(' '));
  ASSERT_TRUE(first.starts_with("20") && first.ends_with("Z")) << shown;
  EXPECT_EQ(hearth({"logs", "--since", first, "talk"}).out, "first\n");
  EXPECT_EQ(hearth({"logs", "--until", "@1738324800", "talk"}).out, "");
  ASSERT_TRUE(eventually([&] { return hearth({"logs", "--since", "11ms", "talk"}).out.empty(); }));
  Running follow = start({"logs", "-f"});
  write("go", "x\n");
  ASSERT_TRUE(eventually([&] { return follow.out().find("talk | second\n") != std::string::npos; })) << follow.out();
  EXPECT_EQ(hearth({"logs", "--since", "1m", "-n", "1", "talk"}).out, "second\n");
  // One that comes later.
  ASSERT_EQ(hearth({"run", "--name", "late", "--", "sh", "-c", "echo here; sleep 1000"}).code, 0);
  ASSERT_TRUE(eventually([&] { return follow.out().find("late | here\n") != std::string::npos; })) << follow.out();
  ::kill(follow.pid(), SIGTERM);
  follow.finish();
}

TEST_F(CommandTest, a_log_begins_its_next_file_when_that_is_asked_for) {
  EXPECT_EQ(hearth({"logs", "--rotate"}).code, 2);
  ASSERT_EQ(hearth({"run", "--name", "talk", "--", "sh", "-c", "echo first; sleep 1000"}).code, 0);
  ASSERT_TRUE(eventually([&] { return hearth({"logs", "talk"}).out == "first\n"; }));
  const Finished rotated = hearth({"logs", "--rotate", "talk"});
  EXPECT_EQ(rotated.code, 0) << rotated.err;
  EXPECT_TRUE(fs::exists(directory + "/logs/run.talk.0/00000002.log"));
  EXPECT_EQ(hearth({"logs", "talk"}).out, "first\n");
  EXPECT_NE(hearth({"status", "--json"}).out.find(R"("file":2)"), std::string::npos);
  ASSERT_EQ(hearth({"shutdown"}).code, 0);
  EXPECT_EQ(hearth({"logs", "--rotate", "talk"}).code, 7);
}

TEST_F(CommandTest, everything_speaks_json_when_asked) {
  boost::json::error_code error;
  const auto is_json = [&](const Finished& finished) {
    boost::json::parse(finished.out, error);
    EXPECT_FALSE(error) << finished.out;
    EXPECT_EQ(finished.err, "");
    return !error;
  };
  EXPECT_TRUE(is_json(hearth({"status", "--json"})));
  EXPECT_TRUE(is_json(hearth({"run", "--json", "--", "sleep", "1000"})));
  EXPECT_TRUE(is_json(hearth({"run", "--json", "--", "sleep", "1000"})));
  EXPECT_TRUE(is_json(hearth({"restart", "--json", "sleep"})));
  EXPECT_TRUE(is_json(hearth({"stop", "--json", "nobody"})));
  EXPECT_TRUE(is_json(hearth({"stop", "--json", "--no-wait", "sleep"})));
  EXPECT_TRUE(is_json(hearth({"up", "--json"})));
  EXPECT_TRUE(is_json(hearth({"version", "--json"})));
  EXPECT_TRUE(is_json(hearth({"help", "--json"})));
  EXPECT_TRUE(is_json(hearth({"completion", "bash", "--json"})));
  EXPECT_TRUE(is_json(hearth({"nonsense", "--json"})));
  EXPECT_TRUE(is_json(hearth({"shutdown", "--json"})));
}

TEST_F(CommandTest, each_death_of_a_process_of_hearth_is_a_line_of_its_log) {
  ASSERT_EQ(hearth({"run", "--", "sleep", "1000"}).code, 0);
  const auto keeper = static_cast<pid_t>(pid_of("keeper"));
  const auto child = [&](const std::string& name) -> pid_t {
    std::istringstream children(
        text_of("/proc/" + std::to_string(keeper) + "/task/" + std::to_string(keeper) + "/children"));
    for (pid_t pid = 0; children >> pid;) {
      if (text_of("/proc/" + std::to_string(pid) + "/comm") == name + "\n") return pid;
    }
    return 0;
  };
  const auto told = [&](const std::string& what) {
    return eventually([&] { return text_of(directory + "/hearth.log").find(what) != std::string::npos; });
  };
  pid_t logger = 0, spawner = 0;  // which have another name before they are executed
  ASSERT_TRUE(eventually([&] {
    logger = child("hearth-logger");
    spawner = child("hearth-spawner");
    return logger > 0 && spawner > 0;
  }));
  EXPECT_EQ(text_of(directory + "/hearth.log"), "");
  ::kill(logger, SIGKILL);
  EXPECT_TRUE(told(R"("event":"died","process":"logger","pid":)" + std::to_string(logger) +
                   R"(,"code":null,"signal":9,"deaths":1})"));
  ::kill(spawner, SIGKILL);
  EXPECT_TRUE(told(R"("process":"spawner","pid":)" + std::to_string(spawner)));
  ::kill(static_cast<pid_t>(pid_of("supervisor")), SIGKILL);
  EXPECT_TRUE(told(R"("process":"supervisor","pid":null,"code":null,"signal":9,"deaths":1})"));
  ::kill(keeper, SIGKILL);
  EXPECT_TRUE(told(R"("event":"replaced","process":"keeper","pid":)" + std::to_string(keeper)));
  EXPECT_TRUE(text_of(directory + "/hearth.log").starts_with(R"({"time":"2)"));
  EXPECT_NE(hearth({"status"}).out.find("the keeper was replaced; runs were adopted ("), std::string::npos);
}

TEST_F(CommandTest, a_stopped_supervisor_makes_status_say_unreachable) {
  ASSERT_EQ(hearth({"run", "--", "sleep", "1000"}).code, 0);
  const auto supervisor = static_cast<pid_t>(pid_of("supervisor"));
  ::kill(supervisor, SIGSTOP);
  const Finished status = hearth({"status"});
  ::kill(supervisor, SIGCONT);
  EXPECT_EQ(status.code, 4);
  EXPECT_NE(status.err.find("does not answer"), std::string::npos) << status.err;
}

TEST_F(CommandTest, a_command_in_one_word_is_told_as_what_it_is) {
  write("hearth.toml", "[service.web]\ncommand = [\"sleep 10\"]\nrestart = \"never\"\n");
  const Finished up = hearth({"up"});
  EXPECT_EQ(up.code, 1);
  EXPECT_NE(up.err.find("as in [\"sleep\", \"10\"]"), std::string::npos) << up.err;
}

TEST_F(CommandTest, what_ended_the_run_before_is_told_as_history) {
  write("hearth.toml",
        "[service.web]\ncommand = [\"sleep\", \"1000\"]\n"
        "live = { type = \"exec\", command = [\"false\"], interval = \"0.1s\", failure_threshold = 1 }\n"
        "backoff = { initial = \"0s\" }\n");
  ASSERT_EQ(hearth({"up", "--no-wait"}).code, 0);
  ASSERT_TRUE(
      eventually([&] { return hearth({"status"}).out.find("of the run before: the liveness") != std::string::npos; }));
}

}  // namespace
}  // namespace hearth::cli
