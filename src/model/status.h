// What hearth tells of itself: the model behind `status --json`, which is an interface: extended only by
// adding. Times are CLOCK_REALTIME nanoseconds, 0 = never. docs/reference/status.md
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "model/slot_state.h"

namespace hearth {

// What the logger says of a slot's output, since its log directory was made its own.
struct LogStatus {
  std::uint64_t written = 0;    // bytes in its files, rotated and removed ones included
  std::uint64_t discarded = 0;  // bytes of the service that were thrown away because they could not be written
  std::uint32_t gaps = 0;       // how many times that happened
  std::uint64_t file = 0;       // number of the file that is written; 0 = none yet
  std::uint64_t dropped = 0;    // lines that its sink did not take; they are in the files
  std::string dropped_reason;   // why it did not take the last of them; "" = it took all, or nobody knows
  std::string untidied;         // why files that are complete could not be compressed or removed; "" = they could
  std::string waiting;          // why nothing can be written now: "No space left on device"; "" = it can
};

struct SlotStatus {
  std::string project;
  std::string name;
  std::vector<std::string> tags;
  std::uint32_t index = 0;
  std::uint32_t replicas = 1;  // that there shall be
  SlotIndex slot = no_slot;
  Phase phase = Phase::stopped;
  bool want_up = false;
  bool ready = false;
  bool has_readiness = false;
  std::int32_t pid = 0;  // 0 = nothing runs
  RunId run = no_run;    // the newest run; 0 = never started
  WallNs since = 0;      // of the phase
  WallNs started = 0;    // of the run
  WallNs ready_since = 0;
  std::uint32_t restarts = 0;
  std::uint32_t failures = 0;  // in a row
  ExitInfo last_exit;          // run == no_run: none
  WallNs next_retry = 0;
  Reason reason = Reason::none;
  std::string reason_text;             // in words: "waits for db to be ready", "exec of /x failed: No such file"
  std::vector<std::string> waits_for;  // waiting: PROJECT.SERVICE.INDEX of each that does not stand as it needs it
  std::string ailing;  // what bad tries of liveness have found while they are too few for a restart; "" = none is bad
  std::string hook;    // that is under way and that its life waits for: "before_start"; "" = none
  std::string containment;  // "cgroup" | "sweep" | "group"
  std::string leftover;     // what the last stop could not end: "cat (PID 7)"; "" = nothing
  std::string status_text;  // STATUS= of the service
  Work work = Work::unsaid;
  std::string work_item;         // "" = it has not said
  std::uint64_t work_done = 0;   // with work_total: how many of them
  std::uint64_t work_total = 0;  // 0 = not said
  SpanNs load = 0;               // of the run, until it was ready for the first time; 0 = it was not
  OrderId order = 0;
  std::string log_directory;  // absolute
  LogStatus log;
};

struct Note {
  WallNs at = 0;  // 0: not an event but how things are
  std::string text;
  // PROJECT.SERVICE.INDEX, and what SlotBook::label() adds to it for what belongs to a service; empty: about all of
  // hearth. Who asks for some services is not told of others.
  std::string slot = {};
};

// What became of programs that were to be executed in the keeper's own place.
struct KeeperPrograms {
  std::uint32_t execs = 0;     // those that go on, or went on
  std::uint32_t refusals = 0;  // modulo 256: another one has come when it is another
  std::string refusal_reason;  // of the last one, in words; "" = there was none
};

// A process of hearth, as it is at this moment.
struct Companion {
  std::int32_t pid = 0;  // 0 = it is not there now
  bool stopped = false;  // by a signal, or a tracer
};
// Those that work beside the supervisor.
struct Companions {
  Companion keeper, logger;
  std::vector<Companion> spawners;
  bool logger_awaited = false;       // that of an upgrade has yet to come up, or to be given up
  std::uint32_t logger_returns = 0;  // how often the keeper went back from one to that before
  std::string logger_return_reason;  // of the last time, in words; "" = never
};

struct InstanceStatus {
  std::string instance;
  std::string version;
  std::string directory;
  std::int32_t supervisor_pid = 0;
  WallNs supervisor_since = 0;
  std::uint32_t takeovers = 0;  // supervisors that had to be replaced in this instance's life
  std::uint32_t upgrades = 0;   // programs that the keeper was given
  std::uint32_t returns = 0;    // how often it went back from one to that before
  std::string return_reason;    // of the last time
  std::int32_t keeper_pid = 0;
  std::uint32_t keeper_generation = 0;
  KeeperPrograms keeper_programs;
  Companions companions;
  std::vector<Note> notes;  // what was lost, what is degraded; for people
  std::size_t service_count = 0;
  std::vector<SlotStatus> services;  // none, of Control::instance()
};

// "stopped", "waiting", "starting", "running", "stopping", "backoff", "failed", "completed".
const char* phase_name(Phase phase);
// "none", "ordered", ... as the enumerators.
const char* reason_name(Reason reason);

}  // namespace hearth
