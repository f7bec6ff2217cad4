// What the supervisor knows and has decided of one slot: plain data, because it stands in the decision page and
// must be there for a successor at any instant. Pure rooms step parts of it: lifecycle/ the Lifecycle part,
// health/ the Health part; supervisor/ owns the outbox cells (RunCell) and the rest.
#pragma once

#include <cstdint>
#include <type_traits>

#include "base/ids.h"
#include "base/time.h"

namespace hearth {

// Where a slot stands. lifecycle/lifecycle.h has the model and the table of transitions.
enum class Phase : std::uint8_t {
  stopped = 0,  // nothing runs, nothing shall
  waiting,      // shall run; a dependency is not there yet
  starting,     // a run exists or is being made; not ready
  running,      // started, and ready when it has a readiness probe (then `ready` may be lost again)
  stopping,     // asked to end; KILL at the end of the grace period
  backoff,      // shall run; waits for its retry time
  failed,       // gave up; only an order brings it back
  completed,    // ended by itself and shall not be restarted
};

// Why a slot is where it is; `status` and `explain` put it in words.
enum class Reason : std::uint8_t {
  none = 0,
  ordered,             // somebody asked
  dependency_missing,  // waits for a dependency
  dependency_failed,   // a required dependency has failed for good
  exited,              // the run ended by itself
  spawn_failed,        // stage and errno say where
  start_timeout,       // not ready in time
  watchdog,            // WATCHDOG=1 did not come in time
  liveness,            // the liveness probe failed
  crash_loop,          // more restarts than allowed in the window, or failed starts in a row
  policy,              // restart policy says no
  adopted,             // taken over after everything of hearth had died
  lost,                // nobody can say what became of the run
  refused,             // a resource was missing; tried again
  shutdown,
  dependency_restarted,  // of a dependency with restart = true there is a newer run than its own
  hook_failed,           // before_start has failed: last_exit says how
  hook_timeout,          // before_start has not ended in time
  memory,                // it used more than max_memory
};

// The commands of hearth's that belong to a service (Actions in service_spec.h), each a run of its own. The first four
// are what its life waits for, one after the other; the others run beside it.
enum class Hook : std::uint8_t {
  none = 0,
  before_start,
  before_stop,
  stop,  // stop_command
  after_stop,
  after_start,
  on_failure,
  on_give_up,
  reload,  // reload_command
};
inline constexpr unsigned hook_count = 9;
constexpr bool runs_beside(Hook hook) {
  return hook > Hook::after_stop;
}
constexpr std::uint16_t hook_bit(Hook hook) {
  return static_cast<std::uint16_t>(1u << static_cast<unsigned>(hook));
}

// A point in time together with the span it came from: a deadline that ran out while nobody watched starts
// anew with its whole span. at == 0: none.
struct Deadline {
  MonoNs at = 0;
  SpanNs span = 0;
  bool set() const { return at != 0; }
  bool due(MonoNs now) const { return at != 0 && now >= at; }
  void start(MonoNs now, SpanNs length) {
    span = length;
    at = length > 0 ? after(now, length) : 0;
  }
  void clear() { at = span = 0; }
  // Our absence never kills: what ran out between `from` and `now`, unwatched, gets its whole span again.
  void renew_if_missed(MonoNs from, MonoNs now) {
    if (at != 0 && at >= from && at <= now) at = after(now, span);
  }
  friend bool operator==(const Deadline&, const Deadline&) = default;
};

// How a run ended. code as wire::RunEntry::wait_code; 0 = it has not.
struct ExitInfo {
  std::int32_t code = 0;         // CLD_EXITED 1, CLD_KILLED 2, CLD_DUMPED 3, -1 unknown
  std::int32_t status = 0;       // exit code or signal
  std::uint32_t fail_stage = 0;  // wire::SpawnStage, when the child never became the program
  std::int32_t fail_errno = 0;
  RunId run = no_run;
  WallNs at = 0;
  friend bool operator==(const ExitInfo&, const ExitInfo&) = default;
};

// What a run and what it had waited for has used, as the kernel counts it (getrusage(2)).
struct RunUse {
  bool known = false;
  std::int64_t cpu_user_us = 0;
  std::int64_t cpu_system_us = 0;
  std::int64_t max_rss_kib = 0;
};

struct Lifecycle {
  Phase phase = Phase::stopped;
  Reason reason = Reason::none;
  Reason last_end = Reason::none;  // why the last run did not stay; what a crash loop was made of
  bool want_up = false;            // the goal
  bool stop_held = false;          // stopping, but dependents must end first: nothing has been sent yet
  bool kill_sent = false;
  bool restart_after_stop = false;  // stopping only to start again
  bool restart_counts = false;      // ... and that restart is a failure (unhealthy), so backoff applies
  bool run_live = false;            // a run was asked for and has not ended
  bool was_up = false;              // stopping: it was running, and its stop is no failure: its hooks are asked
  bool retrying = false;            // the next start is an automatic one: `restarts` counts it when it begins
  Hook hook = Hook::none;           // under way, and what this life waits for
  std::uint32_t failures = 0;       // in a row; the exponent of the backoff
  std::uint32_t restarts = 0;       // in the slot's life, deliberate ones not counted
  std::uint32_t window_count = 0;   // restarts in the current crash window
  MonoNs window_start = 0;
  Deadline retry;                   // backoff; failed: retry_after
  Deadline grace;                   // stop
  Deadline stable;                  // when it passes, failures = 0
  WallNs since = 0;                 // when the phase was entered
  MonoNs damp_until = 0;            // it is not restarted with a dependency before
  std::uint32_t follows = 0;        // restarts with a dependency, in a row
  bool damped = false;              // damp_until has not been seen to pass
  bool been_up = false;             // the run has been running
  std::uint16_t failed_starts = 0;  // in a row
  friend bool operator==(const Lifecycle&, const Lifecycle&) = default;
};

struct ProbeState {
  Deadline next;                // when the next try is due
  Deadline limit;               // of the try under way
  std::uint64_t attempt = 0;    // number of the try under way or last made; results of others are ignored
  std::uint32_t successes = 0;  // in a row
  std::uint32_t failures = 0;   // in a row
  bool in_flight = false;
  friend bool operator==(const ProbeState&, const ProbeState&) = default;
};

// What a service says it does (X_HEARTH_STATE).
enum class Work : std::uint8_t { unsaid = 0, idle, busy };

struct Health {
  bool watching = false;    // a run is being watched
  bool forks = false;       // its leader is to leave a daemon, and that has not been found yet
  bool ready_said = false;  // forks: it has said so already
  bool ready = false;
  bool reloading = false;  // RELOADING=1 seen, READY=1 not yet
  bool stopping = false;   // STOPPING=1 seen
  Deadline start;          // until ready
  Deadline watchdog;
  SpanNs watchdog_span = 0;  // WATCHDOG_USEC= may change it
  ProbeState ready_probe;
  ProbeState live_probe;
  WallNs ready_since = 0;
  std::int32_t reported_errno = 0;  // ERRNO=
  std::int32_t main_pid = 0;        // MAINPID=
  Work work = Work::unsaid;
  std::uint64_t work_done = 0;   // X_HEARTH_DONE=
  std::uint64_t work_total = 0;  // X_HEARTH_TOTAL=; 0 = not said
  MonoNs begun = 0;              // when its run was first seen
  SpanNs load = 0;               // from then until it was ready for the first time; 0 = it has not been
  // Texts come last, here and in SlotState: where there are none, none are stored (wire/decision_page.h).
  char status[160] = {};  // STATUS=, cut at a character boundary, NUL-terminated
  char item[48] = {};     // X_HEARTH_ITEM=, the same
  friend bool operator==(const Health&, const Health&) = default;
};

// Added to RunCell::signal: to the leader alone, not to its group.
inline constexpr std::int32_t to_leader_alone = 0x100;

// Outbox cells of one run. What has been decided; whether it is done is read from the slot table.
struct RunCell {
  RunId run = no_run;
  EntryIndex entry = no_entry;
  std::int32_t pid = 0;
  bool spawn = false;  // shall be spawned; done when the entry has a pid or a failure
  bool reap = false;   // shall be reaped; done when the entry no longer holds `run`
  std::uint8_t unused[2] = {};
  std::int32_t signal = 0;  // last signal decided; done when entry.last_op >= op
  OpId op = 0;
  std::uint64_t document = 0;  // version of the specification it was started from
  WallNs started = 0;
  std::uint64_t start_ticks = 0;
  std::uint64_t output_from = 0;  // bytes in the slot's log when it was decided: what follows is its own
};

// What had not come by the time of start_timeout, of a service that goes into the background: that its leader ends; that
// its main process is found. nothing: it was not ready.
enum class Missed : std::uint8_t { nothing = 0, background, main };

// hook: before_start, before_stop, stop, after_stop. side_hook: those that run beside.
enum class SlotRole : std::uint8_t { service = 0, ready_probe = 1, live_probe = 2, hook = 3, side_hook = 4 };
constexpr bool is_probe(SlotRole role) {
  return role == SlotRole::ready_probe || role == SlotRole::live_probe;
}
constexpr bool is_hook(SlotRole role) {
  return role == SlotRole::hook || role == SlotRole::side_hook;
}

struct SlotState {
  bool used = false;
  bool removing = false;    // goes away once nothing of it runs
  bool run_wanted = false;  // a run is asked for, but both entries wait for their reap
  SlotRole role = SlotRole::service;
  SlotIndex parent = no_slot;  // of a probe's slot: whom it probes; of a hook's: whose
  std::uint64_t document = 0;  // version of the specification it follows
  std::uint32_t service = 0;   // index in the document
  std::uint32_t replica = 0;
  OrderId order = 0;                // the last order that concerned it
  OrderId order_before = 0;         // the one before, when both want it up: it still waits for the same; 0 = none
  std::uint64_t probe_attempt = 0;  // of a probe's slot: which try this run is
  RunCell cell[2];                  // [current] is the newest run; the other one may wait for its reap
  std::uint8_t current = 0;
  Hook hook = Hook::none;           // of a hook's slot: the one under way, until its service has been told of its end
  std::uint16_t beside = 0;         // of a service: hooks to be run beside it, as bits (hook_bit)
  bool left_behind = false;         // of a service: its last run ended by itself with success, and others of it went on
  bool reload_failed = false;       // of a service: its last reload_command, since this run began
  Hook ended = Hook::none;          // of a hook's slot: the one whose end last_exit is
  bool no_daemon = false;           // of a service: its last run ended before the daemon that it was to leave was found
  Missed missed = Missed::nothing;  // ... by its last start_timeout
  std::uint32_t used_kib = 0;       // of a service: when a run last used more than max_memory; at most so much as fits
  Lifecycle life;
  ExitInfo last_exit;
  Deadline limit;           // of a hook's slot: its timeout
  std::uint64_t event = 0;  // the newest event of the journal that is of this slot; 0 = none
  Health health;
  char leftover[96] = {};  // what the last stop could not end, in words, NUL-terminated; "" = nothing

  RunCell& run() { return cell[current]; }
  const RunCell& run() const { return cell[current]; }
};
static_assert(std::is_trivially_copyable_v<SlotState>);

}  // namespace hearth
