#include "logs/lines.h"

#include <string>
#include <vector>

#include "base/rfc3339.h"
#include "gtest/gtest.h"
#include "unit/logs/log_writer.h"

namespace hearth::logs::test {
namespace {

constexpr WallNs noon = 1'738'324'800 * ns_per_s;  // 2025-01-31T12:00:00Z

class LinesTest : public testing::Test {
 protected:
  LineReader reader(Cursor from = {}) { return LineReader(Follower::unwatched(log.directory(), from)); }
  // "TEXT@SECONDS" per line, seconds since noon; "TEXT@?" where no time is known.
  std::vector<std::string> lines(Cursor from = {}) {
    LineReader all = reader(from);
    std::vector<std::string> found;
    Line line;
    const auto add = [&] {
      found.push_back(std::string(line.text) + "@" +
                      (line.wall_ns == 0 ? "?" : std::to_string((line.wall_ns - noon) / ns_per_s)));
    };
    for (;;) {
      const Result<LineReader::Got> got = all.next(line);
      EXPECT_TRUE(got) << got.error().text();
      if (!got || *got == LineReader::Got::nothing) break;
      if (*got == LineReader::Got::gap) {
        found.push_back("gap");
      } else {
        add();
      }
    }
    if (all.finish(line)) add();
    return found;
  }
  std::vector<std::string> since(std::int64_t second) {
    const Result<Cursor> place = place_of(log.directory(), noon + seconds(second));
    EXPECT_TRUE(place);
    return lines(*place);
  }

