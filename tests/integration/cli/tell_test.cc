// What running services are told, what is waited for, and commands in their surroundings.
#include "integration/cli/hearth_command.h"

namespace hearth::cli {
namespace {

class TellTest : public CommandTest {
 protected:
  std::string log_of(const std::string& name) { return hearth({"logs", "-n", "all", name}).out; }
  bool logged(const std::string& name, const std::string& text) {
    return eventually([&] { return log_of(name).find(text) != std::string::npos; });
  }
};

constexpr const char* listener = R"(
[service.web]
command = ["sh", "-c", "trap 'echo heard HUP' HUP; trap 'echo heard USR1' USR1; echo listening; while :; do sleep 1000 & wait; done"]
env = { COLOR = "blue-{index}" }
cwd = "here"
limits = { nofile = 77 }
)";

TEST_F(TellTest, a_signal_reaches_the_service) {
  write("hearth.toml", listener);
  fs::create_directory(project + "/here");
  ASSERT_EQ(hearth({"up"}).code, 0);
  ASSERT_TRUE(logged("web", "listening"));
  const Finished sent = hearth({"signal", "USR1", "web"});
  EXPECT_EQ(sent.code, 0) << sent.all();
  EXPECT_EQ(sent.out, "USR1 sent to 1 service\n");
  EXPECT_TRUE(logged("web", "heard USR1"));
  const Finished reload = hearth({"reload", "web"});
  EXPECT_EQ(reload.code, 0) << reload.all();
  EXPECT_TRUE(logged("web", "heard HUP"));
  EXPECT_EQ(hearth({"signal", "USSR1", "web"}).code, 2);
  ASSERT_EQ(hearth({"stop", "web"}).code, 0) << "the group hears it: its sleep, too";
  const Finished late = hearth({"signal", "USR1", "web"});
  EXPECT_EQ(late.code, 1);
  EXPECT_NE(late.err.find("it is not running"), std::string::npos) << late.err;
}

TEST_F(TellTest, who_ends_of_the_signal_that_should_reload_it_has_not_reloaded) {
  write("hearth.toml", "[service.web]\ncommand = [\"sleep\", \"1000\"]\n");
  ASSERT_EQ(hearth({"up"}).code, 0);
  const Finished reload = hearth({"reload", "web"});
  EXPECT_EQ(reload.code, 1) << reload.all();
  EXPECT_NE(reload.err.find("was killed by signal 1"), std::string::npos) << reload.err;
  EXPECT_NE(reload.err.find("it does not know SIGHUP, perhaps: write reload_signal or reload_command"),
            std::string::npos)
      << reload.err;
}

// root's PATH, and a user who may not enter all of it.
TEST_F(TellTest, a_directory_of_path_that_the_user_may_not_enter_hides_no_typing_error) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  fs::create_directory(project + "/closed");
  fs::permissions(project + "/closed", fs::perms::owner_all);
  const std::string service = "[service.web]\ncwd = \"/\"\nuser = \"nobody\"\nenv = { PATH = \"" + project +
                              "/closed:/usr/bin:/bin\" }\nrestart = \"never\"\ncommand = ";
  write("hearth.toml", service + "[\"slep\", \"1000\"]\n");
  const Finished up = hearth({"up"});
  EXPECT_EQ(up.code, 1) << up.all();
  EXPECT_NE(up.err.find("exec of slep failed: No such file or directory"), std::string::npos) << up.err;
  EXPECT_EQ(hearth({"exec", "web", "--", "nonesuch"}).code, 127);
  write("hearth.toml", service + "[\"" + project + "/closed/slep\"]\n");
  const Finished absolute = hearth({"up"});
  EXPECT_NE(absolute.err.find("; may nobody execute it, and enter each directory above it?"), std::string::npos)
      << absolute.err;
}

// What was loaded serves on.
TEST_F(TellTest, a_reload_command_that_fails_fails_the_reload_and_says_why) {
  write("hearth.toml",
        "[service.web]\ncommand = [\"sh\", \"-c\", \"echo serving; exec sleep 1000\"]\n"
        "reload_command = { shell = true, command = \"echo line 7 is wrong; exit 3\" }\n");
  ASSERT_EQ(hearth({"up"}).code, 0);
  const std::int64_t pid = status().at("services").at(0).at("pid").as_int64();
  const Finished reload = hearth({"reload", "web"});
  EXPECT_EQ(reload.code, 1) << reload.all();
  EXPECT_NE(
      reload.err.find("web failed: the last reload has failed: reload_command exited with code 3; it runs on as it "
                      "was"),
      std::string::npos)
      << reload.err;
  EXPECT_NE(reload.err.find("  | line 7 is wrong\n"), std::string::npos) << reload.err;
  EXPECT_EQ(reload.err.find("goes on trying"), std::string::npos) << reload.err;
  const Finished table = hearth({"status"});
  EXPECT_EQ(table.code, 0) << table.all();
  EXPECT_NE(table.out.find("the last reload has failed"), std::string::npos) << table.out;
  EXPECT_EQ(status().at("services").at(0).at("pid").as_int64(), pid);
  const Finished explain = hearth({"explain", "web"});
  EXPECT_NE(explain.out.find("reload_command exited with code 3"), std::string::npos) << explain.out;
  EXPECT_NE(explain.out.find("reload web"), std::string::npos) << "who asked for it: " << explain.out;
  EXPECT_NE(hearth({"events", "-n", "all", "web"}).out.find("reload_command exited"), std::string::npos);
}

