// The turn: peek, step, commit, act, consume.
#include <algorithm>
#include <iterator>
#include <utility>

#include "supervisor/dependencies.h"
#include "supervisor/propagate.h"
#include "supervisor/supervisor.h"

namespace hearth::supervisor {
namespace {

// How late a turn may come before we count as having been away (stopped, suspended, starved).
constexpr SpanNs tolerated_lateness = milliseconds(500);

// Turns in a row that may find inputs before deadlines are looked at all the same. Each turn takes one datagram
// from every socket, and a socket queues at most net.unix.max_dgram_qlen (512 at most in practice): after as many
// turns all that was there before the deadline has been seen, whoever floods.
constexpr std::uint32_t undrained_turns_max = 600;

// Until a request that could not be answered yet is handled again.
constexpr SpanNs postponed_span = milliseconds(5);

}  // namespace

MonoNs Supervisor::turn(Now now) {
  absent_since_ = absent_since(now.mono);
  now_ = now;
  book_.another_turn = false;

  world_.keeper.take_changed(entries_);
  world_.inputs.peek(inputs_);
  const bool drained = inputs_.empty();
  std::ranges::move(postponed_, std::back_inserter(inputs_));
  postponed_.clear();
  for (const EntryIndex entry : entries_) evidence_.look_at(entry, now);
  handle_inputs(false, now);
  evidence_.end_runs(inputs_, now);
  handle_inputs(true, now);
  undrained_turns_ = drained ? 0 : undrained_turns_ + 1;
  if (undrained_turns_ == 0 || undrained_turns_ > undrained_turns_max) {
    undrained_turns_ = 0;
    pass_time(now);
  } else {
    book_.another_turn = true;  // evidence may be waiting behind these: deadlines come when there is none
  }
  propagate(book_, lives_, now);
  if (book_.gave_up != no_slot) shut_down_for_one_given_up(now);
  if (book_.documents_unused) book_.drop_unused_documents();
  commit(now);
  acts_.act(now);
  consume();
  due_ = next_due(now);
  return due_;
}

void Supervisor::shut_down_for_one_given_up(Now now) {
  const SlotIndex slot = std::exchange(book_.gave_up, no_slot);
  if (book_.head.shutting_down || !book_.in_use(slot)) return;
  // About all of hearth: whoever asks for another service wants to know, too.
  add_note(book_.label(slot) + " was given up, and its on_give_up is \"exit\": all of hearth shuts down");
  book_.head.gave_up = true;
  goals_.shut_down(false, book_.next_order(), now);
  propagate(book_, lives_, now);
}

std::optional<MonoNs> Supervisor::absent_since(MonoNs now) const {
  if (due_ == never || now <= after(due_, tolerated_lateness)) return absent_since_;
  return std::min(due_, absent_since_.value_or(due_));
}

// Evidence or requests: what happened is known before anything new is ordered.
void Supervisor::handle_inputs(bool requests, Now now) {
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    const ports::Input& input = inputs_[i];
    const bool is_evidence = input.kind == ports::InputKind::notify || input.kind == ports::InputKind::ready_line ||
                             input.kind == ports::InputKind::probe_result;
    if (is_evidence == requests) continue;
    if (world_.inputs.poisonous(input)) {
      add_note("an input that killed two supervisors was thrown away");
      if (input.kind == ports::InputKind::request)
        book_.errands.replies.push_back({i, failure(Remedy::fix_input, "take the order", "",
                                                    "it has killed two supervisors", "report it, please")});
      continue;
    }
    world_.inputs.breadcrumb(input);
    handle(i, now);
  }
  world_.inputs.clear_breadcrumb();
}

void Supervisor::handle(std::size_t index, Now now) {
  const ports::Input& input = inputs_[index];
  switch (input.kind) {
    case ports::InputKind::notify: evidence_.notified(index, input, now); break;
    case ports::InputKind::ready_line: evidence_.said_ready(input, now); break;
    case ports::InputKind::probe_result: evidence_.probed(input, now); break;
    case ports::InputKind::request: ask(index, now); break;
    case ports::InputKind::keeper_signal: orders_.signalled(input, now); break;
    case ports::InputKind::keeper_lost: break;  // the program replaces the keeper; nothing is decided here
  }
}

void Supervisor::ask(std::size_t index, Now now) {
  Result<Accepted> result = orders_.handle(inputs_[index].request, now);
  if (std::exchange(book_.errands.undecided, false))
    postponed_.push_back(inputs_[index]);
  else
    book_.errands.replies.push_back({index, std::move(result)});
}

// Each turn comes through here, and mostly for nothing: only the deadlines are read of those that are not due.
void Supervisor::pass_time(Now now) {
  forgive_absence(now);
  const std::vector<MonoNs>& due_at = book_.due_at;
  const SlotIndex size = book_.size();
  for (SlotIndex slot = 0; slot < size; ++slot)
    if (due_at[slot] <= now.mono && book_.slots[slot].used) pass_deadlines(slot, now);
}

