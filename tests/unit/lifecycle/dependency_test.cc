// A slot and those it depends on: waiting, recovering, not burning retries.
#include <gtest/gtest.h>

#include "lifecycle/lifecycle.h"

namespace hearth::lifecycle {
namespace {

struct Slot {
  ServiceSpec spec;
  Lifecycle life;
  Effects effects;
  Now now{seconds(1000), seconds(1)};
  bool met = true;

  Slot() {
    spec.backoff = {.initial = seconds(10), .max = seconds(60), .factor = 2, .jitter = 0};
    spec.crash_limit = {.max_restarts = 2, .window = seconds(3600)};
  }
  void tell(EventKind kind) {
    Event event;
    event.kind = kind;
    event.dependencies_met = met;
    effects = step(life, spec, event, now);
  }
  void lose() {
    met = false;
    tell(EventKind::dependencies_unmet);
  }
  void find() {
    met = true;
    tell(EventKind::dependencies_met);
  }
  void run() {
    tell(EventKind::order_start);
    tell(EventKind::spawned);
  }
  void pass(SpanNs span) {
    now.mono += span;
    tell(EventKind::time_passed);
  }
};

TEST(Dependencies, AreWaitedForBeforeTheFirstRun) {
  Slot slot;
  slot.met = false;
  slot.tell(EventKind::order_start);
  EXPECT_EQ(slot.life.phase, Phase::waiting);
  EXPECT_EQ(slot.life.reason, Reason::dependency_missing);
  slot.lose();
  EXPECT_FALSE(slot.effects.changed);
  slot.find();
  EXPECT_TRUE(slot.effects.spawn);
}

TEST(Dependencies, LostWhileRunningChangeNothing) {
  Slot slot;
  slot.run();
  slot.lose();
  EXPECT_EQ(slot.life.phase, Phase::running);
  slot.tell(EventKind::dependency_failed);
  EXPECT_EQ(slot.life.phase, Phase::running);
}

TEST(Dependencies, DownForAnHourCostNoRetries) {
  Slot slot;
  slot.run();
  slot.met = false;
  slot.tell(EventKind::exited);
  EXPECT_EQ(slot.life.phase, Phase::waiting);
  for (int i = 0; i < 3600; ++i) {
    slot.pass(seconds(1));
    slot.tell(EventKind::dependencies_unmet);
    EXPECT_FALSE(slot.effects.spawn);
  }
  EXPECT_EQ(slot.life.failures, 1u);
  EXPECT_EQ(slot.life.restarts, 0u);
  slot.find();
  EXPECT_TRUE(slot.effects.spawn);
}

TEST(Dependencies, ThatFlapDoNotShortenTheBackoff) {
  Slot slot;
  slot.run();
  slot.tell(EventKind::exited);
  const MonoNs due = next_deadline(slot.life);
  EXPECT_EQ(due, slot.now.mono + seconds(10));
  slot.now.mono += seconds(2);
  slot.lose();
  EXPECT_EQ(slot.life.phase, Phase::waiting);
  EXPECT_EQ(next_deadline(slot.life), never) << "nobody is woken for a retry that cannot be made";
  slot.now.mono += seconds(2);
  slot.find();
  EXPECT_EQ(slot.life.phase, Phase::backoff);
  EXPECT_EQ(next_deadline(slot.life), due);
  slot.pass(seconds(6));
  EXPECT_TRUE(slot.effects.spawn);
}

TEST(Dependencies, BackAfterTheRetryTimeStartAtOnce) {
  Slot slot;
  slot.run();
  slot.tell(EventKind::exited);
  slot.lose();
  slot.now.mono += seconds(11);
  slot.find();
  EXPECT_TRUE(slot.effects.spawn);
}

TEST(Dependencies, ThatFailedForGoodAreNamedAsTheReasonAndTheGoalStays) {
  Slot slot;
  slot.met = false;
  slot.tell(EventKind::order_start);
  slot.tell(EventKind::dependency_failed);
  EXPECT_EQ(slot.life.phase, Phase::failed);
  EXPECT_EQ(slot.life.reason, Reason::dependency_failed);
  EXPECT_TRUE(slot.life.want_up);
}

TEST(Dependencies, ThatRecoverAfterAllStartWhoWaitedForThem) {
  Slot slot;
  slot.met = false;
  slot.tell(EventKind::order_start);
  slot.tell(EventKind::dependency_failed);
  slot.tell(EventKind::dependencies_unmet);
  EXPECT_EQ(slot.life.phase, Phase::waiting) << "somebody has started the dependency again";
  slot.tell(EventKind::dependency_failed);
  slot.find();
  EXPECT_TRUE(slot.effects.spawn) << "straight from failed as well";
}

TEST(Dependencies, ThatRecoverDoNotShortenTheBackoffEither) {
  Slot slot;
  slot.run();
  slot.tell(EventKind::exited);
  const MonoNs due = next_deadline(slot.life);
  slot.met = false;
  slot.tell(EventKind::dependency_failed);
  EXPECT_EQ(slot.life.phase, Phase::failed);
  slot.find();
  EXPECT_EQ(slot.life.phase, Phase::backoff);
  EXPECT_EQ(next_deadline(slot.life), due);
}

TEST(Dependencies, ThatRecoverDoNotWakeWhoWasStoppedOrGaveUpByItself) {
  Slot slot;
  slot.met = false;
  slot.tell(EventKind::order_start);
  slot.tell(EventKind::dependency_failed);
  slot.tell(EventKind::order_stop);
  EXPECT_EQ(slot.life.phase, Phase::stopped);
  slot.find();
  EXPECT_FALSE(slot.effects.spawn);

  Slot crashed;
  crashed.spec.restart = RestartPolicy::never;
  crashed.run();
  crashed.tell(EventKind::exited);
  ASSERT_EQ(crashed.life.phase, Phase::failed);
  crashed.find();
  EXPECT_FALSE(crashed.effects.spawn);
}

TEST(Dependencies, LostDuringARestartByOrderAreWaitedFor) {
  Slot slot;
  slot.run();
  slot.tell(EventKind::order_restart);
  slot.met = false;
  slot.tell(EventKind::exited);
  EXPECT_EQ(slot.life.phase, Phase::waiting);
  EXPECT_FALSE(slot.life.retry.set());
  slot.find();
  EXPECT_TRUE(slot.effects.spawn);
}

}  // namespace
}  // namespace hearth::lifecycle
