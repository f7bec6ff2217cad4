// What people get wrong: a clear message each time, and nothing lost.
#include <cstring>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "instance.h"

namespace hearth::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

struct BadInput : Machine {
  // `up` of one service with this command fails; what it says.
  std::string refused(const std::string& command, const std::string& more = "") {
    project("[service.web]\ncommand = " + command + "\n" + more);
    const Output output = up();
    EXPECT_NE(0, output.code) << output.all();
    return output.all();
  }
};

TEST_F(BadInput, a_command_that_is_missing_is_named_with_a_hint) {
  EXPECT_THAT(refused("[\"/no/such/server\"]"),
              AllOf(HasSubstr("exec of /no/such/server failed"), HasSubstr("No such file"), HasSubstr("installed")));
  EXPECT_EQ("spawn_failed", service().reason);
  EXPECT_EQ(ENOENT, service().exit_errno);
}

TEST_F(BadInput, a_command_that_is_nowhere_in_path_is_named) {
  EXPECT_THAT(refused("[\"no-such-server-anywhere\"]"), AllOf(HasSubstr("no-such-server-anywhere"), HasSubstr("PATH")));
}

TEST_F(BadInput, a_file_that_is_not_executable_is_named_with_a_hint) {
  write_file(work + "/plain", "text\n", 0644);
  EXPECT_THAT(refused("[\"./plain\"]"),
              AllOf(HasSubstr("exec of"), HasSubstr("Permission denied"), HasSubstr("executable")));
}

TEST_F(BadInput, a_script_without_an_interpreter_line_fails_in_the_child_and_says_what_it_needs) {
  write_file(work + "/script", "echo hello\n", 0755);
  EXPECT_THAT(refused("[\"./script\"]"), AllOf(HasSubstr("Exec format error"), HasSubstr("#!")));
  EXPECT_EQ(ENOEXEC, service().exit_errno);
}

TEST_F(BadInput, a_working_directory_that_is_missing_is_named) {
  EXPECT_THAT(refused("[\"/bin/true\"]", "cwd = \"/no/such/place\"\n"),
              AllOf(HasSubstr("/no/such/place"), HasSubstr("No such file")));
}

TEST_F(BadInput, a_user_that_is_missing_is_named_and_nothing_is_started) {
  EXPECT_THAT(refused("[\"/bin/true\"]", "user = \"nobody-of-that-name\"\n"),
              AllOf(HasSubstr("nobody-of-that-name"), HasSubstr("hearth.toml"), HasSubstr("web")));
}

TEST_F(BadInput, a_second_run_of_a_name_is_refused_and_the_first_goes_on) {
  const std::vector<std::string> words = {"run",         "--name", "web", "--", bin("hearth-test-puppet"),
                                          stage->path(), "web"};
  ASSERT_EQ(0, hearth(words).code);
  const Actor web = stage->enter();
  const Output second = hearth(words);
  EXPECT_EQ(1, second.code) << second.all();
  EXPECT_THAT(second.all(),
              AllOf(HasSubstr("web"), HasSubstr("already"), HasSubstr(std::to_string(web.pid)), HasSubstr("--name")));
  EXPECT_EQ(web.pid, service().pid);
  EXPECT_TRUE(web.alive());
}

TEST_F(BadInput, a_second_up_changes_nothing_and_says_so) {
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  const Actor web = stage->enter();
  const Output second = up();
  EXPECT_EQ(0, second.code) << second.all();
  EXPECT_THAT(second.all(), HasSubstr("web: running as before (PID " + std::to_string(web.pid) + ")"));
  EXPECT_EQ(web.pid, service().pid);
}

