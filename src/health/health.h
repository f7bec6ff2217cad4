// Startup, readiness and liveness of one run: three things with three clocks (H1).
//
// Model
// -----
// States, as the flags of Health say them together (tests/unit/health/table_test.cc holds each against each event):
//
//   unwatched  no run, or one that was given up. What it says of itself is taken, and nothing else
//   forks      its main process has not been found: the start clock runs, and nothing else
//   starting   was never ready: the start clock runs, readiness is tried
//   ready      the watchdog runs, both probes are tried
//   lost       was ready, and its probe says that it is not: all goes on as in ready
//   ending     has said STOPPING=1: nothing is tried, and of the clocks only a watchdog that had begun goes on, or the
//              start clock of one that was never ready
//
// reloading is beside starting, ready and lost: RELOADING=1 was said, and READY=1 not since.
//
// watch() begins with a run and forgets all of the run before, except the numbers of its tries. Then:
//
//   startup    `start` runs from watch() until ready. EXTEND_TIMEOUT_USEC=n moves it to now + n if that is
//              later (sd_notify(3)); so loading may take an hour as long as the service says so. When it
//              passes: verdict start_timeout, once.
//   readiness  notify: READY=1. fd: a newline on the descriptor that it was given, said_ready(). All others are tried:
//              success_threshold good tries in a row; tries begin at once
//              and are repeated `interval` after each end; until the run was ready for the first time, bad ones
//              after 50, 100, 200 ms ... as long as that is less. After ready the probe goes on, and
//              failure_threshold bad tries in a row lose readiness (verdict lost_ready), which is not death;
//              success_threshold good ones bring it back.
//              log: what stands in the output stays true, so it is not tried any more once the run is ready.
//              uptime: when it has run so long. Nothing is tried, nothing takes it back, and there is no start clock
//              from when its main process is there: nothing can be late.
//              none: ready with watch().
//              RELOADING=1 sets reloading and keeps ready; the next READY=1 ends it. STOPPING=1 ends
//              readiness (lost_ready), and probes stop, for the rest of the run: a READY=1
//              after it, or in the same message, is not heard. The watchdog goes on, because without it
//              nothing would bound a service that hangs while it ends by itself; so does the start clock of one
//              that was never ready, or begins (uptime has none before).
//   liveness   the live probe begins when ready for the first time and goes on when readiness is lost;
//              failure_threshold bad tries in a row: verdict unhealthy, once, for the reason of the last of them
//              (Reason::liveness, or Reason::memory where the run used more than max_memory). Watchdog:
//              begins with the first ready (at watch() without a readiness probe) when watchdog_span > 0;
//              WATCHDOG=1 starts it anew, WATCHDOG=trigger or its end: verdict unhealthy (Reason::watchdog),
//              once. WATCHDOG_USEC=n changes the span (0: off) and starts it anew. EXTEND_TIMEOUT_USEC
//              extends it too.
//
// start_timeout and unhealthy give the run up: with the verdict it is watched no more (and lost_ready is set when
// it was ready), which is why they come once. unwatch() keeps what the service said of itself (status, errno,
// main PID), and notify() goes on taking that; nothing else of a run that is not watched counts.
//
// A try is named by `attempt`; results of other tries are ignored, so a result may come late, twice or never
// (`limit` ends a try that never answers; it counts as bad). Numbers are never used twice in the life of a slot.
// Every notify message is an absolute statement about its run: seeing it twice changes nothing.
//
// try_refused(): the try was never made, because something of ours was missing (a descriptor, a spawner). That says
// nothing of the service: it counts neither way, the next try comes after the interval, and the start clock begins
// anew, since nobody looked. With `answered` what the probe asks was answered well, and only how much memory the run uses
// could not be looked at: of a row of bad tries that is the end.
//
// What it does (X_HEARTH_STATE, _ITEM, _DONE, _TOTAL) is told on, and decides nothing. `idle` ends the item.
//
// A run whose leader is to leave a daemon (type = "forking") forks until found_main() says that this is there. Meanwhile
// the start clock runs, whatever its readiness is, and nothing is tried. A readiness that is said by then is remembered, for
// it will not be said again; found_main() goes on with it as watch() would have.
//
// adopt() is watch() for a run that was found alive after all of hearth had died. Whether it has said READY=1
// nobody knows any more, and it will not say it again: where readiness is said once (is_said_once: notify, fd, log) it
// counts as ready, and there is no start clock, so that our absence does not end what has been loading for an hour. So
// does one that is ready by uptime. Other probes are tried as ever. One of those that had been ready before is not ended
// because it is not at the moment, as it would not have been had nobody died: it has no start clock. One that had not been
// gets its whole start_timeout again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/time.h"
#include "model/service_spec.h"
#include "model/slot_state.h"

