// L6: after a stop nothing of a service's tree lives, whatever it did to hide; and what cannot be ended is named.
// Proven three times: with cgroups, as root without, and as an ordinary user who may write to none.
#include <fcntl.h>
#include <filesystem>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "instance.h"
#include "os/cgroup.h"
#include "os/fd.h"
#include "os/proc_stat.h"

namespace hearth::test {
namespace {

struct Containment : Machine, ::testing::WithParamInterface<As> {
  Containment() : Machine(GetParam()) {}
  void SetUp() override {
    if (const std::string why = obstacle(); !why.empty()) GTEST_SKIP() << why;
  }

  // Starts the tree, and takes whoever enters the stage: `expected` of them.
  void start(const std::string& kind, std::size_t expected) {
    project("[service.web]\ncommand = [\"@TREE@\", \"@STAGE@\", \"" + kind + "\"]\nstop_timeout = \"0.5s\"\n");
    const Output started = up({"--no-wait"});
    ASSERT_EQ(0, started.code) << started.all();
    while (tree.size() < expected) {
      tree.push_back(stage->enter());
      ASSERT_TRUE(tree.back().here());
    }
  }
  void expect_stop_ends_all() {
    const std::string method = service().containment;
    if (as_ != As::caller) {
      EXPECT_EQ("sweep", method);
    }
    const Output stopped = hearth({"stop", "web"});
    EXPECT_EQ(0, stopped.code) << stopped.all();
    for (const Actor& actor : tree) EXPECT_FALSE(actor.alive()) << actor.label << " (" << actor.pid << ") lives";
    EXPECT_EQ("stopped", service().state);
    EXPECT_EQ("", service().leftover);
    expect_clean_shutdown();
  }

