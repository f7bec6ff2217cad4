// What hurts users of voice, duplex and build (hurts.h).
#include "hurts.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "os/fd.h"

namespace hearth::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Voice : Hurts {};
struct Duplex : Hurts {};
struct Build : Hurts {};

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
  Actor stt = stage->enter();
  if (stt.label == "deaf") stt = stage->enter();  // on a busy machine it is ended before it enters
  ASSERT_EQ("stt", stt.label);
  EXPECT_FALSE(service("stt").ready);
  EXPECT_EQ("ok", stt.ask("notify READY=1"));
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

// "health_check.py calls a process without its socket a zombie", and leaves it to people to find and kill it.
TEST_F(Voice, a_process_that_has_lost_its_socket_is_restarted_with_that_reason) {
  const std::string path = base + "/stt.sock";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  os::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));  // played by the test
  ASSERT_EQ(0, ::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address));
  ASSERT_EQ(0, ::listen(socket.get(), 4096));  // nobody accepts
  project(entry("stt", "restart = \"always\"\nbackoff = { initial = 0 }\nlive = { type = \"unix\", path = \"" + path +
                           "\", interval = \"20ms\", timeout = \"30s\", failure_threshold = 2 }\n"));
  ASSERT_EQ(0, up().code);
  const Actor stt = stage->enter();
  EXPECT_TRUE(stage->quiet(100)) << "it has its socket";
  ASSERT_EQ(0, ::unlink(path.c_str()));
  socket.reset();
  EXPECT_TRUE(stt.wait_end());
  const Actor next = stage->enter();
  EXPECT_TRUE(next.here());
  EXPECT_EQ("liveness", service("stt").reason);
  EXPECT_THAT(hearth({"events", "stt"}).out, HasSubstr(path));
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
  EXPECT_TRUE(until([&] { return logged("discovery").find("[CACHE] Saved to disk") != std::string::npos; }));
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

// "The client spins for ever if the server dies in the middle of a reply."
TEST_F(Build, a_client_whose_hearth_is_gone_for_good_ends_with_an_error) {
  project(entry("setup", "ready = \"notify\"\n"));
  Command starting = begin({"up"});
  const Actor setup = stage->enter();
  EXPECT_TRUE(until_state("setup", "starting"));
  Command watching = begin({"wait", "setup", "--for", "ready"});
  Command following = begin({"events", "-f"});
  EXPECT_TRUE(until([&] { return following.out().find("setup") != std::string::npos; }));
  kill_everything();
  for (Command* client : {&starting, &watching}) {
    const Output output = client->wait();
    EXPECT_EQ(7, output.code) << output.all();
    EXPECT_THAT(output.err, HasSubstr("hearth"));
  }
  EXPECT_NE(-1, following.wait().code);
  EXPECT_TRUE(setup.alive()) << "the daemon itself is none the worse";
}

// "A missing dependency throws; no retry."
TEST_F(Build, who_needs_a_daemon_that_fails_is_started_when_that_is_up_at_last) {
  project(entry("discovery", "ready = \"notify\"\nbackoff = { initial = 0 }\n") +
          entry("orchestrator", "depends_on = [\"discovery\"]\n"));
  Command starting = begin({"up", "--no-wait"});
  for (int failures = 0; failures < 3; ++failures) {
    const Actor discovery = stage->enter();
    ASSERT_EQ("discovery", discovery.label);
    discovery.order("exit 3");
  }
  EXPECT_EQ(0, starting.wait().code);
  const Actor discovery = stage->enter();
  EXPECT_EQ(0U, service("orchestrator").restarts) << "its tries are not used up by others";
  EXPECT_EQ("ok", discovery.ask("notify READY=1"));
  EXPECT_EQ("orchestrator", stage->enter().label);
}

// "Reload is documented but absent": without losing what is cached, so in the same process.
TEST_F(Build, a_reload_reaches_the_daemon_which_goes_on_with_its_caches) {
  project(entry("compilation", "ready = \"notify\"\n"));
  Command starting = begin({"up"});
  const Actor compilation = stage->enter();
  EXPECT_EQ("ok", compilation.ask("catch 1"));
  EXPECT_EQ("ok", compilation.ask("notify READY=1"));
  EXPECT_EQ(0, starting.wait().code);
  Command reloading = begin({"reload", "compilation"});
  EXPECT_EQ("signal 01", compilation.hear());
  EXPECT_EQ("ok", compilation.ask("notify RELOADING=1\nMONOTONIC_USEC=1"));
  EXPECT_FALSE(reloading.ended());
  EXPECT_EQ("ok", compilation.ask("notify READY=1"));
  EXPECT_EQ(0, reloading.wait().code);
  EXPECT_EQ(compilation.pid, service("compilation").pid);
  EXPECT_EQ(0U, service("compilation").restarts);
}

}  // namespace
}  // namespace hearth::test
