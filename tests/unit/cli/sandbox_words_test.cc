#include "cli/sandbox_words.h"

#include <gtest/gtest.h>

#include "model/system_calls.h"

namespace hearth::cli {
namespace {

TEST(SandboxWords, without_a_sandbox_there_is_nothing_to_say) {
  EXPECT_EQ(sandbox_words({}), "");
}

TEST(SandboxWords, tell_what_is_allowed_and_which_system_calls_are_not) {
  Sandbox sandbox;
  sandbox.limits_writing = sandbox.limits_reading = true;
  sandbox.write_paths = {"/srv/data", "/tmp"};
  sandbox.deny_syscalls = {"@swap", "swapon", "ptrace"};
  EXPECT_EQ(sandbox_words(sandbox),
            "writes only below /srv/data, /tmp; reads nothing; denies @swap, swapon, ptrace (3 system calls)");
  sandbox = {};
  sandbox.limits_executing = true;
  sandbox.exec_paths = {"/usr"};
  EXPECT_EQ(sandbox_words(sandbox), "executes only below /usr");
}

}  // namespace
}  // namespace hearth::cli
