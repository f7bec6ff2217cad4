// hearth as the first process of a PID namespace, as of a container: the reaper of everything, and the end of everything.
#include <fcntl.h>
#include <fstream>
#include <functional>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <utility>

#include <gmock/gmock.h>

#include "instance.h"
#include "os/proc_stat.h"
#include "os/state_directory.h"

namespace hearth::test {
namespace {

using ::testing::HasSubstr;

std::vector<pid_t> children_of(pid_t parent) {
  std::ifstream list("/proc/" + std::to_string(parent) + "/task/" + std::to_string(parent) + "/children");
  std::vector<pid_t> pids;
  for (pid_t pid = 0; list >> pid;) pids.push_back(pid);
  return pids;
}

struct PidOne : Machine {
  bool can_have_namespaces() {
    return root() && execute({"/usr/bin/unshare", "--pid", "--fork", "--mount-proc", "/bin/true"}).wait().code == 0;
  }
  // Waits until it answers: who comes before that with `up` is the keeper, and this one ends.
  void begin_namespace(const std::vector<std::string>& command = {"daemon"}) {
    std::vector<std::string> words = {"/usr/bin/unshare", "--pid", "--fork", "--kill-child", "--mount-proc"};
    words.insert(words.end(), entry.begin(), entry.end());
    words.insert(words.end(), {bin("hearth"), "--dir", directory});
    words.insert(words.end(), command.begin(), command.end());
    daemon = execute(words, prepare);
    ASSERT_TRUE(
        until([&] { return daemon.ended() || inside({"status", "--json"}).out.starts_with(R"({"instance")"); }));
    ASSERT_FALSE(daemon.ended());
  }
  pid_t first() const {
    const std::vector<pid_t> forked = children_of(daemon.pid());
    return forked.empty() ? 0 : forked.front();
  }
  Output inside(const std::vector<std::string>& words) {
    if (first() == 0) return {};
    std::vector<std::string> all = {"/usr/bin/nsenter", "--target",     std::to_string(first()), "--pid",
                                    "--mount",          "--wd=" + work, bin("hearth"),           "--dir",
                                    directory};
    all.insert(all.end(), words.begin(), words.end());
    return execute(all).wait();
  }
  static std::string name_of(pid_t pid) {
    os::ProcStat stat;
    return os::read_stat(pid, stat) ? stat.name : "";
  }
  static pid_t child(pid_t parent, const std::string& name) {
    for (const pid_t pid : children_of(parent))
      if (name_of(pid) == name) return pid;
    return 0;
  }
  // Of a process that came in from outside and left it behind.
  void expect_orphans_reaped() {
    ASSERT_EQ(0, inside({"exec", "web", "--", "/bin/sh", "-c", "(trap '' HUP; sleep 0.05) & exit 0"}).code);
    EXPECT_TRUE(until([&] {
      for (const pid_t pid : children_of(first())) {
        os::ProcStat stat;
        if (os::read_stat(pid, stat) && (stat.state == 'Z' || stat.name == "sleep")) return false;
      }
      return true;
    }));
  }
  // What hearth leaves in its directory when it did not come to its end.
  void expect_orderly_end() {
    for (const char* name : {"api.sock", "keeper.sock"}) EXPECT_FALSE(exists(directory + "/" + name)) << name;
    EXPECT_FALSE(os::state_is_left(directory));
  }
  std::vector<std::string> entry;  // becomes hearth, as the entry script of a container does
  std::function<void()> prepare;   // before all of it
  Command daemon;
};

// The entry point of a container, and nothing else.
struct CommandAsPidOne : PidOne {
  void start(const std::string& more = {}) {
    project("[service.web]\nrestart = \"never\"\n" + puppet() + more);
    if (!can_have_namespaces()) GTEST_SKIP() << "needs root and PID namespaces";
    ASSERT_NO_FATAL_FAILURE(begin_namespace({"up", "--foreground", "--exit-code-from", "web"}));
    web = stage->enter();
    ASSERT_TRUE(web.here());
  }
  // With another service, that takes its time to end.
  void start_two() {
    start("[service.store]\nstop_timeout = \"60s\"\n" + puppet("store"));
    if (IsSkipped() || HasFatalFailure()) return;
    store = stage->enter();
    if (web.label == "store") std::swap(web, store);
  }
  pid_t watcher() const { return child(first(), "hearth"); }
  // kill -9; returns its successor.
  pid_t kill_watcher() {
    const pid_t old = watcher();
    EXPECT_NE(0, old);
    EXPECT_EQ(0, ::kill(old, SIGKILL));
    pid_t next = 0;
    EXPECT_TRUE(until([&] { return (next = watcher()) != 0 && next != old; }));
    return next;
  }
  // How often the watchers have said that all shall be down.
  std::size_t downs() {
    const std::string events = inside({"events", "--json"}).out;
    std::size_t count = 0;
    for (std::size_t at = 0; (at = events.find(R"("kind":"order")", at)) != std::string::npos; ++at)
      if (events.substr(at, events.find('\n', at) - at).find("down") != std::string::npos) ++count;
    return count;
  }
  // TERM or its like has been given: web goes, and then all.
  void expect_web_ends_in_order() {
    EXPECT_EQ("signal 15", web.hear());
    web.order("exit 0");
    const Output output = daemon.wait();
    EXPECT_EQ(0, output.code) << output.all();
    expect_orderly_end();
  }
  Actor web, store;
};

// As with `docker run -it`: PID 1 leads a session that has a terminal.
struct CommandAsPidOneOnATerminal : CommandAsPidOne {
  CommandAsPidOneOnATerminal() {
    master = os::Fd(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    EXPECT_TRUE(master && ::grantpt(master.get()) == 0 && ::unlockpt(master.get()) == 0);
    terminal = os::Fd(::open(::ptsname(master.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
    EXPECT_TRUE(terminal);
    entry = {"/usr/bin/setsid", "--ctty"};
    prepare = [fd = terminal.get()] { ::dup2(fd, STDIN_FILENO); };
  }
  void press(char key) const { ASSERT_EQ(1, ::write(master.get(), &key, 1)); }
  // Whom the terminal's keys reach.
  bool until_in_foreground(pid_t pid) {
    return until([&] { return ::tcgetpgrp(master.get()) == pid; });
  }
  os::Fd master, terminal;
};

constexpr char ctrl_c = 3, ctrl_z = 26, ctrl_backslash = 28;

TEST_F(PidOne, starts_services_reaps_whoever_is_left_and_ends_them_in_order_at_term) {
  project("[service.web]\n" + puppet());
  if (!can_have_namespaces()) GTEST_SKIP() << "needs root and PID namespaces";
  ASSERT_NO_FATAL_FAILURE(begin_namespace());
  ASSERT_EQ(0, inside({"up"}).code);
  const Actor web = stage->enter();
  EXPECT_THAT(inside({"status", "--json"}).out, HasSubstr(R"("keeper":{"pid":1,)"));

  expect_orphans_reaped();

  EXPECT_EQ("ok", web.ask("catch 15"));
  ASSERT_EQ(0, ::kill(first(), SIGTERM));
  EXPECT_EQ("signal 15", web.hear());
  web.order("exit 0");
  EXPECT_EQ(0, daemon.wait().code);
  EXPECT_FALSE(web.alive());
}

// The container goes on while hearth's supervisor and logger are replaced.
TEST_F(PidOne, outlives_its_members) {
  project("[service.web]\n" + puppet());
  if (!can_have_namespaces()) GTEST_SKIP() << "needs root and PID namespaces";
  ASSERT_NO_FATAL_FAILURE(begin_namespace());
  ASSERT_EQ(0, inside({"up"}).code);
  const Actor web = stage->enter();
  for (const pid_t pid : children_of(first())) {
    os::ProcStat stat;
    if (os::read_stat(pid, stat) && !stat.name.starts_with("hearth-test")) ::kill(pid, SIGKILL);
  }
  EXPECT_TRUE(until([&] { return inside({"status", "web"}).code == 0; }));
  EXPECT_TRUE(web.alive());
  ASSERT_EQ(0, inside({"restart", "web"}).code);
  EXPECT_TRUE(stage->enter().here());
  (void)inside({"shutdown"});  // killed with the namespace, as whoever is in it
  EXPECT_EQ(0, daemon.wait().code);
}

TEST_F(CommandAsPidOne, ends_with_the_exit_code_of_the_service_that_was_named_and_leaves_nothing) {
  start();
  if (IsSkipped() || HasFatalFailure()) return;
  EXPECT_EQ(std::string::npos, inside({"status", "--json"}).out.find(R"("keeper":{"pid":1,)"));
  expect_orphans_reaped();
  EXPECT_EQ("ok", web.ask("print the last line"));
  web.order("exit 7");
  const Output output = daemon.wait();
  EXPECT_EQ(7, output.code) << output.all();
  EXPECT_THAT(output.out, HasSubstr("web | the last line"));
  expect_orderly_end();
}

TEST_F(CommandAsPidOne, passes_term_on_and_ends_with_0_when_all_has_ended_in_order) {
  for (const int number : {SIGTERM, SIGINT, SIGQUIT}) {
    start_two();
    if (IsSkipped() || HasFatalFailure()) return;
    const Actor* const both[] = {&web, &store};
    for (const Actor* actor : both) EXPECT_EQ("ok", actor->ask("catch 15"));
    ASSERT_EQ(0, ::kill(first(), number));
    for (const Actor* actor : both) {
      EXPECT_EQ("signal 15", actor->hear());
      EXPECT_EQ("-", actor->ask("variable NOBODYS")) << "another signal came in between";
      actor->order("exit 3");
    }
    const Output output = daemon.wait();
    EXPECT_EQ(0, output.code) << output.all();
    expect_orderly_end();
  }
}

// Killed more often than a crash would be borne, and after the code has been decided.
TEST_F(CommandAsPidOne, ends_with_the_code_that_was_decided_whoever_watches_is_killed_meanwhile) {
  start_two();
  if (IsSkipped() || HasFatalFailure()) return;
  EXPECT_EQ("ok", store.ask("catch 15"));
  web.order("exit 7");
  EXPECT_EQ("signal 15", store.hear());
  for (int i = 0; i < 6; ++i) kill_watcher();
  store.order("exit 0");
  const Output output = daemon.wait();
  EXPECT_EQ(7, output.code) << output.all();
  expect_orderly_end();
}

TEST_F(CommandAsPidOne, told_a_second_time_it_kills) {
  start("stop_timeout = \"10m\"\n");
  if (IsSkipped() || HasFatalFailure()) return;
  EXPECT_EQ("ok", web.ask("catch 15"));
  ASSERT_EQ(0, ::kill(first(), SIGTERM));
  EXPECT_EQ("signal 15", web.hear());
  ASSERT_EQ(0, ::kill(first(), SIGTERM));
  EXPECT_TRUE(web.wait_end());
  const Output output = daemon.wait();
  EXPECT_EQ(0, output.code) << "all has ended, as TERM wanted it: " << output.all();
  EXPECT_THAT(output.err, HasSubstr("they are killed"));
  expect_orderly_end();
}

// The grace period goes on: that the next one was told, too, is not to be told twice.
TEST_F(CommandAsPidOne, goes_on_waiting_for_an_end_in_order_when_whoever_watches_is_killed_meanwhile) {
  start("stop_timeout = \"10m\"\n");
  if (IsSkipped() || HasFatalFailure()) return;
  EXPECT_EQ("ok", web.ask("catch 15"));
  ASSERT_EQ(0, ::kill(first(), SIGTERM));
  EXPECT_EQ("signal 15", web.hear());
  ASSERT_EQ(1u, downs());
  kill_watcher();
  ASSERT_TRUE(until([&] { return downs() == 2; })) << inside({"events"}).out;
  EXPECT_EQ("-", web.ask("variable NOBODYS")) << "it lives, and has got no other signal";
  web.order("exit 0");
  const Output output = daemon.wait();
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_EQ(std::string::npos, output.err.find("they are killed")) << output.err;
  expect_orderly_end();
}

// What it was started with holds: the file may be half written by now, or of another name, or gone.
TEST_F(CommandAsPidOne, does_not_read_the_file_again_when_whoever_watches_is_killed) {
  start();
  if (IsSkipped() || HasFatalFailure()) return;
  EXPECT_EQ("ok", web.ask("catch 15"));
  for (const char* text : {"[service", "[project]\nname = \"another\"\n[service.x]\ncommand = [\"true\"]\n"}) {
    write_file(work + "/hearth.toml", text);
    kill_watcher();
    EXPECT_EQ("ok", web.ask("print it goes on"));
  }
  ASSERT_EQ(0, ::unlink((work + "/hearth.toml").c_str()));
  kill_watcher();
  // What is written before the next one looks is not shown (docs/internals/not-yet.md).
  EXPECT_TRUE(until([&] {
    EXPECT_EQ("ok", web.ask("print it is shown"));
    return daemon.out().find("it is shown") != std::string::npos;
  }));
  ASSERT_EQ(0, ::kill(first(), SIGTERM));
  expect_web_ends_in_order();
}

// trap '' CHLD; exec hearth: children that reap themselves have no exit code.
TEST_F(CommandAsPidOne, ends_with_that_exit_code_when_sigchld_was_ignored_before) {
  entry = {"/bin/sh", "-c", "trap '' CHLD; exec \"$@\"", "sh"};
  start();
  if (IsSkipped() || HasFatalFailure()) return;
  web.order("exit 7");
  const Output output = daemon.wait();
  EXPECT_EQ(7, output.code) << output.all();
  expect_orderly_end();
}

TEST_F(CommandAsPidOne, ends_in_order_though_the_one_that_watches_was_stopped) {
  start();
  if (IsSkipped() || HasFatalFailure()) return;
  EXPECT_EQ("ok", web.ask("catch 15"));
  const pid_t stopped = watcher();
  ASSERT_NE(0, stopped);
  ASSERT_EQ(0, ::kill(stopped, SIGTSTP));
  EXPECT_EQ("ok", web.ask("print shown all the same"));
  EXPECT_TRUE(until([&] { return daemon.out().find("shown all the same") != std::string::npos; }));
  ASSERT_NO_FATAL_FAILURE(stop_process(stopped));
  ASSERT_EQ(0, ::kill(first(), SIGTERM));
  expect_web_ends_in_order();
}

TEST_F(CommandAsPidOneOnATerminal, is_not_stopped_by_ctrl_z_and_takes_ctrl_backslash_as_term) {
  start();
  if (IsSkipped() || HasFatalFailure()) return;
  EXPECT_EQ("ok", web.ask("catch 15"));
  ASSERT_TRUE(until_in_foreground(watcher()));
  press(ctrl_z);
  press(ctrl_backslash);
  expect_web_ends_in_order();
}

TEST_F(CommandAsPidOneOnATerminal, hears_ctrl_c_once_also_when_the_one_that_watches_was_killed) {
  start();
  if (IsSkipped() || HasFatalFailure()) return;
  EXPECT_EQ("ok", web.ask("catch 15"));
  ASSERT_TRUE(until_in_foreground(watcher()));
  ASSERT_TRUE(until_in_foreground(kill_watcher()));
  press(ctrl_c);
  expect_web_ends_in_order();
}

// Whoever dies: the one that watches, the keeper, its members. The services run on, and the end is as ever.
TEST_F(CommandAsPidOne, outlives_all_of_hearth_one_after_the_other) {
  start();
  if (IsSkipped() || HasFatalFailure()) return;
  const auto answers = [&] { return inside({"status", "web"}).code == 0; };
  pid_t keeper = 0;
  ASSERT_TRUE(until([&] { return (keeper = child(first(), "hearth-keeper")) != 0; }));
  kill_watcher();
  for (const char* member : {"hearth-super", "hearth-logger"}) {
    pid_t pid = 0;
    ASSERT_TRUE(until([&] { return (pid = child(keeper, member)) != 0; })) << member;
    ASSERT_EQ(0, ::kill(pid, SIGKILL));
    EXPECT_TRUE(until([&] { return child(keeper, member) != pid && answers(); })) << member;
  }
  ASSERT_EQ(0, ::kill(keeper, SIGKILL));
  EXPECT_TRUE(until([&] {
    const pid_t next = child(first(), "hearth-keeper");
    return next != 0 && next != keeper && answers();
  }));
  EXPECT_TRUE(web.alive());
  EXPECT_EQ("ok", web.ask("print said after all that"));
  EXPECT_TRUE(until([&] { return daemon.out().find("said after all that") != std::string::npos; }));
  EXPECT_EQ("ok", web.ask("catch 15"));
  ASSERT_EQ(0, ::kill(first(), SIGTERM));
  EXPECT_EQ("signal 15", web.hear());
  web.order("exit 0");
  const Output output = daemon.wait();
  EXPECT_EQ(0, output.code) << output.all();
  expect_orderly_end();
}

}  // namespace
}  // namespace hearth::test
