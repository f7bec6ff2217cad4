#include "model/status.h"

namespace hearth {

const char* phase_name(Phase phase) {
  switch (phase) {
    case Phase::stopped: return "stopped";
    case Phase::waiting: return "waiting";
    case Phase::starting: return "starting";
    case Phase::running: return "running";
    case Phase::stopping: return "stopping";
    case Phase::backoff: return "backoff";
    case Phase::failed: return "failed";
    case Phase::completed: return "completed";
  }
  return "unknown";
}

const char* reason_name(Reason reason) {
  switch (reason) {
    case Reason::none: return "none";
    case Reason::ordered: return "ordered";
    case Reason::dependency_missing: return "dependency_missing";
    case Reason::dependency_failed: return "dependency_failed";
    case Reason::exited: return "exited";
    case Reason::spawn_failed: return "spawn_failed";
    case Reason::start_timeout: return "start_timeout";
    case Reason::watchdog: return "watchdog";
    case Reason::liveness: return "liveness";
    case Reason::crash_loop: return "crash_loop";
    case Reason::policy: return "policy";
    case Reason::adopted: return "adopted";
    case Reason::lost: return "lost";
    case Reason::refused: return "refused";
    case Reason::shutdown: return "shutdown";
    case Reason::dependency_restarted: return "dependency_restarted";
    case Reason::hook_failed: return "hook_failed";
    case Reason::hook_timeout: return "hook_timeout";
    case Reason::memory: return "memory";
  }
  return "unknown";
}

}  // namespace hearth
