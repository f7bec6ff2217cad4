// Hooks: lives.h says how they stand to the lives of services.
#include <bit>
#include <string>
#include <utility>

#include "model/hook.h"
#include "supervisor/book.h"
#include "supervisor/dependencies.h"
#include "supervisor/lives.h"
#include "supervisor/report_words.h"

namespace hearth::supervisor {
namespace {

// The one that waits for the longest time is not known; those of a start come before those of its failure.
Hook first_of(std::uint16_t beside) {
  return static_cast<Hook>(std::countr_zero(beside));
}

}  // namespace

// What a step has asked for. Last in feed(), because a hook may end in here and step the same life again.
void Lives::follow_hooks(SlotIndex slot, const lifecycle::Effects& effects, Now now) {
  SlotState& state = book_.slots[slot];
  const ServiceSpec& spec = book_.spec_of(slot);
  if (effects.gave_up && spec.give_up == GiveUp::exit) book_.gave_up = slot;
  for (unsigned i = 1; i < hook_count && effects.beside != 0; ++i) {
    const Hook hook = static_cast<Hook>(i);
    if ((effects.beside & hook_bit(hook)) == 0 || action_of(*spec.actions, hook).command.empty()) continue;
    state.beside |= hook_bit(hook);
    book_.touch(slot);
  }
  const SlotIndex runner = book_.hook_slot(slot, SlotRole::hook);
  if (runner != no_slot && (effects.end_hook || effects.kill_hook))
    end_hook(runner, Reason::none, effects.kill_hook, now);
  if (effects.hook != Hook::none) begin_hook(slot, effects.hook, now);
  begin_beside(slot, now);
}

void Lives::begin_hook(SlotIndex slot, Hook hook, Now now) {
  const SlotRole role = runs_beside(hook) ? SlotRole::side_hook : SlotRole::hook;
  const SlotIndex runner = book_.hook_slot(slot, role);
  // In a hurry nobody waits for hooks.
  if (runner == no_slot || book_.head.force) {
    if (!runs_beside(hook)) hook_ended(slot, hook, false, Reason::hook_failed, now);
    return;
  }
  const SlotState& service = book_.slots[slot];
  SlotState& state = book_.slots[runner];
  // It follows what its service follows, from one to the next.
  state.document = service.document;
  state.service = service.service;
  state.replica = service.replica;
  state.hook = hook;
  state.limit.start(now.mono, action_of(*book_.spec_of(slot).actions, hook).timeout);
  book_.touch(runner);
  lifecycle::Event event;
  event.kind = lifecycle::EventKind::order_start;
  event.random = book_.random();
  feed(runner, event, now);
}

// `at_once`: without a grace period.
void Lives::end_hook(SlotIndex hook_slot, Reason reason, bool at_once, Now now) {
  const SlotState& state = book_.slots[hook_slot];
  lifecycle::Event event;
  event.kind = lifecycle::EventKind::order_stop;
  event.reason = reason;
  const Hook hook = state.hook;
  if (hook == Hook::none) return;
  if (state.life.phase != Phase::stopping) feed(hook_slot, event, now);
  // To stop what is being stopped is to insist.
  if (at_once && state.hook == hook && state.life.phase == Phase::stopping) feed(hook_slot, event, now);
}

void Lives::end_late_hook(SlotIndex hook_slot, Now now) {
  SlotState& state = book_.slots[hook_slot];
  if (!state.limit.due(now.mono)) return;
  state.limit.clear();
  book_.touch(hook_slot);
  end_hook(hook_slot, Reason::hook_timeout, true, now);
}

bool Lives::run_beside(SlotIndex slot, Hook hook, Now now) {
  if (!book_.has_hook(slot, hook)) return false;
  book_.slots[slot].beside |= hook_bit(hook);
  book_.touch(slot);
  begin_beside(slot, now);
  return true;
}

// One at a time. An occasion that comes again while it waits has waited for both.
void Lives::begin_beside(SlotIndex slot, Now now) {
  SlotState& state = book_.slots[slot];
  const SlotIndex runner = book_.hook_slot(slot, SlotRole::side_hook);
  // Until one has begun: the specification may be another one since, and a forced shutdown begins none.
  while (state.beside != 0 && (runner == no_slot || book_.slots[runner].hook == Hook::none)) {
    const Hook hook = first_of(state.beside);
    state.beside &= static_cast<std::uint16_t>(~hook_bit(hook));
    book_.touch(slot);
    if (!action_of(*book_.spec_of(slot).actions, hook).command.empty()) begin_hook(slot, hook, now);
  }
}

// Has it come to rest? Then its service is told, once.
void Lives::look_at_hook(SlotIndex hook_slot, Now now) {
  SlotState& state = book_.slots[hook_slot];
  const Phase phase = state.life.phase;
  const bool rests = phase == Phase::completed || phase == Phase::failed || phase == Phase::stopped;
  if (state.hook == Hook::none || !rests) return;
  const Hook hook = std::exchange(state.hook, Hook::none);
  state.limit.clear();
  book_.touch(hook_slot);
  book_.weigh(hook_slot);
  const SlotIndex slot = state.parent;
  if (!book_.in_use(slot)) return;
  book_.weigh(slot);
  const bool good = phase == Phase::completed;
  const bool late = state.life.reason == Reason::hook_timeout;
  state.ended = hook;
  // How it was ended on an order is nobody's news.
  if (phase == Phase::failed || late) tell_failed_hook(slot, hook_slot, hook, now);
  if (runs_beside(hook)) return begin_beside(slot, now);
  if (hook == Hook::before_start && !good && state.last_exit.run == state.run().run) {
    book_.slots[slot].last_exit = state.last_exit;
    book_.scratch[slot].lasted = book_.scratch[hook_slot].lasted;
    book_.scratch[slot].use = book_.scratch[hook_slot].use;
  }
  hook_ended(slot, hook, good, good ? Reason::none : late ? Reason::hook_timeout : Reason::hook_failed, now);
}

// How before_start failed, status says: it needs no note.
void Lives::tell_failed_hook(SlotIndex slot, SlotIndex hook_slot, Hook hook, Now now) {
  const SlotState& state = book_.slots[hook_slot];
  if (hook == Hook::reload) book_.slots[slot].reload_failed = true;
  book_.touch(slot);
  EventRecord event;
  event.what = Happening::hook;
  event.time = now.wall;
  event.service = book_.label(slot);
  event.slot = slot;
  event.cause = book_.slots[slot].event;
  event.run = state.last_exit.run;
  event.exit = state.last_exit;
  event.hook = hook_name(hook);
  for (const RunCell& cell : state.cell)
    if (cell.run == event.run) event.pid = cell.pid;
  event.text = event.hook + " " + hook_end_words(state);
  if (hook == Hook::before_start) return book_.errands.happened.push_back(std::move(event));
  std::string note = event.service + ": " + event.text;
  book_.add_note(std::move(note), std::move(event));
}

void Lives::hook_ended(SlotIndex slot, Hook hook, bool good, Reason reason, Now now) {
  lifecycle::Event event;
  event.kind = lifecycle::EventKind::hook_ended;
  event.hook = hook;
  event.good = good;
  event.reason = reason;
  event.dependencies_met = dependencies_met(book_, slot);
  event.random = book_.random();
  book_.touch(slot);
  feed(slot, event, now);
}

}  // namespace hearth::supervisor
