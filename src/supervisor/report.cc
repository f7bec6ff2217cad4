#include "supervisor/report.h"

#include <cerrno>
#include <cstring>
#include <span>
#include <utility>

#include "base/memory_words.h"
#include "model/hook.h"
#include "supervisor/book.h"
#include "supervisor/dependencies.h"

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
  if (stage == wire::SpawnStage::exec && exit.fail_errno == EACCES) text += "; is it executable?";
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

// What does not come up by itself is told with the command that ends the wait.
std::string waiting_words(const SlotBook& book, SlotIndex slot) {
  const AppliedDocument* applied = book.applied(slot);
  std::string all, stopped, gone;
  std::string names;  // of the stopped ones, for the command
  SlotIndex only = no_slot;
  const auto add = [](std::string& list, const std::string& name) { list += (list.empty() ? "" : ", ") + name; };
  // Relied on: edges to one service are neighbours, as its document names it once; so it is told once.
  auto last = static_cast<std::uint32_t>(applied->document.services.size());
  for (const lifecycle::Edge& edge : applied->graph.dependencies(book.slots[slot].service)) {
    if (edge.to == last || standing_of(book, *applied, edge) == lifecycle::Standing::met) continue;
    last = edge.to;
    const std::string& service = applied->document.services[edge.to].name;
    const std::span<const SlotIndex> replicas = applied->slots_of(edge.to);
    for (std::uint32_t i = 0; i < replicas.size(); ++i) {
      if (standing_of(book, replicas[i], edge) == lifecycle::Standing::met) continue;
      const std::string name = replicas.size() == 1 ? service : service + "." + std::to_string(i);
      const SlotIndex other = replicas[i];
      only = all.empty() ? other : no_slot;
      add(all, name);
      if (other == no_slot || !book.slots[other].used || book.slots[other].removing) {
        add(gone, name);
      } else if (!book.slots[other].life.want_up) {
        add(stopped, name);
        names += " " + name;
      }
    }
  }
  if (all.empty() && applied->document.start_concurrency > 0)
    return "waits for its turn: " + std::to_string(applied->document.start_concurrency) + " may start at a time";
  // One alone that waits itself: what ends that wait ends this one.
  if (only != no_slot && book.slots[only].life.phase == Phase::waiting)
    return "waits for " + all + ", which " + waiting_words(book, only);
  std::string text = "waits for " + all;
  const auto tell = [&](const std::string& list, const char* state, const std::string& command) {
    if (list.empty()) return;
    const char* is = list.find(',') == std::string::npos ? " is " : " are ";
    text += (list == all ? ", which" : "; of these " + list) + is + state + ": " + command;
  };
  tell(stopped, "stopped", "hearth start" + names);
  tell(gone, "down", "hearth up");
  return text;
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

namespace {

std::string reason_text(const SlotBook& book, const ports::Keeper& keeper, SlotIndex slot, Now now) {
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
  switch (state.life.reason) {
    case Reason::none:
    case Reason::ordered:
    case Reason::shutdown:
      if (state.leftover[0] != '\0')
        return std::string("the stop is incomplete, this cannot be killed: ") + state.leftover;
      break;
    case Reason::dependency_missing:
      if (state.life.phase == Phase::stopping) return "stops with what it depends on, which has gone";
      return waiting_words(book, slot);
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
    case Reason::spawn_failed: return failure_words(state.last_exit, spec);
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
    case Reason::crash_loop: {
      // How a run ended that we ended ourselves says less than why.
      const std::string verdict = verdict_words(book, slot, state.life.last_end);
      const std::string last = "; last: " + (verdict.empty() ? end_words(state, spec) : verdict);
      const std::uint32_t row = spec.crash_limit.max_failed_starts;
      if (row > 0 && state.life.failed_starts >= row)
        return (row == 1 ? "its start has failed" : std::to_string(row) + " starts in a row have failed") + last;
      return "restarted too often (" + std::to_string(spec.crash_limit.max_restarts) + " in " +
             span_words(spec.crash_limit.window) + ")" + last;
    }
    case Reason::dependency_restarted: return "restarted with what it depends on";
    case Reason::adopted: return "taken over from an earlier hearth";
    case Reason::lost: return "ended while nobody watched";
    case Reason::refused:  // above
      break;
  }
  return "";
}

Outcome outcome_of(const SlotBook& book, SlotIndex slot, Verb verb);

// Does it need somebody whose own start counts as failed? The graph has no cycle.
bool waits_for_a_failure(const SlotBook& book, SlotIndex slot) {
  const AppliedDocument* applied = book.applied(slot);
  if (applied == nullptr || book.slots[slot].role != SlotRole::service) return false;
  for (const lifecycle::Edge& edge : applied->graph.dependencies(book.slots[slot].service)) {
    for (const SlotIndex other : applied->slots_of(edge.to))
      if (edge.required && other != no_slot && book.slots[other].used &&
          outcome_of(book, other, Verb::start) == Outcome::failed)
        return true;
  }
  return false;
}

Outcome outcome_of(const SlotBook& book, SlotIndex slot, Verb verb) {
  const SlotState& state = book.slots[slot];
  const Phase phase = state.life.phase;
  if (verb == Verb::stop || verb == Verb::down || verb == Verb::shutdown)
    return !book.over(slot) || phase == Phase::stopping ? Outcome::pending
           : state.leftover[0] != '\0'                  ? Outcome::incomplete
                                                        : Outcome::done;
  if (verb == Verb::reload) {
    if (phase != Phase::running) return Outcome::failed;
    if (book.is_beside(slot, Hook::reload)) return Outcome::pending;
    if (state.reload_failed) return Outcome::failed;
    return state.health.reloading || book.scratch[slot].reload_at != 0 ? Outcome::pending : Outcome::done;
  }
  switch (phase) {
    case Phase::running:
      if (book.spec_of(slot).type == ServiceType::task) return Outcome::pending;  // until it has done its work
      // Who was ready and is not any more is nobody to wait for: perhaps he never will be again, and status tells it.
      if (book.has_readiness(slot)) return state.health.ready_since != 0 ? Outcome::done : Outcome::pending;
      return book.scratch[slot].settle_at == 0 ? Outcome::done : Outcome::pending;
    case Phase::completed: return Outcome::done;
    case Phase::failed: return Outcome::failed;
    case Phase::stopped: return state.life.want_up ? Outcome::pending : Outcome::superseded;
    case Phase::backoff:
      // It has run and ended well, and its policy runs it again: more will never be true of it.
      if (state.life.failures == 0) return Outcome::done;
      // One bad start may be a race with something outside; a program that is not there stays away.
      if (state.life.failures >= 3) return Outcome::failed;
      return state.life.reason == Reason::spawn_failed ? Outcome::failed : Outcome::pending;
    case Phase::waiting: return waits_for_a_failure(book, slot) ? Outcome::failed : Outcome::pending;
    case Phase::starting: return state.life.failures >= 3 ? Outcome::failed : Outcome::pending;
    case Phase::stopping: return Outcome::pending;
  }
  return Outcome::pending;
}

// Of a slot that the order names.
Outcome outcome_of_order(const SlotBook& book, ports::Keeper& keeper, const wire::OperationRecord& record,
                         SlotIndex slot) {
  const SlotState& state = book.slots[slot];
  // What left the document with this order is being stopped, whatever the verb says.
  const Outcome outcome = outcome_of(book, slot, state.removing ? Verb::stop : static_cast<Verb>(record.kind));
  // The last words of a failure are worth waiting for.
  const bool speaks = outcome == Outcome::failed && state.last_exit.run != no_run && state.last_exit.fail_stage == 0 &&
                      !keeper.output_drained(slot, state.last_exit.run);
  return speaks ? Outcome::pending : outcome;
}

}  // namespace

std::string why_words(const SlotBook& book, const ports::Keeper& keeper, SlotIndex slot, Now now) {
  return reason_text(book, keeper, slot, now);
}

std::string end_words(const ExitInfo& exit, const ServiceSpec& spec) {
  return failure_words(exit, spec);
}

SlotStatus slot_status(const SlotBook& book, const ports::Keeper& keeper, const std::string& log_directory,
                       SlotIndex slot, Now now) {
  const SlotState& state = book.slots[slot];
  const Document* document = book.document_of(slot);
  const ServiceSpec& spec = book.spec_of(slot);
  SlotStatus out;
  out.project = document->project;
  out.name = spec.name;
  out.tags = spec.tags;
  out.index = state.replica;
  out.replicas = spec.replicas;
  out.slot = slot;
  out.phase = state.life.phase;
  out.want_up = state.life.want_up;
  out.has_readiness = book.has_readiness(slot);
  out.ready = out.has_readiness ? state.health.ready : state.life.phase == Phase::running;
  out.pid = state.life.run_live && !state.run_wanted ? state.run().pid : 0;
  // Its leader is a zombie, and who stays is not known yet.
  if (out.pid != 0 && book.scratch[slot].leader_gone == state.run().run) out.pid = 0;
  out.run = state.run().run;
  out.since = state.life.since;
  out.started = state.life.run_live && !state.run_wanted ? state.run().started : 0;
  out.ready_since = state.health.ready_since;
  out.restarts = state.life.restarts;
  out.failures = state.life.failures;
  out.last_exit = state.last_exit;
  out.next_retry = state.life.retry.set() ? now.wall + (state.life.retry.at - now.mono) : 0;
  out.reason = state.life.reason;
  out.reason_text = reason_text(book, keeper, slot, now);
  out.containment = keeper.containment();
  out.leftover = state.leftover;
  out.status_text = state.health.status;
  if (out.pid != 0) {
    out.work = state.health.work;
    out.work_item = state.health.item;
    out.work_done = state.health.work_done;
    out.work_total = state.health.work_total;
    if (spec.ready->type != ProbeType::uptime) out.load = state.health.load;  // which would say the same
  }
  out.order = state.order;
  out.log = keeper.log_status(slot, book.label(slot));
  out.hook = hook_name(state.life.hook);
  out.log_directory = log_directory + "/" + book.label(slot);
  return out;
}

OrderReport order_report(const SlotBook& book, ports::Keeper& keeper, const std::string& log_directory,
                         const wire::OperationRecord& record, Now now) {
  OrderReport report;
  report.order = record.order;
  report.verb = static_cast<Verb>(record.kind);
  report.settled = true;
  report.slots.reserve(record.slots);
  std::uint32_t still = 0;
  for (const SlotIndex slot : book.services()) {
    const SlotState& state = book.slots[slot];
    if (state.order != record.order && state.order_before != record.order) continue;
    if (!state.removing) ++still;
    SlotOutcome one{outcome_of_order(book, keeper, record, slot), slot_status(book, keeper, log_directory, slot, now)};
    if (one.outcome == Outcome::pending) report.settled = false;
    report.slots.push_back(std::move(one));
  }
  // What `down` and `shutdown` have forgotten, nobody has taken over.
  const bool forgets = report.verb == Verb::down || report.verb == Verb::shutdown || report.verb == Verb::leave;
  if (!forgets && still < record.slots) report.overtaken = record.slots - still;
  return report;
}

bool order_settled(const SlotBook& book, ports::Keeper& keeper, const wire::OperationRecord& record) {
  for (const SlotIndex slot : book.services()) {
    const SlotState& state = book.slots[slot];
    if (state.order != record.order && state.order_before != record.order) continue;
    if (outcome_of_order(book, keeper, record, slot) == Outcome::pending) return false;
  }
  return true;
}

std::string hook_end_words(const SlotState& runner) {
  if (runner.life.reason == Reason::hook_timeout) return "had not ended within its timeout";
  if (runner.last_exit.fail_stage != 0)
    return "could not be started: " + std::string(std::strerror(runner.last_exit.fail_errno));
  return exit_words(runner.last_exit);
}

}  // namespace hearth::supervisor
