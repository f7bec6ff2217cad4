#include "logger/mover.h"

#include <grp.h>
#include <string>

#include "gtest/gtest.h"
#include "unit/logger/mover_world.h"

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
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  world.configure(0, "s", wire::LogFormat::raw, 4);
  world.stream().uid = 65'534;
  world.stream().gid = 65'533;
  feed_and_move("hello\n");
  feed_and_move("again\n");
  for (const char* name : {"s", "s/00000001.log", "s/00000002.log"}) {
    struct stat info{};
    ASSERT_EQ(stat(world.path(name).c_str(), &info), 0) << name;
    EXPECT_EQ(info.st_uid, 65'534u) << name;
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

TEST_F(MoverTest, GoesOnBehindTheGreatestNumberOfADirectoryThatItDoesNotKnow) {
  world.configure(0, "s", wire::LogFormat::raw, 0);
  std::filesystem::create_directory(world.path("s"));
  std::ofstream(world.path("s/00000041.log")) << "of an earlier instance, cut sho";
  feed_and_move("hello\n");
  EXPECT_EQ(world.all("s"), "of an earlier instance, cut sho\nhello\n");
  EXPECT_EQ(world.stream().file.load(), 42u);
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
