// The life of one slot: start, stop, restart, backoff, giving up.
//
// Model
// -----
// A slot has a goal (want_up) and a phase. Only orders change the goal; what happens to its run, its
// dependencies and its clocks moves the phase. At most one run is live; a new one is asked for only after the end
// of the old one is known. Numbers of runs and operations are not this room's business: step() says what shall be
// done (Effects), the supervisor numbers it, commits, and acts.
//
//   stopped   -- order_start ----------------> waiting, or starting when dependencies are met
//   waiting   -- dependencies_met -----------> starting           (spawn or before_start), or backoff while a retry is
//                                                                  to come
//   waiting, backoff -- dependency_failed ---> failed             (dependency_failed; the goal stays up)
//   starting  -- became_ready / no probe ----> running
//   starting  -- start_timeout --------------> stopping           (restart_after_stop, counts as failure)
//   starting, running -- exited, failed -----> backoff, failed or completed   (restart policy)
//   starting, running -- spawn_failed -------> the same, reason spawn_failed
//   starting, running -- unhealthy ----------> stopping           (restart_after_stop, counts as failure)
//   starting, running -- dependency_restarted > stopping          (restart_after_stop, counts as nothing)
//   starting, running -- dependency_gone ----> stopping           (restart_after_stop, counts as nothing)
//   starting  -- hook_ended -----------------> starting           (before_start, or the spawn after it)
//                                              waiting            (dependencies have gone meanwhile)
//                                              backoff, failed    (before_start has failed)
//   running   -- stable deadline ------------> running            (failures = 0)
//   waiting, backoff, failed, completed
//             -- order_stop -----------------> stopped
//   starting, running -- order_stop ---------> stopping           (the stop signal, grace begins)
//   starting, running -- order_restart ------> stopping (restart_after_stop)
//   starting, running -- order_start --------> nothing            (L3)
//   stopping  -- release_stop ---------------> stopping           (the stop signal, grace begins)
//   stopping  -- spawned --------------------> stopping           (grace begins anew: the signal can arrive now)
//   stopping  -- grace deadline -------------> stopping           (KILL; repeated by no clock: one is enough)
//   stopping  -- exited, spawn_failed -------> stopped, or waiting/starting/backoff when restart_after_stop; stopping
//                                              as long as a hook goes on
//   stopping  -- hook_ended -----------------> stopping           (the next hook, or the stop signal), or as exited
//   stopping  -- order_start, order_restart -> stopping           (restart_after_stop: it comes back)
//   stopping  -- order_stop -----------------> stopping           (KILL at once when it insists, see below)
//   backoff   -- retry deadline -------------> waiting or starting
//   failed    -- retry deadline -------------> waiting or starting (retry_after; all counts begin anew)
//   backoff   -- dependencies_unmet ---------> waiting            (retries are not burnt meanwhile)
//   failed, dependency_failed -- dependencies_met ---> starting, or backoff
//   failed, dependency_failed -- dependencies_unmet -> waiting
//   waiting, backoff, failed, completed
//             -- order_start, order_restart -> as from stopped, failures = 0
//   waiting, backoff, failed, completed
//             -- hook_ended -----------------> nothing            (after_stop of the run before is over)
//
// Every other pair changes nothing. An event that names another run than the live one is ignored by the caller,
// never by chance here. Deliberate stops and shutdown never restart: during `stopping` with want_up == false
// no exit, probe or clock brings a run back.
//
// A service that goes into the background by itself (ServiceType::forking). Its run has a leader, which ends with code 0,
// and a main process, which stays. `spawned` comes twice: of the leader (main = false), which changes nothing but that a stop
// signal has somebody to arrive at, and of the main process. The leader's good end is no event at all; any other end of
// it, and the end of a run of which no main process was found, is `exited` without main, and a failure whatever its code.
//
// Dependencies are level, not edge: the supervisor says how they stand (dependencies_met, dependencies_unmet,
// dependency_failed) whenever that or the slot has changed; saying it twice is harmless. Who waits for something
// that failed for good is `failed`, so that `up --wait` ends and status names the culprit; but its goal stays up,
// and once the dependency is there after all it starts by itself. (systemd leaves such a unit dead until somebody
// starts it by hand: systemd#1312.) It is the only failure that recovers without an order. A retry time survives
// the detour through waiting or failed: a dependency that flaps shortens nobody's backoff.
//
// dependency_restarted is a restart that nobody ordered and that is nobody's failure: counters and goal stay as they
// are. When it comes is the supervisor's business (supervisor/dependencies.h). But a dependency that comes and goes must
// not take its dependents along each time: the n-th such restart in a row is followed by a time in which there is none,
// as long as the backoff before a n-th retry (damped). The row ends when reset_after has passed since. Meanwhile the run
// stays up, and whoever asks is told that it is damped.
//
// dependency_gone is a stop of the same kind, which nobody ordered and which counts as nothing: the goal stays up, so what
// follows is `waiting` (or failed, if the dependency has), and the start when that is there again. It is not damped: who
// comes and goes by orders does so as often as somebody asks.
//
// Hooks. At most one is under way that this life waits for (`hook`); its end is an event. A phase that waits for one is
// an ordinary phase: `starting` without a run is one whose before_start, or the after_stop of the run before, goes on;
// `stopping` without a run, one whose run is over and whose hooks are not. So there are no phases for hooks.
//   before_start  when a run is due, after its dependencies are there. Fails: a failed start (reason hook_failed or
//                 hook_timeout), which counts as a run that failed. A stop meanwhile ends it.
//   before_stop,  when a run that was `running` shall end, and not because it failed or is ill: who is ill is asked
//   stop          nothing. First before_stop, to its end. Then the grace period begins; stop (stop_command) runs, and
//                 at its end, if the run still lives, the stop signal. The grace period ends both, as does who insists.
//   after_stop    after whatever had begun: a run, or a before_start that failed or was ended. What comes next (backoff,
//                 failed, completed) is decided before it, a next run comes after it, and `stopped` too.
// Beside the life go after_start (the first `running` of a run), on_failure (each end that counts as one) and on_give_up
// (each `failed` but dependency_failed): their occasions are told (Effects::beside), and nothing waits for them.
// A run that was taken over from an earlier hearth had its after_start there.
//
// Stop. hold keeps the signal back until release_stop, because dependents must end first. An order_stop during a
// deliberate stop, without hold, insists: KILL at once, whatever was held or sent before. One that meets a stop
// which was not deliberate (restart, unhealthy) only changes the goal. Where the spawn has no pid yet, the stop
// still waits for its exit or spawn_failed.
//
// Restart policy at the end of a run: a success is an exit code in success_exit_codes; an unknown status
// (adopted run) counts as a failure. So does any exit of a run that has a readiness probe and was never ready,
// except under `never`, where a success is completed. always -> restart; on_failure -> restart after failures,
// completed after success; never -> completed after success, failed after failure. A run that we ended
// (start_timeout, unhealthy) is a failure however it exits. Backoff before restart n (n = failures in a row,
// from 1): initial * factor^(n-1), at most max, times a jitter from `random` in [1 - jitter, 1 + jitter]; an exit
// with success under `always` restarts after `initial` and ends the row of failures. initial = 0 restarts at
// once. Crash limit: more than max_restarts automatic restarts within window -> failed, reason crash_loop;
// a window begins with the first restart after the end of the one before. The max_failed_starts-th start in a row that
// failed -> failed, reason crash_loop, too: one whose run was never `running` (a task: whose
// run has not ended well), or whose before_start has failed. spawn_failed with reason `refused` (a
// resource of ours was missing) is retried with backoff under every policy and outside the crash limit; it has no
// after_stop and is no failure of the service. With reason `dependency_missing` it is a start that is taken back before
// anything of its run is there, because what it depends on has gone meanwhile: it waits, nothing is counted, and after_stop
// comes where before_start has been. A task (ServiceType) that has ended well is completed under every policy.
//
// Who became `failed` by itself was given up: Effects::gave_up. With retry_after it is tried again after that, for ever,
// as if somebody had ordered it. `restarts` counts an automatic start when it begins, not when it is decided.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.h"
#include "model/service_spec.h"
#include "model/slot_state.h"

