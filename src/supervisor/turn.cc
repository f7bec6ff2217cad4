// The turn: peek, step, commit, act, consume.
#include <algorithm>
#include <cstring>
#include <utility>

#include "supervisor/supervisor.h"

namespace hearth::supervisor {
namespace {

// How late a turn may come before we count as having been away (stopped, suspended, starved).
constexpr SpanNs tolerated_lateness = milliseconds(500);

// Turns in a row that may find inputs before deadlines are looked at all the same. Each turn takes one datagram
// from every socket, and a socket queues at most net.unix.max_dgram_qlen (512 at most in practice): after as many
// turns all that was there before the deadline has been seen, whoever floods.
constexpr std::uint32_t undrained_turns_max = 600;

}  // namespace

MonoNs Supervisor::turn(Now now) {
  note_absence(now);
  now_ = now;
  again_ = false;

  world_.keeper.take_changed(entries_);
  world_.inputs.peek(inputs_);
  for (EntryIndex entry : entries_) look_at(entry, now);
  handle_inputs(false, now);
  end_runs(now);
  handle_inputs(true, now);
  undrained_turns_ = inputs_.empty() ? 0 : undrained_turns_ + 1;
  if (undrained_turns_ == 0 || undrained_turns_ > undrained_turns_max) {
    undrained_turns_ = 0;
    pass_time(now);
  } else {
    again_ = true;  // evidence may be waiting behind these: deadlines come when there is none
  }
  propagate(now);
  if (documents_unused_) drop_unused_documents();
  commit(now);
  act(now);
  consume();
  due_ = next_due(now);
  return due_;
}

void Supervisor::note_absence(Now now) {
  if (due_ == never || now.mono <= after(due_, tolerated_lateness)) return;
  if (!absent_since_ || due_ < *absent_since_) absent_since_ = due_;
}

// Evidence or requests: what happened is known before anything new is ordered.
void Supervisor::handle_inputs(bool requests, Now now) {
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    const ports::Input& input = inputs_[i];
    const bool is_evidence = input.kind == ports::InputKind::notify || input.kind == ports::InputKind::probe_result;
    if (is_evidence == requests) continue;
    if (world_.inputs.poisonous(input)) {
      add_note("an input that killed two supervisors was thrown away");
      if (input.kind == ports::InputKind::request)
        replies_.push_back({i, failure(Remedy::fix_input, "take the order", "", "it has killed two supervisors",
                                       "report it, please")});
      continue;
    }
    world_.inputs.breadcrumb(input);
    switch (input.kind) {
      case ports::InputKind::notify: handle_notify(i, input, now); break;
      case ports::InputKind::probe_result: handle_probe_result(input, now); break;
      case ports::InputKind::request: replies_.push_back({i, handle_request(input.request, now)}); break;
      case ports::InputKind::keeper_signal: handle_keeper_signals(input, now); break;
      case ports::InputKind::keeper_lost: break;  // the program replaces the keeper; nothing is decided here
    }
  }
  world_.inputs.clear_breadcrumb();
}

void Supervisor::handle_notify(std::size_t index, const ports::Input& input, Now now) {
  if (input.slot >= slots_.size() || !slots_[input.slot].used) return;
  SlotState& state = slots_[input.slot];
  const health::NotifyMessage message = health::parse_notify(input.data.data(), input.data.size());
  const ServiceSpec& spec = spec_of(input.slot);
  if (message.fdstore && input.descriptors > 0)
    store_actions_.push_back({index, input.slot, false, message.fdname, spec.fdstore_max, message.fdpoll});
  if (message.fdstore_remove) store_actions_.push_back({index, input.slot, true, message.fdname, 0, false});
  // What a run says after its end, or an old run says now, is kept out of the newest one's health. (A run that is
  // only wanted has no cell yet: the newest cell is of the one before.)
  const auto is_newest = [&] { return state.run().run == input.run && state.life.run_live && !state.run_wanted; };
  if (!is_newest()) return;
  // A message is proof that the process lives, even when the keeper's notice is still on its way.
  look_at(state.run().entry, now);
  if (!is_newest()) return;
  if (!state.health.watching && state.life.phase == Phase::starting)
    apply_verdict(input.slot, health::watch(state.health, spec, now), now);
  apply_verdict(input.slot, health::notify(state.health, spec, message, now), now);
}

void Supervisor::handle_probe_result(const ports::Input& input, Now now) {
  if (input.slot >= slots_.size() || !slots_[input.slot].used || !slots_[input.slot].life.run_live) return;
  const health::Which which = input.live ? health::Which::live : health::Which::ready;
  apply_verdict(
      input.slot,
      health::probe_result(slots_[input.slot].health, spec_of(input.slot), which, input.attempt, input.good, now), now);
}

void Supervisor::handle_keeper_signals(const ports::Input& input, Now now) {
  for (std::size_t i = 0; i < std::size(keeper_signals); ++i) {
    if (keeper_signals[i] != input.number) continue;
    const std::uint32_t fresh = input.count - head_.signals_handled[i];
    if (fresh == 0) return;
    head_.signals_handled[i] = input.count;
    head_changed_ = true;
    switch (input.number) {
      case 15:
      case 2:
        if (head_.shutting_down || fresh > 1) head_.force = true;
        shut_down(false, ++head_.last_order, now);
        break;
      case 3: shut_down(true, ++head_.last_order, now); break;
      default: visible_change_ = true;  // HUP, USR1: the program rereads or writes out; USR2: it is replaced
    }
  }
}

