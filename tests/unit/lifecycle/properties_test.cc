// Promises over random lives. The test plays the world: it delivers the end of a run only while one lives (the
// caller's part of the contract); everything else comes in any order.
#include <algorithm>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "lifecycle/lifecycle.h"

namespace hearth::lifecycle {
namespace {

constexpr int event_kinds = static_cast<int>(EventKind::time_passed) + 1;

struct Happening {
  EventKind kind = EventKind::time_passed;
  SpanNs later = 0;
  int choice = 0;
  std::uint64_t random = 0;
};

void showValue(const Happening& h, std::ostream& out) {
  out << "{event " << static_cast<int>(h.kind) << ", +" << h.later << " ns, " << h.choice << "}";
}

rc::Gen<std::vector<Happening>> happenings() {
  const auto kind = rc::gen::map(rc::gen::inRange(0, event_kinds), [](int n) { return static_cast<EventKind>(n); });
  const auto later =
      rc::gen::element<SpanNs>(0, 1, milliseconds(1), milliseconds(100), seconds(1), seconds(10), seconds(100));
  return rc::gen::container<std::vector<Happening>>(rc::gen::build<Happening>(
      rc::gen::set(&Happening::kind, kind), rc::gen::set(&Happening::later, later),
      rc::gen::set(&Happening::choice, rc::gen::inRange(0, 16)), rc::gen::set(&Happening::random)));
}

ServiceSpec any_spec() {
  ServiceSpec spec;
  spec.restart = *rc::gen::element(RestartPolicy::always, RestartPolicy::on_failure, RestartPolicy::never);
  spec.backoff.initial = *rc::gen::element<SpanNs>(0, milliseconds(200), seconds(5));
  spec.backoff.jitter = *rc::gen::element(0.0, 0.1, 1.0);
  spec.crash_limit.max_restarts = *rc::gen::inRange(0u, 6u);
  spec.stop_timeout = *rc::gen::element(milliseconds(500), seconds(10));
  spec.type = *rc::gen::element(ServiceType::service, ServiceType::service, ServiceType::task);
  spec.retry_after = *rc::gen::element<SpanNs>(0, 0, seconds(50));
  Actions& actions = spec.actions.edit();
  for (Action* action : {&actions.before_start, &actions.before_stop, &actions.stop, &actions.after_stop})
    if (*rc::gen::inRange(0, 3) == 0) action->command = {"/bin/hook"};
  return spec;
}

class World {
 public:
  explicit World(ServiceSpec spec) : spec_(std::move(spec)) {}

  // False when the happening cannot be: the end of a run where none is.
  bool happen(const Happening& h) {
    const bool ends = h.kind == EventKind::exited || h.kind == EventKind::spawn_failed;
    if (ends && !alive) return false;
    if (h.kind == EventKind::hook_ended && hook == Hook::none) return false;
    now.mono += h.later;
    now.wall += h.later;
    event = {};
    event.kind = h.kind;
    event.random = h.random;
    event.hold = h.choice % 2 == 1;
    event.has_readiness = h.choice % 3 == 0;
    event.exit = {.code = 1, .status = h.choice % 4 == 0 ? 0 : 1};
    event.reason = ends && h.choice % 5 == 0 ? Reason::refused : Reason::none;
    event.hook = hook;
    event.good = h.choice % 3 != 0;
    if (h.kind == EventKind::dependencies_met) dependencies = true;
    if (h.kind == EventKind::dependencies_unmet || h.kind == EventKind::dependency_failed) dependencies = false;
    event.dependencies_met = dependencies;
    before = life;
    effects = step(life, spec_, event, now);
    if (ends) alive = false;
    if (h.kind == EventKind::hook_ended) hook = Hook::none;
    hook_beside_a_hook = effects.hook != Hook::none && hook != Hook::none;
    if (effects.hook != Hook::none) hook = effects.hook;
    prepared = effects.spawn || effects.hook != Hook::before_start ? prepared : false;
    if (h.kind == EventKind::hook_ended && event.hook == Hook::before_start) prepared = event.good;
    spawned_unprepared =
        effects.spawn && (hook != Hook::none || !(prepared || spec_.actions->before_start.command.empty()));
    if (effects.spawn) prepared = false;
    spawned_beside_a_run = effects.spawn && alive;
    if (effects.spawn) alive = true;
    return true;
  }
  bool deliberate_order() const {
    return event.kind == EventKind::order_start || event.kind == EventKind::order_restart;
  }

  Lifecycle life;
  Lifecycle before;
  Event event;
  Effects effects;
  Now now{seconds(1000), seconds(1)};
  bool alive = false;
  bool dependencies = true;
  bool spawned_beside_a_run = false;
  Hook hook = Hook::none;  // under way
  bool prepared = false;   // before_start has succeeded, and nothing was spawned since
  bool hook_beside_a_hook = false;
  bool spawned_unprepared = false;

