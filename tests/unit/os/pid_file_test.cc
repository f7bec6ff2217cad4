#include "os/pid_file.h"

#include <fcntl.h>
#include <string>
#include <sys/stat.h>

#include <gtest/gtest.h>

#include "os/clock.h"
#include "os/fd.h"
#include "os/run_members.h"
#include "unit/os/temp_directory.h"

namespace hearth::os {
namespace {

class PidFileTest : public testing::Test {
 protected:
  PidFile read(const std::string& text) {
    const std::string path = directory.path() + "/d.pid";
    Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    EXPECT_TRUE(write_all(file.get(), text, path));
    return read_pid_file(path);
  }
  test::TempDirectory directory;
};

TEST_F(PidFileTest, BeginsWithANumber) {
  EXPECT_EQ(read("77\n").pid, 77);
  EXPECT_EQ(read("77").pid, 77);
  EXPECT_EQ(read(" 77\r\n").pid, 77);
  EXPECT_EQ(read("77\n/var/lib/data\n1700000000\n").pid, 77) << "as PostgreSQL writes it";
}

TEST_F(PidFileTest, ThatSaysNoneIsTold) {
  for (const char* text : {"x", "-5\n", "0\n", "77x\n", "99999999999999\n", "0x10\n"}) {
    EXPECT_EQ(read(text).pid, 0) << text;
    EXPECT_NE(read(text).problem.find("does not begin with the number of a process"), std::string::npos) << text;
  }
  EXPECT_EQ(read("").problem, directory.path() + "/d.pid is empty");
}

TEST_F(PidFileTest, ThatIsNoFileIsNotWaitedFor) {
  const std::string fifo = directory.path() + "/fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_EQ(read_pid_file(fifo).problem, fifo + " is no ordinary file");
  EXPECT_EQ(read_pid_file(directory.path()).problem, directory.path() + " is no ordinary file");
  EXPECT_EQ(read_pid_file(directory.path() + "/none").problem, directory.path() + "/none is not there");
}

TEST_F(PidFileTest, IsReadByAThreadOnceForEachTimeItIsAsked) {
  (void)read("77\n");
  PidFiles files;
  PidFile seen = files.read(1, directory.path() + "/d.pid");
  // On a busy machine the thread may take longer than is waited for.
  const MonoNs deadline = after(read_mono(), seconds(20));
  while (seen.pid == 0 && read_mono() < deadline) seen = files.read(1, directory.path() + "/d.pid");
  EXPECT_EQ(seen.pid, 77) << seen.problem;
}

TEST(RunMembers, RootsAreThoseWhoseParentIsNotOfTheRun) {
  const std::vector<RunMember> members = {{10, 1, 1}, {11, 2, 10}, {12, 3, 11}, {20, 2, 1}};
  const std::vector<RunMember> roots = roots_of(members);
  ASSERT_EQ(roots.size(), 2u);
  EXPECT_EQ(roots[0].pid, 10);
  EXPECT_EQ(roots[1].pid, 20);
}

}  // namespace
}  // namespace hearth::os
