// What a commit may contain.
#include "sim/checker.h"

#include <algorithm>

namespace hearth::sim {
namespace {

constexpr int cld_exited = 1;

bool success(const ExitInfo& exit, const ServiceSpec& spec) {
  return exit.run != no_run && exit.code == cld_exited && exit.fail_stage == 0 &&
         std::count(spec.success_exit_codes.begin(), spec.success_exit_codes.end(), exit.status) > 0;
}

}  // namespace

void Checker::fail(const std::string& what) const {
  throw Violation{what};
}

const ServiceSpec* Checker::spec_of(const SlotState& state) const {
  const auto found = m_.store_port.on_disk().find(state.document);
  if (found == m_.store_port.on_disk().end() || state.service >= found->second.services.size()) return nullptr;
  return &found->second.services[state.service];
}

std::string Checker::name_of(const SlotState& state) const {
  const ServiceSpec* spec = spec_of(state);
  return spec == nullptr ? "?" : spec->name;
}

const RunCell* Checker::cell_in_page(RunId run, EntryIndex entry) const {
  const SlotIndex slot = entry / 2;
  if (slot >= view_.slots.size()) return nullptr;
  for (const RunCell& cell : view_.slots[slot].cell)
    if (cell.run == run && cell.entry == entry) return &cell;
  return nullptr;
}

std::string Checker::words(const SlotState& of, const Dependency& dependency) const {
  for (const SlotState& other : view_.slots) {
    if (!other.used || other.document != of.document || name_of(other) != dependency.service) continue;
    return std::string(phase_name(other.life.phase)) + " (" + reason_name(other.life.reason) + "), run " +
           std::to_string(other.run().run) + ", condition " + std::to_string(static_cast<int>(dependency.condition));
  }
  return "no slot";
}

// Called when the number of a commit has been stored, before anything is done about it.
void Checker::committed() {
  const PageView before = std::move(view_);
  view_ = m_.page();
  if (view_.commit == before.commit) return;
  renew_what_was_missed();
  if (!view_.has_head) fail("a commit without a head");
  if (view_.head.last_run < before.head.last_run) fail("the counter of runs went back");
  if (view_.head.last_op < before.head.last_op) fail("the counter of operations went back");
  if (view_.head.last_order < before.head.last_order) fail("the counter of orders went back");
  const RunId known_runs = greatest_run_;
  std::uint32_t lost = 0;
  orders_before_ = before.head.last_order;
  for (SlotIndex slot = 0; slot < view_.slots.size(); ++slot) {
    static const SlotState nothing{};
    const SlotState& was = slot < before.slots.size() ? before.slots[slot] : nothing;
    const SlotState& now = view_.slots[slot];
    if (!now.used) {
      stops_.erase(slot);
      hooks_.erase(slot);
      tries_.erase(slot);
      for (const RunCell& cell : was.cell)
        if (was.used && cell.entry != no_entry && m_.kernel.entry(cell.entry).run == cell.run)
          fail("slot " + std::to_string(slot) + " is forgotten while run " + std::to_string(cell.run) +
               " is in its entry");
      continue;
    }
    const Process* newest = m_.kernel.process(now.run().run);
    const bool found = !was.used && newest != nullptr && newest->inherited;
    if (now.run().run != was.run().run && !found) {
      if (now.run().run <= known_runs) fail("run " + std::to_string(now.run().run) + " is not a new number");
      greatest_run_ = std::max(greatest_run_, now.run().run);
      decided_[now.run().run] = view_.head.last_order;
      // (Of several orders in one turn, an earlier one may have found them as they were then.)
      if (now.role == SlotRole::service && now.run().entry != no_entry && view_.head.last_order <= orders_before_ + 1) {
        // As things stand when the turn is over, whatever came first in it.
        const ServiceSpec* spec = spec_of(now);
        for (const Dependency& dependency : spec == nullptr ? std::vector<Dependency>{} : spec->depends_on)
          if (!dependency_met(now, dependency))
            fail(name_of(now) + " is started over " + dependency.service + ", which is not there (" +
                 words(now, dependency) + ")");
      }
      check_new_run(slot, was, now);
    }
    follow_hooks(slot, was, now);
    for (const RunCell& cell : now.cell) {
      const bool known = std::any_of(std::begin(was.cell), std::end(was.cell),
                                     [&](const RunCell& old) { return old.run == cell.run && old.reap; });
      if (cell.reap && !known) check_end(slot, cell, now);
      const Process* process = m_.kernel.process(cell.run);
      lost += cell.reap && !known && process != nullptr && !process->exit_known && !process->script_failed() &&
              !is_probe(view_.slots[slot].role);
      if (cell.op > greatest_op_) greatest_op_ = cell.op;
    }
    // A readiness try that is taken back before there was a process for it.
    // One that waits for the end of the one before is taken back without a change of phase.
    const bool taken_back = was.used && (was.life.phase == Phase::starting ? now.life.phase != Phase::starting
                                                                           : was.life.want_up && !now.life.want_up);
    const bool had_none = was.run_wanted || m_.kernel.process(was.run().run) == nullptr;
    if (now.role == SlotRole::ready_probe && taken_back && had_none) not_looked_at(now.parent);
    check_stop(slot, was, now);
    check_ready(slot, was, now);
    check_policy(slot, was, now);
  }
  check_losses_counted(before, lost);
}

void Checker::check_new_run(SlotIndex slot, const SlotState& before, const SlotState& now) {
  const RunCell& cell = now.run();
  if (cell.entry == no_entry) return;  // taken back in the same turn
  if (cell.entry != slot * 2 && cell.entry != slot * 2 + 1) fail("an entry that is not the slot's");
  if (!now.life.want_up) fail(name_of(now) + " is started, and nobody wants it up");
  for (const RunCell& other : before.cell) {
    if (other.entry == no_entry || other.run == cell.run) continue;
    const Process* process = m_.kernel.process(other.run);
    if (process != nullptr && process->running())
      fail(name_of(now) + ": a second run while run " + std::to_string(other.run) + " lives");
    if (other.entry == cell.entry && !other.reap && m_.kernel.entry(cell.entry).run == other.run)
      fail(name_of(now) + ": run " + std::to_string(other.run) + " is forgotten");
  }
  if (now.role == SlotRole::service) check_prepared(slot, now);
  const bool ordered = before.order != now.order;
  if (now.role == SlotRole::service && before.used && !ordered && before.life.phase == Phase::backoff &&
      before.life.retry.at > m_.time.now.mono)
    fail(name_of(now) + " is tried again before its time");
}

// `cell` says for the first time that its run has ended.
void Checker::check_end(SlotIndex slot, const RunCell& cell, const SlotState& now) {
  const Process* process = m_.kernel.process(cell.run);
  if (process == nullptr) {
    if (m_.kernel.entry(cell.entry).fail_stage == 0)
      fail("run " + std::to_string(cell.run) + " ended without having begun");
    if (now.role == SlotRole::ready_probe) not_looked_at(now.parent);
    return check_no_room(now, cell.entry);
  }
  if (process->running()) fail("run " + std::to_string(cell.run) + " is said to have ended, and it lives");
  if (unread(cell.run, "READY=1"))
    fail(process->label + ": the end of run " + std::to_string(cell.run) + " is known before its READY=1 is read");
  if (&cell != &view_.slots[slot].run()) return;
  const ExitInfo& told = now.last_exit;
  const bool failed = process->script_failed();
  const bool true_one = told.code == process->exit_code && told.status == process->exit_status;
  const bool unknown = told.code == wire::wait_code_unknown;
  if (told.run != cell.run || (process->exit_known && !true_one) || (!process->exit_known && !unknown && !failed))
    fail("the exit status of run " + std::to_string(cell.run) + " is not what it was" +
         (unknown               ? ": it was there to be known"
          : process->exit_known ? ""
                                : ": nobody can know it"));
  if (unknown && now.role == SlotRole::service && now.life.phase == Phase::completed)
    fail(name_of(now) + ": nobody knows how run " + std::to_string(cell.run) + " ended, and it counts as a success");
  if (failed && told.fail_stage == 0 && !process->killed && !unknown) fail("a failed exec is taken for an exit");
}

// Whoever is restarted with this one has ended when we begin to stop it.
void Checker::check_followers_ended(const SlotState& now) const {
  if (now.role != SlotRole::service || view_.head.force || view_.head.last_order > orders_before_ + 1) return;
  const Process* own = m_.kernel.process(now.run().run);
  if (own == nullptr || !own->running()) return;  // its hooks only
  for (const SlotState& other : view_.slots) {
    if (!other.used || other.role != SlotRole::service || other.document != now.document || !other.life.want_up)
      continue;
    const ServiceSpec* spec = spec_of(other);
    const bool follows = std::any_of(spec->depends_on.begin(), spec->depends_on.end(),
                                     [&](const Dependency& d) { return d.restart && d.service == name_of(now); });
    const Process* process = m_.kernel.process(other.run().run);
    if (follows && process != nullptr && process->running())
      fail(name_of(now) + " is restarted while " + spec->name + ", which is restarted with it, lives");
  }
}

// As far as one replica of it is concerned.
bool Checker::replica_met(const SlotState& other, const Dependency& dependency, const ServiceSpec& spec) {
  const Phase phase = other.life.phase;
  if (!dependency.required && (phase == Phase::stopped || phase == Phase::failed || phase == Phase::completed))
    return true;
  switch (dependency.condition) {
    case Condition::started:
      return phase == Phase::running || phase == Phase::completed ||
             (phase == Phase::starting && other.run().run != no_run);
    case Condition::ready:
      // A task is what others wait for when it has done its work.
      if (spec.type == ServiceType::task) return phase == Phase::completed && success(other.last_exit, spec);
      return phase == Phase::running && (spec.ready->type == ProbeType::none || other.health.ready);
    case Condition::completed:
      return phase == Phase::completed || (phase == Phase::failed && other.run().run != no_run);
    case Condition::completed_successfully: return phase == Phase::completed && success(other.last_exit, spec);
  }
  return false;
}

// All of its replicas have to be there.
bool Checker::dependency_met(const SlotState& of, const Dependency& dependency) const {
  bool found = false;
  for (const SlotState& other : view_.slots) {
    if (!other.used || other.role != SlotRole::service || other.document != of.document) continue;
    const ServiceSpec* spec = spec_of(other);
    if (spec == nullptr || spec->name != dependency.service) continue;
    found = true;
    if (!replica_met(other, dependency, *spec)) return false;
  }
  return found;
}

bool Checker::unread(RunId run, const char* what) const {
  const Process* process = m_.kernel.process(run);
  if (process == nullptr) return false;
  return std::any_of(process->socket.begin(), process->socket.end(), [&](const Datagram& datagram) {
    return datagram.data == what && datagram.sent < m_.turn_started();
  });
}

void Checker::check_stop(SlotIndex slot, const SlotState& before, const SlotState& now) {
  const MonoNs time = m_.time.now.mono;
  const RunId run = now.run().run;
  const bool begins =
      now.life.phase == Phase::stopping && (before.life.phase != Phase::stopping || before.run().run != run);
  if (begins) {
    const Clocks clocks = clocks_[run];
    if (now.life.reason == Reason::start_timeout) {
      MonoNs start = clocks.start;
      for (const MonoNs other : clocks.other_starts) start = std::min(start, other);
      if (start > time)
        fail(name_of(now) + " is stopped for its start timeout " + std::to_string(start - time) + " ns too early");
      if (unread(run, "READY=1")) fail(name_of(now) + " is stopped for its start timeout, and its READY=1 lies unread");
    }
    const Process* process = m_.kernel.process(run);
    if (now.life.reason == Reason::watchdog && !(process != nullptr && process->gave_itself_up)) {
      if (clocks.watchdog > time)
        fail(name_of(now) + " is stopped by its watchdog " + std::to_string(clocks.watchdog - time) + " ns too early");
      if (unread(run, "WATCHDOG=1")) fail(name_of(now) + " is stopped by its watchdog, and its WATCHDOG=1 lies unread");
    }
  }
  if (now.life.phase != Phase::stopping) {
    stops_.erase(slot);
    return;
  }
  const ServiceSpec* spec = spec_of(now);
  const SpanNs span = spec == nullptr ? 0 : spec->stop_timeout;
  // The grace period is that of the stop command or the stop signal: before_stop has its own time.
  if (!now.life.stop_held && now.life.hook != Hook::before_stop) {
    Stop& stop =
        stops_.try_emplace(slot, Stop{after(time, span), span, begins ? now.order : before.order}).first->second;
    // The signal cannot arrive before there is a process: the grace period begins again.
    // Nor at a daemon before it is followed.
    if (now.run().pid != 0 && now.run().pid != before.run().pid) stop.grace = after(time, span);
    // Of several orders in one turn, one may have begun the stop under another specification.
    if (begins && view_.head.last_order > orders_before_ + 1) stop.grace = 0;
  }
  const bool lets_go = !now.life.stop_held && (begins || before.life.stop_held);
  if (lets_go && !now.life.want_up && (now.life.reason == Reason::ordered || now.life.reason == Reason::shutdown))
    if (!(begins && was_ill(slot, before))) check_dependents_ended(now);
  // Who stops with what it depends on does not come back at once, and takes nobody along that is merely restarted with it.
  const bool comes_back = now.life.want_up && now.life.restart_after_stop && !now.life.restart_counts &&
                          now.life.reason != Reason::dependency_missing;
  if (lets_go && comes_back && !(begins && was_ill(slot, before))) check_followers_ended(now);
  const bool kills = now.life.kill_sent && !(before.life.kill_sent && before.run().run == run);
  if (!kills || now.role != SlotRole::service || spec == nullptr || spec->stop_signal == 9) return;
  const Stop& stop = stops_[slot];
  const bool insisted = now.order != stop.order || view_.head.force || view_.head.last_order > orders_before_ + 1;
  if (!insisted && stop.grace > time)
    fail(name_of(now) + " is killed " + std::to_string(stop.grace - time) + " ns before the end of its grace period");
}

// Evidence comes before orders: a liveness probe may have ended it in the same turn, and that waits for nobody.
bool Checker::was_ill(SlotIndex slot, const SlotState& before) const {
  const RunId run = before.run().run;
  if (const Process* process = m_.kernel.process(run); process != nullptr && process->gave_itself_up) return true;
  const ServiceSpec* spec = spec_of(before);
  if (spec == nullptr || spec->live->type == ProbeType::none) return false;
  if (before.health.live_probe.failures + 1 < spec->live->failure_threshold) return false;
  if (probed_ill_.contains(run)) return true;
  if (spec->live->type != ProbeType::exec) return false;
  return std::any_of(view_.slots.begin(), view_.slots.end(), [&](const SlotState& probe) {
    return probe.used && probe.role == SlotRole::live_probe && probe.parent == slot &&
           !(probe.last_exit.code == cld_exited && probe.last_exit.status == 0);
  });
}

// What one order stops, ends from its dependents down.
void Checker::check_dependents_ended(const SlotState& now) const {
  // Of several orders in one turn an earlier one may have let go.
  if (view_.head.force || now.role != SlotRole::service || view_.head.last_order > orders_before_ + 1) return;
  // A run that gave itself up in the turn of the order is stopped for that.
  const Process* own = m_.kernel.process(now.run().run);
  if (own != nullptr && own->gave_itself_up) return;
  if (own == nullptr || !own->running()) return;  // its hooks only
  for (const SlotState& other : view_.slots) {
    if (!other.used || other.role != SlotRole::service || other.document != now.document) continue;
    const ServiceSpec* spec = spec_of(other);
    // Other replicas may be up, with which it has what it needs.
    const bool alone = spec_of(now)->replicas == 1;
    const bool same = other.order == now.order && other.life.phase == Phase::stopping && !other.life.want_up;
    const bool depends = std::any_of(spec->depends_on.begin(), spec->depends_on.end(), [&](const Dependency& d) {
      return d.service == name_of(now) && (same || (d.stop && alone && !other.removing));
    });
    const Process* process = m_.kernel.process(other.run().run);
    if (depends && process != nullptr && process->running())
      fail(name_of(now) + " is stopped while " + spec->name + ", which depends on it, lives");
  }
}

void Checker::check_ready(SlotIndex slot, const SlotState& before, const SlotState& now) {
  if (now.role != SlotRole::service) return;
  const ServiceSpec* spec = spec_of(now);
  const Process* process = m_.kernel.process(now.run().run);
  const bool fresh = now.health.ready && !(before.health.ready && before.run().run == now.run().run);
  const bool watched = now.health.watching && !(before.health.watching && before.run().run == now.run().run);
  if (watched && spec != nullptr && spec->start_timeout > 0)
    clocks_[now.run().run] = {after(m_.time.now.mono, spec->start_timeout), spec->start_timeout, {}, 0, 0};
  // It goes on by another document, perhaps with another span.
  if (now.document != before.document && spec != nullptr && clocks_.contains(now.run().run))
    clocks_[now.run().run].other_starts.push_back(0);
  // Ready by the probe of the document before, and adjusted in the same turn (health.h, respecify).
  const bool adjusted = before.used && before.document != now.document;
  if (fresh && !adjusted && spec != nullptr && now.health.watching) {
    const RunId run = now.run().run;
    if (spec->ready->type == ProbeType::notify && (process == nullptr || (!process->ready_said && !process->unheard)))
      fail(name_of(now) + ": run " + std::to_string(run) + " counts as ready and never said so");
    if ((spec->ready->type == ProbeType::http || spec->ready->type == ProbeType::tcp) && !probed_well_.contains(run))
      fail(name_of(now) + ": run " + std::to_string(run) + " counts as ready and no probe of it was good");
    if (spec->watchdog > 0) {
      Clocks& clocks = clocks_[run];
      clocks.watchdog_span = spec->watchdog;
      if (clocks.watchdog == 0) clocks.watchdog = after(m_.time.now.mono, spec->watchdog);
    }
  }
  const auto kept = retries_at_death_.find(slot);
  if (kept != retries_at_death_.end() && before.life.phase == Phase::backoff && now.life.phase == Phase::backoff &&
      before.order == now.order && before.life.failures == now.life.failures && now.life.retry.at != kept->second)
    fail(name_of(now) + ": its retry time has moved at a take-over");
}

}  // namespace hearth::sim