  LogWriter log;
};
using Texts = std::vector<std::string>;

TEST_F(LinesTest, RawLinesHaveTheTimesOfTheIndex) {
  log.append(1, "a\nb\nc\nrest");
  log.index(1, {{noon, 0}, {noon + seconds(5), 4}});
  EXPECT_EQ(lines(), (Texts{"a@0", "b@0", "c@5", "rest@5"}));
}

TEST_F(LinesTest, ALineHasTheTimeOfItsFirstByte) {
  log.append(1, "begun, and ended later\nnext\n");
  log.index(1, {{noon, 0}, {noon + seconds(5), 10}});
  EXPECT_EQ(lines(), (Texts{"begun, and ended later@0", "next@5"}));
}

TEST_F(LinesTest, ALinesOwnStampIsBetterThanTheIndex) {
  log.append(
      1, "2025-01-31T12:00:07.000000Z a\n{\"ts\":\"2025-01-31T12:00:08.000000Z\",\"run\":1,\"text\":\"b\"}\ngoes on\n");
  log.index(1, {{noon, 0}});
  EXPECT_EQ(lines()[0], "2025-01-31T12:00:07.000000Z a@7");
  EXPECT_TRUE(lines()[1].ends_with("@8"));
}

TEST_F(LinesTest, WithoutAnIndexALineHasTheTimeOfTheOneBefore) {
  log.append(1, "?\n2025-01-31T12:00:07.000000Z a\ngoes on\n");
  EXPECT_EQ(lines(), (Texts{"?@?", "2025-01-31T12:00:07.000000Z a@7", "goes on@7"}));
}

TEST_F(LinesTest, LinesGoOnInTheNextFileAndItsIndex) {
  log.append(1, "a\nb");
  log.append(2, "b\nc\n");
  log.index(1, {{noon, 0}, {noon + seconds(1), 2}});
  log.index(2, {{noon + seconds(2), 0}});
  EXPECT_EQ(lines(), (Texts{"a@0", "bb@1", "c@2"}));
}

TEST_F(LinesTest, APlaceIsFoundInTheRightFileAtALineBeginning) {
  log.append(1, "a\nb\n");
  log.append(2, "cc\ndd\nee\n");
  log.append(3, "f\n");
  log.index(1, {{noon, 0}, {noon + seconds(10), 2}});
  log.index(2, {{noon + seconds(20), 0}, {noon + seconds(30), 4}, {noon + seconds(40), 6}});
  log.index(3, {{noon + seconds(50), 0}});
  EXPECT_EQ(since(-100).size(), 6u);
  EXPECT_EQ(since(5), (Texts{"b@10", "cc@20", "dd@20", "ee@40", "f@50"}));
  EXPECT_EQ(since(10).front(), "b@10");
  EXPECT_EQ(since(25).front(), "ee@40") << "the record at 30 s is in the middle of a line that is older";
  EXPECT_EQ(since(45).back(), "f@50");
  EXPECT_EQ(since(500), (Texts{"f@50"})) << "the last record's line may be younger than it: who asks, filters";
}

TEST_F(LinesTest, FilesWithoutAnIndexAreReadWhenTheyMayHoldWhatIsWanted) {
  log.append(1, "a\n");
  log.append(2, "b\n");
  log.append(3, "c\n");
  log.index(1, {{noon, 0}});
  log.index(3, {{noon + seconds(20), 0}});
  EXPECT_EQ(since(10), (Texts{"a@0", "b@0", "c@20"}));
  EXPECT_EQ(since(30), (Texts{"c@20"}));
  log.remove_index(1);
  log.remove_index(3);
  EXPECT_EQ(since(30).size(), 3u);
}

TEST_F(LinesTest, ATornAndAZeroedIndexAreReadAsFarAsTheyAreTrue) {
  log.append(1, "a\nb\n");
  log.index(1, {{noon, 0}, {noon + seconds(5), 2}, {0, 0}});
  log.append_index(1, "torn");
  EXPECT_EQ(lines(), (Texts{"a@0", "b@5"}));
  EXPECT_EQ(since(3), (Texts{"b@5"}));
}

TEST_F(LinesTest, AnIndexOfAnotherFileOrKindCountsAsNone) {
  log.append(1, "a\n");
  log.index(1, {{noon, 0}}, 7);
  EXPECT_EQ(lines(), (Texts{"a@?"}));
  log.remove_index(1);
  log.append_index(1, "no index at all, but long enough for one");
  EXPECT_EQ(lines(), (Texts{"a@?"}));
}

TEST_F(LinesTest, NothingIsTakenBehindTheEndThatWasGiven) {
  log.append(1, "a\nb\n");
  const Result<Cursor> end = end_of(log.directory());
  log.append(1, "c\n");
  log.append(2, "d\n");
  LineReader until = reader();
  until.stop_at(*end);
  Line line;
  int count = 0;
  while (*until.next(line) == LineReader::Got::line) ++count;
  EXPECT_EQ(count, 2);
  EXPECT_EQ(until.place(), *end);
}

TEST_F(LinesTest, AnUnfinishedLineIsReadAgainFromItsBeginning) {
  log.append(1, "a\nbegun");
  LineReader first = reader();
  Line line;
  while (*first.next(line) == LineReader::Got::line) {
  }
  EXPECT_EQ(first.place(), (Cursor{1, 2}));
  log.append(1, " and ended\n");
  EXPECT_EQ(lines(first.place()), (Texts{"begun and ended@?"}));
}

TEST_F(LinesTest, AFileRotatedAwayIsAGap) {
  log.append(4, "d\n");
  EXPECT_EQ(lines({2, 0}), (Texts{"gap", "d@?"}));
}

TEST_F(LinesTest, AVeryLongLineComesInPieces) {
  log.append(1, std::string((3u << 20) + 5, 'x') + "\nend\n");
  const Texts found = lines();
  ASSERT_GE(found.size(), 4u);
  EXPECT_EQ(found.back(), "end@?");
}

TEST(StampTest, IsThatOfStampedAndJsonLinesOnly) {
  EXPECT_EQ(stamp_of("2025-01-31T12:00:00.000001Z text"), "2025-01-31T12:00:00.000001Z");
  EXPECT_EQ(stamp_of(R"({"ts":"2025-01-31T12:00:00.000001Z","run":7,"text":"x"})"), "2025-01-31T12:00:00.000001Z");
  for (const char* line :
       {"", "text", "2025-01-31 12:00:00", "2025-01-31T12:00:00.0000x1Z text", "{\"ts\":\"soon\"}"}) {
    EXPECT_EQ(stamp_of(line), "") << line;
  }
}

TEST(StampTest, ReadsWhatItWrites) {
  for (WallNs time : {noon, noon + 123'456'000, WallNs{1'000}, WallNs{951'782'400} * ns_per_s})
    EXPECT_EQ(stamp_time(rfc3339(time, stamp_digits)), time) << rfc3339(time, stamp_digits);
  EXPECT_EQ(stamp_time("2025-13-31T12:00:00.000000Z"), 0);
  EXPECT_EQ(stamp_of("2025-01-31 12:00:00"), "");
}

}  // namespace
}  // namespace hearth::logs::test
