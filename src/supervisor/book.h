// What everybody in this room reads and marks: the slots, and what is to be done about them. Decides nothing.
//
// Model
// -----
// A slot is known by its index, and has four parts:
//   slots     its record. Committed: all that a successor knows of it. Who changes it says so with touch().
//   scratch   what a successor finds out again, and what need not be known twice.
//   due_at    its earliest deadline, made anew by the commit of each change.
//   registry  its specification, in the version of the document that it follows.
// The head is committed beside them; who changes it sets head_changed (next_run() and the like do).
//
// Three queues say which slots a turn still has to look at. A slot stands in each of them once:
//   changed   touch()     its record goes into the next commit
//   weighed   weigh()     it moved: it and its neighbours in the graph are weighed before the commit (propagate.h)
//   acting    want_act()  its cells are compared with the slot table after the commit (acts.h)
//
// The pieces of the room (lives, evidence, goals, placing, orders, acts) hold references to the one book of the
// supervisor, and to pieces that come before them in this list; what one has to tell a later one it marks here.
// References to slots do not outlive grow_to().
#pragma once

#include <cstdint>
#include <memory>
#include <ranges>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "model/event.h"
#include "model/service_spec.h"
#include "model/slot_state.h"
#include "model/status.h"
#include "supervisor/errands.h"
#include "supervisor/head.h"
#include "supervisor/registry.h"
#include "supervisor/slot_queue.h"

namespace hearth::supervisor {

// What a successor need not know of a slot: it finds out again.
struct Scratch {
  MonoNs settle_at = 0;  // without a readiness probe: until then an order does not call it done
  MonoNs reload_at = 0;  // told to reload, until then it may say RELOADING=1
  RunId spawn_sent = no_run;
  OpId signal_sent = 0;
  RunId reap_sent[2] = {};
  WallNs turn_since = 0;        // of the Turn under which it waits, or has waited
  MonoNs clear_at = 0;          // until then an ended run is not cleared away, because its successor comes first
  std::uint32_t heard_out = 0;  // turns for which the end of a run has waited for its last words
  bool marked = false;          // the store knows of files of this slot
  // Of a service that leaves a daemon behind (Acts::seek):
  RunId leader_gone = no_run;            // whose leader has ended well, and whose main process is looked for
  RunId follow_sent = no_run;            // ... and whose keeper was told whom to follow
  RunId daemonless = no_run;             // ... in vain, until that is decided upon
  MonoNs seek_at = 0;                    // it is not looked for before; 0: now
  SpanNs seek_wait = 0;                  // after the last look
  std::unique_ptr<std::string> missing;  // what the last look has missed, in words; null: nothing
  RunId other_main = no_run;             // of which it was told that it has named another main process since
  RunId sweeping = no_run;               // whose descendants are being swept: frozen, so it must come to its end
  RunId cleared = no_run;    // whose tree has been ended as far as it can be; what is left is named, then it is reaped
  SlotIndex hook = no_slot;  // of a service: where its hooks run
  SlotIndex side_hook = no_slot;  // ... and those that run beside it
  RunId found_ready = no_run;     // found alive after all of hearth had died, and it had been ready before
  RunId refused = no_run;         // whose spawn was refused, until that is decided upon; the error:
  std::unique_ptr<Error> refusal;
  MonoNs waits_since = 0;  // since when its run cannot be spawned for what is named here; 0: it does not wait
  std::unique_ptr<std::string> waits_for;
  SpanNs lasted = 0;  // of the run of last_exit, and what it used
  RunUse use;
  std::unique_ptr<std::string> unready;  // what the last try of its readiness found that was bad; null: nothing
  std::unique_ptr<std::string> sick;     // the same of what has ended it: its liveness, or its start_timeout
  bool ate_too_much = false;             // one of its bad tries of liveness in a row was bad for its memory
  // Why an exec probe, or its memory, could not be tried; null: it could. Of readiness, of liveness.
  std::unique_ptr<Error> unprobed[2];
};

class SlotBook {
 public:
  SlotBook();

  Head head;
  bool head_changed = false;
  std::vector<SlotState> slots;
  std::vector<Scratch> scratch;
  std::vector<MonoNs> due_at;  // apart, because each turn walks it
  Registry registry;