void Supervisor::pass_time(Now now) {
  if (absent_since_) {
    for (SlotIndex slot = 0; slot < slots_.size(); ++slot) {
      if (!slots_[slot].used) continue;
      lifecycle::forgive_absence(slots_[slot].life, *absent_since_, now.mono);
      health::forgive_absence(slots_[slot].health, *absent_since_, now.mono);
      touch(slot);
    }
    absent_since_.reset();
  }
  for (SlotIndex slot = 0; slot < slots_.size(); ++slot) {
    if (due_at_[slot] > now.mono || !slots_[slot].used) continue;
    decide_refusal(slot, now);
    if (scratch_[slot].settle_at <= now.mono) scratch_[slot].settle_at = 0;
    refuse_overdue_tries(slot, now);
    if (slots_[slot].health.watching)
      apply_verdict(slot, health::time_passed(slots_[slot].health, spec_of(slot), now), now);
    lifecycle::Event event;
    event.kind = lifecycle::EventKind::time_passed;
    event.dependencies_met = dependencies_met(slot);
    feed(slot, event, now);
    touch(slot);
  }
}

// The last turn's act could not spawn this one.
void Supervisor::decide_refusal(SlotIndex slot, Now now) {
  const RunId refused = std::exchange(scratch_[slot].refused, no_run);
  RunCell& cell = slots_[slot].run();
  // Unless it was stopped meanwhile: what is there then is another run.
  if (refused == no_run || refused != cell.run || !cell.spawn) return;
  lifecycle::Event event;
  event.kind = lifecycle::EventKind::spawn_failed;
  event.reason = Reason::refused;
  event.random = random();
  event.dependencies_met = dependencies_met(slot);
  event.exit.run = cell.run;
  event.exit.fail_stage = static_cast<std::uint32_t>(wire::SpawnStage::plan);
  event.exit.fail_errno = scratch_[slot].refusal->code;
  event.exit.at = now.wall;
  cell.spawn = false;
  cell.entry = no_entry;
  slots_[slot].last_exit = event.exit;
  feed(slot, event, now);
  if (slots_[slot].role != SlotRole::service) probe_refused(slot, *scratch_[slot].refusal, now);
}

void Supervisor::commit(Now now) {
  const auto between_stores = [this] {
    if (options_.between_stores) options_.between_stores();
  };
  for (SlotIndex slot : changed_) {
    Scratch& scratch = scratch_[slot];
    scratch.changed = false;
    if (!scratch.noting) noting_.push_back(slot);
    scratch.noting = true;
    const SlotState& state = slots_[slot];
    between_stores();
    writer_.set_slot(slot, &state, sizeof state);
    MonoNs& due = due_at_[slot];
    due = never;
    if (!state.used) continue;
    due = lifecycle::next_deadline(state.life);
    if (state.health.watching) due = std::min(due, health::next_deadline(state.health));
    if (scratch.refused != no_run) due = now.mono;
    if (scratch.settle_at != 0) due = std::min(due, scratch.settle_at);
  }
  if (!changed_.empty()) visible_change_ = true;
  changed_.clear();
  between_stores();
  if (head_changed_) writer_.set_head(&head_, sizeof head_);
  head_changed_ = false;
  for (const wire::OperationRecord& operation : operations_) {
    between_stores();
    writer_.add_operation(operation);
  }
  operations_.clear();
  between_stores();
  writer_.publish();
  between_stores();
}

void Supervisor::consume() {
  for (const StoreAction& action : store_actions_) {
    if (action.remove)
      world_.inputs.remove_descriptors(action.slot, action.name);
    else
      world_.inputs.store_descriptors(inputs_[action.input], action.name, action.most, action.poll);
  }
  store_actions_.clear();
  for (const ports::Input& input : inputs_) world_.inputs.consume(input);
  for (const Reply& reply : replies_) world_.inputs.answer(inputs_[reply.input], reply.result);
  replies_.clear();
  inputs_.clear();
  for (std::uint64_t version : dropped_documents_) world_.store.drop_document(version);
  dropped_documents_.clear();
}

MonoNs Supervisor::next_due(Now now) const {
  if (again_) return now.mono;
  MonoNs due = never;
  for (const MonoNs at : due_at_) due = std::min(due, at);
  // Acts that could not be handed over are tried again soon; most are woken earlier by what they wait for.
  if (!acting_.empty()) due = std::min(due, after(now.mono, milliseconds(20)));
  if (runs_changed_) due = std::min(due, note_runs_at_);
  if (finish_waits_ && !finish_sent_) due = std::min(due, after(now.mono, milliseconds(1)));
  return due;
}

bool Supervisor::take_changed() {
  const bool changed = visible_change_;
  visible_change_ = false;
  return changed;
}

void Supervisor::keeper_replaced(std::int32_t pid, std::uint32_t generation) {
  options_.keeper_pid = pid;
  options_.keeper_generation = head_.keeper_generation = generation;
  head_changed_ = true;
  // Plans and signals that were on their way to the old one may be lost: forget that they were sent.
  for (SlotIndex slot = 0; slot < slots_.size(); ++slot) {
    scratch_[slot].spawn_sent = no_run;
    scratch_[slot].signal_sent = 0;
    scratch_[slot].reap_sent[0] = scratch_[slot].reap_sent[1] = no_run;
    if (slots_[slot].used) want_act(slot);
  }
  again_ = true;
  add_note("the keeper was replaced; runs were adopted");
}

void Supervisor::add_note(std::string note, bool event) {
  constexpr std::size_t notes_max = 50;
  if (notes_.size() >= notes_max) notes_.erase(notes_.begin());
  notes_.push_back({event ? now_.wall : 0, std::move(note)});
  visible_change_ = true;
}

}  // namespace hearth::supervisor
