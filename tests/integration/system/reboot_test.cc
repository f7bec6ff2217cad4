// The machine is restarted, or somebody else has the PID of a run by the time that hearth looks. A reboot is played: all of
// hearth and all services are killed, DIR/state is emptied, as a tmpfs is, and in a mount namespace of the test's own there
// is another boot id.
#include <fcntl.h>
#include <filesystem>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "instance.h"
#include "os/proc_stat.h"

namespace hearth::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* boot_id_file = "/proc/sys/kernel/random/boot_id";

struct Reboot : Machine {
  Reboot() {
    const std::string next = base + "/boot_id";
    write_file(next, "01234567-89ab-cdef-0123-456789abcdef\n");
    own_ = ::geteuid() == 0 && ::unshare(CLONE_NEWNS) == 0 &&
           ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           ::mount(next.c_str(), boot_id_file, nullptr, MS_BIND, nullptr) == 0;
    if (own_) {
      EXPECT_EQ(0, ::umount(boot_id_file));
    }
  }
  ~Reboot() override {
    if (booted_) ::umount(boot_id_file);
  }
  void reboot() {
    std::vector<os::Fd> running;
    for (const auto& [name, view] : status().services) {
      if (view.pid == 0) continue;
      running.emplace_back(os::pidfd_open(view.pid));
      // The list on the disk is written a little later, off the path of supervision.
      EXPECT_TRUE(until([&, pid = view.pid] {
        const std::string list = os::read_file(directory + "/runs.json").value_or("");
        return list.find("\"pid\":" + std::to_string(pid) + ",") != std::string::npos;
      }));
    }
    kill_everything();
    for (const os::Fd& pidfd : running) {
      os::pidfd_signal(pidfd.get(), SIGKILL);
      pollfd polled{pidfd.get(), POLLIN, 0};
      EXPECT_EQ(1, ::poll(&polled, 1, patience_ms));
    }
    reap();
    for (const auto& file : fs::directory_iterator(directory + "/state/")) fs::remove(file);
    EXPECT_EQ(0, ::mount((base + "/boot_id").c_str(), boot_id_file, nullptr, MS_BIND, nullptr));
    booted_ = true;
  }
  // Some order that says nothing of those that were there.
  void next_hearth() {
    const Output output = hearth({"run", "--name", "other", "--", bin("hearth-test-puppet"), stage->path(), "other"});
    EXPECT_EQ(0, output.code) << output.all();
  }
  // Others that come meanwhile stay: whose connection is closed ends.
  Actor enter(const std::string& label) {
    for (;;) {
      Actor actor = stage->enter();
      if (!actor.here() || actor.label == label) return actor;
      others_.push_back(std::move(actor));
    }
  }
  std::string events() { return hearth({"events", "-n", "all", "--json"}).out; }
  std::string contents(const std::string& name) { return os::read_file(work + "/" + name).value_or(""); }

  bool own_ = false, booted_ = false;
  std::vector<Actor> others_;
};

#define NEEDS_BOOT_ID() \
  if (!own_) GTEST_SKIP() << "nothing can be mounted over " << boot_id_file << " here"

