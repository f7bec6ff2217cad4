// What people write for --since, --until and --grep.
#include <cstdlib>
#include <ctime>
#include <string>

#include "cli/log_pattern.h"
#include "cli/log_times.h"
#include "gtest/gtest.h"

namespace hearth::cli {
namespace {

constexpr WallNs noon = 1'738'324'800 * ns_per_s;  // 2025-01-31T12:00:00Z, a Friday

class MomentTest : public testing::Test {
 protected:
  MomentTest() {
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);  // an hour before UTC in January
    tzset();
  }
  ~MomentTest() override {
    unsetenv("TZ");
    tzset();
  }
  // Seconds since noon UTC; INT64_MIN: refused.
  static std::int64_t at(std::string_view text) {
    const Result<WallNs> moment = parse_moment("--since", text, noon);
    return moment ? (*moment - noon) / ns_per_s : INT64_MIN;
  }
};

TEST_F(MomentTest, SpansAreBeforeNow) {
  EXPECT_EQ(at("5m"), -300);
  EXPECT_EQ(at("5m ago"), -300);
  EXPECT_EQ(at("1h30m"), -5400);
  EXPECT_EQ(at("2d"), -172'800);
  EXPECT_EQ(at("now"), 0);
}

TEST_F(MomentTest, ATimeOfDayIsTheLastTimeThatTheClockShowedIt) {
  EXPECT_EQ(at("13:00"), 0) << "13:00 in Berlin is noon in UTC";
  EXPECT_EQ(at("12:59:30"), -30);
  EXPECT_EQ(at("13:01"), 60 - 86'400) << "not yet today: yesterday's";
}

TEST_F(MomentTest, DaysBeginAtLocalMidnight) {
  EXPECT_EQ(at("today"), -13 * 3600);
  EXPECT_EQ(at("yesterday"), -37 * 3600);
  EXPECT_EQ(at("yesterday 14:00"), -23 * 3600);
  EXPECT_EQ(at("2025-01-31"), -13 * 3600);
}

TEST_F(MomentTest, DatesAreLocalUnlessTheyNameAZone) {
  EXPECT_EQ(at("2025-01-31T12:00:00Z"), 0);
  EXPECT_EQ(at("2025-01-31T12:00:00.5Z"), 0);
  EXPECT_EQ(at("2025-01-31T14:00:00+02:00"), 0);
  EXPECT_EQ(at("2025-01-31T07:00:00-0500"), 0);
  EXPECT_EQ(at("2025-01-31 13:00"), 0);
  EXPECT_EQ(at("2025-01-31 13:00:10"), 10);
  EXPECT_EQ(at("@1738324810"), 10);
}

TEST_F(MomentTest, AnythingElseIsRefusedWithWhatCanBeWritten) {
  for (const char* text : {"", "5", "soon", "25:00", "12:60", "2025-13-01", "2025-01-31T", "2025-01-31X12:00", "@",
                           "@x", "yesterday at noon", "5m later", "12:00:00 ", "-5m", "99999999d"})
    EXPECT_EQ(at(text), INT64_MIN) << text;
  const Result<WallNs> refused = parse_moment("--until", "soon", noon);
  EXPECT_EQ(refused.error().subject, "--until \"soon\"");
  EXPECT_NE(refused.error().hint.find("14:30"), std::string::npos);
}

TEST_F(MomentTest, AnEndThatIsATimeOfTheDayIsTheFirstBehindTheBeginning) {
  const WallNs evening = parse_moment("--since", "yesterday 22:00", noon).value();
  const WallNs day = seconds(24 * 3600);
  EXPECT_EQ(end_after(evening, "06:00", evening - seconds(16 * 3600)), evening + seconds(8 * 3600));
  EXPECT_EQ(end_after(evening, "06:00", evening + seconds(8 * 3600)), evening + seconds(8 * 3600)) << "it is behind it";
  EXPECT_EQ(end_after(evening, "yesterday", evening - day), evening - day) << "that names its day";
}

bool matches(const std::string& expression, std::string_view line, bool ignore_case = false) {
  const Result<LogPattern> pattern = LogPattern::create(expression, ignore_case);
  EXPECT_TRUE(pattern) << expression;
  return pattern && pattern->matches(line);
}

TEST(LogPatternTest, MatchesAsGrepDoes) {
  EXPECT_TRUE(matches("time", "a timeout"));
  EXPECT_FALSE(matches("Time", "a timeout"));
  EXPECT_TRUE(matches("Time", "a timeout", true));
  EXPECT_TRUE(matches("err(or)?s?$|^warn", "two errors"));
  EXPECT_FALSE(matches("^warn", "no warning"));
  EXPECT_TRUE(matches("a\\.b", "a.b"));
  EXPECT_FALSE(matches("a\\.b", "axb"));
  EXPECT_TRUE(matches("", "anything"));
}

TEST(LogPatternTest, LinesMayHoldAnyBytes) {
  EXPECT_TRUE(matches("b+", std::string_view("a\0b\xff", 4)));
  const std::string lines = "one two";
  EXPECT_FALSE(matches("two", std::string_view(lines).substr(0, 3))) << "not behind the end of the line";
  EXPECT_FALSE(matches("t.o", std::string_view(lines).substr(0, 3)));
}

TEST(LogPatternTest, AnExpressionThatIsNoneIsRefused) {
  const Result<LogPattern> pattern = LogPattern::create("(", false);
  ASSERT_FALSE(pattern);
  EXPECT_EQ(pattern.error().subject, "--grep \"(\"");
}

}  // namespace
}  // namespace hearth::cli
