// What a user wants of one service: the parsed and validated [service.NAME]. Pure data with the defaults that
// users get; ranges are checked by config/. Durations are nanoseconds.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"

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

// R3: more than max_restarts within window ends in `failed`. max_restarts 0 = no limit.
struct CrashLimit {
  std::uint32_t max_restarts = 0;
  SpanNs window = seconds(60);
  friend bool operator==(const CrashLimit&, const CrashLimit&) = default;
};

enum class Condition { started, ready, completed, completed_successfully };

struct Dependency {
  std::string service;
  Condition condition = Condition::ready;
  bool required = true;  // false: order only; its failure is tolerated
  bool restart = false;  // restart this service when the dependency restarts
  friend bool operator==(const Dependency&, const Dependency&) = default;
};

enum class ProbeType { none, notify, http, tcp, exec };

struct Probe {
  ProbeType type = ProbeType::none;
  std::string url;                   // http: "http://HOST:PORT/PATH"
  std::string address;               // tcp: "HOST:PORT"
  std::vector<std::string> command;  // exec
  int expect_status = 0;             // http: 0 = any 2xx or 3xx
  SpanNs interval = seconds(1);      // between the end of one try and the start of the next
  SpanNs timeout = seconds(5);       // of one try
  std::uint32_t success_threshold = 1;
  std::uint32_t failure_threshold = 3;
  friend bool operator==(const Probe&, const Probe&) = default;
};

struct ListenSocket {
  std::string name;     // LISTEN_FDNAMES entry
  std::string address;  // "tcp:HOST:PORT", "unix:PATH"
  int backlog = 4096;
  friend bool operator==(const ListenSocket&, const ListenSocket&) = default;
};

struct LogSpec {
  std::string format = "raw";  // raw | stamped | json
  std::uint64_t max_size = 10u << 20;
  std::uint32_t max_files = 10;
  SpanNs full_wait = seconds(30);
  friend bool operator==(const LogSpec&, const LogSpec&) = default;
};

struct ResourceLimit {
  std::string name;  // "nofile", "core", ...
  std::uint64_t soft = 0;
  std::uint64_t hard = 0;
  friend bool operator==(const ResourceLimit&, const ResourceLimit&) = default;
};

struct ServiceSpec {
  std::string name;                                      // [A-Za-z0-9_-]{1,48}
  std::vector<std::string> command;                      // never empty; no shell
  std::string cwd;                                       // absolute
  std::vector<std::pair<std::string, std::string>> env;  // on top of the document's captured environment
  std::string user;                                      // "" = hearth's own
  std::string group;
  std::optional<std::uint32_t> uid, gid;  // resolved when the document was applied
  std::vector<std::uint32_t> groups;
  std::optional<int> umask;
  std::optional<int> nice;
  std::optional<int> oom_score_adj;
  std::vector<ResourceLimit> limits;

  RestartPolicy restart = RestartPolicy::on_failure;
  Backoff backoff;
  CrashLimit crash_limit;
  std::vector<int> success_exit_codes = {0};

  std::vector<Dependency> depends_on;

  Probe ready;                         // readiness; also consulted after ready, if not notify
  Probe live;                          // liveness
  SpanNs start_timeout = seconds(60);  // until ready; extended by EXTEND_TIMEOUT_USEC; 0 = none
  SpanNs watchdog = 0;                 // WATCHDOG_USEC; 0 = off

  int stop_signal = 15;
  SpanNs stop_timeout = seconds(10);  // 0.5 s .. 1 h; then KILL
  int reload_signal = 1;

  std::vector<ListenSocket> listen;
  std::uint32_t fdstore_max = 16;  // FDSTORE=1 descriptors kept; 0 = refused
  LogSpec log;
  friend bool operator==(const ServiceSpec&, const ServiceSpec&) = default;
};

// What one `up` or `run` applies: the services of one project. Kept as a sealed memfd (JSON) per version and
// on disk; a slot names the version it follows.
struct Document {
  std::uint64_t version = 0;             // monotone in the instance; 0 = not yet applied
  std::string project;                   // label; [A-Za-z0-9_-]{1,48}
  std::string path;                      // canonical path of the project file; "" for `hearth run`
  std::vector<std::string> environment;  // captured NAME=VALUE, sorted
  std::vector<ServiceSpec> services;
};

}  // namespace hearth
