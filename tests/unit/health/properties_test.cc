// Promises over random runs: messages, results and time in any order.
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "health/health.h"

namespace hearth::health {
namespace {

rc::Gen<std::string> line() {
  return rc::gen::element<std::string>("READY=1", "RELOADING=1", "STOPPING=1", "WATCHDOG=1", "WATCHDOG=trigger",
                                       "STATUS=busy", "STATUS=", "ERRNO=2", "MAINPID=77", "WATCHDOG_USEC=0",
                                       "WATCHDOG_USEC=500000", "EXTEND_TIMEOUT_USEC=90000000", "EXTEND_TIMEOUT_USEC=1",
                                       "EXTEND_TIMEOUT_USEC=99999999999999999999", "nonsense", "READY=0");
}

std::string any_message() {
  std::string text;
  for (const std::string& one : *rc::gen::container<std::vector<std::string>>(line())) text += one + "\n";
  return text;
}

ServiceSpec any_spec() {
  const auto type = rc::gen::element(ProbeType::none, ProbeType::notify, ProbeType::http);
  ServiceSpec spec;
  spec.ready.edit().type = *type;
  spec.live.edit().type = *type;
  spec.ready.edit().success_threshold = *rc::gen::inRange(0u, 3u);
  spec.ready.edit().failure_threshold = *rc::gen::inRange(0u, 3u);
  spec.watchdog = *rc::gen::element<SpanNs>(0, seconds(1), seconds(20));
  spec.start_timeout = *rc::gen::element<SpanNs>(0, seconds(1), seconds(60));
  return spec;
}

class World {
 public:
  World() : spec(any_spec()) { take(watch(health, spec, now)); }

  void happen() {
    switch (*rc::gen::inRange(0, 6)) {
      case 0:
      case 1: take(notify(health, spec, message(any_message()), now)); break;
      case 2: take(result(Which::ready)); break;
      case 3: take(result(Which::live)); break;
      case 4:
        now.mono += *rc::gen::element<SpanNs>(0, 1, milliseconds(400), seconds(1), seconds(30));
        take(time_passed(health, spec, now));
        break;
      default: forget_tries(health, now);
    }
  }
  Verdict result(Which which) {
    const ProbeState& probe = which == Which::ready ? health.ready_probe : health.live_probe;
    const std::uint64_t attempt = probe.attempt + *rc::gen::element<std::uint64_t>(0, 0, 0, 1, UINT64_MAX);
    return probe_result(health, spec, which, attempt, *rc::gen::arbitrary<bool>(), now);
  }
  static NotifyMessage message(const std::string& text) { return parse_notify(text.data(), text.size()); }
  void take(const Verdict& v) {
    verdict = v;
    deaths += v.unhealthy || v.start_timeout ? 1 : 0;
  }

  ServiceSpec spec;
  Health health;
  Now now{seconds(1000), seconds(1)};
  Verdict verdict;
  int deaths = 0;
};

void happen_a_while(World& world) {
  const int length = *rc::gen::inRange(0, 30);
  for (int i = 0; i < length; ++i) world.happen();
}

RC_GTEST_PROP(NotifyProperty, EveryMessageTwiceIsTheSameAsOnce, ()) {
  World world;
  happen_a_while(world);
  const NotifyMessage message = World::message(any_message());
  notify(world.health, world.spec, message, world.now);
  const Health once = world.health;
  const Verdict again = notify(world.health, world.spec, message, world.now);
  RC_ASSERT(world.health == once);
  RC_ASSERT(!again.changed && !again.became_ready && !again.lost_ready && !again.unhealthy);
  RC_ASSERT(!again.try_ready && !again.try_live);
}

RC_GTEST_PROP(NotifyProperty, AnyBytesParseAndTheTextIsStable, (const std::string& bytes)) {
  const NotifyMessage first = World::message("STATUS=" + bytes);
  if (!first.has_status) return;
  RC_ASSERT(World::message("STATUS=" + first.status).status == first.status);
}

RC_GTEST_PROP(HealthProperty, ARunIsGivenUpAtMostOnceAndIsThenWatchedNoMore, ()) {
  World world;
  for (int i = 0; i < 30; ++i) {
    world.happen();
    RC_ASSERT(world.deaths <= 1);
    if (world.deaths == 1) RC_ASSERT(!world.health.watching && next_deadline(world.health) == never);
  }
}

RC_GTEST_PROP(HealthProperty, VerdictsOfReadinessAlternate, ()) {
  World world;
  bool ready = world.verdict.became_ready;
  for (int i = 0; i < 30; ++i) {
    world.verdict = {};
    world.happen();
    RC_ASSERT(!(world.verdict.became_ready && world.verdict.lost_ready));
    if (world.verdict.became_ready) RC_ASSERT(!std::exchange(ready, true));
    if (world.verdict.lost_ready) RC_ASSERT(std::exchange(ready, false));
    RC_ASSERT(world.health.ready == ready);
  }
}

RC_GTEST_PROP(HealthProperty, NoClockStaysDueOnceItHasBeenLookedAt, ()) {
  World world;
  happen_a_while(world);
  world.take(time_passed(world.health, world.spec, world.now));
  RC_ASSERT(next_deadline(world.health) > world.now.mono);
}

RC_GTEST_PROP(HealthProperty, AnAbsenceOfAnyLengthKillsNobody, ()) {
  World world;
  happen_a_while(world);
  world.take(time_passed(world.health, world.spec, world.now));  // somebody watched until here
  const MonoNs gone = world.now.mono;
  world.now.mono += *rc::gen::inRange<SpanNs>(1, seconds(100'000));
  forgive_absence(world.health, gone, world.now.mono);
  const Verdict verdict = time_passed(world.health, world.spec, world.now);
  RC_ASSERT(!verdict.unhealthy && !verdict.start_timeout && !verdict.lost_ready);
}

RC_GTEST_PROP(HealthProperty, ATryIsUnderWayOrDueForEveryProbeOfAWatchedRun, ()) {
  World world;
  happen_a_while(world);
  if (!world.health.watching || world.health.stopping) return;
  const ProbeState& ready = world.health.ready_probe;
  if (world.spec.ready->type == ProbeType::http) RC_ASSERT(ready.in_flight != ready.next.set());
  RC_ASSERT(ready.in_flight == ready.limit.set());
  const ProbeState& live = world.health.live_probe;
  if (world.spec.live->type == ProbeType::http && world.health.ready) RC_ASSERT(live.in_flight != live.next.set());
  RC_ASSERT(live.in_flight == live.limit.set());
}

}  // namespace
}  // namespace hearth::health