TEST_F(TellTest, wait_ends_when_the_service_is_there_or_never_will_be) {
  write("hearth.toml",
        "[service.web]\ncommand = [\"sleep\", \"1000\"]\n"
        "ready = { type = \"exec\", command = [\"test\", \"-e\", \"ready\"], interval = \"20ms\" }\n"
        "[service.bad]\ncommand = [\"false\"]\nrestart = \"never\"\n");
  ASSERT_EQ(hearth({"up", "--no-wait"}).code, 0);
  EXPECT_EQ(hearth({"wait", "bad", "--for", "failed"}).code, 0);
  const Finished hopeless = hearth({"wait", "bad"});
  EXPECT_EQ(hopeless.code, 1);
  EXPECT_NE(hopeless.err.find("bad is failed"), std::string::npos) << hopeless.err;
  const Finished late = hearth({"wait", "web", "--timeout", "0.2s"});
  EXPECT_EQ(late.code, 1);
  EXPECT_NE(late.err.find("not ready in time: web is starting"), std::string::npos) << late.err;
  Running wait = start({"wait", "web"});
  write("ready", "");
  EXPECT_EQ(wait.finish().code, 0);
  EXPECT_EQ(hearth({"wait", "web", "--for", "redy"}).code, 2);
}

TEST_F(TellTest, exec_runs_as_the_service_would) {
  write("hearth.toml", listener);
  fs::create_directory(project + "/here");
  ASSERT_EQ(hearth({"up"}).code, 0);
  const Finished exec = hearth({"exec", "web", "--", "sh", "-c", "echo $COLOR; pwd; ulimit -n; exit 9"});
  EXPECT_EQ(exec.code, 9);
  EXPECT_EQ(exec.out, "blue-0\n" + fs::canonical(project).string() + "/here\n77\n");
  EXPECT_EQ(hearth({"exec", "web", "--", "no-such-command-at-all"}).code, 127);
  EXPECT_EQ(hearth({"exec", "web"}).code, 2);
  EXPECT_EQ(hearth({"exec", "wbe", "--", "true"}).code, 2);
}

TEST_F(TellTest, tags_stand_for_all_that_have_them) {
  write("hearth.toml",
        "[service.a]\ncommand = [\"sleep\", \"1000\"]\ntags = [\"front\"]\n"
        "[service.b]\ncommand = [\"sleep\", \"1000\"]\ntags = [\"front\"]\n"
        "[service.c]\ncommand = [\"sleep\", \"1000\"]\n"
        "[service.tool]\ncommand = [\"sleep\", \"1000\"]\nautostart = false\n");
  const Finished up = hearth({"up"});
  ASSERT_EQ(up.code, 0) << up.all();
  const Finished stop = hearth({"stop", "@front"});
  EXPECT_NE(stop.out.find("2 stopped"), std::string::npos) << stop.all();
  EXPECT_EQ(hearth({"status", "@front"}).code, 3);
  EXPECT_EQ(hearth({"status", "c"}).code, 0);
  EXPECT_EQ(hearth({"status", "tool"}).code, 3);
  const Finished unknown = hearth({"start", "@frot"});
  EXPECT_NE(unknown.err.find("did you mean @front?"), std::string::npos) << unknown.err;
}

TEST_F(TellTest, hearth_writes_its_status_down_when_the_keeper_hears_usr1) {
  write("hearth.toml", "[service.a]\ncommand = [\"sleep\", \"1000\"]\n");
  ASSERT_EQ(hearth({"up"}).code, 0);
  ::kill(static_cast<pid_t>(pid_of("keeper")), SIGUSR1);
  const auto line = [&] {
    const std::string log = text_of(directory + "/hearth.log");
    const std::size_t at = log.find("\"event\":\"status\"");
    if (at == log.npos) return std::string();
    const std::size_t begin = log.rfind('\n', at) + 1;  // npos + 1 is 0
    const std::size_t end = log.find('\n', at);
    return end == log.npos ? std::string() : log.substr(begin, end - begin);
  };
  ASSERT_TRUE(eventually([&] { return !line().empty(); }));
  const boost::json::value told = boost::json::parse(line());
  EXPECT_EQ(told.at("status").at("services").as_array().size(), 1u);
}

TEST_F(TellTest, hearth_rereads_the_files_when_the_keeper_hears_hup) {
  write("hearth.toml", "[service.a]\ncommand = [\"sleep\", \"1000\"]\n");
  ASSERT_EQ(hearth({"up"}).code, 0);
  write("hearth.toml", "[service.a]\ncommand = [\"sleep\", \"1000\"]\n[service.b]\ncommand = [\"sleep\", \"1000\"]\n");
  ::kill(static_cast<pid_t>(pid_of("keeper")), SIGHUP);
  EXPECT_TRUE(eventually([&] { return hearth({"status", "b"}).code == 0; }));
  write("hearth.toml", "nonsense\n");
  ::kill(static_cast<pid_t>(pid_of("keeper")), SIGHUP);
  EXPECT_TRUE(eventually([&] { return hearth({"status", "reload-project"}).code == 151; }));
  EXPECT_TRUE(logged("reload-project", "nothing has changed")) << log_of("reload-project");
  EXPECT_EQ(hearth({"status", "b"}).code, 0);
}

}  // namespace
}  // namespace hearth::cli
