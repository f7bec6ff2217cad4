// What a user wants of one service: the parsed and validated [service.NAME]. Pure data with the defaults that
// users get; ranges are checked by config/. Durations are nanoseconds.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/boxed.h"
#include "base/time.h"
#include "model/capabilities.h"

namespace hearth {

// GCC 12 takes an enumerator of a scoped enumeration for a shadow of hearth::never, which it cannot hide.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
enum class RestartPolicy { always, on_failure, never };
#pragma GCC diagnostic pop

struct Backoff {
  SpanNs initial = milliseconds(200);  // before the first retry
  SpanNs max = seconds(30);
  double factor = 2.0;               // 1 .. 10
  double jitter = 0.1;               // 0 .. 1: the delay is multiplied by 1 - jitter .. 1 + jitter
  SpanNs reset_after = seconds(60);  // ready (or running, without a probe) this long: the count starts anew
  friend bool operator==(const Backoff&, const Backoff&) = default;
};

// More than max_restarts within window ends in `failed`, and so do max_failed_starts in a row. 0 = no limit.
struct CrashLimit {
  std::uint32_t max_restarts = 0;
  SpanNs window = seconds(60);
  std::uint32_t max_failed_starts = 0;  // ended before it was ready; without a probe: could not be started
  friend bool operator==(const CrashLimit&, const CrashLimit&) = default;
};

enum class Condition { started, ready, completed, completed_successfully };

struct Dependency {
  std::string service;
  Condition condition = Condition::ready;
  bool required = true;  // false: order only; its failure is tolerated
  bool restart = false;  // restart this service when the dependency restarts
  bool stop = false;     // stop this service when the dependency has gone; of a required one
  friend bool operator==(const Dependency&, const Dependency&) = default;
};

enum class ProbeType { none, notify, http, tcp, exec, fd, unix_socket, log, file, frame, uptime, memory };

// Somebody has to try it: it is neither said by the service itself nor a clock.
constexpr bool is_tried(ProbeType type) {
  return type != ProbeType::none && type != ProbeType::notify && type != ProbeType::fd && type != ProbeType::uptime;
}
// The service says it once in a run, and not again.
constexpr bool is_said_once(ProbeType type) {
  return type == ProbeType::notify || type == ProbeType::fd || type == ProbeType::log;
}
// Nothing of the run takes it back.
constexpr bool holds_for_the_run(ProbeType type) {
  return is_said_once(type) || type == ProbeType::uptime;
}

struct Probe {
  ProbeType type = ProbeType::none;
  std::string url;                   // http: "http://HOST:PORT/PATH"
  std::string address;               // tcp: "HOST:PORT"
  std::vector<std::string> command;  // exec
  std::string target;                // unix_socket, frame: path of the socket; file: path; log: regular expression
  int expect_status = 0;             // http: 0 = any 2xx or 3xx
  int descriptor = 0;                // fd: number in the service, 3 or above
  SpanNs uptime = 0;                 // uptime: it has run this long
  std::uint64_t max_memory = 0;      // bytes, of `live` whatever its type: more is bad; 0 = any. memory: that is all
  SpanNs interval = seconds(1);      // between the end of one try and the start of the next
  SpanNs timeout = seconds(5);       // of one try
  std::uint32_t success_threshold = 1;
  std::uint32_t failure_threshold = 3;
  friend bool operator==(const Probe&, const Probe&) = default;
};

// The liveness of a service that has max_memory and no probe of its own. Two tries, so that a peak which is over in less
// than an interval ends nobody.
inline Probe memory_probe(std::uint64_t max_memory) {
  Probe probe;
  probe.type = ProbeType::memory;
  probe.max_memory = max_memory;
  probe.interval = seconds(10);
  probe.failure_threshold = 2;
  return probe;
}

struct ListenSocket {
  std::string name;     // LISTEN_FDNAMES entry
  std::string address;  // "tcp:HOST:PORT", "unix:PATH"
  int backlog = 4096;
  friend bool operator==(const ListenSocket&, const ListenSocket&) = default;
};

struct LogSpec {
  std::string format = "raw";          // raw | stamped | json
  std::uint64_t max_size = 10u << 20;  // of a file
  std::uint32_t max_files = 10;
  SpanNs max_age = 0;           // of a file until the next one is begun; 0 = any
  std::uint64_t max_total = 0;  // of all files of a slot together; 0 = any
  bool compress = false;        // files that are complete, with zstd
  bool per_process = false;     // files NAME_PID.log, one run each
  std::string sink;             // "" = files only; "stdout", "journald" or "syslog" besides
  SpanNs full_wait = seconds(30);
  friend bool operator==(const LogSpec&, const LogSpec&) = default;
};

struct ResourceLimit {
  std::string name;  // "nofile", "core", ...
  std::uint64_t soft = 0;
  std::uint64_t hard = 0;
  friend bool operator==(const ResourceLimit&, const ResourceLimit&) = default;
};

// A command of hearth's that belongs to a service: a hook, or how it is stopped or reloaded. It runs as the service
// does (user, directory, environment), as a run of its own. No command: none.
struct Action {
  std::vector<std::string> command;
  SpanNs timeout = seconds(30);  // then its tree is killed, and it has failed
  friend bool operator==(const Action&, const Action&) = default;
};

struct Actions {
  Action before_start;  // fails: the service is not started, which counts as a failed start
  Action after_start;   // when it is ready
  Action before_stop;
  Action after_stop;  // also after an end by itself
  Action on_failure;  // each end that counts as a failure
  Action on_give_up;  // when it becomes `failed`
  Action stop;        // asks it to end, before the stop signal; stop_timeout begins with it
  Action reload;      // instead of reload_signal
  friend bool operator==(const Actions&, const Actions&) = default;
};

enum class IoClass : std::uint8_t { none, realtime, best_effort, idle };  // ioprio_set(2)
enum class StdinFrom : std::uint8_t { null, file, pty };

// What of its surroundings a service asks for beyond the usual.
struct Surroundings {
  IoClass io_class = IoClass::none;
  int io_level = 4;                       // 0 (first) .. 7; realtime and best_effort
  std::vector<std::uint32_t> cpus;        // sched_setaffinity(2), ascending; empty = all
  std::vector<std::string> library_path;  // before LD_LIBRARY_PATH; absolute
  std::vector<std::string> preload;       // before LD_PRELOAD
  StdinFrom stdin_from = StdinFrom::null;
  std::string stdin_path;                                        // file
  std::vector<std::pair<std::string, std::string>> credentials;  // name and file; copied to $CREDENTIALS_DIRECTORY
  // Names below the roots of runtime, state and cache, made and owned before a start; RUNTIME_DIRECTORY and so on.
  std::vector<std::string> runtime_directories, state_directories, cache_directories;
  std::vector<std::string> env_files;  // read when it is applied; what they say is in `env` as well
  std::vector<std::uint16_t> ports;    // TCP ports it listens on by itself: looked at before a start
  std::string ready_file;              // there exactly while it is ready
  std::string pid_file;                // forking: written by the service; else written by hearth
  friend bool operator==(const Surroundings&, const Surroundings&) = default;
};

// task: runs to its end, which is what is wanted of it. forking: the program that is started ends, and leaves its daemon.
enum class ServiceType : std::uint8_t { service, task, forking };

// What happens when a service is given up (crash limit): it stays failed; all of hearth shuts down.
enum class GiveUp : std::uint8_t { hold, exit };

// What the kernel lets it touch, whoever its user is; so what hearth starts for it and all that they start.
// What the parts mean together, and what is done where the kernel cannot: os/sandbox.h
struct Sandbox {
  // False: that kind of access is as ever, and the list is empty. True and none: nothing of it.
  bool limits_reading = false, limits_writing = false, limits_executing = false;
  std::vector<std::string> read_paths, write_paths, exec_paths;  // absolute; files, or directories with what is below
  std::vector<std::string> deny_syscalls;                        // as written: model/system_calls.h has the words
  bool required = false;                                         // without all of it the service is not started
  friend bool operator==(const Sandbox&, const Sandbox&) = default;
};

// What a run and its descendants may use together: cgroup v2. 0 = no word about it.
struct CgroupLimits {
  std::uint64_t memory_high = 0;  // bytes; beyond, it is slowed down and reclaimed from
  std::uint64_t memory_max = 0;   // bytes; beyond, the kernel kills in it
  std::uint32_t pids_max = 0;     // processes and threads
  std::uint32_t cpu_max = 0;      // hundredths of one processor
  std::uint32_t cpu_weight = 0;   // 1 .. 10000, beside others of the same hearth; the kernel's usual is 100
  std::uint32_t io_weight = 0;    // as cpu_weight
  friend bool operator==(const CgroupLimits&, const CgroupLimits&) = default;
};

// As whom the process runs, and what it may take.
struct ProcessSettings {
  std::string user;  // "" = hearth's own
  std::string group;
  std::optional<std::uint32_t> uid, gid;  // resolved when the document was applied
  std::vector<std::uint32_t> groups;
  std::optional<int> umask;
  std::optional<int> nice;
  std::optional<int> oom_score_adj;
  std::vector<ResourceLimit> limits;
  bool no_new_privs = false;
  // Absent is not none. What they mean together: os/privileges.h
  std::optional<CapabilitySet> capabilities;             // what it has
  std::optional<CapabilitySet> capability_bounding_set;  // what it can have at most
  Boxed<Sandbox> sandbox;
  CgroupLimits cgroup;
  friend bool operator==(const ProcessSettings&, const ProcessSettings&) = default;
};

struct ServiceSpec {
  std::string name;                                      // [A-Za-z0-9_-]{1,48}
  std::vector<std::string> command;                      // never empty; no shell
  std::string cwd;                                       // absolute
  std::vector<std::pair<std::string, std::string>> env;  // on top of the document's captured environment
  Boxed<ProcessSettings> process;
  Boxed<Surroundings> around;

