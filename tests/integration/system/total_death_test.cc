// All of hearth dies at once, and the next hearth goes on where it stood. runs.json, which is written behind, is removed
// each time but where it is what is tested: what is known afterwards comes from DIR/state.
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <gmock/gmock.h>

#include "instance.h"
#include "os/proc_stat.h"
#include "wire/slot_table.h"

namespace hearth::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct TotalDeath : Machine {
  std::string state(const std::string& file) const { return directory + "/state/" + file; }
  void die() {
    kill_everything();
    const bool removed = ::unlink((directory + "/runs.json").c_str()) == 0;
    ASSERT_TRUE(removed || errno == ENOENT) << "it may not have been written yet, but is there";
  }
  // Another service, so that nothing is ordered about those that were there.
  void next_hearth() {
    const Output output = hearth({"run", "--name", "other", "--", bin("hearth-test-puppet"), stage->path(), "other"});
    EXPECT_EQ(0, output.code) << output.all();
    const Actor other = stage->enter();
    EXPECT_EQ("other", other.label);
    greatest_run = std::stoull(other.run);
  }
  // In order: the service is told first, and then has time.
  void shutdown_ends(const Actor& service) {
    Command ending = begin({"shutdown"});
    EXPECT_EQ("signal 15", service.hear());
    service.order("exit 0");
    const Output output = ending.wait();
    EXPECT_EQ(0, output.code) << output.all();
    EXPECT_THAT(output.out, HasSubstr("Shutdown complete"));
    EXPECT_TRUE(service.wait_end());
  }
  std::uint64_t greatest_run = 0;
};

TEST_F(TotalDeath, an_order_that_was_answered_a_moment_before_is_carried_out) {
  project("[service.web]\nstop_timeout = \"60s\"\n" + puppet());
  ASSERT_EQ(0, up().code);
  Actor web = stage->enter();
  EXPECT_EQ("ok", web.ask("catch 15"));
  ASSERT_EQ(0, hearth({"stop", "--no-wait", "web"}).code);
  die();
  next_hearth();
  EXPECT_EQ("signal 15", web.hear());
  EXPECT_TRUE(until_state("web", "stopping"));
  web.order("exit 0");
  EXPECT_TRUE(until_state("web", "stopped"));
  EXPECT_GT(greatest_run, std::stoull(web.run)) << "no number twice";
}

TEST_F(TotalDeath, a_stop_in_flight_goes_on_sends_its_signal_once_and_answers_who_waits_for_it) {
  project("[service.web]\nstop_timeout = \"60s\"\n" + puppet());
  ASSERT_EQ(0, up().code);
  Actor web = stage->enter();
  EXPECT_EQ("ok", web.ask("catch 15"));
  Command stopping = begin({"stop", "web"});
  EXPECT_EQ("signal 15", web.hear());
  die();
  next_hearth();
  EXPECT_EQ("stopping", service().state);
  EXPECT_EQ("-", web.ask("variable HERE")) << "a second TERM";
  EXPECT_FALSE(stopping.ended());
  web.order("exit 0");
  const Output output = stopping.wait();
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_EQ("stopped", service().state);
}

TEST_F(TotalDeath, up_in_flight_is_answered_by_the_next_hearth) {
  project("[service.slow]\nstart_timeout = \"60s\"\nready = { type = \"exec\", command = [\"test\", \"-e\", \"" + base +
          "/loaded\"], interval = \"20ms\" }\n" + puppet("slow"));
  Command waiting = begin({"up"});
  const Actor slow = stage->enter();
  EXPECT_TRUE(until_state("slow", "starting"));
  die();
  next_hearth();
  EXPECT_EQ("starting", service("slow").state);
  EXPECT_EQ(slow.pid, service("slow").pid);
  write_file(base + "/loaded", "");
  const Output output = waiting.wait();
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_TRUE(stage->quiet(0)) << "it was started again";
}

TEST_F(TotalDeath, a_service_in_backoff_waits_on_and_comes_back) {
  project("[service.web]\nrestart = \"always\"\nbackoff = { initial = \"60s\", max = \"60s\", jitter = 0 }\n" +
          puppet());
  ASSERT_EQ(0, up().code);
  Actor web = stage->enter();
  web.order("exit 7");
  EXPECT_TRUE(until_state("web", "backoff"));
  die();
  next_hearth();
  EXPECT_EQ("backoff", service().state);
  EXPECT_EQ(7, service().exit_code);
  ASSERT_EQ(0, hearth({"start", "web"}).code);
  EXPECT_GT(std::stoull(stage->enter().run), greatest_run);
}

