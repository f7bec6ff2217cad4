// Startup, readiness and liveness of one run: three things with three clocks (H1).
//
// Model
// -----
// watch() begins with a run and forgets all of the run before. Then:
//
//   startup    `start` runs from watch() until ready. EXTEND_TIMEOUT_USEC=n moves it to now + n if that is
//              later (sd_notify(3)); so loading may take an hour as long as the service says so. When it
//              passes: verdict start_timeout, once.
//   readiness  notify: READY=1. http, tcp, exec: success_threshold good tries in a row; tries begin at once
//              and are repeated `interval` after each end. After ready the probe goes on, and
//              failure_threshold bad tries in a row lose readiness (verdict lost_ready), which is not death.
//              none: ready with watch().
//              RELOADING=1 sets reloading and keeps ready; the next READY=1 ends it. STOPPING=1 ends the
//              start clock and readiness (lost_ready), and probes stop.
//   liveness   the live probe begins when ready; failure_threshold bad tries in a row: verdict unhealthy
//              (Reason::liveness), once. Watchdog: begins with ready (or at watch() without a readiness
//              probe) when watchdog_span > 0; WATCHDOG=1 starts it anew, WATCHDOG=trigger or its end: verdict
//              unhealthy (Reason::watchdog), once. WATCHDOG_USEC=n changes the span. EXTEND_TIMEOUT_USEC
//              extends it too.
//
// A try is named by `attempt`; results of other tries are ignored, so a result may come late, twice or never
// (`limit` ends a try that never answers; it counts as bad). Every notify message is an absolute statement
// about its run: seeing it twice changes nothing.
#pragma once

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
  std::int32_t main_pid = 0;             // 0 = not said
  std::int64_t watchdog_usec = -1;       // -1 = not said
  std::int64_t extend_timeout_usec = -1;
  bool fdstore = false;
  bool fdstore_remove = false;
  bool fdpoll = true;                    // FDPOLL=0
  std::string fdname;                    // "" = not said
};

// Parses one datagram: lines NAME=VALUE; unknown names are ignored, malformed values of known names too
// (absolute statements only; the rest of the message holds). STATUS is made valid UTF-8.
NotifyMessage parse_notify(const char* data, std::size_t size);

struct Verdict {
  bool became_ready = false;
  bool lost_ready = false;
  bool start_timeout = false;
  bool unhealthy = false;
  Reason reason = Reason::none;     // of unhealthy
  bool try_ready = false;           // begin readiness try number ready_probe.attempt
  bool try_live = false;            // begin liveness try number live_probe.attempt
  bool changed = false;
};

enum class Which : std::uint8_t { ready, live };

Verdict watch(Health& health, const ServiceSpec& spec, Now now);       // a run has been spawned
void unwatch(Health& health);                                          // it ended, or is being stopped
Verdict notify(Health& health, const ServiceSpec& spec, const NotifyMessage& message, Now now);
Verdict probe_result(Health& health, const ServiceSpec& spec, Which which, std::uint64_t attempt, bool good, Now now);
Verdict time_passed(Health& health, const ServiceSpec& spec, Now now);
MonoNs next_deadline(const Health& health);
// After an absence: start, watchdog and try limits that ran out unwatched start anew.
void forgive_absence(Health& health, MonoNs from, MonoNs now);
// After a take-over: tries under way are lost with the old supervisor; they are due again at once.
void forget_tries(Health& health, Now now);

}  // namespace hearth::health
