#include "supervisor/report_words.h"

#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "base/memory_words.h"
#include "base/result.h"
#include "model/hook.h"
#include "supervisor/book.h"
#include "supervisor/dependencies.h"
#include "supervisor/waits.h"
#include "wire/slot_table.h"

namespace hearth::supervisor {
namespace {

const char* stage_words(std::uint32_t stage) {
  switch (static_cast<wire::SpawnStage>(stage)) {
    case wire::SpawnStage::none: return "";
    case wire::SpawnStage::plan: return "preparing the start";
    case wire::SpawnStage::clone: return "clone";
    case wire::SpawnStage::cgroup: return "clone into the cgroup leaf";
    case wire::SpawnStage::session: return "setsid";
    case wire::SpawnStage::descriptor: return "placing a descriptor";
    case wire::SpawnStage::limits: return "setting limits";
    case wire::SpawnStage::priority: return "setting priorities";
    case wire::SpawnStage::groups: return "setting groups";
    case wire::SpawnStage::user: return "setting the user";
    case wire::SpawnStage::directory: return "chdir";
    case wire::SpawnStage::signals: return "resetting signals";
    case wire::SpawnStage::exec: return "exec";
    case wire::SpawnStage::input: return "opening standard input";
    case wire::SpawnStage::privileges: return "setting capabilities";
    case wire::SpawnStage::sandbox: return "entering its sandbox";
    case wire::SpawnStage::count_: break;
  }
  return "an unknown stage";
}

std::string exit_words(const ExitInfo& exit) {
  switch (exit.code) {
    case 1: return "exited with code " + std::to_string(exit.status);
    case 2: return "was killed by signal " + std::to_string(exit.status);
    case 3: return "was killed by signal " + std::to_string(exit.status) + " (core dumped)";
    case wire::wait_code_unknown: return "ended; nobody can tell how";
    default: return "has not ended";
  }
}

std::string failure_words(const ExitInfo& exit, const ServiceSpec& spec, const std::vector<std::string>& command) {
  if (exit.fail_stage == 0) return exit_words(exit);
  std::string text = stage_words(exit.fail_stage);
  const auto stage = static_cast<wire::SpawnStage>(exit.fail_stage);
  if (stage == wire::SpawnStage::exec && !command.empty()) text += " of " + command[0];
  if (stage == wire::SpawnStage::directory) text += " to " + spec.cwd;
  if (stage == wire::SpawnStage::user && !spec.process->user.empty()) text += " " + spec.process->user;
  if (stage == wire::SpawnStage::input) text += " " + spec.around->stdin_path;
  text += " failed";
  if (exit.fail_errno == 0) return text;  // refused before there was a system call
  text += std::string(": ") + std::strerror(exit.fail_errno);
  if (stage == wire::SpawnStage::exec && exit.fail_errno == ENOENT && command.size() == 1 &&
      command[0].find(' ') != std::string::npos)
    text += "; its name would have blanks: each word stands for itself, as in [\"sleep\", \"10\"]";
  else if (stage == wire::SpawnStage::exec && exit.fail_errno == ENOENT && !command.empty())
    text += command[0].find('/') == std::string::npos ? "; is it installed, and in PATH?"
                                                      : "; is it installed, and the interpreter of its #! line too?";
  const Sandbox& sandbox = *spec.process->sandbox;
  const bool may_be_kept = sandbox.limits_reading || sandbox.limits_executing;
  const std::string& user = spec.process->user;
  const bool by_path = !command.empty() && command[0].find('/') != std::string::npos;
  if (stage == wire::SpawnStage::exec && exit.fail_errno == EACCES) {
    if (may_be_kept)
      text += "; are it, its interpreter and its loader below the paths of its sandbox?";
    else if (by_path && !user.empty())
      text += "; may " + user + " execute it, and enter each directory above it?";
    else
      text += "; is it executable?";
  }
  if (stage == wire::SpawnStage::exec && exit.fail_errno == ENOEXEC) text += "; a script needs a #! line";
  if (stage == wire::SpawnStage::privileges && exit.fail_errno == EPERM)
    text += "; hearth may not: whoever started it, a container or a unit, has to give it the capability";
  return text;
}

std::string span_words(SpanNs span) {
  std::string text = std::to_string(span / ns_per_s);
  if (const SpanNs rest = span % ns_per_s / ns_per_ms; rest != 0) {
    text += "." + std::to_string(1'000 + rest).substr(1);
    text.erase(text.find_last_not_of('0') + 1);
  }
  return text + " s";
}

std::string failure_words(const ExitInfo& exit, const ServiceSpec& spec) {
  return failure_words(exit, spec, spec.command);
}

// Why its last start could not be begun; null: it could, or its supervisor has died since.
const Error* refusal_of_last(const SlotBook& book, SlotIndex slot) {
  const ExitInfo& exit = book.slots[slot].last_exit;
  const std::unique_ptr<Error>& refusal = book.scratch[slot].refusal;
  const bool not_begun = exit.fail_stage == static_cast<std::uint32_t>(wire::SpawnStage::plan);
  return not_begun && refusal && refusal->code == exit.fail_errno ? refusal.get() : nullptr;
}

std::string end_words(const SlotState& state, const ServiceSpec& spec) {
  const char* more = state.left_behind && state.last_exit.code == 1 && state.last_exit.status == 0
                         ? ", and what it had left running was ended: let it stay in the foreground, or set "
                           "type = \"forking\""
                     : state.no_daemon && state.last_exit.code == 1 && state.last_exit.status == 0
                         ? ", and no process of it is left: its daemon has ended, or there was none"
                         : "";
  return failure_words(state.last_exit, spec) + more;
}

// Of a service that goes into the background, ended by its start_timeout before it was there; "" = it was there.
std::string daemon_words(const SlotBook& book, SlotIndex slot) {
  const SlotState& state = book.slots[slot];
  const std::unique_ptr<std::string>& missing = book.scratch[slot].missing;
  const std::string within = " within its start_timeout of " + span_words(book.spec_of(slot).start_timeout);
  switch (state.missed) {
    case Missed::nothing: break;
    case Missed::background:
      return "it had not gone into the background" + within + "; what stays in the foreground has type = \"service\"";
    case Missed::main: return "its main process was not found" + within + (missing ? ": " + *missing : "");
  }
  return "";
}

// What ended the run before; it is up again.
bool is_history(const SlotState& state) {
  return state.life.run_live && (state.life.phase == Phase::running || state.life.phase == Phase::starting);
}

// Why we ended a run, or why there was none; "" when it ended by itself.
std::string verdict_words(const SlotBook& book, SlotIndex slot, Reason reason) {
  const SlotState& state = book.slots[slot];
  const ServiceSpec& spec = book.spec_of(slot);
  switch (reason) {
    case Reason::start_timeout:
      if (const std::string daemon = daemon_words(book, slot); !daemon.empty()) return daemon;
      return "not ready within its start_timeout of " + span_words(spec.start_timeout) +
             (book.scratch[slot].sick ? ": " + *book.scratch[slot].sick : "");
    case Reason::watchdog:
      return spec.watchdog == 0 ? "no WATCHDOG=1 in time" : "no WATCHDOG=1 within " + span_words(spec.watchdog);
    case Reason::liveness: return "the liveness probe failed";
    case Reason::memory: {
      // Of a run that is over, the tries of the next one have told something else.
      const std::unique_ptr<std::string>& sick = book.scratch[slot].sick;
      if (is_history(state)) return "it used more memory than max_memory allows";
      if (sick) return *sick;
      // Its supervisor has died since.
      return state.used_kib != 0 && spec.live->max_memory != 0
                 ? memory_words(std::uint64_t{state.used_kib} * 1024, spec.live->max_memory)
                 : "it used more memory than max_memory allows";
    }
    case Reason::hook_failed:
      return "before_start " + failure_words(state.last_exit, spec, spec.actions->before_start.command);
    case Reason::hook_timeout:
      return "before_start had not ended within its timeout of " + span_words(spec.actions->before_start.timeout);
    default: return "";
  }
}

// What runs was loaded before; "" = nobody has asked it in vain to load anew. Another hook may have ended since.
std::string failed_reload_words(const SlotBook& book, SlotIndex slot) {
  const SlotState& state = book.slots[slot];
  if (!state.reload_failed || state.life.phase != Phase::running) return "";
  const SlotIndex runner = book.hook_slot(slot, SlotRole::side_hook);
  const bool known = runner != no_slot && book.slots[runner].ended == Hook::reload;
  return "the last reload has failed: reload_command " + (known ? hook_end_words(book.slots[runner]) : "failed") +
         "; it runs on as it was";
}

// The hook that a start or an end waits for; "" = it waits for none.
std::string hook_words(const SlotBook& book, SlotIndex slot) {
  const Lifecycle& life = book.slots[slot].life;
  const SlotIndex runner = book.hook_slot(slot, SlotRole::hook);
  if (life.hook == Hook::none || runner == no_slot) return "";
  if (life.phase != Phase::starting && life.phase != Phase::stopping) return "";
  const SlotState& hook = book.slots[runner];
  std::string text = hook_name(life.hook);
  if (hook.life.reason == Reason::refused && book.scratch[runner].refusal)
    return text + ": " + book.scratch[runner].refusal->text();
  if (life.phase == Phase::starting && life.hook == Hook::after_stop) text += " of the run before";
  text += " runs";
  if (hook.life.run_live && !hook.run_wanted && hook.run().pid != 0)
    text += " (PID " + std::to_string(hook.run().pid) + ")";
  return text;
}

std::string crash_loop_words(const SlotBook& book, SlotIndex slot) {
  const SlotState& state = book.slots[slot];
  const ServiceSpec& spec = book.spec_of(slot);
  // How a run ended that we ended ourselves says less than why.
  const std::string verdict = verdict_words(book, slot, state.life.last_end);
  const Error* refusal = refusal_of_last(book, slot);
  const std::string last = "; last: " + (!verdict.empty()     ? verdict
                                         : refusal != nullptr ? refusal->text()
                                                              : end_words(state, spec));
  const std::uint32_t row = spec.crash_limit.max_failed_starts;
  if (row > 0 && state.life.failed_starts >= row)
    return (row == 1 ? "its start has failed" : std::to_string(row) + " starts in a row have failed") + last;
  return "restarted too often (" + std::to_string(spec.crash_limit.max_restarts) + " in " +
         span_words(spec.crash_limit.window) + ")" + last;
}

// Of a slot about which nothing else is more worth telling: why it came into its state.
std::string state_reason_words(const SlotBook& book, Waits& waits, SlotIndex slot) {
  const SlotState& state = book.slots[slot];
  const ServiceSpec& spec = book.spec_of(slot);
  switch (state.life.reason) {
    case Reason::none:
    case Reason::ordered:
    case Reason::shutdown:
      if (state.leftover[0] != '\0') return leftover_words(state.leftover);
      break;
    case Reason::dependency_missing:
      if (state.life.phase == Phase::stopping) return "stops with what it depends on, which has gone";
      return waits.words(slot);
    case Reason::dependency_failed: {
      std::string what;
      dependencies_met(book, slot, nullptr, &what);
      return "needs, but has failed or is over: " + what;
    }
    case Reason::exited:
    case Reason::policy:
      // Of a service that is up again this is history, and says so.
      if (state.life.run_live) return "the run before " + end_words(state, spec);
      return end_words(state, spec);
    case Reason::spawn_failed:
      if (const Error* refusal = refusal_of_last(book, slot))
        return (is_history(state) ? "the start before: " : "") + refusal->text();
      return failure_words(state.last_exit, spec);
    case Reason::start_timeout:
    case Reason::watchdog:
    case Reason::liveness:
    case Reason::memory: {
      const std::unique_ptr<std::string>& sick = book.scratch[slot].sick;
      return (is_history(state) ? "of the run before: " : "") + verdict_words(book, slot, state.life.reason) +
             (state.life.reason == Reason::liveness && sick ? ": " + *sick : "");
    }
    case Reason::hook_failed:
    case Reason::hook_timeout:
      return (state.life.run_live ? "at the start before: " : "") + verdict_words(book, slot, state.life.reason);
    case Reason::crash_loop: return crash_loop_words(book, slot);
    case Reason::dependency_restarted: return "restarted with what it depends on";
    case Reason::adopted: return "taken over from an earlier hearth";
    case Reason::lost: return "ended, and nobody can tell how";
    case Reason::refused:  // above
      break;
  }
  return "";
}

}  // namespace

std::string other_main_words(const SlotBook& book, const ports::Keeper& keeper, SlotIndex slot) {
  const SlotState& state = book.slots[slot];
  const std::int32_t said = state.health.main_pid;
  if (said == 0 || state.life.phase != Phase::running || book.spec_of(slot).type != ServiceType::forking) return "";
  const ports::EntryView view = keeper.entry(state.run().entry);
  if (view.run != state.run().run || !view.main || view.pid == said) return "";
  return "it says MAINPID=" + std::to_string(said) + ", and PID " + std::to_string(view.pid) +
         " is followed all the same: that is done once, and the run ends with it";
}

std::string ailing_words(const SlotBook& book, SlotIndex slot) {
  const Health& health = book.slots[slot].health;
  if (!health.watching || health.live_probe.failures == 0) return "";
  const std::unique_ptr<std::string>& sick = book.scratch[slot].sick;
  return std::to_string(health.live_probe.failures) + " of " +
         std::to_string(book.spec_of(slot).live->failure_threshold) + " bad tries of its liveness" +
         (sick ? ": " + *sick : "");
}

std::string why_words(const SlotBook& book, const ports::Keeper& keeper, Waits& waits, SlotIndex slot, Now now) {
  const SlotState& state = book.slots[slot];
  const ServiceSpec& spec = book.spec_of(slot);
  if (book.scratch[slot].refused != no_run || state.life.reason == Reason::refused) {
    const bool over = state.life.run_live && book.scratch[slot].refused == no_run && !state.run_wanted;
    if (over) return book.scratch[slot].refusal ? "the start before: " + book.scratch[slot].refusal->text() : "";
    return book.scratch[slot].refusal ? book.scratch[slot].refusal->text()
                                      : "a resource was missing; it is tried again";
  }
  if (std::string hook = hook_words(book, slot); !hook.empty()) return hook;
  if (std::string reload = failed_reload_words(book, slot); !reload.empty()) return reload;
  if (std::string other = other_main_words(book, keeper, slot); !other.empty()) return other;
  if (state.life.phase == Phase::starting && state.run().entry != no_entry) {
    const SpanNs stuck = keeper.stuck_for(state.run().entry, now.mono);
    if (stuck > seconds(1))
      return "exec of " + (spec.command.empty() ? "?" : spec.command[0]) + " hangs for " +
             std::to_string(stuck / ns_per_s) + " s";
  }
  const Scratch& scratch = book.scratch[slot];
  if (state.life.phase == Phase::starting && scratch.waits_for && now.mono - scratch.waits_since > seconds(1))
    return "waits for " + *scratch.waits_for + ", for " + std::to_string((now.mono - scratch.waits_since) / ns_per_s) +
           " s by now";
  const bool seeks = state.life.run_live && !state.run_wanted && scratch.leader_gone == state.run().run;
  if (state.life.phase == Phase::starting && seeks && state.run().run != no_run)
    return "looks for its main process" + (scratch.missing ? ": " + *scratch.missing : "");
  if (state.life.phase == Phase::stopping && state.life.kill_sent && state.run().pid != 0)
    return "KILL was sent, and PID " + std::to_string(state.run().pid) + " has not ended yet";
  for (const std::unique_ptr<Error>& refusal : scratch.unprobed)
    if (refusal) return refusal->text();
  const bool asked_only = state.life.reason == Reason::none || state.life.reason == Reason::ordered;
  const bool unready = state.life.phase == Phase::running || (state.life.phase == Phase::starting && asked_only);
  if (book.scratch[slot].unready && unready && !state.health.ready) return "not ready: " + *book.scratch[slot].unready;
  return state_reason_words(book, waits, slot);
}

std::string end_words(const ExitInfo& exit, const ServiceSpec& spec) {
  return failure_words(exit, spec);
}

std::string leftover_words(const std::string& leftover) {
  return "the stop is incomplete, this cannot be killed: " + leftover;
}

std::string hook_end_words(const SlotState& runner) {
  if (runner.life.reason == Reason::hook_timeout) return "had not ended within its timeout";
  if (runner.last_exit.fail_stage != 0)
    return "could not be started: " + std::string(std::strerror(runner.last_exit.fail_errno));
  return exit_words(runner.last_exit);
}

}  // namespace hearth::supervisor
