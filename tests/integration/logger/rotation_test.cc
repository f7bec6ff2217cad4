// The real program: files that are complete, and requests for the next one.
#include <filesystem>
#include <fstream>
#include <poll.h>
#include <string>
#include <sys/inotify.h>
#include <unistd.h>

#include "gtest/gtest.h"
#include "integration/logger/keeper_stand_in.h"
#include "logs/reader.h"
#include "places.h"

namespace hearth::logger::test {
namespace {

namespace fs = std::filesystem;
constexpr const char* program = HEARTH_BIN_DIR "/hearth-logger";

void put(const os::Fd& fifo, std::string_view bytes) {
  ASSERT_EQ(write(fifo.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
}

class LoggerRotation : public testing::Test {
 protected:
  LoggerRotation() {
    keeper.configure(0, {.directory = "s", .max_size = 4096});
    fs::create_directory(logs.path() + "/s");
    changes.reset(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    inotify_add_watch(changes.get(), (logs.path() + "/s").c_str(), IN_CREATE | IN_DELETE | IN_MOVED_TO);
  }
  // Waits for changes of the directory until `holds`.
  bool eventually(const std::function<bool()>& holds) {
    for (int i = 0; i < 1'000 && !holds(); ++i) {
      pollfd polled{changes.get(), POLLIN, 0};
      if (poll(&polled, 1, 20'000) <= 0) return holds();
      char events[4096];
      while (read(changes.get(), events, sizeof events) > 0) {
      }
    }
    return holds();
  }
  bool stands(const std::string& name) const { return fs::exists(logs.path() + "/s/" + name); }
  std::string read_all() {
    std::string text;
    logs::Follower follower = logs::Follower::unwatched(logs.path() + "/s", {});
    EXPECT_TRUE(follower.take([&](const logs::Piece& piece) {
      EXPECT_FALSE(piece.gap);
      text += piece.bytes;
      return true;
    }));
    return text;
  }

  TemporaryDirectory logs;
  KeeperStandIn keeper{program, logs.path()};
  os::Fd changes;
};

TEST_F(LoggerRotation, FilesThatAreCompleteAreCompressedAlsoAfterAKill) {
  keeper.page().policy[0].compress = 1;
  os::Fd out = keeper.add_run(1, 0);
  keeper.start();
  ASSERT_TRUE(keeper.wait_acknowledged());
  std::string all;
  for (int i = 0; i < 6; ++i) {
    std::string lines;
    for (int line = 0; line < 100; ++line) lines += "a line of which there are many " + std::to_string(i) + "\n";
    put(out, lines);
    all += lines;
    if (i != 2) continue;
    keeper.kill_now();  // and the child with it
    keeper.start();
  }
  ASSERT_TRUE(eventually([&] {
    for (std::uint64_t number = 1; number < keeper.stream(0).file.load(); ++number) {
      const std::string name = "0000000" + std::to_string(number) + ".log";
      if (!stands(name + ".zst") || stands(name)) return false;
    }
    return keeper.stream(0).file.load() >= 5;
  }));
  EXPECT_FALSE(stands("00000001.tmp"));
  keeper.end_run(1, 0);
  ASSERT_TRUE(keeper.wait_drained(1, 0));
  EXPECT_EQ(read_all(), all);
  EXPECT_EQ(keeper.stop(), 0);
}

TEST_F(LoggerRotation, TheNextFileIsBegunWhenSomebodyAsksAlsoWhileNoLoggerLived) {
  os::Fd out = keeper.add_run(1, 0);
  keeper.start();
  ASSERT_TRUE(keeper.wait_acknowledged());
  put(out, "one\n");
  ASSERT_TRUE(eventually([&] { return stands("00000001.log"); }));
  ASSERT_TRUE(eventually([&] { return read_all() == "one\n" || stands("00000001.idx"); }));
  std::ofstream(logs.path() + "/.rotate/s").flush();
  ASSERT_TRUE(eventually([&] { return stands("00000002.log"); }));
  keeper.kill_now();
  std::ofstream(logs.path() + "/.rotate/unknown").flush();
  put(out, "two\n");
  keeper.start();
  keeper.end_run(1, 0);
  ASSERT_TRUE(keeper.wait_drained(1, 0));
  EXPECT_EQ(keeper.stop(), 0);
  EXPECT_FALSE(fs::exists(logs.path() + "/.rotate/s"));
  EXPECT_FALSE(fs::exists(logs.path() + "/.rotate/unknown"));
  EXPECT_EQ(read_all(), "one\ntwo\n");
}

TEST_F(LoggerRotation, AllFilesTogetherStayBelowTheirBound) {
  keeper.page().policy[0].max_total = 12'288;
  os::Fd out = keeper.add_run(1, 0);
  keeper.start();
  ASSERT_TRUE(keeper.wait_acknowledged());
  for (int i = 0; i < 10; ++i) put(out, std::string(4'095, 'x') + "\n");
  ASSERT_TRUE(eventually([&] { return keeper.stream(0).file.load() == 10 && !stands("00000007.log"); }));
  EXPECT_TRUE(stands("00000010.log"));
  EXPECT_EQ(keeper.stop(), 0);
}

}  // namespace
}  // namespace hearth::logger::test
