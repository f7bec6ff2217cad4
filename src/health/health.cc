#include "health/health.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "health/coverage.h"
#include "health/utf8.h"

namespace hearth::health {
namespace {

// Probe intervals and limits of 0 would be clocks that never run, or that run without end.
constexpr SpanNs shortest = milliseconds(1);

// Before a run was ever ready, bad tries follow each other quickly at first: a service that is up after 80 ms shall
// not be waited for a whole interval. Doubled with each, so that one that loads for an hour is not asked for ever.
constexpr SpanNs first_pause = milliseconds(50);

SpanNs from_usec(std::int64_t usec) {
  return usec > std::numeric_limits<SpanNs>::max() / ns_per_us ? std::numeric_limits<SpanNs>::max() : usec * ns_per_us;
}

// ---- tries ------------------------------------------------------------------------------------

void begin_try(ProbeState& state, const Probe& probe, Now now) {
  ++state.attempt;
  state.in_flight = true;
  state.next.clear();
  state.limit.start(now.mono, std::max(probe.timeout, shortest));
}

void await_next_try(ProbeState& state, const Probe& probe, Now now) {
  state.in_flight = false;
  state.limit.clear();
  state.next.start(now.mono, std::max(probe.interval, shortest));
}

void end_try(ProbeState& state, const Probe& probe, bool good, Now now) {
  await_next_try(state, probe, now);
  std::uint32_t& more = good ? state.successes : state.failures;
  (good ? state.failures : state.successes) = 0;
  if (more < UINT32_MAX) ++more;
}

void end_ready_try(Health& health, const Probe& probe, bool good, Now now) {
  ProbeState& state = health.ready_probe;
  end_try(state, probe, good, now);
  if (good || health.ready_since != 0 || state.failures > 16) return;  // 50 ms doubled so often is beyond any interval
  const SpanNs quick = first_pause << (state.failures - 1);
  if (quick < probe.interval) state.next.start(now.mono, quick);
}

bool is_under_way(const Health& health, const ProbeState& state, std::uint64_t attempt) {
  return health.watching && state.in_flight && attempt == state.attempt;
}

bool enough(std::uint32_t in_a_row, std::uint32_t threshold) {
  return in_a_row >= std::max<std::uint32_t>(threshold, 1);
}

// Numbers of tries go on from run to run: a result that is late by a whole run must not be taken for ours.
void forget_all_but_number(ProbeState& state) {
  const std::uint64_t attempt = state.attempt;
  state = ProbeState{};
  state.attempt = attempt;
}

// ---- readiness and death -----------------------------------------------------------------------

void become_ready(Health& health, const ServiceSpec& spec, Verdict& verdict, Now now) {
  if (health.ready || health.stopping) return;
  if (health.forks) {
    health.ready_said = true;
    return;
  }
  const bool first = health.ready_since == 0;
  health.ready = true;
  health.ready_since = std::max<WallNs>(now.wall, 1);  // 0 means never
  health.start.clear();
  verdict.became_ready = true;
  if (!first) return;
  // At least 1: a program that is ready at once has been loaded, too.
  if (health.begun != 0) health.load = std::max<SpanNs>(now.mono - health.begun, 1);
  health.watchdog.start(now.mono, health.watchdog_span);
  if (is_tried(spec.live->type)) {
    begin_try(health.live_probe, spec.live, now);
    verdict.try_live = true;
  }
}

void lose_ready(Health& health, Verdict& verdict) {
  if (!health.ready) return;
  health.ready = false;
  // Ready and gone within one step was never ready to anybody.
  verdict.lost_ready = !verdict.became_ready;
  verdict.became_ready = false;
}

void stop_watching(Health& health) {
  health.watching = false;
  health.forks = health.ready_said = false;
  health.ready = false;
  health.reloading = false;
  health.start.clear();
  health.watchdog.clear();
  forget_all_but_number(health.ready_probe);
  forget_all_but_number(health.live_probe);
}

// The run is given up, and nobody watches it any more: that is why a verdict of death comes once.
void give_up(Health& health, Verdict& verdict) {
  verdict.try_ready = verdict.try_live = false;
  lose_ready(health, verdict);
  stop_watching(health);
}

void be_unhealthy(Health& health, Reason reason, Verdict& verdict) {
  verdict.unhealthy = true;
  verdict.reason = reason;
  give_up(health, verdict);
}

void judge_readiness(Health& health, const ServiceSpec& spec, Verdict& verdict, Now now) {
  if (enough(health.ready_probe.successes, spec.ready->success_threshold)) {
    become_ready(health, spec, verdict, now);
    if (is_said_once(spec.ready->type)) health.ready_probe.next.clear();
  } else if (enough(health.ready_probe.failures, spec.ready->failure_threshold)) {
    lose_ready(health, verdict);
  }
}

void judge_liveness(Health& health, const ServiceSpec& spec, Reason bad, Verdict& verdict) {
  if (enough(health.live_probe.failures, spec.live->failure_threshold)) {
    be_unhealthy(health, bad, verdict);
  }
}

// ---- notify -----------------------------------------------------------------------------------

template <std::size_t n>
void keep_text(char (&kept)[n], std::string_view said) {
  const std::string_view text = cut_utf8(said, n - 1);
  std::memset(kept, 0, n);
  std::memcpy(kept, text.data(), text.size());
}

void take_work(Health& health, const NotifyMessage& message) {
  if (message.work != Work::unsaid) health.work = message.work;
  if (message.work == Work::idle && !message.has_item) keep_text(health.item, "");
  if (message.has_item) keep_text(health.item, message.item);
  if (message.work_done >= 0) health.work_done = static_cast<std::uint64_t>(message.work_done);
  if (message.work_total >= 0) health.work_total = static_cast<std::uint64_t>(message.work_total);
}

void take_texts(Health& health, const NotifyMessage& message) {
  if (message.has_errno) health.reported_errno = message.error_number;
  if (message.main_pid != 0) health.main_pid = message.main_pid;
  if (message.has_status) keep_text(health.status, message.status);
  take_work(health, message);
}

void take_stopping(Health& health, const ServiceSpec& spec, Verdict& verdict, Now now) {
  health.stopping = true;
  health.reloading = false;
  // Of one that was never ready nothing else would bound how long it takes to end; by uptime it had no clock.
  if (health.ready_since == 0 && !health.start.set()) health.start.start(now.mono, spec.start_timeout);
  forget_all_but_number(health.ready_probe);
  forget_all_but_number(health.live_probe);
  lose_ready(health, verdict);
}

// The watchdog of a run that was never ready has not begun; one of a run that lost readiness goes on.
bool watchdog_begun(const Health& health) {
  return health.ready_since != 0;
}

void take_watchdog(Health& health, const NotifyMessage& message, Now now) {
  if (message.watchdog_usec >= 0) {
    health.watchdog_span = from_usec(message.watchdog_usec);
    if (watchdog_begun(health)) health.watchdog.start(now.mono, health.watchdog_span);
  }
  if (message.watchdog && watchdog_begun(health)) {
    health.watchdog.start(now.mono, health.watchdog_span);
  }
}

void extend(Deadline& deadline, SpanNs span, Now now) {
  if (deadline.set() && after(now.mono, span) > deadline.at) deadline.start(now.mono, span);
}

// What happened, if it was one thing.
class Met {
 public:
  Met() = default;
  Met(Happened what) : Met() { add(true, what); }  // NOLINT(google-explicit-constructor): a list of one
  Met& add(bool holds, Happened what) {
    if (holds) ++count_, what_ = what;
    return *this;
  }
  void note(const Health& before, const Health& after) const {
    if (count_ != 1) return;
    coverage().led_to[static_cast<std::size_t>(state_of(before))][static_cast<std::size_t>(what_)] |=
        static_cast<std::uint8_t>(1u << static_cast<unsigned>(state_of(after)));
  }

