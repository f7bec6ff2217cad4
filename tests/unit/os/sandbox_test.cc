// Rulesets and filters, held by this machine's kernel; and what is said where it holds less.
#include "os/sandbox.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <functional>
#include <linux/reboot.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/system_calls.h"
#include "unit/os/temp_directory.h"

namespace hearth::os {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr SandboxSupport all_of_it{3, true};

// What `body` gives in a child within the sandbox: errno of what it tries, 0 when that worked; -SIGNAL when it was killed.
int inside(const Fd& ruleset, const SeccompFilter& filter, const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_NO_NEW_PRIVS, 1UL, 0UL, 0UL, 0UL);
    if (!enter_sandbox(ruleset, filter)) ::_exit(250);
    ::_exit(body());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int opened(const std::string& path, int flags) {
  const Fd fd(::open(path.c_str(), flags | O_CLOEXEC, 0600));
  return fd ? 0 : errno;
}

class RulesetTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (sandbox_support().landlock < 3) GTEST_SKIP() << "Landlock is not there, or old";
    for (const char* name : {"data", "code", "else"}) {
      ASSERT_EQ(0, ::mkdir((directory / name).c_str(), 0700));
      const std::string file = directory / name + "/file";
      const Fd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0700));
      ASSERT_TRUE(write_all(fd.get(), "#!/bin/sh\n", file));
    }
  }
  int in_box(const std::function<int()>& body, const OwnPaths& own = {}) {
    const Result<Fd> ruleset = make_ruleset(box, own, sandbox_support(), "shop.web.0");
    EXPECT_TRUE(ruleset) << ruleset.error().text();
    return ruleset ? inside(*ruleset, {}, body) : 251;
  }
  int executed(const std::string& path) {
    ::execl(path.c_str(), "x", nullptr);
    return errno;
  }
  test::TempDirectory directory;
  Sandbox box;
};

TEST_F(RulesetTest, files_are_changed_below_write_paths_and_nowhere_else) {
  box.limits_writing = true;
  box.write_paths = {directory / "data"};
  const std::string in = directory / "data", out = directory / "else";
  EXPECT_EQ(0, in_box([&] { return opened(in + "/new", O_WRONLY | O_CREAT); }));
  EXPECT_EQ(0, in_box([&] { return ::rename((in + "/new").c_str(), (in + "/newer").c_str()) < 0 ? errno : 0; }));
  EXPECT_EQ(EACCES, in_box([&] { return opened(out + "/new", O_WRONLY | O_CREAT); }));
  EXPECT_EQ(EACCES, in_box([&] { return opened(out + "/file", O_WRONLY); }));
  EXPECT_EQ(EACCES, in_box([&] { return ::truncate((out + "/file").c_str(), 0) < 0 ? errno : 0; }));
  EXPECT_EQ(EACCES, in_box([&] { return ::unlink((out + "/file").c_str()) < 0 ? errno : 0; }));
  EXPECT_NE(0, in_box([&] { return ::rename((out + "/file").c_str(), (in + "/stolen").c_str()) < 0 ? errno : 0; }));
  EXPECT_EQ(0, in_box([&] { return opened(out + "/file", O_RDONLY); })) << "reading is as ever";
  EXPECT_EQ(0, in_box([&] { return opened("/dev/null", O_WRONLY); }));
}

TEST_F(RulesetTest, who_may_write_makes_no_devices) {
  box.limits_writing = true;
  box.write_paths = {directory / "data"};
  const std::string made = directory / "data/made";
  const auto make = [&](mode_t type) {
    return in_box([&made, type] { return ::mknod(made.c_str(), type | 0600, makedev(1, 3)) < 0 ? errno : 0; });
  };
  EXPECT_EQ(EACCES, make(S_IFCHR));
  EXPECT_EQ(EACCES, make(S_IFBLK));
  EXPECT_EQ(0, make(S_IFIFO));
}

TEST_F(RulesetTest, none_is_not_the_same_as_nothing_said) {
  EXPECT_EQ(0, in_box([&] { return opened(directory / "else/new", O_WRONLY | O_CREAT); }));
  box.limits_writing = true;
  EXPECT_EQ(EACCES, in_box([&] { return opened(directory / "else/newer", O_WRONLY | O_CREAT); }));
}

