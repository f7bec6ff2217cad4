// What becomes of files that are complete, wherever whoever does it dies.
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "gtest/gtest.h"
#include "logger/tidy.h"
#include "logs/reader.h"
#include "unit/logger/mover_world.h"

namespace hearth::logger::test {
namespace {

namespace fs = std::filesystem;

class TidyFiles : public testing::Test {
 protected:
  TidyFiles() {
    fs::create_directory(world.path("s"));
    directory.reset(open(world.path("s").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  void put(const std::string& name, const std::string& content) {
    std::ofstream(world.path("s/" + name), std::ios::binary) << content;
  }
  std::map<std::string, std::uintmax_t> sizes() {
    std::map<std::string, std::uintmax_t> found;
    for (const auto& entry : fs::directory_iterator(world.path("s")))
      found[entry.path().filename()] = entry.file_size();
    return found;
  }
  std::string read_all() {
    std::string text;
    logs::Follower follower = logs::Follower::unwatched(world.path("s"), {});
    const Result<bool> taken = follower.take([&](const logs::Piece& piece) {
      EXPECT_FALSE(piece.gap);
      text += piece.bytes;
      return true;
    });
    EXPECT_TRUE(taken);
    return text;
  }
  std::string last(std::size_t lines) {
    const Result<logs::Tail> tail = logs::last_lines(world.path("s"), lines);
    EXPECT_TRUE(tail);
    return tail ? tail->bytes : std::string();
  }

  World world;
  FaultySystem system;
  os::Fd directory;
};

std::string lines(int from, int to) {
  std::string text;
  for (int i = from; i < to; ++i) text += "line " + std::to_string(i) + " of a service that repeats itself\n";
  return text;
}

TEST_F(TidyFiles, CompleteOnesAreCompressedAndReadAsBefore) {
  const std::string first = lines(0, 100'000), second = lines(100'000, 100'010), third = lines(100'010, 100'020);
  put("00000001.log", first);
  put("00000001.idx", "index");
  put("00000002.log", second);
  put("00000003.log", third);
  ASSERT_EQ(tidy(system, directory.get(), {.current = 3, .compress = true}), 0);
  auto found = sizes();
  EXPECT_EQ(found.count("00000001.log"), 0u);
  EXPECT_LT(found["00000001.log.zst"], first.size() / 4);
  EXPECT_EQ(found.count("00000001.idx"), 1u);
  EXPECT_EQ(found["00000003.log"], third.size()) << "it is still written";
  EXPECT_EQ(read_all(), first + second + third);
  EXPECT_EQ(last(15), lines(100'005, 100'020));
  EXPECT_EQ(last(60'000), lines(40'020, 100'020)) << "backwards through several frames";
}

TEST_F(TidyFiles, AFileIsReadFromAnywhere) {
  const std::string text = lines(0, 100'000);
  put("00000001.log", text);
  ASSERT_EQ(tidy(system, directory.get(), {.current = 2, .compress = true}), 0);
  for (std::size_t offset : {std::size_t{0}, std::size_t{1'048'575}, std::size_t{1'048'576}, std::size_t{2'500'000},
                             text.size() - 1, text.size()}) {
    logs::Follower follower = logs::Follower::unwatched(world.path("s"), {1, offset});
    std::string rest;
    ASSERT_TRUE(follower.take([&](const logs::Piece& piece) {
      rest += piece.bytes;
      return true;
    }));
    EXPECT_EQ(rest, text.substr(offset)) << offset;
  }
}

TEST_F(TidyFiles, EmptyOnesAreFilesTo) {
  put("00000001.log", "");
  put("00000002.log", "a\n");
  ASSERT_EQ(tidy(system, directory.get(), {.current = 3, .compress = true}), 0);
  EXPECT_EQ(read_all(), "a\n");
}

TEST_F(TidyFiles, NothingIsLostOrLeftBehindWhereverItDies) {
  const std::string all = lines(0, 40);
  const auto fill = [&] {
    for (const auto& entry : fs::directory_iterator(world.path("s"))) fs::remove(entry.path());
    put("00000001.log", lines(0, 10));
    put("00000002.log", lines(10, 30));
    put("00000003.log", lines(30, 40));
  };
  const TidyOrder order{.current = 3, .compress = true};
  fill();
  ASSERT_EQ(tidy(system, directory.get(), order), 0);
  const auto peace = sizes();
  const std::uint64_t points = system.points;
  ASSERT_GT(points, 20u);
  for (std::uint64_t point = 1; point <= points; ++point) {
    fill();
    system.points = 0;
    system.die_at = point;
    EXPECT_THROW(tidy(system, directory.get(), order), Died) << point;
    EXPECT_EQ(read_all(), all) << "died at point " << point;
    system.die_at = 0;
    ASSERT_EQ(tidy(system, directory.get(), order), 0);
    EXPECT_EQ(sizes(), peace) << "died at point " << point;
    EXPECT_EQ(read_all(), all) << "died at point " << point;
  }
}

TEST_F(TidyFiles, AFullDiskLeavesTheFileAsItWas) {
  put("00000001.log", lines(0, 1'000));
  put("00000002.log", "a\n");
  system.write_error = ENOSPC;
  EXPECT_EQ(tidy(system, directory.get(), {.current = 2, .compress = true}), ENOSPC);
  EXPECT_EQ(sizes().size(), 2u);
  EXPECT_EQ(read_all(), lines(0, 1'000) + "a\n");
}

TEST_F(TidyFiles, TheOldestGoWhileAllAreLargerThanTheyMayBe) {
  for (int i = 1; i <= 5; ++i) {
    put("0000000" + std::to_string(i) + ".log", std::string(1'000, 'x'));
    put("0000000" + std::to_string(i) + ".idx", std::string(32, 'x'));
  }
  ASSERT_EQ(tidy(system, directory.get(), {.current = 5, .max_total = 3'500, .reserve = 1'000}), 0);
  const auto found = sizes();
  EXPECT_EQ(found.count("00000002.log"), 0u);
  EXPECT_EQ(found.count("00000002.idx"), 0u);
  EXPECT_EQ(found.count("00000003.log"), 1u);
  ASSERT_EQ(tidy(system, directory.get(), {.current = 5, .max_total = 1, .reserve = 1'000}), 0);
  EXPECT_EQ(sizes().size(), 2u) << "the one that is written stays, with its index";
}

TEST_F(TidyFiles, AFileThatIsNoneOfOursIsLeftAlone) {
  put("victim", "precious");
  fs::create_symlink("victim", world.path("s/00000001.log"));
  put("00000002.log", "a\n");
  put("notes.txt", "of somebody");
  tidy(system, directory.get(), {.current = 3, .compress = true});
  EXPECT_TRUE(fs::is_symlink(world.path("s/00000001.log")));
  EXPECT_EQ(sizes()["victim"], 8u);
  EXPECT_EQ(sizes()["notes.txt"], 11u);
}

}  // namespace
}  // namespace hearth::logger::test
