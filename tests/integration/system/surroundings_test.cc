// What a service gets besides its command: processors, input, libraries, credentials, directories, ports.
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "instance.h"
#include "os/fd.h"

namespace hearth::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct SurroundingsOf : Machine {
  // Runs the shell text as a service with these keys, and returns what it has written.
  std::string said_by(const std::string& text, const std::string& keys) {
    project("[service.web]\nshell = true\nready = \"fd:9\"\n" + keys + "\ncommand = '''" + text +
            "\necho that is all\necho >&9\nexec sleep 1000'''\n");
    const Output output = up();
    EXPECT_EQ(0, output.code) << output.all();
    EXPECT_TRUE(until([&] { return logged().find("that is all\n") != std::string::npos; })) << logged();
    const std::string all = logged();
    return all.substr(0, all.rfind("that is all\n"));
  }
};

TEST_F(SurroundingsOf, a_service_has_the_processors_and_the_input_it_asked_for) {
  write_file(work + "/input", "from a file\n");
  EXPECT_THAT(said_by("cat; grep Cpus_allowed_list /proc/self/status",
                      "cpus = \"0\"\nio_priority = \"idle\"\nstdin = \"file:input\""),
              HasSubstr("from a file\nCpus_allowed_list:\t0\n"));
}

TEST_F(SurroundingsOf, a_pty_is_a_terminal_that_never_ends) {
  EXPECT_EQ("a terminal\n", said_by("test -t 0 && echo a terminal", "stdin = \"pty\""));
  kill_members("hearth-supervisor", SIGKILL);
  EXPECT_TRUE(until([&] { return service().ready; }));
}

TEST_F(SurroundingsOf, credentials_are_there_as_long_as_the_service_runs) {
  write_file(work + "/key", "secret", 0600);
  const std::string said = said_by("cat \"$CREDENTIALS_DIRECTORY/key\"; echo; echo \"$CREDENTIALS_DIRECTORY\"",
                                   "credentials = { key = \"key\" }");
  EXPECT_THAT(said, HasSubstr("secret\n/"));
  const std::string copies = said.substr(said.find('\n') + 1, said.rfind('\n') - said.find('\n') - 1);
  EXPECT_TRUE(exists(copies + "/key"));
  EXPECT_EQ(0, hearth({"stop", "web"}).code);
  EXPECT_TRUE(until([&] { return !exists(copies); }));
}

TEST_F(SurroundingsOf, a_runtime_directory_stays_as_long_as_a_replica_runs) {
  project(
      "[service.web]\nreplicas = 2\nshell = true\nready = \"fd:9\"\nrestart = \"never\"\n"
      // All of root's are in /run, whichever hearth makes them.
      "runtime_directories = [\"hearth-test-" +
      std::to_string(::getpid()) +
      "\"]\n"
      "command = '''echo it is {index} > \"$RUNTIME_DIRECTORY/{index}\"; echo \"$RUNTIME_DIRECTORY\"\necho >&9\n"
      "exec sleep 1000'''\n");
  const Output output = up();
  ASSERT_EQ(0, output.code) << output.all();
  // Each replica has files of its own, and the second's may come between two looks.
  std::string made;
  EXPECT_TRUE(until([&] {
    made = logged();
    return made.find('\n') != std::string::npos;
  }));
  made.resize(made.find('\n'));
  ASSERT_TRUE(exists(made + "/1")) << made;
  EXPECT_EQ(0, hearth({"stop", "web.0"}).code);
  EXPECT_TRUE(exists(made + "/1"));
  EXPECT_EQ(0, hearth({"stop", "web"}).code);
  EXPECT_TRUE(until([&] { return !exists(made); }));
}

TEST_F(SurroundingsOf, credentials_are_there_for_its_probes_and_the_commands_that_run_while_it_does) {
  write_file(work + "/key", "secret", 0600);
  project(
      "[service.web]\ncommand = [\"sleep\", \"1000\"]\ncredentials = { key = \"key\" }\n"
      "ready = { type = \"exec\", command = [\"sh\", \"-c\", \"cat $CREDENTIALS_DIRECTORY/key > probed\"] }\n"
      "before_start = { shell = true, command = \"echo \\\"$CREDENTIALS_DIRECTORY.\\\" > before\" }\n"
      "before_stop = { shell = true, command = \"cat $CREDENTIALS_DIRECTORY/key > stopped\" }\n");
  const Output output = up();
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_EQ("secret", os::read_file(work + "/probed").value_or(""));
  EXPECT_EQ(".\n", os::read_file(work + "/before").value_or("")) << "of no run yet";
  EXPECT_EQ(0, hearth({"stop", "web"}).code);
  EXPECT_EQ("secret", os::read_file(work + "/stopped").value_or(""));
}

TEST_F(SurroundingsOf, credentials_that_are_missing_are_told) {
  project("[service.web]\ncredentials = { key = \"nokey\" }\n" + puppet());
  const Output output = up();
  EXPECT_NE(0, output.code);
  EXPECT_THAT(output.all(), HasSubstr("cannot read the credential key from " + work + "/nokey"));
}

TEST_F(SurroundingsOf, a_port_that_somebody_has_is_told_with_his_name) {
  const BoundPort taken = bind_port();
  ASSERT_EQ(0, ::listen(taken.socket.get(), 1));
  const std::string port = std::to_string(taken.number);
  project("[service.web]\nports = [" + port + "]\n" + puppet());
  Command waiting = begin({"up"});
  EXPECT_TRUE(until([&] { return service().reason_text.find("port " + port + " is in use by") != std::string::npos; }))
      << service().reason_text;
  EXPECT_THAT(service().reason_text, HasSubstr("(PID " + std::to_string(::getpid()) + ")"));
  EXPECT_THAT(hearth({"explain", "web"}).out, Not(HasSubstr("Success")));
}

}  // namespace
}  // namespace hearth::test