TEST_F(RulesetTest, files_are_read_below_read_paths_and_write_paths) {
  box.limits_reading = box.limits_writing = true;
  box.read_paths = {directory / "code"};
  box.write_paths = {directory / "data"};
  EXPECT_EQ(0, in_box([&] { return opened(directory / "code/file", O_RDONLY); }));
  EXPECT_EQ(0, in_box([&] { return opened(directory / "data/file", O_RDWR); }));
  EXPECT_EQ(EACCES, in_box([&] { return opened(directory / "code/file", O_WRONLY); }));
  EXPECT_EQ(EACCES, in_box([&] { return opened(directory / "else/file", O_RDONLY); }));
  EXPECT_EQ(EACCES, in_box([&] { return opened("/etc/passwd", O_RDONLY); }));
  EXPECT_EQ(EACCES, in_box([&] { return opened("/", O_RDONLY | O_DIRECTORY); }));
  EXPECT_EQ(0, in_box([&] { return opened("/dev/urandom", O_RDONLY); }));
  EXPECT_EQ(EACCES, in_box([&] { return executed(directory / "data/file"); })) << "what it writes it does not execute";
}

TEST_F(RulesetTest, who_may_not_read_may_still_move_files) {
  box.limits_reading = true;
  const std::string from = directory / "else/file", to = directory / "data/moved";
  EXPECT_EQ(0, in_box([&] { return ::rename(from.c_str(), to.c_str()) < 0 ? errno : 0; }));
}

TEST_F(RulesetTest, programs_are_executed_below_exec_paths_with_what_they_need) {
  box.limits_executing = true;
  box.exec_paths = {directory / "code"};
  EXPECT_EQ(EACCES, in_box([&] { return executed(directory / "else/file"); }));
  EXPECT_EQ(EACCES, in_box([&] { return executed(directory / "code/file"); })) << "its interpreter is executed, too";
  EXPECT_EQ(0, in_box([&] { return opened(directory / "else/file", O_RDONLY); }));
  box.exec_paths = {directory / "code", "/usr", "/bin", "/lib"};
  EXPECT_EQ(0, in_box([&] { return executed(directory / "code/file"); }));
}

TEST_F(RulesetTest, what_hearth_has_made_is_allowed_when_it_is_there_and_no_link) {
  box.limits_reading = box.limits_writing = true;
  ASSERT_EQ(0, ::symlink("/etc", (directory / "link").c_str()));
  const OwnPaths own{{directory / "data", directory / "none", directory / "link"}, {directory / "code"}};
  EXPECT_EQ(0, in_box([&] { return opened(directory / "data/new", O_WRONLY | O_CREAT); }, own));
  EXPECT_EQ(0, in_box([&] { return opened(directory / "code/file", O_RDONLY); }, own));
  EXPECT_EQ(EACCES, in_box([&] { return opened("/etc/passwd", O_RDONLY); }, own)) << "a link that somebody put there";
}

TEST_F(RulesetTest, a_file_that_is_open_may_be_opened_again_by_its_path) {
  box.limits_reading = box.limits_writing = true;
  const std::string fifo = directory / "fifo";
  ASSERT_EQ(0, ::mkfifo(fifo.c_str(), 0600));
  const Fd open_fifo(::open(fifo.c_str(), O_RDWR | O_CLOEXEC));
  const Result<Fd> ruleset = make_ruleset(box, {}, sandbox_support(), "x");
  ASSERT_TRUE(ruleset);
  EXPECT_EQ(EACCES, inside(*ruleset, {}, [&] { return opened(fifo, O_WRONLY); }));
  allow_open_file(ruleset->get(), open_fifo.get());
  EXPECT_EQ(0, inside(*ruleset, {}, [&] { return opened(fifo, O_WRONLY); }));
}

TEST_F(RulesetTest, a_path_that_is_not_there_is_told_with_its_key) {
  box.limits_writing = true;
  box.write_paths = {directory / "nowhere"};
  const Result<Fd> ruleset = make_ruleset(box, {}, sandbox_support(), "shop.web.0");
  ASSERT_FALSE(ruleset);
  EXPECT_THAT(ruleset.error().text(), HasSubstr("sandbox.write_paths has " + directory / "nowhere"));
  EXPECT_THAT(ruleset.error().text(), HasSubstr("No such file or directory"));
}

TEST_F(RulesetTest, who_made_it_is_not_in_it) {
  box.limits_writing = true;
  EXPECT_EQ(EACCES, in_box([&] { return opened(directory / "else/new", O_WRONLY | O_CREAT); }));
  EXPECT_EQ(0, opened(directory / "else/new", O_WRONLY | O_CREAT));
}

class FilterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!sandbox_support().seccomp) GTEST_SKIP() << "seccomp filters are not there";
  }
};

