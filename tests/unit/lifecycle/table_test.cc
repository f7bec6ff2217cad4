// The whole table of lifecycle.h, phase by event, against an expected one that was written from the prose and not
// from the code. A cell says how the slot stands afterwards:
//
//   phase, + or - for the goal, then what was asked for (spawn, TERM, KILL) and how it stops: held (nothing sent
//   yet), again (comes back), failure (comes back, and that counts); steady: failures will be forgiven; end, kill: of
//   the hook that runs. "." = nothing changed and nothing asked for.
//
// Here services have no hooks but the ones that are under way; hook_test.cc has those that come.
#include <algorithm>
#include <cstdio>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "lifecycle/lifecycle.h"
#include "model/status.h"

namespace hearth::lifecycle {
namespace {

constexpr MonoNs began = seconds(100);     // when the state came to be
constexpr MonoNs soon = seconds(103);      // before every deadline of the states below
constexpr MonoNs late = seconds(100'000);  // after every one

ServiceSpec spec() {
  ServiceSpec spec;
  spec.restart = RestartPolicy::on_failure;
  spec.backoff.initial = seconds(1);
  spec.stop_timeout = seconds(10);
  return spec;
}

Lifecycle in(Phase phase, bool want_up, Reason reason = Reason::ordered) {
  Lifecycle life;
  life.phase = phase;
  life.want_up = want_up;
  life.reason = reason;
  life.run_live = phase == Phase::starting || phase == Phase::running || phase == Phase::stopping;
  if (phase == Phase::stopping) life.grace.start(began, seconds(10));
  if (phase == Phase::backoff) life.retry.start(began, seconds(30));
  return life;
}

Lifecycle held() {
  Lifecycle life = in(Phase::stopping, false);
  life.stop_held = true;
  life.grace.clear();
  return life;
}

Lifecycle restarting(bool counts) {
  Lifecycle life = in(Phase::stopping, true, counts ? Reason::watchdog : Reason::ordered);
  life.restart_after_stop = true;
  life.restart_counts = counts;
  return life;
}

// With failures to be forgiven; `clock`: they will be, when it has run long enough.
Lifecycle recovering(bool clock) {
  Lifecycle life = in(Phase::running, true);
  life.failures = 1;
  if (clock) life.stable.start(began, seconds(60));
  return life;
}

// Before its run, or after it.
Lifecycle with_hook(Phase phase, Hook hook) {
  Lifecycle life = in(phase, phase != Phase::stopping,
                      phase == Phase::waiting  ? Reason::dependency_missing
                      : phase == Phase::failed ? Reason::crash_loop
                                               : Reason::ordered);
  life.hook = hook;
  life.run_live = false;
  if (phase == Phase::stopping) life.grace.clear();
  return life;
}

Lifecycle given_up_for_now() {
  Lifecycle life = in(Phase::failed, true, Reason::crash_loop);
  life.retry.start(began, seconds(30));
  return life;
}

Lifecycle damped(Phase phase) {
  Lifecycle life = in(phase, true);
  life.damped = true;
  life.damp_until = began + seconds(30);
  return life;
}

// The columns. `stopping` has four faces, `failed` two, and `running` three, which differ only where the table says so. Behind them the same phases with a hook under way: "preparing" is before its
// run, "closing" after it; the others have after_stop of the run before. Then those with a clock that others do not have.
const std::vector<std::pair<std::string, Lifecycle>>& states() {
  static const std::vector<std::pair<std::string, Lifecycle>> all = {
      {"stopped", in(Phase::stopped, false)},
      {"waiting", in(Phase::waiting, true, Reason::dependency_missing)},
      {"starting", in(Phase::starting, true)},
      {"running", in(Phase::running, true)},
      {"shaky", recovering(false)},
      {"steadying", recovering(true)},
      {"stopping", in(Phase::stopping, false)},
      {"held", held()},
      {"restarting", restarting(false)},
      {"ailing", restarting(true)},
      {"backoff", in(Phase::backoff, true, Reason::exited)},
      {"failed", in(Phase::failed, true, Reason::crash_loop)},
      {"blocked", in(Phase::failed, true, Reason::dependency_failed)},
      {"completed", in(Phase::completed, true, Reason::exited)},
      {"preparing", with_hook(Phase::starting, Hook::before_start)},
      {"closing", with_hook(Phase::stopping, Hook::after_stop)},
      {"waiting, hook", with_hook(Phase::waiting, Hook::after_stop)},
      {"backoff, hook", with_hook(Phase::backoff, Hook::after_stop)},
      {"failed, hook", with_hook(Phase::failed, Hook::after_stop)},
      {"completed, hook", with_hook(Phase::completed, Hook::after_stop)},
      {"tired", given_up_for_now()},
      {"damped start", damped(Phase::starting)},
      {"damped", damped(Phase::running)},
  };
  return all;
}

std::string shown(const Lifecycle& life, const Effects& effects) {
  if (!effects.changed && !effects.spawn && effects.signal == 0) return ".";
  std::string text = phase_name(life.phase);
  text += life.want_up ? "+" : "-";
  if (effects.spawn) text += " spawn";
  if (effects.signal != 0) text += effects.signal == 15 ? " TERM" : effects.signal == 9 ? " KILL" : " ?";
  if (effects.end_hook) text += " end";
  if (effects.kill_hook) text += " kill";
  if (life.stop_held) text += " held";
  if (life.stable.set()) text += " steady";
  if (life.restart_after_stop) text += life.restart_counts ? " failure" : " again";
  return text;
}

Event event(EventKind kind, bool dependencies_met = true) {
  Event e;
  e.kind = kind;
  e.dependencies_met = dependencies_met;
  return e;
}

Event holding(EventKind kind) {
  Event e = event(kind);
  e.hold = true;
  return e;
}

Event probed(EventKind kind) {
  Event e = event(kind);
  e.has_readiness = true;
  return e;
}

Event ended(int code, bool has_readiness, bool dependencies_met = true) {
  Event e = event(EventKind::exited, dependencies_met);
  e.exit.code = 1;
  e.exit.status = code;
  e.has_readiness = has_readiness;
  return e;
}

Event not_spawned(bool dependencies_met = true) {
  Event e = event(EventKind::spawn_failed, dependencies_met);
  e.exit.fail_stage = 1;
  e.exit.fail_errno = 2;
  return e;
}

Event not_begun() {
  Event e = event(EventKind::spawn_failed, false);
  e.reason = Reason::dependency_missing;
  return e;
}

Event hook(Hook which, bool good, bool dependencies_met = true) {
  Event e = event(EventKind::hook_ended, dependencies_met);
  e.hook = which;
  e.good = good;
  e.reason = good ? Reason::none : Reason::hook_failed;
  return e;
}

struct Row {
  std::string name;
  Event event;
  MonoNs at;
  std::map<std::string, std::string> expected;  // states that are not named: "."
};

using Cells = std::map<std::string, std::string>;

Cells operator+(Cells a, const Cells& b) {
  a.insert(b.begin(), b.end());
  return a;
}

// What several rows have in common.
const Cells up_at_once = {
    {"stopped", "starting+ spawn"},  {"waiting", "starting+ spawn"},   {"backoff", "starting+ spawn"},
    {"failed", "starting+ spawn"},   {"blocked", "starting+ spawn"},   {"completed", "starting+ spawn"},
    {"stopping", "stopping+ again"}, {"held", "stopping+ held again"}, {"ailing", "stopping+ again"},
    {"closing", "stopping+ again"},  {"waiting, hook", "starting+"},   {"backoff, hook", "starting+"},
    {"failed, hook", "starting+"},   {"completed, hook", "starting+"}, {"tired", "starting+ spawn"}};
const Cells up_when_met = {{"stopped", "waiting+"},
                           {"backoff", "waiting+"},
                           {"failed", "waiting+"},
                           {"blocked", "waiting+"},
                           {"completed", "waiting+"},
                           {"stopping", "stopping+ again"},
                           {"held", "stopping+ held again"},
                           {"ailing", "stopping+ again"},
                           {"closing", "stopping+ again"},
                           {"backoff, hook", "waiting+"},
                           {"failed, hook", "waiting+"},
                           {"completed, hook", "waiting+"},
                           {"tired", "waiting+"}};
const Cells down = {{"waiting", "stopped-"},        {"backoff", "stopped-"},        {"failed", "stopped-"},
                    {"blocked", "stopped-"},        {"completed", "stopped-"},      {"restarting", "stopping-"},
                    {"ailing", "stopping-"},        {"preparing", "stopping- end"}, {"waiting, hook", "stopping-"},
                    {"backoff, hook", "stopping-"}, {"failed, hook", "stopping-"},  {"completed, hook", "stopping-"},
                    {"tired", "stopped-"}};
const Cells restart_preparing = {{"preparing", "stopping+ end again"}};
const Cells restart_live = {{"starting", "stopping+ TERM again"}, {"running", "stopping+ TERM again"}};
const Cells restart_held = {{"starting", "stopping+ held again"}, {"running", "stopping+ held again"}};
const Cells end_of_stop = {
    {"stopping", "stopped-"}, {"held", "stopped-"}, {"restarting", "starting+ spawn"}, {"ailing", "backoff+"}};
const Cells end_of_stop_unmet = {
    {"stopping", "stopped-"}, {"held", "stopped-"}, {"restarting", "waiting+"}, {"ailing", "waiting+"}};
const Cells grace_anew = {
    {"stopping", "stopping-"}, {"restarting", "stopping+ again"}, {"ailing", "stopping+ failure"}};

const std::vector<Row>& rows() {
  using enum EventKind;
  static const std::vector<Row> all = {
      {"start", event(order_start), soon, up_at_once},
      {"start, dependencies missing", event(order_start, false), soon, up_when_met},
      {"stop", event(order_stop), soon,
       down + Cells{{"starting", "stopping- TERM"},
                    {"running", "stopping- TERM"},
                    {"stopping", "stopping- KILL"},
                    {"closing", "stopping- kill"},
                    {"held", "stopping- KILL"}}},
      {"stop, dependents first", holding(order_stop), soon,
       down + Cells{{"starting", "stopping- held"}, {"running", "stopping- held"}}},
      {"restart", event(order_restart), soon, up_at_once + restart_live + restart_preparing},
      {"restart, dependencies missing", event(order_restart, false), soon,
       up_when_met + restart_live + restart_preparing},
      {"restart, dependents first", holding(order_restart), soon, up_at_once + restart_held + restart_preparing},
      {"release", event(release_stop), soon, {{"held", "stopping- TERM"}}},
      {"dependencies are there",
       event(dependencies_met),
       soon,
       {{"waiting", "starting+ spawn"}, {"blocked", "starting+ spawn"}, {"waiting, hook", "starting+"}}},
      {"dependencies are missing",
       event(dependencies_unmet, false),
       soon,
       {{"backoff", "waiting+"}, {"blocked", "waiting+"}, {"backoff, hook", "waiting+"}}},
      {"a dependency failed",
       event(dependency_failed, false),
       soon,
       {{"waiting", "failed+"}, {"backoff", "failed+"}, {"waiting, hook", "failed+"}, {"backoff, hook", "failed+"}}},
      {"a dependency was restarted", event(dependency_restarted), soon, restart_live},
      {"a dependency will be restarted", holding(dependency_restarted), soon, restart_held},
      {"a dependency has gone", event(dependency_gone), soon, restart_live},
      {"a dependency has gone, dependents first", holding(dependency_gone), soon, restart_held},
      {"spawned", event(spawned), soon, grace_anew + Cells{{"starting", "running+"}}},
      {"spawned, to be probed", probed(spawned), soon, grace_anew},
      {"spawn failed", not_spawned(), soon, end_of_stop + Cells{{"starting", "backoff+"}, {"running", "backoff+"}}},
      {"spawn failed, dependencies missing", not_spawned(false), soon,
       end_of_stop_unmet + Cells{{"starting", "waiting+"}, {"running", "waiting+"}}},
      {"taken back", not_begun(), soon, end_of_stop_unmet + Cells{{"starting", "waiting+"}, {"running", "waiting+"}}},
      {"exit 0", ended(0, false), soon, end_of_stop + Cells{{"starting", "completed+"}, {"running", "completed+"}}},
      {"exit 0, to be probed", ended(0, true), soon,
       end_of_stop + Cells{{"starting", "backoff+"}, {"running", "completed+"}}},
      {"exit 1", ended(1, false), soon, end_of_stop + Cells{{"starting", "backoff+"}, {"running", "backoff+"}}},
      {"exit 1, dependencies missing", ended(1, false, false), soon,
       end_of_stop_unmet + Cells{{"starting", "waiting+"}, {"running", "waiting+"}}},
      {"ready", probed(became_ready), soon, {{"starting", "running+"}, {"shaky", "running+ steady"}}},
      {"not ready any more", probed(lost_ready), soon, {{"steadying", "running+"}}},
      {"start timeout", probed(start_timeout), soon, {{"starting", "stopping+ TERM failure"}}},
      {"unhealthy",
       event(unhealthy),
       soon,
       {{"starting", "stopping+ TERM failure"}, {"running", "stopping+ TERM failure"}}},
      {"before_start succeeded", hook(Hook::before_start, true), soon, {{"preparing", "starting+ spawn"}}},
      {"before_start succeeded, dependencies missing",
       hook(Hook::before_start, true, false),
       soon,
       {{"preparing", "waiting+"}}},
      {"before_start failed", hook(Hook::before_start, false), soon, {{"preparing", "backoff+"}}},
      {"after_stop ended",
       hook(Hook::after_stop, false),
       soon,
       {{"closing", "stopped-"},
        {"waiting, hook", "waiting+"},
        {"backoff, hook", "backoff+"},
        {"failed, hook", "failed+"},
        {"completed, hook", "completed+"}}},
      {"time, nothing due", event(time_passed), soon, {}},
      {"time, all due",
       event(time_passed),
       late,
       {{"steadying", "running+"},
        {"stopping", "stopping- KILL"},
        {"restarting", "stopping+ KILL again"},
        {"ailing", "stopping+ KILL failure"},
        {"backoff", "starting+ spawn"},
        {"backoff, hook", "starting+"},
        {"tired", "starting+ spawn"},
        {"damped start", "starting+"},
        {"damped", "running+"}}},
      {"time, all due, dependencies missing",
       event(time_passed, false),
       late,
       {{"steadying", "running+"},
        {"stopping", "stopping- KILL"},
        {"restarting", "stopping+ KILL again"},
        {"ailing", "stopping+ KILL failure"},
        {"backoff", "waiting+"},
        {"backoff, hook", "waiting+"},
        {"tired", "waiting+"},
        {"damped start", "starting+"},
        {"damped", "running+"}}},
  };
  return all;
}

TEST(LifecycleTable, EveryPhaseAnswersEveryEventAsTheProseSays) {
  const ServiceSpec service = spec();
  for (const Row& row : rows()) {
    for (const auto& [name, state] : states()) {
      Lifecycle life = state;
      const Effects effects = step(life, service, row.event, {row.at, 1});
      auto cell = row.expected.find(name);
      if (cell == row.expected.end() && state.phase == Phase::running) cell = row.expected.find("running");
      if (cell == row.expected.end() && name == "damped start") cell = row.expected.find("starting");
      EXPECT_EQ(shown(life, effects), cell == row.expected.end() ? "." : cell->second)
          << "in state \"" << name << "\" at event \"" << row.name << "\"";
    }
  }
}

TEST(LifecycleTable, TheWalkAboveLeavesNoPairOut) {
  coverage() = {};
  for (const Row& row : rows()) {
    for (const auto& [name, state] : states()) {
      Lifecycle life = state;
      step(life, spec(), row.event, {row.at, 1});
    }
  }
  for (std::size_t phase = 0; phase < std::size(coverage().seen); ++phase) {
    EXPECT_EQ(coverage().seen[phase], (1u << (static_cast<int>(EventKind::time_passed) + 1)) - 1)
        << phase_name(static_cast<Phase>(phase));
  }
}

// Of each transition the table above expects that it does something, in some state of its phase.
TEST(LifecycleTable, EveryTransitionIsExpectedToDoSomething) {
  std::uint32_t expected[phase_count] = {};
  for (const Row& row : rows()) {
    for (const auto& [name, state] : states())
      if (row.expected.contains(name))
        expected[static_cast<std::size_t>(state.phase)] |= 1u << static_cast<unsigned>(row.event.kind);
  }
  unsigned covered = 0, all = 0;
  for (std::size_t phase = 0; phase < phase_count; ++phase) {
    for (std::size_t kind = 0; kind < event_count; ++kind) {
      const bool acts = acts_on(static_cast<Phase>(phase), static_cast<EventKind>(kind));
      const bool tested = (expected[phase] >> kind & 1) != 0;
      EXPECT_EQ(acts, tested) << phase_name(static_cast<Phase>(phase)) << ", event " << kind;
      all += acts;
      covered += acts && tested;
    }
  }
  std::printf("lifecycle: %u of %u transitions are covered\n", covered, all);
  EXPECT_EQ(covered, all);
}

TEST(LifecycleTable, ExpectationsNameOnlyStatesThatExist) {
  for (const Row& row : rows()) {
    for (const auto& [name, cell] : row.expected) {
      const auto known = [&](const auto& state) { return state.first == name; };
      EXPECT_TRUE(std::ranges::any_of(states(), known)) << row.name << ": " << name;
    }
  }
}

TEST(LifecycleTable, ARunIsLiveExactlyWhereThePhaseSaysSo) {
  for (const Row& row : rows()) {
    for (const auto& [name, state] : states()) {
      Lifecycle life = state;
      step(life, spec(), row.event, {row.at, 1});
      const bool live = life.phase == Phase::starting || life.phase == Phase::running || life.phase == Phase::stopping;
      EXPECT_EQ(life.run_live, live && life.hook == Hook::none)
          << "in state \"" << name << "\" at event \"" << row.name << "\"";
      EXPECT_TRUE(life.want_up || life.phase == Phase::stopped || life.phase == Phase::stopping);
    }
  }
}

}  // namespace
}  // namespace hearth::lifecycle
