// hearth as the first process of a PID namespace, as of a container: the reaper of everything, and the end of everything.
#include <fstream>
#include <signal.h>

#include <gmock/gmock.h>

#include "instance.h"
#include "os/proc_stat.h"

namespace hearth::test {
namespace {

using ::testing::HasSubstr;

std::vector<pid_t> children_of(pid_t parent) {
  std::ifstream list("/proc/" + std::to_string(parent) + "/task/" + std::to_string(parent) + "/children");
  std::vector<pid_t> pids;
  for (pid_t pid = 0; list >> pid;) pids.push_back(pid);
  return pids;
}

struct PidOne : Machine {
  bool can_have_namespaces() {
    return root() && execute({"/usr/bin/unshare", "--pid", "--fork", "--mount-proc", "/bin/true"}).wait().code == 0;
  }
  // Waits until it answers.
  void begin_namespace() {
    daemon = execute({"/usr/bin/unshare", "--pid", "--fork", "--kill-child", "--mount-proc", bin("hearth"), "--dir",
                      directory, "daemon"});
    ASSERT_TRUE(until([&] { return daemon.ended() || inside({"status", "--json"}).out.starts_with("{"); }));
    ASSERT_FALSE(daemon.ended());
  }
  pid_t first() const {
    const std::vector<pid_t> forked = children_of(daemon.pid());
    return forked.empty() ? 0 : forked.front();
  }
  Output inside(const std::vector<std::string>& words) {
    if (first() == 0) return {};
    std::vector<std::string> all = {"/usr/bin/nsenter", "--target",     std::to_string(first()), "--pid",
                                    "--mount",          "--wd=" + work, bin("hearth"),           "--dir",
                                    directory};
    all.insert(all.end(), words.begin(), words.end());
    return execute(all).wait();
  }
  Command daemon;
};

TEST_F(PidOne, starts_services_reaps_whoever_is_left_and_ends_them_in_order_at_term) {
  project("[service.web]\n" + puppet());
  if (!can_have_namespaces()) GTEST_SKIP() << "needs root and PID namespaces";
  ASSERT_NO_FATAL_FAILURE(begin_namespace());
  ASSERT_EQ(0, inside({"up"}).code);
  const Actor web = stage->enter();
  EXPECT_THAT(inside({"status", "--json"}).out, HasSubstr(R"("keeper":{"pid":1,)"));

  // An orphan of nobody's: of a process that came in from outside.
  ASSERT_EQ(0, inside({"exec", "web", "--", "/bin/sh", "-c", "(trap '' HUP; sleep 0.05) & exit 0"}).code);
  EXPECT_TRUE(until([&] {
    for (const pid_t pid : children_of(first())) {
      os::ProcStat stat;
      if (os::read_stat(pid, stat) && (stat.state == 'Z' || stat.name == "sleep")) return false;
    }
    return true;
  }));

  EXPECT_EQ("ok", web.ask("catch 15"));
  ASSERT_EQ(0, ::kill(first(), SIGTERM));
  EXPECT_EQ("signal 15", web.hear());
  web.order("exit 0");
  EXPECT_EQ(0, daemon.wait().code);
  EXPECT_FALSE(web.alive());
}

// The container goes on while hearth's supervisor and logger are replaced.
TEST_F(PidOne, outlives_its_members) {
  project("[service.web]\n" + puppet());
  if (!can_have_namespaces()) GTEST_SKIP() << "needs root and PID namespaces";
  ASSERT_NO_FATAL_FAILURE(begin_namespace());
  ASSERT_EQ(0, inside({"up"}).code);
  const Actor web = stage->enter();
  for (const pid_t pid : children_of(first())) {
    os::ProcStat stat;
    if (os::read_stat(pid, stat) && !stat.name.starts_with("hearth-test")) ::kill(pid, SIGKILL);
  }
  EXPECT_TRUE(until([&] { return inside({"status", "web"}).code == 0; }));
  EXPECT_TRUE(web.alive());
  ASSERT_EQ(0, inside({"restart", "web"}).code);
  EXPECT_TRUE(stage->enter().here());
  (void)inside({"shutdown"});  // killed with the namespace, as whoever is in it
  EXPECT_EQ(0, daemon.wait().code);
}

}  // namespace
}  // namespace hearth::test
