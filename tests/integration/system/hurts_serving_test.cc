// What hurts users of describe and bots (hurts.h).
#include <signal.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "hurts.h"
#include "os/fd.h"

namespace hearth::test {
namespace {

using ::testing::HasSubstr;

struct Describe : Hurts {};
struct Bots : Hurts {};

// "PID recorded is the wrapper's: stop said 'stopped successfully' while the real server kept port and memory."
TEST_F(Describe, the_server_behind_its_wrapper_is_what_stops) {
  project("[service.vlm]\ncommand = [\"/bin/sh\", \"-c\", \"setsid " + bin("hearth-test-puppet") + " " + stage->path() +
          " server & wait\"]\n");
  ASSERT_EQ(0, up().code);
  const Actor server = stage->enter();
  EXPECT_EQ(0, hearth({"stop", "vlm"}).code);
  EXPECT_FALSE(server.alive());
}

// "The target stop_daemon: 'Nothing to be done', the daemon keeps running." A missing one is no error either.
TEST_F(Describe, a_stop_stops_and_a_second_one_is_no_failure) {
  project(entry("vlm"));
  ASSERT_EQ(0, up().code);
  const Actor vlm = stage->enter();
  EXPECT_EQ(0, hearth({"stop", "vlm"}).code);
  EXPECT_FALSE(vlm.alive());
  EXPECT_EQ(0, hearth({"stop", "vlm"}).code);
  EXPECT_EQ(0, hearth({"shutdown"}).code);
  EXPECT_EQ(0, hearth({"shutdown"}).code);
}

// "Stale PID after a crash: remove PID and signal files by hand."
TEST_F(Describe, after_a_crash_of_everything_the_next_start_needs_no_cleaning) {
  project(entry("vlm", "ready_file = \"" + base + "/vlm.ready\"\npid_file = \"" + base + "/vlm.pid\"\n"));
  ASSERT_EQ(0, up().code);
  const Actor vlm = stage->enter();
  EXPECT_TRUE(until([&] { return exists(base + "/vlm.ready") && exists(base + "/vlm.pid"); }));
  kill_everything();
  EXPECT_TRUE(vlm.kill(SIGKILL));
  EXPECT_TRUE(vlm.wait_end());
  reap();
  const Output output = up();
  EXPECT_EQ(0, output.code) << output.all();
  const Actor next = stage->enter();
  EXPECT_TRUE(until([&] { return os::read_file(base + "/vlm.pid").value_or("") == std::to_string(next.pid) + "\n"; }));
  EXPECT_TRUE(until([&] {
    return os::read_file(base + "/vlm.ready").value_or("").find("\"pid\":" + std::to_string(next.pid)) !=
           std::string::npos;
  }));
}

// "The signal file says ready although nobody is, or is gone although the daemon is."
TEST_F(Describe, the_ready_file_is_there_exactly_while_the_server_is_ready) {
  const std::string file = base + "/vlm.ready";
  project(entry("vlm", "ready = \"notify\"\nbackoff = { initial = \"0s\" }\nready_file = \"" + file + "\"\n"));
  Command starting = begin({"up"});
  const Actor vlm = stage->enter();
  EXPECT_FALSE(exists(file));
  EXPECT_EQ("ok", vlm.ask("notify READY=1"));
  EXPECT_EQ(0, starting.wait().code);
  EXPECT_TRUE(until([&] { return exists(file); }));
  EXPECT_TRUE(vlm.kill(SIGKILL));
  const Actor next = stage->enter();
  EXPECT_TRUE(until([&] { return !exists(file); }));
  EXPECT_EQ("ok", next.ask("notify READY=1"));
  EXPECT_TRUE(until([&] { return exists(file); }));
}

// "After a lone start the workflow deletes the signal file at once", as it is temporary, and the daemon counts as not
// started while it runs.
TEST_F(Describe, a_ready_file_that_the_workflow_deletes_is_put_back_as_long_as_the_server_is_ready) {
  const std::string file = base + "/vlm.ready";
  project(entry("vlm", "ready_file = \"" + file + "\"\n"));
  ASSERT_EQ(0, up().code);
  const Actor vlm = stage->enter();
  for (int time = 0; time < 3; ++time) {
    EXPECT_TRUE(until([&] { return exists(file); })) << time;
    ::unlink(file.c_str());
  }
  EXPECT_TRUE(until([&] { return exists(file); }));
  EXPECT_THAT(status().notes_text(), HasSubstr("vlm.ready was removed by somebody and is put back"));
  // Whoever finds it so.
  kill_members("hearth-supervisor", SIGKILL);
  EXPECT_TRUE(until([&] { return status().answered; }));
  ::unlink(file.c_str());
  EXPECT_TRUE(until([&] { return exists(file); }));
  EXPECT_EQ(0, hearth({"stop", "vlm"}).code);
  EXPECT_TRUE(until([&] { return !exists(file); }));
}

// "Nothing stops the daemon when the workflow is over, also when it failed."
TEST_F(Describe, a_workflow_that_fails_leaves_no_daemon) {
  project(entry("vlm"));
  const std::string hearth_here = bin("hearth") + " --dir " + directory;
  Command workflow = execute(
      {"/bin/sh", "-c", "cd " + work + " && trap '" + hearth_here + " down' EXIT; " + hearth_here + " up && exit 3"});
  const Actor vlm = stage->enter();
  EXPECT_EQ(3, workflow.wait().code);
  EXPECT_FALSE(vlm.alive());
}

// "Blocking inference inside the event loop: status hangs while the model is busy."
TEST_F(Describe, status_answers_while_the_server_is_stopped) {
  project(entry("vlm"));
  ASSERT_EQ(0, up().code);
  const Actor vlm = stage->enter();
  EXPECT_TRUE(vlm.kill(SIGSTOP));
  const Output output = hearth({"status"});
  EXPECT_TRUE(vlm.kill(SIGCONT));
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_THAT(output.out, HasSubstr("vlm"));
}

// "The web server froze: a lock was held while the workflow ran."
TEST_F(Describe, status_answers_while_a_start_is_waited_for) {
  project(entry("vlm", "ready = \"notify\"\n"));
  Command starting = begin({"up"});
  const Actor vlm = stage->enter();
  EXPECT_EQ("starting", service("vlm").state);
  EXPECT_FALSE(starting.ended());
  EXPECT_EQ("ok", vlm.ask("notify READY=1"));
  EXPECT_EQ(0, starting.wait().code);
}

// "Every worker dies: the 'already running' check also runs in the fork."
TEST_F(Bots, a_worker_that_calls_hearth_itself_ends_nobody) {
  project("[service.master]\ncommand = [\"/bin/sh\", \"-c\", \"" + bin("hearth") + " --dir $HEARTH_INSTANCE status; " +
          bin("hearth") + " --dir $HEARTH_INSTANCE daemon; exec " + bin("hearth-test-puppet") + " " + stage->path() +
          " master\"]\n");
  ASSERT_EQ(0, up().code);
  const Actor master = stage->enter();
  EXPECT_TRUE(master.alive());
  EXPECT_TRUE(until([&] { return logged("master").find("hearth runs already") != std::string::npos; }));
}

// "POST /api/daemon/stop hangs the caller and leaves a live process."
TEST_F(Bots, a_service_that_orders_its_own_stop_is_stopped) {
  std::uint64_t last_run = 0;
  for (const std::string option : {"--no-wait ", ""}) {
    project("[service.master]\ncommand = [\"/bin/sh\", \"-c\", \"" + bin("hearth") + " --dir $HEARTH_INSTANCE stop " +
            option + "master; sleep 1000\"]\n");
    ASSERT_EQ(0, up({"--no-wait"}).code);
    EXPECT_TRUE(until([&] { return service("master").run > last_run; })) << option;
    EXPECT_TRUE(until_state("master", "stopped")) << option;
    last_run = service("master").run;
    EXPECT_EQ(0, hearth({"down"}).code);
  }
}

// "A ping has no deadline."
TEST_F(Bots, a_master_that_takes_a_connection_and_never_answers_is_told) {
  const std::string port = std::to_string(free_port());
  project(entry("master", "ready = { type = \"http\", url = \"http://127.0.0.1:" + port +
                              "/health\", timeout = \"0.2s\", interval = \"0.1s\" }\nstart_timeout = \"2s\"\n"
                              "restart = \"never\"\n"));
  Command starting = begin({"up"});
  const Actor master = stage->enter();
  EXPECT_EQ("ok", master.ask("listen " + port));
  const Output output = starting.wait();
  EXPECT_EQ(1, output.code);
  EXPECT_THAT(output.err, HasSubstr("no answer"));
}

// "Three daemons with three PID paths": whoever starts hearth, and wherever he stands, there is one.
TEST_F(Bots, who_starts_it_from_another_directory_meets_the_same_one) {
  project(entry("master"));
  ASSERT_EQ(0, up().code);
  (void)stage->enter();
  const pid_t keeper = status().keeper;
  for (const char* elsewhere : {"/", "/tmp"}) {
    const Output output = execute({"/bin/sh", "-c",
                                   std::string("cd ") + elsewhere + " && exec " + bin("hearth") + " --dir " +
                                       directory + " daemon --detach"})
                              .wait();
    EXPECT_EQ(0, output.code) << output.all();
    EXPECT_EQ(keeper, status().keeper);
  }
}

// "Documented options are refused or do nothing."
TEST_F(Bots, an_option_that_is_not_known_is_refused_with_its_line_and_the_nearest_name) {
  project("[service.master]\n" + puppet("master") + "restrat = \"never\"\n");
  const Output output = up();
  EXPECT_EQ(6, output.code);
  EXPECT_THAT(output.err, HasSubstr("hearth.toml:3"));
  EXPECT_THAT(output.err, HasSubstr("\"restart\""));
  EXPECT_TRUE(stage->quiet(0));
}

// "/health says ok, whatever has happened."
TEST_F(Bots, status_tells_who_is_down_and_why) {
  project(entry("master", "restart = \"never\"\n") + entry("worker"));
  ASSERT_EQ(0, up().code);
  std::map<std::string, Actor> actors = enter_all(2);
  actors["master"].order("exit 7");
  EXPECT_TRUE(until_state("master", "failed"));
  const Output output = hearth({"status"});
  EXPECT_NE(0, output.code);
  EXPECT_THAT(output.out, HasSubstr("exited with code 7"));
  EXPECT_EQ(0, hearth({"status", "worker"}).code);
}

// "SIGTERM handled twice."
TEST_F(Bots, one_stop_is_one_signal) {
  project(entry("master", "stop_timeout = \"60s\"\n"));
  ASSERT_EQ(0, up().code);
  const Actor master = stage->enter();
  EXPECT_EQ("ok", master.ask("catch 15"));
  Command stopping = begin({"stop", "master"});
  EXPECT_EQ("signal 15", master.hear());
  // Whoever decides is killed, and his successor looks at the same.
  kill_members("hearth-supervisor", SIGKILL);
  EXPECT_TRUE(until([&] { return status().answered; }));
  EXPECT_EQ("-", master.ask("variable NOBODYS")) << "another signal came in between";
  master.order("exit 0");
  EXPECT_EQ(0, stopping.wait().code);
}

// "Post-mortem: orphans, EADDRINUSE, no process groups."
TEST_F(Bots, a_master_that_is_killed_leaves_no_worker_that_keeps_the_port) {
  project("[service.master]\ncommand = [\"/bin/sh\", \"-c\", \"" + bin("hearth-test-puppet") + " " + stage->path() +
          " worker & exec " + bin("hearth-test-puppet") + " " + stage->path() + " master\"]\nrestart = \"never\"\n");
  ASSERT_EQ(0, up().code);
  std::map<std::string, Actor> actors = enter_all(2);
  const std::string listen = "listen " + std::to_string(free_port());
  EXPECT_EQ("ok", actors["worker"].ask(listen));
  EXPECT_TRUE(actors["master"].kill(SIGKILL));
  EXPECT_TRUE(actors["worker"].wait_end());
  EXPECT_TRUE(until_state("master", "failed"));
  Command starting = begin({"start", "master"});
  std::map<std::string, Actor> next = enter_all(2);
  EXPECT_EQ("ok", next["master"].ask(listen));
  EXPECT_EQ(0, starting.wait().code);
}

// "The restart counter never resets."
TEST_F(Bots, a_start_by_hand_forgets_the_failures_before) {
  project(entry("master", "max_restarts = 1\nbackoff = { initial = \"0s\" }\n"));
  ASSERT_EQ(0, up().code);
  stage->enter().order("exit 3");
  stage->enter().order("exit 3");
  EXPECT_TRUE(until_state("master", "failed"));
  Command starting = begin({"start", "master"});
  stage->enter().order("exit 3");  // once more is allowed again
  const Actor last = stage->enter();
  EXPECT_TRUE(last.alive());
  (void)starting.wait();
}

}  // namespace
}  // namespace hearth::test