namespace hearth::lifecycle {

enum class EventKind : std::uint8_t {
  order_start,
  order_stop,  // hold: dependents must end first
  order_restart,
  release_stop,  // dependents have ended
  dependencies_met,
  dependencies_unmet,    // some dependency is not there (any more)
  dependency_failed,     // a required one has failed for good
  dependency_restarted,  // one with restart = true: was restarted, or is about to be
  dependency_gone,       // one with stop = true: is stopped, or over, and does not come back by itself
  spawned,               // the run has a pid
  spawn_failed,          // exit carries stage and errno
  exited,                // exit says how
  became_ready,
  lost_ready,
  start_timeout,
  unhealthy,    // reason: watchdog or liveness
  hook_ended,   // the one that is waited for; good: exit code 0 in time; reason: hook_failed or hook_timeout
  time_passed,  // look at the deadlines
};

struct Event {
  EventKind kind = EventKind::time_passed;
  ExitInfo exit;  // spawn_failed, exited
  // unhealthy, hook_ended; spawn_failed: refused, dependency_missing or none; orders: shutdown or none (ordered)
  Reason reason = Reason::none;
  Hook hook = Hook::none;        // hook_ended
  bool good = false;             // hook_ended
  bool dependencies_met = true;  // orders, exited, spawn_failed, hook_ended, time_passed: are they met now?
  bool hold = false;             // order_stop, order_restart, dependency_restarted, dependency_gone
  bool has_readiness = false;    // spawned, exited: there is a readiness probe, running only after became_ready
  bool main = true;              // spawned, exited: of the process that stays, and not of a leader that is to leave it
  std::uint64_t random = 0;      // exited, spawn_failed, hook_ended, dependency_restarted: for the jitter; 64 bits
};

struct Effects {
  bool spawn = false;        // ask for a new run
  int signal = 0;            // send this to the live run's group; 9 = KILL of the whole tree
  Hook hook = Hook::none;    // run this one; hook_ended is waited for
  bool end_hook = false;     // ask the one that runs to end
  bool kill_hook = false;    // end it at once
  std::uint16_t beside = 0;  // the occasions of these have come (hook_bit)
  bool gave_up = false;      // it has become `failed` by itself
  bool changed = false;      // something of Lifecycle changed
};

// One step. `life` is updated in place. Never recurses, never reads a clock.
Effects step(Lifecycle& life, const ServiceSpec& spec, const Event& event, Now now);

// The slot follows another specification, and what runs of it goes on. What has been decided stands (the time of a retry,
// the end of a grace period); what is counted from a beginning is counted by the new one: reset_after, from when its run came
// up. True: `life` has changed.
bool respecify(Lifecycle& life, const ServiceSpec& before, const ServiceSpec& spec, Now now);

// The earliest deadline, or `never`.
MonoNs next_deadline(const Lifecycle& life);

// May it be restarted with a dependency, or was it just now?
inline bool is_damped(const Lifecycle& life) {
  return life.damped;
}

// After an absence (from, now]: killing deadlines that ran out unwatched start anew. The retry deadline stays:
// a retry that is due is made.
void forgive_absence(Lifecycle& life, MonoNs from, MonoNs now);

// Is this end a success for the service?
bool is_success(const ExitInfo& exit, const ServiceSpec& spec);

// Delay before the `failures`-th restart in a row (from 1). `random` uniform.
SpanNs backoff_delay(const Backoff& backoff, std::uint32_t failures, std::uint64_t random);

inline constexpr std::size_t phase_count = 8;
inline constexpr std::size_t event_count = static_cast<std::size_t>(EventKind::time_passed) + 1;

// Is there a transition for this pair, or does it change nothing?
bool acts_on(Phase phase, EventKind event);

// What the restart policy may make of an end.
enum class Aftermath : std::uint8_t { started, waits, backs_off, given_up, crash_loop, completed };
inline constexpr std::size_t policy_count = 3;
inline constexpr std::size_t cause_count = static_cast<std::size_t>(Reason::memory) + 1;

// For tests and the simulator: every pair that step() has met since start, as a bit set per phase (bit = EventKind);
// where each has led (bit = Phase); and what has followed an end, by policy and cause (bit = Aftermath; Reason::none is
// that of a success).
struct Coverage {
  std::uint32_t seen[phase_count] = {};
  std::uint8_t led_to[phase_count][event_count] = {};
  std::uint8_t followed[policy_count][cause_count] = {};
};
Coverage& coverage();

}  // namespace hearth::lifecycle
