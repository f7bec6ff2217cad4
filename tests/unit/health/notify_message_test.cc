#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "health/health.h"

namespace hearth::health {
namespace {

using namespace std::string_view_literals;

NotifyMessage parse(std::string_view text) {
  return parse_notify(text.data(), text.size());
}

TEST(NotifyMessage, OfNoBytesSaysNothing) {
  const NotifyMessage m = parse_notify(nullptr, 0);
  EXPECT_FALSE(m.ready || m.reloading || m.stopping || m.watchdog || m.has_status || m.fdstore);
  EXPECT_EQ(m.watchdog_usec, -1);
  EXPECT_EQ(m.extend_timeout_usec, -1);
  EXPECT_TRUE(m.fdpoll);
}

TEST(NotifyMessage, SaysAllThatItsLinesSay) {
  const NotifyMessage m = parse(
      "READY=1\nRELOADING=1\nSTOPPING=1\nWATCHDOG=1\nBARRIER=1\nSTATUS=fine\nERRNO=5\nMAINPID=12\n"
      "WATCHDOG_USEC=7\nEXTEND_TIMEOUT_USEC=8\nFDSTORE=1\nFDSTOREREMOVE=1\nFDNAME=sock\nFDPOLL=0\n");
  EXPECT_TRUE(m.ready && m.reloading && m.stopping && m.watchdog && m.barrier && m.has_status);
  EXPECT_TRUE(m.has_errno && m.fdstore && m.fdstore_remove);
  EXPECT_EQ(m.status, "fine");
  EXPECT_EQ(m.error_number, 5);
  EXPECT_EQ(m.main_pid, 12);
  EXPECT_EQ(m.watchdog_usec, 7);
  EXPECT_EQ(m.extend_timeout_usec, 8);
  EXPECT_EQ(m.fdname, "sock");
  EXPECT_FALSE(m.fdpoll);
}

TEST(NotifyMessage, NeedsNoNewlineAtItsEndAndBearsTheNulOfAString) {
  EXPECT_TRUE(parse("READY=1").ready);
  EXPECT_TRUE(parse("READY=1\0"sv).ready);
  EXPECT_TRUE(parse("READY=1\n\0"sv).ready);
}

TEST(NotifyMessage, WithANulInALineLosesThatLineOnly) {
  const NotifyMessage m = parse("STATUS=a\0b\nREADY=1"sv);
  EXPECT_FALSE(m.has_status);
  EXPECT_TRUE(m.ready);
  EXPECT_FALSE(parse("READY=1\0READY=1"sv).ready);
}

TEST(NotifyMessage, TakesTheLastOfTwo) {
  EXPECT_EQ(parse("STATUS=a\nSTATUS=b").status, "b");
  EXPECT_EQ(parse("MAINPID=3\nMAINPID=4").main_pid, 4);
  EXPECT_EQ(parse("MAINPID=3\nMAINPID=x").main_pid, 3) << "the last that says something";
  const NotifyMessage m = parse("WATCHDOG=1\nWATCHDOG=trigger");
  EXPECT_TRUE(m.watchdog_trigger);
  EXPECT_FALSE(m.watchdog);
}

TEST(NotifyMessage, IgnoresValuesThatAreNotOne) {
  for (const auto* text :
       {"READY=0", "READY=", "READY=11", "READY=yes", "READY", "READY =1", " READY=1", "ready=1", "=1", "READY=1\r"}) {
    EXPECT_FALSE(parse(text).ready) << text;
  }
}

TEST(NotifyMessage, IgnoresNamesItDoesNotKnow) {
  EXPECT_TRUE(parse("X_MINE=1\nMONOTONIC_USEC=99\nINVOCATION_ID=a=b\n\n\n=\nREADY=1").ready);
}

TEST(NotifyMessage, KeepsEqualSignsInAStatus) {
  EXPECT_EQ(parse("STATUS=a=b=c").status, "a=b=c");
}

TEST(NotifyMessage, TakesNoNegativeNorDecoratedNumbers) {
  for (const auto* value : {"-1", "+1", " 1", "1 ", "0x10", "1.5", "", "1e3"}) {
    EXPECT_EQ(parse("EXTEND_TIMEOUT_USEC=" + std::string(value)).extend_timeout_usec, -1) << value;
    EXPECT_EQ(parse("WATCHDOG_USEC=" + std::string(value)).watchdog_usec, -1) << value;
    EXPECT_EQ(parse("MAINPID=" + std::string(value)).main_pid, 0) << value;
    EXPECT_FALSE(parse("ERRNO=" + std::string(value)).has_errno) << value;
  }
}

TEST(NotifyMessage, SaturatesHugeSpansAndIgnoresHugeIds) {
  const std::string digits(1000, '9');
  EXPECT_EQ(parse("EXTEND_TIMEOUT_USEC=" + digits).extend_timeout_usec, INT64_MAX);
  EXPECT_EQ(parse("WATCHDOG_USEC=18446744073709551615").watchdog_usec, INT64_MAX);
  EXPECT_EQ(parse("WATCHDOG_USEC=9223372036854775807").watchdog_usec, INT64_MAX);
  EXPECT_EQ(parse("WATCHDOG_USEC=9223372036854775806").watchdog_usec, INT64_MAX - 1);
  EXPECT_EQ(parse("MAINPID=" + digits).main_pid, 0);
  EXPECT_EQ(parse("MAINPID=2147483648").main_pid, 0);
  EXPECT_EQ(parse("MAINPID=0").main_pid, 0);
  EXPECT_FALSE(parse("ERRNO=4096").has_errno);
  EXPECT_TRUE(parse("ERRNO=0").has_errno);
}

TEST(NotifyMessage, MakesAStatusValidUtf8) {
  EXPECT_EQ(parse("STATUS=ok \xe2\x82\xac").status, "ok \xe2\x82\xac");
  EXPECT_EQ(parse("STATUS=a\xff"
                  "b")
                .status,
            "a\xef\xbf\xbd"
            "b");
  EXPECT_EQ(parse("STATUS=a\xe2\x82\nREADY=1").status, "a\xef\xbf\xbd");
}

TEST(NotifyMessage, NamesDescriptorsAsTheManualAllows) {
  const auto name = [](const std::string& text) { return parse("FDSTORE=1\nFDNAME=" + text).fdname; };
  EXPECT_EQ(parse("FDSTORE=1").fdname, "");
  EXPECT_EQ(name("my socket.1"), "my socket.1");
  EXPECT_EQ(name(std::string(103, 'x')), std::string(103, 'x'));
  EXPECT_EQ(name(std::string(104, 'x')), "stored");
  EXPECT_EQ(name("a:b"), "stored");
  EXPECT_EQ(name("a\tb"), "stored");
  EXPECT_EQ(name("a\x7f"), "stored");
  EXPECT_EQ(name("\xc3\xa9"), "stored");
}

TEST(NotifyMessage, Of64KiBOfAnythingIsReadWithoutHarm) {
  EXPECT_EQ(parse("STATUS=" + std::string(65'529, 'x')).status.size(), 65'529u);
  EXPECT_TRUE(parse(std::string(65'528, '\n') + "READY=1").ready);
  EXPECT_FALSE(parse(std::string(65'536, '\0')).ready);
  EXPECT_FALSE(parse(std::string(65'536, '=')).ready);
}

TEST(NotifyMessage, SaysWhatTheServiceDoes) {
  const NotifyMessage m = parse("X_HEARTH_STATE=busy\nX_HEARTH_ITEM=frame 7\nX_HEARTH_DONE=7\nX_HEARTH_TOTAL=9\n");
  EXPECT_EQ(m.work, Work::busy);
  EXPECT_TRUE(m.has_item);
  EXPECT_EQ(m.item, "frame 7");
  EXPECT_EQ(m.work_done, 7);
  EXPECT_EQ(m.work_total, 9);
  EXPECT_EQ(parse("X_HEARTH_STATE=idle").work, Work::idle);
  EXPECT_EQ(parse("X_HEARTH_STATE=sleepy\nX_HEARTH_DONE=-1\nX_HEARTH_TOTAL=many").work, Work::unsaid);
  EXPECT_EQ(parse("X_HEARTH_DONE=-1").work_done, -1);
}

}  // namespace
}  // namespace hearth::health
