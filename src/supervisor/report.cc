#include "supervisor/report.h"

#include <utility>

#include "model/hook.h"
#include "supervisor/book.h"
#include "supervisor/report_words.h"
#include "supervisor/waits.h"

namespace hearth::supervisor {
namespace {

Outcome outcome_of(const SlotBook& book, Waits& waits, SlotIndex slot, Verb verb) {
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
  if (start_has_failed(state)) return Outcome::failed;
  switch (phase) {
    case Phase::running:
      if (book.spec_of(slot).type == ServiceType::task) return Outcome::pending;  // until it has done its work
      // Who was ready and is not any more is nobody to wait for: perhaps he never will be again, and status tells it.
      if (book.has_readiness(slot)) return state.health.ready_since != 0 ? Outcome::done : Outcome::pending;
      return book.scratch[slot].settle_at == 0 ? Outcome::done : Outcome::pending;
    case Phase::completed: return Outcome::done;
    case Phase::stopped: return state.life.want_up ? Outcome::pending : Outcome::superseded;
    // With no failure it has run and ended well, and its policy runs it again: more will never be true of it.
    case Phase::backoff: return state.life.failures == 0 ? Outcome::done : Outcome::pending;
    case Phase::waiting: return waits.for_a_failure(slot) ? Outcome::failed : Outcome::pending;
    case Phase::failed:
    case Phase::starting:
    case Phase::stopping: break;
  }
  return Outcome::pending;
}

// Of a slot that the order names.
Outcome outcome_of_order(const SlotBook& book, ports::Keeper& keeper, Waits& waits, const wire::OperationRecord& record,
                         SlotIndex slot) {
  const SlotState& state = book.slots[slot];
  // What left the document with this order is being stopped, whatever the verb says.
  const Outcome outcome = outcome_of(book, waits, slot, state.removing ? Verb::stop : static_cast<Verb>(record.kind));
  // The last words of a failure are worth waiting for.
  const bool speaks = outcome == Outcome::failed && state.last_exit.run != no_run && state.last_exit.fail_stage == 0 &&
                      !keeper.output_drained(slot, state.last_exit.run);
  return speaks ? Outcome::pending : outcome;
}

}  // namespace

SlotStatus slot_status(const SlotBook& book, const ports::Keeper& keeper, Waits& waits,
                       const std::string& log_directory, SlotIndex slot, Now now) {
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
  out.reason_text = why_words(book, keeper, waits, slot, now);
  out.ailing = ailing_words(book, slot);
  if (out.phase == Phase::waiting && out.reason == Reason::dependency_missing) out.waits_for = waits.labels(slot);
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
  Waits waits(book);
  for (const SlotIndex slot : book.services()) {
    const SlotState& state = book.slots[slot];
    if (state.order != record.order && state.order_before != record.order) continue;
    if (!state.removing) ++still;
    SlotOutcome one{outcome_of_order(book, keeper, waits, record, slot),
                    slot_status(book, keeper, waits, log_directory, slot, now)};
    if (one.outcome == Outcome::pending) report.settled = false;
    report.slots.push_back(std::move(one));
  }
  for (const SlotStatus& status : book.left_over)
    if (status.order == record.order) report.slots.push_back({Outcome::incomplete, status});
  // What `down` and `shutdown` have forgotten, nobody has taken over.
  const bool forgets = report.verb == Verb::down || report.verb == Verb::shutdown || report.verb == Verb::leave;
  if (!forgets && still < record.slots) report.overtaken = record.slots - still;
  return report;
}

bool order_settled(const SlotBook& book, ports::Keeper& keeper, const wire::OperationRecord& record) {
  Waits waits(book);
  for (const SlotIndex slot : book.services()) {
    const SlotState& state = book.slots[slot];
    if (state.order != record.order && state.order_before != record.order) continue;
    if (outcome_of_order(book, keeper, waits, record, slot) == Outcome::pending) return false;
  }
  return true;
}

}  // namespace hearth::supervisor
