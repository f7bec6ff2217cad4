#include <poll.h>
#include <string>

#include "gtest/gtest.h"
#include "logs/reader.h"
#include "unit/logs/log_writer.h"

namespace hearth::logs::test {
namespace {

class FollowerTest : public testing::Test {
 protected:
  Follower follow(Cursor from = {}) {
    Result<Follower> made = Follower::create(log.directory(), from);
    HEARTH_CHECK(made.has_value(), "follower");
    return std::move(*made);
  }
  // What there is now; a gap is written as <gap>.
  std::string now(Follower& follower) {
    std::string text;
    Cursor last = follower.cursor();
    Result<bool> more = follower.take([&](const Piece& piece) {
      EXPECT_TRUE(piece.begin == last || (piece.begin.file > last.file && piece.begin.offset == 0));
      last = piece.next;
      text += piece.gap ? "<gap>" : std::string(piece.bytes);
      return true;
    });
    EXPECT_TRUE(more.has_value() && *more);
    return text;
  }
  static bool has_event(Follower& follower) {
    pollfd readable{follower.descriptor(), POLLIN, 0};
    return poll(&readable, 1, 0) == 1;
  }

  LogWriter log;
};

TEST_F(FollowerTest, DeliversWhatIsThereAndThenWhatComes) {
  log.append(1, "one\n");
  Follower follower = follow();
  EXPECT_EQ(now(follower), "one\n");
  EXPECT_FALSE(has_event(follower)) << "nothing has happened: whoever waits is not woken";
  log.append(1, "tw");
  EXPECT_TRUE(has_event(follower));
  EXPECT_EQ(now(follower), "tw");
  log.append(1, "o\n");
  EXPECT_EQ(now(follower), "o\n");
  EXPECT_EQ(now(follower), "");
}

TEST_F(FollowerTest, GoesOnInTheNextFileWithoutLosingTheEndOfThisOne) {
  log.append(1, "one\n");
  Follower follower = follow();
  EXPECT_EQ(now(follower), "one\n");
  log.append(1, "two\n");
  log.append(2, "three\n");
  log.append(3, "");
  log.append(3, "four\n");
  EXPECT_EQ(now(follower), "two\nthree\nfour\n");
}

TEST_F(FollowerTest, WaitsForADirectoryThatIsNotThereYet) {
  Follower follower = follow();
  EXPECT_EQ(now(follower), "");
  log.append(1, "first\n");
  EXPECT_TRUE(has_event(follower));
  EXPECT_EQ(now(follower), "first\n");
  log.append(1, "second\n");
  EXPECT_TRUE(has_event(follower));
  EXPECT_EQ(now(follower), "second\n");
}

TEST_F(FollowerTest, GoesOnWhereACursorSays) {
  log.append(1, "one\ntwo\n");
  log.append(2, "three\n");
  Follower first = follow({1, 4});
  EXPECT_EQ(now(first), "two\nthree\n");
  Follower second = follow(first.cursor());
  EXPECT_EQ(now(second), "");
  log.append(2, "four\n");
  EXPECT_EQ(now(second), "four\n");
}

TEST_F(FollowerTest, WaitsWhileALoggerTakesBackABatchAndWritesItAgain) {
  log.append(1, "one\ntwo\n");
  Follower follower = follow();
  EXPECT_EQ(now(follower), "one\ntwo\n");
  log.cut(1, 4);
  EXPECT_EQ(now(follower), "");
  log.append(1, "two\nthr");
  EXPECT_EQ(now(follower), "thr");
}

TEST_F(FollowerTest, WaitsWhileALoggerTakesBackAWholeFileAndMakesItAgain) {
  log.append(1, "one\n");
  log.append(2, "two\nth");
  Follower follower = follow();
  EXPECT_EQ(now(follower), "one\ntwo\nth");
  log.remove(2);
  log.cut(1, 0);
  EXPECT_EQ(now(follower), "");
  log.append(1, "one\n");
  EXPECT_EQ(now(follower), "");
  log.append(2, "two\n");
  EXPECT_EQ(now(follower), "");
  log.append(2, "three\n");
  EXPECT_EQ(now(follower), "ree\n");
}

TEST_F(FollowerTest, ReadsTheFileThatWasMadeAgainAndNotTheOneItHolds) {
  log.append(1, "one\n");
  log.append(2, "tw");
  Follower follower = follow();
  EXPECT_EQ(now(follower), "one\ntw");
  log.remove(2);
  log.append(2, "two\n");
  log.append(3, "three\n");
  EXPECT_EQ(now(follower), "o\nthree\n");
}

TEST_F(FollowerTest, TellsAGapWhenFilesWereRemovedBeforeTheyWereRead) {
  log.append(1, "one\n");
  Follower follower = follow();
  EXPECT_EQ(now(follower), "one\n");
  log.append(1, "end of one\n");
  log.append(2, "two\n");
  log.append(3, "three\n");
  log.remove(1);
  log.remove(2);
  EXPECT_EQ(now(follower), "end of one\n<gap>three\n") << "what it holds open it reads to the end";
  Follower late = follow({1, 4});
  EXPECT_EQ(now(late), "<gap>three\n");
}

TEST_F(FollowerTest, TellsNoGapWhenAFileWasRemovedThatItHadReadToTheEnd) {
  log.append(1, "one\n");
  Follower follower = follow();
  EXPECT_EQ(now(follower), "one\n");
  log.append(2, "two\n");
  log.remove(1);
  EXPECT_EQ(now(follower), "two\n");
}

TEST_F(FollowerTest, TellsAGapWhenSomebodyCutsTheFileAndTheLoggerGoesOnInTheNext) {
  log.append(1, "one\ntwo\n");
  Follower follower = follow();
  EXPECT_EQ(now(follower), "one\ntwo\n");
  log.cut(1, 2);
  log.append(2, "three\n");
  EXPECT_EQ(now(follower), "<gap>three\n");
}

TEST_F(FollowerTest, StopsWhenTheHandlerHasEnoughAndGoesOnFromThere) {
  log.append(1, "one\n");
  log.append(2, "two\n");
  Follower follower = follow();
  std::string text;
  Result<bool> more = follower.take([&](const Piece& piece) {
    text += piece.bytes;
    return false;
  });
  EXPECT_FALSE(*more);
  EXPECT_EQ(text, "one\n");
  EXPECT_EQ(now(follower), "two\n");
}

TEST_F(FollowerTest, EndsWhenItsStopDescriptorIsReadable) {
  log.append(1, "one\n");
  Follower follower = follow();
  os::Fd stop = std::move(*os::make_eventfd());
  std::string text;
  Status done = follower.follow(
      [&](const Piece& piece) {
        text += piece.bytes;
        os::ring(stop.get());
        return true;
      },
      stop.get());
  EXPECT_TRUE(done.has_value());
  EXPECT_EQ(text, "one\n");
}

TEST_F(FollowerTest, FindsADirectoryThatWasRemovedAndMadeAgain) {
  log.append(1, "one\n");
  Follower follower = follow();
  EXPECT_EQ(now(follower), "one\n");
  std::filesystem::remove_all(log.directory());
  EXPECT_EQ(now(follower), "");
  log.append(2, "two\n");
  EXPECT_EQ(now(follower), "<gap>two\n");
}

}  // namespace
}  // namespace hearth::logs::test
