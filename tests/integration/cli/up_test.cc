#include <sys/stat.h>

#include "integration/cli/hearth_command.h"

namespace hearth::cli {
namespace {

// Ready as soon as the file "ready" stands in the project's directory: the test decides when.
constexpr const char* gated = R"(
[project]
name = "demo"
[service.db]
command = ["sleep", "1000"]
ready = { type = "exec", command = ["test", "-e", "ready"], interval = "20ms" }
[service.web]
command = ["sleep", "1000"]
depends_on = { db = { condition = "ready" } }
)";

class UpTest : public CommandTest {
 protected:
  bool told(const Running& up, const std::string& text) {
    return eventually([&] { return up.out().find(text) != std::string::npos; });
  }
};

TEST_F(UpTest, waits_until_all_is_ready) {
  write("hearth.toml", gated);
  Running up = start({"up"});
  ASSERT_TRUE(told(up, "web: waiting")) << up.out() << up.err();
  EXPECT_EQ(hearth({"status"}).code, 150);
  write("ready", "");
  const Finished finished = up.finish();
  EXPECT_EQ(finished.code, 0) << finished.err;
  EXPECT_NE(finished.out.find("db: ready after"), std::string::npos) << finished.out;
  EXPECT_NE(finished.out.find("up: 1 ready, 1 running"), std::string::npos) << finished.out;
  EXPECT_EQ(hearth({"status"}).code, 0);
  const Finished again = hearth({"up"});
  EXPECT_EQ(again.code, 0);
  EXPECT_NE(again.out.find("db: ready as before (PID "), std::string::npos) << again.out;
  const Finished down = hearth({"down"});
  EXPECT_EQ(down.code, 0) << down.err;
  EXPECT_NE(down.out.find("2 stopped"), std::string::npos) << down.out;
}

TEST_F(UpTest, logs_are_kept_as_the_file_says) {
  write("hearth.toml", R"(
[project]
name = "demo"
[service.web]
command = ["sh", "-c", "echo my PID is $$; for i in 1 2 3; do head -c 5000 /dev/zero | tr '\\0' x; echo; done; sleep 1000"]
log = { max_size = "4KiB", compress = true, per_process = true, sink = "syslog" }
)");
  ASSERT_EQ(hearth({"up"}).code, 0);
  const std::string logs = directory + "/logs/";
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(logs + "demo.web.0/00000002.log.zst"); }));
  std::string text;
  EXPECT_TRUE(eventually([&] {
    text = hearth({"logs", "-n", "all", "web"}).out;
    return text.size() == text.find('\n') + 1 + 3 * 5'001;
  })) << text.size();
  ASSERT_TRUE(text.starts_with("my PID is ")) << text.substr(0, 100);
  const std::string pid = text.substr(10, text.find('\n') - 10);
  EXPECT_TRUE(eventually([&] { return std::filesystem::is_symlink(logs + "web_" + pid + ".log"); })) << pid;
}

TEST_F(UpTest, in_flight_survives_kill_9_of_the_supervisor_twice) {
  write("hearth.toml", gated);
  Running up = start({"up"});
  ASSERT_TRUE(told(up, "web: waiting")) << up.out() << up.err();
  for (int i = 0; i < 2; ++i) {
    const std::int64_t before = pid_of("supervisor");
    ::kill(static_cast<pid_t>(before), SIGKILL);
    ASSERT_TRUE(eventually([&] { return pid_of("supervisor") != before; }));
  }
  write("ready", "");
  const Finished finished = up.finish();
  EXPECT_EQ(finished.code, 0) << finished.err;
  EXPECT_EQ(finished.err, "");
  const boost::json::value after = status();
  EXPECT_EQ(after.at("supervisor").at("takeovers").as_int64(), 2);
  for (const boost::json::value& service : after.at("services").as_array()) {
    EXPECT_EQ(service.at("restarts").as_int64(), 0);
  }
}

TEST_F(UpTest, a_failure_is_told_with_its_reason_and_the_last_lines) {
  write("hearth.toml", R"(
[service.good]
command = ["sleep", "1000"]
[service.bad]
command = ["sh", "-c", "i=0; while [ $i -lt 30 ]; do i=$((i+1)); echo line $i; done; exit 3"]
restart = "never"
)");
  const Finished up = hearth({"up"});
  EXPECT_EQ(up.code, 1);
  EXPECT_NE(up.err.find("hearth: bad failed: exited with code 3"), std::string::npos) << up.err;
  EXPECT_NE(up.err.find("  | line 30\n"), std::string::npos) << up.err;
  EXPECT_NE(up.err.find("  | line 11\n"), std::string::npos) << up.err;
  EXPECT_EQ(up.err.find("  | line 10\n"), std::string::npos) << up.err;
  EXPECT_EQ(hearth({"status"}).code, 151);
}

