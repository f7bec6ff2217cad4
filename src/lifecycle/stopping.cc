// How a run is ended: what is asked of it and of its hooks, in which order, and when all of it is over.
#include <algorithm>
#include <utility>

#include "lifecycle/step.h"

namespace hearth::lifecycle {
namespace {

// Without a grace period there would be no KILL at all; the shortest one is a clock that is due at once.
void begin_grace(Step& s) {
  s.life.grace.start(s.now.mono, std::max<SpanNs>(s.spec.stop_timeout, 1));
}

void kill(Step& s) {
  s.life.kill_sent = true;
  s.life.stop_held = false;
  s.life.grace.clear();
  if (s.life.run_live) s.effects.signal = kill_signal;
  if (s.life.hook != Hook::none) s.effects.kill_hook = true;
}

void signal_stop(Step& s) {
  if (s.spec.stop_signal == kill_signal) return kill(s);
  s.effects.signal = s.spec.stop_signal;
  if (!s.life.grace.set()) begin_grace(s);
}

void ask_to_end(Step& s) {
  if (!s.life.was_up || !begin_hook(s, Hook::stop)) return signal_stop(s);
  begin_grace(s);
}

void send_stop(Step& s) {
  s.life.stop_held = false;
  if (!s.life.was_up || !begin_hook(s, Hook::before_stop)) ask_to_end(s);
}

// Neither a run nor one of the hooks before its end is left.
void finish_stop(Step& s) {
  const bool restart = s.life.restart_after_stop;
  const bool counts = s.life.restart_counts;
  const Reason reason = s.life.reason;
  forget_run(s.life);
  if (s.event.reason != Reason::refused) begin_hook(s, Hook::after_stop);
  if (!s.life.want_up) {
    if (s.life.hook == Hook::none) enter(s, Phase::stopped, reason);
    return;
  }
  if (restart && !counts) return go_up(s, s.event.dependencies_met, reason);
  after_failure(s, reason);
}

}  // namespace

void begin_stop(Step& s, bool restart, bool counts, bool hold, Reason reason) {
  s.life.was_up = s.life.phase == Phase::running && !counts;
  s.life.restart_after_stop = restart;
  s.life.restart_counts = counts;
  s.life.kill_sent = false;
  s.life.stop_held = hold;
  s.life.grace.clear();
  s.life.stable.clear();
  enter(s, Phase::stopping, reason);
  if (!hold) send_stop(s);
}

void stop_preparing(Step& s, bool restart, Reason reason) {
  forget_run(s.life);
  s.life.restart_after_stop = restart;
  s.life.retrying = false;
  enter(s, Phase::stopping, reason);
  // after_stop of the run before is not for this one to end.
  s.effects.end_hook = s.life.hook == Hook::before_start;
}

void stop_again(Step& s) {
  const bool was_deliberate = !s.life.want_up;
  s.life.want_up = false;
  s.life.restart_after_stop = false;
  s.life.restart_counts = false;
  s.life.reason = reason_of_order(s.event);
  // The first order may find the run being stopped for a restart: that is not somebody who insists.
  if (was_deliberate && !s.event.hold && !s.life.kill_sent) return kill(s);
  if (s.life.stop_held && !s.event.hold) send_stop(s);
}

void release(Step& s) {
  if (s.life.stop_held) send_stop(s);
}

void ended_while_stopping(Step& s) {
  if (!s.life.run_live) return;
  s.life.run_live = false;
  s.life.stop_held = false;
  if (s.life.hook == Hook::none) finish_stop(s);
}

void hook_ended_while_stopping(Step& s) {
  const Hook over = std::exchange(s.life.hook, Hook::none);
  if (over == Hook::after_stop) {
    const Reason reason = s.life.reason;
    forget_run(s.life);
    return s.life.want_up ? go_up(s, s.event.dependencies_met, reason) : enter(s, Phase::stopped, reason);
  }
  if (!s.life.run_live) return finish_stop(s);
  if (s.life.kill_sent) return;
  over == Hook::before_stop ? ask_to_end(s) : signal_stop(s);
}

// The stop signal could not be delivered before there was a process: its grace period begins now.
void has_pid_to_stop(Step& s) {
  if (!s.life.stop_held && !s.life.kill_sent && s.life.grace.set()) begin_grace(s);
}

void check_grace(Step& s) {
  if (s.life.grace.due(s.now.mono)) kill(s);  // which ends this clock
}

void forget_run(Lifecycle& life) {
  life.run_live = false;
  life.stop_held = false;
  life.kill_sent = false;
  life.restart_after_stop = false;
  life.restart_counts = false;
  life.was_up = false;
  life.grace.clear();
  life.stable.clear();
}

}  // namespace hearth::lifecycle