TEST_F(TotalDeath, what_has_completed_is_not_started_again) {
  project("[service.once]\nrestart = \"never\"\n" + puppet("once"));
  ASSERT_EQ(0, up().code);
  Actor once = stage->enter();
  once.order("exit 0");
  EXPECT_TRUE(until_state("once", "completed"));
  die();
  next_hearth();
  EXPECT_EQ("completed", service("once").state);
  EXPECT_EQ(0, service("once").exit_code);
  EXPECT_TRUE(stage->quiet(0));
}

TEST_F(TotalDeath, an_end_in_the_dead_time_is_unknown_and_the_policy_decides) {
  project("[service.once]\nrestart = \"never\"\n" + puppet("once"));
  ASSERT_EQ(0, up().code);
  Actor once = stage->enter();
  die();
  once.order("exit 0");
  EXPECT_TRUE(once.wait_end());
  reap();
  next_hearth();
  EXPECT_TRUE(until_state("once", "failed"));
  EXPECT_EQ(-1, service("once").exit_code);
  EXPECT_TRUE(stage->quiet(0));
}

TEST_F(TotalDeath, status_says_what_was_lost_and_a_shutdown_leaves_no_state) {
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  const Actor web = stage->enter();
  EXPECT_THAT(status().notes_text(), Not(HasSubstr("DIR/state")));
  die();
  next_hearth();
  EXPECT_THAT(status().notes_text(), HasSubstr("all of hearth had died"));
  EXPECT_TRUE(exists(state("slot-table")));
  expect_clean_shutdown();
  for (const char* file : {"slot-table", "decision-page"}) EXPECT_FALSE(exists(state(file))) << file;
  next_hearth();
  EXPECT_FALSE(service().there) << "a deliberate end forgets";
}

TEST_F(TotalDeath, who_follows_events_is_told_that_hearth_is_gone_and_its_services_are_not) {
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  const Actor web = stage->enter();
  Command follower = begin({"events", "-f"});
  ASSERT_TRUE(until([&] { return !follower.out().empty(); }));
  kill_everything();
  const Output told = follower.wait();
  EXPECT_EQ(7, told.code) << told.all();
  EXPECT_THAT(told.err, HasSubstr("services of an earlier hearth still run"));
  EXPECT_THAT(told.err, HasSubstr(" up` "));
  EXPECT_TRUE(web.alive());
  ASSERT_EQ(0, up().code);
  expect_clean_shutdown();
}

TEST_F(TotalDeath, a_shutdown_of_what_died_ends_the_services_that_live) {
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  Actor web = stage->enter();
  EXPECT_EQ("ok", web.ask("catch 15"));
  die();
  const Output before = hearth({"status"});
  EXPECT_EQ(3, before.code);
  EXPECT_THAT(before.err, HasSubstr("still run, p.web.0 (PID " + std::to_string(web.pid) + ")"));
  const Output refused = hearth({"down", "web"});
  EXPECT_EQ(7, refused.code);
  EXPECT_THAT(refused.err, HasSubstr("still run, p.web.0 (PID " + std::to_string(web.pid) + ")"));
  shutdown_ends(web);
  EXPECT_FALSE(exists(state("decision-page")));
  EXPECT_THAT(hearth({"shutdown"}).out, HasSubstr("hearth is not running"));
}

TEST_F(TotalDeath, a_shutdown_ends_the_services_that_an_earlier_hearth_was_told_to_leave) {
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  Actor web = stage->enter();
  const os::Fd keeper(os::pidfd_open(status().keeper));
  os::pidfd_signal(keeper.get(), SIGQUIT);
  pollfd polled{keeper.get(), POLLIN, 0};
  ASSERT_EQ(1, ::poll(&polled, 1, patience_ms));
  EXPECT_TRUE(web.alive());
  const Output output = hearth({"shutdown"});
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_TRUE(web.wait_end());
}

