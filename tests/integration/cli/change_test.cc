// What changes while it runs: numbers of replicas, and the file.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "integration/cli/hearth_command.h"
#include "os/fd.h"

namespace hearth::cli {
namespace {

class ChangeTest : public CommandTest {
 protected:
  std::int64_t pid_of_service(const std::string& name, std::int64_t index) {
    const boost::json::value now = status();
    for (const boost::json::value& service : now.at("services").as_array())
      if (service.at("name").as_string() == name && service.at("index").as_int64() == index)
        return service.at("pid").is_int64() ? service.at("pid").as_int64() : 0;
    return 0;
  }
  std::size_t services() { return status().at("services").as_array().size(); }
};

TEST_F(ChangeTest, replicas_are_scaled_and_the_file_says_it_again) {
  write("hearth.toml", "[service.web]\ncommand = [\"sleep\", \"{index+1000}\"]\nreplicas = 2\n");
  ASSERT_EQ(hearth({"up"}).code, 0);
  const std::int64_t first = pid_of_service("web", 0);
  EXPECT_EQ(text_of("/proc/" + std::to_string(pid_of_service("web", 1)) + "/cmdline"),
            std::string("sleep\0001001\0", 11));
  const Finished more = hearth({"scale", "web=4"});
  EXPECT_EQ(more.code, 0) << more.all();
  EXPECT_EQ(services(), 4u);
  EXPECT_EQ(pid_of_service("web", 0), first);
  const Finished table = hearth({"status", "web.3"});
  EXPECT_NE(table.out.find("web.3"), std::string::npos) << table.out;
  const Finished less = hearth({"up"});
  EXPECT_EQ(less.code, 0) << less.all();
  EXPECT_NE(less.out.find("replicas 4 -> 2"), std::string::npos) << less.out;
  EXPECT_NE(less.out.find("web.3: removed after"), std::string::npos) << less.out;
  EXPECT_NE(less.out.find("replicas is 2"), std::string::npos) << less.out;
  EXPECT_EQ(services(), 2u);
  EXPECT_EQ(pid_of_service("web", 0), first);
  const Finished which = hearth({"exec", "web", "--", "true"});
  EXPECT_EQ(which.code, 2);
  EXPECT_NE(which.err.find("2 services have that name; name one of them: "), std::string::npos) << which.err;
  for (const char* one : {".web.0, ", ".web.1\n"}) EXPECT_NE(which.err.find(one), std::string::npos) << which.err;
  EXPECT_EQ(hearth({"scale", "web"}).code, 2);
  EXPECT_EQ(hearth({"scale", "wbe=2"}).code, 2);
}

TEST_F(ChangeTest, each_replica_has_hooks_of_its_own_and_the_last_one_before_it_is_forgotten) {
  write("hearth.toml",
        "[service.web]\ncommand = [\"sleep\", \"1000\"]\nreplicas = 2\n"
        "before_start = { command = \"echo prepares {index} > before.{index}; echo of {index}\", shell = true }\n"
        "after_stop = { command = \"echo $HEARTH_HOOK of $HEARTH_SERVICE >> after.{index}\", shell = true }\n");
  ASSERT_EQ(hearth({"up"}).code, 0);
  EXPECT_EQ(text_of(project + "/before.1"), "prepares 1\n");
  const Finished more = hearth({"scale", "web=3"});
  EXPECT_EQ(more.code, 0) << more.all();
  EXPECT_EQ(text_of(project + "/before.2"), "prepares 2\n");
  std::string log;
  EXPECT_TRUE(eventually([&] { return (log = hearth({"logs", "web.2"}).out).find("of 2") != log.npos; })) << log;
  EXPECT_EQ(log.find("of 1"), log.npos) << log;
  const Finished less = hearth({"scale", "web=1"});
  EXPECT_EQ(less.code, 0) << less.all();
  EXPECT_EQ(services(), 1u);
  EXPECT_EQ(text_of(project + "/after.1"), "after_stop of web\n");
  EXPECT_EQ(text_of(project + "/after.2"), "after_stop of web\n");
  EXPECT_EQ(text_of(project + "/after.0"), "");
  const Finished events = hearth({"events", "-n", "all"});
  EXPECT_NE(events.out.find("scale of web to 3 replicas"), std::string::npos) << events.out;
  EXPECT_NE(events.out.find("scale of web to 1 replica; taken out: "), std::string::npos) << events.out;
  EXPECT_NE(events.out.find("scale web=1"), std::string::npos) << "who ordered it: " << events.out;
}

TEST_F(ChangeTest, a_program_that_is_not_there_is_a_mistake_of_the_file) {
  write("hearth.toml", "[service.web]\ncommand = [\"sleep\", \"1000\"]\n");
  ASSERT_EQ(hearth({"up"}).code, 0);
  write("hearth.toml", "[service.web]\ncommand = [\"/nowhere/sleep\", \"1000\"]\n");
  for (const char* command : {"reload", "up"}) {
    const Finished refused = hearth({command});
    EXPECT_EQ(refused.code, 6) << refused.all();
    EXPECT_NE(refused.err.find("/nowhere/sleep is not there"), std::string::npos) << refused.err;
  }
}

TEST_F(ChangeTest, what_is_stopped_has_a_change_with_its_next_start) {
  write("hearth.toml", "[service.web]\ncommand = [\"sleep\", \"1000\"]\n");
  ASSERT_EQ(hearth({"up"}).code, 0);
  ASSERT_EQ(hearth({"stop", "web"}).code, 0);
  write("hearth.toml", "[service.web]\ncommand = [\"sleep\", \"1001\"]\n");
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"reload", "--dry-run"}, {"reload"}}) {
    const Finished reload = hearth(words);
    EXPECT_EQ(reload.code, 0) << reload.all();
    EXPECT_NE(reload.out.find("web      next start  command"), std::string::npos) << reload.out;
  }
  EXPECT_EQ(hearth({"status", "web"}).code, 3) << "it stays stopped";
}