 private:
  unsigned count_ = 0;
  Happened what_ = Happened::watched;
};

template <typename Change>
Verdict changing(Health& health, const Met& met, Change change) {
  const Health before = health;
  Verdict verdict;
  change(verdict);
  verdict.changed = !(before == health);
  met.note(before, health);
  return verdict;
}

Met said(const NotifyMessage& message) {
  return Met()
      .add(message.ready, Happened::said_ready)
      .add(message.reloading, Happened::said_reloading)
      .add(message.stopping, Happened::said_stopping)
      .add(message.watchdog, Happened::said_watchdog)
      .add(message.watchdog_trigger, Happened::said_trigger)
      .add(message.watchdog_usec >= 0, Happened::said_watchdog_span)
      .add(message.extend_timeout_usec >= 0, Happened::said_extend);
}

Met answered(Which which, bool good) {
  if (which == Which::ready) return good ? Happened::ready_good : Happened::ready_bad;
  return good ? Happened::live_good : Happened::live_bad;
}

Met run_out(const Health& health, const ServiceSpec& spec, Now now) {
  const bool by_uptime = spec.ready->type == ProbeType::uptime && health.ready_probe.next.due(now.mono);
  return Met()
      .add(health.start.due(now.mono), Happened::start_over)
      .add(health.watchdog.due(now.mono), Happened::watchdog_over)
      .add(health.ready_probe.limit.due(now.mono), Happened::ready_try_over)
      .add(health.live_probe.limit.due(now.mono), Happened::live_try_over)
      .add(by_uptime, Happened::uptime_over);
}

void forget_run(Health& health) {
  forget_all_but_number(health.ready_probe);
  forget_all_but_number(health.live_probe);
  const ProbeState ready = health.ready_probe;
  const ProbeState live = health.live_probe;
  health = Health{};
  health.ready_probe = ready;
  health.live_probe = live;
}

// Its readiness is a clock, which is kept where other probes have that of the next try. Nothing can be late then, so it
// is the only one.
void await_uptime(Health& health, const Probe& probe, MonoNs from, Now now) {
  if (probe.type != ProbeType::uptime) return;
  health.start.clear();
  const SpanNs left = after(from, probe.uptime) - now.mono;
  health.ready_probe.next.start(now.mono, std::max(left, shortest));
}

void begin_readiness(Health& health, const ServiceSpec& spec, bool is_ready, Verdict& verdict, Now now) {
  if (is_ready) become_ready(health, spec, verdict, now);
  if (is_tried(spec.ready->type) && !is_ready && !health.stopping) {
    begin_try(health.ready_probe, spec.ready, now);
    verdict.try_ready = true;
  }
  if (!is_ready && !health.stopping) await_uptime(health, spec.ready, now.mono, now);
}

void begin(Health& health, const ServiceSpec& spec, bool is_ready, Verdict& verdict, Now now) {
  forget_run(health);
  health.watching = true;
  health.watchdog_span = spec.watchdog;
  begin_readiness(health, spec, is_ready, verdict, now);
}

}  // namespace

Verdict watch(Health& health, const ServiceSpec& spec, Now now) {
  return changing(health, Happened::watched, [&](Verdict& verdict) {
    if (spec.type == ServiceType::forking) {
      forget_run(health);
      health.watching = health.forks = true;
      health.watchdog_span = spec.watchdog;
    } else {
      begin(health, spec, spec.ready->type == ProbeType::none, verdict, now);
    }
    health.begun = now.mono;
    const bool awaited = health.forks || spec.ready->type != ProbeType::uptime;
    if (!health.ready && awaited) health.start.start(now.mono, spec.start_timeout);
  });
}

Verdict found_main(Health& health, const ServiceSpec& spec, Now now) {
  return changing(health, Happened::main_found, [&](Verdict& verdict) {
    if (!health.watching || !health.forks) return;
    health.forks = false;
    const bool is_ready = std::exchange(health.ready_said, false) || spec.ready->type == ProbeType::none;
    // It counts as running now, and nothing of it can be late any more.
    if (spec.ready->type == ProbeType::none) health.start.clear();
    begin_readiness(health, spec, is_ready, verdict, now);
  });
}

Verdict adopt(Health& health, const ServiceSpec& spec, bool was_ready, Now now) {
  return changing(health, Happened::adopted, [&](Verdict& verdict) {
    begin(health, spec, !is_tried(spec.ready->type) || is_said_once(spec.ready->type), verdict, now);
    if (!health.ready && !was_ready) health.start.start(now.mono, spec.start_timeout);
  });
}

void unwatch(Health& health) {
  const Health before = health;
  stop_watching(health);
  Met(Happened::unwatched).note(before, health);
}

Verdict respecify(Health& health, const ServiceSpec& before, const ServiceSpec& spec, Now now) {
  return changing(health, Happened::respecified, [&](Verdict& verdict) {
    if (!health.watching || health.stopping) return;
    const bool was_ready_before = health.ready_since != 0;
    const bool clock_is_another = spec.start_timeout != before.start_timeout ||
                                  (before.ready->type == ProbeType::uptime && spec.ready->type != ProbeType::uptime);
    if (clock_is_another && !was_ready_before && (health.forks || spec.ready->type != ProbeType::uptime))
      health.start.start(now.mono, spec.start_timeout);
    if (health.forks) return;
    if (!(spec.ready == before.ready)) {
      forget_all_but_number(health.ready_probe);
      if (spec.ready->type == ProbeType::none) become_ready(health, spec, verdict, now);
      if (!health.ready) await_uptime(health, spec.ready, health.begun, now);
      if (is_tried(spec.ready->type)) {
        begin_try(health.ready_probe, spec.ready, now);
        verdict.try_ready = true;
      }
    }
    if (spec.live == before.live || !was_ready_before) return;  // else it has just begun, or will
    forget_all_but_number(health.live_probe);
    if (!is_tried(spec.live->type)) return;
    begin_try(health.live_probe, spec.live, now);
    verdict.try_live = true;
  });
}

Verdict notify(Health& health, const ServiceSpec& spec, const NotifyMessage& message, Now now) {
  return changing(health, said(message), [&](Verdict& verdict) {
    take_texts(health, message);
    if (!health.watching) return;
    if (message.stopping) take_stopping(health, spec, verdict, now);
    if (message.reloading && !health.stopping) health.reloading = true;
    if (message.ready) {
      health.reloading = false;
      if (spec.ready->type == ProbeType::notify) become_ready(health, spec, verdict, now);
    }
    take_watchdog(health, message, now);
    if (message.extend_timeout_usec >= 0) {
      extend(health.start, from_usec(message.extend_timeout_usec), now);
      extend(health.watchdog, from_usec(message.extend_timeout_usec), now);
    }
    if (message.watchdog_trigger) be_unhealthy(health, Reason::watchdog, verdict);
  });
}

Verdict said_ready(Health& health, const ServiceSpec& spec, Now now) {
  return changing(health, Happened::said_newline, [&](Verdict& verdict) {
    if (!health.watching || spec.ready->type != ProbeType::fd) return;
    health.reloading = false;
    become_ready(health, spec, verdict, now);
  });
}

Verdict probe_result(Health& health, const ServiceSpec& spec, Which which, std::uint64_t attempt, bool good, Now now,
                     Reason bad) {
  return changing(health, answered(which, good), [&](Verdict& verdict) {
    const bool readiness = which == Which::ready;
    const ProbeState& state = readiness ? health.ready_probe : health.live_probe;
    if (!is_under_way(health, state, attempt)) return;
    readiness ? end_ready_try(health, spec.ready, good, now) : end_try(health.live_probe, spec.live, good, now);
    readiness ? judge_readiness(health, spec, verdict, now) : judge_liveness(health, spec, bad, verdict);
  });
}

Verdict try_refused(Health& health, const ServiceSpec& spec, Which which, std::uint64_t attempt, Now now,
                    bool answered) {
  return changing(health, which == Which::ready ? Happened::ready_refused : Happened::live_refused, [&](Verdict&) {
    const bool readiness = which == Which::ready;
    ProbeState& state = readiness ? health.ready_probe : health.live_probe;
    if (!is_under_way(health, state, attempt)) return;
    if (answered) state.failures = 0;
    await_next_try(state, readiness ? spec.ready : spec.live, now);
    if (readiness && health.start.set()) health.start.start(now.mono, health.start.span);
  });
}

Verdict time_passed(Health& health, const ServiceSpec& spec, Now now) {
  return changing(health, run_out(health, spec, now), [&](Verdict& verdict) {
    if (health.ready_probe.limit.due(now.mono)) {
      end_ready_try(health, spec.ready, false, now);
      judge_readiness(health, spec, verdict, now);
    }
    if (health.live_probe.limit.due(now.mono)) {
      end_try(health.live_probe, spec.live, false, now);
      judge_liveness(health, spec, Reason::liveness, verdict);
    }
    if (health.watchdog.due(now.mono)) be_unhealthy(health, Reason::watchdog, verdict);
    if (health.start.due(now.mono)) {
      verdict.start_timeout = true;
      give_up(health, verdict);
    }
    if (health.ready_probe.next.due(now.mono) && spec.ready->type == ProbeType::uptime) {
      health.ready_probe.next.clear();
      become_ready(health, spec, verdict, now);
    } else if (health.ready_probe.next.due(now.mono)) {
      begin_try(health.ready_probe, spec.ready, now);
      verdict.try_ready = true;
    }
    if (health.live_probe.next.due(now.mono)) {
      begin_try(health.live_probe, spec.live, now);
      verdict.try_live = true;
    }
  });
}

bool is_due_by_uptime(const Health& health, const ServiceSpec& spec, Now now) {
  return health.watching && !health.ready && spec.ready->type == ProbeType::uptime &&
         health.ready_probe.next.due(now.mono);
}

void put_off_uptime(Health& health, Now now) {
  health.ready_probe.next.start(now.mono, first_pause);
}

MonoNs next_deadline(const Health& health) {
  MonoNs earliest = never;
  for (const Deadline& deadline : {health.start, health.watchdog, health.ready_probe.next, health.ready_probe.limit,
                                   health.live_probe.next, health.live_probe.limit}) {
    if (deadline.set()) earliest = std::min(earliest, deadline.at);
  }
  return earliest;
}

void forgive_absence(Health& health, MonoNs from, MonoNs now) {
  health.start.renew_if_missed(from, now);
  health.watchdog.renew_if_missed(from, now);
  health.ready_probe.limit.renew_if_missed(from, now);
  health.live_probe.limit.renew_if_missed(from, now);
}

void forget_tries(Health& health, Now now) {
  for (ProbeState* state : {&health.ready_probe, &health.live_probe}) {
    if (!state->in_flight) continue;
    state->in_flight = false;
    state->limit.clear();
    state->next = {now.mono, shortest};
  }
}

}  // namespace hearth::health
