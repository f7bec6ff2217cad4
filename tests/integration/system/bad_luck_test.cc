// What goes wrong by itself: hangs, floods, loops, clocks, cut connections.
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <signal.h>
#include <sys/fanotify.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "instance.h"

namespace hearth::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

struct BadLuck : Machine {
  static std::string numbered(int count) {
    std::string text;
    for (int i = 1; i <= count; ++i) text += "line " + std::to_string(i) + "\n";
    return text;
  }
  os::Fd api() {
    os::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, (directory + "/api.sock").c_str(), sizeof address.sun_path - 1);
    EXPECT_EQ(0, ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address));
    return fd;
  }
};

TEST_F(BadLuck, an_exec_that_hangs_is_told_and_stops_nobody_else) {
  if (!root()) GTEST_SKIP() << "only root can make an exec hang";
  std::filesystem::copy_file(bin("hearth-test-puppet"), base + "/slow");
  const os::Fd guard(::fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK, O_RDONLY | O_CLOEXEC));
  if (!guard || ::fanotify_mark(guard.get(), FAN_MARK_ADD, FAN_OPEN_EXEC_PERM, AT_FDCWD, (base + "/slow").c_str()) < 0)
    GTEST_SKIP() << "fanotify has no permission events here: " << std::strerror(errno);
  project("[service.slow]\ncommand = [\"@BASE@/slow\", \"@STAGE@\", \"slow\"]\n[service.web]\n" + puppet());
  ASSERT_EQ(0, up({"--no-wait"}).code);
  EXPECT_TRUE(stage->enter().alive()) << "web starts meanwhile";
  EXPECT_TRUE(until([&] { return service("slow").reason_text.find("hangs for") != std::string::npos; }))
      << service("slow").reason_text;
  EXPECT_THAT(service("slow").reason_text, HasSubstr(base + "/slow"));
  EXPECT_EQ("starting", service("slow").state);
  // Still, after the spawner was replaced.
  EXPECT_EQ(0, hearth({"run", "--name", "late", "--", bin("hearth-test-puppet"), stage->path(), "late"}).code);
  EXPECT_EQ("late", stage->enter().label);
  const Output stopped = hearth({"stop", "slow", "--timeout", "15s"});
  EXPECT_EQ(0, stopped.code) << stopped.all();
  EXPECT_EQ("stopped", service("slow").state);
}

