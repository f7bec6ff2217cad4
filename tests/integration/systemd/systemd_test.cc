// hearth as a unit of a real systemd that runs as PID 1: in namespaces of its own, with a root of its own (boot.sh).
// One boot for all tests; each begins and ends with the unit stopped.
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <poll.h>
#include <signal.h>
#include <string>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "os/cgroup.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/proc_stat.h"
#include "places.h"

namespace hearth::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr SpanNs patience = seconds(20);

// The standard output of a command of the machine's shell, without the last newline, and its exit status.
struct Ran {
  int code = -1;
  std::string out;
};

Ran run(const std::string& command) {
  Ran ran;
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "re");
  if (pipe == nullptr) return ran;
  char bytes[4096];
  for (std::size_t n; (n = std::fread(bytes, 1, sizeof bytes, pipe)) > 0;) ran.out.append(bytes, n);
  const int status = ::pclose(pipe);
  ran.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  while (!ran.out.empty() && ran.out.back() == '\n') ran.out.pop_back();
  return ran;
}

bool until(const std::function<bool()>& holds) {
  const MonoNs deadline = after(os::read_mono(), patience);
  while (!holds()) {
    if (os::read_mono() > deadline) return false;
    ::poll(nullptr, 0, 10);
  }
  return true;
}

struct Systemd : ::testing::Test {
  static void SetUpTestSuite() {
    if (::geteuid() != 0) {
      obstacle_ = "needs root, for namespaces and mounts";
      return;
    }
    if (::access("/lib/systemd/systemd", X_OK) < 0) {
      obstacle_ = "the package systemd is not installed";
      return;
    }
    char pattern[] = "/tmp/hearth-systemd-XXXXXX";
    root_ = ::mkdtemp(pattern);
    // Same way as hearth itself finds where version 2 is mounted, and what of it is ours.
    const os::CgroupTree tree = os::CgroupTree::open(root_);
    cgroup_ = tree.usable() ? tree.path() + "/systemd-test" : "";
    std::error_code error;
    if (cgroup_.empty() || !fs::create_directory(cgroup_, error)) {
      obstacle_ = "no cgroup can be made here";
      return;
    }
    boot();
  }

  static void TearDownTestSuite() {
    if (boot_ > 0) {
      ::kill(boot_, SIGKILL);  // our child; --kill-child takes the PID namespace with it
      ::waitpid(boot_, nullptr, 0);
    }
    until([] { return cgroup_.empty() || remove_cgroup(cgroup_); });
    std::error_code error;
    if (!root_.empty()) fs::remove(root_, error);
  }

