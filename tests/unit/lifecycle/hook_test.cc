// Hooks in the order in which they come, tasks, giving up, and restarts with a dependency that are damped.
#include <gtest/gtest.h>

#include "lifecycle/lifecycle.h"

namespace hearth::lifecycle {
namespace {

struct Slot {
  ServiceSpec spec;
  Lifecycle life;
  Effects effects;
  Now now{seconds(1000), seconds(1)};
  bool dependencies = true;

  Slot() {
    spec.backoff = {.initial = seconds(1), .max = seconds(30), .factor = 2, .jitter = 0, .reset_after = seconds(60)};
    spec.stop_timeout = seconds(10);
    Actions& actions = spec.actions.edit();
    for (Action* action : {&actions.before_start, &actions.before_stop, &actions.stop, &actions.after_stop})
      action->command = {"/bin/hook"};
  }
  void tell(Event event) {
    event.dependencies_met = dependencies;
    effects = step(life, spec, event, now);
  }
  void hook(Hook hook, bool good = true) {
    tell({.kind = EventKind::hook_ended,
          .reason = good ? Reason::none : Reason::hook_failed,
          .hook = hook,
          .good = good});
  }
  void start() {
    tell({.kind = EventKind::order_start});
    EXPECT_EQ(effects.hook, Hook::before_start);
    hook(Hook::before_start);
    EXPECT_TRUE(effects.spawn);
    tell({.kind = EventKind::spawned});
    EXPECT_EQ(life.phase, Phase::running);
  }
  void stop(bool hold = false) { tell({.kind = EventKind::order_stop, .hold = hold}); }
  void exit(int status) { tell({.kind = EventKind::exited, .exit = {.code = 1, .status = status}}); }
  void pass(SpanNs span) {
    now.mono += span;
    now.wall += span;
    tell({.kind = EventKind::time_passed});
  }
};

// ---- before_start ------------------------------------------------------------------------------------

TEST(BeforeStart, ComesBeforeEachRun) {
  Slot slot;
  slot.tell({.kind = EventKind::order_start});
  EXPECT_EQ(slot.effects.hook, Hook::before_start);
  EXPECT_FALSE(slot.effects.spawn);
  EXPECT_EQ(slot.life.phase, Phase::starting);
  slot.hook(Hook::before_start);
  EXPECT_TRUE(slot.effects.spawn);
  slot.tell({.kind = EventKind::spawned});
  slot.exit(1);
  EXPECT_EQ(slot.effects.hook, Hook::after_stop);
  slot.hook(Hook::after_stop);
  slot.pass(seconds(1));
  EXPECT_EQ(slot.effects.hook, Hook::before_start);
  EXPECT_FALSE(slot.effects.spawn);
}

TEST(BeforeStart, ThatFailsIsAFailedStart) {
  Slot slot;
  slot.tell({.kind = EventKind::order_start});
  slot.hook(Hook::before_start, false);
  EXPECT_FALSE(slot.effects.spawn);
  EXPECT_EQ(slot.life.phase, Phase::backoff);
  EXPECT_EQ(slot.life.reason, Reason::hook_failed);
  EXPECT_EQ(slot.life.failures, 1u);
  EXPECT_EQ(slot.effects.hook, Hook::after_stop) << "what it has begun is cleared away";
  EXPECT_TRUE(slot.effects.beside & hook_bit(Hook::on_failure));
}

TEST(BeforeStart, ThatFailsUnderNeverIsGivenUp) {
  Slot slot;
  slot.spec.restart = RestartPolicy::never;
  slot.tell({.kind = EventKind::order_start});
  slot.hook(Hook::before_start, false);
  EXPECT_EQ(slot.life.phase, Phase::failed);
  EXPECT_TRUE(slot.effects.gave_up);
}

TEST(BeforeStart, ComesAgainWhenDependenciesWentMeanwhile) {
  Slot slot;
  slot.tell({.kind = EventKind::order_start});
  slot.dependencies = false;
  slot.hook(Hook::before_start);
  EXPECT_EQ(slot.life.phase, Phase::waiting);
  slot.hook(Hook::after_stop);
  slot.dependencies = true;
  slot.tell({.kind = EventKind::dependencies_met});
  EXPECT_EQ(slot.effects.hook, Hook::before_start);
}

TEST(BeforeStart, IsEndedByAStopAndKilledByTheSecond) {
  Slot slot;
  slot.tell({.kind = EventKind::order_start});
  slot.stop();
  EXPECT_TRUE(slot.effects.end_hook);
  EXPECT_EQ(slot.life.phase, Phase::stopping);
  slot.stop();
  EXPECT_TRUE(slot.effects.kill_hook);
  EXPECT_EQ(slot.effects.signal, 0) << "there is no run";
  slot.hook(Hook::before_start, false);
  EXPECT_EQ(slot.effects.hook, Hook::after_stop);
  slot.hook(Hook::after_stop);
  EXPECT_EQ(slot.life.phase, Phase::stopped);
}

TEST(BeforeStart, ThatIsRestartedEndsAndComesAgain) {
  Slot slot;
  slot.spec.actions.edit().after_stop.command.clear();
  slot.tell({.kind = EventKind::order_start});
  slot.tell({.kind = EventKind::order_restart});
  EXPECT_TRUE(slot.effects.end_hook);
  slot.hook(Hook::before_start, false);
  EXPECT_EQ(slot.life.phase, Phase::starting);
  EXPECT_EQ(slot.effects.hook, Hook::before_start);
}

// ---- stop --------------------------------------------------------------------------------------------

TEST(StopHooks, ComeOneAfterTheOther) {
  Slot slot;
  slot.start();
  slot.stop();
  EXPECT_EQ(slot.effects.hook, Hook::before_stop);
  EXPECT_EQ(slot.effects.signal, 0);
  EXPECT_EQ(next_deadline(slot.life), never) << "the grace period begins with the stop command";
  slot.now.mono += seconds(3);
  slot.hook(Hook::before_stop, false);
  EXPECT_EQ(slot.effects.hook, Hook::stop) << "what before_stop says is told and changes nothing";
  EXPECT_EQ(next_deadline(slot.life), slot.now.mono + seconds(10));
  const MonoNs grace = next_deadline(slot.life);
  slot.now.mono += seconds(1);
  slot.hook(Hook::stop);
  EXPECT_EQ(slot.effects.signal, 15) << "who is there still hears the stop signal";
  EXPECT_EQ(next_deadline(slot.life), grace) << "grace counts from the beginning";
  slot.exit(0);
  EXPECT_EQ(slot.life.phase, Phase::stopping);
  EXPECT_EQ(slot.effects.hook, Hook::after_stop);
  slot.hook(Hook::after_stop);
  EXPECT_EQ(slot.life.phase, Phase::stopped);
}

TEST(StopHooks, AStopCommandThatEndsTheRunSparesItTheSignal) {
  Slot slot;
  slot.spec.actions.edit().before_stop.command.clear();
  slot.start();
  slot.stop();
  EXPECT_EQ(slot.effects.hook, Hook::stop);
  slot.exit(0);
  EXPECT_EQ(slot.effects.hook, Hook::none) << "the command has not ended";
  slot.hook(Hook::stop);
  EXPECT_EQ(slot.effects.signal, 0);
  EXPECT_EQ(slot.effects.hook, Hook::after_stop);
}

TEST(StopHooks, AStopCommandThatHangsEndsWithTheGracePeriod) {
  Slot slot;
  slot.spec.actions.edit().before_stop.command.clear();
  slot.start();
  slot.stop();
  slot.pass(seconds(10));
  EXPECT_EQ(slot.effects.signal, 9);
  EXPECT_TRUE(slot.effects.kill_hook);
  slot.hook(Hook::stop, false);
  EXPECT_EQ(slot.effects.signal, 0) << "KILL was sent";
  slot.exit(0);
  EXPECT_EQ(slot.effects.hook, Hook::after_stop);
}

TEST(StopHooks, AreNotAskedOfWhoIsIllOrWasNeverUp) {
  Slot ill;
  ill.start();
  ill.tell({.kind = EventKind::unhealthy, .reason = Reason::watchdog});
  EXPECT_EQ(ill.effects.signal, 15);
  EXPECT_EQ(ill.effects.hook, Hook::none);
  Slot young;
  young.tell({.kind = EventKind::order_start});
  young.hook(Hook::before_start);
  young.tell({.kind = EventKind::spawned, .has_readiness = true});
  young.stop();
  EXPECT_EQ(young.effects.signal, 15);
  EXPECT_EQ(young.effects.hook, Hook::none);
}

TEST(StopHooks, WaitWhileTheStopIsHeld) {
  Slot slot;
  slot.start();
  slot.stop(true);
  EXPECT_EQ(slot.effects.hook, Hook::none);
  slot.tell({.kind = EventKind::release_stop});
  EXPECT_EQ(slot.effects.hook, Hook::before_stop);
}

TEST(StopHooks, AreOverWhenSomebodyInsists) {
  Slot slot;
  slot.start();
  slot.stop();
  slot.stop();
  EXPECT_EQ(slot.effects.signal, 9);
  EXPECT_TRUE(slot.effects.kill_hook);
  slot.exit(0);
  slot.hook(Hook::before_stop, false);
  EXPECT_EQ(slot.effects.hook, Hook::after_stop);
  slot.stop();
  EXPECT_TRUE(slot.effects.kill_hook);
}

TEST(StopHooks, AStartDuringThemBringsItBack) {
  Slot slot;
  slot.start();
  slot.stop();
  slot.exit(0);
  slot.hook(Hook::before_stop);
  EXPECT_EQ(slot.effects.hook, Hook::after_stop);
  slot.tell({.kind = EventKind::order_start});
  EXPECT_EQ(slot.life.phase, Phase::stopping);
  slot.hook(Hook::after_stop);
  EXPECT_EQ(slot.life.phase, Phase::starting);
  EXPECT_EQ(slot.effects.hook, Hook::before_start);
}

// ---- after_stop --------------------------------------------------------------------------------------

TEST(AfterStop, IsWaitedForByTheNextRun) {
  Slot slot;
  slot.spec.backoff.initial = 0;
  slot.start();
  slot.exit(1);
  EXPECT_EQ(slot.life.phase, Phase::starting);
  EXPECT_EQ(slot.effects.hook, Hook::after_stop);
  EXPECT_FALSE(slot.effects.spawn);
  slot.hook(Hook::after_stop, false);
  EXPECT_EQ(slot.effects.hook, Hook::before_start);
}

TEST(AfterStop, LongerThanTheBackoffPutsTheRetryOff) {
  Slot slot;
  slot.start();
  slot.exit(1);
  EXPECT_EQ(slot.life.phase, Phase::backoff);
  slot.pass(seconds(1));
  EXPECT_EQ(slot.life.phase, Phase::starting);
  EXPECT_EQ(slot.effects.hook, Hook::none);
  EXPECT_EQ(slot.life.restarts, 1u);
  slot.hook(Hook::after_stop);
  EXPECT_EQ(slot.effects.hook, Hook::before_start);
  EXPECT_EQ(slot.life.restarts, 1u) << "counted once";
}

TEST(AfterStop, FollowsACommandThatIsNotThere) {
  Slot slot;
  slot.tell({.kind = EventKind::order_start});
  slot.hook(Hook::before_start);
  slot.tell({.kind = EventKind::spawn_failed, .exit = {.fail_stage = 12, .fail_errno = 2}});
  EXPECT_EQ(slot.effects.hook, Hook::after_stop);
}

TEST(AfterStop, IsNotAskedOfARunThatWasRefused) {
  Slot slot;
  slot.tell({.kind = EventKind::order_start});
  slot.hook(Hook::before_start);
  slot.tell({.kind = EventKind::spawn_failed, .reason = Reason::refused});
  EXPECT_EQ(slot.effects.hook, Hook::none);
  EXPECT_EQ(slot.effects.beside, 0);
}

TEST(AfterStop, ClearsAwayAfterBeforeStartOfAStartThatWasTakenBack) {
  Slot slot;
  slot.tell({.kind = EventKind::order_start});
  slot.hook(Hook::before_start);
  slot.tell({.kind = EventKind::spawn_failed, .reason = Reason::dependency_missing});
  EXPECT_EQ(slot.life.phase, Phase::waiting);
  EXPECT_EQ(slot.effects.hook, Hook::after_stop);
  EXPECT_EQ(slot.effects.beside, 0) << "it has not failed";
  EXPECT_EQ(slot.life.failures, 0u);
}

TEST(AfterStop, EndsBeforeAnOrderedStopIsOver) {
  Slot slot;
  slot.start();
  slot.exit(1);
  slot.stop();
  EXPECT_EQ(slot.life.phase, Phase::stopping);
  EXPECT_FALSE(slot.effects.end_hook) << "the run before is cleared away after";
  slot.hook(Hook::after_stop);
  EXPECT_EQ(slot.life.phase, Phase::stopped);
}

TEST(Hooks, TheEndOfAnotherOneIsNotHeard) {
  Slot slot;
  slot.tell({.kind = EventKind::order_start});
  slot.hook(Hook::after_stop);
  EXPECT_FALSE(slot.effects.changed);
  EXPECT_EQ(slot.life.hook, Hook::before_start);
}

// ---- beside ------------------------------------------------------------------------------------------

TEST(Beside, AfterStartComesOnceWithARun) {
  Slot slot;
  slot.tell({.kind = EventKind::order_start});
  slot.hook(Hook::before_start);
  slot.tell({.kind = EventKind::spawned, .has_readiness = true});
  EXPECT_EQ(slot.effects.beside, 0);
  slot.tell({.kind = EventKind::became_ready, .has_readiness = true});
  EXPECT_EQ(slot.effects.beside, hook_bit(Hook::after_start));
  slot.tell({.kind = EventKind::lost_ready, .has_readiness = true});
  slot.tell({.kind = EventKind::became_ready, .has_readiness = true});
  EXPECT_EQ(slot.effects.beside, 0);
}

TEST(Beside, WhoWasTakenOverHadItsAfterStart) {
  Slot slot;
  slot.life.phase = Phase::starting;
  slot.life.reason = Reason::adopted;
  slot.life.want_up = slot.life.run_live = true;
  slot.tell({.kind = EventKind::spawned});
  EXPECT_EQ(slot.life.phase, Phase::running);
  EXPECT_EQ(slot.effects.beside, 0);
}

TEST(Beside, AStopIsNoFailure) {
  Slot slot;
  slot.start();
  slot.stop();
  slot.exit(1);
  slot.hook(Hook::before_stop);
  EXPECT_EQ(slot.effects.beside, 0);
}

// ---- tasks -------------------------------------------------------------------------------------------

TEST(Task, ThatEndsWellIsCompletedUnderEveryPolicy) {
  for (const RestartPolicy policy : {RestartPolicy::always, RestartPolicy::on_failure, RestartPolicy::never}) {
    Slot slot;
    slot.spec.type = ServiceType::task;
    slot.spec.restart = policy;
    slot.start();
    slot.exit(0);
    EXPECT_EQ(slot.life.phase, Phase::completed);
  }
}

TEST(Task, IsTriedAgainAfterAFailureOnRequest) {
  Slot slot;
  slot.spec.type = ServiceType::task;
  slot.spec.restart = RestartPolicy::on_failure;
  slot.start();
  slot.exit(1);
  EXPECT_EQ(slot.life.phase, Phase::backoff);
  slot.spec.restart = RestartPolicy::never;
  slot.tell({.kind = EventKind::order_start});
  slot.hook(Hook::after_stop);
  slot.hook(Hook::before_start);
  slot.tell({.kind = EventKind::spawned});
  slot.exit(1);
  EXPECT_EQ(slot.life.phase, Phase::failed);
}

// ---- giving up ---------------------------------------------------------------------------------------

TEST(GivingUp, IsForGoodUnlessSomethingElseWasAskedFor) {
  Slot slot;
  slot.spec.actions = {};
  slot.spec.crash_limit = {.max_restarts = 1, .window = seconds(60)};
  slot.tell({.kind = EventKind::order_start});
  slot.tell({.kind = EventKind::spawned});
  slot.exit(1);
  EXPECT_FALSE(slot.effects.gave_up);
  slot.pass(seconds(1));
  slot.tell({.kind = EventKind::spawned});
  slot.exit(1);
  EXPECT_TRUE(slot.effects.gave_up);
  EXPECT_EQ(slot.effects.beside, hook_bit(Hook::on_failure) | hook_bit(Hook::on_give_up));
  EXPECT_EQ(next_deadline(slot.life), never);
}

TEST(GivingUp, WithRetryAfterIsTriedAgainForEver) {
  Slot slot;
  slot.spec.actions = {};
  slot.spec.restart = RestartPolicy::never;
  slot.spec.retry_after = seconds(3600);
  slot.tell({.kind = EventKind::order_start});
  for (std::uint32_t round = 0; round < 5; ++round) {
    slot.tell({.kind = EventKind::spawned});
    slot.exit(1);
    EXPECT_EQ(slot.life.phase, Phase::failed);
    EXPECT_EQ(slot.life.restarts, round);
    EXPECT_EQ(next_deadline(slot.life), slot.now.mono + seconds(3600));
    slot.pass(seconds(3600));
    EXPECT_TRUE(slot.effects.spawn);
    EXPECT_EQ(slot.life.failures, 0u);
  }
}

TEST(GivingUp, AFailedDependencyIsNotTriedAgainByTheClock) {
  Slot slot;
  slot.spec.retry_after = seconds(10);
  slot.dependencies = false;
  slot.tell({.kind = EventKind::order_start});
  slot.tell({.kind = EventKind::dependency_failed});
  EXPECT_FALSE(slot.effects.gave_up);
  EXPECT_EQ(next_deadline(slot.life), never);
}

// ---- damping -----------------------------------------------------------------------------------------

TEST(Damping, RestartsWithADependencyComeNoFasterThanTheBackoff) {
  Slot slot;
  slot.spec.actions = {};
  slot.tell({.kind = EventKind::order_start});
  slot.tell({.kind = EventKind::spawned});
  for (const SpanNs delay : {seconds(1), seconds(2), seconds(4)}) {
    EXPECT_FALSE(is_damped(slot.life));
    slot.tell({.kind = EventKind::dependency_restarted});
    EXPECT_EQ(slot.effects.signal, 15);
    EXPECT_TRUE(is_damped(slot.life));
    slot.exit(0);
    slot.tell({.kind = EventKind::spawned});
    EXPECT_EQ(next_deadline(slot.life), slot.now.mono + delay);
    slot.pass(delay - 1);
    EXPECT_TRUE(is_damped(slot.life));
    slot.pass(1);
  }
  EXPECT_EQ(next_deadline(slot.life), never);
  slot.pass(seconds(60));
  slot.tell({.kind = EventKind::dependency_restarted});
  EXPECT_EQ(slot.life.follows, 1u) << "the row has ended";
}

TEST(Damping, WithoutABackoffThereIsNone) {
  Slot slot;
  slot.spec.actions = {};
  slot.spec.backoff.initial = 0;
  slot.tell({.kind = EventKind::order_start});
  slot.tell({.kind = EventKind::spawned});
  slot.tell({.kind = EventKind::dependency_restarted});
  EXPECT_FALSE(is_damped(slot.life));
}

}  // namespace
}  // namespace hearth::lifecycle
