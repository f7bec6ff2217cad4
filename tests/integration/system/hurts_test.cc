// What hurts users of the five reference systems today, each named after the system and what went wrong there, and shown
// not to go wrong here. Only what concerns the life cycle.
//
//   voice     a speech-to-text daemon with its own stop script
//   duplex    a voice pipeline of Python processes
//   build     four build daemons started by shell scripts
//   describe  a workflow's model daemon behind a wrapper
//   bots      a master with workers for many projects
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <gmock/gmock.h>

#include "instance.h"
#include "os/fd.h"

namespace hearth::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Hurts : Machine {
  std::string entry(const std::string& name, const std::string& more = {}) {
    return "[service." + name + "]\n" + puppet(name) + more;
  }
  // Enters as many as there are, by label.
  std::map<std::string, Actor> enter_all(std::size_t count) {
    std::map<std::string, Actor> actors;
    while (actors.size() < count) {
      Actor actor = stage->enter();
      if (!actor.here()) break;
      const std::string label = actor.label;
      actors[label] = std::move(actor);
    }
    EXPECT_EQ(count, actors.size());
    return actors;
  }
};

struct Voice : Hurts {};
struct Duplex : Hurts {};
struct Build : Hurts {};
struct Describe : Hurts {};
struct Bots : Hurts {};