TEST_F(FilterTest, what_is_denied_answers_eperm_and_all_else_is_as_ever) {
  const SeccompFilter filter = deny_filter({"@default"});
  const auto tried = [&](const std::function<long()>& call) {
    return inside({}, filter, [&] { return call() < 0 ? errno : 0; });
  };
  EXPECT_EQ(EPERM, tried([] { return ::mount("none", "/nowhere", "tmpfs", 0, nullptr); }));
  EXPECT_EQ(EPERM, tried([] { return ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr); }));
  EXPECT_EQ(EPERM, tried([] { return ::syscall(SYS_kexec_load, 0, 0, nullptr, 0); }));
  EXPECT_EQ(EPERM, tried([] { return ::syscall(SYS_bpf, 0, nullptr, 0); }));
  EXPECT_EQ(EPERM, tried([] { return ::unshare(CLONE_NEWUSER); }));
  EXPECT_EQ(EPERM, tried([] { return ::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0); }));
  EXPECT_EQ(ENOSYS, tried([] { return ::syscall(SYS_clone3, nullptr, 0); })) << "libraries then use clone";
  EXPECT_EQ(0, tried([] { return ::getppid(); }));
  EXPECT_EQ(7, inside({}, filter,
                      [] {
                        const pid_t child = ::fork();
                        if (child == 0) ::_exit(7);
                        int status = 0;
                        ::waitpid(child, &status, 0);
                        return WEXITSTATUS(status);
                      }))
      << "a process is made as ever";
}

TEST_F(FilterTest, who_may_not_clone_into_a_namespace_does_not_do_it_by_clone3_and_has_threads_as_ever) {
  const SeccompFilter filter = deny_filter({"clone", "unshare", "setns"});
  EXPECT_EQ(ENOSYS, inside({}, filter, [] {
              // struct clone_args, of which the kernel takes 64 bytes and more: flags first.
              std::uint64_t arguments[8] = {CLONE_NEWUTS | CLONE_NEWUSER};
              const long child = ::syscall(SYS_clone3, arguments, sizeof arguments);
              if (child == 0) ::_exit(0);
              return child < 0 ? errno : 0;
            }));
  EXPECT_EQ(3, inside({}, filter, [] {
              int found = 0;
              std::thread([&] { found = 3; }).join();
              return found;
            }));
}

TEST_F(FilterTest, a_process_that_may_not_signal_has_no_other_call_for_it) {
  const SeccompFilter filter = deny_filter({"@signal"});
  const auto tried = [&](const std::function<long()>& call) {
    return inside({}, filter, [&] { return call() < 0 ? errno : 0; });
  };
  const pid_t other = ::getpid();
  EXPECT_EQ(EPERM, tried([&] { return ::kill(other, 0); }));
  EXPECT_EQ(EPERM, tried([&] { return ::syscall(SYS_tkill, other, 0); }));
  EXPECT_EQ(EPERM, tried([&] { return ::syscall(SYS_tgkill, other, other, 0); }));
  EXPECT_EQ(EPERM, tried([&] { return ::syscall(SYS_pidfd_send_signal, -1, 0, nullptr, 0); }));
  siginfo_t info{};
  info.si_code = SI_QUEUE;
  EXPECT_EQ(EPERM, tried([&] { return ::syscall(SYS_rt_sigqueueinfo, other, 0, &info); }));
  EXPECT_EQ(EPERM, tried([&] { return ::syscall(SYS_rt_tgsigqueueinfo, other, other, 0, &info); }));
  EXPECT_EQ(0, inside({}, {}, [&] { return ::syscall(SYS_rt_sigqueueinfo, other, 0, &info) < 0 ? errno : 0; }))
      << "it is the filter that denies it";
}

// RLIMIT_CPU of another process kills it, RLIMIT_NOFILE paralyses it; the kernel asks for no more than the same user.
TEST_F(FilterTest, limits_of_others_are_not_set_and_ones_own_are_as_ever) {
  const pid_t other = ::getpid();
  for (const char* word : {"@default", "@signal", "@resources", "prlimit64"}) {
    const SeccompFilter filter = deny_filter({word});
    const auto tried = [&](pid_t pid, bool set) {
      return inside({}, filter, [&] {
        rlimit limit{};
        if (::prlimit(pid, RLIMIT_CORE, nullptr, &limit) < 0) return errno;
        return set && ::prlimit(pid, RLIMIT_CORE, &limit, nullptr) < 0 ? errno : 0;
      });
    };
    EXPECT_EQ(EPERM, tried(other, true)) << word;
    EXPECT_EQ(0, tried(other, false)) << word;
    EXPECT_EQ(0, tried(0, true)) << word;
  }
  EXPECT_EQ(0, inside({}, deny_filter({"ptrace"}),
                      [&] {
                        rlimit limit{};
                        if (::prlimit(other, RLIMIT_CORE, nullptr, &limit) < 0) return errno;
                        return ::prlimit(other, RLIMIT_CORE, &limit, nullptr) < 0 ? errno : 0;
                      }))
      << "it is the filter that denies it";
}

