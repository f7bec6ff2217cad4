#include "config/environment.h"

#include <gtest/gtest.h>

namespace hearth::config {
namespace {

using Lines = std::vector<std::string>;

Lines captured(const Lines& lines) {
  return Environment(lines).captured();
}

TEST(Environment, keeps_what_services_need_sorted_by_name) {
  EXPECT_EQ(captured({"PATH=/bin", "HOME=/root", "A=1", "EMPTY=", "X=a=b"}),
            (Lines{"A=1", "EMPTY=", "HOME=/root", "PATH=/bin", "X=a=b"}));
}

TEST(Environment, leaves_the_callers_session_and_supervisor_behind) {
  EXPECT_EQ(captured({"HEARTH_RUN=7",
                      "HEARTH_INSTANCE=/x",
                      "LISTEN_FDS=1",
                      "LISTEN_PID=2",
                      "LISTEN_FDNAMES=a",
                      "NOTIFY_SOCKET=/n",
                      "WATCHDOG_USEC=1",
                      "WATCHDOG_PID=1",
                      "SSH_AUTH_SOCK=/s",
                      "SSH_CONNECTION=1",
                      "TMUX=/t",
                      "TMUX_PANE=%1",
                      "XDG_SESSION_ID=3",
                      "XDG_SESSION_TYPE=tty",
                      "INVOCATION_ID=a",
                      "JOURNAL_STREAM=8:1",
                      "_=/bin/sh",
                      "OLDPWD=/",
                      "PWD=/",
                      "SHLVL=2"}),
            Lines{});
}

TEST(Environment, does_not_take_a_similar_name_for_a_private_one) {
  const Lines similar = {"HEARTHSTONE=1",      "LISTENER=1", "NOTIFY_SOCKET_2=1", "OLDPWD2=1", "SSHKEY=1",
                         "XDG_RUNTIME_DIR=/r", "_X=1"};
  EXPECT_EQ(captured(similar), similar);
}

TEST(Environment, of_equal_names_the_first_counts_as_for_getenv) {
  EXPECT_EQ(captured({"A=1", "B=2", "A=3"}), (Lines{"A=1", "B=2"}));
}

TEST(Environment, lines_of_another_form_are_left_out) {
  EXPECT_EQ(captured({"novalue", "=x", "A=1"}), (Lines{"A=1"}));
}

}  // namespace
}  // namespace hearth::config
