// `hearth reset` and `hearth doctor` on an instance in each state in which it can be found.
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <gmock/gmock.h>

#include "instance.h"
#include "os/proc_stat.h"

namespace hearth::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Reset : Machine {
  explicit Reset(As as = As::caller) : Machine(as) {}
  bool empty(const char* below) const {
    const std::string path = directory + "/" + below;
    return !exists(path) || std::filesystem::is_empty(path);
  }
  void expect_nothing_left() {
    EXPECT_TRUE(empty("n"));
    EXPECT_TRUE(empty("o"));
    EXPECT_TRUE(empty("spec"));
    EXPECT_FALSE(exists(directory + "/api.sock"));
    EXPECT_FALSE(exists(directory + "/keeper.sock"));
  }
};

TEST_F(Reset, of_a_hearth_that_is_stopped_kills_it_and_its_services_and_numbers_go_on) {
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  const Actor web = stage->enter();
  EXPECT_EQ("ok", web.ask("catch 15"));
  const InstanceView before = status();
  stop_process(before.keeper);
  stop_process(before.supervisor);
  const Output output = hearth({"reset", "--yes"});
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_THAT(output.out, HasSubstr("Reset complete"));
  EXPECT_THAT(output.out, HasSubstr("hearth-keeper"));
  EXPECT_TRUE(web.wait_end());
  reap();
  expect_nothing_left();
  ASSERT_EQ(0, up().code);
  const Actor again = stage->enter();
  EXPECT_GT(std::stoull(again.run), std::stoull(web.run)) << "no number twice";
}

TEST_F(Reset, of_services_whose_hearth_is_dead_ends_their_trees_and_nobody_elses) {
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  const Actor web = stage->enter();
  // Of the same name as hearth's own, and none of it.
  Command stranger = execute({"/bin/bash", "-c", "exec -a hearth-supervisor sleep 1000"});
  kill_everything();
  const Output output = hearth({"reset", "--yes", "--force"});
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_THAT(output.out, HasSubstr("web.0"));
  EXPECT_TRUE(web.wait_end());
  EXPECT_FALSE(stranger.ended());
  reap();
  expect_nothing_left();
  EXPECT_EQ(3, hearth({"status"}).code);
}

TEST_F(Reset, of_a_hearth_that_answers_stops_in_order_first) {
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  const Actor web = stage->enter();
  EXPECT_EQ("ok", web.ask("catch 15"));
  Command resetting = begin({"reset", "--yes"});
  EXPECT_EQ("signal 15", web.hear()) << "it was not asked to end";
  web.order("exit 0");
  const Output output = resetting.wait();
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_THAT(output.out, HasSubstr("Reset complete"));
}

// Has the lock in a socket only, as a keeper has that is being started in the place of a dead one, until somebody opens
// its file. Then it takes it out and stays.
[[noreturn]] void receive_the_lock_late(const char* path, int told) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) ::_exit(1);
  const int lock = ::open(path, O_RDWR | O_CLOEXEC);
  const int opened = ::inotify_init1(IN_CLOEXEC);
  if (lock < 0 || ::flock(lock, LOCK_EX | LOCK_NB) < 0) ::_exit(2);
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  *header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
  std::memcpy(CMSG_DATA(header), &lock, sizeof lock);
  if (::sendmsg(ends[0], &message, 0) != 1) ::_exit(3);
  ::close(lock);
  if (::inotify_add_watch(opened, path, IN_OPEN) < 0 || ::write(told, "x", 1) != 1) ::_exit(4);
  pollfd event{opened, POLLIN, 0};
  ::poll(&event, 1, -1);
  if (::recvmsg(ends[1], &message, MSG_CMSG_CLOEXEC) != 1) ::_exit(5);
  for (;;) ::pause();
}

TEST_F(Reset, finds_the_keeper_that_gets_the_lock_while_it_looks) {
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  (void)stage->enter();
  ASSERT_EQ(0, hearth({"shutdown"}).code);
  const std::string lock = directory + "/lock";
  int ready[2];
  ASSERT_EQ(0, ::pipe2(ready, O_CLOEXEC));
  const pid_t late = ::fork();
  if (late == 0) receive_the_lock_late(lock.c_str(), ready[1]);
  ::close(ready[1]);
  char byte;
  ASSERT_EQ(1, ::read(ready[0], &byte, 1));
  ::close(ready[0]);
  const Output output = hearth({"reset", "--yes", "--force"});
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_THAT(output.out, HasSubstr("(PID " + std::to_string(late) + ")"));
  int status = 0;
  ASSERT_EQ(late, ::waitpid(late, &status, 0));
  EXPECT_TRUE(WIFSIGNALED(status));
}

