// The deaths of the keeper and of everybody: what each takes along, and what the next keeper makes of what is left.
// The real ones: keeper/start.cc, keeper/runs.cc, os/keeper_handover.cc, os/adoption.cc.
#include <algorithm>

#include "sim/kernel.h"
#include "wire/slot_table.h"

namespace hearth::sim {

// ---- dying -----------------------------------------------------------------------------------------

// In the middle of its work, where it matters most.
bool Kernel::keeper_dies_here() {
  const bool here = keeper_.one_in(70);
  if (!here || !mortal_ || !faults_.keeper || !keeper_lives_) return false;
  kill_keeper();
  keeper_died();
  return true;
}

void Kernel::kill_keeper() {
  if (!keeper_lives_) return;
  keeper_lives_ = false;
  trace_.note(time_.now.mono, "the keeper is killed");
  const bool half = keeper_.one_in(2);
  if (half && !inbox_.empty()) half_handle(inbox_.front());
  inbox_.clear();
  for (std::uint32_t i = 0; i < std::size(spawner_); ++i) end_spawner(i);
  for (auto& [run, process] : processes_) orphan(*process);
}

// A signal is recorded before it is sent; an entry is claimed before it is freed.
void Kernel::half_handle(const Message& message) {
  ports::EntryView& entry = entries_[message.entry];
  if (entry.run != message.run) return;
  const Process* process = this->process(message.run);
  switch (message.kind) {
    case Kind::signal:
      if (process == nullptr || entry.pid == 0 || message.op <= entry.last_op) return;
      if (process->foreign && !process->held) return;
      entry.last_op = message.op;
      trace_.note(time_.now.mono, "... after it has recorded signal %d to run %lu", message.signal, message.run);
      break;
    case Kind::reap:
      if (entry.pid == 0 && entry.fail_stage == 0 && entry.claim != 0) return;
      if (entry.pid != 0 && !entry.exited) return;
      entry.claim = wire::claim_keeper;
      trace_.note(time_.now.mono, "... while it frees entry %u", message.entry);
      break;
    case Kind::adopt: break;
    case Kind::follow:
      if (process == nullptr || !process->daemon || !entry.exited || entry.main) return;
      entry.pid = message.signal;
      trace_.note(time_.now.mono, "... after it has written who run %lu is from now on", message.run);
      break;
  }
}

// It is told to die when its parent does; the clone that it is in the middle of may still come to be.
void Kernel::end_spawner(std::uint32_t index) {
  Spawner& spawner = spawner_[index];
  const bool clones = keeper_.one_in(3);
  const EntryIndex at = spawner.at_work;
  const std::uint32_t generation = spawner.generation;
  const bool busy = spawner.alive && at != no_entry;
  spawner = Spawner{};
  spawner.generation = generation;
  spawner.alive = false;
  if (!busy || !clones) return;
  const ports::EntryView& entry = entries_[at];
  if (entry.run == no_run || entry.claim != generation || entry.pid != 0 || entry.fail_stage != 0) return;
  const Order& order = orders_[at];
  const Script script = casting_(order.spec, order.role, runs_of_[order.label]++, order.label);
  if (fails_in_spawner(at, script)) return;
  const Process& child = make_child(at, script);
  time_.in(script.exec_takes + latency(300'000),
           [this, run = child.run, pid = child.pid, index, generation] { exec_over(run, pid, index, generation); });
}

bool Kernel::failed_exec(const Process& process) const {
  if (process.entry == no_entry) return false;
  const ports::EntryView& entry = entries_[process.entry];
  return entry.run == process.run && entry.fail_stage != 0;
}

// Another parent reaps what ended. Nobody has seen how, unless that stands in the entry.
void Kernel::orphan(Process& process) {
  process.foreign = true;
  process.held = process.adopted = false;
  if (process.daemon) process.daemon->foreign = true;
  if (process.running()) return;
  const ports::EntryView* entry = process.entry == no_entry ? nullptr : &entries_[process.entry];
  const bool recorded = entry != nullptr && (entry->run != process.run || entry->exited || entry->fail_stage != 0);
  if (!recorded) process.exit_known = false;
  if (init_ != Init::never_reaps) process.life = Life::gone;
}

// ---- the next keeper ---------------------------------------------------------------------------------

void Kernel::renew_members() {
  keeper_lives_ = true;
  ++keeper_generation_;
  for (Spawner& spawner : spawner_) {
    spawner = Spawner{};
    spawner.generation = ++generations_;
  }
  // What the old spawners had claimed and not begun is free again; what the old keeper was freeing is freed.
  for (EntryIndex i = 0; i < entries_.size(); ++i) {
    ports::EntryView& entry = entries_[i];
    if (entry.claim == wire::claim_keeper) {
      free_entry(i);
    } else if (entry.claim != 0 && entry.pid == 0 && entry.fail_stage == 0) {
      entry.claim = 0;
      notice(i);
    }
  }
}

void Kernel::keeper_begins() {
  renew_members();
  trace_.note(time_.now.mono, "a keeper begins: generation %u", keeper_generation_);
}

void Kernel::keeper_continues() {
  renew_members();
  continued_by_ = keeper_generation_;
  trace_.note(time_.now.mono, "a keeper goes on with what everybody has left: generation %u", keeper_generation_);
}

void Kernel::hand_over() {
  for (EntryIndex i = 0; i < entries_.size(); ++i) {
    const ports::EntryView& entry = entries_[i];
    if (entry.run == no_run || entry.pid == 0 || entry.exited) continue;
    Process& process = *processes_.at(entry.run);
    if (process.life == Life::gone) {
      record_unseen_end(i);
    } else {
      process.held = true;
      watch_adopted(i, entry.run);
    }
  }
}

void Kernel::watch_adopted(EntryIndex index, RunId run) {
  ports::EntryView& entry = entries_[index];
  Process& process = *processes_.at(run);
  if (!process.foreign || process.adopted || entry.exited) return;
  process.adopted = true;
  entry.watched = true;
  trace_.note(time_.now.mono, "keeper: run %lu (%s) is adopted", run, process.label.c_str());
  notice(index);
  if (process.running()) return;
  const SpanNs wait = init_ == Init::never_reaps ? seconds(1) : 0;
  time_.in(wait + latency(100'000), [this, run, pid = process.pid] {
    if (const Process* p = this->process(run, pid)) record_exit(p->entry, run);
  });
}

void Kernel::record_foreign_exit(EntryIndex index, RunId run) {
  Process& process = *processes_.at(run);
  ports::EntryView& entry = entries_[index];
  if (!process.adopted || (process.life == Life::zombie && time_.now.mono < process.ended + seconds(1))) return;
  if (process.life == Life::zombie) process.exit_known = false;
  entry.exit_code = process.exit_known ? process.exit_code : wire::wait_code_unknown;
  entry.exit_status = process.exit_known ? process.exit_status : 0;
  entry.exited_at = time_.now.mono;
  entry.exited = true;
  notice(index);
}

// Found gone. What could not be executed has said so, and ends with 127.
void Kernel::record_unseen_end(EntryIndex index) {
  ports::EntryView& entry = entries_[index];
  const bool failed = entry.fail_stage != 0;
  if (!failed) processes_.at(entry.run)->exit_known = false;
  entry.exit_code = failed ? 1 : wire::wait_code_unknown;
  entry.exit_status = failed ? 127 : 0;
  entry.exited_at = time_.now.mono;
  entry.exited = true;
  trace_.note(time_.now.mono, "run %lu is gone, and nobody has seen how", entry.run);
  notice(index);
}

// ---- everybody ---------------------------------------------------------------------------------------

// Sockets and pipes that only hearth held open; their names stay.
void Kernel::everybody_died() {
  for (auto& [run, process] : processes_) {
    process->socket.clear();
    process->socket_open = false;
    process->output_ended = false;
    if (process->life != Life::gone) process->unheard = true;
    if (process->daemon) process->daemon->unheard = true;
  }
  sent_to_.clear();
}

void Kernel::lose_table() {
  named_ = greatest_name();
  std::fill(entries_.begin(), entries_.end(), ports::EntryView{});
  std::fill(orders_.begin(), orders_.end(), Order{});
  changed_.clear();
  keeper_generation_ = continued_by_ = 0;
  for (auto& [run, process] : processes_) {
    for (Process* each : {process.get(), process->daemon.get()}) {
      if (each == nullptr) continue;
      each->entry = no_entry;
      each->slot = no_slot;
    }
  }
}

void Kernel::forget_runs_above(RunId last) {
  for (auto at = processes_.upper_bound(last); at != processes_.end();) {
    at->second->life = Life::gone;
    forgotten_.push_back(std::move(at->second));
    at = processes_.erase(at);
  }
}

void Kernel::leave_the_rest_alone() {
  for (auto& [run, process] : processes_) {
    if (process->entry != no_entry) continue;
    if (process->running()) process->left_alone = true;
    if (process->daemon) process->daemon->left_alone = true;
  }
}

bool Kernel::adopt(const ports::SpawnOrder& order, std::int32_t pid) {
  ports::EntryView& entry = entries_[order.entry];
  if (entry.run != no_run && entry.run != order.run) return false;
  Process* p = process(order.run, pid);
  if (p == nullptr || p->life == Life::gone) return false;
  if (Process* leader = process(order.run); leader != p) p = &promote(*leader);
  p->entry = order.entry;
  p->slot = order.slot;
  p->socket_open = true;
  p->held = p->inherited = true;
  p->left_alone = p->released = false;
  orders_[order.entry] = {order.slot, order.role, *order.spec, order.label};
  if (entry.run == no_run) {
    entry.run = order.run;
    entry.pid = pid;
    entry.start_ticks = static_cast<std::uint64_t>(p->born / 10'000'000);
    entry.main = order.spec->type == ServiceType::forking;
  }
  post({Kind::adopt, order.entry, order.run, 0, 0});
  return true;
}

void Kernel::take_up(const ports::SpawnOrder& order) {
  if (order.entry == no_entry) return release_run(order.slot, order.run);
  const ports::EntryView& entry = entries_[order.entry];
  // One that has no process yet is spawned as if nothing had been.
  if (entry.run != order.run || entry.pid == 0) return;
  Process& process = *processes_.at(order.run);
  if (entry.exited) {
    if (process.daemon) process.socket_open = order.notify;
    return;
  }
  if (process.life == Life::gone) return record_unseen_end(order.entry);
  process.socket_open = order.notify;
  process.held = true;
  post({Kind::adopt, order.entry, order.run, 0, 0});
}

// As far as FIFOs and sockets tell.
RunId Kernel::greatest_name() const {
  RunId greatest = named_;
  for (const ports::EntryView& entry : entries_) greatest = std::max(greatest, entry.run);
  for (const auto& [run, process] : processes_)
    if (!process->released) greatest = std::max(greatest, run);
  return greatest;
}

}  // namespace hearth::sim
