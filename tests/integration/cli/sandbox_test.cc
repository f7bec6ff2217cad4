// Sandboxes and cgroup limits as a user meets them: what a service, its hook, its probe and `hearth exec` can do, and what is
// said where this machine holds less than the file asks for.
#include "os/sandbox.h"

#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <span>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "integration/cli/hearth_command.h"
#include "os/cgroup.h"

namespace hearth::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class SandboxTest : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    if (os::sandbox_support().landlock < 3 || !os::sandbox_support().seccomp)
      GTEST_SKIP() << "this kernel holds no sandboxes";
    fs::create_directory(project + "/data");
    fs::create_directory(project + "/secret");
    write("secret/key", "hidden\n");
  }
  // When it says "done".
  std::string log_of(const std::string& service) {
    std::string log;
    EXPECT_TRUE(eventually([&] {
      log = hearth({"logs", service}).out;
      return log.find("done") != std::string::npos;
    })) << log;
    return log;
  }
};

TEST_F(SandboxTest, a_service_and_all_that_runs_for_it_touch_only_what_its_file_allows) {
  write("try.sh", R"(#!/bin/sh
echo x >data/$1 && echo "$1 wrote data"
echo x >secret/$1 2>/dev/null || echo "$1 kept from secret"
cat secret/key 2>/dev/null || echo "$1 cannot read"
echo "$1 says" >/dev/stderr || echo "$1 has no output"
: >/dev/null && echo "$1 done"
)");
  fs::permissions(project + "/try.sh", fs::perms::owner_all);
  write("hearth.toml", R"(
[service.web]
command = ["/bin/sh", "-c", "./try.sh service; exec sleep 1000"]
before_start = ["/bin/sh", "-c", "./try.sh hook"]
ready = { type = "exec", command = ["/bin/sh", "-c", "./try.sh probe >&2 && test ! -e secret/probe"] }
sandbox = { read_paths = ["/usr", "/etc", "/bin", "/lib", "/lib64", "/proc", "try.sh"], write_paths = ["data"] }
)");
  const Finished up = hearth({"up"});
  EXPECT_EQ(up.code, 0) << up.all();
  EXPECT_THAT(up.all(), Not(HasSubstr("cannot be held"))) << "nothing is missing";
  const std::string log = log_of("web");
  for (const char* who : {"service", "hook"}) {
    EXPECT_THAT(log, HasSubstr(std::string(who) + " wrote data"));
    EXPECT_THAT(log, HasSubstr(std::string(who) + " kept from secret"));
    EXPECT_THAT(log, HasSubstr(std::string(who) + " cannot read"));
    EXPECT_THAT(log, HasSubstr(std::string(who) + " says")) << "its own output may be opened anew";
  }
  EXPECT_FALSE(fs::exists(project + "/secret/probe"));
  EXPECT_TRUE(fs::exists(project + "/data/probe"));
  const Finished inside = hearth({"exec", "web", "--", "/bin/sh", "-c", "./try.sh exec"});
  EXPECT_THAT(inside.out, HasSubstr("exec wrote data"));
  EXPECT_THAT(inside.out, HasSubstr("exec kept from secret"));
  EXPECT_FALSE(fs::exists(project + "/secret/exec"));
}

TEST_F(SandboxTest, denied_system_calls_fail_and_the_next_service_has_them) {
  const std::string looks =
      R"(command = ["/bin/sh", "-c", "grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status; unshare -r true 2>/dev/null && echo new || echo none; echo done; exec sleep 1000"]
)";
  write("hearth.toml", "[service.held]\n" + looks + "sandbox = { deny_syscalls = [\"@default\"] }\n[service.free]\n" +
                           looks + "depends_on = { held = { condition = \"started\" } }\n");
  EXPECT_EQ(hearth({"up"}).code, 0);
  const std::string held = log_of("held"), free = log_of("free");
  EXPECT_THAT(held, HasSubstr("Seccomp:\t2"));
  EXPECT_THAT(held, HasSubstr("NoNewPrivs:\t1"));
  EXPECT_THAT(held, HasSubstr("none"));
  EXPECT_THAT(free, HasSubstr("Seccomp:\t0"));
  EXPECT_THAT(free, HasSubstr("NoNewPrivs:\t0"));
}

