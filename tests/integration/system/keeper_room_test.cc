// A keeper that took the place of a dead one has no room for what runs have: the supervisor holds that alone, and dies.
#include <filesystem>
#include <signal.h>
#include <sys/resource.h>

#include <gmock/gmock.h>

#include "instance.h"

namespace hearth::test {
namespace {

using ::testing::HasSubstr;

// The next one has the limit of the supervisor that starts it, which nobody has raised.
struct KeeperWithoutRoom : Machine {
  void fill(const std::string& more = "") {
    project(
        "[service.filler]\nreplicas = 30\ncommand = [\"/bin/sleep\", \"1000\"]\n"
        "[service.web]\ndepends_on = [\"filler\"]\n" +
        more + puppet());
  }
  static std::string opened(pid_t pid, const std::string& number) {
    std::error_code error;
    return std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/fd/" + number, error).string();
  }
  bool keeper_has(const std::string& file) {
    const pid_t keeper = status().keeper;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(keeper) + "/fd", error))
      if (opened(keeper, entry.path().filename().string()).ends_with(file)) return true;
    return false;
  }
  bool is_told() { return status().notes_text().find("has no room") != std::string::npos; }
  pid_t replace_keeper(rlim_t limit) {
    const pid_t keeper = status().keeper;
    const rlimit few{limit, limit};
    EXPECT_EQ(0, ::prlimit(members("hearth-supervisor").front(), RLIMIT_NOFILE, &few, nullptr));
    EXPECT_EQ(0, ::kill(keeper, SIGKILL));
    return keeper;
  }
  void replace_supervisor() {
    const pid_t supervisor = status().supervisor;
    ASSERT_EQ(0, ::kill(supervisor, SIGKILL));
    EXPECT_TRUE(until([&] { return status().supervisor != supervisor; }));
  }
  Actor start_more_than_the_next_keeper_holds() {
    fill();
    EXPECT_EQ(0, up().code);
    Actor web = stage->enter();
    // The keeper's own, all pidfds, and outputs as far as it goes: that of web, which was started last, is not among them.
    const pid_t keeper = replace_keeper(120);
    EXPECT_TRUE(until([&] { return is_told(); }));
    EXPECT_NE(keeper, status().keeper);
    EXPECT_FALSE(keeper_has("/o/" + web.run));
    return web;
  }
  bool is_read(const std::string& line) {
    return until([&] { return hearth({"logs", "web"}).out.find(line) != std::string::npos; });
  }
};

TEST_F(KeeperWithoutRoom, output_that_it_refused_is_read_when_it_has) {
  Actor web = start_more_than_the_next_keeper_holds();
  EXPECT_EQ("ok", web.ask("print waits for its reader"));
  ASSERT_EQ(0, hearth({"stop", "filler"}).code);
  EXPECT_TRUE(is_read("waits for its reader"));
  EXPECT_TRUE(until([&] { return status().notes_text().find("has no room") == std::string::npos; }));
  EXPECT_TRUE(web.alive());
}

// Nobody else has it open then but the service itself.
TEST_F(KeeperWithoutRoom, output_that_it_refused_outlives_the_supervisor_that_held_it) {
  Actor web = start_more_than_the_next_keeper_holds();
  EXPECT_EQ("ok", web.ask("print waits for its reader"));
  ASSERT_NO_FATAL_FAILURE(replace_supervisor());
  EXPECT_FALSE(keeper_has("/o/" + web.run)) << "nothing would be left to give it";
  ASSERT_EQ(0, hearth({"stop", "filler"}).code);
  EXPECT_TRUE(is_read("waits for its reader"));
  EXPECT_TRUE(until([&] { return keeper_has("/o/" + web.run); }));
  EXPECT_EQ("ok", web.ask("print is read at once"));
  EXPECT_TRUE(is_read("is read at once"));
  EXPECT_TRUE(web.alive());
}

// What has no name is given to a keeper last: so with a little less room than is needed that alone is refused.
TEST_F(KeeperWithoutRoom, a_service_whose_readiness_pipe_died_with_the_supervisor_that_held_it_counts_as_ready) {
  fill("ready = \"fd:3\"\nstart_timeout = \"0s\"\n");
  Command waiting = begin({"up"});
  Actor web = stage->enter();
  const std::string pipe = opened(web.pid, "3");
  ASSERT_THAT(pipe, HasSubstr("pipe:"));
  ASSERT_TRUE(keeper_has(pipe));
  bool refused = false;
  for (rlim_t limit = 175; !refused && limit > 140; --limit) {
    const pid_t keeper = replace_keeper(limit);
    ASSERT_TRUE(until([&] { return status().keeper != keeper && (is_told() || keeper_has(pipe)); }));
    refused = is_told() && !keeper_has(pipe);
  }
  ASSERT_TRUE(refused);
  ASSERT_TRUE(keeper_has("/o/" + web.run));
  ASSERT_FALSE(service().ready);
  ASSERT_NO_FATAL_FAILURE(replace_supervisor());
  EXPECT_EQ(0, waiting.wait().code);
  EXPECT_TRUE(service().ready);
  EXPECT_THAT(status().notes_text(), HasSubstr("while the keeper had no room for its readiness pipe"));
  EXPECT_TRUE(web.alive());
}

}  // namespace
}  // namespace hearth::test
