// The real program with a stand-in for the keeper: what they say to each other.
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <signal.h>
#include <string>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "gtest/gtest.h"
#include "integration/logger/keeper_stand_in.h"
#include "places.h"
#include "support/hung_disk.h"
#include "support/small_disk.h"

namespace hearth::logger::test {
namespace {

constexpr const char* program = HEARTH_BIN_DIR "/hearth-logger";

void put(const os::Fd& fifo, std::string_view bytes) {
  ASSERT_EQ(write(fifo.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
}

TEST(Logger, MovesTheOutputOfARunAndTellsWhenItIsDrained) {
  TemporaryDirectory logs;
  KeeperStandIn keeper(program, logs.path());
  keeper.configure(0, {.directory = "web.0"});
  os::Fd out = keeper.add_run(17, 0);
  keeper.start();
  ASSERT_TRUE(keeper.wait_acknowledged());
  put(out, "hello\n");
  keeper.end_run(17, 0);
  ASSERT_TRUE(keeper.wait_drained(17, 0));
  EXPECT_EQ(read_log(logs.path() + "/web.0"), "hello\n");
  EXPECT_EQ(keeper.stop(), 0);
}

TEST(Logger, NotesWhenTheLastWriterIsGone) {
  TemporaryDirectory logs;
  KeeperStandIn keeper(program, logs.path());
  keeper.configure(0, {.directory = "s"});
  keeper.start();
  os::Fd out = keeper.add_run(5, 0);
  put(out, "hello\n");
  out.reset();
  // It rings for nobody: a supervisor that was woken by this would find that the keeper has not told the end yet. So
  // the test asks, a message at a time.
  std::vector<os::Fd> others;
  for (RunId run = 6; keeper.stream(0).eof_run.load() != 5 && run < 1'000; ++run) {
    others.push_back(keeper.add_run(run, 0));
    ASSERT_TRUE(keeper.wait_acknowledged());
  }
  EXPECT_EQ(keeper.stream(0).eof_run.load(), 5u);
  EXPECT_EQ(read_log(logs.path() + "/s"), "hello\n");
  EXPECT_EQ(keeper.stop(), 0);
}

TEST(Logger, WritesEverythingBeforeItEndsWhenTheKeeperIsGone) {
  TemporaryDirectory logs;
  KeeperStandIn keeper(program, logs.path());
  keeper.configure(0, {.directory = "s"});
  os::Fd out = keeper.add_run(5, 0);
  put(out, "before there was a logger\n");
  keeper.start();
  EXPECT_EQ(keeper.stop(), 0);
  EXPECT_EQ(read_log(logs.path() + "/s"), "before there was a logger\n");
}

TEST(Logger, AnUnparkedFifoIsClosedAfterItsBytesAreWritten) {
  TemporaryDirectory logs;
  KeeperStandIn keeper(program, logs.path());
  keeper.configure(0, {.directory = "s"});
  os::Fd out = keeper.add_run(5, 0);
  keeper.start();
  ASSERT_TRUE(keeper.wait_acknowledged());
  put(out, "hello\n");
  keeper.unpark(5);
  // Messages are taken in order: this one is acknowledged after the unpark.
  os::Fd other = keeper.add_run(6, 0);
  ASSERT_TRUE(keeper.wait_acknowledged());
  pollfd readerless{out.get(), 0, 0};
  EXPECT_EQ(poll(&readerless, 1, 20'000), 1);
  EXPECT_TRUE((readerless.revents & POLLERR) != 0) << "somebody still reads the FIFO";
  EXPECT_EQ(read_log(logs.path() + "/s"), "hello\n");
  EXPECT_EQ(keeper.stop(), 0);
}

// Its limit was lowered: of a message that brings an output the descriptor is missing.
TEST(Logger, GivesWayToOneThatReadsAllOutputsWhenThereAreDescriptorsAgain) {
  TemporaryDirectory logs;
  KeeperStandIn keeper(program, logs.path());
  keeper.configure(0, {.directory = "s"});
  keeper.configure(1, {.directory = "t"});
  os::Fd out = keeper.add_run(5, 0);
  put(out, "before\n");
  keeper.start();
  ASSERT_TRUE(keeper.wait_acknowledged());
  const auto has = [&](const char* stream, const std::string& text) {
    const std::string directory = logs.path() + "/" + stream;
    for (int i = 0; i < 4'000; ++i) {
      if (std::filesystem::exists(directory) && read_log(directory) == text) return true;
      poll(nullptr, 0, 5);
    }
    return false;
  };
  ASSERT_TRUE(has("s", "before\n"));
  rlimit limit{};
  ASSERT_EQ(prlimit(keeper.pid(), RLIMIT_NOFILE, nullptr, &limit), 0);
  const rlimit none{8, limit.rlim_max};
  ASSERT_EQ(prlimit(keeper.pid(), RLIMIT_NOFILE, &none, nullptr), 0);
  os::Fd unread = keeper.add_run(6, 1);
  ASSERT_TRUE(keeper.wait_acknowledged());
  put(unread, "waits\n");
  put(out, "goes on\n");
  EXPECT_TRUE(has("s", "before\ngoes on\n"));
  ASSERT_EQ(prlimit(keeper.pid(), RLIMIT_NOFILE, &limit, nullptr), 0);
  pollfd ended{keeper.pidfd(), POLLIN, 0};
  ASSERT_EQ(poll(&ended, 1, 20'000), 1);
  keeper.kill_now();
  keeper.start();
  EXPECT_TRUE(has("t", "waits\n"));
  EXPECT_EQ(keeper.stop(), 0);
}

// More outputs than one look at them tells of, of which each has something: the answer is that all had their turn.
TEST(Logger, AnswersItsKeeperWhenAllThatWasReadyHasBeenMoved) {
  TemporaryDirectory logs;
  KeeperStandIn keeper(program, logs.path());
  std::vector<os::Fd> outs;
  constexpr SlotIndex count = 200;
  for (SlotIndex slot = 0; slot < count; ++slot) {
    keeper.configure(slot, {.directory = "s" + std::to_string(slot)});
    outs.push_back(keeper.add_run(slot + 1, slot));
    put(outs.back(), "hello\n");
  }
  keeper.start();
  ASSERT_TRUE(keeper.wait_acknowledged());
  for (const char* expected : {"hello\n", "hello\nagain\n"}) {
    ASSERT_TRUE(keeper.answers());
    for (SlotIndex slot = 0; slot < count; ++slot)
      EXPECT_EQ(read_log(logs.path() + "/s" + std::to_string(slot)), expected);
    for (const os::Fd& out : outs) put(out, "again\n");
  }
  EXPECT_EQ(keeper.stop(), 0);
}

// As when the kernel has no memory for it. Unheard, it would be taken for one that hangs.
TEST(Logger, SendsAnAnswerForWhichThereIsNoRoomAsSoonAsThereIs) {
  TemporaryDirectory logs;
  KeeperStandIn keeper(program, logs.path());
  keeper.narrow_answers();
  keeper.configure(0, {.directory = "s"});
  keeper.start();
  constexpr RunId count = 40;
  const auto live = [&](RunId run) {
    put(keeper.add_run(run, 0), "hello\n");
    keeper.end_run(run, 0);
    ASSERT_TRUE(keeper.wait_drained(run, 0));
  };
  for (RunId run = 1; run <= count; ++run) live(run);  // and nobody reads the acknowledgements
  keeper.ask();
  for (RunId run = count + 1; run <= count + 8; ++run) live(run);  // meanwhile it has tried to answer
  ASSERT_TRUE(keeper.wait_acknowledged());
  EXPECT_TRUE(keeper.hears_answer());
  EXPECT_EQ(keeper.stop(), 0);
}

TEST(Logger, RefusesToStartWithoutAKeeper) {
  EXPECT_NE(system((std::string(program) + " 3</dev/null 2>/dev/null").c_str()), 0);
}

TEST(Logger, TheSecondOfTwoWaitsUntilTheFirstIsGone) {
  TemporaryDirectory logs;
  KeeperStandIn keeper(program, logs.path());
  keeper.configure(0, {.directory = "s"});
  os::Fd out = keeper.add_run(5, 0);
  keeper.start();
  ASSERT_TRUE(keeper.wait_acknowledged());
  KeeperStandIn::Process first = keeper.leave_running();
  put(out, "hello\n");
  keeper.start();
  // The first one's keeper is alive: it goes on, and the second one has not said a word.
  keeper.end_run(5, 0);
  ASSERT_TRUE(keeper.wait_drained(5, 0));
  EXPECT_FALSE(keeper.acknowledged_within(std::chrono::milliseconds(50)));
  first.end();
  EXPECT_TRUE(keeper.wait_acknowledged());
  EXPECT_EQ(keeper.stop(), 0);
  EXPECT_EQ(read_log(logs.path() + "/s"), "hello\n");
}

// The logger is one thread: a disk that answers nothing holds it in the kernel, and with it the output of everybody.
TEST(Logger, OnADiskThatHangsItHoldsUpAllStreamsUntilItAnswersAndLosesNothing) {
  TemporaryDirectory logs;
  KeeperStandIn keeper(program, logs.path());
  support::HungDisk disk(logs.path() + "/slow");
  if (!disk.mounted()) GTEST_SKIP() << "no file system of our own can be mounted here";
  keeper.configure(0, {.directory = "slow", .full_wait_ns = 60'000'000'000});
  keeper.configure(1, {.directory = "sound", .full_wait_ns = 0});
  os::Fd slow = keeper.add_run(5, 0);
  os::Fd sound = keeper.add_run(6, 1);
  keeper.start();
  ASSERT_TRUE(keeper.wait_acknowledged());
  put(slow, "who looks for my file waits\n");
  ASSERT_TRUE(disk.wait_held(1));
  // Who writes goes on until its pipe is full, and then waits.
  ASSERT_EQ(fcntl(sound.get(), F_SETFL, O_NONBLOCK), 0);
  std::string all;
  for (int i = 0;; ++i) {
    const std::string line = "line " + std::to_string(i) + "\n";
    if (write(sound.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size())) break;
    all += line;
  }
  EXPECT_EQ(errno, EAGAIN);
  EXPECT_EQ(keeper.stream(1).written.load(), 0u);
  disk.answer();
  keeper.end_run(6, 1);
  ASSERT_TRUE(keeper.wait_drained(6, 1));
  EXPECT_TRUE(read_log(logs.path() + "/sound") == all) << "bytes are lost or doubled";
  EXPECT_EQ(keeper.stream(0).discarded.load() + keeper.stream(1).discarded.load(), 0u);
  keeper.kill_now();
}

// A real file system of 1 MiB: what waits is not lost when space comes in time.
TEST(Logger, OnAFullDiskNothingIsLostWhenSpaceComesInTime) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root for a mount; the unit tests fill a pretended disk";
  TemporaryDirectory logs;
  support::SmallDisk disk(logs.path(), "size=1m,mode=700");
  if (!disk) GTEST_SKIP() << "no mounts here";
  std::string ballast = logs.path() + "/ballast";
  os::Fd big(open(ballast.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  ASSERT_EQ(posix_fallocate(big.get(), 0, 800 << 10), 0);
  KeeperStandIn keeper(program, logs.path());
  keeper.configure(0, {.directory = "s", .full_wait_ns = 60'000'000'000});
  os::Fd out = keeper.add_run(5, 0);
  keeper.start();
  std::string line(99, 'x');
  line += '\n';
  std::string all;
  pid_t writer = fork();
  for (int i = 0; i < 4'000; ++i) all += line;
  if (writer == 0) prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (writer == 0) _exit(write(out.get(), all.data(), all.size()) == static_cast<ssize_t>(all.size()) ? 0 : 1);
  ASSERT_TRUE(keeper.wait_until([&] { return keeper.stream(0).error.load() == ENOSPC; }));
  ASSERT_EQ(ftruncate(big.get(), 0), 0);  // not remove: the writer has inherited the descriptor
  ASSERT_TRUE(keeper.wait_until([&] { return keeper.stream(0).error.load() == 0; }));
  EXPECT_EQ(wait_for_exit(writer), 0);
  keeper.end_run(5, 0);
  ASSERT_TRUE(keeper.wait_drained(5, 0));
  EXPECT_EQ(read_log(logs.path() + "/s").size(), all.size());
  EXPECT_EQ(keeper.stream(0).discarded.load(), 0u);
  EXPECT_EQ(keeper.stop(), 0);
}

TEST(Logger, OnADiskThatStaysFullItCountsWhatIsLostAndOtherStreamsGoOn) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root for a mount; the unit tests fill a pretended disk";
  TemporaryDirectory logs;
  std::string full = logs.path() + "/full";
  std::filesystem::create_directory(full);
  support::SmallDisk disk(full, "size=64k,mode=700");
  if (!disk) GTEST_SKIP() << "no mounts here";
  KeeperStandIn keeper(program, logs.path());
  keeper.configure(0, {.directory = "full", .full_wait_ns = 0});
  keeper.configure(1, {.directory = "s"});
  os::Fd lost = keeper.add_run(5, 0);
  os::Fd kept = keeper.add_run(6, 1);
  keeper.start();
  put(lost, std::string(65'536, 'x'));
  ASSERT_TRUE(keeper.wait_until([&] { return keeper.stream(0).error.load() == ENOSPC; }));
  put(kept, "hello\n");
  keeper.end_run(5, 0);
  keeper.end_run(6, 1);
  ASSERT_TRUE(keeper.wait_drained(6, 1));
  ASSERT_TRUE(keeper.wait_drained(5, 0));
  EXPECT_EQ(read_log(logs.path() + "/s"), "hello\n");
  EXPECT_EQ(keeper.stream(0).written.load() + keeper.stream(0).discarded.load(), 65'536u);
  EXPECT_EQ(keeper.stream(0).gaps.load(), 1u);
  EXPECT_EQ(keeper.stop(), 0);
}

}  // namespace
}  // namespace hearth::logger::test