// Without DIR/state (it could not be used, say): first the list of runs, then only what the processes say themselves.
TEST_F(TotalDeath, services_that_only_the_list_of_runs_knows_are_named_and_ended) {
  for (const bool listed : {true, false}) {
    project("[service.web]\n" + puppet());
    ASSERT_EQ(0, up().code);
    Actor web = stage->enter();
    EXPECT_EQ("ok", web.ask("catch 15"));
    EXPECT_TRUE(until([&] {
      return os::read_file(directory + "/runs.json").value_or("").find(std::to_string(web.pid)) != std::string::npos;
    }));
    kill_everything();
    for (const char* file : {"slot-table", "decision-page"}) ASSERT_EQ(0, ::unlink(state(file).c_str()));
    if (!listed) {
      ASSERT_EQ(0, ::unlink((directory + "/runs.json").c_str()));
    }
    const std::string who = ".web.0 (PID " + std::to_string(web.pid) + ")";
    const Output before = hearth({"status"});
    EXPECT_EQ(3, before.code);
    EXPECT_THAT(before.err, HasSubstr(who));
    for (const char* verb : {"stop", "down"}) {
      const Output refused = hearth({verb, "web"});
      EXPECT_EQ(7, refused.code);
      EXPECT_THAT(refused.err, HasSubstr(who));
    }
    shutdown_ends(web);
    reap();
    EXPECT_THAT(hearth({"shutdown"}).out, HasSubstr("hearth is not running"));
  }
}

TEST_F(TotalDeath, a_list_of_another_boot_names_nobody) {
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  const Actor web = stage->enter();
  expect_clean_shutdown();
  // The test itself stands for whoever has the PID now.
  const std::string self = std::to_string(::getpid()), ticks = std::to_string(os::start_ticks(::getpid()));
  const auto list = [&](const std::string& boot, const std::string& start) {
    write_file(directory + "/runs.json",
               R"({"format":1,"boot_id":")" + boot + R"(","pid_namespace":)" + std::to_string(os::pid_namespace()) +
                   R"(,"instance":"x","next_run":9,"runs":[)"
                   "\n"
                   R"({"label":"p.web.0","document":1,"service":0,"replica":0,"run":8,"pid":)" +
                   self + R"(,"start_ticks":)" + start +
                   R"(,"want_up":true})"
                   "\n]}\n");
    return hearth({"status"}).err;
  };
  EXPECT_THAT(list(os::boot_id(), ticks), HasSubstr("p.web.0 (PID " + self + ")"));
  EXPECT_THAT(list(os::boot_id(), ticks + "0"), Not(HasSubstr("p.web.0")));
  EXPECT_THAT(list("another", ticks), Not(HasSubstr("p.web.0")));
  ASSERT_EQ(0, ::unlink((directory + "/runs.json").c_str()));
}

TEST_F(TotalDeath, what_no_document_tells_of_is_named_when_hearth_has_ended_and_it_has_not) {
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  const Actor web = stage->enter();
  die();
  // DIR/state may be a link.
  for (const char* part : {"state/", "spec/"})
    for (const auto& file : std::filesystem::directory_iterator(directory + "/" + part)) std::filesystem::remove(file);
  const Output output = hearth({"shutdown"});
  EXPECT_EQ(1, output.code) << output.all();
  EXPECT_THAT(output.err, HasSubstr(".web.0 (PID " + std::to_string(web.pid) + ")"));
  EXPECT_TRUE(web.alive());
  EXPECT_TRUE(web.kill(SIGKILL));
}

TEST_F(TotalDeath, up_lets_the_next_hearth_finish_a_shutdown_and_begins_when_it_has_ended) {
  project("[service.web]\nstop_timeout = \"60s\"\n" + puppet());
  ASSERT_EQ(0, up().code);
  Actor web = stage->enter();
  EXPECT_EQ("ok", web.ask("catch 15"));
  ASSERT_EQ(0, hearth({"shutdown", "--no-wait"}).code);
  EXPECT_EQ("signal 15", web.hear());
  die();
  Command upping = begin({"up"});
  EXPECT_TRUE(until([&] { return upping.out().find("hearth is shutting down") != std::string::npos; }));
  web.order("exit 0");
  const Actor next = stage->enter();
  EXPECT_GT(std::stoull(next.run), std::stoull(web.run));
  const Output output = upping.wait();
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_EQ(next.pid, service().pid);
  expect_clean_shutdown();
}

