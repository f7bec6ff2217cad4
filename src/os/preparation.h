// What a service asks of the file system before a run: directories that are its own, copies of credentials, libraries
// that are there. It is the users' file system, and may hang; so a thread does it, and supervision goes on.
//
// Model
// -----
// A preparation belongs to a run. of() begins it with the first call, waits for it for `patience`, which is enough for a
// disk that answers, and else says that it is not done: the start is asked for again. Each has a thread of its own, so
// that one that hangs holds up its service and nobody else: one of a service at a time, and how many in all says
// left_behind.h. What it is at is told meanwhile. Doing it twice, by a successor, gives the same.
//
//   directories   made below the root of their kind, with what is above them; their owner is the service's user. They are
//                 entered one by one and no link is followed, for who owns one of them may put anything there
//   credentials   copied to CREDENTIALS/RUN, which is 0700 and the user's, on tmpfs where there is one; removed with the run
//   sandbox       a ruleset of what the service may touch (sandbox.h): each path of it is opened. A hook or an exec probe has
//                 one of its own that says the same, and of all else nothing
//   libraries     looked for, because a loader that misses one says so in the log only, or not at all (LD_PRELOAD)
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "model/service_spec.h"
#include "os/fd.h"
#include "os/left_behind.h"
#include "os/run_files.h"
#include "os/sandbox.h"

namespace hearth::os {

// Where directories of services are made.
struct ServiceRoots {
  std::string runtime, state, cache;  // absolute
  std::string credentials;            // absolute; on tmpfs
};
// root: /run, /var/lib, /var/cache. Others: DIR/run, ~/.local/state, ~/.cache.
ServiceRoots service_roots(const std::string& instance_directory);

// What a preparation is at, for people, while it has not come back. Any thread.
class Step {
 public:
  void at(std::string what) {
    const std::lock_guard lock(mutex_);
    what_ = std::move(what);
  }
  std::string what() const {
    const std::lock_guard lock(mutex_);
    return what_;
  }

 private:
  mutable std::mutex mutex_;
  std::string what_;
};

struct Preparation {
  RunId run = no_run;
  std::string label;
  Owner owner;
  Surroundings around;
  ServiceRoots roots;
  Sandbox sandbox = {};
  // Of a hook or an exec probe: nothing is made but the ruleset. Whose credentials it may read; no_run: nobody's.
  bool for_other_than_service = false;
  RunId of_run = no_run;
  std::shared_ptr<Step> step = {};  // shared with the thread; null: nobody wants to know
};

struct Prepared {
  std::vector<std::pair<std::string, std::string>> variables;  // CREDENTIALS_DIRECTORY, RUNTIME_DIRECTORY, ...
  std::shared_ptr<const Fd>
      ruleset;  // null: files are not limited. Shared with the answer that is kept for who asks again
};

// What hearth makes for services with these surroundings, without credentials, which are a run's.
OwnPaths own_paths_of(const Surroundings& around, const ServiceRoots& roots);
bool needs_preparation(const Surroundings& around);
// Does it, in the calling thread.
Result<Prepared> prepare(const Preparation& preparation);
void remove_credentials(const ServiceRoots& roots, RunId run);
// Of all runs but those of which `known` holds.
void remove_stale_credentials(const ServiceRoots& roots, const std::function<bool(RunId)>& known);

// Those of a service that stays down.
void remove_runtime_directories(const ServiceRoots& roots, const std::vector<std::string>& names, RunId run);

class Preparations {
 public:
  static constexpr SpanNs patience = milliseconds(5);
  static constexpr std::size_t at_once_max = 16;

  static constexpr SpanNs hangs_after = seconds(2);

  // Nothing: not now; waits_for() says why.
  std::optional<Result<Prepared>> of(const Preparation& preparation, MonoNs now);
  // What the last answer of of() that was nothing waits for.
  const std::string& waits_for() const { return waits_for_; }
  // What was prepared is in use, or nobody wants it any more.
  void forget(RunId run);

 private:
  struct Job;
  std::shared_ptr<Job> at_work_for(const std::string& label) const;
  bool may_begin(const std::string& label, MonoNs now);
  // Shared with its thread, whose call may not have returned when nobody wants the result any more.
  std::map<RunId, std::shared_ptr<Job>> jobs_;
  std::map<std::string, std::weak_ptr<Job>> last_;  // of each service
  LeftBehind left_behind_{at_once_max, hangs_after};
  std::string waits_for_;
};

}  // namespace hearth::os