TEST_F(Reset, asks_first_and_without_a_terminal_wants_to_be_told) {
  const Output output = hearth({"reset"});
  EXPECT_EQ(2, output.code);
  EXPECT_THAT(output.err, HasSubstr("--yes"));
}

TEST_F(Reset, of_what_never_was_does_nothing) {
  const Output output = hearth({"reset", "--yes"});
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_FALSE(exists(directory));
}

TEST_F(Reset, doctor_names_a_hearth_that_does_not_answer) {
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  (void)stage->enter();
  const Output well = hearth({"doctor"});
  EXPECT_EQ(0, well.code) << well.all();
  EXPECT_THAT(well.out, HasSubstr("hearth runs in " + directory));
  const InstanceView before = status();
  stop_process(before.supervisor);
  const Output ill = hearth({"doctor"});
  ::kill(before.supervisor, SIGCONT);
  EXPECT_EQ(1, ill.code) << ill.all();
  EXPECT_THAT(ill.out, HasSubstr("(PID " + std::to_string(before.supervisor) + ", stopped)"));
  EXPECT_THAT(ill.out, HasSubstr("reset"));
}

TEST_F(Reset, doctor_says_that_the_keeper_is_stopped_while_the_supervisor_answers) {
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  (void)stage->enter();
  const pid_t keeper = status().keeper;
  stop_process(keeper);
  const Output ill = hearth({"doctor"});
  ::kill(keeper, SIGCONT);
  EXPECT_EQ(1, ill.code) << ill.all();
  EXPECT_THAT(ill.out, HasSubstr("its keeper (PID " + std::to_string(keeper) + ") is stopped"));
}

TEST_F(Reset, doctor_says_that_the_logger_is_stopped) {
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  (void)stage->enter();
  const pid_t logger = members("hearth-logger").front();
  stop_process(logger);
  const Output ill = hearth({"doctor"});
  ::kill(logger, SIGCONT);
  EXPECT_EQ(1, ill.code) << ill.all();
  EXPECT_THAT(ill.out, HasSubstr("its logger (PID " + std::to_string(logger) + ") is stopped"));
  EXPECT_THAT(ill.out, HasSubstr("`kill -CONT " + std::to_string(logger) + "`"));
}

TEST_F(Reset, doctor_says_and_mends_that_others_may_write_where_the_logs_are) {
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  (void)stage->enter();
  const std::string logs = std::filesystem::path(service().log_directory).parent_path();
  ASSERT_EQ(0, ::chmod(logs.c_str(), 01777));
  EXPECT_THAT(hearth({"doctor"}).out, HasSubstr("others may write in " + logs));
  ASSERT_EQ(0, hearth({"shutdown"}).code);
  const Output mended = hearth({"doctor", "--fix"});
  EXPECT_EQ(0, mended.code) << mended.all();
  struct stat st{};
  ASSERT_EQ(0, ::stat(logs.c_str(), &st));
  EXPECT_EQ(0u, st.st_mode & 022);
}

// Commands in another PID namespace than hearth's: its numbers are nobody's there, or strangers', and /proc/locks does
// not show who has the lock. Without cgroups, by which its services could be ended from there.
struct Elsewhere : Reset {
  Elsewhere() : Reset(As::root_without_cgroups) {}
  Output execute_elsewhere(std::vector<std::string> words) {
    const std::vector<std::string> elsewhere = {"/usr/bin/unshare", "--pid", "--fork", "--mount-proc"};
    words.insert(words.begin(), elsewhere.begin(), elsewhere.end());
    return execute(words).wait();
  }
  Output elsewhere(std::vector<std::string> words) {
    words.insert(words.begin(), {bin("hearth"), "--dir", directory});
    return execute_elsewhere(words);
  }
  // "" = it can be had, and hearth runs with `web`.
  std::string begin_web() {
    if (!obstacle().empty()) return obstacle();
    if (!root() || execute_elsewhere({"/bin/true"}).code != 0) return "no PID namespace can be had here";
    project("[service.web]\n" + puppet());
    EXPECT_EQ(0, up().code);
    web = stage->enter();
    return {};
  }
  void expect_all_there() {
    EXPECT_TRUE(exists(directory + "/api.sock"));
    EXPECT_FALSE(empty("n"));
    EXPECT_FALSE(empty("o"));
    EXPECT_FALSE(empty("state"));
    EXPECT_TRUE(web.alive());
  }
  Actor web;
};

