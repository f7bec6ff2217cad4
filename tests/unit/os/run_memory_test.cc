// What processes use of memory: that of real ones, which have what the test has given them.
#include "os/run_memory.h"

#include <csignal>
#include <cstring>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "os/fd.h"
#include "os/proc_stat.h"

namespace hearth::os {
namespace {

constexpr std::size_t block = 64u << 20;
constexpr std::uint64_t block_kib = block / 1024;
constexpr std::uint64_t slack_kib = 4096;  // counts of pages may lag behind

struct RunMemory : ::testing::Test {
  void* memory = ::mmap(nullptr, block, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  std::vector<RunMember> members;

  void SetUp() override {
    ASSERT_NE(MAP_FAILED, memory);
    std::memset(memory, 1, block);
  }
  // A child that shares the block with us, and ends with the test.
  void begin_child() {
    const pid_t child = ::fork();
    if (child == 0) {
      for (;;) ::pause();
    }
    ASSERT_GT(child, 0);
    members.push_back({child, start_ticks(child), ::getpid(), block_kib + 1});
  }
  // As the kernel counts it now: what a child has by its fork is there when fork has returned, but is counted a little
  // later.
  std::uint64_t resident(const RunMember& member) {
    ProcStat stat;
    return read_stat(member.pid, stat) ? stat.resident_kib : 0;
  }
  void end(const RunMember& member) {
    ::kill(member.pid, SIGKILL);
    ::waitpid(member.pid, nullptr, 0);
  }
  ~RunMemory() override {
    for (const RunMember& member : members) end(member);
    ::munmap(memory, block);
  }
};

TEST_F(RunMemory, what_a_process_has_is_in_its_resident_set) {
  begin_child();
  EXPECT_GE(resident(members[0]), block_kib - slack_kib);
}

TEST_F(RunMemory, resident_sets_are_added_up_as_long_as_that_is_enough) {
  begin_child();
  begin_child();
  EXPECT_EQ(2 * (block_kib + 1), memory_kib(members, 2 * (block_kib + 1)));
}

// Three have the block: the two, and we.
TEST_F(RunMemory, what_is_shared_counts_once_where_the_sum_is_too_much) {
  begin_child();
  begin_child();
  const std::uint64_t sum = memory_kib(members, members[0].resident_kib);
  const std::uint64_t shares = 2 * block_kib / 3;
  EXPECT_GE(sum, shares - slack_kib);
  const std::uint64_t rest = resident(members[0]) + resident(members[1]) - 2 * block_kib + 2 * slack_kib;
  EXPECT_LE(sum, shares + rest);
}

// Its proportional set would be half of the block, as we have that, too.
TEST_F(RunMemory, what_one_process_has_is_never_too_much_because_it_is_counted_twice) {
  begin_child();
  EXPECT_EQ(block_kib + 1, memory_kib(members, block_kib));
  begin_child();
  EXPECT_EQ(block_kib + 1, memory_kib(members, block_kib)) << "nor does it need the others to be too much";
}

TEST_F(RunMemory, who_has_ended_counts_nothing) {
  begin_child();
  begin_child();
  const RunMember ended = members[0];
  members.erase(members.begin());
  end(ended);
  EXPECT_EQ(0u, proportional_kib(ended.pid));
  EXPECT_LE(memory_kib({ended, members[0]}, ended.resident_kib), resident(members[0]) + slack_kib);
}

TEST_F(RunMemory, a_run_of_which_nobody_can_be_seen_says_nothing) {
  const CgroupTree none;
  Census census(none, "/no/instance");
  const Result<std::uint64_t> nobody = memory_kib(census, {"/no/instance", "p.none.0", 1, 0}, 0, 0);
  ASSERT_FALSE(nobody.has_value());
  EXPECT_EQ(Remedy::try_later, nobody.error().remedy);
}

}  // namespace
}  // namespace hearth::os