// "Startup clean-up SIGKILLs anything whose command line mentions the module, the healthy daemon and editors included, and
// deletes the live socket."
TEST_F(Voice, a_start_kills_neither_the_healthy_daemon_nor_who_is_called_like_it) {
  project(entry("stt", "listen = [{ name = \"api\", address = \"unix:" + base + "/stt.sock\" }]\n"));
  ASSERT_EQ(0, up().code);
  const Actor stt = stage->enter();
  struct stat before{}, after{};
  ASSERT_EQ(0, ::stat((base + "/stt.sock").c_str(), &before));
  Command editor = execute({"/bin/bash", "-c", "exec -a 'vim hearth-test-puppet stt' sleep 1000"});
  const Output again = up();
  EXPECT_EQ(0, again.code) << again.all();
  EXPECT_TRUE(stt.alive());
  EXPECT_FALSE(editor.ended());
  EXPECT_EQ(stt.pid, service("stt").pid);
  ASSERT_EQ(0, ::stat((base + "/stt.sock").c_str(), &after));
  EXPECT_EQ(before.st_ino, after.st_ino);
  EXPECT_EQ(before.st_ctim.tv_sec, after.st_ctim.tv_sec);
  EXPECT_EQ(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
}

// "'Already running' is unreachable."
TEST_F(Voice, a_second_start_says_that_it_runs_already) {
  project(entry("stt"));
  ASSERT_EQ(0, up().code);
  const Actor stt = stage->enter();
  const Output again = hearth({"start", "stt"});
  EXPECT_EQ(0, again.code);
  EXPECT_THAT(again.all(), HasSubstr("running as before (PID " + std::to_string(stt.pid) + ")"));
  EXPECT_TRUE(stage->quiet(0));
}

// "Bound socket is not model loaded; start prints success even if the socket never appeared."
TEST_F(Voice, a_start_succeeds_when_the_model_is_loaded_and_fails_when_it_never_is) {
  project(entry("stt", "ready = \"notify\"\n") + entry("deaf",
                                                       "ready = \"notify\"\nstart_timeout = \"0.5s\"\n"
                                                       "restart = \"never\"\n"));
  Command starting = begin({"up"});
  std::map<std::string, Actor> actors = enter_all(2);
  EXPECT_FALSE(service("stt").ready);
  EXPECT_EQ("ok", actors["stt"].ask("notify READY=1"));
  const Output output = starting.wait();
  EXPECT_EQ(1, output.code) << output.all();
  EXPECT_THAT(output.all(), HasSubstr("deaf"));
  EXPECT_TRUE(service("stt").ready);
}

// "The stop script greps a flag that start no longer passes, so a restart collides on the port."
TEST_F(Voice, a_restart_frees_the_port_before_it_is_taken_again) {
  // It listens before it enters, and ends when it cannot.
  project("[service.stt]\ncommand = [\"@PUPPET@\", \"@STAGE@\", \"stt\", \"" + std::to_string(free_port()) +
          "\"]\nrestart = \"never\"\n");
  ASSERT_EQ(0, up().code);
  const Actor before = stage->enter();
  const Output output = hearth({"restart", "stt"});
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_FALSE(before.alive());
  EXPECT_TRUE(stage->enter().here());
}

// "'Shutdown complete' is printed nowhere in the code."
TEST_F(Voice, the_end_is_told) {
  project(entry("stt"));
  ASSERT_EQ(0, up().code);
  const Actor stt = stage->enter();
  const Output output = hearth({"shutdown"});
  EXPECT_EQ(0, output.code);
  EXPECT_THAT(output.out, HasSubstr("Shutdown complete"));
  EXPECT_FALSE(stt.alive());
}

// "Prints 'stopped', then never exits: blocked writing to a pipe that nobody reads."
TEST_F(Duplex, who_is_blocked_writing_is_ended_all_the_same) {
  project(
      "[service.tts]\ncommand = [\"/bin/sh\", \"-c\", \"trap '' TERM; cat /dev/zero | sleep 1000\"]\n"
      "stop_timeout = \"0.5s\"\n");
  ASSERT_EQ(0, up().code);
  const Output output = hearth({"stop", "tts"});
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_EQ("stopped", service("tts").state);
}

// "A worker that dies loading its model is never noticed."
TEST_F(Duplex, a_worker_that_dies_loading_its_model_is_told_with_its_last_lines) {
  project(
      "[service.llm]\ncommand = [\"/bin/sh\", \"-c\", \"echo cannot load model.gguf; exit 3\"]\nready = \"notify\"\n"
      "restart = \"never\"\n");
  const Output output = up();
  EXPECT_EQ(1, output.code);
  EXPECT_THAT(output.all(), HasSubstr("cannot load model.gguf"));
  const ServiceView llm = service("llm");
  EXPECT_EQ("failed", llm.state);
  EXPECT_EQ(3, llm.exit_code);
}

// "terminate() is followed by neither join nor SIGKILL."
TEST_F(Duplex, who_does_not_listen_to_term_is_killed_after_its_grace) {
  project(entry("stt", "stop_timeout = \"0.5s\"\n"));
  ASSERT_EQ(0, up().code);
  const Actor stt = stage->enter();
  EXPECT_EQ("ok", stt.ask("catch 15"));
  EXPECT_EQ(0, hearth({"stop", "stt"}).code);
  EXPECT_EQ("signal 15", stt.hear());
  EXPECT_FALSE(stt.alive());
  EXPECT_EQ(9, service("stt").exit_signal);
}

// "v2.17: reports all tests passed when nothing was found": an unknown name is no success.
TEST_F(Duplex, an_order_about_nobody_is_an_error_and_names_the_nearest) {
  project(entry("stt"));
  ASSERT_EQ(0, up().code);
  (void)stage->enter();
  const Output output = hearth({"restart", "sst"});
  EXPECT_EQ(2, output.code);
  EXPECT_THAT(output.err, HasSubstr("stt"));
}

// "A stage that hangs starves the others, and nothing shows it."
TEST_F(Duplex, a_stage_that_hangs_is_restarted_alone_and_the_reason_is_told) {
  project(entry("stt", "watchdog = \"0.3s\"\nready = \"notify\"\nbackoff = { initial = \"0s\" }\n") + entry("tts"));
  Command starting = begin({"up"});
  std::map<std::string, Actor> actors = enter_all(2);
  EXPECT_EQ("ok", actors["stt"].ask("notify READY=1"));
  EXPECT_EQ(0, starting.wait().code);
  const Actor again = stage->enter();  // nobody says WATCHDOG=1
  EXPECT_EQ("stt", again.label);
  EXPECT_TRUE(actors["tts"].alive());
  EXPECT_THAT(hearth({"events", "stt"}).out, HasSubstr("WATCHDOG=1"));
}

// "start_all.sh twice: live PID files are overwritten, status shows 4 STOPPED, stop_all does nothing."
TEST_F(Build, started_twice_there_are_four_daemons_and_a_stop_stops_them) {
  std::string text;
  for (const char* name : {"discovery", "setup", "compilation", "orchestrator"}) text += entry(name);
  project(text);
  ASSERT_EQ(0, up().code);
  std::map<std::string, Actor> actors = enter_all(4);
  ASSERT_EQ(0, up().code);
  EXPECT_TRUE(stage->quiet(0));
  EXPECT_EQ(0, hearth({"status"}).code);
  EXPECT_EQ(0, hearth({"down"}).code);
  for (const auto& [name, actor] : actors) EXPECT_FALSE(actor.alive()) << name;
}

// "Start order random (hash array), the orchestrator third of four."
TEST_F(Build, daemons_start_in_the_order_of_what_they_need) {
  project(entry("orchestrator", "depends_on = [\"compilation\"]\n") +
          entry("compilation", "depends_on = [\"setup\"]\nready = \"notify\"\n") +
          entry("setup", "depends_on = [\"discovery\"]\nready = \"notify\"\n") +
          entry("discovery", "ready = \"notify\"\n"));
  Command starting = begin({"up"});
  for (const char* name : {"discovery", "setup", "compilation"}) {
    const Actor actor = stage->enter();
    EXPECT_EQ(name, actor.label);
    EXPECT_TRUE(stage->quiet(0)) << "before " << name << " was ready";
    EXPECT_EQ("ok", actor.ask("notify READY=1"));
  }
  EXPECT_EQ("orchestrator", stage->enter().label);
  EXPECT_EQ(0, starting.wait().code);
}

// "A bare TCP connect, the tool's own readiness check, ends the daemon."
TEST_F(Build, nobody_connects_to_a_daemon_that_was_not_asked_for_a_probe) {
  const BoundPort port = bind_port();
  ASSERT_EQ(0, ::fcntl(port.socket.get(), F_SETFL, O_NONBLOCK));
  ASSERT_EQ(0, ::listen(port.socket.get(), 8));
  project(entry("setup", "env = { PORT = " + std::to_string(port.number) + " }\nready = \"notify\"\n"));
  Command starting = begin({"up"});
  const Actor setup = stage->enter();
  EXPECT_EQ("ok", setup.ask("notify READY=1"));
  EXPECT_EQ(0, starting.wait().code);
  EXPECT_EQ(0, hearth({"status"}).code);
  EXPECT_EQ(-1, ::accept(port.socket.get(), nullptr, nullptr));
}

// "The connectivity test prints RESPONDING with daemons down."
TEST_F(Build, status_of_a_daemon_that_is_down_is_no_success) {
  project(entry("setup", "restart = \"never\"\n"));
  ASSERT_EQ(0, up().code);
  const Actor setup = stage->enter();
  setup.order("exit 3");
  EXPECT_TRUE(until_state("setup", "failed"));
  EXPECT_NE(0, hearth({"status", "setup"}).code);
}

// "The topological sort has no cycle check; a missing dependency throws."
TEST_F(Build, a_cycle_and_a_missing_dependency_are_refused_by_name_and_nothing_starts) {
  project(entry("a", "depends_on = [\"b\"]\n") + entry("b", "depends_on = [\"a\"]\n"));
  const Output cycle = up();
  EXPECT_EQ(6, cycle.code);
  EXPECT_THAT(cycle.err, HasSubstr("a"));
  EXPECT_THAT(cycle.err, HasSubstr("cycle"));
  project(entry("a", "depends_on = [\"zebra\"]\n"));
  const Output missing = up();
  EXPECT_EQ(6, missing.code);
  EXPECT_THAT(missing.err, HasSubstr("zebra"));
  EXPECT_TRUE(stage->quiet(0));
}

// "Two daemons share a port, and whoever was second dies of it without a word."
TEST_F(Build, a_port_that_another_daemon_has_is_told_with_its_owner) {
  const std::string port = std::to_string(free_port());
  project(entry("setup", "ports = [" + port + "]\n") +
          entry("discovery", "autostart = false\nrestart = \"never\"\nports = [" + port + "]\n"));
  ASSERT_EQ(0, up().code);
  const Actor setup = stage->enter();
  ASSERT_EQ("ok", setup.ask("listen " + port));
  const Output output = hearth({"start", "discovery"});
  EXPECT_EQ(1, output.code) << output.all();
  EXPECT_THAT(output.err, HasSubstr(port));
  EXPECT_THAT(output.err, HasSubstr("PID " + std::to_string(setup.pid)));
  EXPECT_TRUE(setup.alive());
}

// "KILL half a second after TERM: caches are never saved."
TEST_F(Build, who_saves_its_caches_at_the_end_hears_term_first_and_is_waited_for) {
  project(entry("discovery"));
  ASSERT_EQ(0, up().code);
  const Actor discovery = stage->enter();
  EXPECT_EQ("ok", discovery.ask("catch 15"));
  Command stopping = begin({"stop", "discovery"});
  EXPECT_EQ("signal 15", discovery.hear());
  EXPECT_EQ("ok", discovery.ask("print [CACHE] Saved to disk"));
  discovery.order("exit 0");
  EXPECT_EQ(0, stopping.wait().code);
  EXPECT_EQ(0, service("discovery").exit_code);
  EXPECT_THAT(logged("discovery"), HasSubstr("[CACHE] Saved to disk"));
}

// "health_check.sh restarts what was stopped on purpose, or all of them."
TEST_F(Build, only_who_died_is_restarted_and_a_deliberate_stop_is_respected) {
  std::string text;
  for (const char* name : {"discovery", "setup", "compilation"}) text += entry(name, "restart = \"always\"\n");
  project(text);
  ASSERT_EQ(0, up().code);
  std::map<std::string, Actor> actors = enter_all(3);
  ASSERT_EQ(0, hearth({"stop", "setup"}).code);
  EXPECT_TRUE(actors["discovery"].kill(SIGKILL));
  EXPECT_EQ("discovery", stage->enter().label);
  EXPECT_TRUE(actors["compilation"].alive());
  EXPECT_TRUE(stage->quiet(0));
  EXPECT_EQ("stopped", service("setup").state);
  EXPECT_EQ(0U, service("compilation").restarts);
}

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

// "Every worker dies: the 'already running' check also runs in the fork."
TEST_F(Bots, a_worker_that_calls_hearth_itself_ends_nobody) {
  project("[service.master]\ncommand = [\"/bin/sh\", \"-c\", \"" + bin("hearth") + " --dir $HEARTH_INSTANCE status; " +
          bin("hearth") + " --dir $HEARTH_INSTANCE daemon; exec " + bin("hearth-test-puppet") + " " + stage->path() +
          " master\"]\n");
  ASSERT_EQ(0, up().code);
  const Actor master = stage->enter();
  EXPECT_TRUE(master.alive());
  EXPECT_THAT(logged("master"), HasSubstr("hearth runs already"));
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
