#include "logs/reader.h"

#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "unit/logs/log_writer.h"

namespace hearth::logs::test {
namespace {

TEST(ListFiles, GivesNumbersInOrderAndPassesOverOtherNames) {
  LogWriter log;
  log.append(10, "x");
  log.append(9, "x");
  log.append(100'000'000, "x");
  std::ofstream(log.directory() + "/notes.log") << "x";
  std::ofstream(log.directory() + "/7.log") << "x";
  std::filesystem::create_symlink("00000010.log", log.directory() + "/current");
  EXPECT_EQ(*list_files(log.directory()), (std::vector<std::uint64_t>{9, 10, 100'000'000}));
}

TEST(Cursor, IsATextForPeople) {
  EXPECT_EQ(to_text({41, 1024}), "41:1024");
  EXPECT_EQ(*cursor_from_text("41:1024"), (Cursor{41, 1024}));
  for (const char* wrong : {"", ":", "41", "41:", "a:b", "1:2x", "-1:2"})
    EXPECT_FALSE(cursor_from_text(wrong)) << wrong;
}

TEST(LastLines, OfNothingAreNothing) {
  LogWriter log;
  EXPECT_EQ(last_lines(log.directory(), 5)->bytes, "");
  EXPECT_EQ(last_lines(log.directory(), 5)->end, Cursor());
  log.append(1, "");
  EXPECT_EQ(last_lines(log.directory(), 5)->bytes, "");
  EXPECT_EQ(last_lines(log.directory(), 5)->end, (Cursor{1, 0}));
}

TEST(LastLines, CountAnUnfinishedLineAsOne) {
  LogWriter log;
  log.append(1, "a\nb\nc");
  EXPECT_EQ(last_lines(log.directory(), 1)->bytes, "c");
  EXPECT_EQ(last_lines(log.directory(), 2)->bytes, "b\nc");
  log.append(1, "\n");
  EXPECT_EQ(last_lines(log.directory(), 1)->bytes, "c\n");
  EXPECT_EQ(last_lines(log.directory(), 9)->bytes, "a\nb\nc\n");
}

TEST(LastLines, OfNoLinesTellWhereTheEndIs) {
  LogWriter log;
  log.append(3, "a\nb\n");
  Tail tail = *last_lines(log.directory(), 0);
  EXPECT_EQ(tail.bytes, "");
  EXPECT_EQ(tail.end, (Cursor{3, 4}));
}

TEST(LastLines, GoBackOverFilesAndOverALineCutInTwo) {
  LogWriter log;
  log.append(7, "one\ntwo\nthr");
  log.append(8, "ee\n");
  log.append(9, "");
  EXPECT_EQ(last_lines(log.directory(), 1)->bytes, "three\n");
  EXPECT_EQ(last_lines(log.directory(), 1)->begin, (Cursor{7, 8}));
  EXPECT_EQ(last_lines(log.directory(), 2)->bytes, "two\nthree\n");
  EXPECT_EQ(last_lines(log.directory(), 2)->end, (Cursor{9, 0}));
}

TEST(LastLines, AreTheSameAsThoseOfTheWholeTextWhateverTheBytes) {
  std::mt19937 random(7);
  for (int round = 0; round < 40; ++round) {
    LogWriter log;
    std::string all;
    for (int file = 1; file <= 4; ++file) {
      std::string bytes(random() % 150'000, '\0');
      for (char& byte : bytes) byte = static_cast<char>(random() % (round % 2 == 0 ? 256u : 40'000u));
      log.append(file, bytes);
      all += bytes;
    }
    std::size_t lines = 1 + random() % 900;
    std::size_t begin = all.size();
    std::size_t seen = 0;
    while (begin > 0 && (all[begin - 1] != '\n' || begin == all.size() || ++seen < lines)) --begin;
    Tail tail = *last_lines(log.directory(), lines);
    ASSERT_EQ(tail.bytes.size(), all.size() - begin) << "round " << round;
    ASSERT_EQ(tail.bytes, all.substr(begin));
  }
}

TEST(LastLines, TakeNoMoreMemoryThanTheyMay) {
  LogWriter log;
  log.append(1, std::string(300'000, 'x'));
  EXPECT_EQ(last_lines(log.directory(), 1, 100'000)->bytes.size(), 100'000u);
  EXPECT_EQ(last_lines(log.directory(), 1, 100'000)->begin, (Cursor{1, 200'000}));
}

}  // namespace
}  // namespace hearth::logs::test
