// Stop, kill, hold, restart by order, and what our own absence does to the clocks of it.
#include <gtest/gtest.h>

#include "lifecycle/lifecycle.h"

namespace hearth::lifecycle {
namespace {

struct Slot {
  ServiceSpec spec;
  Lifecycle life;
  Effects effects;
  Now now{seconds(1000), seconds(1)};

  Slot() {
    spec.stop_timeout = seconds(10);
    tell({.kind = EventKind::order_start});
    tell({.kind = EventKind::spawned});
  }
  void tell(const Event& event) { effects = step(life, spec, event, now); }
  void stop(bool hold = false) { tell({.kind = EventKind::order_stop, .hold = hold}); }
  void exit(int status) { tell({.kind = EventKind::exited, .exit = {.code = 1, .status = status}}); }
  void pass(SpanNs span) {
    now.mono += span;
    tell({.kind = EventKind::time_passed});
  }
};

TEST(Stop, SendsTheStopSignalThenOneKillAfterTheGracePeriod) {
  Slot slot;
  slot.spec.stop_signal = 3;
  slot.stop();
  EXPECT_EQ(slot.effects.signal, 3);
  EXPECT_EQ(next_deadline(slot.life), slot.now.mono + seconds(10));
  slot.pass(seconds(10) - 1);
  EXPECT_EQ(slot.effects.signal, 0);
  slot.pass(1);
  EXPECT_EQ(slot.effects.signal, 9);
  EXPECT_EQ(next_deadline(slot.life), never);
  slot.pass(seconds(100));
  EXPECT_EQ(slot.effects.signal, 0);
  slot.exit(0);
  EXPECT_EQ(slot.life.phase, Phase::stopped);
}

TEST(Stop, NeverRestartsWhateverTheRunDoesMeanwhile) {
  for (const RestartPolicy policy : {RestartPolicy::always, RestartPolicy::on_failure}) {
    Slot slot;
    slot.spec.restart = policy;
    slot.stop();
    slot.tell({.kind = EventKind::unhealthy, .reason = Reason::watchdog});
    slot.tell({.kind = EventKind::start_timeout});
    slot.tell({.kind = EventKind::lost_ready});
    slot.exit(1);
    EXPECT_EQ(slot.life.phase, Phase::stopped);
    slot.pass(seconds(1000));
    EXPECT_EQ(slot.life.phase, Phase::stopped);
    EXPECT_FALSE(slot.effects.spawn);
  }
}

TEST(Stop, HeldBackSendsNothingUntilItIsReleased) {
  Slot slot;
  slot.stop(true);
  EXPECT_EQ(slot.life.phase, Phase::stopping);
  EXPECT_EQ(slot.effects.signal, 0);
  EXPECT_EQ(next_deadline(slot.life), never) << "the grace period begins with the signal";
  slot.pass(seconds(3600));
  EXPECT_EQ(slot.effects.signal, 0);
  slot.tell({.kind = EventKind::release_stop});
  EXPECT_EQ(slot.effects.signal, 15);
  EXPECT_EQ(next_deadline(slot.life), slot.now.mono + seconds(10));
  slot.tell({.kind = EventKind::release_stop});
  EXPECT_EQ(slot.effects.signal, 0) << "a second release is none";
}

TEST(Stop, HeldBackEndsAlsoWhenTheRunEndsByItself) {
  Slot slot;
  slot.stop(true);
  slot.exit(1);
  EXPECT_EQ(slot.life.phase, Phase::stopped);
  EXPECT_FALSE(slot.life.stop_held);
}

TEST(Stop, InsistedOnKillsAtOnceAndOnlyOnce) {
  Slot slot;
  slot.stop();
  slot.stop();
  EXPECT_EQ(slot.effects.signal, 9);
  slot.stop();
  EXPECT_EQ(slot.effects.signal, 0);
  slot.pass(seconds(100));
  EXPECT_EQ(slot.effects.signal, 0);
}

TEST(Stop, InsistedOnWithHoldChangesNothing) {
  Slot slot;
  slot.stop();
  slot.stop(true);
  EXPECT_EQ(slot.effects.signal, 0);
  EXPECT_FALSE(slot.effects.changed);
}

TEST(Stop, DuringARestartChangesTheGoalAndDoesNotKill) {
  Slot slot;
  slot.tell({.kind = EventKind::order_restart});
  EXPECT_EQ(slot.effects.signal, 15);
  slot.stop();
  EXPECT_EQ(slot.effects.signal, 0) << "the first order to stop is not an insistence";
  slot.exit(0);
  EXPECT_EQ(slot.life.phase, Phase::stopped);
  EXPECT_FALSE(slot.effects.spawn);
}

TEST(Stop, DuringAHeldRestartSendsTheSignalThatWasHeldBack) {
  Slot slot;
  slot.tell({.kind = EventKind::order_restart, .hold = true});
  slot.stop();
  EXPECT_EQ(slot.effects.signal, 15);
  EXPECT_FALSE(slot.life.stop_held);
}

TEST(Stop, OfASpawnWithoutPidWaitsForItsEndAndBeginsTheGracePeriodWhenItCanBeHeard) {
  Slot slot;
  slot.tell({.kind = EventKind::order_restart});
  slot.exit(0);
  ASSERT_EQ(slot.life.phase, Phase::starting);
  slot.stop();
  EXPECT_EQ(slot.life.phase, Phase::stopping);
  slot.now.mono += seconds(8);
  slot.tell({.kind = EventKind::spawned});
  EXPECT_EQ(next_deadline(slot.life), slot.now.mono + seconds(10));
  slot.tell({.kind = EventKind::spawn_failed, .exit = {.fail_stage = 1}});
  EXPECT_EQ(slot.life.phase, Phase::stopped);
}

TEST(Stop, WithKillAsStopSignalNeedsNoGracePeriod) {
  Slot slot;
  slot.spec.stop_signal = 9;
  slot.stop();
  EXPECT_EQ(slot.effects.signal, 9);
  EXPECT_TRUE(slot.life.kill_sent);
  EXPECT_EQ(next_deadline(slot.life), never);
}

TEST(Stop, OfWhatDoesNotRunIsDoneAtOnce) {
  Slot slot;
  slot.exit(1);
  ASSERT_EQ(slot.life.phase, Phase::backoff);
  slot.stop();
  EXPECT_EQ(slot.life.phase, Phase::stopped);
  EXPECT_EQ(slot.effects.signal, 0);
  EXPECT_EQ(next_deadline(slot.life), never);
}

TEST(Stop, SaysThatAShutdownWasTheReason) {
  Slot slot;
  slot.tell({.kind = EventKind::order_stop, .reason = Reason::shutdown});
  slot.exit(0);
  EXPECT_EQ(slot.life.reason, Reason::shutdown);
}

TEST(Restart, ByOrderComesBackAtOnceAndIsNoFailure) {
  Slot slot;
  slot.tell({.kind = EventKind::order_restart});
  EXPECT_EQ(slot.effects.signal, 15);
  slot.exit(143);
  EXPECT_EQ(slot.life.phase, Phase::starting);
  EXPECT_TRUE(slot.effects.spawn);
  EXPECT_EQ(slot.life.failures, 0u);
  EXPECT_EQ(slot.life.restarts, 0u);
}

TEST(Restart, ByStartDuringAStopComesBack) {
  Slot slot;
  slot.stop();
  slot.tell({.kind = EventKind::order_start});
  EXPECT_EQ(slot.effects.signal, 0);
  slot.exit(0);
  EXPECT_TRUE(slot.effects.spawn);
}

TEST(Restart, OfARunThatIsBeingStoppedForItsHealthSkipsTheBackoff) {
  Slot slot;
  slot.tell({.kind = EventKind::unhealthy, .reason = Reason::liveness});
  slot.tell({.kind = EventKind::order_restart});
  slot.exit(0);
  EXPECT_TRUE(slot.effects.spawn);
}

TEST(Start, OfWhatIsUpDoesNothing) {
  Slot slot;
  slot.tell({.kind = EventKind::order_start});
  EXPECT_FALSE(slot.effects.changed);
  EXPECT_FALSE(slot.effects.spawn);
}

TEST(Absence, GivesTheWholeGracePeriodAgainAndDoesNotKill) {
  Slot slot;
  slot.stop();
  const MonoNs gone = slot.now.mono + seconds(1);
  slot.now.mono += seconds(500);
  forgive_absence(slot.life, gone, slot.now.mono);
  slot.pass(0);
  EXPECT_EQ(slot.effects.signal, 0);
  EXPECT_EQ(next_deadline(slot.life), slot.now.mono + seconds(10));
}

TEST(Absence, RenewsOnlyWhatRanOutDuringIt) {
  Slot slot;
  slot.stop();
  const MonoNs deadline = next_deadline(slot.life);
  forgive_absence(slot.life, slot.now.mono, slot.now.mono + seconds(5));
  EXPECT_EQ(next_deadline(slot.life), deadline) << "still to come";
  forgive_absence(slot.life, deadline + 1, deadline + seconds(5));
  EXPECT_EQ(next_deadline(slot.life), deadline) << "ran out before, while somebody watched";
}

TEST(Absence, LeavesARetryDue) {
  Slot slot;
  slot.exit(1);
  const MonoNs gone = slot.now.mono;
  slot.now.mono += seconds(500);
  forgive_absence(slot.life, gone, slot.now.mono);
  slot.pass(0);
  EXPECT_TRUE(slot.effects.spawn);
}

}  // namespace
}  // namespace hearth::lifecycle
