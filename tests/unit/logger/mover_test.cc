#include "logger/mover.h"

#include <cstring>
#include <grp.h>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "unit/logger/mover_world.h"
#include "wire/log_index.h"

namespace hearth::logger::test {
namespace {

class MoverTest : public testing::Test {
 protected:
  void move_all(RunId run = 1) {
    while (mover.move(0, file, run, world.fifo(run)).what == Moved::bytes) {
    }
  }
  void feed_and_move(std::string_view bytes, RunId run = 1) {
    world.feed(run, bytes);
    move_all(run);
  }

  World world;
  FaultySystem system;
  Mover mover{system, world.parts()};
  OpenFile file;
};

TEST_F(MoverTest, MakesTheDirectoryTheFileAndTheLinkWithModesForTheOwnerOnly) {
  world.configure(0, "s", wire::LogFormat::raw, 0);
  feed_and_move("hello\n");
  EXPECT_EQ(world.files("s"), (std::map<std::string, std::string>{{"00000001.log", "hello\n"}}));
  EXPECT_EQ(world.current("s"), "00000001.log");
  struct stat info{};
  stat(world.path("s").c_str(), &info);
  EXPECT_EQ(info.st_mode & 07777, 0700u);
  stat(world.path("s/00000001.log").c_str(), &info);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
}

TEST_F(MoverTest, GivesDirectoryAndFilesToTheOwnerOfTheStream) {
  world.configure(0, "s", wire::LogFormat::raw, 4);
  world.stream().uid = 65'532;
  world.stream().gid = 65'533;
  if (geteuid() != 0) {  // nobody else may give files away: nothing is written for who could not read it
    world.feed(1, "hello\n");
    EXPECT_EQ(mover.move(0, file, 1, world.fifo(1)).error, EPERM);
    return;
  }
  feed_and_move("hello\n");
  feed_and_move("again\n");
  for (const char* name : {"s", "s/00000001.log", "s/00000002.log"}) {
    struct stat info{};
    ASSERT_EQ(stat(world.path(name).c_str(), &info), 0) << name;
    EXPECT_EQ(info.st_uid, 65'532u) << name;
    EXPECT_EQ(info.st_gid, 65'533u) << name;
  }
}

TEST_F(MoverTest, RotatesWithinABatchAndKeepsTheNewestFiles) {
  world.configure(0, "s", wire::LogFormat::raw, 10, 3);
  feed_and_move("0 aaaaaaaa\n1 aaaaaaaa\n2 aaaaaaaa\n3 aaaaaaaa\n4 aaaaaaaa\n");
  EXPECT_EQ(world.files("s"),
            (std::map<std::string, std::string>{
                {"00000003.log", "2 aaaaaaaa\n"}, {"00000004.log", "3 aaaaaaaa\n"}, {"00000005.log", "4 aaaaaaaa\n"}}));
  EXPECT_EQ(world.current("s"), "00000005.log");
}

TEST_F(MoverTest, BoundsFilesWhenTenMegabytesComeWithoutALineEnd) {
  world.configure(0, "s", wire::LogFormat::raw, 1u << 20);
  std::string piece(60'000, 'x');
  for (int i = 0; i < 170; ++i) feed_and_move(piece);
  feed_and_move("\nnext\n");
  uint64_t total = 0;
  for (const auto& [name, content] : world.files("s")) {
    EXPECT_LE(content.size(), (1u << 20) + long_line_slack) << name;
    total += content.size();
  }
  EXPECT_EQ(total, 170u * 60'000u + 6u);
}

class MoverOfAnEarlierDirectory : public MoverTest {
 protected:
  void find(std::string_view content, std::uint64_t max_size = 0) {
    world.configure(0, "s", wire::LogFormat::raw, max_size);
    std::filesystem::create_directories(world.path("s"));
    std::ofstream(world.path("s/00000041.log")) << content;
    feed_and_move("hello\n");
  }
};

TEST_F(MoverOfAnEarlierDirectory, GoesOnInTheNewestFileAndEndsALineThatWillNeverCome) {
  find("of an earlier instance, cut sho");
  EXPECT_EQ(world.files("s"),
            (std::map<std::string, std::string>{{"00000041.log", "of an earlier instance, cut sho\nhello\n"}}));
  EXPECT_EQ(world.stream().file.load(), 41u);
  EXPECT_EQ(world.current("s"), "00000041.log");
}

TEST_F(MoverOfAnEarlierDirectory, BeginsTheNextFileWhenTheNewestIsFull) {
  find("of an earlier instance\n", 10);
  EXPECT_EQ(world.all("s"), "of an earlier instance\nhello\n");
  EXPECT_EQ(world.stream().file.load(), 42u);
}

TEST_F(MoverOfAnEarlierDirectory, BeginsTheNextFileWhenItsLoggerStillDrains) {
  system.claimed = true;
  find("of another instance, not yet comp");
  EXPECT_EQ(world.all("s"), "of another instance, not yet comphello\n") << "its last line is not ours to end";
  EXPECT_EQ(world.stream().file.load(), 42u);
}

TEST_F(MoverOfAnEarlierDirectory, WaitsForALoggerThatStillDrainsAndEndsItsLine) {
  system.claimed = true;
  system.released_after = milliseconds(20);
  find("of another instance, cut sho");
  EXPECT_EQ(world.all("s"), "of another instance, cut sho\nhello\n");
  EXPECT_EQ(world.stream().file.load(), 41u);
}

TEST_F(MoverOfAnEarlierDirectory, DoesNotWaitForAClaimWhenItsLoggerIsNotYoungAnyMore) {
  system.claimed = true;
  system.released_after = milliseconds(20);
  system.now += claims_are_waited_for;
  find("of another slot\n");
  EXPECT_EQ(world.stream().file.load(), 42u);
}

TEST_F(MoverOfAnEarlierDirectory, EndsALineThatStandsBeforeAnEmptyNewestFile) {
  std::filesystem::create_directory(world.path("s"));
  std::ofstream(world.path("s/00000040.log")) << "cut sho";
  find("");
  EXPECT_EQ(world.files("s"),
            (std::map<std::string, std::string>{{"00000040.log", "cut sho"}, {"00000041.log", "\nhello\n"}}));
}

TEST_F(MoverOfAnEarlierDirectory, WaitsForSpaceToEndItsLine) {
  system.write_error = ENOSPC;
  world.configure(0, "s", wire::LogFormat::raw, 0);
  std::filesystem::create_directory(world.path("s"));
  std::ofstream(world.path("s/00000041.log")) << "cut sho";
  world.feed(1, "hello\n");
  const MoveResult full = mover.move(0, file, 1, world.fifo(1));
  EXPECT_EQ(full.what, Moved::blocked);
  EXPECT_EQ(full.error, ENOSPC);
  system.write_error = 0;
  move_all();
  EXPECT_EQ(world.all("s"), "cut sho\nhello\n");
  EXPECT_EQ(world.stream().file.load(), 41u);
}

TEST_F(MoverOfAnEarlierDirectory, BeginsTheNextFileWhenAPowerLossHasLeftZeroes) {
  find(std::string_view("of an earlier instance\n\0\0", 25));
  EXPECT_EQ(world.stream().file.load(), 42u);
}

TEST_F(MoverOfAnEarlierDirectory, FilesOfManyStartsAreNotLostToMaxFiles) {
  world.configure(0, "s", wire::LogFormat::raw, 0, 2);
  std::string expected;
  for (int start = 0; start < 10; ++start) {
    const std::string line = "start " + std::to_string(start) + "\n";
    world.stream().file.store(0);
    file.close();
    feed_and_move(line);
    expected += line;
  }
  EXPECT_EQ(world.all("s"), expected);
}

class MoverIndex : public MoverTest {
 protected:
  // Seconds since the first record, and offsets.
  std::vector<std::pair<std::int64_t, std::uint64_t>> index(const std::string& name) {
    std::ifstream in(world.path("s/" + name), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    std::vector<std::pair<std::int64_t, std::uint64_t>> found;
    for (std::size_t at = 16; at + 16 <= bytes.size(); at += 16) {
      wire::LogIndexRecord record{};
      memcpy(&record, bytes.data() + at, sizeof record);
      found.emplace_back((record.wall_ns - begin) / ns_per_ms, record.offset);
    }
    return found;
  }
  void say(std::string_view bytes, std::int64_t at_ms) {
    system.wall = begin + milliseconds(at_ms);
    feed_and_move(bytes);
  }
  using Records = std::vector<std::pair<std::int64_t, std::uint64_t>>;
  const WallNs begin = system.wall;
};

TEST_F(MoverIndex, HasARecordForEachTenMillisecondsInWhichSomethingCame) {
  world.configure(0, "s", wire::LogFormat::raw, 0);
  say("a\n", 0);
  say("b\n", 5);
  say("c\n", 10);
  say("d\n", 19);
  say("e\n", 5'000);
  EXPECT_EQ(index("00000001.idx"), (Records{{0, 0}, {10, 4}, {5'000, 8}}));
}

TEST_F(MoverIndex, HasNoRecordWhileTheClockStandsBehindTheLast) {
  world.configure(0, "s", wire::LogFormat::raw, 0);
  say("a\n", 1'000);
  say("b\n", 0);
  say("c\n", 1'020);
  EXPECT_EQ(index("00000001.idx"), (Records{{1'000, 0}, {1'020, 4}}));
}

TEST_F(MoverIndex, EachFileThatABatchFillsHasItsOwn) {
  world.configure(0, "s", wire::LogFormat::raw, 10);
  say("0 aaaaaaaa\n", 0);
  say("1 aaaaaaaa\n2 aaaaaaaa\n", 50);
  EXPECT_EQ(index("00000001.idx"), (Records{{0, 0}}));
  EXPECT_EQ(index("00000002.idx"), (Records{{50, 0}}));
  EXPECT_EQ(index("00000003.idx"), (Records{{50, 0}}));
}

TEST_F(MoverIndex, GoesWithItsFile) {
  world.configure(0, "s", wire::LogFormat::raw, 10, 2);
  say("0 aaaaaaaa\n1 aaaaaaaa\n2 aaaaaaaa\n3 aaaaaaaa\n", 0);
  EXPECT_FALSE(std::filesystem::exists(world.path("s/00000001.idx")));
  EXPECT_TRUE(std::filesystem::exists(world.path("s/00000004.idx")));
}

TEST_F(MoverIndex, IsGoneOnWithWhenItIsOpenedAgainAndCutWhereItCannotBeTrue) {
  world.configure(0, "s", wire::LogFormat::raw, 0);
  say("a\n", 0);
  say("b\n", 1'000);
  file.close();
  {
    wire::LogIndexRecord beyond{begin + seconds(9), 1'000'000};
    std::ofstream out(world.path("s/00000001.idx"), std::ios::binary | std::ios::app);
    out.write(reinterpret_cast<const char*>(&beyond), sizeof beyond);
    out << "torn";
  }
  say("c\n", 1'005);
  say("d\n", 2'000);
  EXPECT_EQ(index("00000001.idx"), (Records{{0, 0}, {1'000, 2}, {2'000, 6}}));
}

TEST_F(MoverIndex, ThatCannotBeMadeCostsNothingElse) {
  world.configure(0, "s", wire::LogFormat::raw, 0);
  std::filesystem::create_directories(world.path("s/00000001.idx/in the way"));
  say("a\n", 0);
  say("b\n", 1'000);
  EXPECT_EQ(world.all("s"), "a\nb\n");
  EXPECT_EQ(world.stream().error.load(), 0);
}

TEST_F(MoverTest, EndsTheOpenLineOfOneRunBeforeAnotherRunsLine) {
  world.configure(0, "s", wire::LogFormat::raw, 0);
  feed_and_move("Segmentation fau", 1);
  feed_and_move("hello\n", 2);
  EXPECT_EQ(world.all("s"), "Segmentation fau\nhello\n");
}

TEST_F(MoverTest, GoesOnInANewFileAndSaysSoWhenSomebodyRemovesTheFile) {
  world.configure(0, "s", wire::LogFormat::raw, 0);
  feed_and_move("hello\n");
  std::filesystem::remove(world.path("s/00000001.log"));
  feed_and_move("again\n");
  EXPECT_EQ(world.all("s"), "[hearth: 00000001.log was removed by somebody else: 6 bytes gone]\nagain\n");
}

TEST_F(MoverTest, MakesAnEmptyFileAnewWithoutAWordWhenSomebodyRemovesIt) {
  world.configure(0, "s", wire::LogFormat::raw, 0);
  feed_and_move("hello\n");
  ASSERT_EQ(mover.rotate(0, file).what, Moved::bytes);
  std::filesystem::remove(world.path("s/00000002.log"));
  feed_and_move("again\n");
  EXPECT_EQ(world.files("s"),
            (std::map<std::string, std::string>{{"00000001.log", "hello\n"}, {"00000002.log", "again\n"}}));
}

TEST_F(MoverTest, GoesOnInANewFileAndSaysSoWhenSomebodyCutsTheFile) {
  world.configure(0, "s", wire::LogFormat::raw, 0);
  feed_and_move("hello\n");
  std::filesystem::resize_file(world.path("s/00000001.log"), 2);
  feed_and_move("again\n");
  EXPECT_EQ(world.all("s"), "he[hearth: 00000001.log was cut by somebody else: 4 bytes gone]\nagain\n");
}

TEST_F(MoverTest, FollowsNoLinkThatTheOwnerOfADirectoryPlants) {
  world.configure(0, "s", wire::LogFormat::raw, 4);
  feed_and_move("hello\n");
  std::ofstream(world.path("victim")) << "precious";
  std::filesystem::create_symlink("../victim", world.path("s/00000002.log"));
  std::filesystem::create_hard_link(world.path("victim"), world.path("s/00000003.log"));
  feed_and_move("again\n");
  feed_and_move("and on\n");
  EXPECT_EQ(world.all("s"), "hello\nagain\nand on\n");
  std::ifstream victim(world.path("victim"));
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(victim), {}), "precious");
}

TEST_F(MoverTest, RefusesADirectoryNameThatLeadsElsewhere) {
  for (const char* name : {"", ".", "..", "a/b", "/etc"}) {
    world.configure(0, name, wire::LogFormat::raw, 0);
    world.feed(1, "x");
    EXPECT_EQ(mover.move(0, file, 1, world.fifo(1)).what, Moved::blocked) << name;
  }
}

TEST_F(MoverTest, GoesOnInTheSameFileWhenThereCanBeNoNextOne) {
  world.configure(0, "s", wire::LogFormat::raw, 4);
  feed_and_move("hello\n");
  std::filesystem::create_directory(world.path("s/00000002.log"));  // cannot be unlinked
  feed_and_move("again\n");
  std::filesystem::remove(world.path("s/00000002.log"));
  EXPECT_EQ(world.files("s")["00000001.log"], "hello\nagain\n");
  feed_and_move("and on\n");
  EXPECT_EQ(world.files("s")["00000002.log"], "and on\n");
}

TEST_F(MoverTest, GivesBackReservedBlocksAtRotation) {
  world.configure(0, "s", wire::LogFormat::json, 2'000);
  for (int i = 0; i < 40; ++i) feed_and_move("a line of some fifty bytes, to be made into an object\n");
  ASSERT_GT(world.stream().file.load(), 2u);
  struct stat info{};
  stat(world.path("s/00000001.log").c_str(), &info);
  EXPECT_LE(static_cast<uint64_t>(info.st_blocks) * 512, 8'192u);
}

TEST_F(MoverTest, WhatComesToAFileThatIsTooOldGoesIntoTheNext) {
  world.configure(0, "s", wire::LogFormat::raw, 0);
  world.page().policy[0].max_age_ns = seconds(3600);
  feed_and_move("one\n");
  system.wall += seconds(3599);
  feed_and_move("two, unfini");
  system.wall += seconds(10);
  feed_and_move("shed\n");
  file.close();  // another logger: the index tells how old it is
  feed_and_move("three\n");
  EXPECT_EQ(world.files("s"), (std::map<std::string, std::string>{{"00000001.log", "one\ntwo, unfinished\n"},
                                                                  {"00000002.log", "three\n"}}));
}

TEST_F(MoverTest, RotatesWhenItIsAskedToUnlessThereIsNothing) {
  world.configure(0, "s", wire::LogFormat::json, 0);
  feed_and_move("one\ntw");
  EXPECT_EQ(mover.rotate(0, file).what, Moved::bytes);
  EXPECT_EQ(mover.rotate(0, file).what, Moved::bytes);
  feed_and_move("o\n");
  const auto files = world.files("s");
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(files.at("00000002.log"), "o\"}\n");
}

TEST_F(MoverTest, AFilePerProcessHasALinkOfItsName) {
  namespace fs = std::filesystem;
  world.configure(0, "blog.web.0", wire::LogFormat::raw, 0, 2);
  wire::LogPolicy& policy = world.page().policy[0];
  policy.per_process = 1;
  feed_and_move("one, cut off", 7);
  EXPECT_FALSE(fs::exists(world.path("web_41.log"))) << "nobody has told the PID yet";
  policy.pid = 41;
  policy.pid_run = 7;
  mover.link_process(0, file, 7);
  EXPECT_EQ(fs::read_symlink(world.path("web_41.log")), "blog.web.0/00000001.log");
  policy.pid = 42;
  policy.pid_run = 8;
  feed_and_move("two\n", 8);
  EXPECT_EQ(world.files("blog.web.0"),
            (std::map<std::string, std::string>{{"00000001.log", "one, cut off\n"}, {"00000002.log", "two\n"}}));
  EXPECT_EQ(fs::read_symlink(world.path("web_42.log")), "blog.web.0/00000002.log");
  std::ofstream(world.path("web_note.log")) << "somebody's";
  policy.pid = 43;
  policy.pid_run = 9;
  feed_and_move("three\n", 9);
  EXPECT_FALSE(fs::is_symlink(world.path("web_41.log"))) << "its file was removed as too old";
  EXPECT_TRUE(fs::exists(world.path("web_42.log")));
  EXPECT_TRUE(fs::exists(world.path("web_note.log")));
}

TEST_F(MoverTest, NamesStreamsOfWhichAFileWasCompletedOnce) {
  world.configure(0, "s", wire::LogFormat::raw, 4);
  world.configure(1, "t", wire::LogFormat::raw, 4);
  world.page().policy[0].compress = 1;
  feed_and_move("one\n");
  EXPECT_EQ(mover.take_untidy(), 0u) << "there may be old ones";
  feed_and_move("two\n");
  EXPECT_EQ(mover.take_untidy(), 0u);
  EXPECT_EQ(mover.take_untidy(), no_slot);
}

TEST_F(MoverTest, CountsOnceWhatItDiscardsAndTellsItOnce) {
  world.configure(0, "s", wire::LogFormat::raw, 0);
  feed_and_move("hello\n");
  world.feed(1, "lost");
  EXPECT_EQ(mover.discard(0, 1, world.fifo(1), ENOSPC).bytes, 4u);
  world.feed(1, "lost too");
  EXPECT_EQ(mover.discard(0, 1, world.fifo(1), ENOSPC).bytes, 8u);
  feed_and_move("again\n");
  feed_and_move("and on\n");
  EXPECT_EQ(world.all("s"), "hello\n[hearth: 12 bytes lost: No space left on device]\nagain\nand on\n");
  EXPECT_EQ(world.stream().discarded.load(), 12u);
  EXPECT_EQ(world.stream().gaps.load(), 1u);
}

TEST_F(MoverTest, KeepsAStuckBatchAndWritesItWhenItCan) {
  world.configure(0, "s", wire::LogFormat::raw, 0);
  feed_and_move("hello\n");
  system.write_error = EIO;
  world.feed(1, "stuck\n");
  MoveResult result = mover.move(0, file, 1, world.fifo(1));
  EXPECT_EQ(result.what, Moved::stuck);
  EXPECT_EQ(result.error, EIO);
  EXPECT_EQ(mover.try_again(file).what, Moved::stuck);
  system.write_error = 0;
  EXPECT_EQ(mover.try_again(file).what, Moved::bytes);
  EXPECT_FALSE(mover.is_stuck());
  feed_and_move("again\n");
  EXPECT_EQ(world.all("s"), "hello\nstuck\nagain\n");
}

TEST_F(MoverTest, CountsAStuckBatchAsLostWhenItIsGivenUp) {
  world.configure(0, "s", wire::LogFormat::raw, 0);
  feed_and_move("hello\n");
  system.write_error = EIO;
  world.feed(1, "stuck\n");
  mover.move(0, file, 1, world.fifo(1));
  mover.give_up(EIO);
  system.write_error = 0;
  file.close();
  feed_and_move("again\n");
  EXPECT_EQ(world.all("s"), "hello\n[hearth: 6 bytes lost: Input/output error]\nagain\n");
}

TEST_F(MoverTest, WritesInPiecesWhenTheSystemTakesOnlyPieces) {
  world.configure(0, "s", wire::LogFormat::stamped, 100);
  system.longest_write = 7;
  std::string lines;
  for (int i = 0; i < 20; ++i) lines += "line " + std::to_string(i) + "\n";
  feed_and_move(lines);
  std::string text = world.all("s");
  EXPECT_EQ(text.size(), lines.size() + 20 * 28);
}

// Who follows the log would have read what is taken back, and something else in its place later.
TEST_F(MoverTest, WritesNothingIntoTheNextFileUntilThereIsRoomForAllThatComesThere) {
  class FullForTheNext : public FaultySystem {
   public:
    bool is_full = true;
    std::int64_t reserve(int fd, std::uint64_t offset, std::uint64_t size) override {
      struct stat of_file{};
      const bool next = ::fstat(fd, &of_file) == 0 && of_file.st_ino != first;
      if (first == 0) first = of_file.st_ino;
      return is_full && next && first != of_file.st_ino ? -ENOSPC : FaultySystem::reserve(fd, offset, size);
    }

   private:
    ino_t first = 0;
  } disk;
  Mover careful(disk, world.parts());
  world.configure(0, "s", wire::LogFormat::raw, 40);
  const std::string lines = std::string(50, 'a') + "\n" + std::string(30, 'b') + "\n";
  world.feed(1, lines);
  EXPECT_EQ(careful.move(0, file, 1, world.fifo(1)).what, Moved::stuck);
  EXPECT_EQ(world.files("s"),
            (std::map<std::string, std::string>{{"00000001.log", std::string(50, 'a') + "\n"}, {"00000002.log", ""}}));
  disk.is_full = false;
  EXPECT_EQ(careful.try_again(file).what, Moved::bytes);
  EXPECT_EQ(world.all("s"), lines);
}

TEST_F(MoverTest, MovesSmallerBatchesWhenTheDiskIsAlmostFull) {
  // A reservation for all that json could become is refused, one for a little is not.
  class AlmostFull : public FaultySystem {
   public:
    std::int64_t reserve(int fd, std::uint64_t offset, std::uint64_t size) override {
      return size > 200'000 ? -ENOSPC : FaultySystem::reserve(fd, offset, size);
    }
  } almost_full;
  Mover careful(almost_full, world.parts());
  world.configure(0, "s", wire::LogFormat::json, 0);
  std::string lines;
  for (int i = 0; i < 1'000; ++i) lines += "some line of text\n";
  world.feed(1, lines);
  MoveResult result = careful.move(0, file, 1, world.fifo(1));
  EXPECT_EQ(result.what, Moved::bytes);
  EXPECT_LT(result.bytes, lines.size());
}

}  // namespace
}  // namespace hearth::logger::test
