#include "base/placed.h"

#include <gtest/gtest.h>

namespace hearth {
namespace {

TEST(Placed, each_command_between_backticks_gets_the_option) {
  EXPECT_EQ(placed("`hearth status` lists them", "--dir /x "), "`hearth --dir /x status` lists them");
  EXPECT_EQ(placed("`hearth up` adds those of the file, `hearth run -- COMMAND` one", "--instance ci "),
            "`hearth --instance ci up` adds those of the file, `hearth --instance ci run -- COMMAND` one");
}

TEST(Placed, what_is_no_command_of_this_instance_stays) {
  for (const char* text : {"", "nothing of it", "hearth status", "`hearth` runs", "`hearth --dir /y status` tells",
                           "`hearth help up` explains it", "`hearth ", "`hearth "})
    EXPECT_EQ(placed(text, "--dir /x "), text);
  EXPECT_EQ(placed("`hearth status` lists them", ""), "`hearth status` lists them");
}

TEST(ShellWord, is_quoted_where_a_shell_would_read_something_else) {
  EXPECT_EQ(shell_word("/srv/a-b_c.d:e=f,g@h%i+j"), "/srv/a-b_c.d:e=f,g@h%i+j");
  EXPECT_EQ(shell_word("/srv/gr\xc3\xb6\xc3\x9f"), "/srv/gr\xc3\xb6\xc3\x9f");
  EXPECT_EQ(shell_word("/srv/my hearth"), "'/srv/my hearth'");
  EXPECT_EQ(shell_word("it's"), "'it'\\''s'");
  EXPECT_EQ(shell_word("~/x"), "'~/x'");
  EXPECT_EQ(shell_word(""), "''");
}

}  // namespace
}  // namespace hearth