TEST_F(TotalDeath, up_starts_a_second_hearth_when_the_first_has_only_the_end_of_a_shutdown_to_do) {
  project("[service.web]\nstop_timeout = \"60s\"\n" + puppet());
  ASSERT_EQ(0, up().code);
  Actor web = stage->enter();
  EXPECT_EQ("ok", web.ask("catch 15"));
  ASSERT_EQ(0, hearth({"shutdown", "--no-wait"}).code);
  EXPECT_EQ("signal 15", web.hear());
  die();
  web.order("exit 0");
  EXPECT_TRUE(web.wait_end());
  reap();
  const Output output = up();
  EXPECT_EQ(0, output.code) << output.all();
  EXPECT_EQ(stage->enter().pid, service().pid);
}

TEST_F(TotalDeath, files_that_cannot_be_used_are_put_aside_and_what_runs_is_found_all_the_same) {
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  const Actor web = stage->enter();
  const auto overwrite = [&](const std::string& file, off_t at, const std::string& bytes) {
    const os::Fd fd(::open(state(file).c_str(), O_WRONLY));
    EXPECT_EQ(static_cast<ssize_t>(bytes.size()), ::pwrite(fd.get(), bytes.data(), bytes.size(), at));
  };
  struct Harm {
    const char* said;
    std::function<void()> done;
  };
  const Harm harms[] = {
      {"damaged", [&] { overwrite("decision-page", 0, std::string(4096, '\xff')); }},
      {"damaged", [&] { EXPECT_EQ(0, ::truncate(state("slot-table").c_str(), 1000)); }},
      {"of another version", [&] { overwrite("slot-table", 4, std::string("\x63\0\0\0", 4)); }},
      {"of another boot", [&] { overwrite("slot-table", offsetof(wire::SlotTable, identity), "somewhen"); }},
      {"not ours alone",
       [&] {
         EXPECT_EQ(0, ::unlink(state("slot-table").c_str()));
         EXPECT_EQ(0, ::symlink("/dev/null", state("slot-table").c_str()));
       }},
      {"incomplete", [&] { EXPECT_EQ(0, ::unlink(state("decision-page").c_str())); }},
  };
  for (const Harm& harm : harms) {
    // Here the second line is what is tested: it must have been written.
    EXPECT_TRUE(until([&] {
      return os::read_file(directory + "/runs.json").value_or("").find(std::to_string(web.pid)) != std::string::npos;
    }));
    kill_everything();
    harm.done();
    const Output output = up();
    EXPECT_EQ(0, output.code) << output.all();
    ASSERT_EQ(web.pid, service().pid) << harm.said << ": " << status().notes_text();
    EXPECT_THAT(status().notes_text(), HasSubstr(harm.said));
    EXPECT_TRUE(exists(state("slot-table.put-aside")) || exists(state("decision-page.put-aside")));
  }
  EXPECT_TRUE(stage->quiet(0)) << "nobody was started twice";
}

TEST_F(TotalDeath, a_second_keeper_leaves_the_state_of_the_first_alone) {
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  const Actor web = stage->enter();
  const auto inode = [&] {
    struct stat st{};
    return ::stat(state("decision-page").c_str(), &st) == 0 ? st.st_ino : 0;
  };
  const ino_t before = inode();
  Command second = execute({bin("hearth-keeper"), "--dir", directory, "--logs", directory + "/logs", "--supervisor",
                            bin("hearth-supervisor"), "--logger", bin("hearth-logger")});
  EXPECT_EQ(75, second.wait().code);
  EXPECT_EQ(before, inode());
  die();
  next_hearth();
  EXPECT_EQ(web.pid, service().pid);
}

// The state was another one for each spelling, and each hearth went on with that of the last but one.
TEST_F(TotalDeath, a_directory_below_a_link_is_the_same_by_each_of_its_names) {
  const std::string real = directory, alias = base + "/alias/i";
  std::filesystem::create_directory_symlink(work, base + "/alias");
  directory = alias;
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  const Actor web = stage->enter();
  die();
  directory = real;
  next_hearth();
  EXPECT_EQ(web.pid, service().pid);
  EXPECT_THAT(status().notes_text(), HasSubstr("this one goes on from"));
  ASSERT_EQ(0, hearth({"down", "other"}).code);
  die();
  directory = alias;
  next_hearth();
  EXPECT_EQ(web.pid, service().pid);
  EXPECT_THAT(status().notes_text(), Not(HasSubstr("put aside")));
  expect_clean_shutdown();
}

