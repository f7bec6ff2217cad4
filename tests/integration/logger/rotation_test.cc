// The real program: files that are complete, and requests for the next one.
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <poll.h>
#include <set>
#include <signal.h>
#include <string>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <zstd.h>

#include "gtest/gtest.h"
#include "integration/logger/keeper_stand_in.h"
#include "logs/reader.h"
#include "places.h"
#include "support/small_disk.h"

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

// The child that compresses, by the kernel's list; the logger has one at a time. None: nothing.
os::Fd child_of(pid_t logger) {
  const std::string place = "/proc/" + std::to_string(logger) + "/task/" + std::to_string(logger) + "/children";
  pid_t child = 0, again = 0;
  if (!(std::ifstream(place) >> child)) return {};
  os::Fd pidfd(static_cast<int>(syscall(SYS_pidfd_open, child, 0)));
  if (!(std::ifstream(place) >> again) || again != child) return {};  // another process may have its number by now
  return pidfd;
}

// Text that does not become much smaller, so that compressing it takes a while.
std::string noise(unsigned seed, std::size_t size) {
  std::string text;
  for (std::size_t i = 1; i <= size; ++i) {
    seed = seed * 1'664'525 + 1'013'904'223;
    text += i % 80 == 0 ? '\n' : static_cast<char>('!' + (seed >> 24) % 64);
  }
  text.back() = '\n';
  return text;
}

// Each change of the directory that compressing makes is a step; at each the child is killed, or the logger and with it
// the child. Where in the step it is, the kernel's chance decides: the unit tests do it at each call.
class Compression : public LoggerRotation, public testing::WithParamInterface<bool> {
 protected:
  Compression() {
    keeper.configure(0, {.directory = "s", .max_size = file_bytes});
    keeper.page().policy[0].compress = 1;
    inotify_add_watch(changes.get(), (logs.path() + "/s").c_str(),
                      IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MODIFY | IN_CLOSE_WRITE);
  }