  // Deepest first. True when nothing is left of it.
  static bool remove_cgroup(const std::string& path) {
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator(path, error))
      if (entry.is_directory(error)) remove_cgroup(entry.path());
    fs::remove(path, error);
    return !fs::exists(path, error);
  }

  static void boot() {
    const std::string here = HEARTH_SOURCE_DIR "/tests/integration/systemd/boot.sh";
    const std::string unit = HEARTH_SOURCE_DIR "/packaging/systemd/hearth.service";
    const std::string log = root_ + ".log";
    boot_ = ::fork();
    if (boot_ == 0) {
      ::setsid();
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (std::freopen("/dev/null", "r", stdin) == nullptr || std::freopen(log.c_str(), "w", stdout) == nullptr)
        ::_exit(126);
      ::dup2(STDOUT_FILENO, STDERR_FILENO);
      ::execl("/bin/bash", "bash", here.c_str(), cgroup_.c_str(), root_.c_str(), HEARTH_BIN_DIR, unit.c_str(), nullptr);
      ::_exit(127);
    }
    const bool up = until([] {
      const Result<std::string> children =
          os::read_file("/proc/" + std::to_string(boot_) + "/task/" + std::to_string(boot_) + "/children");
      init_ = children ? std::atoi(children->c_str()) : 0;
      return init_ > 0 && inside("systemctl is-active test.target").out == "active";
    });
    if (up) {
      fs::remove(log);
      return;
    }
    const Result<std::string> said = os::read_file(log);
    obstacle_ = "systemd does not come up in namespaces here: " + (said ? *said : "");
  }

  // In the namespaces, by their PID 1; `command` is for its shell.
  static Ran inside(const std::string& command) {
    const std::string target = std::to_string(init_);
    return run("nsenter --target " + target + " --all -- env PATH=/hearth:/usr/sbin:/usr/bin:/sbin:/bin sh -c '" +
               command + "'");
  }

  void SetUp() override {
    if (!obstacle_.empty()) GTEST_SKIP() << obstacle_;
    const Ran started = inside("systemctl start hearth");
    ASSERT_EQ(0, started.code) << started.out << inside("systemctl status hearth; journalctl -u hearth").out;
    ASSERT_EQ(0, inside("hearth run --name model -- sleep 100000").code);
    model_ = inside("pidof sleep").out;
    ASSERT_NE("", model_);
  }

  void TearDown() override {
    if (!obstacle_.empty()) return;
    const Ran stopped = inside("systemctl stop hearth");
    EXPECT_EQ(0, stopped.code) << stopped.out;
    EXPECT_EQ("", inside("pidof sleep hearth-keeper hearth-supervisor hearth-logger").out);
    EXPECT_EQ("", inside("find /sys/fs/cgroup/system.slice/hearth.service -name \"run.*\" 2>/dev/null").out);
    inside("systemctl reset-failed hearth");
  }

  static std::string unit(const std::string& property) {
    return inside("systemctl show --value -p " + property + " hearth").out;
  }
  // The unit is up with a main process that is hearth's keeper, hearth answers, and the service is the same process.
  void expect_that_nobody_noticed() {
    EXPECT_TRUE(until([] { return unit("SubState") == "running"; }))
        << inside("systemctl status hearth; hearth status").out;
    EXPECT_TRUE(until([] { return inside("hearth status model").code == 0; })) << inside("hearth status").out;
    EXPECT_EQ(model_, inside("pidof sleep").out);
    const std::string json = inside("hearth status --json").out;
    EXPECT_THAT(json, HasSubstr("\"pid\":" + model_));
    EXPECT_THAT(inside("cat /proc/" + unit("MainPID") + "/cmdline").out, HasSubstr("hearth-keeper"));
  }

  static inline std::string obstacle_, root_, cgroup_;
  static inline pid_t boot_ = -1, init_ = 0;
  std::string model_;
};

TEST_F(Systemd, starts_the_unit_ready_with_its_keeper_as_main_process) {
  EXPECT_EQ("active", unit("ActiveState"));
  expect_that_nobody_noticed();
  EXPECT_EQ("1", inside("pidof hearth-supervisor | wc -w").out);
}

TEST_F(Systemd, supervisor_dies) {
  inside("kill -KILL $(pidof hearth-supervisor)");
  expect_that_nobody_noticed();
  EXPECT_EQ("0", unit("NRestarts"));
}

TEST_F(Systemd, keeper_and_supervisor_die_and_systemd_starts_them_again) {
  inside("kill -KILL $(pidof hearth-keeper) $(pidof hearth-supervisor)");
  EXPECT_TRUE(until([] { return unit("NRestarts") != "0"; }));
  expect_that_nobody_noticed();
}

TEST_F(Systemd, keeper_dies_and_the_one_that_systemd_starts_takes_over_from_the_living_supervisor) {
  const std::string supervisor = inside("pidof hearth-supervisor").out;
  inside("kill -KILL $(systemctl show --value -p MainPID hearth)");
  EXPECT_TRUE(until([] { return unit("NRestarts") != "0"; }));
  expect_that_nobody_noticed();
  EXPECT_EQ(supervisor, inside("pidof hearth-supervisor").out);
  EXPECT_EQ("success", unit("Result"));
}

TEST_F(Systemd, second_daemon_beside_the_unit_is_told_that_the_instance_is_taken) {
  EXPECT_EQ(75, inside("hearth daemon").code);
  expect_that_nobody_noticed();
}

TEST_F(Systemd, restart_of_the_unit_stops_what_runs_and_begins_with_nothing_left) {
  const Ran restarted = inside("systemctl restart hearth");
  EXPECT_EQ(0, restarted.code) << restarted.out;
  EXPECT_EQ("running", unit("SubState"));
  EXPECT_EQ("", inside("pidof sleep").out);
}

TEST_F(Systemd, all_processes_of_the_unit_die_with_the_leaves_alive) {
  // Without --kill-whom=cgroup's reach into our leaves: what OOM killers and careless operators do to a unit.
  inside("kill -KILL $(cat /sys/fs/cgroup/system.slice/hearth.service/cgroup.procs)");
  EXPECT_TRUE(until([] { return unit("NRestarts") != "0"; }));
  expect_that_nobody_noticed();
}

}  // namespace
}  // namespace hearth::test
