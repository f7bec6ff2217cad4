// Names and groups of system calls: what a word stands for.
#include "model/system_calls.h"

#include <algorithm>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hearth {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(SystemCalls, AWordIsANameOrAGroupAndElseNothing) {
  EXPECT_THAT(system_calls_of("ptrace"), ElementsAre("ptrace"));
  EXPECT_THAT(system_calls_of("@swap"), ElementsAre("swapoff", "swapon"));
  for (const char* none : {"", "@", "@none", "swap", "PTRACE", "~ptrace", "read"})
    EXPECT_THAT(system_calls_of(none), IsEmpty()) << none;
}

TEST(SystemCalls, DefaultIsAllOfTheGroupsButTwoAndNothingThatManyProgramsUse) {
  const std::vector<std::string_view> all = system_calls_of("@default");
  for (const SystemCallGroup& group : system_call_groups()) {
    EXPECT_EQ(group.in_default, group.name != "@signal" && group.name != "@resources") << group.name;
    if (!group.in_default) continue;
    for (const std::string_view call : group.calls) EXPECT_THAT(all, Contains(call)) << group.name;
  }
  for (const char* used : {"kill", "rt_sigqueueinfo", "setpriority", "socket", "bind", "mknod", "execve", "exit_group",
                           "seccomp", "prctl"})
    EXPECT_THAT(all, Not(Contains(std::string_view(used))));
}

TEST(SystemCalls, NamesStandInTheirOrderAndEachOnce) {
  const auto names = system_call_names();
  EXPECT_TRUE(std::ranges::is_sorted(names));
  EXPECT_EQ(std::set<std::string_view>(names.begin(), names.end()).size(), names.size());
}

// The child that enters a filter still has to execute, and to end when it cannot.
TEST(SystemCalls, NobodyCanDenyWhatTheStartOfAProgramNeeds) {
  for (const char* needed : {"execve", "exit_group", "exit", "close", "rt_sigreturn", "read", "write"})
    EXPECT_THAT(system_calls_of(needed), IsEmpty()) << needed;
}

}  // namespace
}  // namespace hearth
