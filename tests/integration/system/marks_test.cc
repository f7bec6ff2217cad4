// Files that tell others of a service: there exactly while it is ready, whatever dies.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "instance.h"

namespace hearth::test {
namespace {

using ::testing::HasSubstr;

struct Marks : Machine {
  std::string contents(const std::string& name) {
    const Result<std::string> text = os::read_file(work + "/" + name);
    return text ? *text : "";
  }
  bool there() { return exists(work + "/web.ready"); }
  Actor start() {
    project(
        "[service.web]\nready = \"notify\"\nready_file = \"web.ready\"\npid_file = \"web.pid\"\n"
        "restart = \"always\"\nbackoff = { initial = 0 }\n" +
        puppet());
    Command waiting = begin({"up"});
    Actor web = stage->enter();
    EXPECT_FALSE(there());
    EXPECT_EQ("ok", web.ask("notify READY=1"));
    EXPECT_EQ(0, waiting.wait().code);
    EXPECT_TRUE(until([&] { return there() && exists(work + "/web.pid"); }));
    return web;
  }
};

TEST_F(Marks, the_files_come_and_go_with_readiness_and_name_the_run) {
  Actor web = start();
  const ServiceView view = service();
  EXPECT_THAT(contents("web.ready"),
              HasSubstr("\"run\":" + std::to_string(view.run) + ",\"pid\":" + std::to_string(view.pid) + ","));
  EXPECT_EQ(std::to_string(view.pid) + "\n", contents("web.pid"));
  EXPECT_EQ("ok", web.ask("notify STOPPING=1"));
  EXPECT_TRUE(until([&] { return !there(); }));
  EXPECT_TRUE(exists(work + "/web.pid"));
  EXPECT_EQ(0, hearth({"stop", "web"}).code);
  EXPECT_TRUE(until([&] { return !exists(work + "/web.pid"); }));
}

TEST_F(Marks, a_crash_takes_the_ready_file_away_and_the_next_run_brings_its_own) {
  Actor web = start();
  const std::string before = contents("web.ready");
  EXPECT_TRUE(web.kill(SIGKILL));
  Actor next = stage->enter();
  EXPECT_TRUE(until([&] { return !there(); }));
  EXPECT_EQ("ok", next.ask("notify READY=1"));
  EXPECT_TRUE(until([&] { return there(); }));
  EXPECT_NE(before, contents("web.ready"));
}

TEST_F(Marks, readiness_that_is_lost_while_the_supervisor_is_dead_takes_the_file_away) {
  Actor web = start();
  const pid_t supervisor = status().supervisor;
  ::kill(supervisor, SIGSTOP);
  EXPECT_EQ("ok", web.ask("notify STOPPING=1"));
  ::kill(supervisor, SIGKILL);
  EXPECT_TRUE(until([&] { return !there(); }));
}

TEST_F(Marks, after_the_death_of_everything_the_next_hearth_makes_files_and_state_agree) {
  Actor web = start();
  kill_everything();
  EXPECT_TRUE(there()) << "nobody is there to remove it, and the service is ready";
  EXPECT_TRUE(web.kill(SIGKILL));
  EXPECT_TRUE(web.wait_end());
  Command waiting = begin({"up"});
  Actor next = stage->enter();
  EXPECT_TRUE(until([&] { return !there(); }));
  EXPECT_EQ("ok", next.ask("notify READY=1"));
  EXPECT_EQ(0, waiting.wait().code);
  EXPECT_TRUE(until([&] { return there(); }));
  EXPECT_EQ(0, hearth({"shutdown"}).code);
  EXPECT_FALSE(there());
  EXPECT_FALSE(exists(work + "/web.pid"));
}

TEST_F(Marks, somebody_elses_file_is_left_alone_and_told) {
  write_file(work + "/web.ready", "precious");
  project("[service.web]\nready_file = \"web.ready\"\n" + puppet());
  Command waiting = begin({"up"});
  Actor web = stage->enter();
  EXPECT_EQ(0, waiting.wait().code);
  EXPECT_TRUE(until([&] { return status().notes_text().find("web.ready cannot be written") != std::string::npos; }));
  EXPECT_EQ("precious", contents("web.ready"));
  ::unlink((work + "/web.ready").c_str());
  EXPECT_TRUE(until([&] { return there(); }));
  EXPECT_TRUE(until([&] { return status().notes_text().find("web.ready cannot be written") == std::string::npos; }))
      << "its cause is gone";
}

}  // namespace
}  // namespace hearth::test
