// All of hearth and all of its services stopped together, for longer than each deadline that is under way, and continued
// in the worst order: who judges first, and those whom he judges last. What SIGSTOP does here a frozen cgroup or a paused virtual
// machine does as well. Nobody may be late for the time in which nobody ran.
#include <algorithm>
#include <cstdio>
#include <dirent.h>
#include <fcntl.h>
#include <fstream>
#include <poll.h>
#include <signal.h>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>

#include "instance.h"
#include "os/clock.h"
#include "os/proc_stat.h"

namespace hearth::test {
namespace {

using ::testing::HasSubstr;

// Of every deadline here; what is to be done within it takes milliseconds.
constexpr int span_ms = 6'000;
// Less is taken for a busy machine (tolerated_lateness).
constexpr int frozen_ms = span_ms + 500 + 700;

struct Suspended : Machine {
  ~Suspended() override { resume(); }

  static std::vector<pid_t> below(pid_t pid) {
    std::vector<pid_t> found;
    const std::string tasks = "/proc/" + std::to_string(pid) + "/task";
    DIR* directory = ::opendir(tasks.c_str());
    while (const dirent* entry = directory != nullptr ? ::readdir(directory) : nullptr) {
      std::ifstream children(tasks + "/" + entry->d_name + "/children");
      for (pid_t child = 0; children >> child;) {
        found.push_back(child);
        for (const pid_t further : below(child)) found.push_back(further);
      }
    }
    if (directory != nullptr) ::closedir(directory);
    return found;
  }

  // Those that were there; who has been started meanwhile comes in the next round.
  void stop_everything() {
    const InstanceView view = status();
    ASSERT_GT(view.keeper, 1);
    ASSERT_GT(view.supervisor, 1);
    stopped = {view.supervisor, view.keeper};
    for (const pid_t pid : stopped) stop_process(pid);
    EXPECT_TRUE(until([&] {
      bool all = true;
      for (const pid_t pid : below(view.keeper)) {
        os::ProcStat stat;
        if (!os::read_stat(pid, stat) || stat.state == 'T' || stat.state == 'Z' || stat.state == 'X') continue;
        all = false;
        ::kill(pid, SIGSTOP);
        if (std::ranges::find(stopped, pid) == stopped.end()) stopped.push_back(pid);
      }
      return all;
    }));
    ASSERT_GE(stopped.size(), 5u) << "keeper, supervisor, two spawners, logger, and what they run";
  }
  void resume() {
    for (const pid_t pid : stopped) ::kill(pid, SIGCONT);
    stopped.clear();
  }
  // Everybody is stopped until all that was under way has run out. Orders that were given before `resume` are obeyed at once.
  void freeze() {
    stop_everything();
    pass_time(frozen_ms);
  }