  SlotQueue changed, weighed, acting;
  SlotQueue noting;   // committed since the list of runs was noted
  SlotQueue marking;  // committed since the store was told which files they shall have (ports::Mark)
  Errands errands;
  bool another_turn = false;      // is wanted at once
  bool visible_change = false;    // something that clients can see
  bool runs_changed = false;      // the list of runs on disk is to be noted anew
  bool upgrade_wished = false;    // the keeper has another supervisor's program
  bool dump_wished = false;       // SIGUSR1: how things are, into hearth.log
  bool documents_unused = false;  // perhaps: a slot was forgotten
  SlotIndex gave_up = no_slot;    // with on_give_up = "exit": all of hearth is to be shut down
  std::vector<Note> notes;        // for people; the newest 50

  void touch(SlotIndex slot) {
    ++changes;
    changed.push(slot);
    uncounted_.push(slot);
  }
  void weigh(SlotIndex slot) { weighed.push(slot); }
  void want_act(SlotIndex slot) { acting.push(slot); }

  RunId next_run() { return head_changed = true, ++head.last_run; }
  OpId next_op() { return head_changed = true, ++head.last_op; }
  OrderId next_order() { return head_changed = true, ++head.last_order; }
  std::uint64_t random();

  // How many services of this document are starting. Counted as they change, because each start asks.
  std::uint32_t starting(std::uint64_t document) const;
  std::uint64_t changes = 1;  // counts touch(): what was found out about slots holds as long as it stays the same
  // For tests: how often a slot was weighed, or counted, or walked along (dependencies.h).
  mutable std::uint64_t looks = 0;

  SlotIndex size() const { return static_cast<SlotIndex>(slots.size()); }
  bool in_use(SlotIndex slot) const { return slot < slots.size() && slots[slot].used; }
  bool is_service(SlotIndex slot) const { return slots[slot].used && slots[slot].role == SlotRole::service; }
  // Slots in use, and those of them that are services. What is walked may be changed meanwhile, but not grow.
  auto used() const {
    return std::views::iota(SlotIndex{0}, size()) | std::views::filter([this](SlotIndex slot) { return in_use(slot); });
  }
  auto services() const {
    return std::views::iota(SlotIndex{0}, size()) |
           std::views::filter([this](SlotIndex slot) { return is_service(slot); });
  }

  const AppliedDocument* applied(SlotIndex slot) const { return registry.find(slots[slot].document); }
  const Document* document_of(SlotIndex slot) const;  // null: it is lost
  const ServiceSpec& spec_of(SlotIndex slot) const;   // of a probe's or a hook's slot: how those live
  // The replica's whose slot this is, or to which this one belongs. Of a slot whose document is there.
  const ServiceSpec& service_spec(SlotIndex slot) const;
  // project.service.index; .ready, .live, .hook and .side-hook of what belongs to it
  std::string label(SlotIndex slot) const;
  bool has_readiness(SlotIndex slot) const;
  bool is_up(SlotIndex slot) const;     // has a run, and that is not being stopped
  bool comes_up(SlotIndex slot) const;  // has one or is about to, as soon as its hooks are over
  // Of a service: the slot of its hooks, no_slot where it has none. Of a role is_hook().
  SlotIndex& hook_slot(SlotIndex service, SlotRole role);
  SlotIndex hook_slot(SlotIndex service, SlotRole role) const;
  bool has_hook(SlotIndex service, Hook hook) const;
  // Is it to be run, or under way? Of a hook that runs beside its service.
  bool is_beside(SlotIndex service, Hook hook) const;
  bool over(SlotIndex slot) const;  // nothing of it runs and nothing is left to do

  void grow_to(SlotIndex size);
  SlotIndex first_free();  // none below is; size() when all are used
  void take_into_use(SlotIndex slot, const SlotState& fresh);
  void forget(SlotIndex slot);
  // Enters all slots into the documents that they follow.
  void index_slots();
  void drop_unused_documents();

  // Of slots that were forgotten although something of them could not be killed, the last few: for the reports of the
  // orders that wanted it. A successor does not know them; the journal does.
  std::vector<SlotStatus> left_over;

  void add_note(Note note, Happening what = Happening::note);
  // One that the journal has as this event, which has its time and its slot.
  void add_note(std::string text, EventRecord event);

 private:
  void keep_note(Note note);
  void keep_left_over(SlotIndex slot);

  ServiceSpec probe_spec_;  // how probes' runs live; their command comes from the parent's probe
  ServiceSpec hook_spec_;   // the same of hooks
  SlotIndex first_free_ = 0;
  // Of starting(): what was touched since, in which document each slot is counted (0 = in none), and how many are in each.
  mutable SlotQueue uncounted_;
  mutable std::vector<std::uint64_t> counted_in_;
  mutable std::unordered_map<std::uint64_t, std::uint32_t> starting_;
};

}  // namespace hearth::supervisor