  // Waits for as many changes of what is compressed, or for the end of it.
  void wait_for_step(int step) {
    for (int seen = 0; seen < step && !all_compressed();) {
      pollfd polled{changes.get(), POLLIN, 0};
      if (poll(&polled, 1, 30'000) <= 0) return;
      alignas(inotify_event) char events[65'536];
      const ssize_t size = read(changes.get(), events, sizeof events);
      for (ssize_t at = 0; at < size;) {
        const auto* event = reinterpret_cast<const inotify_event*>(events + at);
        const std::string_view name = event->len > 0 ? event->name : "";
        seen += name.ends_with(".tmp") || name.ends_with(".zst") || (event->mask & IN_DELETE) != 0;
        at += static_cast<ssize_t>(sizeof *event + event->len);
      }
    }
  }
  bool all_compressed() {
    const std::uint64_t newest = keeper.stream(0).file.load();
    for (std::uint64_t number = 1; number < newest; ++number) {
      const std::string digits = std::to_string(number);
      const std::string name = std::string(8 - digits.size(), '0') + digits + ".log";
      if (!stands(name + ".zst") || stands(name)) return false;
    }
    return newest >= 3;
  }
  // "(broken)" for a compressed file that is not whole.
  static std::string decompressed(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    std::string text(file_bytes * 2, '\0');
    std::size_t size = 0;
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t frame = ZSTD_findFrameCompressedSize(bytes.data() + at, bytes.size() - at);
      if (ZSTD_isError(frame)) return "(broken)";
      const std::size_t got = ZSTD_decompress(text.data() + size, text.size() - size, bytes.data() + at, frame);
      if (ZSTD_isError(got)) return "(broken)";
      size += got;
      at += frame;
    }
    text.resize(size);
    return text;
  }

  static constexpr std::size_t file_bytes = 256u << 10;
  static constexpr int steps = 9;
};

TEST_P(Compression, KilledAtEachStepLosesAndDoublesNoByteAndLeavesNothingBehind) {
  os::Fd out = keeper.add_run(1, 0);
  keeper.start();
  ASSERT_TRUE(keeper.wait_acknowledged());
  std::string all;
  int killed = 0;
  // A child may be at its end before it is looked for.
  for (int round = 0; (round < steps || killed == 0) && round < 10 * steps && !HasFailure(); ++round) {
    SCOPED_TRACE("step " + std::to_string(round % steps + 1));
    const std::string lines = noise(static_cast<unsigned>(round), 2 * file_bytes);
    all += lines;
    put(out, lines);
    wait_for_step(round % steps + 1);
    if (GetParam()) {
      keeper.kill_now();  // and the child with it
      keeper.start();
      ++killed;
    } else if (const os::Fd child = child_of(keeper.pid())) {
      killed += syscall(SYS_pidfd_send_signal, child.get(), SIGKILL, nullptr, 0) == 0;
    }
  }
  EXPECT_GE(killed, 1);
  // The next file lets the rest be done.
  const std::string last = noise(77, 2 * file_bytes);
  put(out, last);
  all += last;
  keeper.end_run(1, 0);
  ASSERT_TRUE(keeper.wait_drained(1, 0));
  EXPECT_TRUE(eventually([&] { return all_compressed(); }));
  std::string compressed;
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(logs.path() + "/s")) {
    names.insert(entry.path().filename());
    EXPECT_NE(".tmp", entry.path().extension()) << entry.path();
  }
  for (const std::string& name : names)
    if (name.ends_with(".zst")) compressed += decompressed(logs.path() + "/s/" + name);
  EXPECT_TRUE(all.starts_with(compressed)) << "a compressed file is not whole";
  EXPECT_EQ(read_all().size(), all.size());
  EXPECT_TRUE(read_all() == all) << "bytes are lost or doubled";
  EXPECT_EQ(keeper.stop(), 0);
}

INSTANTIATE_TEST_SUITE_P(LoggerRotation, Compression, testing::Bool(),
                         [](const auto& each) { return each.param ? "TheLogger" : "TheChild"; });

TEST_F(LoggerRotation, OnAFullDiskNothingIsCompressedAndNothingLostAndWithSpaceItIs) {
  fs::remove_all(logs.path() + "/s");
  const support::SmallDisk disk(logs.path(), "size=2m,mode=700");
  if (!disk) GTEST_SKIP() << "no mounts here";
  KeeperStandIn writer(program, logs.path());
  constexpr std::size_t file_bytes = 256u << 10;
  writer.configure(0, {.directory = "s", .max_size = file_bytes});
  os::Fd out = writer.add_run(1, 0);
  writer.start();
  ASSERT_TRUE(writer.wait_acknowledged());
  // Nobody tells of it.
  const auto comes = [](const std::function<bool()>& holds) {
    for (int i = 0; i < 30'000 && !holds(); ++i) poll(nullptr, 0, 1);
    return holds();
  };
  const std::string lines = noise(1, 3 * file_bytes - 4096);
  put(out, lines);
  ASSERT_TRUE(comes([&] { return writer.stream(0).written.load() == lines.size(); }));
  // Full to the last page; what the newest file gives back when the next one is begun is less than a compressed one.
  const std::string ballast = logs.path() + "/ballast";
  const os::Fd big(open(ballast.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  const std::string page(4096, 'x');
  while (write(big.get(), page.data(), page.size()) > 0) {
  }
  writer.page().policy[0].compress = 1;
  const auto tidy_error = [&] { return writer.page().policy[0].tidy_error.load(); };
  std::ofstream(logs.path() + "/.rotate/s").flush();
  EXPECT_TRUE(comes([&] { return tidy_error() == ENOSPC; })) << tidy_error();
  for (const auto& entry : fs::directory_iterator(logs.path() + "/s"))
    EXPECT_TRUE(entry.path().extension() != ".tmp" && entry.path().extension() != ".zst") << entry.path();
  ASSERT_EQ(ftruncate(big.get(), 0), 0);
  // A file without a byte has no next one.
  const std::string more = "one more line\n";
  put(out, more);
  EXPECT_TRUE(comes([&] { return writer.stream(0).written.load() == lines.size() + more.size(); }));
  std::ofstream(logs.path() + "/.rotate/s").flush();
  EXPECT_TRUE(comes([&] { return stands("00000001.log.zst") && !stands("00000001.log") && tidy_error() == 0; }));
  writer.end_run(1, 0);
  ASSERT_TRUE(writer.wait_drained(1, 0));
  EXPECT_TRUE(read_all() == lines + more) << "bytes are lost or doubled";
  EXPECT_EQ(writer.stop(), 0);
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
