// The dispatch is one table, phase by event, so that the whole machine is on one screen; each cell names a
// short function. Nothing here calls step() again: what a transition leads to at once (a restart without
// delay) is part of the same function.
#include "lifecycle/lifecycle.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace hearth::lifecycle {
namespace {

constexpr int kill_signal = 9;
constexpr int cld_exited = 1;

struct Step {
  Lifecycle& life;
  const ServiceSpec& spec;
  const Event& event;
  Now now;
  Effects effects{};
};

// ---- moving -----------------------------------------------------------------------------------

void enter(Step& s, Phase phase, Reason reason) {
  // A new run is a new `starting`, also after another one without a pause between them.
  if (s.life.phase != phase || phase == Phase::starting) s.life.since = s.now.wall;
  s.life.phase = phase;
  s.life.reason = reason;
}

void spawn(Step& s, Reason reason) {
  HEARTH_CHECK(!s.life.run_live, "a slot has at most one live run");
  s.life.run_live = true;
  s.life.retry.clear();
  s.effects.spawn = true;
  enter(s, Phase::starting, reason);
}

void go_up(Step& s, bool dependencies_met, Reason reason) {
  if (dependencies_met) {
    spawn(s, reason);
  } else {
    enter(s, Phase::waiting, Reason::dependency_missing);
  }
}

void forget_failures(Lifecycle& life) {
  life.failures = 0;
  life.window_count = 0;
  life.window_start = 0;
}

Reason reason_of_order(const Event& event) {
  return event.reason == Reason::none ? Reason::ordered : event.reason;
}

void send_kill(Step& s) {
  s.life.kill_sent = true;
  s.life.stop_held = false;
  s.life.grace.clear();
  s.effects.signal = kill_signal;
}

void send_stop(Step& s) {
  s.life.stop_held = false;
  if (s.spec.stop_signal == kill_signal) return send_kill(s);
  s.effects.signal = s.spec.stop_signal;
  // Without a grace period there would be no KILL at all; the shortest one is a clock that is due at once.
  s.life.grace.start(s.now.mono, std::max<SpanNs>(s.spec.stop_timeout, 1));
}

void begin_stop(Step& s, bool restart, bool counts, bool hold, Reason reason) {
  s.life.restart_after_stop = restart;
  s.life.restart_counts = counts;
  s.life.kill_sent = false;
  s.life.stop_held = hold;
  s.life.grace.clear();
  s.life.stable.clear();
  enter(s, Phase::stopping, reason);
  if (!hold) send_stop(s);
}

// ---- the end of a run ------------------------------------------------------------------------

void forget_run(Lifecycle& life) {
  life.run_live = false;
  life.stop_held = false;
  life.kill_sent = false;
  life.restart_after_stop = false;
  life.restart_counts = false;
  life.grace.clear();
  life.stable.clear();
}

// Counts one more automatic restart; false when the limit allows none.
bool within_crash_limit(Step& s) {
  const CrashLimit& limit = s.spec.crash_limit;
  if (limit.max_restarts == 0) return true;
  Lifecycle& life = s.life;
  if (life.window_count == 0 || s.now.mono - life.window_start >= limit.window) {
    life.window_start = s.now.mono;
    life.window_count = 0;
  }
  if (life.window_count >= limit.max_restarts) return false;
  ++life.window_count;
  return true;
}

void retry_later(Step& s, std::uint32_t nth, Reason cause) {
  const SpanNs delay = backoff_delay(s.spec.backoff, nth, s.event.random);
  if (delay == 0) return go_up(s, s.event.dependencies_met, cause);
  s.life.retry.start(s.now.mono, delay);
  if (s.event.dependencies_met) {
    enter(s, Phase::backoff, cause);
  } else {
    enter(s, Phase::waiting, Reason::dependency_missing);  // the retry time is kept
  }
}

void count_failure(Lifecycle& life) {
  if (life.failures < UINT32_MAX) ++life.failures;
}

void after_success(Step& s) {
  s.life.last_end = Reason::exited;
  s.life.failures = 0;
  if (s.spec.restart != RestartPolicy::always) return enter(s, Phase::completed, Reason::exited);
  if (!within_crash_limit(s)) return enter(s, Phase::failed, Reason::crash_loop);
  ++s.life.restarts;
  retry_later(s, 1, Reason::exited);
}

void after_failure(Step& s, Reason cause) {
  count_failure(s.life);
  s.life.last_end = cause;
  if (s.spec.restart == RestartPolicy::never) return enter(s, Phase::failed, cause);
  if (!within_crash_limit(s)) return enter(s, Phase::failed, Reason::crash_loop);
  ++s.life.restarts;
  retry_later(s, s.life.failures, cause);
}

Reason cause_of_exit(const ExitInfo& exit) {
  return exit.code < 0 ? Reason::lost : Reason::exited;
}

// ---- cells of the table ----------------------------------------------------------------------

void ignore(Step&) {}

void begin_up(Step& s) {
  s.life.want_up = true;
  s.life.retry.clear();
  forget_failures(s.life);
  go_up(s, s.event.dependencies_met, reason_of_order(s.event));
}

void go_down(Step& s) {
  s.life.want_up = false;
  s.life.retry.clear();
  enter(s, Phase::stopped, reason_of_order(s.event));
}

void stop_run(Step& s) {
  s.life.want_up = false;
  begin_stop(s, false, false, s.event.hold, reason_of_order(s.event));
}

void restart_run(Step& s) {
  s.life.want_up = true;
  forget_failures(s.life);
  begin_stop(s, true, false, s.event.hold, reason_of_order(s.event));
}

void come_back(Step& s) {
  s.life.want_up = true;
  s.life.restart_after_stop = true;
  s.life.restart_counts = false;
  s.life.reason = reason_of_order(s.event);
  forget_failures(s.life);
}

void stop_again(Step& s) {
  const bool was_deliberate = !s.life.want_up;
  s.life.want_up = false;
  s.life.restart_after_stop = false;
  s.life.restart_counts = false;
  s.life.reason = reason_of_order(s.event);
  // The first order may find the run being stopped for a restart: that is not somebody who insists.
  if (was_deliberate && !s.event.hold && !s.life.kill_sent) return send_kill(s);
  if (s.life.stop_held && !s.event.hold) send_stop(s);
}

void release(Step& s) {
  if (s.life.stop_held) send_stop(s);
}

// Dependencies are there: start, unless a retry time from before they went away is still to come.
void resume(Step& s) {
  if (s.life.retry.set() && !s.life.retry.due(s.now.mono)) {
    enter(s, Phase::backoff, Reason::exited);
  } else {
    spawn(s, Reason::ordered);
  }
}

void resume_if_dependency_failed(Step& s) {
  if (s.life.want_up && s.life.reason == Reason::dependency_failed) resume(s);
}

void wait_again(Step& s) {
  enter(s, Phase::waiting, Reason::dependency_missing);
}

void wait_again_if_dependency_failed(Step& s) {
  if (s.life.want_up && s.life.reason == Reason::dependency_failed) wait_again(s);
}

void fail_by_dependency(Step& s) {
  enter(s, Phase::failed, Reason::dependency_failed);
}

// No clock for a run that has nothing to be forgiven: an idle hearth wakes for nothing.
void begin_stable(Step& s) {
  if (s.life.failures == 0 || s.life.stable.set()) return;
  s.life.stable.start(s.now.mono, std::max<SpanNs>(s.spec.backoff.reset_after, 1));
}

void begin_running(Step& s) {
  enter(s, Phase::running, s.life.reason);
  begin_stable(s);
}

void has_pid(Step& s) {
  if (!s.event.has_readiness) begin_running(s);
}

void ready_again(Step& s) {
  begin_stable(s);
}

void not_ready(Step& s) {
  s.life.stable.clear();
}

void spawn_ended(Step& s) {
  forget_run(s.life);
  if (s.event.reason == Reason::refused) {
    // Nothing of the service has run, so neither its restart policy nor its crash limit is concerned.
    count_failure(s.life);
    return retry_later(s, s.life.failures, Reason::refused);
  }
  after_failure(s, Reason::spawn_failed);
}

void ended_while_starting(Step& s) {
  forget_run(s.life);
  // A daemon that ends before it was ever ready has not done its work, whatever its exit code; where nobody
  // wants a restart, it is a task that ended well.
  const bool good =
      is_success(s.event.exit, s.spec) && (!s.event.has_readiness || s.spec.restart == RestartPolicy::never);
  good ? after_success(s) : after_failure(s, cause_of_exit(s.event.exit));
}

void ended_while_running(Step& s) {
  forget_run(s.life);
  is_success(s.event.exit, s.spec) ? after_success(s) : after_failure(s, cause_of_exit(s.event.exit));
}

void ended_while_stopping(Step& s) {
  const bool restart = s.life.restart_after_stop;
  const bool counts = s.life.restart_counts;
  const Reason reason = s.life.reason;
  forget_run(s.life);
  if (!s.life.want_up) return enter(s, Phase::stopped, reason);
  if (restart && !counts) return go_up(s, s.event.dependencies_met, reason);
  after_failure(s, reason);
}

void follow_dependency(Step& s) {
  begin_stop(s, true, false, s.event.hold, Reason::dependency_restarted);
}

void too_slow(Step& s) {
  begin_stop(s, true, true, false, Reason::start_timeout);
}

void sick(Step& s) {
  begin_stop(s, true, true, false, s.event.reason == Reason::none ? Reason::liveness : s.event.reason);
}

// The stop signal could not be delivered before there was a process: its grace period begins now.
void has_pid_to_stop(Step& s) {
  if (!s.life.stop_held && !s.life.kill_sent && s.life.grace.set()) {
    s.life.grace.start(s.now.mono, std::max<SpanNs>(s.spec.stop_timeout, 1));
  }
}

void check_stable(Step& s) {
  if (!s.life.stable.due(s.now.mono)) return;
  s.life.stable.clear();
  s.life.failures = 0;
}

void check_grace(Step& s) {
  if (s.life.grace.due(s.now.mono)) send_kill(s);  // which ends this clock
}

void check_retry(Step& s) {
  if (!s.life.retry.due(s.now.mono)) return;
  s.life.retry.clear();
  go_up(s, s.event.dependencies_met, s.life.reason);
}

using Cell = void (*)(Step&);

// clang-format off
constexpr Cell table[event_count][phase_count] = {
  //                     stopped   waiting             starting              running              stopping              backoff             failed                           completed
  /* order_start     */ {begin_up, begin_up,           ignore,               ignore,              come_back,            begin_up,           begin_up,                        begin_up},
  /* order_stop      */ {ignore,   go_down,            stop_run,             stop_run,            stop_again,           go_down,            go_down,                         go_down},
  /* order_restart   */ {begin_up, begin_up,           restart_run,          restart_run,         come_back,            begin_up,           begin_up,                        begin_up},
  /* release_stop    */ {ignore,   ignore,             ignore,               ignore,              release,              ignore,             ignore,                          ignore},
  /* dependencies_met*/ {ignore,   resume,             ignore,               ignore,              ignore,               ignore,             resume_if_dependency_failed,     ignore},
  /* deps_unmet      */ {ignore,   ignore,             ignore,               ignore,              ignore,               wait_again,         wait_again_if_dependency_failed, ignore},
  /* dep_failed      */ {ignore,   fail_by_dependency, ignore,               ignore,              ignore,               fail_by_dependency, ignore,                          ignore},
  /* dep_restarted   */ {ignore,   ignore,             follow_dependency,    follow_dependency,   ignore,               ignore,             ignore,                          ignore},
  /* spawned         */ {ignore,   ignore,             has_pid,              ignore,              has_pid_to_stop,      ignore,             ignore,                          ignore},
  /* spawn_failed    */ {ignore,   ignore,             spawn_ended,          spawn_ended,         ended_while_stopping, ignore,             ignore,                          ignore},
  /* exited          */ {ignore,   ignore,             ended_while_starting, ended_while_running, ended_while_stopping, ignore,             ignore,                          ignore},
  /* became_ready    */ {ignore,   ignore,             begin_running,        ready_again,         ignore,               ignore,             ignore,                          ignore},
  /* lost_ready      */ {ignore,   ignore,             ignore,               not_ready,           ignore,               ignore,             ignore,                          ignore},
  /* start_timeout   */ {ignore,   ignore,             too_slow,             ignore,              ignore,               ignore,             ignore,                          ignore},
  /* unhealthy       */ {ignore,   ignore,             sick,                 sick,                ignore,               ignore,             ignore,                          ignore},
  /* time_passed     */ {ignore,   ignore,             ignore,               check_stable,        check_grace,          check_retry,        ignore,                          ignore},
};
// clang-format on

}  // namespace