namespace hearth::health {

// A parsed sd_notify(3) message, without descriptors (FDSTORE is the supervisor's business).
struct NotifyMessage {
  bool ready = false;
  bool reloading = false;
  bool stopping = false;
  bool watchdog = false;
  bool watchdog_trigger = false;
  bool barrier = false;
  bool has_status = false;
  std::string status;
  bool has_errno = false;
  std::int32_t error_number = 0;
  std::int32_t main_pid = 0;  // 0 = not said
  Work work = Work::unsaid;   // X_HEARTH_STATE=
  bool has_item = false;      // X_HEARTH_ITEM=
  std::string item;
  std::int64_t work_done = -1;      // X_HEARTH_DONE=, -1 = not said
  std::int64_t work_total = -1;     // X_HEARTH_TOTAL=
  std::int64_t watchdog_usec = -1;  // -1 = not said
  std::int64_t extend_timeout_usec = -1;
  bool fdstore = false;
  bool fdstore_remove = false;
  bool fdpoll = true;  // FDPOLL=0
  std::string fdname;  // "" = not said
};

// Parses one datagram: lines NAME=VALUE; unknown names are ignored, malformed values of known names too
// (absolute statements only; the rest of the message holds), and so are lines with a NUL in them. Of a name that is
// there twice the last valid value holds. STATUS is made valid UTF-8. Numbers are decimal digits; spans beyond
// 63 bits saturate. FDNAME: printable ASCII without ':', at most 103 bytes, else "stored" as in
// sd_pid_notify_with_fds(3). Any size, linear time.
NotifyMessage parse_notify(const char* data, std::size_t size);

struct Verdict {
  bool became_ready = false;
  bool lost_ready = false;
  bool start_timeout = false;
  bool unhealthy = false;
  Reason reason = Reason::none;  // of unhealthy
  bool try_ready = false;        // begin readiness try number ready_probe.attempt
  bool try_live = false;         // begin liveness try number live_probe.attempt
  bool changed = false;
};

enum class Which : std::uint8_t { ready, live };

Verdict watch(Health& health, const ServiceSpec& spec, Now now);  // a run has been spawned
// ... or found, after hearth had died. `was_ready`: it had been, as far as anybody knows.
Verdict adopt(Health& health, const ServiceSpec& spec, bool was_ready, Now now);
// The daemon that its leader has left is there. Twice is once.
Verdict found_main(Health& health, const ServiceSpec& spec, Now now);
void unwatch(Health& health);  // it ended, or is being stopped
// It goes on, and from now on by `spec`. A probe that is another one begins anew, and what was found before stands
// until it says otherwise: who was ready is ready. The start clock begins anew when its span is another one.
Verdict respecify(Health& health, const ServiceSpec& before, const ServiceSpec& spec, Now now);
Verdict notify(Health& health, const ServiceSpec& spec, const NotifyMessage& message, Now now);
// A newline came on the readiness descriptor. Twice is once.
Verdict said_ready(Health& health, const ServiceSpec& spec, Now now);
// `bad`: for what reason a bad one of liveness is bad; that of the last one is the verdict's.
Verdict probe_result(Health& health, const ServiceSpec& spec, Which which, std::uint64_t attempt, bool good, Now now,
                     Reason bad = Reason::liveness);
Verdict try_refused(Health& health, const ServiceSpec& spec, Which which, std::uint64_t attempt, Now now,
                    bool answered = false);
Verdict time_passed(Health& health, const ServiceSpec& spec, Now now);
// Will time_passed() find it ready by uptime? Who knows that it has ended puts that off: its exit is on the way.
bool is_due_by_uptime(const Health& health, const ServiceSpec& spec, Now now);
void put_off_uptime(Health& health, Now now);
MonoNs next_deadline(const Health& health);
// After an absence: start, watchdog and try limits that ran out unwatched start anew.
void forgive_absence(Health& health, MonoNs from, MonoNs now);
// After a take-over: tries under way are lost with the old supervisor; they are due again at once.
void forget_tries(Health& health, Now now);

}  // namespace hearth::health
