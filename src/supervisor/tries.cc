// Tries of probes: lives.h says how they stand to the lives of services.
#include <memory>
#include <string>

#include "supervisor/book.h"
#include "supervisor/lives.h"

namespace hearth::supervisor {
namespace {

health::Which which_of(const SlotState& probe) {
  return probe.role == SlotRole::live_probe ? health::Which::live : health::Which::ready;
}

std::string try_words(const ExitInfo& exit) {
  if (exit.fail_stage != 0) return "its probe could not be executed";
  return "its probe " + std::string(exit.code == 1 ? "exited with code " : "was killed by signal ") +
         std::to_string(exit.status);
}

}  // namespace

bool Lives::is_watched(SlotIndex parent) const {
  return book_.in_use(parent) && book_.slots[parent].health.watching;
}

void Lives::begin_try(SlotIndex slot, bool live, std::uint64_t attempt, Now now) {
  const ServiceSpec& spec = book_.spec_of(slot);
  const Probe& probe = live ? spec.live : spec.ready;
  if (probe.type != ProbeType::exec) {
    book_.errands.probe_starts.push_back({slot, live, attempt, false});
    return;
  }
  const AppliedDocument* applied = book_.applied(slot);
  const SlotIndex runner = (live ? applied->live_probes : applied->ready_probes)[applied->place(book_.slots[slot])];
  if (runner == no_slot) return;
  SlotState& state = book_.slots[runner];
  lifecycle::Event event;
  event.random = book_.random();
  state.probe_attempt = attempt;
  // A try that did not end in time has counted as bad; its tree goes, and then this one begins.
  event.kind = state.life.run_live ? lifecycle::EventKind::order_restart : lifecycle::EventKind::order_start;
  feed(runner, event, now);
  book_.touch(runner);
}

// Probes and clocks of a run that is over, or that we are ending, have nobody to tell.
void Lives::end_tries(SlotIndex slot, Now now) {
  SlotState& state = book_.slots[slot];
  health::unwatch(state.health);
  for (std::unique_ptr<Error>& refusal : book_.scratch[slot].unprobed) refusal.reset();
  book_.scratch[slot].unready.reset();
  book_.scratch[slot].ate_too_much = false;
  book_.errands.probe_cancels.push_back(slot);
  const AppliedDocument* applied = book_.applied(slot);
  if (applied == nullptr || state.role != SlotRole::service) return;
  const std::uint32_t place = applied->place(state);
  for (const SlotIndex runner : {applied->ready_probes[place], applied->live_probes[place]}) {
    // Also one that hangs and is being replaced by the next try: it shall not come back.
    if (runner == no_slot || !book_.slots[runner].life.want_up || !book_.slots[runner].life.run_live) continue;
    lifecycle::Event event;
    event.kind = lifecycle::EventKind::order_stop;
    feed(runner, event, now);
  }
}

void Lives::try_ended(SlotIndex probe_slot, const ExitInfo& exit, Now now) {
  const SlotState& probe = book_.slots[probe_slot];
  const SlotIndex parent = probe.parent;
  if (!is_watched(parent)) return;
  const bool good = exit.fail_stage == 0 && exit.code == 1 && exit.status == 0;
  if (probe.role == SlotRole::ready_probe) {
    book_.scratch[parent].unready.reset();
    if (!good) book_.scratch[parent].unready = std::make_unique<std::string>(try_words(exit));
  } else {
    book_.scratch[parent].sick = good ? nullptr : std::make_unique<std::string>(try_words(exit));
  }
  const ProbeState& live = book_.slots[parent].health.live_probe;
  const bool under_way = live.in_flight && live.attempt == probe.probe_attempt;
  if (good && probe.role == SlotRole::live_probe && under_way && book_.spec_of(parent).live->max_memory != 0) {
    // The try is over when its memory has been looked at, too.
    book_.errands.probe_starts.push_back({parent, true, probe.probe_attempt, true});
    return;
  }
  book_.scratch[parent].unprobed[probe.role == SlotRole::live_probe].reset();
  judge(parent,
        health::probe_result(book_.slots[parent].health, book_.spec_of(parent), which_of(probe), probe.probe_attempt,
                             good, now),
        now);
}

// Retried with the next try of its service, not by itself.
void Lives::try_refused(SlotIndex probe_slot, const Error& why, Now now) {
  lifecycle::Event event;
  event.kind = lifecycle::EventKind::order_stop;
  feed(probe_slot, event, now);
  const SlotState& probe = book_.slots[probe_slot];
  const SlotIndex parent = probe.parent;
  if (!is_watched(parent)) return;
  book_.scratch[parent].unprobed[probe.role == SlotRole::live_probe] = std::make_unique<Error>(why);
  judge(
      parent,
      health::try_refused(book_.slots[parent].health, book_.spec_of(parent), which_of(probe), probe.probe_attempt, now),
      now);
}

// A try whose time ran out before its program was there: spawners had no room for it, and the service is not to blame.
void Lives::refuse_overdue_tries(SlotIndex slot, Now now) {
  const SlotState& state = book_.slots[slot];
  const AppliedDocument* applied = book_.applied(slot);
  if (state.role != SlotRole::service || applied == nullptr || !state.health.watching) return;
  for (const bool live : {false, true}) {
    const SlotIndex runner = (live ? applied->live_probes : applied->ready_probes)[applied->place(state)];
    const ProbeState& probe = live ? state.health.live_probe : state.health.ready_probe;
    if (runner == no_slot || !probe.limit.due(now.mono) || !book_.slots[runner].life.run_live) continue;
    const SlotState& trying = book_.slots[runner];
    const RunCell& cell = trying.run();
    const bool unspawned = trying.run_wanted || (cell.spawn && keeper_.entry(cell.entry).pid == 0);
    if (!unspawned || trying.probe_attempt != probe.attempt) continue;
    try_refused(runner,
                {Remedy::try_later, "probe", book_.label(slot), "no spawner had room for it", "it is tried again"},
                now);
  }
}

}  // namespace hearth::supervisor
