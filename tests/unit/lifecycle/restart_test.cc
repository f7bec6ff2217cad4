// Backoff, crash limit, what counts as a failure, and when failures are forgotten.
#include <vector>

#include <gtest/gtest.h>

#include "lifecycle/lifecycle.h"

namespace hearth::lifecycle {
namespace {

constexpr int cld_exited = 1;
constexpr int cld_killed = 2;

// A slot with a clock: says what happens to it, in words.
struct Slot {
  ServiceSpec spec;
  Lifecycle life;
  Effects effects;
  Now now{seconds(1000), seconds(1)};
  bool has_readiness = false;

  Slot() {
    spec.restart = RestartPolicy::on_failure;
    spec.backoff = {.initial = seconds(1), .max = seconds(30), .factor = 2, .jitter = 0, .reset_after = seconds(60)};
  }
  void tell(EventKind kind, ExitInfo exit = {}, Reason reason = Reason::none) {
    Event event;
    event.kind = kind;
    event.exit = exit;
    event.reason = reason;
    event.has_readiness = has_readiness;
    effects = step(life, spec, event, now);
  }
  void start() {
    tell(EventKind::order_start);
    tell(EventKind::spawned);
  }
  void exit(int status) { tell(EventKind::exited, {.code = cld_exited, .status = status}); }
  void pass(SpanNs span) {
    now.mono += span;
    now.wall += span;
    tell(EventKind::time_passed);
  }
  // Ends with 1 and is started again, so often.
  void fail(int times) {
    for (int i = 0; i < times; ++i) {
      exit(1);
      retry();
    }
  }
  // Waits for the retry and lets it be spawned; how long that took.
  SpanNs retry() {
    const SpanNs delay = life.retry.at - now.mono;
    pass(delay);
    EXPECT_TRUE(effects.spawn);
    tell(EventKind::spawned);
    return delay;
  }
};

// A service that goes into the background: its run begins with a leader.
TEST(Leader, MakesNobodyRunAndItsEndIsAFailureWhateverItsCode) {
  Slot slot;
  slot.tell(EventKind::order_start);
  slot.effects = step(slot.life, slot.spec, {.kind = EventKind::spawned, .main = false}, slot.now);
  EXPECT_EQ(slot.life.phase, Phase::starting);
  EXPECT_FALSE(slot.effects.changed);
  Event end;
  end.kind = EventKind::exited;
  end.exit = {.code = cld_exited, .status = 0};
  end.main = false;
  slot.effects = step(slot.life, slot.spec, end, slot.now);
  EXPECT_EQ(slot.life.phase, Phase::backoff);
  EXPECT_EQ(slot.life.failures, 1u);
}

TEST(Leader, LeavesTheMainProcessThatMakesItRun) {
  Slot slot;
  slot.tell(EventKind::order_start);
  slot.effects = step(slot.life, slot.spec, {.kind = EventKind::spawned, .main = false}, slot.now);
  slot.tell(EventKind::spawned);
  EXPECT_EQ(slot.life.phase, Phase::running);
}

TEST(Leader, ThatIsBeingStoppedGivesTheMainProcessItsWholeGrace) {
  Slot slot;
  slot.tell(EventKind::order_start);
  slot.effects = step(slot.life, slot.spec, {.kind = EventKind::spawned, .main = false}, slot.now);
  slot.tell(EventKind::order_stop);
  EXPECT_EQ(slot.life.phase, Phase::stopping);
  slot.now.mono += seconds(1);
  slot.tell(EventKind::spawned);
  EXPECT_EQ(slot.life.grace.at, after(slot.now.mono, slot.spec.stop_timeout));
}

TEST(Backoff, DoublesFromTheFirstRetryUpToItsMaximum) {
  Slot slot;
  slot.start();
  std::vector<std::int64_t> delays;
  for (int i = 0; i < 8; ++i) {
    slot.exit(1);
    EXPECT_EQ(slot.life.phase, Phase::backoff);
    delays.push_back(slot.retry() / ns_per_s);
  }
  EXPECT_EQ(delays, (std::vector<std::int64_t>{1, 2, 4, 8, 16, 30, 30, 30}));
  EXPECT_EQ(slot.life.failures, 8u);
  EXPECT_EQ(slot.life.restarts, 8u);
}

TEST(Backoff, AThousandFailuresWaitTheMaximumAndDoNotOverflow) {
  Backoff backoff{.initial = seconds(1), .max = seconds(30), .factor = 10, .jitter = 0};
  EXPECT_EQ(backoff_delay(backoff, 1000, UINT64_MAX), seconds(30));
  EXPECT_EQ(backoff_delay(backoff, UINT32_MAX, 0), seconds(30));
  backoff.max = INT64_MAX;
  backoff.jitter = 1;
  EXPECT_GT(backoff_delay(backoff, 1000, UINT64_MAX), 0);
  EXPECT_GT(backoff_delay(backoff, UINT32_MAX, UINT64_MAX), 0);
}

TEST(Backoff, JitterStaysWithinItsBoundsAndReachesBoth) {
  const Backoff backoff{.initial = seconds(1), .max = seconds(30), .factor = 2, .jitter = 0.25};
  EXPECT_EQ(backoff_delay(backoff, 1, 0), milliseconds(750));
  EXPECT_EQ(backoff_delay(backoff, 1, UINT64_C(1) << 63), seconds(1));
  EXPECT_LE(backoff_delay(backoff, 1, UINT64_MAX), milliseconds(1250));
  EXPECT_GT(backoff_delay(backoff, 1, UINT64_MAX), milliseconds(1249));
  EXPECT_EQ(backoff_delay(backoff, 1000, 0), milliseconds(22'500)) << "jitter comes after the maximum";
}

TEST(Backoff, WithoutAnInitialDelayRestartsAtOnce) {
  Slot slot;
  slot.spec.backoff.initial = 0;
  slot.start();
  slot.exit(1);
  EXPECT_EQ(slot.life.phase, Phase::starting);
  EXPECT_TRUE(slot.effects.spawn);
  EXPECT_EQ(slot.life.restarts, 1u);
}

TEST(Backoff, IsForgottenAfterRunningLongEnough) {
  Slot slot;
  slot.start();
  slot.fail(3);
  EXPECT_EQ(next_deadline(slot.life), slot.now.mono + seconds(60));
  slot.pass(seconds(60) - 1);
  EXPECT_EQ(slot.life.failures, 3u);
  slot.pass(1);
  EXPECT_EQ(slot.life.failures, 0u);
  EXPECT_EQ(next_deadline(slot.life), never);
  slot.exit(1);
  EXPECT_EQ(slot.retry(), seconds(1));
}

// What `reload` does with another reset_after.
TEST(Backoff, IsForgottenByTheNewResetAfterCountedFromWhenItCameUp) {
  Slot slot;
  slot.start();
  slot.fail(2);
  const auto adjust = [&slot](SpanNs reset_after) {
    const ServiceSpec before = slot.spec;
    slot.spec.backoff.reset_after = reset_after;
    return respecify(slot.life, before, slot.spec, slot.now);
  };
  const MonoNs up = slot.now.mono;
  slot.pass(seconds(30));
  EXPECT_FALSE(adjust(seconds(60))) << "the same";
  EXPECT_TRUE(adjust(seconds(100)));
  EXPECT_EQ(next_deadline(slot.life), up + seconds(100));
  EXPECT_TRUE(adjust(seconds(40)));
  EXPECT_EQ(next_deadline(slot.life), up + seconds(40));
  EXPECT_TRUE(adjust(seconds(10)));
  EXPECT_EQ(next_deadline(slot.life), slot.now.mono) << "it has been up for so long";
  EXPECT_EQ(slot.life.failures, 2u);
  slot.pass(0);
  EXPECT_EQ(slot.life.failures, 0u);
  EXPECT_FALSE(adjust(seconds(60))) << "nothing is left to be forgotten, and no clock begins";
  EXPECT_EQ(next_deadline(slot.life), never);
}

TEST(Backoff, IsNotForgottenByARunThatEndsTooSoon) {
  Slot slot;
  slot.start();
  slot.exit(1);
  slot.retry();
  slot.pass(seconds(59));
  slot.exit(1);
  EXPECT_EQ(slot.retry(), seconds(2));
}

TEST(Backoff, CountsStableTimeFromReadinessAndAnewWhenItIsLost) {
  Slot slot;
  slot.has_readiness = true;
  slot.start();
  slot.exit(1);
  slot.retry();
  EXPECT_EQ(slot.life.phase, Phase::starting);
  EXPECT_EQ(next_deadline(slot.life), never) << "an hour of loading is not an hour of working";
  slot.tell(EventKind::became_ready);
  slot.pass(seconds(30));
  slot.tell(EventKind::lost_ready);
  EXPECT_EQ(next_deadline(slot.life), never);
  slot.pass(seconds(100));
  slot.tell(EventKind::became_ready);
  EXPECT_EQ(next_deadline(slot.life), slot.now.mono + seconds(60));
  slot.tell(EventKind::became_ready);
  slot.pass(seconds(60));
  EXPECT_EQ(slot.life.failures, 0u);
}

TEST(Backoff, ASlotWithoutFailuresNeedsNoClock) {
  Slot slot;
  slot.start();
  EXPECT_EQ(slot.life.phase, Phase::running);
  EXPECT_EQ(next_deadline(slot.life), never);
}

TEST(CrashLimit, GivesUpAfterTheAllowedRestartsInOneWindow) {
  Slot slot;
  slot.spec.backoff.initial = 0;
  slot.spec.crash_limit = {.max_restarts = 3, .window = seconds(60)};
  slot.start();
  for (int i = 0; i < 3; ++i) {
    slot.exit(1);
    EXPECT_EQ(slot.life.phase, Phase::starting);
  }
  slot.exit(1);
  EXPECT_EQ(slot.life.phase, Phase::failed);
  EXPECT_EQ(slot.life.reason, Reason::crash_loop);
  EXPECT_TRUE(slot.life.want_up);
  EXPECT_EQ(slot.life.restarts, 3u);
  slot.pass(seconds(1000));
  EXPECT_EQ(slot.life.phase, Phase::failed) << "only an order brings it back";
  slot.tell(EventKind::dependencies_met);
  EXPECT_EQ(slot.life.phase, Phase::failed);
  slot.start();
  slot.exit(1);
  EXPECT_EQ(slot.life.phase, Phase::starting) << "an order begins a new count";
}

TEST(FailedStarts, InARowGiveUpAndNobodyElseIs) {
  Slot slot;
  slot.has_readiness = true;
  slot.spec.crash_limit.max_failed_starts = 4;
  slot.start();
  for (int i = 0; i < 100; ++i) {
    slot.tell(EventKind::became_ready);
    slot.exit(1);
    slot.retry();
  }
  EXPECT_EQ(slot.life.restarts, 100u);
  slot.fail(3);
  slot.tell(EventKind::became_ready);
  slot.exit(1);
  slot.retry();
  slot.fail(3);
  slot.exit(0);
  EXPECT_EQ(slot.life.phase, Phase::failed) << "the fourth: never ready, whatever its code";
  EXPECT_EQ(slot.life.reason, Reason::crash_loop);
  EXPECT_TRUE(slot.effects.gave_up);
  slot.tell(EventKind::order_start);
  EXPECT_EQ(slot.life.failed_starts, 0u) << "an order begins a new row";
}

TEST(FailedStarts, TheEndOfARunThatWasReadyIsNone) {
  Slot slot;
  slot.has_readiness = true;
  slot.spec.crash_limit.max_failed_starts = 1;
  slot.start();
  slot.tell(EventKind::became_ready);
  for (const Reason reason : {Reason::liveness, Reason::watchdog, Reason::memory}) {
    slot.tell(EventKind::unhealthy, {}, reason);
    slot.exit(1);
    slot.retry();
    slot.tell(EventKind::became_ready);
  }
  slot.exit(1);
  EXPECT_EQ(slot.life.phase, Phase::backoff);
  slot.retry();
  slot.exit(1);
  EXPECT_EQ(slot.life.reason, Reason::crash_loop) << "this one was never ready";
}

TEST(FailedStarts, AreThoseThatAreTooSlowOrCannotBeSpawnedToo) {
  Slot slot;
  slot.has_readiness = true;
  slot.spec.crash_limit.max_failed_starts = 2;
  slot.start();
  slot.tell(EventKind::start_timeout);
  slot.exit(0);
  slot.retry();
  slot.tell(EventKind::spawn_failed);
  EXPECT_EQ(slot.life.reason, Reason::crash_loop);
}

TEST(FailedStarts, WithoutAProbeAreOnlyThoseThatCouldNotBeSpawned) {
  Slot slot;
  slot.spec.crash_limit.max_failed_starts = 1;
  slot.start();
  slot.exit(1);
  EXPECT_EQ(slot.life.phase, Phase::backoff);
  slot.pass(slot.life.retry.at - slot.now.mono);
  slot.tell(EventKind::spawn_failed);
  EXPECT_EQ(slot.life.reason, Reason::crash_loop);
}

TEST(FailedStarts, OfATaskAreItsBadEnds) {
  Slot slot;
  slot.spec.type = ServiceType::task;
  slot.spec.crash_limit.max_failed_starts = 2;
  slot.start();
  slot.exit(1);
  slot.retry();
  slot.exit(1);
  EXPECT_EQ(slot.life.reason, Reason::crash_loop);
}

TEST(FailedStarts, AreNoneOfThoseThatHearthItselfRefused) {
  Slot slot;
  slot.has_readiness = true;
  slot.spec.crash_limit.max_failed_starts = 1;
  slot.start();
  for (const std::int64_t delay : {1, 2, 4}) {
    slot.tell(EventKind::spawn_failed, {}, Reason::refused);
    EXPECT_EQ(slot.retry(), seconds(delay));
  }
  slot.exit(1);
  EXPECT_EQ(slot.life.reason, Reason::crash_loop);
}

TEST(CrashLimit, CountsAnewInTheNextWindow) {
  Slot slot;
  slot.spec.backoff.initial = 0;
  slot.spec.crash_limit = {.max_restarts = 1, .window = seconds(60)};
  slot.start();
  for (int i = 0; i < 5; ++i) {
    slot.exit(1);
    EXPECT_EQ(slot.life.phase, Phase::starting) << i;
    slot.pass(seconds(60));
  }
}

TEST(CrashLimit, BeginsItsWindowWithTheFirstRestartAlsoSoonAfterBoot) {
  Slot slot;
  slot.now.mono = seconds(10);
  slot.spec.backoff.initial = 0;
  slot.spec.crash_limit = {.max_restarts = 1, .window = seconds(60)};
  slot.start();
  slot.exit(1);
  slot.pass(seconds(55));
  slot.exit(1);
  EXPECT_EQ(slot.life.reason, Reason::crash_loop) << "second 65 lies within the window that began at 10";
}

TEST(CrashLimit, CountsRestartsAfterSuccessToo) {
  Slot slot;
  slot.spec.restart = RestartPolicy::always;
  slot.spec.backoff.initial = 0;
  slot.spec.crash_limit = {.max_restarts = 2, .window = seconds(60)};
  slot.start();
  for (int i = 0; i < 3; ++i) slot.exit(0);
  EXPECT_EQ(slot.life.reason, Reason::crash_loop);
}

TEST(RestartPolicy, AlwaysRestartsAfterSuccessWithTheInitialDelayAndEndsTheRowOfFailures) {
  Slot slot;
  slot.spec.restart = RestartPolicy::always;
  slot.start();
  slot.fail(4);
  slot.exit(0);
  EXPECT_EQ(slot.life.failures, 0u);
  EXPECT_EQ(slot.retry(), seconds(1));
  slot.exit(1);
  EXPECT_EQ(slot.retry(), seconds(1));
}

TEST(RestartPolicy, NeverCompletesAfterSuccessAndFailsAfterFailure) {
  Slot slot;
  slot.spec.restart = RestartPolicy::never;
  slot.start();
  slot.exit(0);
  EXPECT_EQ(slot.life.phase, Phase::completed);
  slot.start();
  slot.exit(1);
  EXPECT_EQ(slot.life.phase, Phase::failed);
  EXPECT_EQ(slot.life.reason, Reason::exited);
  EXPECT_EQ(slot.life.restarts, 0u);
}

TEST(RestartPolicy, ADaemonThatEndsWellBeforeItWasReadyHasFailed) {
  Slot slot;
  slot.has_readiness = true;
  slot.start();
  slot.exit(0);
  EXPECT_EQ(slot.life.phase, Phase::backoff);
  EXPECT_EQ(slot.life.failures, 1u);
}

TEST(RestartPolicy, ATaskUnderNeverThatEndsWellBeforeItWasReadyIsCompleted) {
  Slot slot;
  slot.has_readiness = true;
  slot.spec.restart = RestartPolicy::never;
  slot.start();
  slot.exit(0);
  EXPECT_EQ(slot.life.phase, Phase::completed);
}

TEST(RestartPolicy, ASuccessIsAListedExitCodeAndNothingElse) {
  ServiceSpec spec;
  spec.success_exit_codes = {0, 75};
  EXPECT_TRUE(is_success({.code = cld_exited, .status = 0}, spec));
  EXPECT_TRUE(is_success({.code = cld_exited, .status = 75}, spec));
  EXPECT_FALSE(is_success({.code = cld_exited, .status = 1}, spec));
  EXPECT_FALSE(is_success({.code = cld_killed, .status = 0}, spec));
  EXPECT_FALSE(is_success({.code = -1, .status = 0}, spec)) << "unknown counts as failure";
  EXPECT_FALSE(is_success({.code = cld_exited, .status = 0, .fail_stage = 1}, spec));
  EXPECT_FALSE(is_success({}, spec));
}

TEST(RestartPolicy, AnUnknownEndIsAFailureWithItsOwnReason) {
  Slot slot;
  slot.start();
  slot.tell(EventKind::exited, {.code = -1});
  EXPECT_EQ(slot.life.phase, Phase::backoff);
  EXPECT_EQ(slot.life.reason, Reason::lost);
}

TEST(RestartPolicy, ARunThatWeEndedForItsHealthIsAFailureHoweverItExits) {
  Slot slot;
  slot.start();
  slot.tell(EventKind::unhealthy, {}, Reason::watchdog);
  EXPECT_EQ(slot.effects.signal, 15);
  slot.exit(0);
  EXPECT_EQ(slot.life.phase, Phase::backoff);
  EXPECT_EQ(slot.life.reason, Reason::watchdog);
  EXPECT_EQ(slot.life.failures, 1u);
}

TEST(RestartPolicy, UnderNeverAnUnhealthyRunIsStoppedAndStaysDown) {
  Slot slot;
  slot.spec.restart = RestartPolicy::never;
  slot.start();
  slot.tell(EventKind::unhealthy, {}, Reason::liveness);
  slot.exit(0);
  EXPECT_EQ(slot.life.phase, Phase::failed);
  EXPECT_EQ(slot.life.reason, Reason::liveness);
}

TEST(RestartPolicy, ASpawnThatOurOwnShortageRefusedIsRetriedUnderEveryPolicyAndNotCounted) {
  Slot slot;
  slot.spec.restart = RestartPolicy::never;
  slot.spec.crash_limit = {.max_restarts = 1, .window = seconds(60)};
  slot.start();
  for (const std::int64_t delay : {1, 2, 4}) {
    slot.tell(EventKind::spawn_failed, {}, Reason::refused);
    EXPECT_EQ(slot.life.phase, Phase::backoff);
    EXPECT_EQ(slot.life.reason, Reason::refused);
    EXPECT_EQ(slot.retry(), seconds(delay));
  }
  EXPECT_EQ(slot.life.restarts, 0u);
}

TEST(RestartPolicy, AnOrderOvertakesTheBackoffAndForgetsTheFailures) {
  Slot slot;
  slot.start();
  slot.fail(4);
  slot.exit(1);
  slot.tell(EventKind::order_start);
  EXPECT_TRUE(slot.effects.spawn);
  EXPECT_EQ(slot.life.failures, 0u);
  slot.exit(1);
  EXPECT_EQ(slot.retry(), seconds(1));
}

}  // namespace
}  // namespace hearth::lifecycle