struct TotalDeathOnTmpfs : TotalDeath {
  TotalDeathOnTmpfs() {
    ::mkdir(directory.c_str(), 0711);
    mounted_ = ::mount("none", directory.c_str(), "tmpfs", 0, "size=4m,mode=0711") == 0;
  }
  ~TotalDeathOnTmpfs() override {
    if (!mounted_) return;
    if (exists(directory + "/api.sock")) (void)hearth({"shutdown"});
    ::umount2(directory.c_str(), MNT_DETACH);
  }
  bool mounted_ = false;
};

TEST_F(TotalDeathOnTmpfs, when_it_is_full_up_is_refused_and_what_runs_goes_on) {
  if (!mounted_) GTEST_SKIP() << "a small tmpfs cannot be mounted here";
  project("[service.web]\nrestart = \"always\"\nbackoff = { initial = 0 }\n" + puppet());
  ASSERT_EQ(0, up().code);
  Actor web = stage->enter();
  struct stat st{};
  ASSERT_EQ(0, ::lstat((directory + "/state").c_str(), &st));
  EXPECT_TRUE(S_ISDIR(st.st_mode)) << "on tmpfs it needs no other place";
  const std::string filler = directory + "/filler";
  {
    const os::Fd fd(::open(filler.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    const std::string block(4096, 'x');
    while (::write(fd.get(), block.data(), block.size()) > 0) {
    }
  }
  std::string many;
  for (int i = 0; i < 200; ++i) many += "[service.s" + std::to_string(i) + "]\ncommand = [\"sleep\", \"1000\"]\n";
  const std::string first = os::read_file(work + "/hearth.toml").value_or("");
  project(first + many);
  const Output refused = up();
  EXPECT_NE(0, refused.code);
  EXPECT_THAT(refused.all(), HasSubstr("No space left on device"));
  // Supervision goes on, and so it does through the death of everything.
  web.kill(SIGKILL);
  web = stage->enter();
  kill_everything();
  EXPECT_EQ(0, ::unlink(filler.c_str()));
  next_hearth();
  EXPECT_EQ(web.pid, service().pid);
  EXPECT_FALSE(service("s0").there);
  expect_clean_shutdown();
}

// It would have kept the lock, and no supervisor ever came up.
TEST_F(TotalDeath, a_start_with_too_few_descriptors_for_a_supervisor_holds_up_nobody) {
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  const Actor web = stage->enter();
  kill_everything();
  const Output few = execute({bin("hearth"), "--dir", directory, "daemon"}, [] {
                       const rlimit limit{40, 40};
                       ::setrlimit(RLIMIT_NOFILE, &limit);
                     }).wait();
  EXPECT_NE(0, few.code);
  EXPECT_THAT(few.all(), HasSubstr("fewer than 64 descriptors"));
  EXPECT_THAT(few.all(), HasSubstr("ulimit -n"));
  EXPECT_EQ(0, up().code);
  EXPECT_EQ(web.pid, service().pid);
  expect_clean_shutdown();
}

// The supervisor failed for want of a descriptor for the API's socket, and was started again, for ever.
TEST_F(TotalDeath, with_too_few_descriptors_for_all_that_runs_hearth_can_still_be_asked_why) {
  std::string text;
  for (int i = 0; i < 30; ++i) text += "[service.s" + std::to_string(i) + "]\ncommand = [\"sleep\", \"100000\"]\n";
  project(text);
  ASSERT_EQ(0, up().code);
  kill_everything();
  Command daemon = execute({bin("hearth"), "--dir", directory, "daemon"}, [] {
    const rlimit few{64, 64};  // each run would have two of them in the supervisor
    ::setrlimit(RLIMIT_NOFILE, &few);
  });
  EXPECT_TRUE(until([&] { return status().notes_text().find("descriptors are short") != std::string::npos; }));
  const InstanceView now = status();
  EXPECT_EQ(30u, now.services.size());
  for (const auto& [name, service] : now.services) EXPECT_EQ("running", service.state) << name;
  expect_clean_shutdown();
}

}  // namespace
}  // namespace hearth::test