  std::vector<Actor> tree;
};

std::string kind_name(const ::testing::TestParamInfo<As>& info) {
  return as_name(info.param);
}
INSTANTIATE_TEST_SUITE_P(, Containment, ::testing::Values(As::caller, As::root_without_cgroups, As::user), kind_name);

TEST_P(Containment, a_program_that_ignores_every_signal_is_killed_after_its_grace) {
  start("ignores-term", 1);
  expect_stop_ends_all();
}

TEST_P(Containment, a_daemon_with_its_own_session_and_no_environment_ends_with_its_service) {
  start("double-fork", 2);
  expect_stop_ends_all();
}

TEST_P(Containment, who_has_closed_all_descriptors_and_lost_all_parents_ends_too) {
  start("closes-all", 2);
  expect_stop_ends_all();
}

TEST_P(Containment, a_descendant_that_holds_the_output_ends_and_the_log_is_complete) {
  start("holds-pipe", 2);
  expect_stop_ends_all();
}

TEST_P(Containment, a_program_that_forks_ten_thousand_times_is_gone_with_its_last_child) {
  start("forks-fast", 1);
  ASSERT_EQ("forked", tree[0].hear(60'000));
  expect_stop_ends_all();
  EXPECT_TRUE(tree[0].wait_silence()) << "a child of it lives";
}

TEST_P(Containment, a_tree_whose_members_never_stay_is_either_gone_or_the_stop_says_that_it_is_incomplete) {
  start("walks", 1);
  ASSERT_EQ("walking", tree[0].hear());
  const std::string method = service().containment;
  const Output stopped = hearth({"stop", "web"});
  const bool gone = tree[0].wait_silence(500);
  EXPECT_TRUE(gone || method != "cgroup");
  if (gone) {
    EXPECT_EQ(0, stopped.code) << stopped.all();
  } else {
    EXPECT_EQ(1, stopped.code) << stopped.all();
    EXPECT_NE(std::string::npos, stopped.all().find("incomplete")) << stopped.all();
    EXPECT_NE("", service().leftover);
  }
}

TEST_P(Containment, a_wrapper_shell_ends_with_the_server_it_started) {
  project("[service.web]\nshell = true\ncommand = \"@PUPPET@ @STAGE@ server; echo wrapper done\"\n");
  ASSERT_EQ(0, up().code);
  tree.push_back(stage->enter());
  EXPECT_NE(tree[0].pid, service().pid) << "the shell is the leader";
  expect_stop_ends_all();
}

TEST_P(Containment, descendants_of_a_run_that_crashed_are_gone_before_its_successor_is_stopped) {
  project(
      "[service.web]\nshell = true\nbackoff = { initial = 0 }\nrestart = \"always\"\n"
      "command = \"@TREE@ @STAGE@ double-fork\"\n");
  ASSERT_EQ(0, up().code);
  tree.push_back(stage->enter());
  tree.push_back(stage->enter());
  for (const Actor& actor : tree)
    if (actor.label != "hidden") actor.kill(SIGKILL);
  tree.push_back(stage->enter());
  tree.push_back(stage->enter());
  expect_stop_ends_all();
}

// As from another session: whoever is started from now on begins in a cgroup beside ours.
struct OtherCgroup {
  OtherCgroup() {
    const os::CgroupPlace place = os::parse_cgroup_place(os::read_file("/proc/self/mountinfo").value_or(""),
                                                         os::read_file("/proc/self/cgroup").value_or(""));
    home = place.directory();
    other = home + "/elsewhere." + std::to_string(::getpid());
    moved = !home.empty() && ::mkdir(other.c_str(), 0755) == 0 && enter(other);
  }
  ~OtherCgroup() {
    EXPECT_TRUE(!moved || enter(home));
    ::rmdir(other.c_str());
  }
  static bool enter(const std::string& cgroup) {
    const os::Fd procs(::open((cgroup + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
    return procs && ::write(procs.get(), "0", 1) == 1;
  }
  std::string home, other;
  bool moved = false;
};

TEST_P(Containment, what_a_hearth_has_left_in_a_tree_that_the_next_one_does_not_have_ends_with_its_service) {
  start("closes-all", 2);
  const std::string method = service().containment;
  kill_everything();
  const OtherCgroup from;
  if (!from.moved) GTEST_SKIP() << "no other cgroup can be entered here";
  const Output again = up();
  ASSERT_EQ(0, again.code) << again.all();
  EXPECT_EQ(method, service().containment);
  EXPECT_TRUE(stage->quiet(0)) << "it was started again";
  expect_stop_ends_all();
}

TEST_P(Containment, another_service_and_strangers_are_left_alone) {
  project(
      "[service.web]\ncommand = [\"@TREE@\", \"@STAGE@\", \"double-fork\"]\nstop_timeout = \"0.5s\"\n"
      "[service.other]\n" +
      puppet("other"));
  ASSERT_EQ(0, up().code);
  std::vector<Actor> others;
  for (int i = 0; i < 3; ++i) {
    Actor actor = stage->enter();
    (actor.label == "other" ? others : tree).push_back(std::move(actor));
  }
  Command stranger = execute({bin("hearth-test-puppet"), stage->path(), "stranger"});
  others.push_back(stage->enter());
  EXPECT_EQ(0, hearth({"stop", "web"}).code);
  for (const Actor& actor : tree) EXPECT_FALSE(actor.alive()) << actor.label;
  for (const Actor& actor : others) {
    EXPECT_TRUE(actor.alive()) << actor.label;
    EXPECT_EQ("ok", actor.ask("print here")) << actor.label;
  }
}

// A process of somebody else in the tree of an ordinary user's service cannot be killed by that user.
struct Unkillable : Machine {
  Unkillable() : Machine(As::user) {}
  void prepare(const std::string& more = {}) {
    if (const std::string why = obstacle(); !why.empty()) GTEST_SKIP() << why;
    struct statvfs file_system{};
    ASSERT_EQ(0, ::statvfs(base.c_str(), &file_system));
    if ((file_system.f_flag & ST_NOSUID) != 0) GTEST_SKIP() << "/tmp is mounted nosuid";
    std::filesystem::copy_file(bin("hearth-test-tree"), base + "/as-root");
    ASSERT_EQ(0, ::chmod((base + "/as-root").c_str(), 04755));
    project(
        "[service.web]\nshell = true\ncommand = \"@BASE@/as-root @STAGE@ becomes-root & @PUPPET@ @STAGE@ web\"\n"
        "stop_timeout = \"0.5s\"\n" +
        more);
  }
  void enter(int count = 2) {
    for (int i = 0; i < count; ++i) {
      Actor actor = stage->enter();
      (actor.label == "web" ? web : actor.label == "other" ? other : rooted) = std::move(actor);
    }
  }
  Actor rooted, web, other;
};

TEST_F(Unkillable, what_belongs_to_root_is_named_and_the_stop_of_an_ordinary_user_is_incomplete) {
  prepare();
  if (IsSkipped() || HasFatalFailure()) return;
  ASSERT_EQ(0, up().code);
  enter();
  const Output stopped = hearth({"stop", "web"});
  EXPECT_EQ(1, stopped.code) << stopped.all();
  EXPECT_TRUE(rooted.alive());
  EXPECT_FALSE(web.alive());
  EXPECT_NE(std::string::npos, stopped.all().find("incomplete")) << stopped.all();
  EXPECT_NE(std::string::npos, stopped.all().find("PID " + std::to_string(rooted.pid))) << stopped.all();
  EXPECT_NE(std::string::npos, service().leftover.find("PID " + std::to_string(rooted.pid))) << service().leftover;
  const Output as_json = hearth({"stop", "web", "--json"});
  EXPECT_NE(std::string::npos, as_json.out.find("\"incomplete\"")) << as_json.out;
  rooted.kill(SIGKILL);
}

TEST_F(Unkillable, a_command_in_the_foreground_says_so_at_its_end) {
  prepare("[service.other]\nrestart = \"never\"\n" + puppet("other"));
  if (IsSkipped() || HasFatalFailure()) return;
  Command foreground = begin({"up", "--foreground", "--exit-code-from", "other"});
  enter(3);
  other.order("exit 0");
  const Output output = foreground.wait();
  EXPECT_EQ(1, output.code) << output.all();
  EXPECT_NE(std::string::npos, output.err.find("hearth: web: the stop is incomplete")) << output.all();
  EXPECT_NE(std::string::npos, output.err.find("PID " + std::to_string(rooted.pid))) << output.all();
  rooted.kill(SIGKILL);
}

// A process frozen by the old freezer does not die before it thaws.
struct Frozen : Machine {
  Frozen() : place("/sys/fs/cgroup/freezer/" + std::filesystem::path(base).filename().string()) {
    made = root() && ::mkdir(place.c_str(), 0755) == 0;
  }
  ~Frozen() override {
    if (!made) return;
    thaw();
    frozen.wait_end();
    reap();
    EXPECT_TRUE(until([&] { return ::rmdir(place.c_str()) == 0; })) << place;
  }
  void thaw() { write_file(place + "/freezer.state", "THAWED"); }

  std::string place;
  bool made = false;
  Actor frozen;
};

TEST_F(Frozen, a_service_that_the_kernel_cannot_kill_is_said_to_outlive_its_kill) {
  if (!made) GTEST_SKIP() << "no freezer of cgroup v1 here";
  project("[service.web]\nstop_timeout = \"0.5s\"\n" + puppet());
  ASSERT_EQ(0, up().code);
  frozen = stage->enter();
  write_file(place + "/cgroup.procs", std::to_string(frozen.pid));
  write_file(place + "/freezer.state", "FROZEN");
  Command stopping = begin({"stop", "web"});
  const std::string said = "KILL was sent, and PID " + std::to_string(frozen.pid) + " has not ended yet";
  EXPECT_TRUE(until([&] { return service().reason_text == said; })) << service().reason_text;
  EXPECT_EQ("stopping", service().state);
  thaw();
  EXPECT_EQ(0, stopping.wait().code);
}

TEST_F(Frozen, what_the_kernel_cannot_kill_is_named_and_the_stop_is_incomplete) {
  if (!made) GTEST_SKIP() << "no freezer of cgroup v1 here";
  project("[service.web]\ncommand = [\"@TREE@\", \"@STAGE@\", \"double-fork\"]\nstop_timeout = \"0.5s\"\n");
  ASSERT_EQ(0, up().code);
  for (int i = 0; i < 2; ++i) {
    Actor actor = stage->enter();
    if (actor.label == "hidden") frozen = std::move(actor);
  }
  ASSERT_TRUE(frozen.alive());
  write_file(place + "/cgroup.procs", std::to_string(frozen.pid));
  write_file(place + "/freezer.state", "FROZEN");
  const Output stopped = hearth({"stop", "web"});
  EXPECT_EQ(1, stopped.code) << stopped.all();
  EXPECT_NE(std::string::npos, stopped.all().find("incomplete")) << stopped.all();
  EXPECT_NE(std::string::npos, service().leftover.find("PID " + std::to_string(frozen.pid))) << service().leftover;
  thaw();
  EXPECT_TRUE(frozen.wait_end()) << "its KILL has only waited";
}

}  // namespace
}  // namespace hearth::test
