// What follows when a run has ended: success or failure, the next try, giving up; and how often one is restarted with a
// dependency.
#include <algorithm>

#include "lifecycle/step.h"

namespace hearth::lifecycle {
namespace {

constexpr int cld_exited = 1;

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

// Counts a start that has failed; false when the limit allows no other one.
bool may_start_again(Step& s) {
  if (s.life.been_up) return true;
  if (s.life.failed_starts < UINT16_MAX) ++s.life.failed_starts;
  const std::uint32_t most = s.spec.crash_limit.max_failed_starts;
  return most == 0 || s.life.failed_starts < most;
}

void give_up(Step& s, Reason reason) {
  enter(s, Phase::failed, reason);
  s.effects.gave_up = true;
  s.effects.beside |= hook_bit(Hook::on_give_up);
  s.life.retrying = s.spec.retry_after > 0;
  s.life.retry.start(s.now.mono, s.spec.retry_after);
}

void count_failure(Lifecycle& life) {
  if (life.failures < UINT32_MAX) ++life.failures;
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

void follow_success(Step& s) {
  s.life.last_end = Reason::exited;
  s.life.failures = 0;
  s.life.failed_starts = 0;
  if (s.spec.restart != RestartPolicy::always || s.spec.type == ServiceType::task)
    return enter(s, Phase::completed, Reason::exited);
  if (!within_crash_limit(s)) return give_up(s, Reason::crash_loop);
  s.life.retrying = true;
  retry_later(s, 1, Reason::exited);
}

void follow_failure(Step& s, Reason cause) {
  count_failure(s.life);
  s.life.last_end = cause;
  s.effects.beside |= hook_bit(Hook::on_failure);
  const bool may = may_start_again(s);
  if (s.spec.restart == RestartPolicy::never) return give_up(s, cause);
  if (!may || !within_crash_limit(s)) return give_up(s, Reason::crash_loop);
  s.life.retrying = true;
  retry_later(s, s.life.failures, cause);
}

// For the coverage: where the policy has led.
void note_outcome(const Step& s, Reason cause) {
  const Lifecycle& life = s.life;
  const Aftermath outcome = life.phase == Phase::completed                                     ? Aftermath::completed
                            : life.phase == Phase::failed && life.reason == Reason::crash_loop ? Aftermath::crash_loop
                            : life.phase == Phase::failed                                      ? Aftermath::given_up
                            : life.phase == Phase::backoff                                     ? Aftermath::backs_off
                            : life.phase == Phase::waiting                                     ? Aftermath::waits
                                                                                               : Aftermath::started;
  coverage().followed[static_cast<std::size_t>(s.spec.restart)][static_cast<std::size_t>(cause)] |=
      static_cast<std::uint8_t>(1u << static_cast<unsigned>(outcome));
}

}  // namespace

void forget_failures(Lifecycle& life) {
  life.failures = 0;
  life.failed_starts = 0;
  life.window_count = 0;
  life.window_start = 0;
}

void after_success(Step& s) {
  follow_success(s);
  note_outcome(s, Reason::none);
}

void after_failure(Step& s, Reason cause) {
  follow_failure(s, cause);
  note_outcome(s, cause);
}

// Nothing of the service has run, so neither its restart policy nor its crash limit is concerned.
void after_refusal(Step& s) {
  count_failure(s.life);
  retry_later(s, s.life.failures, Reason::refused);
  note_outcome(s, Reason::refused);
}

void damp(Step& s) {
  Lifecycle& life = s.life;
  if (s.now.mono >= after(life.damp_until, s.spec.backoff.reset_after)) life.follows = 0;
  if (life.follows < UINT32_MAX) ++life.follows;
  life.damp_until = after(s.now.mono, backoff_delay(s.spec.backoff, life.follows, s.event.random));
  life.damped = life.damp_until > s.now.mono;
}

bool is_success(const ExitInfo& exit, const ServiceSpec& spec) {
  return exit.code == cld_exited && exit.fail_stage == 0 &&
         std::ranges::find(spec.success_exit_codes, exit.status) != spec.success_exit_codes.end();
}

SpanNs backoff_delay(const Backoff& backoff, std::uint32_t failures, std::uint64_t random) {
  if (backoff.initial <= 0 || backoff.max <= 0) return 0;
  // In floating point, where nothing wraps; it is at its cap after some multiplications (by 1.001: thousands), however often the
  // service failed.
  const double cap = static_cast<double>(backoff.max);
  double grown = static_cast<double>(backoff.initial);
  for (std::uint32_t n = 1; n < failures && grown < cap && backoff.factor > 1; ++n) grown *= backoff.factor;
  const double capped = std::min(grown, cap);
  const double unit = static_cast<double>(random >> 11) * 0x1p-53;  // [0, 1)
  const double jitter = std::clamp(backoff.jitter, 0.0, 1.0);
  const double delay = capped * (1.0 - jitter + 2.0 * jitter * unit);
  return static_cast<SpanNs>(std::min(delay, 0x1p62));
}

}  // namespace hearth::lifecycle