  // A pipe that a command of the instance reads: "read x < PATH" ends well when somebody writes.
  std::string make_pipe(const std::string& name) const {
    const std::string path = base + "/" + name;
    EXPECT_EQ(0, ::mkfifo(path.c_str(), 0666));
    EXPECT_EQ(0, ::chmod(path.c_str(), 0666));
    return path;
  }
  // Once somebody reads.
  os::Fd writer_of(const std::string& path) {
    os::Fd fd;
    EXPECT_TRUE(until([&] {
      fd.reset(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
      return static_cast<bool>(fd);
    }));
    return fd;
  }
  void expect_untouched(const Actor& web) {
    EXPECT_TRUE(web.alive());
    const ServiceView view = service();
    EXPECT_EQ("running", view.state) << view.reason_text;
    EXPECT_EQ(0u, view.restarts) << view.reason_text;
  }

  std::vector<pid_t> stopped;
};

TEST_F(Suspended, past_a_watchdog_deadline_nobody_is_killed_and_a_silence_is_one_again_afterwards) {
  project("[service.web]\nwatchdog = \"6s\"\nrestart = \"always\"\nbackoff = { initial = 0 }\n" + puppet());
  ASSERT_EQ(0, up().code);
  const Actor web = stage->enter();
  EXPECT_EQ("ok", web.ask("notify WATCHDOG=1"));
  EXPECT_EQ("closed", web.ask("barrier"));
  freeze();
  web.order("notify WATCHDOG=1");
  resume();
  EXPECT_EQ("ok", web.hear());
  EXPECT_EQ("closed", web.ask("barrier"));
  expect_untouched(web);
  EXPECT_TRUE(web.wait_end());
  EXPECT_TRUE(until([&] { return service().restarts == 1; }));
}

TEST_F(Suspended, whoever_of_hearth_is_stopped_is_named_by_status) {
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  const Actor web = stage->enter();
  const auto named = [&](const std::string& who, pid_t pid) {
    const std::string text = who + " (PID " + std::to_string(pid) + ") is stopped: ";
    return hearth({"status"}).out.find(text) != std::string::npos;
  };
  const auto check = [&](const std::string& who, pid_t pid) {
    ASSERT_GT(pid, 1);
    EXPECT_FALSE(named(who, pid));
    stopped.push_back(pid);
    stop_process(pid);
    EXPECT_TRUE(named(who, pid));
    resume();
    EXPECT_TRUE(until([&] { return !named(who, pid); }));
  };
  check("the keeper", status().keeper);
  check("the logger", members("hearth-logger").at(0));
  expect_untouched(web);
}

TEST_F(Suspended, past_a_start_timeout_the_start_goes_on) {
  project("[service.web]\nready = \"notify\"\nstart_timeout = \"6s\"\n" + puppet());
  Command waiting = begin({"up"});
  const Actor web = stage->enter();
  freeze();
  web.order("notify READY=1");
  resume();
  EXPECT_EQ("ok", web.hear());
  const Output output = waiting.wait();
  EXPECT_EQ(0, output.code) << output.all();
  expect_untouched(web);
  EXPECT_TRUE(service().ready);
}

TEST_F(Suspended, past_the_time_that_a_stop_has_nobody_is_killed) {
  project("[service.web]\nrestart = \"never\"\nstop_timeout = \"6s\"\n" + puppet());
  ASSERT_EQ(0, up().code);
  const Actor web = stage->enter();
  EXPECT_EQ("ok", web.ask("catch 15"));
  Command waiting = begin({"stop", "web"});
  EXPECT_TRUE(until_state("web", "stopping"));
  freeze();
  web.order("exit 7");
  resume();
  EXPECT_EQ(0, waiting.wait().code);
  EXPECT_TRUE(web.wait_end());
  EXPECT_EQ(7, service().exit_code) << "it ended by itself";
}

// The answer comes from the test, as from a service that was frozen when it was asked.
TEST_F(Suspended, a_question_that_nobody_could_answer_was_not_answered_badly) {
  const BoundPort port = bind_port();
  ASSERT_EQ(0, ::listen(port.socket.get(), 8));
  project("[service.web]\nlive = { type = \"http\", url = \"http://127.0.0.1:" + std::to_string(port.number) +
          "/\", timeout = \"6s\", interval = \"1h\", failure_threshold = 1 }\n" + puppet());
  ASSERT_EQ(0, up().code);
  const Actor web = stage->enter();
  pollfd asked{port.socket.get(), POLLIN, 0};
  ASSERT_EQ(1, ::poll(&asked, 1, patience_ms));
  const os::Fd peer(::accept4(port.socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
  freeze();
  resume();
  // Its supervisor has judged, and goes on asking.
  expect_untouched(web);
  const std::string answer = "HTTP/1.1 200 OK\r\n\r\n";
  EXPECT_EQ(static_cast<ssize_t>(answer.size()), ::send(peer.get(), answer.data(), answer.size(), MSG_NOSIGNAL));
  pollfd over{peer.get(), POLLRDHUP, 0};
  EXPECT_EQ(1, ::poll(&over, 1, patience_ms)) << "the answer is taken";
  expect_untouched(web);
}

TEST_F(Suspended, a_command_that_asks_has_its_whole_time_again) {
  const std::string pipe = make_pipe("asked");
  project("[service.web]\nlive = { type = \"exec\", command = [\"/bin/sh\", \"-c\", \"read x < " + pipe +
          "\"], timeout = \"6s\", interval = \"1h\", failure_threshold = 1 }\n" + puppet());
  ASSERT_EQ(0, up().code);
  const Actor web = stage->enter();
  const os::Fd answer = writer_of(pipe);
  freeze();
  EXPECT_EQ(1, ::write(answer.get(), "\n", 1));
  resume();
  pollfd over{answer.get(), 0, 0};  // POLLERR: it reads no more
  EXPECT_EQ(1, ::poll(&over, 1, patience_ms));
  expect_untouched(web);
}

TEST_F(Suspended, past_a_backoff_the_restart_is_made) {
  project("[service.web]\nrestart = \"always\"\nmax_restarts = 2\nbackoff = { initial = \"6s\", jitter = 0 }\n" +
          puppet());
  ASSERT_EQ(0, up().code);
  stage->enter().order("exit 1");
  EXPECT_TRUE(until_state("web", "backoff"));
  freeze();
  resume();
  const Actor next = stage->enter();
  EXPECT_TRUE(next.here());
  EXPECT_TRUE(until_state("web", "running"));
  EXPECT_EQ(1u, service().restarts);
}

TEST_F(Suspended, past_the_time_of_a_command_around_its_life_that_goes_on) {
  const std::string pipe = make_pipe("prepared");
  project("[service.web]\nrestart = \"never\"\nbefore_start = { command = [\"/bin/sh\", \"-c\", \"read x < " + pipe +
          "\"], timeout = \"6s\" }\n" + puppet());
  Command waiting = begin({"up"});
  const os::Fd done = writer_of(pipe);
  freeze();
  EXPECT_EQ(1, ::write(done.get(), "\n", 1));
  resume();
  const Output output = waiting.wait();
  EXPECT_EQ(0, output.code) << output.all();
  expect_untouched(stage->enter());
}

}  // namespace
}  // namespace hearth::test