Effects step(Lifecycle& life, const ServiceSpec& spec, const Event& event, Now now) {
  const auto row = static_cast<std::size_t>(event.kind);
  const auto column = static_cast<std::size_t>(life.phase);
  HEARTH_CHECK(row < event_count && column < phase_count, "phase and event are in the table");
  coverage().seen[column] |= 1u << row;
  const Lifecycle before = life;
  Step s{life, spec, event, now};
  table[row][column](s);
  s.effects.changed = !(life == before);
  return s.effects;
}

bool acts_on(Phase phase, EventKind event) {
  return table[static_cast<std::size_t>(event)][static_cast<std::size_t>(phase)] != ignore;
}

MonoNs next_deadline(const Lifecycle& life) {
  // One clock per phase. A retry time that passes while a dependency is away wakes nobody.
  const Deadline* deadline = nullptr;
  if (life.phase == Phase::backoff) deadline = &life.retry;
  if (life.phase == Phase::stopping) deadline = &life.grace;
  if (life.phase == Phase::running) deadline = &life.stable;
  return deadline != nullptr && deadline->set() ? deadline->at : never;
}

void forgive_absence(Lifecycle& life, MonoNs from, MonoNs now) {
  life.grace.renew_if_missed(from, now);
}

bool is_success(const ExitInfo& exit, const ServiceSpec& spec) {
  return exit.code == cld_exited && exit.fail_stage == 0 &&
         std::ranges::find(spec.success_exit_codes, exit.status) != spec.success_exit_codes.end();
}

SpanNs backoff_delay(const Backoff& backoff, std::uint32_t failures, std::uint64_t random) {
  if (backoff.initial <= 0 || backoff.max <= 0) return 0;
  // In floating point, where the power of a service that failed for a year is infinity and not a wrapped
  // number; the cap makes it finite before anything else is done with it.
  const double exponent = failures == 0 ? 0 : failures - 1;
  const double grown = static_cast<double>(backoff.initial) * std::pow(std::max(backoff.factor, 1.0), exponent);
  const double capped = std::min(grown, static_cast<double>(backoff.max));
  const double unit = static_cast<double>(random >> 11) * 0x1p-53;  // [0, 1)
  const double jitter = std::clamp(backoff.jitter, 0.0, 1.0);
  const double delay = capped * (1.0 - jitter + 2.0 * jitter * unit);
  return static_cast<SpanNs>(std::min(delay, 0x1p62));
}

Coverage& coverage() {
  static Coverage instance;
  return instance;
}

}  // namespace hearth::lifecycle
