#include "logger/pump.h"

#include <fcntl.h>
#include <memory>
#include <string>
#include <sys/epoll.h>

#include "gtest/gtest.h"
#include "unit/logger/mover_world.h"

namespace hearth::logger::test {
namespace {

class PumpTest : public testing::Test {
 protected:
  PumpTest() { world.configure(0, "s", wire::LogFormat::raw, 0); }

  void add(RunId run, SlotIndex slot = 0) {
    world.fifo(run);
    pump.add(run, slot, world.take_reader(run));
  }
  // What the event loop does, until nothing is left to do now.
  void settle() {
    for (int turns = 0; turns < 1'000; ++turns) {
      pump.run_due();
      epoll_event events[16];
      int count = pump.is_stuck() ? 0 : epoll_wait(epoll.get(), events, 16, 0);
      for (int i = 0; i < count; ++i) pump.ready(events[i].data.u64, (events[i].events & EPOLLHUP) != 0);
      if (count == 0 && pump.next_due() > system.now) return;
    }
    ADD_FAILURE() << "it never comes to rest";
  }
  void advance(SpanNs span) {
    system.now += span;
    settle();
  }

  World world;
  FaultySystem system;
  Mover mover{system, world.parts()};
  os::Fd epoll{epoll_create1(EPOLL_CLOEXEC)};
  Pump pump{system, mover, world.page(), epoll.get()};
};

TEST_F(PumpTest, MovesWhatComesAndThenNeedsNoTimer) {
  add(1);
  world.feed(1, "hello\n");
  settle();
  EXPECT_EQ(world.all("s"), "hello\n");
  EXPECT_EQ(pump.next_due(), never);
}

// Its service went, and came again in another slot, which goes on in the same file.
TEST_F(PumpTest, ARotationIsOfTheSlotThatWritesAndNotOfOneThatStillHasTheName) {
  add(1);
  world.feed(1, "one\n");
  settle();
  world.close_writer(1);
  settle();
  pump.remove(1);
  settle();
  world.configure(1, "s", wire::LogFormat::raw, 0);
  add(2, 1);
  world.feed(2, "two\n");
  settle();
  EXPECT_TRUE(pump.rotate("s"));
  world.feed(2, "three\n");
  settle();
  EXPECT_EQ(world.all("s"), "one\ntwo\nthree\n");
  EXPECT_TRUE(pump.rotate("nobody"));
}

// ENOSPC or ENOMEM of epoll_ctl, as here with another descriptor in the epoll's place: the run's output waits in its pipe,
// and nobody would ever look for it.
TEST_F(PumpTest, AFifoForWhichTheEpollHasNoRoomIsHeardAsSoonAsItHas) {
  const os::Fd real(fcntl(epoll.get(), F_DUPFD_CLOEXEC, 0));
  const os::Fd none(open("/dev/null", O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(dup2(none.get(), epoll.get()), epoll.get());
  add(1);
  world.feed(1, "said\n");
  for (int tries = 0; tries < 3; ++tries) {
    EXPECT_NE(pump.next_due(), never);
    system.now += watch_pause;
    pump.run_due();
    EXPECT_EQ(world.all("s"), "");
  }
  ASSERT_EQ(dup2(real.get(), epoll.get()), epoll.get());
  advance(watch_pause);
  EXPECT_EQ(world.all("s"), "said\n");
  EXPECT_EQ(pump.next_due(), never);
  pump.remove(1);
}

TEST_F(PumpTest, TellsThatAnEndedRunIsDrainedOnlyAfterALaterReadGaveNothing) {
  add(1);
  world.feed(1, "last words\n");
  world.stream().ended_run = 1;
  EXPECT_EQ(world.stream().drained_run.load(), 0u);
  pump.look_at_ended();
  settle();
  EXPECT_EQ(world.stream().drained_run.load(), 1u);
  EXPECT_EQ(world.all("s"), "last words\n");
  EXPECT_TRUE(pump.take_notice());
}

TEST_F(PumpTest, TellsThatARunIsDrainedWhoseFifoComesAfterItsEnd) {
  world.stream().ended_run = 1;
  pump.look_at_ended();
  world.feed(1, "late\n");
  add(1);
  settle();
  EXPECT_EQ(world.stream().drained_run.load(), 1u);
  EXPECT_EQ(world.all("s"), "late\n");
}

TEST_F(PumpTest, StopsWatchingAtTheEndOfAFifoAndWakesNobodyForIt) {
  add(1);
  world.feed(1, "hello\n");
  world.close_writer(1);
  settle();
  EXPECT_EQ(world.stream().eof_run.load(), 1u);
  EXPECT_FALSE(pump.take_notice());
}

TEST_F(PumpTest, HearsWhoOpensAFifoThatHadHungUp) {
  world.fifo(1);
  const std::string path = "/proc/self/fd/" + std::to_string(dup(world.fifo(1)));
  add(1);
  world.close_writer(1);
  settle();
  EXPECT_EQ(world.stream().eof_run.load(), 1u);
  os::Fd service(open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  ASSERT_EQ(write(service.get(), "here\n", 5), 5);
  settle();
  EXPECT_EQ(world.all("s"), "here\n");
  ASSERT_EQ(write(service.get(), "and here\n", 9), 9);
  settle();
  EXPECT_EQ(world.all("s"), "here\nand here\n");
  EXPECT_EQ(pump.next_due(), never);
}

TEST_F(PumpTest, EndsAJsonObjectThatItsRunLeftOpen) {
  world.configure(0, "s", wire::LogFormat::json, 0);
  add(1);
  world.feed(1, "cut sho");
  world.close_writer(1);
  settle();
  EXPECT_TRUE(world.all("s").ends_with("\"text\":\"cut sho\"}\n")) << world.all("s");
}

TEST_F(PumpTest, MovesWhatAFifoHoldsBeforeItIsForgotten) {
  add(1);
  world.feed(1, "hello\n");
  pump.remove(1);
  settle();
  EXPECT_EQ(world.all("s"), "hello\n");
}

TEST_F(PumpTest, LeavesBytesInTheFifoWhileTheDiskIsFullAndGoesOnWhenThereIsSpace) {
  add(1);
  system.full = true;
  world.feed(1, "patient\n");
  settle();
  EXPECT_EQ(world.stream().error.load(), ENOSPC);
  advance(seconds(2));
  EXPECT_EQ(world.stream().discarded.load(), 0u);
  system.full = false;
  advance(seconds(1));
  EXPECT_EQ(world.all("s"), "patient\n");
  EXPECT_EQ(world.stream().error.load(), 0);
  EXPECT_EQ(world.stream().gaps.load(), 0u);
  world.feed(1, "at once\n");
  settle();
  EXPECT_EQ(world.all("s"), "patient\nat once\n");
}

TEST_F(PumpTest, DiscardsAndCountsAfterTheWaitAndTellsWhenThereIsSpace) {
  add(1);
  system.full = true;
  world.feed(1, "0123456789");
  settle();
  for (int i = 0; i < 8; ++i) advance(seconds(1));
  EXPECT_EQ(world.stream().discarded.load(), 10u);
  world.feed(1, "01234");
  settle();
  EXPECT_EQ(world.stream().discarded.load(), 15u);
  EXPECT_EQ(world.stream().error.load(), ENOSPC);
  system.full = false;
  advance(seconds(1));
  EXPECT_EQ(world.all("s"), "[hearth: 15 bytes lost: No space left on device]\n");
  world.feed(1, "again\n");
  settle();
  EXPECT_EQ(world.all("s"), "[hearth: 15 bytes lost: No space left on device]\nagain\n");
  EXPECT_EQ(world.stream().gaps.load(), 1u);
  EXPECT_EQ(pump.next_due(), never);
}

TEST_F(PumpTest, DrainsAnEndedRunAlsoWhenItHasToDiscard) {
  add(1);
  system.full = true;
  world.feed(1, "0123456789");
  world.stream().ended_run = 1;
  pump.look_at_ended();
  settle();
  EXPECT_EQ(world.stream().drained_run.load(), 0u);
  for (int i = 0; i < 8; ++i) advance(seconds(1));
  EXPECT_EQ(world.stream().drained_run.load(), 1u);
  EXPECT_EQ(world.stream().discarded.load(), 10u);
  pump.remove(1);
  settle();
  EXPECT_EQ(world.stream().error.load(), 0) << "nothing of it waits any more";
}

TEST_F(PumpTest, ABadStreamDoesNotStopAnother) {
  world.configure(1, "../elsewhere", wire::LogFormat::raw, 0);
  add(1, 0);
  add(2, 1);
  world.feed(2, "nowhere to go\n");
  world.feed(1, "hello\n");
  settle();
  EXPECT_EQ(world.all("s"), "hello\n");
  EXPECT_EQ(world.stream(1).error.load(), EINVAL);
}

TEST_F(PumpTest, AStuckBatchIsGivenUpAfterASecondAndThenOthersGoOn) {
  world.configure(1, "t", wire::LogFormat::raw, 0);
  add(1, 0);
  add(2, 1);
  system.write_error = EIO;
  world.feed(1, "stuck\n");
  settle();
  EXPECT_TRUE(pump.is_stuck());
  EXPECT_EQ(world.stream(0).error.load(), EIO);
  for (int i = 0; i < 30; ++i) advance(milliseconds(100));
  EXPECT_FALSE(pump.is_stuck());
  EXPECT_EQ(world.stream(0).discarded.load(), 6u);
  system.write_error = 0;
  world.feed(2, "hello\n");
  settle();
  EXPECT_EQ(world.all("t"), "hello\n");
  advance(seconds(1));
  EXPECT_EQ(world.all("s"), "[hearth: 6 bytes lost: Input/output error]\n");
}

TEST_F(PumpTest, WithoutFallocateAFullDiskIsSeenBeforeTheBatchIsTaken) {
  system.no_reserve = true;
  add(1);
  system.full = true;
  world.feed(1, "patient\n");
  settle();
  EXPECT_FALSE(pump.is_stuck());
  EXPECT_EQ(world.stream().error.load(), ENOSPC);
  system.full = false;
  advance(seconds(1));
  EXPECT_EQ(world.all("s"), "patient\n");
}

TEST_F(PumpTest, AFloodTakesOneTurnLikeOthers) {
  world.configure(1, "t", wire::LogFormat::raw, 0);
  add(1, 0);
  add(2, 1);
  world.feed(1, std::string(65'536, 'x'));
  world.feed(2, "hello\n");
  epoll_event events[16];
  int count = epoll_wait(epoll.get(), events, 16, 0);
  ASSERT_EQ(count, 2);
  for (int i = 0; i < count; ++i) pump.ready(events[i].data.u64, false);
  EXPECT_EQ(world.all("t"), "hello\n") << "both were served in one turn";
}

TEST_F(PumpTest, RestsInAFloodOfSmallWritesAndNeverAfterALineAlone) {
  add(1);
  auto turn = [&](std::string_view bytes) {
    if (!bytes.empty()) world.feed(1, bytes);
    pump.run_due();
    epoll_event event;
    int count = epoll_wait(epoll.get(), &event, 1, 0);
    if (count == 1) pump.ready(event.data.u64, (event.events & EPOLLHUP) != 0);
    return count;
  };
  EXPECT_EQ(turn("alone\n"), 1);
  EXPECT_EQ(pump.rest(), 0);
  system.now += seconds(1);
  EXPECT_EQ(turn("alone again\n"), 1);
  EXPECT_EQ(pump.rest(), 0);
  system.now += 50 * ns_per_us;
  EXPECT_EQ(turn("soon after\n"), 1);
  EXPECT_EQ(pump.rest(), rest_span);
  system.now += rest_span;
  EXPECT_EQ(turn("and on\n"), 1);
  EXPECT_EQ(pump.rest(), 2 * rest_span) << "longer, as little came in the first";
  system.now += 2 * rest_span;
  EXPECT_EQ(pump.next_due(), 0) << "it is read without an event now";
  EXPECT_EQ(turn("and on\n"), 0);
  EXPECT_EQ(pump.rest(), 4 * rest_span);
  EXPECT_EQ(turn(""), 0) << "nothing came: back to events";
  EXPECT_EQ(pump.rest(), 0);
  EXPECT_EQ(pump.next_due(), never);
  world.feed(1, "last\n");
  world.close_writer(1);
  settle();
  EXPECT_EQ(world.stream().eof_run.load(), 1u);
  EXPECT_TRUE(world.all("s").ends_with("and on\nand on\nlast\n"));
}

TEST_F(PumpTest, DoesNotRestWhileAFifoIsFilledFasterThanThat) {
  add(1);
  for (int i = 0; i < 4; ++i) {
    world.feed(1, std::string(40'000, 'x'));
    settle();
    EXPECT_EQ(pump.rest(), 0);
  }
}

TEST_F(PumpTest, RestsGrowWhileLittleComesAndNoLongerWhenTheFifoFills) {
  add(1);
  SpanNs rest = 0;
  const auto turn = [&](std::size_t bytes) {
    world.feed(1, std::string(bytes, 'x'));
    settle();
    rest = pump.rest();
    system.now += rest;
  };
  for (int i = 0; i < 20; ++i) turn(100);
  EXPECT_EQ(rest, longest_rest);
  turn(40'000);
  EXPECT_EQ(rest, 0) << "it would fill in a rest";
  turn(10'000);
  EXPECT_EQ(rest, longest_rest / 2);
  turn(10'000);
  EXPECT_EQ(rest, longest_rest / 2) << "well filled, and not full";
}

int capacity_of(int fifo) {
  return fcntl(fifo, F_GETPIPE_SZ);
}

TEST_F(PumpTest, WidensAFifoThatIsWellFilledManyTimesInARow) {
  const int fifo = world.fifo(1);
  add(1);
  for (uint32_t i = 0; i < widen_after; ++i) {
    world.feed(1, std::string(40'000, 'x'));
    settle();
  }
  EXPECT_EQ(capacity_of(fifo), 65'536);
  world.feed(1, "a quiet moment\n");
  settle();
  for (uint32_t i = 0; i < widen_after; ++i) {
    world.feed(1, std::string(40'000, 'x'));
    settle();
  }
  EXPECT_EQ(capacity_of(fifo), 65'536);
  world.feed(1, std::string(40'000, 'x'));
  settle();
  EXPECT_EQ(capacity_of(fifo), static_cast<int>(wide_fifo));
  EXPECT_EQ(world.all("s").size(), (2 * widen_after + 1) * 40'000 + 15);
}

TEST_F(PumpTest, AFifoThatMayNotBeWidenedIsReadAsBefore) {
  system.may_widen = false;
  const int fifo = world.fifo(1);
  add(1);
  for (uint32_t i = 0; i < 3 * widen_after; ++i) {
    world.feed(1, std::string(40'000, 'x'));
    settle();
  }
  EXPECT_EQ(system.widened, 1) << "not asked for again";
  EXPECT_EQ(capacity_of(fifo), 65'536);
  EXPECT_EQ(world.all("s").size(), 3 * widen_after * 40'000);
}

TEST_F(PumpTest, NeverRestsWhileBatchesAreAsLargeAsTheyCanBe) {
  const int fifo = world.fifo(1);
  ASSERT_EQ(fcntl(fifo, F_SETPIPE_SZ, 1 << 20), 1 << 20);
  add(1);
  // What the in-flight pipe takes is little of such a FIFO, and yet all that one batch can be.
  for (int i = 0; i < 10; ++i) {
    world.feed(1, std::string(65'536, 'x'));
    settle();
    EXPECT_EQ(pump.rest(), 0);
  }
}

TEST_F(PumpTest, AtTheEndItMovesWhatIsThereAndLeavesWhatCannotBeWritten) {
  world.configure(1, "t", wire::LogFormat::raw, 0);
  add(1, 0);
  world.feed(1, "last\n");
  pump.drain();
  EXPECT_EQ(world.all("s"), "last\n");
}

TEST_F(PumpTest, AtTheEndItTriesOnceMoreWhatCouldNotBeWrittenBefore) {
  add(1);
  system.full = true;
  world.feed(1, "patient\n");
  settle();
  ASSERT_EQ(world.stream().error.load(), ENOSPC);
  system.full = false;  // and no time passes
  pump.drain();
  EXPECT_EQ(world.all("s"), "patient\n");
}

TEST_F(PumpTest, AtTheEndItTriesAStuckBatchOnceMore) {
  add(1);
  system.write_error = EDQUOT;
  world.feed(1, "stuck\n");
  settle();
  ASSERT_TRUE(pump.is_stuck());
  system.write_error = 0;
  pump.drain();
  EXPECT_EQ(world.all("s"), "stuck\n");
}

TEST_F(PumpTest, AtTheEndItSaysHowMuchCouldNotBeWritten) {
  add(1);
  system.full = true;
  world.feed(1, "last\n");
  testing::internal::CaptureStderr();
  pump.drain();
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("5 bytes for the log \"s\" could not be written: No space left on device"), std::string::npos)
      << said;
}

}  // namespace
}  // namespace hearth::logger::test