TEST_F(Reboot, what_ran_is_counted_and_named_and_what_was_up_comes_back_by_its_policy) {
  NEEDS_BOOT_ID();
  project("[service.web]\n" + puppet() + "[service.once]\nrestart = \"never\"\n" + puppet("once") + "[service.off]\n" +
          puppet("off"));
  ASSERT_EQ(0, up().code);
  for (int i = 0; i < 3; ++i) others_.push_back(stage->enter());
  std::uint64_t greatest = 0;
  for (const auto& [name, view] : status().services) greatest = std::max(greatest, view.run);
  EXPECT_EQ(0, hearth({"stop", "off"}).code);
  EXPECT_TRUE(until([&] {
    return os::read_file(directory + "/runs.json").value_or("").find("\"want_up\":false") != std::string::npos;
  }));
  reboot();
  next_hearth();
  const Actor again = enter("web");
  ASSERT_TRUE(again.here()) << hearth({"status"}).out << hearth({"events"}).out;
  EXPECT_GT(std::stoull(again.run), greatest) << "no number twice";
  EXPECT_TRUE(until_state("web", "running"));
  EXPECT_EQ("failed", service("once").state) << "it may not be run again, and nobody knows whether it was done";
  EXPECT_EQ(-1, service("once").exit_code);
  EXPECT_EQ("stopped", service("off").state);
  const std::string notes = status().notes_text();
  EXPECT_THAT(notes,
              HasSubstr("the machine or container was restarted: of before 2 runs have ended, p.web.0, p.once.0"));
  EXPECT_THAT(notes, HasSubstr("exit statuses that could not be learnt: 2"));
  EXPECT_THAT(events(), HasSubstr("\"exit\":{\"known\":false}"));
  EXPECT_THAT(events(), HasSubstr("of before 2 runs have ended"));
  EXPECT_THAT(events(), Not(HasSubstr("\"run_ms\":0,"))) << "nobody knows when they ended";
}

TEST_F(Reboot, files_that_tell_of_runs_of_before_go_before_anything_is_ready) {
  NEEDS_BOOT_ID();
  project("[service.web]\nready = \"notify\"\nready_file = \"web.ready\"\npid_file = \"web.pid\"\n" + puppet());
  Command waiting = begin({"up"});
  const Actor web = enter("web");
  EXPECT_EQ("ok", web.ask("notify READY=1"));
  EXPECT_EQ(0, waiting.wait().code);
  EXPECT_TRUE(until([&] { return exists(work + "/web.ready") && exists(work + "/web.pid"); }));
  reboot();
  EXPECT_TRUE(exists(work + "/web.ready")) << "the disk has kept it";
  next_hearth();
  Actor again = enter("web");
  EXPECT_TRUE(until([&] { return !exists(work + "/web.ready"); })) << "it is not ready";
  EXPECT_TRUE(until([&] { return contents("web.pid") == std::to_string(again.pid) + "\n"; }));
  EXPECT_EQ("ok", again.ask("notify READY=1"));
  EXPECT_TRUE(until([&] { return contents("web.ready").find(std::to_string(again.pid)) != std::string::npos; }));
}

// As root's is, in /run. Who knows of no service knows of no files.
TEST_F(Reboot, where_the_directory_is_lost_too_nothing_comes_back_and_up_removes_what_files_are_left) {
  NEEDS_BOOT_ID();
  project("[service.web]\nready = \"notify\"\nready_file = \"web.ready\"\npid_file = \"web.pid\"\n" + puppet());
  Command waiting = begin({"up"});
  const Actor web = enter("web");
  EXPECT_EQ("ok", web.ask("notify READY=1"));
  EXPECT_EQ(0, waiting.wait().code);
  EXPECT_TRUE(until([&] { return exists(work + "/web.ready") && exists(work + "/web.pid"); }));
  reboot();
  fs::remove_all(directory);
  next_hearth();
  EXPECT_FALSE(service().there);
  EXPECT_EQ("", status().notes_text());
  EXPECT_TRUE(exists(work + "/web.ready")) << "as the documentation says";
  waiting = begin({"up"});
  Actor again = enter("web");
  EXPECT_TRUE(until([&] { return !exists(work + "/web.ready"); })) << "it is not ready";
  EXPECT_EQ("ok", again.ask("notify READY=1"));
  EXPECT_EQ(0, waiting.wait().code);
  EXPECT_TRUE(until([&] { return exists(work + "/web.ready"); }));
}

TEST_F(Reboot, nobody_is_told_to_be_running_who_has_the_pid_of_before) {
  NEEDS_BOOT_ID();
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  reboot();
  const Output asked = hearth({"status"});
  EXPECT_EQ(3, asked.code);
  EXPECT_THAT(asked.err, Not(HasSubstr("still run")));
}