void Supervisor::pass_deadlines(SlotIndex slot, Now now) {
  evidence_.decide_refusal(slot, now);
  evidence_.decide_daemonless(slot, now);
  if (book_.scratch[slot].seek_at <= now.mono) book_.scratch[slot].seek_at = 0;
  if (book_.scratch[slot].leader_gone != no_run) book_.want_act(slot);
  if (book_.scratch[slot].settle_at <= now.mono) book_.scratch[slot].settle_at = 0;
  if (book_.scratch[slot].reload_at <= now.mono) book_.scratch[slot].reload_at = 0;
  lives_.refuse_overdue_tries(slot, now);
  lives_.end_late_hook(slot, now);
  Health& health = book_.slots[slot].health;
  if (health::is_due_by_uptime(health, book_.spec_of(slot), now) &&
      !world_.keeper.is_alive(book_.slots[slot].run().entry))
    health::put_off_uptime(health, now);
  if (health.watching) lives_.judge(slot, health::time_passed(health, book_.spec_of(slot), now), now);
  lifecycle::Event event;
  event.kind = lifecycle::EventKind::time_passed;
  event.dependencies_met = dependencies_met(book_, slot);
  const bool was_damped = lifecycle::is_damped(book_.slots[slot].life);
  lives_.feed(slot, event, now);
  if (was_damped) book_.weigh(slot);  // a dependency may have been restarted meanwhile
  book_.touch(slot);
}

void Supervisor::forgive_absence(Now now) {
  if (!absent_since_) return;
  for (const SlotIndex slot : book_.used()) {
    lifecycle::forgive_absence(book_.slots[slot].life, *absent_since_, now.mono);
    health::forgive_absence(book_.slots[slot].health, *absent_since_, now.mono);
    book_.slots[slot].limit.renew_if_missed(*absent_since_, now.mono);
    book_.touch(slot);
  }
  absent_since_.reset();
}

void Supervisor::commit(Now now) {
  const auto between_stores = [this] {
    if (options_.between_stores) options_.between_stores();
  };
  scribe_.write(now);
  for (const SlotIndex slot : book_.changed.all()) {
    const SlotState& state = book_.slots[slot];
    book_.noting.push(slot);
    book_.marking.push(slot);
    between_stores();
    writer_.set_slot(slot, &state, sizeof state);
    book_.due_at[slot] = due_of(slot, now);
  }
  if (!book_.changed.empty()) book_.visible_change = true;
  book_.changed.clear();
  between_stores();
  if (book_.head_changed) writer_.set_head(&book_.head, sizeof book_.head);
  book_.head_changed = false;
  for (const wire::OperationRecord& operation : book_.errands.operations) {
    between_stores();
    writer_.add_operation(operation);
  }
  book_.errands.operations.clear();
  between_stores();
  writer_.publish();
  between_stores();
  scribe_.committed();
}

MonoNs Supervisor::due_of(SlotIndex slot, Now now) const {
  const SlotState& state = book_.slots[slot];
  const Scratch& scratch = book_.scratch[slot];
  if (!state.used) return never;
  MonoNs due = lifecycle::next_deadline(state.life);
  if (state.health.watching) due = std::min(due, health::next_deadline(state.health));
  if (state.limit.set()) due = std::min(due, state.limit.at);
  if (scratch.refused != no_run) due = now.mono;
  if (scratch.daemonless != no_run) due = now.mono;
  if (scratch.leader_gone != no_run && scratch.seek_at != 0) due = std::min(due, scratch.seek_at);
  if (scratch.settle_at != 0) due = std::min(due, scratch.settle_at);
  if (scratch.reload_at != 0) due = std::min(due, scratch.reload_at);
  return due;
}

void Supervisor::consume() {
  Errands& errands = book_.errands;
  for (const StoreAction& action : errands.store_actions) {
    if (action.remove)
      world_.inputs.remove_descriptors(action.slot, action.name);
    else
      world_.inputs.store_descriptors(inputs_[action.input], action.name, action.most, action.poll);
  }
  errands.store_actions.clear();
  for (const ports::Input& input : inputs_) world_.inputs.consume(input);
  for (const Reply& reply : errands.replies) world_.inputs.answer(inputs_[reply.input], reply.result);
  errands.replies.clear();
  inputs_.clear();
  for (const std::uint64_t version : errands.dropped_documents) world_.store.drop_document(version);
  errands.dropped_documents.clear();
}

MonoNs Supervisor::next_due(Now now) const {
  if (book_.another_turn) return now.mono;
  MonoNs due = acts_.next_due(now);
  if (!postponed_.empty()) due = std::min(due, after(now.mono, postponed_span));
  for (const MonoNs at : book_.due_at) due = std::min(due, at);
  return due;
}

}  // namespace hearth::supervisor
