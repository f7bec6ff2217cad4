// Tasks and hooks with the real programs: what they are told, where their output goes, and who waits for whom.
#include <signal.h>

#include <gmock/gmock.h>

#include "instance.h"

namespace hearth::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

struct Hooks : Machine {
  // TOML: a hook that writes a line with what it was told.
  static std::string telling(const std::string& key) {
    return key +
           " = { shell = true, command = \"echo $HEARTH_HOOK of $HEARTH_SERVICE, code $${HEARTH_EXIT_CODE:--}, signal "
           "$${HEARTH_EXIT_SIGNAL:--}\" }\n";
  }
  std::string actor(const std::string& key, const std::string& label) const {
    return key + puppet(label).substr(std::string("command").size()) + "\n";
  }
};

TEST_F(Hooks, are_told_why_they_run_and_write_into_the_log_of_their_service) {
  project("[service.web]\nrestart = \"never\"\n" + telling("before_start") + telling("after_stop") +
          telling("on_failure") + puppet());
  Command waiting = begin({"up"});
  Actor web = stage->enter();
  EXPECT_EQ(0, waiting.wait().code);
  EXPECT_EQ("ok", web.ask("print here I am"));
  web.order("exit 3");
  EXPECT_TRUE(until([&] { return logged().find("on_failure") != std::string::npos; })) << logged();
  EXPECT_TRUE(until([&] { return logged().find("after_stop") != std::string::npos; })) << logged();
  EXPECT_THAT(logged(), AllOf(HasSubstr("before_start of web, code -, signal -\n"),
                              HasSubstr("after_stop of web, code 3, signal -\n"),
                              HasSubstr("on_failure of web, code 3, signal -\n")));
  EXPECT_LT(logged().find("before_start"), logged().find("here I am"));
  EXPECT_EQ("failed", service().state);
}

TEST_F(Hooks, a_before_start_that_fails_fails_the_up_with_what_it_wrote) {
  project("[service.web]\nrestart = \"never\"\nbefore_start = { shell = true, command = \"echo no disk; exit 4\" }\n" +
          puppet());
  const Output output = up();
  EXPECT_EQ(1, output.code);
  EXPECT_THAT(output.err, AllOf(HasSubstr("before_start exited with code 4"), HasSubstr("| no disk\n")));
  EXPECT_TRUE(stage->quiet(50));
}

TEST_F(Hooks, a_start_waits_for_its_before_start_also_when_the_supervisor_dies_meanwhile) {
  project("[service.web]\n" + actor("before_start", "prepare") + puppet());
  Command waiting = begin({"up"});
  Actor prepare = stage->enter();
  EXPECT_EQ("prepare", prepare.label);
  EXPECT_TRUE(until([&] { return service().reason_text.find("before_start runs") != std::string::npos; }))
      << service().reason_text;
  EXPECT_EQ("starting", service().state);
  const std::uint64_t before = status().takeovers;
  kill_members("hearth-supervisor", SIGKILL);
  EXPECT_TRUE(until([&] { return status().takeovers > before; }));
  EXPECT_TRUE(stage->quiet(50)) << "nothing is run a second time";
  prepare.order("exit 0");
  Actor web = stage->enter();
  EXPECT_EQ("web", web.label);
  const Output output = waiting.wait();
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_TRUE(stage->quiet(50));
}

TEST_F(Hooks, a_stop_command_is_told_the_pid_and_the_stop_signal_comes_after_it) {
  const std::string kill = "\"sh\", \"-c\", \"kill -USR1 $HEARTH_PID; exec \\\"$@\\\"\", \"sh\", ";
  std::string stopper = actor("stop_command", "stopper");
  stopper.insert(stopper.find('[') + 1, kill);
  project("[service.web]\n" + stopper + puppet());
  ASSERT_EQ(0, up().code);
  Actor web = stage->enter();
  EXPECT_EQ("ok", web.ask("catch 10"));
  EXPECT_EQ("ok", web.ask("catch 15"));
  Command stop = begin({"stop", "web"});
  EXPECT_EQ("signal 10", web.hear());
  stage->enter().order("exit 0");
  EXPECT_EQ("signal 15", web.hear());
  web.order("exit 0");
  EXPECT_EQ(0, stop.wait().code);
  EXPECT_EQ("stopped", service().state);
}