  ServiceType type = ServiceType::service;
  std::uint32_t replicas = 1;     // slots; {index} in texts is the number of the slot, from 0
  bool autostart = true;          // false: `up` makes it known and leaves it stopped
  std::vector<std::string> tags;  // names of groups it is in: @TAG on the command line
  Boxed<Actions> actions;

  RestartPolicy restart = RestartPolicy::on_failure;
  Backoff backoff;
  CrashLimit crash_limit;
  GiveUp give_up = GiveUp::hold;
  SpanNs retry_after = 0;  // what was given up is tried again after this long, for ever; 0 = not
  std::vector<int> success_exit_codes = {0};

  std::vector<Dependency> depends_on;

  Boxed<Probe> ready;                  // readiness; also consulted after ready, if not notify
  Boxed<Probe> live;                   // liveness
  SpanNs start_timeout = seconds(60);  // until ready; extended by EXTEND_TIMEOUT_USEC; 0 = none
  SpanNs watchdog = 0;                 // WATCHDOG_USEC; 0 = off

  int stop_signal = 15;
  SpanNs stop_timeout = seconds(10);  // 0.5 s .. 1 h; then KILL
  int reload_signal = 1;

  std::vector<ListenSocket> listen;
  std::uint32_t fdstore_max = 16;  // FDSTORE=1 descriptors kept; 0 = refused
  Boxed<LogSpec> log;
  friend bool operator==(const ServiceSpec&, const ServiceSpec&) = default;
};

// What one `up` or `run` applies: the services of one project. Kept as a sealed memfd (JSON) per version and
// on disk; a slot names the version it follows.
struct Document {
  std::uint64_t version = 0;             // monotone in the instance; 0 = not yet applied
  std::string project;                   // label; [A-Za-z0-9_-]{1,48}
  std::string path;                      // canonical path of the project file; "" for `hearth run`
  std::vector<std::string> environment;  // captured NAME=VALUE, sorted
  std::uint32_t start_concurrency = 0;   // so many may be starting at a time; 0 = any
  std::vector<ServiceSpec> services;
};

}  // namespace hearth