// Landlock does not see connect(2): what it could not do itself, hearth would do for it.
TEST_F(SandboxTest, a_service_does_not_have_hearth_do_what_it_may_not) {
  os::CgroupTree tree = os::CgroupTree::open(directory);
  const std::string why = tree.usable() ? "" : tree.why();
  tree.remove();
  if (!why.empty()) GTEST_SKIP() << why;
  const auto asks = [&](const std::string& service) {
    return "[service." + service + "]\ncommand = [\"/bin/sh\", \"-c\", \"'" + HEARTH_BIN_DIR + "/hearth' --dir '" +
           directory + "' run -- touch '" + project + "/secret/" + service + "' 2>&1; echo done; exec sleep 1000\"]\n";
  };
  write("hearth.toml", asks("held") + "sandbox = { write_paths = [], required = true }\n" + asks("quiet") +
                           "sandbox = { deny_syscalls = [\"@swap\"] }\n" + asks("free"));
  EXPECT_EQ(hearth({"up"}).code, 0);
  for (const char* service : {"held", "quiet"}) {
    EXPECT_THAT(log_of(service), HasSubstr("asks, and that has a sandbox"));
    EXPECT_FALSE(fs::exists(project + "/secret/" + service));
  }
  (void)log_of("free");
  EXPECT_TRUE(eventually([&] { return fs::exists(project + "/secret/free"); })) << log_of("free");
  EXPECT_EQ(hearth({"status"}).code, 0) << "who is in none is answered as ever";
}

TEST_F(SandboxTest, a_path_that_is_not_there_is_told_and_its_program_kept_out_is_explained) {
  write("hearth.toml", R"(
[service.lost]
command = ["sleep", "1000"]
restart = "never"
sandbox = { write_paths = ["nowhere"] }
[service.locked]
command = ["sleep", "1000"]
restart = "never"
sandbox = { exec_paths = ["data"] }
)");
  const Finished up = hearth({"up"});
  EXPECT_NE(up.code, 0);
  const std::string said =
      up.all() + hearth({"status"}).all() + hearth({"explain", "locked"}).all() + hearth({"explain", "lost"}).all();
  EXPECT_THAT(said, HasSubstr("sandbox.write_paths has " + project + "/nowhere: No such file or directory"));
  EXPECT_THAT(said, HasSubstr("below the paths of its sandbox?"));
  EXPECT_THAT(hearth({"explain", "locked"}).out,
              HasSubstr("\nit has a sandbox: executes only below " + project + "/data\n"));
}

TEST_F(SandboxTest, another_sandbox_restarts_and_says_so_before) {
  write("hearth.toml", "[service.web]\ncommand = [\"sleep\", \"1000\"]\n");
  EXPECT_EQ(hearth({"up"}).code, 0);
  write("hearth.toml", "[service.web]\ncommand = [\"sleep\", \"1000\"]\nsandbox = { write_paths = [] }\n");
  const Finished dry = hearth({"reload", "--dry-run"});
  EXPECT_THAT(dry.out, HasSubstr("sandbox"));
  EXPECT_THAT(dry.out, HasSubstr("restart"));
  EXPECT_THAT(hearth({"config", "show"}).all(), HasSubstr("write_paths"));
}

// For this process and all that it starts.
bool enter_filter(std::span<const sock_filter> instructions) {
  os::SeccompFilter filter(instructions.size());
  std::memcpy(filter.data(), instructions.data(), instructions.size_bytes());
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1UL, 0UL, 0UL, 0UL) == 0 && os::enter_sandbox({}, filter).has_value();
}

// As on an older kernel: Landlock answers ENOSYS.
bool take_landlock_away() {
  const sock_filter instructions[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
                                      {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 444},
                                      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | ENOSYS},
                                      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
  return enter_filter(instructions);
}

// As on a kernel without CONFIG_SECCOMP: seccomp(2) answers ENOSYS, and prctl(PR_SET_SECCOMP) EINVAL.
bool take_seccomp_away() {
  constexpr std::uint32_t first_argument =
      offsetof(seccomp_data, args) + (std::endian::native == std::endian::big ? sizeof(std::uint32_t) : 0);
  const sock_filter instructions[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
                                      {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_seccomp},
                                      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | ENOSYS},
                                      {BPF_JMP | BPF_JEQ | BPF_K, 0, 3, SYS_prctl},
                                      {BPF_LD | BPF_W | BPF_ABS, 0, 0, first_argument},
                                      {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, PR_SET_SECCOMP},
                                      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EINVAL},
                                      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
  return enter_filter(instructions);
}