TEST_F(Hooks, a_stop_is_over_when_after_stop_is) {
  project("[service.web]\n" + actor("after_stop", "clear") + puppet());
  ASSERT_EQ(0, up().code);
  Actor web = stage->enter();
  Command stop = begin({"stop", "web"});
  Actor clear = stage->enter();
  EXPECT_EQ("clear", clear.label);
  EXPECT_TRUE(until([&] { return service().reason_text.find("after_stop runs") != std::string::npos; }));
  EXPECT_FALSE(stop.ended());
  clear.order("exit 0");
  EXPECT_EQ(0, stop.wait().code);
}

TEST_F(Hooks, up_waits_for_a_task_and_what_needs_it_comes_after_it) {
  project("[service.migrate]\ntype = \"task\"\n" + puppet("migrate") + "[service.web]\ndepends_on = [\"migrate\"]\n" +
          puppet());
  Command waiting = begin({"up"});
  Actor migrate = stage->enter();
  EXPECT_EQ("migrate", migrate.label);
  EXPECT_TRUE(until([&] { return service("migrate").state == "running"; }));
  EXPECT_EQ("waiting", service("web").state);
  EXPECT_FALSE(waiting.ended()) << waiting.out();
  migrate.order("exit 0");
  Actor web = stage->enter();
  EXPECT_EQ("web", web.label);
  const Output output = waiting.wait();
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_EQ("completed", service("migrate").state);
  EXPECT_EQ(0, hearth({"status"}).code);
  const Output again = up();
  EXPECT_EQ(0, again.code) << again.all();
  EXPECT_THAT(again.out, HasSubstr("migrate has completed and is not run again: `hearth --dir "));
  EXPECT_TRUE(stage->quiet(50));
}

TEST_F(Hooks, a_task_that_fails_fails_the_up_and_shows_its_last_lines) {
  project(
      "[service.migrate]\ntype = \"task\"\nshell = true\ncommand = \"echo table is locked; exit 2\"\n"
      "[service.web]\ndepends_on = [\"migrate\"]\n" +
      puppet());
  const Output output = up();
  EXPECT_EQ(1, output.code);
  EXPECT_THAT(output.err, AllOf(HasSubstr("migrate failed: exited with code 2"), HasSubstr("| table is locked\n"),
                                HasSubstr("web failed")));
  EXPECT_EQ("failed", service("migrate").state);
  EXPECT_TRUE(stage->quiet(50));
}

TEST_F(Hooks, a_program_that_goes_into_the_background_is_told_to_stay_in_the_foreground) {
  project("[service.web]\nshell = true\ncommand = \"@PUPPET@ @STAGE@ web & exit 0\"\n");
  EXPECT_EQ(0, up().code);
  EXPECT_TRUE(until_state("web", "completed"));
  EXPECT_THAT(service().reason_text, AllOf(HasSubstr("exited with code 0"), HasSubstr("stay in the foreground")));
}

TEST_F(Hooks, a_daemon_whose_service_is_given_up_with_exit_says_so_with_its_status) {
  project("[service.web]\nrestart = \"never\"\non_give_up = \"exit\"\n" + puppet());
  Command daemon = begin({"daemon"});
  EXPECT_TRUE(until([&] { return status().answered; }));
  ASSERT_EQ(0, up().code);
  Actor web = stage->enter();
  web.order("exit 1");
  EXPECT_EQ(1, daemon.wait().code);
}

}  // namespace
}  // namespace hearth::test