TEST_F(FilterTest, namespaces_and_limits_are_denied_together) {
  const SeccompFilter filter = deny_filter({"@namespaces", "@resources"});
  EXPECT_EQ(EPERM, inside({}, filter,
                          [] { return ::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0) < 0 ? errno : 0; }));
  const pid_t other = ::getpid();
  EXPECT_EQ(EPERM, inside({}, filter, [&] {
              const rlimit limit{};
              return ::prlimit(other, RLIMIT_CORE, &limit, nullptr) < 0 ? errno : 0;
            }));
}

TEST_F(FilterTest, a_name_stands_for_itself_alone) {
  const SeccompFilter filter = deny_filter({"ptrace"});
  EXPECT_EQ(EPERM, inside({}, filter, [] { return ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) < 0 ? errno : 0; }));
  EXPECT_NE(ENOSYS, inside({}, filter, [] { return ::syscall(SYS_clone3, nullptr, 0) < 0 ? errno : 0; }));
  EXPECT_TRUE(deny_filter({}).empty());
  EXPECT_TRUE(deny_filter({"no_such_call"}).empty());
}

#if defined(__x86_64__)
TEST_F(FilterTest, calls_of_another_architecture_are_refused_as_a_whole) {
  const SeccompFilter filter = deny_filter({"reboot"});
  constexpr long x32_getpid = 0x40000000 | SYS_getpid;
  EXPECT_EQ(EPERM, inside({}, filter, [] { return ::syscall(x32_getpid) < 0 ? errno : 0; }));
  const auto in_32_bits = [] {
    long number = 20;  // getpid of i386
    asm volatile("int $0x80" : "+a"(number)::"memory", "r8", "r9", "r10", "r11");
    return number > 0 ? 0 : 1;
  };
  if (const int outside = inside({}, {}, in_32_bits); outside != 0)
    GTEST_SKIP() << "this kernel runs nothing of 32 bits: " << outside;
  EXPECT_EQ(-SIGSYS, inside({}, filter, in_32_bits));
}

TEST(SystemCallsTest, all_that_can_be_denied_have_a_number_here) {
  for (const std::string_view name : system_call_names()) EXPECT_TRUE(system_call_number(name)) << name;
}
#endif

TEST(SandboxMissingTest, what_a_kernel_does_not_hold_is_said_with_the_keys_that_are_open) {
  Sandbox box;
  EXPECT_EQ("", sandbox_missing(box, {}));
  box.limits_writing = box.limits_executing = true;
  box.deny_syscalls = {"@default"};
  EXPECT_EQ("", sandbox_missing(box, all_of_it));
  const std::string none = sandbox_missing(box, {});
  EXPECT_THAT(none, HasSubstr("write_paths, exec_paths cannot be held, because Landlock is not there"));
  EXPECT_THAT(none, HasSubstr("deny_syscalls are not denied"));
  EXPECT_THAT(sandbox_missing(box, {2, true}), HasSubstr("can be truncated"));
  EXPECT_THAT(sandbox_missing(box, {2, true}), Not(HasSubstr("cannot be moved")));
  const std::string first = sandbox_missing(box, {1, true});
  EXPECT_THAT(first, HasSubstr("cannot be moved from one directory to another before Linux 5.19"));
  EXPECT_THAT(first, HasSubstr("can be truncated"));
  box.limits_writing = false;
  EXPECT_EQ("", sandbox_missing(box, {2, true}));
  EXPECT_THAT(sandbox_missing(box, {1, true}), HasSubstr("cannot be moved"))
      << "of every list, and not of write_paths alone";
  box.limits_executing = false;
  EXPECT_EQ("", sandbox_missing(box, {1, true})) << "a filter moves nothing";
}

TEST(SandboxMissingTest, who_requires_it_is_refused_and_who_does_not_is_not) {
  Sandbox box;
  box.limits_reading = true;
  EXPECT_TRUE(sandbox_refusal(box, {}, "web"));
  box.required = true;
  EXPECT_TRUE(sandbox_refusal(box, all_of_it, "web"));
  const Status refused = sandbox_refusal(box, {}, "web");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().text(), HasSubstr("Landlock is not there"));
  EXPECT_THAT(refused.error().hint, HasSubstr("without sandbox.required"));
}

TEST(SandboxMissingTest, without_landlock_there_is_no_ruleset_and_no_error) {
  Sandbox box;
  box.limits_reading = true;
  box.read_paths = {"/nowhere/at/all"};
  const Result<Fd> ruleset = make_ruleset(box, {}, {0, true}, "web");
  ASSERT_TRUE(ruleset);
  EXPECT_FALSE(*ruleset);
}

}  // namespace
}  // namespace hearth::os
