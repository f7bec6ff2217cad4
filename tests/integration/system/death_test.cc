// Anything of hearth may die at any time; services do not notice, and nothing is forgotten.
#include <algorithm>
#include <cstring>
#include <poll.h>
#include <set>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <gmock/gmock.h>

#include "instance.h"
#include "os/proc_stat.h"
#include "support/processes.h"

namespace hearth::test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

struct Death : Machine {
  Actor start(const std::string& more = "") {
    project("[service.web]\nrestart = \"always\"\nbackoff = { initial = 0 }\n" + puppet() + more);
    const Output output = up();
    EXPECT_EQ(0, output.code) << output.all();
    return stage->enter();
  }
};

TEST_F(Death, up_in_flight_survives_the_supervisor) {
  project("[service.web]\nready = \"notify\"\n" + puppet());
  Command waiting = begin({"up"});
  Actor web = stage->enter();
  const pid_t supervisor = status().supervisor;
  kill_members("hearth-supervisor", SIGKILL);
  EXPECT_EQ("ok", web.ask("notify READY=1"));
  const Output output = waiting.wait();
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_EQ(web.pid, service().pid);
  EXPECT_NE(supervisor, status().supervisor);
  EXPECT_EQ(1u, status().takeovers);
}

TEST_F(Death, up_in_flight_survives_the_keeper) {
  project("[service.web]\nready = \"notify\"\n" + puppet());
  Command waiting = begin({"up"});
  Actor web = stage->enter();
  const pid_t keeper = status().keeper;
  kill_members("hearth-keeper", SIGKILL);
  EXPECT_EQ("ok", web.ask("notify READY=1"));
  const Output output = waiting.wait();
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_EQ(web.pid, service().pid);
  EXPECT_TRUE(until([&] { return status().keeper != keeper; }));
  // And it is a keeper like the first: restarts go on.
  EXPECT_EQ(0, hearth({"stop", "web"}).code);
  EXPECT_FALSE(web.alive());
  expect_clean_shutdown();
}

TEST_F(Death, a_keeper_that_cannot_be_started_is_told_once_and_tried_until_it_can) {
  use_copies_of_programs();
  const Actor web = start();
  const pid_t keeper = status().keeper;
  const std::string program = bin("hearth-keeper");
  // Of the file itself: its name is not asked for again.
  ASSERT_EQ(0, ::chmod(program.c_str(), 0600));
  kill_members("hearth-keeper", SIGKILL);
  ASSERT_TRUE(until([&] { return status().notes_text().find("no other could be started") != std::string::npos; }));
  // Each try is a process that cannot execute the program and exits with 127. Its parent has ended: so it is our child.
  int tries = 0;
  ASSERT_TRUE(until([&] {
    for (const support::Ended& ended : support::reap())
      tries += WIFEXITED(ended.status) && WEXITSTATUS(ended.status) == 127;
    return tries >= 3;
  }));
  EXPECT_THAT(hearth({"doctor"}).out,
              HasSubstr("its keeper (PID " + std::to_string(keeper) + ") is dead, and no other is there yet"));
  std::multiset<std::string> told;
  for (const std::string& note : status().notes)
    if (note.find("no other could be started") != std::string::npos) told.insert(note);
  for (const std::string& note : told) EXPECT_EQ(1u, told.count(note)) << note;
  EXPECT_THAT(told, Contains(HasSubstr("the program that the keeper ran")));
  EXPECT_THAT(told, Contains(HasSubstr(program))) << "of which another may lie there";
  ASSERT_EQ(0, ::chmod(program.c_str(), 0755));
  EXPECT_TRUE(until([&] { return status().keeper != keeper; }));
  EXPECT_EQ(web.pid, service().pid);
  expect_clean_shutdown();
}

