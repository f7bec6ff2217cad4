// The dispatch is one table, phase by event, so that the whole machine is on one screen; each cell names a
// short function.
#include "lifecycle/lifecycle.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "lifecycle/step.h"
#include "model/hook.h"

namespace hearth::lifecycle {

// ---- moving -----------------------------------------------------------------------------------

void enter(Step& s, Phase phase, Reason reason) {
  // A new run is a new `starting`, also after another one without a pause between them.
  if (s.life.phase != phase || phase == Phase::starting) s.life.since = s.now.wall;
  s.life.phase = phase;
  s.life.reason = reason;
}

namespace {

bool has_hook(const Step& s, Hook hook) {
  return !s.spec.actions.is_usual() && !action_of(*s.spec.actions, hook).command.empty();
}

}  // namespace

bool begin_hook(Step& s, Hook hook) {
  if (!has_hook(s, hook)) return false;
  HEARTH_CHECK(s.life.hook == Hook::none, "a life waits for one hook at a time");
  s.life.hook = hook;
  s.effects.hook = hook;
  return true;
}

Reason reason_of_order(const Event& event) {
  return event.reason == Reason::none ? Reason::ordered : event.reason;
}

namespace {

void spawn(Step& s, Reason reason) {
  HEARTH_CHECK(!s.life.run_live, "a slot has at most one live run");
  s.life.run_live = true;
  s.effects.spawn = true;
  enter(s, Phase::starting, reason);
}

}  // namespace

void go_up(Step& s, bool dependencies_met, Reason reason) {
  if (!dependencies_met) return enter(s, Phase::waiting, Reason::dependency_missing);
  s.life.retry.clear();
  s.life.been_up = false;
  if (std::exchange(s.life.retrying, false)) ++s.life.restarts;
  // With after_stop of the run before still under way, its end leads here again.
  if (s.life.hook != Hook::none || begin_hook(s, Hook::before_start)) return enter(s, Phase::starting, reason);
  spawn(s, reason);
}

// ---- cells of the table ----------------------------------------------------------------------

namespace {

void ignore(Step&) {}

void begin_up(Step& s) {
  s.life.want_up = true;
  s.life.retrying = false;
  s.life.retry.clear();
  forget_failures(s.life);
  go_up(s, s.event.dependencies_met, reason_of_order(s.event));
}

void go_down(Step& s) {
  s.life.want_up = false;
  if (s.life.hook != Hook::none) {
    s.life.retry.clear();
    return stop_preparing(s, false, reason_of_order(s.event));
  }
  s.life.retrying = false;
  s.life.retry.clear();
  enter(s, Phase::stopped, reason_of_order(s.event));
}

void stop_run(Step& s) {
  s.life.want_up = false;
  if (!s.life.run_live) return stop_preparing(s, false, reason_of_order(s.event));
  begin_stop(s, false, false, s.event.hold, reason_of_order(s.event));
}

void restart_run(Step& s) {
  s.life.want_up = true;
  forget_failures(s.life);
  if (!s.life.run_live) return stop_preparing(s, true, reason_of_order(s.event));
  begin_stop(s, true, false, s.event.hold, reason_of_order(s.event));
}

void come_back(Step& s) {
  s.life.want_up = true;
  s.life.restart_after_stop = true;
  s.life.restart_counts = false;
  s.life.reason = reason_of_order(s.event);
  forget_failures(s.life);
}

// Dependencies are there: start, unless a retry time from before they went away is still to come.
void resume(Step& s) {
  if (s.life.retry.set() && !s.life.retry.due(s.now.mono)) {
    enter(s, Phase::backoff, Reason::exited);
  } else {
    go_up(s, true, Reason::ordered);
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

SpanNs stable_span(const ServiceSpec& spec) {
  return std::max<SpanNs>(spec.backoff.reset_after, 1);
}

// No clock for a run that has nothing to be forgiven: an idle hearth wakes for nothing.
void begin_stable(Step& s) {
  if (s.life.failures == 0 || s.life.stable.set()) return;
  s.life.stable.start(s.now.mono, stable_span(s.spec));
}

void begin_running(Step& s) {
  // Who found it running does not know whether it was ready before.
  if (s.life.reason != Reason::adopted) s.effects.beside |= hook_bit(Hook::after_start);
  enter(s, Phase::running, s.life.reason);
  if (s.spec.type != ServiceType::task) {
    s.life.been_up = true;
    s.life.failed_starts = 0;
  }
  begin_stable(s);
}

void has_pid(Step& s) {
  if (s.life.run_live && s.event.main && !s.event.has_readiness) begin_running(s);
}

void has_become_ready(Step& s) {
  if (s.life.run_live) begin_running(s);
}

void ready_again(Step& s) {
  begin_stable(s);
}

void not_ready(Step& s) {
  s.life.stable.clear();
}

// Its before_start has been all the same.
void never_begun(Step& s) {
  if (has_hook(s, Hook::before_start)) begin_hook(s, Hook::after_stop);
  enter(s, Phase::waiting, Reason::dependency_missing);
}

void spawn_ended(Step& s) {
  if (!s.life.run_live) return;
  forget_run(s.life);
  if (s.event.reason == Reason::dependency_missing) return never_begun(s);
  if (s.event.reason == Reason::refused) return after_refusal(s);
  begin_hook(s, Hook::after_stop);
  after_failure(s, Reason::spawn_failed);
}

Reason cause_of_exit(const ExitInfo& exit) {
  return exit.code < 0 ? Reason::lost : Reason::exited;
}

void ended(Step& s, bool good) {
  forget_run(s.life);
  begin_hook(s, Hook::after_stop);
  good ? after_success(s) : after_failure(s, cause_of_exit(s.event.exit));
}

void ended_while_starting(Step& s) {
  if (!s.life.run_live) return;
  // A daemon that ends before it was ever ready has not done its work, whatever its exit code; where nobody
  // wants a restart, it is a task that ended well.
  const bool may_end = s.spec.type == ServiceType::task || s.spec.restart == RestartPolicy::never;
  ended(s, s.event.main && is_success(s.event.exit, s.spec) && (!s.event.has_readiness || may_end));
}

void ended_while_running(Step& s) {
  ended(s, is_success(s.event.exit, s.spec));
}

void follow_dependency(Step& s) {
  if (!s.life.run_live) return;
  damp(s);
  begin_stop(s, true, false, s.event.hold, Reason::dependency_restarted);
}

void leave_with_dependency(Step& s) {
  if (s.life.run_live) begin_stop(s, true, false, s.event.hold, Reason::dependency_missing);
}

void too_slow(Step& s) {
  if (s.life.run_live) begin_stop(s, true, true, false, Reason::start_timeout);
}

void sick(Step& s) {
  if (!s.life.run_live) return;
  begin_stop(s, true, true, false, s.event.reason == Reason::none ? Reason::liveness : s.event.reason);
}

// ---- hooks

// after_stop of the run before: what comes next was decided before it.
void hook_is_over(Step& s) {
  if (s.event.hook == s.life.hook) s.life.hook = Hook::none;
}

void hook_ended_while_starting(Step& s) {
  if (s.event.hook != s.life.hook || s.life.hook == Hook::none) return;
  const Hook over = std::exchange(s.life.hook, Hook::none);
  if (over == Hook::after_stop) return go_up(s, s.event.dependencies_met, s.life.reason);
  if (s.event.good && s.event.dependencies_met) return spawn(s, s.life.reason);
  begin_hook(s, Hook::after_stop);
  if (s.event.good) return enter(s, Phase::waiting, Reason::dependency_missing);
  after_failure(s, s.event.reason == Reason::none ? Reason::hook_failed : s.event.reason);
}

void hook_of_stop_ended(Step& s) {
  if (s.event.hook == s.life.hook && s.life.hook != Hook::none) hook_ended_while_stopping(s);
}

// ---- clocks

void check_damped(Step& s) {
  if (s.life.damped && s.now.mono >= s.life.damp_until) s.life.damped = false;
}

void check_stable(Step& s) {
  check_damped(s);
  if (!s.life.stable.due(s.now.mono)) return;
  s.life.stable.clear();
  s.life.failures = 0;
}

void check_retry(Step& s) {
  if (!s.life.retry.due(s.now.mono)) return;
  s.life.retry.clear();
  go_up(s, s.event.dependencies_met, s.life.reason);
}

// Given up, and to be tried again: as if somebody had ordered it. Who waits for a dependency keeps another time there.
void check_retry_of_failed(Step& s) {
  if (s.life.reason == Reason::dependency_failed || !s.life.retry.due(s.now.mono)) return;
  s.life.retry.clear();
  forget_failures(s.life);
  go_up(s, s.event.dependencies_met, s.life.last_end);
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
  /* dep_gone        */ {ignore,   ignore,             leave_with_dependency, leave_with_dependency, ignore,             ignore,             ignore,                          ignore},
  /* spawned         */ {ignore,   ignore,             has_pid,              ignore,              has_pid_to_stop,      ignore,             ignore,                          ignore},
  /* spawn_failed    */ {ignore,   ignore,             spawn_ended,          spawn_ended,         ended_while_stopping, ignore,             ignore,                          ignore},
  /* exited          */ {ignore,   ignore,             ended_while_starting, ended_while_running, ended_while_stopping, ignore,             ignore,                          ignore},
  /* became_ready    */ {ignore,   ignore,             has_become_ready,     ready_again,         ignore,               ignore,             ignore,                          ignore},
  /* lost_ready      */ {ignore,   ignore,             ignore,               not_ready,           ignore,               ignore,             ignore,                          ignore},
  /* start_timeout   */ {ignore,   ignore,             too_slow,             ignore,              ignore,               ignore,             ignore,                          ignore},
  /* unhealthy       */ {ignore,   ignore,             sick,                 sick,                ignore,               ignore,             ignore,                          ignore},
  /* hook_ended      */ {ignore,   hook_is_over,       hook_ended_while_starting, ignore,         hook_of_stop_ended,   hook_is_over,       hook_is_over,                    hook_is_over},
  /* time_passed     */ {ignore,   ignore,             check_damped,         check_stable,        check_grace,          check_retry,        check_retry_of_failed,           ignore},
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
  coverage().led_to[column][row] |= static_cast<std::uint8_t>(1u << static_cast<unsigned>(life.phase));
  s.effects.changed = !(life == before);
  return s.effects;
}

bool acts_on(Phase phase, EventKind event) {
  return table[static_cast<std::size_t>(event)][static_cast<std::size_t>(phase)] != ignore;
}

bool respecify(Lifecycle& life, const ServiceSpec& before, const ServiceSpec& spec, Now now) {
  if (!life.stable.set() || stable_span(before) == stable_span(spec)) return false;
  const MonoNs begun = life.stable.at - life.stable.span;
  life.stable.start(begun, stable_span(spec));
  life.stable.at = std::max(life.stable.at, now.mono);  // it has been up for so long already: now
  return true;
}

MonoNs next_deadline(const Lifecycle& life) {
  // One clock per phase. A retry time that passes while a dependency is away wakes nobody.
  const bool tries =
      life.phase == Phase::backoff || (life.phase == Phase::failed && life.reason != Reason::dependency_failed);
  const Deadline* deadline = nullptr;
  if (tries) deadline = &life.retry;
  if (life.phase == Phase::stopping) deadline = &life.grace;
  if (life.phase == Phase::running) deadline = &life.stable;
  MonoNs due = deadline != nullptr && deadline->set() ? deadline->at : never;
  const bool is_up = life.phase == Phase::starting || life.phase == Phase::running;
  if (life.damped && is_up) due = std::min(due, life.damp_until);
  return due;
}

void forgive_absence(Lifecycle& life, MonoNs from, MonoNs now) {
  life.grace.renew_if_missed(from, now);
}

Coverage& coverage() {
  static Coverage instance;
  return instance;
}

}  // namespace hearth::lifecycle
