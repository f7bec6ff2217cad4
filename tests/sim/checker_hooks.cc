// Hooks: once for one occasion, and no run before its before_start has succeeded.
#include "sim/checker.h"

namespace hearth::sim {

void Checker::follow_hooks(SlotIndex slot, const SlotState& before, const SlotState& now) {
  if (now.role == SlotRole::hook && now.life.phase == Phase::stopping) ended_hooks_.insert(now.run().run);
  // One has ended, and in the same turn its service went back to waiting and was started again by an order.
  const bool again = now.hook == Hook::before_start && before.hook == now.hook && now.role == SlotRole::hook &&
                     (now.run().run != before.run().run || now.run_wanted);
  if (again && view_.head.last_order != orders_before_) hooks_[now.parent].left_starting = true;
  if (now.role != SlotRole::service) return;
  Hooks& hooks = hooks_[slot];
  const bool new_run = now.run().run != before.run().run;
  if (new_run || now.life.hook == Hook::before_start) hooks.began = true;
  // Ordered and taken back in one turn, what had begun is not in the page; perhaps after the end of another after_stop.
  const Process* cleared = m_.kernel.process(hooks.after_stop);
  const bool over = before.life.hook != Hook::after_stop || (cleared != nullptr && !cleared->running());
  const bool cleared_now = now.life.hook == Hook::after_stop && over;
  if (cleared_now && view_.head.last_order != orders_before_) hooks.began = true;
  if (new_run) hooks.before_start = no_run;
  if (now.life.phase != Phase::starting) hooks.left_starting = true;
}

// A run was decided upon. What its before_start did is known to the world alone.
void Checker::check_prepared(SlotIndex slot, const SlotState& now) {
  const ServiceSpec* spec = spec_of(now);
  // Of several orders in one turn, one may have changed the specification after the run was decided upon.
  if (spec == nullptr || spec->actions->before_start.command.empty() || view_.head.last_order != orders_before_) return;
  const RunId run = hooks_[slot].before_start;
  const Process* hook = m_.kernel.process(run);
  const std::string is = name_of(now) + " is started, ";
  if (run == no_run || hook == nullptr) fail(is + "and its before_start has not been run");
  if (hook->running()) fail(is + "and its before_start (run " + std::to_string(run) + ") goes on");
  if (hook->exit_code != 1 || hook->exit_status != 0 || hook->script_failed())
    fail(is + "and its before_start (run " + std::to_string(run) + ") has failed");
}

void Checker::hook_cloned(const Process& process) {
  if (process.slot >= view_.slots.size()) return;
  const SlotIndex service = view_.slots[process.slot].parent;
  if (service >= view_.slots.size() || !view_.slots[service].used) return;
  Hooks& hooks = hooks_[service];
  const std::string is = process.label + ": " + process.hook + " (run " + std::to_string(process.run) + ") ";
  if (process.hook == "before_start") {
    const Process* last = m_.kernel.process(hooks.before_start);
    const bool succeeded = last != nullptr && !last->running() && last->exit_code == 1 && last->exit_status == 0 &&
                           last->exit_known && !last->script_failed() && !ended_hooks_.contains(last->run);
    if (succeeded && !hooks.left_starting) fail(is + "is run once more for one start");
    hooks.before_start = process.run;
    hooks.left_starting = false;
  } else if (process.hook == "after_stop") {
    if (!hooks.began) fail(is + "is run, and nothing had begun since the last one");
    hooks.began = false;
    // What was prepared is cleared away: in one turn it may have gone back to waiting, and been started again by an order.
    hooks.left_starting = true;
    hooks.after_stop = process.run;
  } else {
    RunId& asked = hooks.asked[process.hook == "before_stop" ? 0 : 1];
    const RunId run = view_.slots[service].run().run;
    if (asked == run) fail(is + "is run twice for run " + std::to_string(run));
    asked = run;
  }
}

}  // namespace hearth::sim
