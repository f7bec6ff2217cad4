// The promise under fire: writers at full speed, the logger killed at random moments, every line once.
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <poll.h>
#include <random>
#include <signal.h>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "gtest/gtest.h"
#include "integration/logger/keeper_stand_in.h"
#include "logs/reader.h"
#include "places.h"

namespace hearth::logger::test {
namespace {

constexpr int kills_wanted = 320;
constexpr int phases = 8;

// Appends "<number> <filler>\n". The filler's length depends on the number, so that a torn line is seen.
void append_line(std::string& out, std::uint64_t number, std::size_t filler) {
  out += std::to_string(number);
  out += ' ';
  out.append(filler == 0 ? 0 : number % filler, static_cast<char>('a' + number % 26));
  out += '\n';
}

struct WriterSpec {
  std::size_t least_write, most_write;  // bytes gathered before each write
  std::size_t filler;
};

// Runs in a child: writes lines until *stop, then tells how many.
[[noreturn]] void write_lines(int fd, const WriterSpec& spec, std::uint64_t seed, const volatile int* stop,
                              std::uint64_t* count) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::mt19937_64 random(seed);
  std::uniform_int_distribution<std::size_t> sizes(spec.least_write, spec.most_write);
  std::string pending;
  std::uint64_t number = 0;
  while (*stop == 0) {
    std::size_t size = sizes(random);
    while (pending.size() < size) append_line(pending, number++, spec.filler);
    // Cut anywhere: batches end within lines.
    if (write(fd, pending.data(), size) != static_cast<ssize_t>(size)) _exit(1);
    pending.erase(0, size);
  }
  while (!pending.empty()) {
    ssize_t done = write(fd, pending.data(), pending.size());
    if (done < 0) _exit(1);
    pending.erase(0, static_cast<std::size_t>(done));
  }
  *count = number;
  _exit(0);
}

// Takes the frame of a format off a line; empty when it is not right.
std::string_view text_of(std::string_view line, wire::LogFormat format) {
  if (format == wire::LogFormat::raw) return line;
  if (format == wire::LogFormat::stamped) return line.size() > 28 && line[27] == ' ' ? line.substr(28) : "";
  std::size_t at = line.find("\"text\":\"");
  if (at == std::string_view::npos || !line.ends_with("\"}")) return {};
  return line.substr(at + 8, line.size() - at - 10);
}

// Empty when the log holds the lines 0 .. count - 1, each once and in order.
std::string fault_in(const std::string& log, wire::LogFormat format, std::uint64_t count, std::size_t filler) {
  std::uint64_t expected = 0;
  std::string wanted;
  for (std::size_t at = 0; at < log.size(); ++expected) {
    std::size_t end = log.find('\n', at);
    if (end == std::string::npos) return "the last line has no end";
    std::string_view text = text_of(std::string_view(log).substr(at, end - at), format);
    wanted.clear();
    append_line(wanted, expected, filler);
    wanted.pop_back();
    if (text != wanted) return "line " + std::to_string(expected) + " reads \"" + std::string(text.substr(0, 80)) + '"';
    at = end + 1;
  }
  if (expected != count) return std::to_string(expected) + " lines of " + std::to_string(count);
  return {};
}

struct Stream {
  wire::LogFormat format;
  WriterSpec writer;
  RunId run = 0;
  pid_t pid = 0;
  os::Fd fifo;
};

struct Shared {
  volatile int stop;
  std::uint64_t count[3];
};

struct Totals {
  std::uint64_t lines = 0;
  std::uint64_t files = 0;
  std::uint64_t recovered = 0;
};

// Follows a stream from its first byte, while its logger is killed again and again.
class Watcher {
 public:
  explicit Watcher(std::string directory)
      : follower_(std::move(*logs::Follower::create(std::move(directory), {}))),
        stop_(std::move(*os::make_eventfd())),
        thread_([this] {
          logs::PieceHandler take = [this](const logs::Piece& piece) {
            text_ += piece.bytes;
            gaps_ += piece.gap ? 1 : 0;
            return true;
          };
          status_ = follower_.follow(take, stop_.get());
          if (status_ && !follower_.take(take)) ++gaps_;
        }) {}
  ~Watcher() {
    if (thread_.joinable()) finish();
  }
  // All that was followed. The log must be complete.
  std::string finish() {
    os::ring(stop_.get());
    thread_.join();
    EXPECT_TRUE(status_.has_value());
    EXPECT_EQ(gaps_, 0);
    return std::move(text_);
  }