TEST_F(Death, a_stop_in_flight_survives_the_supervisor_and_sends_its_signal_once) {
  Actor web = start("stop_timeout = \"60s\"\n");
  EXPECT_EQ("ok", web.ask("catch 15"));
  Command stopping = begin({"stop", "web"});
  EXPECT_EQ("signal 15", web.hear());
  kill_members("hearth-supervisor", SIGKILL);
  EXPECT_TRUE(until_state("web", "stopping"));
  EXPECT_EQ("here", (web.order("variable HERE"), web.hear()) == "-" ? "here" : "a second TERM");
  web.order("exit 0");
  EXPECT_EQ(0, stopping.wait().code);
}

TEST_F(Death, an_exit_that_nobody_watched_is_known_with_its_code) {
  project("[service.web]\nrestart = \"never\"\n" + puppet());
  ASSERT_EQ(0, up().code);
  const Actor web = stage->enter();
  const pid_t supervisor = status().supervisor;
  ASSERT_EQ(0, ::kill(supervisor, SIGSTOP));
  web.order("exit 42");
  EXPECT_TRUE(web.wait_end());
  ASSERT_EQ(0, ::kill(supervisor, SIGKILL));
  EXPECT_TRUE(until_state("web", "failed"));
  EXPECT_EQ(42, service().exit_code);
}

TEST_F(Death, a_supervisor_killed_again_and_again_costs_no_line_and_no_service) {
  Actor web = start();
  std::string expected;
  for (int round = 0; round < 8; ++round) {
    web.order("lines 5000");
    kill_members("hearth-supervisor", SIGKILL);
    EXPECT_EQ("ok", web.hear());
    for (int i = 1; i <= 5000; ++i) expected += "line " + std::to_string(i) + "\n";
  }
  EXPECT_TRUE(until([&] { return logged().size() >= expected.size(); }));
  EXPECT_TRUE(logged() == expected);
  EXPECT_EQ(web.pid, service().pid);
  EXPECT_EQ(0u, service().restarts);
}

