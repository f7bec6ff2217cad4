#include "os/whole_file.h"

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <iterator>
#include <string>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "os/crash_point.h"
#include "support/refused_calls.h"
#include "support/small_disk.h"
#include "unit/os/temp_directory.h"

namespace hearth::os {
namespace {

namespace fs = std::filesystem;

using support::Refusal;
using support::refuse;

// File systems: which can do all, which have no files without a name, and which have no such rename either.
const Refusal no_unnamed_files = {SYS_openat, EOPNOTSUPP, 2, O_TMPFILE & ~O_DIRECTORY};
const Refusal no_such_rename = {SYS_renameat2, EINVAL};
const std::vector<std::vector<Refusal>> file_systems = {{}, {no_unnamed_files}, {no_unnamed_files, no_such_rename}};

int die_at = 0, points = 0;

constexpr int killed = -1;

struct WholeFileTest : ::testing::Test {
  test::TempDirectory directory;
  std::string path = directory / "hearth.toml";
  const std::string whole = std::string(100'000, 'x') + "\nend\n";

  // By a process that is killed at the `point`th step, and refused all this. 0, the errno or 255, or `killed`.
  int write_by_another(const std::vector<Refusal>& refusals, OldFile old, int point = 0) {
    const pid_t child = ::fork();
    if (child == 0) {
      die_at = point;
      crash_hook = [](const char*) {
        if (++points == die_at) ::raise(SIGKILL);
      };
      for (const Refusal& each : refusals) refuse(each);
      const Status written = write_whole(path, whole, 0644, old);
      ::_exit(written ? 0 : written.error().remedy == Remedy::conflict ? EEXIST : written.error().code);
    }
    int status = 0;
    EXPECT_EQ(child, ::waitpid(child, &status, 0));
    return WIFEXITED(status) ? WEXITSTATUS(status) : killed;
  }
  std::string text() const {
    const Result<std::string> read = read_file(path);
    return read ? *read : "";
  }
  // Elsewhere the first way is the second one.
  bool can_be_unnamed() const {
    return static_cast<bool>(Fd(::open(directory.path().c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600)));
  }
  bool exists() const { return ::access(path.c_str(), F_OK) == 0; }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(directory.path()), {}));
  }
};

TEST_F(WholeFileTest, a_death_at_each_step_leaves_all_of_it_or_nothing_and_who_comes_next_is_told_what_is_true) {
  for (std::size_t system = 0; system < file_systems.size(); ++system) {
    int deaths = 0;
    bool was_there = false, was_missing = false;
    for (int point = 1;; ++point, ++deaths) {
      const int ended = write_by_another(file_systems[system], OldFile::stays, point);
      if (exists()) {
        EXPECT_EQ(whole, text()) << "killed at " << point;
      }
      if (ended != killed) {
        ASSERT_EQ(0, ended);
        EXPECT_EQ(1u, files());
        fs::remove(path);
        break;
      }
      (exists() ? was_there : was_missing) = true;
      // What has no name yet is gone with who was writing it.
      EXPECT_LE(files() - exists(), system == 0 && can_be_unnamed() ? 0u : 1u) << "killed at " << point;
      const int told = exists() ? EEXIST : 0;
      EXPECT_EQ(told, write_by_another(file_systems[system], OldFile::stays)) << "killed at " << point;
      EXPECT_EQ(whole, text());
      for (const auto& each : fs::directory_iterator(directory.path())) fs::remove(each.path());
    }
    EXPECT_GE(deaths, 5) << "file system " << system;
    EXPECT_TRUE(was_there && was_missing) << "file system " << system;
  }
}

TEST_F(WholeFileTest, one_that_is_replaced_is_the_old_or_the_new_one_whoever_dies) {
  int deaths = 0;
  for (bool done = false; !done; ++deaths) {
    for (const auto& each : fs::directory_iterator(directory.path())) fs::remove(each.path());
    Fd old(::creat(path.c_str(), 0644));
    ASSERT_TRUE(write_all(old.get(), "old\n", path));
    done = write_by_another({}, OldFile::is_replaced, deaths + 1) == 0;
    EXPECT_TRUE(text() == "old\n" || text() == whole) << "killed at " << deaths + 1;
    EXPECT_LE(files(), done ? 1u : 2u);
  }
  EXPECT_EQ(whole, text());
  EXPECT_GE(deaths, 5);
}

TEST_F(WholeFileTest, what_the_disk_or_the_kernel_refuses_is_told_and_leaves_nothing) {
  struct Case {
    std::vector<Refusal> refusals;
    int told;
  };
  std::vector<Case> cases = {
      {{{SYS_openat, EMFILE, 2, O_CREAT | (O_TMPFILE & ~O_DIRECTORY)}}, EMFILE},
      {{{SYS_write, ENOSPC}}, ENOSPC},
      {{{SYS_fsync, EIO}}, EIO},
      {{no_unnamed_files, {SYS_write, EDQUOT}}, EDQUOT},
      {{no_unnamed_files, {SYS_fsync, EIO}}, EIO},
      {{no_unnamed_files, {SYS_renameat2, ENOSPC}}, ENOSPC},
      {{no_unnamed_files, no_such_rename, {SYS_linkat, EIO}}, EIO},
  };
  if (can_be_unnamed()) cases.push_back({{{SYS_linkat, EDQUOT}}, EDQUOT});
  for (const Case& each : cases) {
    EXPECT_EQ(each.told, write_by_another(each.refusals, OldFile::stays));
    EXPECT_EQ(0u, files()) << "call " << each.refusals.back().call;
  }
  EXPECT_EQ(EIO, write_by_another({{SYS_fsync, EIO}}, OldFile::is_replaced));
  EXPECT_EQ(0u, files());
}

TEST_F(WholeFileTest, whatever_has_the_name_keeps_it) {
  const auto refused = [&](const char* what) {
    for (const std::vector<Refusal>& system : file_systems)
      EXPECT_EQ(EEXIST, write_by_another(system, OldFile::stays)) << what;
    EXPECT_EQ(1u, files()) << what;
  };
  {
    Fd file(::creat(path.c_str(), 0600));
  }
  refused("a file");
  EXPECT_EQ("", text());
  fs::remove(path);
  ASSERT_EQ(0, ::mkdir(path.c_str(), 0700));
  refused("a directory");
  fs::remove(path);
  ASSERT_EQ(0, ::symlink((directory / "elsewhere").c_str(), path.c_str()));
  refused("a link to nothing");
}

TEST_F(WholeFileTest, its_mode_is_that_of_a_new_file) {
  const mode_t before = ::umask(027);
  for (const std::vector<Refusal>& system : file_systems) {
    EXPECT_EQ(0, write_by_another(system, OldFile::stays));
    struct stat st{};
    EXPECT_EQ(0, ::stat(path.c_str(), &st));
    EXPECT_EQ(0640u, st.st_mode & 07777);
    fs::remove(path);
  }
  ::umask(before);
}

TEST_F(WholeFileTest, on_a_full_disk_nothing_is_left_and_with_space_it_is_written) {
  const support::SmallDisk disk(directory.path(), "size=64k,mode=700");
  if (!disk) GTEST_SKIP() << "no mounts here";
  EXPECT_EQ(ENOSPC, write_by_another({}, OldFile::stays));
  EXPECT_EQ(ENOSPC, write_by_another({no_unnamed_files}, OldFile::stays));
  EXPECT_EQ(0u, files());
  ASSERT_TRUE(disk.resize("size=1m"));
  EXPECT_EQ(0, write_by_another({}, OldFile::stays));
  EXPECT_EQ(whole, text());
}

}  // namespace
}  // namespace hearth::os
