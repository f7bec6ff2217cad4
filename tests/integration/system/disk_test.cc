// A disk that is full or does not answer, under DIR/spec and DIR/runs.json.
#include <filesystem>
#include <signal.h>
#include <sys/stat.h>

#include <gmock/gmock.h>

#include "instance.h"

namespace hearth::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Disk : Machine {
  std::string spec(const std::string& name) const { return directory + "/spec/" + name; }
  std::string changed() const { return "[service.web]\nstop_timeout = \"9s\"\n" + puppet(); }
};

TEST_F(Disk, what_cannot_be_written_refuses_nothing_is_told_and_outlives_all_of_hearth) {
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  (void)stage->enter();
  std::filesystem::create_directory(spec("2.json"));  // what no rename replaces
  project(changed());
  ASSERT_EQ(0, up().code);
  const Actor web = stage->enter();
  EXPECT_TRUE(until([&] { return status().notes_text().find("cannot write " + spec("2.json")) != std::string::npos; }));
  EXPECT_THAT(status().notes_text(), HasSubstr("a reboot"));

  // Its document is in memory only.
  kill_everything();
  std::filesystem::remove(spec("2.json"));
  ASSERT_EQ(0, hearth({"run", "--name", "other", "--", bin("hearth-test-puppet"), stage->path(), "other"}).code);
  EXPECT_EQ("other", stage->enter().label);
  EXPECT_EQ(web.pid, service().pid);
  EXPECT_TRUE(until([&] { return exists(spec("2.json")) && exists(spec("3.json")) && !exists(spec("1.json")); }));
  EXPECT_THAT(status().notes_text(), Not(HasSubstr("cannot write")));
  expect_clean_shutdown();
}

TEST_F(Disk, what_does_not_return_holds_up_neither_orders_nor_services_nor_the_end) {
  project("[service.web]\nbackoff = { initial = 0 }\n" + puppet());
  ASSERT_EQ(0, up().code);
  (void)stage->enter();
  // Opening a FIFO for writing waits for a reader, as a write waits for a file server that is away.
  ASSERT_EQ(0, ::mkfifo(spec("2.json.new").c_str(), 0600));
  project(changed());
  ASSERT_EQ(0, up().code);
  Actor web = stage->enter();
  web.order("exit 1");
  const Actor next = stage->enter();
  EXPECT_EQ(next.pid, service().pid);
  EXPECT_TRUE(until([&] { return status().notes_text().find("the disk hangs") != std::string::npos; }));
  kill_members("hearth-supervisor", SIGKILL);
  EXPECT_TRUE(until([&] { return status().takeovers == 1; }));
  EXPECT_EQ(next.pid, service().pid);
  ASSERT_EQ(0, hearth({"stop", "web"}).code);
  EXPECT_EQ("stopped", service().state);

  const Output ended = hearth({"shutdown"});
  EXPECT_EQ(0, ended.code) << ended.all();
  EXPECT_TRUE(exists(directory + "/state/decision-page")) << "runs.json may say that it was to be kept up";
  std::filesystem::remove(spec("2.json.new"));
  project("[service.web]\n" + puppet());
  const Output again = up();
  EXPECT_EQ(0, again.code) << again.all();
  EXPECT_EQ(stage->enter().pid, service().pid);
  expect_clean_shutdown();
}

}  // namespace
}  // namespace hearth::test
