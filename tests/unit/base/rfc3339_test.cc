#include "base/rfc3339.h"

#include <ctime>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace hearth {
namespace {

TEST(Rfc3339, HasAsManyDigitsAsAreAskedFor) {
  const WallNs at = seconds(1'700'000'000) + 7'008'009;
  EXPECT_EQ(rfc3339(at), "2023-11-14T22:13:20.007Z");
  EXPECT_EQ(rfc3339(at, 0), "2023-11-14T22:13:20Z");
  EXPECT_EQ(rfc3339(at, 6), "2023-11-14T22:13:20.007008Z");
  EXPECT_EQ(rfc3339(at, 9), "2023-11-14T22:13:20.007008009Z");
  EXPECT_EQ(rfc3339(0), "1970-01-01T00:00:00.000Z");
}

TEST(Rfc3339, OfAMachineWithoutAClockIsBefore1970) {
  EXPECT_EQ(rfc3339(-milliseconds(1)), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(rfc3339(-1), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(rfc3339(INT64_MIN), "1677-09-21T00:12:43.145Z");
  EXPECT_EQ(rfc3339(INT64_MAX), "2262-04-11T23:47:16.854Z");
}

TEST(Rfc3339, CountsDaysAsLibcDoes) {
  EXPECT_TRUE(rc::check("any second that nanoseconds can count", [] {
    const auto at = *rc::gen::inRange<std::int64_t>(-9'223'372'036, 9'223'372'036);
    const std::time_t second = at;
    std::tm parts{};
    gmtime_r(&second, &parts);
    char text[64];
    RC_ASSERT(std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts) != 0u);
    RC_ASSERT(rfc3339(seconds(at), 0) == text);
  }));
}

}  // namespace
}  // namespace hearth