TEST_F(Elsewhere, doctor_says_that_it_cannot_see_the_keeper_and_removes_nothing) {
  if (const std::string why = begin_web(); !why.empty()) GTEST_SKIP() << why;
  const Output output = elsewhere({"doctor", "--fix"});
  EXPECT_THAT(output.out, HasSubstr("hearth runs in " + directory));
  EXPECT_THAT(output.out, Not(HasSubstr("is dead")));
  EXPECT_THAT(output.out, HasSubstr("its processes cannot be seen from here"));
  expect_all_there();
  EXPECT_EQ(web.pid, service().pid);
}

TEST_F(Elsewhere, doctor_takes_a_supervisor_that_is_stopped_for_alive) {
  if (const std::string why = begin_web(); !why.empty()) GTEST_SKIP() << why;
  const pid_t supervisor = status().supervisor;
  stop_process(supervisor);
  const Output output = elsewhere({"doctor", "--fix"});
  ::kill(supervisor, SIGCONT);
  EXPECT_EQ(1, output.code) << output.all();
  EXPECT_THAT(output.out, HasSubstr("hearth lives in " + directory + " and does not answer"));
  EXPECT_THAT(output.out, Not(HasSubstr("a hearth that died")));
  expect_all_there();
}

TEST_F(Elsewhere, doctor_takes_a_keeper_without_a_supervisor_for_alive) {
  if (const std::string why = begin_web(); !why.empty()) GTEST_SKIP() << why;
  const InstanceView before = status();
  stop_process(before.keeper);
  ::kill(before.supervisor, SIGKILL);
  EXPECT_TRUE(until([&] { return hearth({"status"}).code == 3; }));
  const Output output = elsewhere({"doctor", "--fix"});
  const Output told = hearth({"status"});
  ::kill(before.keeper, SIGCONT);
  EXPECT_THAT(output.out, HasSubstr("hearth lives in " + directory + " and does not answer"));
  EXPECT_THAT(output.out, Not(HasSubstr("a hearth that died")));
  EXPECT_THAT(told.err, HasSubstr("`kill -CONT " + std::to_string(before.keeper) + "`"));
  expect_all_there();
}

TEST_F(Elsewhere, the_services_of_a_hearth_that_died_are_neither_forgotten_nor_started_again) {
  if (const std::string why = begin_web(); !why.empty()) GTEST_SKIP() << why;
  EXPECT_TRUE(
      until([&] { return os::read_file(directory + "/runs.json").value_or("").find("web.0") != std::string::npos; }));
  kill_everything();
  const Output found = elsewhere({"doctor", "--fix"});
  EXPECT_EQ(1, found.code) << found.all();
  EXPECT_THAT(found.out, HasSubstr("services run in another PID namespace and nobody watches them"));
  expect_all_there();
  const Output reset = elsewhere({"reset", "--yes"});
  EXPECT_EQ(1, reset.code) << reset.all();
  EXPECT_THAT(reset.err, HasSubstr("web.0 (in another PID namespace)"));
  expect_all_there();
  const Output again = elsewhere({"up"});
  EXPECT_EQ(1, again.code) << again.all();
  EXPECT_THAT(again.err, HasSubstr("services of an earlier one run in another PID namespace"));
  EXPECT_EQ(1, elsewhere({"daemon"}).code);
  expect_all_there();
  // Here they are seen, and taken over.
  EXPECT_EQ(0, up().code);
  EXPECT_EQ(web.pid, service().pid);
}

TEST_F(Elsewhere, reset_of_a_hearth_that_lives_removes_nothing) {
  if (const std::string why = begin_web(); !why.empty()) GTEST_SKIP() << why;
  const Output output = elsewhere({"reset", "--yes", "--force"});
  EXPECT_EQ(1, output.code) << output.all();
  EXPECT_THAT(output.err, HasSubstr("another PID namespace"));
  expect_all_there();
  EXPECT_EQ(web.pid, service().pid);
}

