// Readiness by what a service does: a newline on a descriptor, a file, a socket, a line of its output.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "instance.h"
#include "os/clock.h"

namespace hearth::test {
namespace {

using ::testing::HasSubstr;

// The services are shells that wait for a file to be there, which is the test's word. They may sleep: a program that
// plays a service.
struct Probes : Machine {
  // `says`: what it does to be ready.
  void declare(const std::string& ready, const std::string& says) {
    project("[service.web]\nready = " + ready +
            "\nbackoff = { initial = 0 }\nshell = true\n"
            "command = '''while [ ! -e go ]; do sleep 0.02; done\n" +
            says + "\nexec sleep 1000'''\n");
  }
  void go() { write_file(work + "/go", ""); }
  bool until_said(const std::string& text) {
    return until([&] { return service().reason_text.find(text) != std::string::npos; });
  }
  // Not ready before it has said so, ready after that, and `up` waits for it.
  void expect_ready_when_told() {
    Command waiting = begin({"up"});
    EXPECT_TRUE(until([&] { return service().pid != 0; }));
    EXPECT_FALSE(service().ready);
    EXPECT_FALSE(waiting.ended()) << waiting.out();
    go();
    const Output output = waiting.wait();
    EXPECT_EQ(0, output.code) << output.all();
    EXPECT_TRUE(service().ready);
  }
};

TEST_F(Probes, a_newline_on_its_descriptor_makes_a_service_ready) {
  declare("\"fd:3\"", "printf loading >&3; echo >&3; exec 3>&-");
  expect_ready_when_told();
}

TEST_F(Probes, a_newline_that_was_written_while_the_supervisor_was_dead_counts) {
  declare("\"fd:7\"", "echo >&7; touch written");
  Command waiting = begin({"up"});
  ASSERT_TRUE(until([&] { return service().pid != 0; }));
  const pid_t before = service().pid;
  const pid_t supervisor = status().supervisor;
  ::kill(supervisor, SIGSTOP);  // asked now, it would not answer
  go();
  ASSERT_TRUE(until([&] { return exists(work + "/written"); }));
  ::kill(supervisor, SIGKILL);
  EXPECT_TRUE(until([&] { return service().ready; }));
  EXPECT_EQ(before, service().pid);
  EXPECT_EQ(0, waiting.wait().code);
}

TEST_F(Probes, a_newline_survives_the_death_of_all_of_hearth_without_harm_to_the_service) {
  declare("\"fd:3\"", "echo >&3; touch written");
  Command waiting = begin({"up"});
  ASSERT_TRUE(until([&] { return service().pid != 0; }));
  const pid_t before = service().pid;
  kill_everything();
  go();
  ASSERT_TRUE(until([&] { return exists(work + "/written"); })) << "it did not die of SIGPIPE";
  EXPECT_EQ(0, up().code);
  EXPECT_TRUE(service().ready);
  EXPECT_EQ(before, service().pid);
}

TEST_F(Probes, a_line_of_its_output_makes_a_service_ready_and_one_of_the_run_before_does_not) {
  declare("{ type = \"log\", pattern = \"^ready [0-9]+$\" }", "echo almost ready 1; echo ready 5");
  expect_ready_when_told();
  ::unlink((work + "/go").c_str());
  EXPECT_EQ(0, hearth({"restart", "--no-wait", "web"}).code);
  EXPECT_TRUE(until([&] { return service().pid != 0 && !service().ready && service().state == "starting"; }));
  EXPECT_TRUE(until_said("not ready: no line of its output matches ^ready [0-9]+$"));
  go();
  EXPECT_TRUE(until([&] { return service().ready; }));
}

// What it takes is that of a child, which keeps it back until somebody reads.
TEST_F(Probes, a_service_that_grows_beyond_max_memory_is_restarted_and_says_how_great_it_was) {
  project(
      "[service.web]\nmax_memory = \"32MiB\"\nlive = { type = \"memory\", interval = \"20ms\" }\n"
      "backoff = { initial = 0 }\nshell = true\ncommand = '''while [ ! -e go ]; do sleep 0.02; done; rm go\n"
      "head -c 67108864 /dev/zero | tail -c 67108864 | sleep 1000'''\n");
  ASSERT_EQ(0, up().code);
  const pid_t before = service().pid;
  ASSERT_GT(before, 0);
  go();
  ASSERT_TRUE(until([&] { return service().pid != 0 && service().pid != before; }));
  EXPECT_EQ("memory", service().reason);
  EXPECT_EQ(1u, service().restarts);
  EXPECT_THAT(hearth({"explain", "web"}).out, HasSubstr(" MiB of memory, and max_memory is 32 MiB"));
  EXPECT_TRUE(until([&] { return service().state == "running"; }));
  EXPECT_EQ(1u, service().restarts);
}

TEST_F(Probes, a_log_probe_goes_on_after_the_death_of_the_supervisor) {
  declare("{ type = \"log\", pattern = \"^ready$\", interval = \"20ms\" }", "echo ready");
  Command waiting = begin({"up"});
  ASSERT_TRUE(until([&] { return service().pid != 0; }));
  kill_members("hearth-supervisor", SIGKILL);
  go();
  EXPECT_EQ(0, waiting.wait().code);
  kill_members("hearth-supervisor", SIGKILL);
  EXPECT_TRUE(until([&] { return service().ready; }));
}

TEST_F(Probes, a_file_makes_a_service_ready_unless_it_was_there_before) {
  declare("{ type = \"file\", path = \"up\" }", "touch up");
  write_file(work + "/up", "stale");
  struct stat stale{};
  ASSERT_EQ(0, ::stat((work + "/up").c_str(), &stale));
  ASSERT_TRUE(until([&] {
    return os::read_clock().wall > stale.st_ctim.tv_sec * ns_per_s + stale.st_ctim.tv_nsec + milliseconds(100);
  }));
  Command waiting = begin({"up"});
  EXPECT_TRUE(until_said("was there before this run, and has not changed since"));
  go();
  EXPECT_EQ(0, waiting.wait().code);
  EXPECT_TRUE(service().ready);
}

}  // namespace
}  // namespace hearth::test
