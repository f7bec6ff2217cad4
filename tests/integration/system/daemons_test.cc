// L15: programs that go into the background by themselves are followed there, and nobody else is.
// With cgroups, as root without, and as an ordinary user who may write to none.
#include <signal.h>
#include <sys/wait.h>

#include <gmock/gmock.h>

#include "instance.h"

namespace hearth::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// What a shell does to leave a daemon: "&" is a fork, setsid(1) a session, and a subshell a second fork.
constexpr const char* in_group = "@PUPPET@ @STAGE@ web & echo $! > web.pid";
constexpr const char* in_session = "setsid @PUPPET@ @STAGE@ web & echo $! > web.pid";
constexpr const char* two_forks = "(setsid @PUPPET@ @STAGE@ web & echo $! > web.pid) & wait";
constexpr const char* says_nothing = "setsid @PUPPET@ @STAGE@ web & true";

struct Daemons : Machine, ::testing::WithParamInterface<As> {
  Daemons() : Machine(GetParam()) {}
  void SetUp() override {
    if (const std::string why = obstacle(); !why.empty()) GTEST_SKIP() << why;
  }
  void forking(const std::string& command, const std::string& more = "pid_file = \"web.pid\"\n") {
    project("[service.web]\ntype = \"forking\"\nshell = true\ncommand = \"" + command +
            "; exit 0\"\nbackoff = { initial = 0 }\n" + more);
  }
  Actor start(const std::string& command, const std::string& more = "pid_file = \"web.pid\"\n") {
    forking(command, more);
    const Output output = up();
    EXPECT_EQ(0, output.code) << output.all();
    Actor web = stage->enter();
    expect_followed(web);
    return web;
  }
  void expect_followed(const Actor& web) {
    EXPECT_TRUE(until_state("web", "running")) << service().reason_text;
    EXPECT_EQ(web.pid, service().pid);
    EXPECT_EQ(web.run, std::to_string(service().run));
    EXPECT_EQ(0u, service().restarts);
  }
};

std::string kind_name(const ::testing::TestParamInfo<As>& info) {
  return as_name(info.param);
}
INSTANTIATE_TEST_SUITE_P(, Daemons, ::testing::Values(As::caller, As::root_without_cgroups, As::user), kind_name);

TEST_P(Daemons, one_with_a_session_of_its_own_is_the_service_and_its_exit_code_is_known) {
  Actor web = start(in_session);
  web.order("exit 7");
  Actor next = stage->enter();
  ASSERT_TRUE(next.here());
  EXPECT_TRUE(until([&] { return service().pid == next.pid; })) << service().reason_text;
  EXPECT_EQ(7, service().exit_code);
  EXPECT_EQ(1u, service().restarts);
  expect_clean_shutdown();
}

TEST_P(Daemons, one_that_stays_in_its_leaders_group_is_ended_by_its_stop_signal) {
  Actor web = start(in_group);
  EXPECT_EQ(0, hearth({"stop", "web"}).code);
  EXPECT_FALSE(web.alive());
  EXPECT_EQ(SIGTERM, service().exit_signal);
  expect_clean_shutdown();
}

TEST_P(Daemons, one_with_two_forks_is_ended_by_its_stop_signal) {
  Actor web = start(two_forks);
  EXPECT_EQ(0, hearth({"stop", "web"}).code);
  EXPECT_FALSE(web.alive());
  EXPECT_EQ(SIGTERM, service().exit_signal);
  expect_clean_shutdown();
}

TEST_P(Daemons, the_only_process_that_is_left_needs_no_pid_file) {
  Actor web = start(says_nothing, "");
  EXPECT_EQ(0, hearth({"stop", "web"}).code);
  EXPECT_EQ(SIGTERM, service().exit_signal);
  expect_clean_shutdown();
}

TEST_P(Daemons, one_that_tells_its_pid_needs_no_pid_file_either) {
  forking("setsid @PUPPET@ @STAGE@ web & setsid @PUPPET@ @STAGE@ other & true", "");
  ASSERT_EQ(0, up({"--no-wait"}).code);
  Actor one = stage->enter(), other = stage->enter();
  if (one.label != "web") std::swap(one, other);
  EXPECT_TRUE(until([&] { return service().reason_text.find("2 processes are left") != std::string::npos; }))
      << service().reason_text;
  EXPECT_THAT(service().reason_text, HasSubstr("set pid_file"));
  EXPECT_EQ("ok", one.ask("notify MAINPID=" + std::to_string(one.pid)));
  expect_followed(one);
  EXPECT_EQ(0, hearth({"stop", "web"}).code);
  EXPECT_FALSE(one.alive());
  EXPECT_FALSE(other.alive()) << "it is of the same tree";
  expect_clean_shutdown();
}

TEST_P(Daemons, a_pid_file_that_names_a_foreign_process_makes_nobody_followed_or_signalled) {
  const pid_t foreign = ::fork();
  if (foreign == 0) {
    for (;;) ::pause();
  }
  forking("setsid @PUPPET@ @STAGE@ web & echo " + std::to_string(foreign) + " > web.pid",
          "pid_file = \"web.pid\"\nstart_timeout = \"5s\"\nrestart = \"never\"\n");
  Command waiting = begin({"up"});
  Actor web = stage->enter();
  const Output output = waiting.wait();
  EXPECT_NE(0, output.code) << output.all();
  EXPECT_TRUE(until_state("web", "failed"));
  EXPECT_THAT(service().reason_text, AllOf(HasSubstr("web.pid names PID " + std::to_string(foreign)),
                                           HasSubstr("which is no process of this run")));
  EXPECT_FALSE(web.alive()) << "what it had left is ended";
  EXPECT_EQ(0, ::kill(foreign, 0));
  EXPECT_EQ(0, ::waitpid(foreign, nullptr, WNOHANG)) << "the foreign process has ended";
  ::kill(foreign, SIGKILL);
  ::waitpid(foreign, nullptr, 0);
  expect_clean_shutdown();
}