TEST_F(Elsewhere, logs_are_rotated_version_names_no_file_and_a_shutdown_waits_for_the_end) {
  if (const std::string why = begin_web(); !why.empty()) GTEST_SKIP() << why;
  EXPECT_EQ("ok", web.ask("lines 2"));
  EXPECT_TRUE(until([&] { return logged().find("line 2") != std::string::npos; }));
  const Output rotated = elsewhere({"logs", "--rotate", "web"});
  EXPECT_EQ(0, rotated.code) << rotated.all();
  EXPECT_THAT(hearth({"version", "--json"}).out, HasSubstr("/hearth-keeper\""));
  const Output version = elsewhere({"version", "--json"});
  EXPECT_THAT(version.out, HasSubstr("\"file\":null"));
  EXPECT_THAT(version.out, Not(HasSubstr("hearth-keeper")));
  const os::Fd keeper(os::pidfd_open(status().keeper));
  const Output ended = elsewhere({"shutdown"});
  EXPECT_EQ(0, ended.code) << ended.all();
  EXPECT_THAT(ended.out, HasSubstr("Shutdown complete"));
  EXPECT_FALSE(web.alive());
  EXPECT_FALSE(exists(directory + "/api.sock"));
  pollfd polled{keeper.get(), POLLIN, 0};
  EXPECT_EQ(1, ::poll(&polled, 1, patience_ms));
}

TEST_F(Reset, doctor_looks_at_each_program) {
  use_copies_of_programs();
  EXPECT_EQ(0, hearth({"doctor"}).code);
  ASSERT_EQ(0, ::chmod(bin("hearth-logger").c_str(), 0666));
  std::filesystem::remove(bin("hearth-supervisor"));
  const Output ill = hearth({"doctor"});
  EXPECT_EQ(1, ill.code) << ill.all();
  EXPECT_THAT(ill.out, HasSubstr(bin("hearth-supervisor")));
  EXPECT_THAT(ill.out, HasSubstr(bin("hearth-logger")));
}

TEST_F(Reset, doctor_says_that_a_keeper_has_no_descriptors_for_a_supervisor_and_how_to_give_it_some) {
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  const Actor web = stage->enter();
  const InstanceView before = status();
  rlimit limit{};
  ASSERT_EQ(0, ::prlimit(before.keeper, RLIMIT_NOFILE, nullptr, &limit));
  const rlimit few{3, limit.rlim_max};
  ASSERT_EQ(0, ::prlimit(before.keeper, RLIMIT_NOFILE, &few, nullptr));
  ::kill(before.supervisor, SIGKILL);
  const Output ill = hearth({"doctor"});
  EXPECT_EQ(1, ill.code) << ill.all();
  EXPECT_THAT(ill.out, HasSubstr("may have 3 descriptors and has "));
  const std::string remedy =
      "prlimit --pid " + std::to_string(before.keeper) + " --nofile=" + std::to_string(limit.rlim_max) + ":";
  EXPECT_THAT(ill.out, HasSubstr("`" + remedy + "`"));
  EXPECT_EQ(0, execute({"/bin/sh", "-c", remedy}).wait().code);
  EXPECT_EQ(0, hearth({"wait", "web"}).code);
  EXPECT_NE(before.supervisor, status().supervisor);
  EXPECT_EQ("ok", web.ask("catch 15"));
}

TEST_F(Reset, doctor_removes_what_a_dead_hearth_left_and_nothing_that_runs) {
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  const Actor web = stage->enter();
  kill_everything();
  const Output found = hearth({"doctor", "--fix"});
  EXPECT_EQ(1, found.code) << found.all();
  EXPECT_THAT(found.out, HasSubstr("web.0 (PID " + std::to_string(web.pid) + ")"));
  EXPECT_TRUE(web.alive());
  EXPECT_FALSE(empty("o")) << "its output is waiting in there";
  EXPECT_FALSE(exists(directory + "/api.sock"));
  EXPECT_TRUE(web.kill(SIGKILL));
  EXPECT_TRUE(web.wait_end());
  reap();
  const Output mended = hearth({"doctor", "--fix"});
  EXPECT_EQ(0, mended.code) << mended.all();
  EXPECT_THAT(mended.out, HasSubstr("fixed"));
  EXPECT_TRUE(empty("o"));
  const Output json = hearth({"doctor", "--json"});
  EXPECT_THAT(json.out, HasSubstr(R"({"findings":[{"verdict":")"));
  EXPECT_THAT(json.out, Not(HasSubstr(R"("verdict":"warning","area":"instance")")));
}

}  // namespace
}  // namespace hearth::test
