#include "supervisor/book.h"

#include <algorithm>
#include <array>
#include <unordered_set>
#include <utility>

#include "base/check.h"
#include "model/hook.h"
#include "supervisor/report_words.h"

namespace hearth::supervisor {

SlotBook::SlotBook() {
  probe_spec_.name = "probe";
  probe_spec_.restart = RestartPolicy::never;
  probe_spec_.stop_signal = 9;
  probe_spec_.stop_timeout = milliseconds(500);
  probe_spec_.start_timeout = 0;
  probe_spec_.fdstore_max = 0;
  hook_spec_ = probe_spec_;
  hook_spec_.name = "hook";
  hook_spec_.stop_signal = 15;
  hook_spec_.stop_timeout = seconds(5);
}

std::uint64_t SlotBook::random() {
  // xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled", 2016). In the
  // head, so that the same page goes on the same way.
  std::uint64_t x = head.random;
  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  head.random = x;
  head_changed = true;
  return x * 0x2545F4914F6CDD1DULL;
}

std::uint32_t SlotBook::starting(std::uint64_t document) const {
  while (!uncounted_.empty()) {
    const SlotIndex slot = uncounted_.pop_newest();
    ++looks;
    if (slot >= counted_in_.size()) counted_in_.resize(slots.size());
    const SlotState& state = slots[slot];
    const bool counts = state.used && state.role == SlotRole::service && state.life.phase == Phase::starting;
    const std::uint64_t now_in = counts ? state.document : 0;
    const std::uint64_t was_in = std::exchange(counted_in_[slot], now_in);
    if (was_in == now_in) continue;
    if (now_in != 0) ++starting_[now_in];
    if (was_in != 0 && --starting_[was_in] == 0) starting_.erase(was_in);
  }
  const auto found = starting_.find(document);
  return found == starting_.end() ? 0 : found->second;
}

const Document* SlotBook::document_of(SlotIndex slot) const {
  const AppliedDocument* found = applied(slot);
  return found != nullptr && found->has(slots[slot].service, slots[slot].replica) ? &found->document : nullptr;
}

const ServiceSpec& SlotBook::spec_of(SlotIndex slot) const {
  if (is_hook(slots[slot].role)) return hook_spec_;
  return slots[slot].role == SlotRole::service ? service_spec(slot) : probe_spec_;
}

const ServiceSpec& SlotBook::service_spec(SlotIndex slot) const {
  const SlotState& state = slots[slot];
  const AppliedDocument* found = applied(slot);
  HEARTH_CHECK(found != nullptr && found->has(state.service, state.replica), "a used slot has a document");
  return found->spec(state.service, state.replica);
}

std::string SlotBook::label(SlotIndex slot) const {
  const SlotState& state = slots[slot];
  const Document* document = document_of(slot);
  if (document == nullptr) return "slot" + std::to_string(slot);
  std::string text = label_of(document->project, document->services[state.service].name, state.replica);
  if (state.role == SlotRole::ready_probe) text += ".ready";
  if (state.role == SlotRole::live_probe) text += ".live";
  if (state.role == SlotRole::hook) text += ".hook";
  if (state.role == SlotRole::side_hook) text += ".side-hook";
  return text;
}

bool SlotBook::has_readiness(SlotIndex slot) const {
  return slots[slot].role == SlotRole::service && spec_of(slot).ready->type != ProbeType::none;
}

bool SlotBook::is_up(SlotIndex slot) const {
  const SlotState& state = slots[slot];
  return state.used && state.life.run_live && state.life.phase != Phase::stopping;
}

bool SlotBook::comes_up(SlotIndex slot) const {
  const SlotState& state = slots[slot];
  return state.used && (state.life.phase == Phase::starting || state.life.phase == Phase::running);
}

bool SlotBook::over(SlotIndex slot) const {
  const SlotState& state = slots[slot];
  if (state.life.run_live || state.life.hook != Hook::none || state.hook != Hook::none || state.beside != 0)
    return false;
  for (const RunCell& cell : state.cell)
    if (cell.reap || cell.spawn) return false;
  if (state.role != SlotRole::service) return true;
  // Nor of its hooks.
  return std::ranges::all_of(std::array{scratch[slot].hook, scratch[slot].side_hook},
                             [this](SlotIndex its) { return its == no_slot || over(its); });
}

SlotIndex& SlotBook::hook_slot(SlotIndex service, SlotRole role) {
  return role == SlotRole::hook ? scratch[service].hook : scratch[service].side_hook;
}

SlotIndex SlotBook::hook_slot(SlotIndex service, SlotRole role) const {
  return role == SlotRole::hook ? scratch[service].hook : scratch[service].side_hook;
}

bool SlotBook::has_hook(SlotIndex service, Hook hook) const {
  const SlotRole role = runs_beside(hook) ? SlotRole::side_hook : SlotRole::hook;
  return hook_slot(service, role) != no_slot && !action_of(*service_spec(service).actions, hook).command.empty();
}

bool SlotBook::is_beside(SlotIndex service, Hook hook) const {
  const SlotIndex runner = hook_slot(service, SlotRole::side_hook);
  return (slots[service].beside & hook_bit(hook)) != 0 || (runner != no_slot && slots[runner].hook == hook);
}

void SlotBook::grow_to(SlotIndex wanted) {
  if (wanted <= slots.size()) return;
  slots.resize(wanted);
  scratch.resize(wanted);
  due_at.resize(wanted, never);
  head.slots_used = size();
  head_changed = true;
}

SlotIndex SlotBook::first_free() {
  while (first_free_ < slots.size() && slots[first_free_].used) ++first_free_;
  return first_free_;
}

void SlotBook::take_into_use(SlotIndex slot, const SlotState& fresh) {
  slots[slot] = fresh;
  const bool marked = scratch[slot].marked;
  scratch[slot] = Scratch{};
  scratch[slot].marked = marked;
  due_at[slot] = never;
  touch(slot);
}

void SlotBook::keep_left_over(SlotIndex slot) {
  constexpr std::size_t most = 64;
  const SlotState& state = slots[slot];
  const ServiceSpec& spec = spec_of(slot);
  SlotStatus status;
  status.project = document_of(slot)->project;
  status.name = spec.name;
  status.index = state.replica;
  status.replicas = spec.replicas;
  status.slot = slot;
  status.since = state.life.since;
  status.last_exit = state.last_exit;
  status.reason = state.life.reason;
  status.leftover = state.leftover;
  status.reason_text = leftover_words(status.leftover);
  status.order = state.order;
  if (left_over.size() == most) left_over.erase(left_over.begin());
  left_over.push_back(std::move(status));
}

void SlotBook::forget(SlotIndex slot) {
  SlotState& state = slots[slot];
  if (state.role == SlotRole::service) {
    for (const SlotIndex its : {scratch[slot].hook, scratch[slot].side_hook}) {
      if (its == no_slot) continue;
      slots[its].removing = true;
      slots[its].parent = no_slot;
      touch(its);
      weigh(its);
    }
    scratch[slot].hook = scratch[slot].side_hook = no_slot;
  } else if (is_hook(state.role) && state.parent != no_slot && hook_slot(state.parent, state.role) == slot) {
    hook_slot(state.parent, state.role) = no_slot;
  }
  if (AppliedDocument* found = registry.find(state.document)) {
    for (std::vector<SlotIndex>* by_service : {&found->slots, &found->ready_probes, &found->live_probes})
      for (SlotIndex& each : *by_service)
        if (each == slot) each = no_slot;
  }
  if (state.role == SlotRole::service) {
    if (state.leftover[0] != '\0') keep_left_over(slot);
    EventRecord event;
    event.what = Happening::removed;
    event.service = label(slot);
    event.cause = state.event;
    event.order = state.order;
    event.text = "forgotten";
    errands.happened.push_back(std::move(event));
  }
  errands.released_slots.push_back(slot);
  const OrderId order = state.order;
  state = SlotState{};
  state.order = order;
  due_at[slot] = never;
  first_free_ = std::min(first_free_, slot);
  touch(slot);
  documents_unused = true;
  runs_changed = true;
}

void SlotBook::index_slots() {
  for (const SlotIndex slot : used()) {
    uncounted_.push(slot);
    const SlotState& state = slots[slot];
    if (is_hook(state.role)) {
      if (in_use(state.parent)) hook_slot(state.parent, state.role) = slot;
      continue;
    }
    AppliedDocument* found = registry.find(state.document);
    if (found != nullptr && found->has(state.service, state.replica))
      found->slots_as(state.role)[found->place(state)] = slot;
  }
}

void SlotBook::drop_unused_documents() {
  documents_unused = false;
  std::unordered_set<std::uint64_t> named;
  for (const SlotIndex slot : used()) named.insert(slots[slot].document);
  for (auto it = registry.all().begin(); it != registry.all().end();) {
    const std::uint64_t version = it->first;
    ++it;
    if (named.contains(version) || version > head.last_document) continue;
    registry.drop(version);
    errands.dropped_documents.push_back(version);
  }
}

void SlotBook::add_note(Note note, Happening what) {
  if (note.at != 0) {
    EventRecord event;
    event.what = what;
    event.time = note.at;
    event.text = note.text;
    errands.happened.push_back(std::move(event));
  }
  keep_note(std::move(note));
}

void SlotBook::add_note(std::string text, EventRecord event) {
  Note note{event.time, std::move(text), event.service};
  errands.happened.push_back(std::move(event));
  keep_note(std::move(note));
}

void SlotBook::keep_note(Note note) {
  constexpr std::size_t notes_max = 50;
  if (notes.size() >= notes_max) notes.erase(notes.begin());
  notes.push_back(std::move(note));
  visible_change = true;
}

}  // namespace hearth::supervisor