TEST_F(ChangeTest, a_reload_restarts_only_what_has_to_be) {
  const std::string db = "[service.db]\ncommand = [\"sleep\", \"1000\"]\n";
  write("hearth.toml", db + "[service.web]\ncommand = [\"sleep\", \"1000\"]\n");
  const Finished early = hearth({"reload"});
  EXPECT_EQ(early.code, 7) << early.all();
  ASSERT_EQ(hearth({"up"}).code, 0);
  const std::int64_t web = pid_of_service("web", 0), old_db = pid_of_service("db", 0);
  EXPECT_EQ(hearth({"reload"}).out.substr(0, 20), "nothing has changed\n");
  write("hearth.toml", db + "env = { A = 1 }\n[service.web]\ncommand = [\"sleep\", \"1000\"]\nstop_timeout = 2\n"
                            "[service.new]\ncommand = [\"sleep\", \"1000\"]\n");
  const Finished dry = hearth({"reload", "--dry-run"});
  EXPECT_EQ(dry.code, 0) << dry.all();
  EXPECT_EQ(dry.out,
            "SERVICE  ACTION   WHAT\n"
            "db       restart  env\n"
            "web      live     stop_timeout\n"
            "new      start    new\n"
            "nothing was done: --dry-run\n");
  EXPECT_EQ(services(), 2u);
  const Finished reload = hearth({"reload"});
  EXPECT_EQ(reload.code, 0) << reload.all();
  EXPECT_EQ(pid_of_service("web", 0), web);
  EXPECT_NE(pid_of_service("db", 0), old_db);
  EXPECT_EQ(services(), 3u);
  write("hearth.toml", db + "nonsense = 1\n");
  EXPECT_EQ(hearth({"reload"}).code, 6);
  EXPECT_EQ(services(), 3u) << "all or nothing";
}

TEST_F(ChangeTest, another_way_to_write_the_same_is_no_change) {
  const passwd* me = ::getpwuid(::geteuid());
  if (me == nullptr) GTEST_SKIP() << "who runs this is not in /etc/passwd";
  const std::string command = "[service.web]\ncommand = [\"sleep\", \"1000\"]\n";
  write("hearth.toml", command + "user = \"" + me->pw_name + "\"\n");
  ASSERT_EQ(hearth({"up"}).code, 0);
  const std::int64_t pid = pid_of_service("web", 0);
  write("hearth.toml", command + "umask = \"022\"\nnice = 0\nuser = " + std::to_string(me->pw_uid) + "\n");
  const Finished told = hearth({"reload", "--dry-run"});
  EXPECT_EQ(told.code, 0) << told.all();
  EXPECT_NE(told.out.find("nothing has changed"), std::string::npos) << told.all();
  ASSERT_EQ(hearth({"reload"}).code, 0);
  EXPECT_EQ(pid_of_service("web", 0), pid);
}