 private:
  logs::Follower follower_;
  os::Fd stop_;
  std::string text_;
  int gaps_ = 0;
  Status status_;
  std::thread thread_;  // last: it uses all the others
};

// One phase: writers, kills, drained, checked.
void run_phase(std::mt19937_64& random, int kills, Totals& totals) {
  TemporaryDirectory logs;
  KeeperStandIn keeper(HEARTH_BIN_DIR "/hearth-logger", logs.path());
  auto* shared =
      static_cast<Shared*>(mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  Stream streams[3] = {{wire::LogFormat::raw, {1, 200'000, 0}},
                       {wire::LogFormat::stamped, {20, 300, 90}},
                       {wire::LogFormat::json, {1, 9'000, 400}}};
  for (SlotIndex slot = 0; slot < 3; ++slot) {
    keeper.configure(slot, {.directory = "s" + std::to_string(slot),
                            .format = streams[slot].format,
                            .max_size = slot == 0 ? 200'000u : 8'192u,
                            .max_files = 1'000'000});
    streams[slot].run = slot + 1;
    streams[slot].fifo = keeper.add_run(slot + 1, slot);
  }
  for (SlotIndex slot = 0; slot < 3; ++slot) {
    std::uint64_t seed = random();
    streams[slot].pid = fork();
    if (streams[slot].pid == 0)
      write_lines(streams[slot].fifo.get(), streams[slot].writer, seed, &shared->stop, &shared->count[slot]);
    streams[slot].fifo.reset();
  }
  std::vector<std::unique_ptr<Watcher>> watchers;
  for (SlotIndex slot = 0; slot < 3; ++slot) {
    watchers.push_back(std::make_unique<Watcher>(logs.path() + "/s" + std::to_string(slot)));
  }
  std::uniform_int_distribution<long> pause_ns(200'000, 8'000'000);
  for (int i = 0; i < kills; ++i) {
    keeper.start();
    // Every other one is killed at its work, however long a busy machine takes to start it.
    if (i % 2 == 1) {
      ASSERT_TRUE(keeper.wait_acknowledged());
    }
    // Waits for the logger's own death, which must not happen, for a random time.
    pollfd ended{keeper.pidfd(), POLLIN, 0};
    timespec pause{0, pause_ns(random)};
    ASSERT_EQ(ppoll(&ended, 1, &pause, nullptr), 0) << "the logger died by itself";
    keeper.kill_now();
    if (wire::commit_state(keeper.page().commit_word.load()) != wire::BatchState::idle) ++totals.recovered;
  }
  shared->stop = 1;
  keeper.start();
  for (SlotIndex slot = 0; slot < 3; ++slot) {
    int status = 0;
    waitpid(streams[slot].pid, &status, 0);
    ASSERT_EQ(status, 0);
    keeper.end_run(streams[slot].run, slot);
  }
  for (SlotIndex slot = 0; slot < 3; ++slot) {
    ASSERT_TRUE(keeper.wait_drained(streams[slot].run, slot)) << "stream " << slot;
  }
  ASSERT_EQ(keeper.stop(), 0);
  for (SlotIndex slot = 0; slot < 3; ++slot) {
    std::string log = read_log(logs.path() + "/s" + std::to_string(slot));
    EXPECT_EQ(log.size(), keeper.stream(slot).written.load());
    EXPECT_EQ(fault_in(log, streams[slot].format, shared->count[slot], streams[slot].writer.filler), "")
        << "stream " << slot;
    EXPECT_TRUE(watchers[slot]->finish() == log) << "what was followed is not what stands in the files";
    totals.files += keeper.stream(slot).file.load();
    totals.lines += shared->count[slot];
  }
  munmap(shared, sizeof(Shared));
}

TEST(LoggerKilled, AnywhereUnderLoadLosesAndDoublesNoLineAndKeepsTheOrder) {
  const char* given = getenv("HEARTH_SEED");
  std::uint64_t seed = given != nullptr ? strtoull(given, nullptr, 10) : std::random_device()();
  printf("seed %llu (HEARTH_SEED repeats it)\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  Totals totals;
  for (int phase = 0; phase < phases; ++phase) {
    ASSERT_NO_FATAL_FAILURE(run_phase(random, kills_wanted / phases, totals)) << "phase " << phase;
    if (HasFailure()) break;
  }
  printf("%d kills, %llu of them in the middle of a batch; %llu lines in %llu files, each once\n", kills_wanted,
         static_cast<unsigned long long>(totals.recovered), static_cast<unsigned long long>(totals.lines),
         static_cast<unsigned long long>(totals.files));
  EXPECT_GT(totals.files, 100u) << "hardly any rotation";
  EXPECT_GT(totals.recovered, 20u) << "the kills hardly ever met a batch";
}

}  // namespace
}  // namespace hearth::logger::test