 private:
  ServiceSpec spec_;
};

RC_GTEST_PROP(LifecycleProperty, AtMostOneRunLives, ()) {
  World world(any_spec());
  for (const Happening& h : *happenings()) {
    if (!world.happen(h)) continue;
    RC_ASSERT(!world.spawned_beside_a_run);
    RC_ASSERT(world.life.run_live == world.alive);
  }
}

RC_GTEST_PROP(LifecycleProperty, OneHookIsUnderWayAndNoRunBeginsBesideItOrBeforeItsBeforeStart, ()) {
  World world(any_spec());
  for (const Happening& h : *happenings()) {
    if (!world.happen(h)) continue;
    RC_ASSERT(!world.hook_beside_a_hook);
    RC_ASSERT(!world.spawned_unprepared);
    RC_ASSERT(world.life.hook == world.hook);
    if (world.effects.end_hook || world.effects.kill_hook) RC_ASSERT(world.hook != Hook::none);
  }
}

RC_GTEST_PROP(LifecycleProperty, NothingButAnOrderBringsBackWhatWasStopped, ()) {
  World world(any_spec());
  bool stopped = true;
  for (const Happening& h : *happenings()) {
    if (!world.happen(h)) continue;
    if (world.event.kind == EventKind::order_stop) stopped = true;
    if (world.deliberate_order()) stopped = false;
    RC_ASSERT(!(stopped && world.effects.spawn));
    RC_ASSERT(world.life.want_up == !stopped);
  }
}

RC_GTEST_PROP(LifecycleProperty, NothingIsSpawnedNorFailuresCountedWhileADependencyIsDown, ()) {
  World world(any_spec());
  for (const Happening& h : *happenings()) {
    if (!world.happen(h)) continue;
    if (world.dependencies) continue;
    RC_ASSERT(!world.effects.spawn);
    // Whatever ran before, service or hook, may end and count; after that the count stands still.
    if (!world.before.run_live && world.before.hook == Hook::none)
      RC_ASSERT(world.life.failures <= world.before.failures);
  }
}

RC_GTEST_PROP(LifecycleProperty, ARetryTimeIsKeptUntilItPassesOrAnOrderOvertakesIt, ()) {
  World world(any_spec());
  MonoNs earliest = 0;
  for (const Happening& h : *happenings()) {
    if (!world.happen(h)) continue;
    if (world.deliberate_order() || world.event.kind == EventKind::order_stop) earliest = 0;
    if (world.effects.spawn) {
      RC_ASSERT(world.now.mono >= earliest);
      earliest = 0;
    }
    if (world.before.run_live && !world.life.run_live && world.life.retry.set()) earliest = world.life.retry.at;
  }
}

RC_GTEST_PROP(LifecycleProperty, SignalsGoOnlyToALiveRunAndEachAtMostOnce, ()) {
  World world(any_spec());
  int stops = 0;
  int kills = 0;
  for (const Happening& h : *happenings()) {
    if (!world.happen(h)) continue;
    if (world.effects.spawn) stops = kills = 0;
    if (world.effects.signal != 0) RC_ASSERT(world.alive);
    if (world.effects.signal == 15) RC_ASSERT(++stops == 1 && kills == 0);
    if (world.effects.signal == 9) RC_ASSERT(++kills == 1);
  }
}

RC_GTEST_PROP(LifecycleProperty, NoClockStaysDueOnceItHasBeenLookedAt, ()) {
  World world(any_spec());
  for (const Happening& h : *happenings()) {
    world.happen(h);
    world.happen({EventKind::time_passed, 0, 0, 0});
    RC_ASSERT(next_deadline(world.life) > world.now.mono);
  }
}

RC_GTEST_PROP(LifecycleProperty, AnAbsenceOfAnyLengthKillsNobody, ()) {
  World world(any_spec());
  for (const Happening& h : *happenings()) world.happen(h);
  world.happen({EventKind::time_passed, 0, 0, 0});  // somebody watched until here
  const MonoNs gone = world.now.mono;
  world.now.mono += *rc::gen::inRange<SpanNs>(1, seconds(100'000));
  forgive_absence(world.life, gone, world.now.mono);
  world.happen({EventKind::time_passed, 0, 0, 0});
  RC_ASSERT(world.effects.signal == 0);
}

RC_GTEST_PROP(LifecycleProperty, ChangedSaysWhetherSomethingChanged, ()) {
  World world(any_spec());
  for (const Happening& h : *happenings()) {
    if (!world.happen(h)) continue;
    RC_ASSERT(world.effects.changed == !(world.life == world.before));
  }
}

RC_GTEST_PROP(BackoffProperty, DelaysStayWithinTheJitterOfTheCappedPower, ()) {
  Backoff backoff;
  backoff.initial = *rc::gen::inRange<SpanNs>(1, seconds(100));
  backoff.max = *rc::gen::inRange<SpanNs>(1, seconds(1000));
  backoff.factor = *rc::gen::inRange(1, 11);
  backoff.jitter = *rc::gen::inRange(0, 101) / 100.0;
  const auto failures = *rc::gen::inRange(1u, 5000u);
  const SpanNs delay = backoff_delay(backoff, failures, *rc::gen::arbitrary<std::uint64_t>());
  RC_ASSERT(delay >= 0);
  RC_ASSERT(static_cast<double>(delay) <= static_cast<double>(backoff.max) * (1 + backoff.jitter) + 1);
  const double least = static_cast<double>(std::min(backoff.initial, backoff.max)) * (1 - backoff.jitter);
  RC_ASSERT(static_cast<double>(delay) >= least - 1);
}

}  // namespace
}  // namespace hearth::lifecycle
