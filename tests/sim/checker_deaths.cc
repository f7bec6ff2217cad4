// What must hold when the keeper has died, when everybody has, and when nothing is left but what is on disk.
#include <algorithm>

#include "sim/checker.h"

namespace hearth::sim {

void Checker::remember_retries() {
  for (SlotIndex slot = 0; slot < view_.slots.size(); ++slot)
    if (view_.slots[slot].used && view_.slots[slot].life.phase == Phase::backoff)
      retries_at_death_[slot] = view_.slots[slot].life.retry.at;
}

void Checker::keeper_replaced() {
  remember_retries();
}

// Descriptors that services had stored had no other holder. What has been committed and not consumed is not said again.
void Checker::everybody_died(bool) {
  store_.clear();
  for (const SlotState& state : view_.slots) {
    Process* process = state.used ? m_.kernel.process(state.run().run) : nullptr;
    if (process != nullptr && !process->status_heard.empty()) process->status_heard = state.health.status;
    if (process != nullptr && state.health.stopping) process->stopping_heard = true;
    const auto clocks = state.used ? clocks_.find(state.run().run) : clocks_.end();
    if (clocks != clocks_.end() && clocks->second.watchdog != 0)
      clocks->second.watchdog = std::max(clocks->second.watchdog, state.health.watchdog.at);
  }
}

void Checker::check_losses_counted(const PageView& before, std::uint32_t lost) const {
  if (view_.head.statuses_lost < before.head.statuses_lost + lost) fail("a status is lost, and that is not counted");
}

// Called also for the first supervisor of all, and for each that begins before anything has been committed: then
// there is nothing to forget.
void Checker::inherits(const ports::Heritage& heritage) {
  view_ = PageView{};
  clocks_.clear();
  stops_.clear();
  hooks_.clear();
  tries_.clear();
  ended_hooks_.clear();
  decided_.clear();
  retries_at_death_.clear();
  orders_.clear();
  accepted_.clear();
  started_.clear();
  stopped_.clear();
  greatest_op_ = orders_before_ = 0;
  greatest_run_ = heritage.greatest_run;
  cloned_.erase(cloned_.upper_bound(heritage.greatest_run), cloned_.end());
  noted_losses_ = heritage.losses;
  noted_goals_.clear();
  in_exec_at_heritage_.clear();
  for (const std::vector<ports::RunNote>* notes : {&heritage.gone, &heritage.runs})
    for (const ports::RunNote& note : *notes) noted_goals_[note.label] = note.want_up;
  for (const auto& [run, process] : m_.kernel.processes()) {
    process->ready_heard = process->stopping_heard = false;
    process->status_heard.clear();
    process->forgotten_signals = process->stop_signals;
    if (process->life == Life::in_exec) in_exec_at_heritage_.insert(process->pid);
  }
}

// No process is left without anybody who knows of it.
void Checker::check_accounted_for() const {
  for (const auto& [run, process] : m_.kernel.processes()) {
    if (!process->running()) continue;
    if (process->left_alone) {
      if (!cannot_be_found(*process))
        fail(process->label + ": run " + std::to_string(run) + " is left alone, and nobody says so");
      continue;
    }
    if (process->entry == no_entry || m_.kernel.entry(process->entry).run != run)
      fail(process->label + ": run " + std::to_string(run) + " lives, and no entry holds it");
  }
}

// It is named; or it was in its exec when slot table and page were lost, and had no environment to be found by
// (docs/internals/not-yet.md).
bool Checker::cannot_be_found(const Process& process) const {
  if (in_exec_at_heritage_.contains(process.pid)) return true;
  const std::string name = "PID " + std::to_string(process.pid) + ")";
  const auto names_it = [&](const std::string& text) { return text.find(name) != std::string::npos; };
  if (std::any_of(noted_losses_.begin(), noted_losses_.end(), names_it)) return true;
  if (!m_.alive()) return true;
  const InstanceStatus status = m_.supervisor().status();
  return std::any_of(status.notes.begin(), status.notes.end(), [&](const Note& note) { return names_it(note.text); });
}

}  // namespace hearth::sim