TEST_F(SandboxTest, where_landlock_is_missing_a_service_is_started_and_that_is_said_or_refused_as_its_file_wants) {
  const std::string service = "[service.web]\ncommand = [\"sleep\", \"1000\"]\n";
  const pid_t child = ::fork();
  if (child == 0) {
    EXPECT_TRUE(take_landlock_away());
    write("hearth.toml", service + "sandbox = { write_paths = [], required = true }\n");
    const Finished refused = hearth({"up"});
    EXPECT_NE(refused.code, 0);
    EXPECT_THAT(refused.err, HasSubstr("write_paths cannot be held, because Landlock is not there"));
    EXPECT_THAT(refused.err, HasSubstr("nothing has changed"));
    write("hearth.toml", service + "sandbox = { write_paths = [] }\n");
    const Finished up = hearth({"up"});
    EXPECT_EQ(up.code, 0) << up.all();
    for (const std::string& said : {up.all(), hearth({"status"}).all(), hearth({"events"}).all()})
      EXPECT_THAT(said, HasSubstr("its sandbox is open: write_paths cannot be held"));
    EXPECT_THAT(hearth({"doctor"}).all(), HasSubstr("landlock(7) is not there"));
    ::_exit(HasFailure() ? 1 : 0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "see above";
}

TEST_F(SandboxTest, where_seccomp_is_missing_a_service_is_started_and_that_is_said_or_refused_as_its_file_wants) {
  // What is denied, it can do: that needs no right, and makes nothing.
  const std::string service =
      "[service.web]\ncommand = [\"/bin/sh\", \"-c\", \"kill -0 $$ && echo it signals; echo done; exec sleep 1000\"]\n";
  const pid_t child = ::fork();
  if (child == 0) {
    EXPECT_TRUE(take_seccomp_away());
    EXPECT_EQ(-1, ::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, nullptr));
    EXPECT_EQ(ENOSYS, errno);
    EXPECT_EQ(-1, ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, nullptr, 0UL, 0UL));
    EXPECT_EQ(EINVAL, errno);
    write("hearth.toml", service + "sandbox = { deny_syscalls = [\"@signal\"], required = true }\n");
    const Finished refused = hearth({"up"});
    EXPECT_NE(refused.code, 0);
    EXPECT_THAT(refused.err, HasSubstr("deny_syscalls are not denied, because seccomp filters are not there"));
    EXPECT_THAT(refused.err, HasSubstr("nothing has changed"));
    write("hearth.toml", service + "sandbox = { deny_syscalls = [\"@signal\"], write_paths = [\"data\"] }\n");
    const Finished up = hearth({"up"});
    EXPECT_EQ(up.code, 0) << up.all();
    for (const std::string& said : {up.all(), hearth({"status"}).all(), hearth({"events"}).all()}) {
      EXPECT_THAT(said, HasSubstr("its deny_syscalls are not denied"));
      EXPECT_THAT(said, Not(HasSubstr("cannot be held"))) << "its paths are";
    }
    EXPECT_THAT(log_of("web"), HasSubstr("it signals"));
    EXPECT_THAT(hearth({"doctor"}).all(), HasSubstr("seccomp(2) filters"));
    // Landlock is another thing, and holds.
    const Finished inside = hearth({"exec", "web", "--", "/bin/sh", "-c", "touch secret/file || echo kept out"});
    EXPECT_THAT(inside.out, HasSubstr("kept out"));
    ::_exit(HasFailure() ? 1 : 0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "see above";
}

using CgroupLimitsTest = CommandTest;

TEST_F(CgroupLimitsTest, that_are_not_held_are_said_by_up_status_and_events) {
  os::CgroupTree tree = os::CgroupTree::open(directory);
  tree.want({0, 0, 64, 0, 0, 0}, 1);
  const bool held = tree.missing({0, 0, 64, 0, 0, 0}).empty();
  tree.remove();
  if (held) GTEST_SKIP() << "this machine holds them";
  write("hearth.toml", R"(
[service.web]
command = ["sleep", "1000"]
cgroup = { pids_max = 64 }
[service.free]
command = ["sleep", "1000"]
)");
  const Finished up = hearth({"up"});
  EXPECT_EQ(up.code, 0) << "it is started nevertheless";
  EXPECT_THAT(up.all(), HasSubstr("pids_max is not held"));
  EXPECT_THAT(hearth({"status"}).all(), HasSubstr("pids_max is not held"));
  EXPECT_THAT(hearth({"status", "web"}).all(), HasSubstr("pids_max is not held"));
  EXPECT_THAT(hearth({"status", "free"}).all(), Not(HasSubstr("is not held")));
  EXPECT_THAT(hearth({"events"}).all(), HasSubstr("pids_max is not held"));
}

TEST_F(CgroupLimitsTest, hold_a_service_that_forks_beyond_them) {
  os::CgroupTree tree = os::CgroupTree::open(directory);
  tree.want({0, 0, 64, 0, 0, 0}, 1);
  const std::string missing = tree.missing({0, 0, 64, 0, 0, 0});
  tree.remove();
  if (!missing.empty()) GTEST_SKIP() << missing;
  write("hearth.toml", R"(
[service.web]
command = ["/bin/sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done; echo all; wait"]
restart = "never"
cgroup = { pids_max = 4 }
)");
  (void)hearth({"up"});
  EXPECT_TRUE(eventually([&] { return hearth({"logs", "web"}).out.find("fork") != std::string::npos; }));
}

}  // namespace
}  // namespace hearth::cli