// A program that crashes at once was told as "backoff", then as "running", and the exit code was 0.
TEST_F(UpTest, who_crashes_at_once_has_not_started_because_it_is_tried_again) {
  write("hearth.toml",
        "[service.foo]\ncommand = [\"sh\", \"-c\", \"echo division by zero; exit 1\"]\nrestart = \"always\"\n"
        "backoff = { initial = \"10ms\" }\n");
  const Finished up = hearth({"up"});
  EXPECT_EQ(up.code, 1) << up.all();
  // While the next try begins it is the run before.
  const bool told = up.err.find("hearth: foo failed: exited with code 1") != std::string::npos ||
                    up.err.find("hearth: foo failed: the run before exited with code 1") != std::string::npos;
  EXPECT_TRUE(told) << up.err;
  EXPECT_NE(up.err.find("  | division by zero\n"), std::string::npos) << up.err;
  EXPECT_NE(up.err.find("hearth goes on trying"), std::string::npos) << up.err;
}

// The last lines of a healthy run stood under a failure to execute the next one.
TEST_F(UpTest, what_a_healthy_run_wrote_is_not_told_of_one_that_could_not_be_executed) {
  write("hearth.toml", "[service.web]\ncommand = [\"sh\", \"-c\", \"echo all is well; exec sleep 1000\"]\n");
  ASSERT_EQ(hearth({"up"}).code, 0);
  ASSERT_TRUE(eventually([&] { return hearth({"logs", "web"}).out.find("all is well") != std::string::npos; }));
  ASSERT_EQ(hearth({"stop", "web"}).code, 0);
  write("hearth.toml", "[service.web]\ncommand = [\"pythn3\"]\nreplicas = 2\n");
  const Finished up = hearth({"up"});
  EXPECT_EQ(up.code, 1) << up.all();
  EXPECT_NE(up.err.find("hearth: web.0-1 failed: exec of pythn3 failed"), std::string::npos) << up.err;
  EXPECT_EQ(up.err.find("all is well"), std::string::npos) << up.err;
}

TEST_F(UpTest, who_ends_before_its_uptime_has_not_started_and_is_given_up_in_a_row) {
  write("hearth.toml",
        "[service.brief]\ncommand = [\"sh\", \"-c\", \"echo no port; exit 0\"]\n"
        "ready = { type = \"uptime\", after = \"50s\" }\n"
        "backoff = { initial = 0 }\nmax_failed_starts = 2\n"
        "[service.steady]\ncommand = [\"sleep\", \"1000\"]\nready = { type = \"uptime\", after = \"50ms\" }\n");
  const Finished up = hearth({"up"});
  EXPECT_EQ(up.code, 1) << up.out;
  EXPECT_NE(up.err.find("brief failed: 2 starts in a row have failed"), std::string::npos) << up.err;
  EXPECT_NE(up.err.find("no port"), std::string::npos) << up.err;
  EXPECT_NE(up.out.find("steady: ready after"), std::string::npos) << up.out;
}

TEST_F(UpTest, ctrl_c_ends_the_waiting_and_not_the_start) {
  write("hearth.toml", gated);
  Running up = start({"up"});
  ASSERT_TRUE(told(up, "web: waiting")) << up.err();
  ::kill(up.pid(), SIGINT);
  const Finished finished = up.finish();
  EXPECT_EQ(finished.code, 130);
  EXPECT_NE(finished.err.find("the start goes on"), std::string::npos) << finished.err;
  write("ready", "");
  EXPECT_TRUE(eventually([&] { return hearth({"status"}).code == 0; }));
}

TEST_F(UpTest, a_timeout_ends_the_waiting_and_names_what_is_missing) {
  write("hearth.toml", gated);
  ASSERT_EQ(hearth({"daemon", "--detach"}).code, 0);  // its start shall not use up the time
  const Finished up = hearth({"up", "--timeout", "1s"});
  EXPECT_EQ(up.code, 1);
  EXPECT_NE(up.err.find("db is starting"), std::string::npos) << up.err;
  EXPECT_EQ(hearth({"status"}).code, 150);
}

TEST_F(UpTest, finds_the_file_above_and_takes_it_down_from_anywhere_below) {
  write("hearth.toml", "[service.a]\ncommand = [\"sleep\", \"1000\"]\n");
  const std::string top = project;
  project += "/deep/er";
  fs::create_directories(project);
  EXPECT_EQ(hearth({"up"}).code, 0);
  EXPECT_EQ(hearth({"down"}).code, 0);
  fs::remove(top + "/hearth.toml");
  const Finished none = hearth({"up"});
  EXPECT_EQ(none.code, 6);
  EXPECT_NE(none.err.find("hearth.toml"), std::string::npos);
}

TEST_F(UpTest, a_wrong_file_is_told_with_line_and_column_and_starts_nothing) {
  write("hearth.toml", "[service.a]\ncomand = [\"sleep\", \"1000\"]\n");
  const Finished up = hearth({"up"});
  EXPECT_EQ(up.code, 6);
  EXPECT_NE(up.err.find("hearth.toml:2:1"), std::string::npos) << up.err;
  EXPECT_NE(up.err.find("command"), std::string::npos) << up.err;
  EXPECT_FALSE(fs::exists(directory));
}

TEST_F(UpTest, a_directory_that_is_not_usable_is_said_so_before_anything_starts) {
  fs::create_directory(directory);
  ::chmod(directory.c_str(), 0777);
  write("hearth.toml", gated);
  const Finished up = hearth({"up"});
  EXPECT_EQ(up.code, 1);
  EXPECT_NE(up.err.find("others may write to it"), std::string::npos) << up.err;
  fs::remove_all(directory);
}

}  // namespace
}  // namespace hearth::cli