// Somebody else's process that has the number of a run.
struct RecycledPid : Machine {
  // -1: here nobody may choose a number.
  static pid_t give_to_stranger(pid_t number) {
    clone_args args{};
    args.exit_signal = SIGCHLD;
    args.set_tid = reinterpret_cast<std::uint64_t>(&number);
    args.set_tid_size = 1;
    const auto pid = static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::setsid();
      for (;;) ::pause();
    }
    return pid;
  }
  Actor start() {
    project("[service.web]\nrestart = \"always\"\nbackoff = { initial = 0 }\n" + puppet());
    EXPECT_EQ(0, up().code);
    return stage->enter();
  }
  void end(const Actor& web) {
    EXPECT_TRUE(web.kill(SIGKILL));
    EXPECT_TRUE(web.wait_end());
    EXPECT_TRUE(until([&] {
      reap();
      return ::kill(web.pid, 0) < 0;
    }));
  }
  void expect_untouched(pid_t stranger, const os::Fd& pidfd) {
    ASSERT_TRUE(pidfd);
    const Actor next = stage->enter();
    EXPECT_NE(stranger, next.pid);
    EXPECT_TRUE(until([&] { return service().pid == next.pid; }));
    EXPECT_EQ(0, hearth({"stop", "web"}).code);
    const Output output = hearth({"shutdown"});
    EXPECT_EQ(0, output.code) << output.all();
    pollfd polled{pidfd.get(), POLLIN, 0};
    EXPECT_EQ(0, ::poll(&polled, 1, 0)) << "the stranger was killed";
  }
};

#define GIVE_TO_STRANGER(number)                                    \
  const pid_t stranger = give_to_stranger(number);                  \
  const os::Fd pidfd(stranger > 0 ? os::pidfd_open(stranger) : -1); \
  const bool chosen = stranger == (number)

TEST_F(RecycledPid, is_not_the_run_for_who_goes_on_from_the_slot_table) {
  const Actor web = start();
  kill_everything();
  end(web);
  GIVE_TO_STRANGER(web.pid);
  if (!chosen) GTEST_SKIP() << "no number can be chosen for a process here";
  const bool removed = ::unlink((directory + "/runs.json").c_str()) == 0;
  ASSERT_TRUE(removed || errno == ENOENT) << "it may not have been written yet, but is there";
  EXPECT_EQ(0, up({"--no-wait"}).code);
  expect_untouched(stranger, pidfd);
}

TEST_F(RecycledPid, is_not_the_run_for_who_goes_on_from_the_list_of_runs) {
  const Actor web = start();
  EXPECT_TRUE(until([&] {
    return os::read_file(directory + "/runs.json").value_or("").find(std::to_string(web.pid)) != std::string::npos;
  }));
  kill_everything();
  end(web);
  GIVE_TO_STRANGER(web.pid);
  if (!chosen) GTEST_SKIP() << "no number can be chosen for a process here";
  for (const auto& file : fs::directory_iterator(directory + "/state/")) fs::remove(file);
  EXPECT_EQ(0, up({"--no-wait"}).code);
  expect_untouched(stranger, pidfd);
}

TEST_F(RecycledPid, is_not_the_run_for_a_supervisor_that_starts_another_keeper) {
  const Actor web = start();
  const InstanceView before = status();
  const os::Fd keeper(os::pidfd_open(before.keeper));
  const os::Fd supervisor(os::pidfd_open(before.supervisor));
  os::pidfd_signal(supervisor.get(), SIGSTOP);
  os::pidfd_signal(keeper.get(), SIGKILL);
  pollfd polled{keeper.get(), POLLIN, 0};
  ASSERT_EQ(1, ::poll(&polled, 1, patience_ms));
  end(web);
  GIVE_TO_STRANGER(web.pid);
  os::pidfd_signal(supervisor.get(), SIGCONT);
  if (!chosen) GTEST_SKIP() << "no number can be chosen for a process here";
  expect_untouched(stranger, pidfd);
}

}  // namespace
}  // namespace hearth::test