TEST_F(BadInput, the_same_project_name_from_another_file_is_refused_naming_both) {
  project("[project]\nname = \"shop\"\n[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  const Actor web = stage->enter();
  ::mkdir((work + "/other").c_str(), 0755);
  write_file(work + "/other/hearth.toml", "[project]\nname = \"shop\"\n[service.web]\ncommand = [\"/bin/true\"]\n");
  const Output other = up({"-f", work + "/other/hearth.toml"});
  EXPECT_EQ(1, other.code);
  EXPECT_THAT(other.all(),
              AllOf(HasSubstr(work + "/other/hearth.toml"), HasSubstr(work + "/hearth.toml"), HasSubstr("[project]")));
  EXPECT_TRUE(web.alive());
}

TEST_F(BadInput, unknown_names_are_refused_and_the_nearest_is_suggested) {
  project("[service.frontend]\n" + puppet("frontend"));
  ASSERT_EQ(0, up().code);
  const Actor frontend = stage->enter();
  EXPECT_EQ("ok", frontend.ask("print a line"));
  EXPECT_TRUE(until([&] { return logged("frontend") == "a line\n"; }));
  for (const char* verb : {"stop", "restart", "start", "logs"}) {
    const Output output = hearth({verb, "fronted"});
    EXPECT_NE(0, output.code) << verb;
    EXPECT_THAT(output.all(), HasSubstr("frontend")) << verb;
  }
  const Output status = hearth({"status", "fronted"});
  EXPECT_EQ(4, status.code) << status.all();
  EXPECT_THAT(status.all(), HasSubstr("frontend"));
  const Output command = hearth({"restrat", "frontend"});
  EXPECT_THAT(command.all(), HasSubstr("restart"));
  EXPECT_TRUE(frontend.alive());
}

TEST_F(BadInput, mistakes_in_the_file_are_all_told_and_what_runs_goes_on) {
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  const Actor web = stage->enter();
  project("[service.web]\ncomand = [\"x\"]\nrestart = \"no\"\n");
  const Output output = up();
  EXPECT_NE(0, output.code);
  EXPECT_THAT(output.all(), AllOf(HasSubstr("hearth.toml:2"), HasSubstr("hearth.toml:3"), HasSubstr("command"),
                                  HasSubstr("nothing has changed")));
  EXPECT_EQ(web.pid, service().pid);
}

TEST_F(BadInput, orders_to_a_hearth_that_does_not_run_say_so) {
  for (const std::vector<std::string>& words : {std::vector<std::string>{"stop", "web"}, {"status"}, {"shutdown"}}) {
    const Output output = hearth(words);
    EXPECT_EQ(words[0] == "shutdown", output.code == 0) << words[0];
    EXPECT_THAT(output.all(), HasSubstr("not running")) << words[0];
  }
  EXPECT_FALSE(exists(directory)) << "asking makes nothing";
}

TEST_F(BadInput, stale_socket_lock_and_pipes_of_a_dead_hearth_are_no_obstacle) {
  ::mkdir(directory.c_str(), 0711);
  for (const char* name : {"/o", "/n", "/spec"}) ::mkdir((directory + name).c_str(), 0711);
  const os::Fd dead(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, (directory + "/api.sock").c_str(), sizeof address.sun_path - 1);
  ASSERT_EQ(0, ::bind(dead.get(), reinterpret_cast<sockaddr*>(&address), sizeof address));
  write_file(directory + "/lock", "12345\n", 0600);
  write_file(directory + "/keeper.pid", "1\n", 0600);
  write_file(directory + "/runs.json", "{\"boot\": \"of another machine\", \"runs\": [{\"pid\": 1}]}\n", 0600);
  write_file(directory + "/n/77", "no socket", 0600);
  ASSERT_EQ(0, ::mkfifo((directory + "/o/77").c_str(), 0600));
  project("[service.web]\n" + puppet());
  const Output output = up();
  ASSERT_EQ(0, output.code) << output.all();
  const Actor web = stage->enter();
  EXPECT_GT(std::stoull(web.run), 77u) << "no number is used twice";
  expect_clean_shutdown();
}

TEST_F(BadInput, garbage_in_the_list_of_runs_is_no_obstacle) {
  ::mkdir(directory.c_str(), 0711);
  write_file(directory + "/runs.json", std::string("\x00\xff{{{[\"", 7), 0600);
  project("[service.web]\n" + puppet());
  const Output output = up();
  ASSERT_EQ(0, output.code) << output.all();
  EXPECT_TRUE(stage->enter().alive());
}

TEST_F(BadInput, a_directory_of_somebody_else_is_refused_by_name) {
  if (!root()) GTEST_SKIP() << "only root can give a directory away";
  ::mkdir(directory.c_str(), 0755);
  ASSERT_EQ(0, ::chown(directory.c_str(), 65534, 65534));
  project("[service.web]\n" + puppet());
  const Output output = up();
  EXPECT_NE(0, output.code);
  EXPECT_THAT(output.all(), AllOf(HasSubstr(directory), HasSubstr("65534"), HasSubstr("--dir")));
}

struct BadInputOfUser : Machine {
  BadInputOfUser() : Machine(As::user) {}
};

TEST_F(BadInputOfUser, the_socket_of_another_user_is_refused) {
  if (const std::string why = obstacle(); !why.empty()) GTEST_SKIP() << why;
  // Root's hearth, asked by an ordinary user.
  project("[service.web]\n" + puppet());
  as_ = As::caller;
  directory = base + "/roots";
  ASSERT_EQ(0, up().code);
  const Actor web = stage->enter();
  as_ = As::user;
  for (const std::vector<std::string>& words : {std::vector<std::string>{"stop", "web"}, {"status"}, {"shutdown"}}) {
    const Output output = hearth(words);
    EXPECT_NE(0, output.code) << words[0];
    EXPECT_THAT(output.all(), HasSubstr("another user")) << words[0];
  }
  as_ = As::caller;
  EXPECT_TRUE(web.alive());
}

TEST_F(BadInputOfUser, another_user_for_a_service_needs_root_and_says_so) {
  if (const std::string why = obstacle(); !why.empty()) GTEST_SKIP() << why;
  project("[service.web]\ncommand = [\"/bin/true\"]\nuser = \"root\"\n");
  const Output output = up();
  EXPECT_NE(0, output.code);
  EXPECT_THAT(output.all(), HasSubstr("root"));
}

}  // namespace
}  // namespace hearth::test