TEST_F(BadLuck, a_service_that_floods_its_log_takes_nothing_from_another) {
  project("[service.flood]\nlog = { max_size = \"1MiB\", max_files = 2 }\n" + puppet("flood") +
          "[service.web]\nrestart = \"always\"\nbackoff = { initial = 0 }\n" + puppet());
  ASSERT_EQ(0, up().code);
  Actor flood, web;
  for (int i = 0; i < 2; ++i) {
    Actor actor = stage->enter();
    (actor.label == "web" ? web : flood) = std::move(actor);
  }
  EXPECT_EQ("ok", flood.ask("flood"));
  std::string expected;
  for (int round = 0; round < 5; ++round) {
    web.order("lines 20000");
    EXPECT_EQ("ok", web.hear());
    expected += numbered(20'000);
    web.kill(SIGKILL);
    web = stage->enter();
  }
  EXPECT_TRUE(until([&] { return logged().size() >= expected.size(); }));
  EXPECT_TRUE(logged() == expected) << "each line once, in order";
  EXPECT_EQ(0, hearth({"stop", "flood"}).code);
}

TEST_F(BadLuck, ten_megabytes_without_a_newline_arrive) {
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  Actor web = stage->enter();
  web.order("bytes 10000000");
  EXPECT_EQ("ok", web.hear());
  EXPECT_TRUE(until([&] { return logged().size() == 10'000'000; }));
  EXPECT_EQ(std::string::npos, logged().find_first_not_of('x'));
  EXPECT_EQ(0, hearth({"logs", "web", "-n", "5"}).code);
}

TEST_F(BadLuck, binary_output_is_kept_byte_by_byte) {
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  Actor web = stage->enter();
  EXPECT_EQ("ok", web.ask("binary"));
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  EXPECT_TRUE(until([&] { return logged() == all + "\n"; }));
  EXPECT_EQ(0, hearth({"logs", "web"}).code);
}

TEST_F(BadLuck, a_crash_loop_ends_in_failed_with_the_reason) {
  project(
      "[service.web]\ncommand = [\"/bin/sh\", \"-c\", \"exit 9\"]\nrestart = \"always\"\nbackoff = { initial = 0 }\n"
      "max_restarts = 4\n");
  (void)up();  // whether it ran for a moment, and was up therefore, is a matter of luck
  EXPECT_TRUE(until_state("web", "failed"));
  EXPECT_EQ("crash_loop", service().reason);
  EXPECT_THAT(service().reason_text, AllOf(HasSubstr("4"), HasSubstr("exited with code 9")));
  EXPECT_EQ(152, hearth({"status", "web"}).code);
}

TEST_F(BadLuck, up_fails_with_the_last_twenty_lines_of_the_log) {
  project("[service.web]\nrestart = \"never\"\nready = \"notify\"\n" + puppet());
  Command waiting = begin({"up"});
  Actor web = stage->enter();
  EXPECT_EQ("ok", web.ask("lines 25"));
  web.order("exit 1");
  const Output output = waiting.wait();
  EXPECT_EQ(1, output.code);
  EXPECT_THAT(output.err, AllOf(HasSubstr("web failed"), HasSubstr("exited with code 1"), HasSubstr("| line 6\n"),
                                HasSubstr("| line 25\n"), Not(HasSubstr("| line 5\n"))));
}

TEST_F(BadLuck, up_waits_for_the_lock_of_a_hearth_that_is_ending_and_then_starts) {
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  (void)stage->enter();
  expect_clean_shutdown();
  const std::string path = directory + "/lock";
  os::Fd lock(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(0, ::flock(lock.get(), LOCK_EX | LOCK_NB));
  const os::Fd watch(::inotify_init1(IN_CLOEXEC));
  ASSERT_LE(0, ::inotify_add_watch(watch.get(), path.c_str(), IN_CLOSE_WRITE));
  Command waiting = begin({"up"});
  // A keeper was started, did not get the lock and has ended.
  pollfd closed{watch.get(), POLLIN, 0};
  ASSERT_EQ(1, ::poll(&closed, 1, patience_ms));
  EXPECT_FALSE(waiting.ended());
  // The last that a hearth does; and what another one, or somebody, may do meanwhile.
  std::filesystem::remove(directory + "/state");
  std::filesystem::remove_all(directory + "/spec");
  lock.reset();
  const Output output = waiting.wait();
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_EQ(stage->enter().pid, service().pid);
  EXPECT_THAT(status().notes_text(), Not(HasSubstr("DIR/state")));
}

TEST_F(BadLuck, an_order_to_start_right_after_one_to_end_is_carried_out_after_it) {
  project("[service.web]\nstop_timeout = \"60s\"\n" + puppet());
  ASSERT_EQ(0, up().code);
  Actor web = stage->enter();
  EXPECT_EQ("ok", web.ask("catch 15"));
  ASSERT_EQ(0, hearth({"shutdown", "--no-wait"}).code);
  EXPECT_EQ("signal 15", web.hear());
  Command waiting = begin({"up"});
  EXPECT_TRUE(until([&] { return waiting.out().find("hearth is shutting down") != std::string::npos; }));
  web.order("exit 0");
  const Actor next = stage->enter();
  const Output output = waiting.wait();
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_EQ(next.pid, service().pid);
}

// What it does not hold, no logger reads.
TEST_F(BadLuck, a_keeper_with_few_descriptors_holds_the_output_of_whatever_it_starts_and_refuses_the_rest) {
  project("[service.echo]\nreplicas = 60\ncommand = [\"/bin/sh\", \"-c\", \"echo here; exec sleep 1000\"]\n");
  const Output begun = execute({bin("hearth"), "--dir", directory, "daemon", "--detach"}, [] {
                         const rlimit few{200, 200};
                         ::setrlimit(RLIMIT_NOFILE, &few);
                       }).wait();
  ASSERT_EQ(0, begun.code) << begun.all();
  EXPECT_EQ(0, up({"--no-wait"}).code);
  const auto count = [](const std::string& text, const std::string& word) {
    std::size_t found = 0;
    for (std::size_t at = 0; (at = text.find(word, at)) != std::string::npos; at += word.size()) ++found;
    return found;
  };
  const auto running = [&] { return count(hearth({"status", "--json"}).out, "\"state\":\"running\""); };
  EXPECT_TRUE(until([&] { return hearth({"status", "--json"}).out.find("Too many open files") != std::string::npos; }));
  EXPECT_TRUE(until([&] {
    const std::size_t some = running();
    return some > 0 && some == count(hearth({"logs", "echo", "-n", "1000"}).out, "here") && some == running();
  })) << running()
      << " running, lines:\n"
      << hearth({"logs", "echo", "-n", "1000"}).all();
  EXPECT_LT(running(), 60u);
  EXPECT_THAT(status().notes_text(), Not(HasSubstr("has no room")));
}

TEST_F(BadLuck, what_a_keeper_without_room_has_refused_it_is_given_when_there_is_room) {
  project("[service.web]\nfdstore_max = 3\nrestart = \"always\"\nbackoff = { initial = 0 }\nready = \"notify\"\n" +
          puppet());
  Command waiting = begin({"up"});
  Actor web = stage->enter();
  EXPECT_EQ("ok", web.ask("notify READY=1"));
  ASSERT_EQ(0, waiting.wait().code);
  const pid_t keeper = status().keeper;
  rlimit before{};
  ASSERT_EQ(0, ::prlimit(keeper, RLIMIT_NOFILE, nullptr, &before));
  const rlimit none{3, before.rlim_max};
  ASSERT_EQ(0, ::prlimit(keeper, RLIMIT_NOFILE, &none, nullptr));
  EXPECT_EQ("ok", web.ask("keep cache the model"));
  EXPECT_TRUE(until([&] { return status().notes_text().find("has no room") != std::string::npos; }));
  ASSERT_EQ(0, ::prlimit(keeper, RLIMIT_NOFILE, &before, nullptr));
  EXPECT_TRUE(until([&] { return status().notes_text().find("has no room") == std::string::npos; }));
  kill_members("hearth-supervisor", SIGKILL);
  web.kill(SIGKILL);
  Actor next = stage->enter();
  EXPECT_EQ("cache", next.ask("variable LISTEN_FDNAMES"));
  EXPECT_EQ("the model", next.ask("content 3"));
  EXPECT_THAT(status().notes_text(), Not(HasSubstr("has no room"))) << "it is no news to the next supervisor";
}

TEST_F(BadLuck, an_interrupt_of_up_ends_the_waiting_and_not_the_service) {
  project("[service.web]\nready = \"notify\"\n" + puppet());
  Command waiting = begin({"up"});
  Actor web = stage->enter();
  EXPECT_TRUE(until([&] { return waiting.out().find("starting") != std::string::npos; }));
  waiting.signal(SIGINT);
  const Output output = waiting.wait();
  EXPECT_EQ(130, output.code) << output.all();
  EXPECT_THAT(output.all(), HasSubstr("goes on"));
  EXPECT_TRUE(web.alive());
  EXPECT_EQ("ok", web.ask("notify READY=1"));
  EXPECT_EQ("closed", web.ask("barrier"));
  EXPECT_TRUE(service().ready);
}

// Three probes that never say yes: the start fails in its time, and the probe's own mess is gone.
struct Probes : BadLuck {
  void expect_start_fails(const std::string& ready) {
    project("[service.web]\nstart_timeout = \"0.5s\"\nmax_restarts = 1\nbackoff = { initial = 0 }\nready = " + ready +
            "\n" + puppet());
    const Output output = up();
    EXPECT_EQ(1, output.code) << output.all();
    EXPECT_EQ("failed", service().state);
    EXPECT_EQ(1u, service().restarts);
    for (const Actor& web : stage->all_who_entered()) EXPECT_TRUE(web.wait_end());
    expect_clean_shutdown();
  }
};

TEST_F(Probes, a_server_that_accepts_and_never_answers_is_not_ready) {
  const BoundPort silent = bind_port();
  ASSERT_EQ(0, ::listen(silent.socket.get(), 64));
  expect_start_fails("{ type = \"http\", url = \"http://127.0.0.1:" + std::to_string(silent.number) +
                     "/\", timeout = \"0.1s\", interval = \"20ms\" }");
}

TEST_F(Probes, a_port_that_nobody_opens_is_not_ready) {
  expect_start_fails("{ type = \"tcp\", address = \"127.0.0.1:1\", interval = \"20ms\" }");
}

TEST_F(Probes, an_exec_probe_that_hangs_is_ended_each_time) {
  expect_start_fails(
      "{ type = \"exec\", command = [\"/bin/sleep\", \"1000\"], timeout = \"0.1s\", interval = \"20ms\" }");
}

TEST_F(Probes, a_liveness_probe_that_hangs_restarts_the_service_with_that_reason) {
  project(
      "[service.web]\nrestart = \"always\"\nbackoff = { initial = 0 }\nlive = { type = \"exec\", command = "
      "[\"/bin/sleep\", \"1000\"], timeout = \"0.1s\", interval = \"20ms\", failure_threshold = 2 }\n" +
      puppet());
  ASSERT_EQ(0, up().code);
  const Actor web = stage->enter();
  EXPECT_TRUE(web.wait_end());
  const Actor next = stage->enter();
  EXPECT_EQ("liveness", service().reason);
  expect_clean_shutdown();
}

TEST_F(BadLuck, a_supervisor_that_was_stopped_past_a_watchdog_deadline_kills_nobody) {
  project("[service.web]\nwatchdog = \"6s\"\n" + puppet());
  ASSERT_EQ(0, up().code);
  Actor web = stage->enter();
  EXPECT_EQ("ok", web.ask("notify WATCHDOG=1"));
  EXPECT_EQ("closed", web.ask("barrier"));
  const pid_t supervisor = status().supervisor;
  ASSERT_EQ(0, ::kill(supervisor, SIGSTOP));
  pass_time(6'600);  // silence, and nobody who could hear
  ASSERT_EQ(0, ::kill(supervisor, SIGCONT));
  EXPECT_EQ("ok", web.ask("notify WATCHDOG=1"));
  EXPECT_EQ("closed", web.ask("barrier"));
  EXPECT_TRUE(web.alive());
  EXPECT_EQ(0u, service().restarts);
  EXPECT_EQ(supervisor, status().supervisor);
}

// The wall clock of supervisor and logger alone: no other test, and nobody on the machine, sees another time.
struct WallClock : BadLuck {
#ifdef HEARTH_TEST_WALL_CLOCK
  static constexpr const char* library = HEARTH_TEST_WALL_CLOCK;
#else
  static constexpr const char* library = "";
#endif
  void SetUp() override {
    if (*library == '\0') GTEST_SKIP() << "a sanitizer's library must be loaded first";
    const std::string path = base + "/clock";
    write_file(path, std::string(sizeof(std::int64_t), '\0'));
    const os::Fd file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    void* at = ::mmap(nullptr, sizeof(std::int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    ASSERT_NE(MAP_FAILED, at);
    wrong_by = static_cast<std::atomic<std::int64_t>*>(at);
    ::setenv("LD_PRELOAD", library, 1);
    ::setenv("TEST_WALL_CLOCK", path.c_str(), 1);
  }
  ~WallClock() override {
    ::unsetenv("LD_PRELOAD");
    if (wrong_by != nullptr) ::munmap(wrong_by, sizeof *wrong_by);
  }
  void step(std::int64_t years) const { *wrong_by += years * 31'557'600 * 1'000'000'000; }
  // In hearth's time.
  std::string year() const {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    now.tv_sec += wrong_by->load() / 1'000'000'000;
    tm parts{};
    ::gmtime_r(&now.tv_sec, &parts);
    return std::to_string(parts.tm_year + 1900) + "-";
  }

  std::atomic<std::int64_t>* wrong_by = nullptr;
};

TEST_F(WallClock, steps_of_years_both_ways_move_no_deadline) {
  project(
      "[service.web]\nwatchdog = \"30s\"\nstop_timeout = \"30s\"\nrestart = \"never\"\nlog = { format = \"stamped\" "
      "}\n" +
      puppet() + "[service.slow]\nready = \"notify\"\nstart_timeout = \"50s\"\n" + puppet("slow"));
  ASSERT_EQ(0, up({"--no-wait"}).code);
  Actor web, slow;
  for (int i = 0; i < 2; ++i) {
    Actor actor = stage->enter();
    (actor.label == "web" ? web : slow) = std::move(actor);
  }
  for (const int years : {10, -30, 40, -20}) {
    step(years);
    EXPECT_EQ("ok", web.ask("notify WATCHDOG=1"));
    EXPECT_EQ("closed", web.ask("barrier"));
    EXPECT_EQ("ok", web.ask("print " + std::to_string(years) + " years"));
    const std::string line = std::to_string(years) + " years\n";
    EXPECT_TRUE(until([&] { return logged().ends_with(line); })) << logged();
    const std::string log = logged();
    EXPECT_EQ(year(), log.substr(log.rfind('\n', log.size() - 2) + 1, 5)) << "it is another time in there: " << log;
    EXPECT_EQ("running", service().state);
    EXPECT_EQ("starting", service("slow").state) << service("slow").reason_text;
  }
  EXPECT_EQ("ok", slow.ask("notify READY=1"));
  EXPECT_EQ("closed", slow.ask("barrier"));
  EXPECT_TRUE(service("slow").ready);
  // A stop under way.
  EXPECT_EQ("ok", web.ask("catch 15"));
  Command waiting = begin({"stop", "web"});
  EXPECT_TRUE(until_state("web", "stopping"));
  step(10);
  EXPECT_EQ("stopping", service().state);
  web.order("exit 7");
  EXPECT_EQ(0, waiting.wait().code);
  EXPECT_EQ(7, service().exit_code) << "it ended by itself";
}

TEST_F(BadLuck, jumps_of_the_wall_clock_move_no_deadline) {
  if (!root() || std::getenv("HEARTH_TEST_SET_CLOCK") == nullptr)
    GTEST_SKIP() << "sets the clock of the whole machine; wanted with HEARTH_TEST_SET_CLOCK=1. tests/sim jumps, too";
  project("[service.web]\nwatchdog = \"20s\"\n" + puppet());
  ASSERT_EQ(0, up().code);
  Actor web = stage->enter();
  for (const int hours : {2, -4, 2}) {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    now.tv_sec += hours * 3600;
    if (::clock_settime(CLOCK_REALTIME, &now) < 0) GTEST_SKIP() << "the clock cannot be set: " << std::strerror(errno);
    EXPECT_EQ("ok", web.ask("notify WATCHDOG=1"));
    EXPECT_EQ("closed", web.ask("barrier"));
    EXPECT_EQ("running", service().state);
  }
  EXPECT_TRUE(web.alive());
}

TEST_F(BadLuck, garbage_and_cut_requests_on_the_api_socket_harm_nobody) {
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  const Actor web = stage->enter();
  const pid_t supervisor = status().supervisor;
  const std::string pieces[] = {
      std::string("\0\xff\x16\x03\x01", 5),
      "GET",
      "GET /v1/status HTTP/1.1\r\n",
      "POST /v1/apply HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n{\"document\":",
      "POST /v1/orders HTTP/1.1\r\nHost: h\r\nIdempotency-Key: 00\r\nContent-Length: 2\r\n\r\n{}",
      "POST /v1/orders HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n",
      "GET /v1/orders/0123456789abcdef0123456789abcdef?wait_ms=99999999999999999999 HTTP/1.1\r\nHost: h\r\n\r\n",
      std::string(300'000, 'A'),
      "GET /" + std::string(70'000, '%') + " HTTP/1.1\r\n\r\n",
  };
  std::vector<os::Fd> stalled;
  for (int round = 0; round < 20; ++round) {
    for (const std::string& piece : pieces) {
      os::Fd fd = api();
      (void)::send(fd.get(), piece.data(), piece.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (round == 0) stalled.push_back(std::move(fd));  // others are cut
    }
  }
  EXPECT_EQ("running", service().state);
  EXPECT_EQ(supervisor, status().supervisor);
  EXPECT_TRUE(web.alive());
  expect_clean_shutdown();
}

TEST_F(BadLuck, a_client_that_dies_in_the_middle_of_its_order_leaves_the_order_standing) {
  project("[service.web]\nready = \"notify\"\n" + puppet());
  Command waiting = begin({"up"});
  Actor web = stage->enter();
  waiting.signal(SIGKILL);
  EXPECT_EQ(137, waiting.wait().code);
  EXPECT_EQ("ok", web.ask("notify READY=1"));
  EXPECT_EQ("closed", web.ask("barrier"));
  EXPECT_TRUE(service().ready);
}

}  // namespace
}  // namespace hearth::test
