// What hearth.log tells of the deaths of hearth's own processes.
#include "apps/member_log.h"

#include <memory>
#include <signal.h>
#include <string>
#include <sys/wait.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hearth::apps {
namespace {

using ::testing::HasSubstr;

class MemberLogTest : public ::testing::Test {
 protected:
  std::string told_at_the_beginning(bool revived) {
    ::testing::internal::CaptureStderr();
    MemberLog log;
    log.begin(*table, revived, 0);
    return ::testing::internal::GetCapturedStderr();
  }
  std::unique_ptr<wire::SlotTable> table = std::make_unique<wire::SlotTable>();
};

TEST_F(MemberLogTest, a_supervisor_tells_how_its_predecessor_ended) {
  EXPECT_EQ("", told_at_the_beginning(false));
  table->supervisor.deaths = 1;
  table->supervisor.last_wait_code = CLD_KILLED;
  table->supervisor.last_wait_status = SIGKILL;
  EXPECT_THAT(told_at_the_beginning(false),
              HasSubstr(R"("process":"supervisor","pid":null,"code":null,"signal":9,"deaths":1)"));
}

TEST_F(MemberLogTest, after_the_death_of_everything_nobody_knows_and_what_was_told_is_not_told_again) {
  table->supervisor.deaths = table->logger.deaths = 16;
  table->supervisor.last_wait_code = CLD_EXITED;
  EXPECT_EQ("", told_at_the_beginning(true));
}

}  // namespace
}  // namespace hearth::apps