TEST_F(ChangeTest, a_change_that_somebody_elses_port_would_leave_half_done_is_not_begun) {
  write("hearth.toml",
        "[service.web]\ncommand = [\"sleep\", \"1000\"]\n[service.db]\ncommand = [\"sleep\", \"1000\"]\n");
  ASSERT_EQ(hearth({"up"}).code, 0);
  const std::int64_t web = pid_of_service("web", 0), db = pid_of_service("db", 0);
  const os::Fd taken(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(taken.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(taken.get(), 1), 0);
  ASSERT_EQ(::getsockname(taken.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  const std::string port = std::to_string(ntohs(address.sin_port));
  write("hearth.toml", "[service.web]\ncommand = [\"sleep\", \"1000\"]\nlisten = [\"tcp:127.0.0.1:" + port +
                           "\"]\n[service.db]\ncommand = [\"sleep\", \"1001\"]\n");
  for (const char* verb : {"reload", "up"}) {
    const Finished refused = hearth({verb});
    EXPECT_EQ(refused.code, 1) << refused.all();
    EXPECT_NE(refused.err.find("port " + port + " is in use by "), std::string::npos) << refused.err;
    EXPECT_NE(refused.err.find("nothing has changed"), std::string::npos) << refused.err;
  }
  EXPECT_EQ(pid_of_service("web", 0), web);
  EXPECT_EQ(pid_of_service("db", 0), db);
}

TEST_F(ChangeTest, a_typing_error_in_a_command_or_a_directory_takes_nothing_down) {
  const std::string good = "[service.web]\ncommand = [\"sleep\", \"1000\"]\n";
  write("hearth.toml", good);
  ASSERT_EQ(hearth({"up"}).code, 0);
  const std::int64_t web = pid_of_service("web", 0);
  const auto expect_refused = [&](const std::string& text, const std::string& why) {
    write("hearth.toml", text);
    for (const std::vector<std::string>& verb :
         std::vector<std::vector<std::string>>{{"reload"}, {"reload", "--dry-run"}, {"up"}}) {
      const Finished refused = hearth(verb);
      EXPECT_NE(refused.code, 0) << refused.all();
      EXPECT_NE(refused.err.find(why), std::string::npos) << refused.err;
      EXPECT_NE(refused.err.find("nothing has changed"), std::string::npos) << refused.err;
    }
    EXPECT_EQ(pid_of_service("web", 0), web);
  };
  expect_refused("[service.web]\ncommand = [\"sleeep\", \"1000\"]\n", "there is no sleeep in its PATH");
  expect_refused("[service.web]\ncommand = [\"./serve\"]\n", "./serve is not there");
  expect_refused(good + "cwd = \"nowhere\"\n", "its cwd " + project + "/nowhere is not there");
  write("serve", "#!/bin/sh\nexec sleep 1000\n");
  ASSERT_EQ(::chmod((project + "/serve").c_str(), 0755), 0);
  write("hearth.toml", "[service.web]\ncommand = [\"./serve\"]\n");
  const Finished changed = hearth({"reload"});
  EXPECT_EQ(changed.code, 0) << changed.all();
  EXPECT_NE(pid_of_service("web", 0), web);
}

TEST_F(ChangeTest, scale_refuses_what_the_file_would) {
  write("hearth.toml", "[service.web]\ncommand = [\"sleep\", \"1000\"]\npid_file = \"web.pid\"\n");
  ASSERT_EQ(hearth({"up"}).code, 0);
  const Finished scale = hearth({"scale", "web=2"});
  EXPECT_EQ(scale.code, 2) << scale.all();
  EXPECT_NE(scale.err.find("pid_file is one file for 2 replicas"), std::string::npos) << scale.err;
  EXPECT_NE(scale.err.find("in its file, put {index} into its name"), std::string::npos) << scale.err;
  EXPECT_EQ(services(), 1u);
}

}  // namespace
}  // namespace hearth::cli