TEST_P(Daemons, a_pid_file_that_names_hearth_itself_does_hearth_no_harm) {
  project("[service.idle]\n" + puppet("idle"));
  ASSERT_EQ(0, up().code);
  Actor idle = stage->enter();
  const InstanceView before = status();
  write_file(work + "/web.pid", std::to_string(before.keeper) + "\n");
  project("[service.idle]\n" + puppet("idle") +
          "[service.web]\ntype = \"forking\"\nshell = true\ncommand = \"setsid @PUPPET@ @STAGE@ web & exit 0\"\n"
          "pid_file = \"web.pid\"\nstart_timeout = \"3s\"\nrestart = \"never\"\n");
  EXPECT_NE(0, up().code);
  EXPECT_TRUE(until_state("web", "failed"));
  // Without cgroups the sweep after it may still be under way, and goes by the service's mark.
  EXPECT_EQ(0, hearth({"stop", "web"}).code);
  write_file(work + "/web.pid", std::to_string(idle.pid) + "\n");
  EXPECT_NE(0, hearth({"start", "web"}).code);
  EXPECT_TRUE(until_state("web", "failed"));
  EXPECT_THAT(service().reason_text, HasSubstr("which is no process of this run"));
  EXPECT_TRUE(idle.alive());
  EXPECT_EQ(before.keeper, status().keeper);
  EXPECT_EQ(before.supervisor, status().supervisor);
  expect_clean_shutdown();
}

TEST_P(Daemons, the_supervisor_may_die_while_it_is_looked_for_and_afterwards) {
  forking(says_nothing);
  Command waiting = begin({"up"});
  Actor web = stage->enter();
  EXPECT_TRUE(until([&] { return service().reason_text.find("web.pid is not there") != std::string::npos; }))
      << service().reason_text;
  kill_members("hearth-supervisor", SIGKILL);
  write_file(work + "/web.pid", std::to_string(web.pid) + "\n");
  const Output output = waiting.wait();
  EXPECT_EQ(0, output.code) << output.all();
  expect_followed(web);
  kill_members("hearth-supervisor", SIGKILL);
  EXPECT_TRUE(until([&] { return status().takeovers == 2; }));
  expect_followed(web);
  EXPECT_EQ(0, hearth({"stop", "web"}).code);
  EXPECT_EQ(SIGTERM, service().exit_signal);
  EXPECT_TRUE(stage->quiet(0)) << "it was started twice";
  expect_clean_shutdown();
}

TEST_P(Daemons, the_keeper_may_die_while_it_is_looked_for) {
  forking(says_nothing);
  Command waiting = begin({"up"});
  Actor web = stage->enter();
  EXPECT_TRUE(until([&] { return service().reason_text.find("web.pid is not there") != std::string::npos; }));
  const pid_t keeper = status().keeper;
  kill_members("hearth-keeper", SIGKILL);
  EXPECT_TRUE(until([&] { return status().keeper != keeper; }));
  write_file(work + "/web.pid", std::to_string(web.pid) + "\n");
  const Output output = waiting.wait();
  EXPECT_EQ(0, output.code) << output.all();
  expect_followed(web);
  EXPECT_EQ(0, hearth({"stop", "web"}).code);
  EXPECT_FALSE(web.alive());
  expect_clean_shutdown();
}

TEST_P(Daemons, the_keeper_may_die_when_it_has_been_followed) {
  Actor web = start(in_group);
  const pid_t keeper = status().keeper;
  kill_members("hearth-keeper", SIGKILL);
  EXPECT_TRUE(until([&] { return status().keeper != keeper; }));
  expect_followed(web);
  EXPECT_EQ(0, hearth({"stop", "web"}).code);
  EXPECT_FALSE(web.alive());
  expect_clean_shutdown();
}

TEST_P(Daemons, all_of_hearth_may_die_when_it_has_been_followed) {
  Actor web = start(in_session);
  kill_everything();
  EXPECT_EQ(0, up().code);
  EXPECT_TRUE(web.alive());
  expect_followed(web);
  EXPECT_EQ(0, hearth({"stop", "web"}).code);
  EXPECT_FALSE(web.alive());
  expect_clean_shutdown();
}

TEST_P(Daemons, a_stop_while_it_is_looked_for_ends_what_is_left_with_its_stop_signal) {
  forking(says_nothing);
  ASSERT_EQ(0, up({"--no-wait"}).code);
  Actor web = stage->enter();
  EXPECT_TRUE(until([&] { return service().reason_text.find("web.pid is not there") != std::string::npos; }));
  EXPECT_EQ(0, hearth({"stop", "web"}).code);
  EXPECT_FALSE(web.alive());
  EXPECT_EQ(SIGTERM, service().exit_signal) << "it was killed, and not asked";
  expect_clean_shutdown();
}

TEST_P(Daemons, a_leader_that_leaves_nobody_is_told_at_once) {
  forking("true", "pid_file = \"web.pid\"\nrestart = \"never\"\n");
  EXPECT_NE(0, up().code);
  EXPECT_TRUE(until_state("web", "failed"));
  EXPECT_THAT(service().reason_text, HasSubstr("exited with code 0, and no process of it is left"));
  expect_clean_shutdown();
}

}  // namespace
}  // namespace hearth::test