TEST_F(Death, a_logger_killed_again_and_again_costs_no_line) {
  Actor web = start();
  std::string expected;
  for (int round = 0; round < 8; ++round) {
    web.order("lines 20000");
    kill_members("hearth-logger", SIGKILL);
    EXPECT_EQ("ok", web.hear());
    for (int i = 1; i <= 20'000; ++i) expected += "line " + std::to_string(i) + "\n";
  }
  EXPECT_TRUE(until([&] { return logged().size() >= expected.size(); }));
  EXPECT_TRUE(logged() == expected);
}

TEST_F(Death, without_spawners_the_next_start_makes_new_ones) {
  Actor web = start();
  for (int round = 0; round < 3; ++round) {
    kill_members("hearth-spawner", SIGKILL);
    web.kill(SIGKILL);
    web = stage->enter();
    EXPECT_TRUE(web.alive());
  }
}

TEST_F(Death, after_the_death_of_everything_the_same_processes_are_taken_up_again) {
  Actor web = start();
  kill_everything();
  EXPECT_TRUE(web.alive());
  EXPECT_EQ("ok", web.ask("print nobody reads this now"));
  const Output asked = hearth({"status"});
  EXPECT_NE(0, asked.code) << "status starts nothing: " << asked.all();
  const Output output = up();
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_EQ(web.pid, service().pid);
  EXPECT_EQ(std::stoull(web.run), service().run);
  EXPECT_TRUE(until([&] { return logged() == "nobody reads this now\n"; })) << logged();
  EXPECT_EQ("ok", web.ask("notify STATUS=heard again"));
  EXPECT_EQ("closed", web.ask("barrier"));
  EXPECT_EQ("heard again", service().status);
  // It is supervised as before: its end is seen, and its successor comes.
  web.order("exit 7");
  EXPECT_TRUE(web.wait_end());
  reap();
  const Actor next = stage->enter();
  EXPECT_GT(std::stoull(next.run), std::stoull(web.run));
  expect_clean_shutdown();
}

TEST_F(Death, who_ended_while_all_of_hearth_was_dead_is_started_again_and_said_to_be_lost) {
  Actor web = start();
  kill_everything();
  web.order("exit 3");
  EXPECT_TRUE(web.wait_end());
  reap();
  Command again = begin({"up"});
  const Actor next = stage->enter();
  EXPECT_EQ(0, again.wait().code);
  EXPECT_NE(web.pid, next.pid);
  expect_clean_shutdown();
}

TEST_F(Death, a_stopped_service_stays_stopped_through_the_death_of_everything) {
  const Actor web = start();
  EXPECT_EQ(0, hearth({"stop", "web"}).code);
  // The list on disk is written a little later, off the path of supervision.
  EXPECT_TRUE(until([&] {
    return os::read_file(directory + "/runs.json").value_or("").find("\"want_up\":false") != std::string::npos;
  }));
  kill_everything();
  EXPECT_EQ(0, hearth({"run", "--name", "other", "--", bin("hearth-test-puppet"), stage->path(), "other"}).code);
  EXPECT_EQ("other", stage->enter().label);
  EXPECT_EQ("stopped", service().state);
}

// Keeper and supervisor are killed while a shutdown waits for a service.
TEST_F(Death, a_shutdown_during_which_all_of_hearth_dies_ends_the_services_all_the_same) {
  const Actor web = start("stop_timeout = \"60s\"\n");
  EXPECT_EQ("ok", web.ask("catch 15"));
  Command ending = begin({"shutdown"});
  EXPECT_EQ("signal 15", web.hear());
  kill_everything();
  reap();
  // Another one goes on, and has the time that it had: one signal, and no KILL.
  EXPECT_TRUE(until([&] { return status().answered; }));
  EXPECT_EQ("-", web.ask("variable NOBODYS"));
  EXPECT_FALSE(ending.ended());
  web.order("exit 0");
  const Output output = ending.wait();
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_THAT(output.err, HasSubstr("all of hearth died during the shutdown"));
  EXPECT_THAT(output.out, HasSubstr("Shutdown complete"));
  EXPECT_FALSE(web.alive());
}

TEST_F(Death, a_shutdown_whose_keeper_is_stopped_says_so_and_goes_on_with_it) {
  const Actor web = start();
  const pid_t keeper = status().keeper;
  ::kill(keeper, SIGSTOP);
  Command ending = begin({"shutdown"});
  EXPECT_TRUE(until([&] {
    return ending.err().find("`kill -CONT " + std::to_string(keeper) + "`") != std::string::npos;
  })) << ending.err();
  EXPECT_FALSE(ending.ended());
  EXPECT_TRUE(web.alive());
  ::kill(keeper, SIGCONT);
  const Output output = ending.wait();
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_THAT(output.out, HasSubstr("Shutdown complete"));
  EXPECT_FALSE(web.alive());
}

// Whoever waits is told why nothing happens, whatever it waits for, and by whom it goes on.
TEST_F(Death, a_stopped_keeper_is_told_to_whoever_waits_for_what_it_does) {
  const Actor web = start();
  const pid_t keeper = status().keeper;
  const std::string remedy = "`kill -CONT " + std::to_string(keeper) + "`";
  for (const std::vector<std::string>& words : {std::vector<std::string>{"restart", "web"},
                                                {"wait", "web", "--for", "stopped"},
                                                {"run", "--name", "late", "--", "/bin/true"}}) {
    stop_process(keeper);
    Command waiting = begin(words);
    EXPECT_TRUE(until([&] { return waiting.err().find(remedy) != std::string::npos; }))
        << words[0] << ": " << waiting.err();
    EXPECT_FALSE(waiting.ended()) << words[0];
    ::kill(keeper, SIGCONT);
    if (words[0] == "wait") {
      waiting.signal(SIGINT);
    } else if (words[0] == "restart") {
      (void)stage->enter();
    }
    const Output output = waiting.wait();
    EXPECT_EQ(output.err.find(remedy), output.err.rfind(remedy)) << "told again: " << output.err;
  }
}

TEST_F(Death, a_stopped_supervisor_is_told_to_whoever_gives_an_order) {
  const Actor web = start();
  const pid_t supervisor = status().supervisor;
  stop_process(supervisor);
  Command stopping = begin({"stop", "web"});
  EXPECT_TRUE(until([&] {
    return stopping.err().find("`kill -CONT " + std::to_string(supervisor) + "`") != std::string::npos;
  })) << stopping.err();
  EXPECT_FALSE(stopping.ended());
  ::kill(supervisor, SIGCONT);
  const Output output = stopping.wait();
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_EQ("stopped", service().state);
}

TEST_F(Death, a_terminal_signal_to_the_keeper_stops_everything) {
  const Actor web = start();
  const pid_t keeper = status().keeper;
  const os::Fd pidfd(os::pidfd_open(keeper));
  ASSERT_EQ(0, ::kill(keeper, SIGTERM));
  pollfd polled{pidfd.get(), POLLIN, 0};
  EXPECT_EQ(1, ::poll(&polled, 1, patience_ms));
  EXPECT_FALSE(web.alive());
  EXPECT_FALSE(exists(directory + "/api.sock"));
}

TEST_F(Death, a_quit_signal_to_the_keeper_leaves_the_services_for_the_next_hearth) {
  const Actor web = start();
  const pid_t keeper = status().keeper;
  const os::Fd pidfd(os::pidfd_open(keeper));
  ASSERT_EQ(0, ::kill(keeper, SIGQUIT));
  pollfd polled{pidfd.get(), POLLIN, 0};
  EXPECT_EQ(1, ::poll(&polled, 1, patience_ms));
  EXPECT_TRUE(web.alive());
  EXPECT_EQ(0, up().code);
  EXPECT_EQ(web.pid, service().pid);
  expect_clean_shutdown();
  EXPECT_FALSE(web.alive());
}

TEST_F(Death, a_directory_can_be_used_again_after_a_shutdown_that_left_nothing) {
  for (int round = 0; round < 3; ++round) {
    const Actor web = start();
    EXPECT_TRUE(web.alive());
    expect_clean_shutdown();
    EXPECT_FALSE(web.alive());
  }
  // Nobody was killed on the way out.
  const std::string said = os::read_file(directory + "/hearth.log").value_or("no hearth.log: died");
  EXPECT_EQ(std::string::npos, said.find("died")) << said;
}

TEST_F(Death, in_the_foreground_it_tells_the_service_manager_when_it_is_ready_and_when_it_ends) {
  const os::Fd manager(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, (base + "/manager").c_str(), sizeof address.sun_path - 1);
  ASSERT_EQ(0, ::bind(manager.get(), reinterpret_cast<sockaddr*>(&address), sizeof address));
  const auto told = [&] {
    char text[64];
    pollfd polled{manager.get(), POLLIN, 0};
    const ssize_t n = ::poll(&polled, 1, patience_ms) == 1 ? ::recv(manager.get(), text, sizeof text, 0) : 0;
    return std::string(text, static_cast<std::size_t>(n > 0 ? n : 0));
  };
  Command daemon = execute({bin("hearth"), "--dir", directory, "daemon"},
                           [&] { ::setenv("NOTIFY_SOCKET", (base + "/manager").c_str(), 1); });
  EXPECT_EQ("READY=1", told());
  EXPECT_EQ(daemon.pid(), status().keeper) << "the main process is the keeper";
  const Actor web = start();
  EXPECT_NE(base + "/manager", web.ask("variable NOTIFY_SOCKET")) << "that is nothing for services";
  daemon.signal(SIGTERM);
  EXPECT_EQ("STOPPING=1", told());
  EXPECT_EQ(0, daemon.wait().code);
  EXPECT_FALSE(web.alive());
}

TEST_F(Death, two_that_start_hearth_at_the_same_time_share_one) {
  project("[service.web]\n" + puppet());
  Command first = begin({"up"});
  Command second = begin({"up"});
  const Actor web = stage->enter();
  EXPECT_EQ(0, first.wait().code);
  EXPECT_EQ(0, second.wait().code);
  EXPECT_TRUE(stage->quiet(0)) << "one process only";
  EXPECT_EQ(web.pid, service().pid);
}

}  // namespace
}  // namespace hearth::test
