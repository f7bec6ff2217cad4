// Keeper and slot table: notices, messages, exits, reaps.
#include "sim/kernel.h"

#include <utility>

#include "wire/slot_table.h"

namespace hearth::sim {
namespace {

// How long a keeper waits for another parent to reap a run (keeper/runs.cc).
constexpr SpanNs unknown_after = seconds(1);

}  // namespace

Kernel::Kernel(std::uint64_t seed, Timeline& time, Trace& trace, const Faults& faults, Casting casting)
    : time_(time),
      trace_(trace),
      faults_(faults),
      casting_(std::move(casting)),
      latency_(seed, "latency"),
      deaths_(seed, "spawner deaths"),
      keeper_(seed, "keeper at work"),
      scarce_(seed, "clone"),
      entries_(entries_max),
      orders_(entries_max) {
  spawner_[0].generation = 1;
  spawner_[1].generation = 2;
  const std::uint64_t init = keeper_.below(100);
  init_ = init < 60 ? Init::tells : init < 85 ? Init::silent : Init::never_reaps;
  mortal_ = keeper_.percent(40);
}

SpanNs Kernel::latency(SpanNs usual) {
  const SpanNs drawn = latency_.between(1'000, usual);
  const bool late = latency_.one_in(50);
  const SpanNs extra = latency_.between(milliseconds(1), milliseconds(80));
  return faults_.lateness && late ? drawn + extra : drawn;
}

// ---- notices ------------------------------------------------------------------------------------

void Kernel::notice(EntryIndex entry) {
  changed_.insert(entry);
  wake();
}

void Kernel::take_changed(std::vector<EntryIndex>& entries) {
  entries.assign(changed_.begin(), changed_.end());
  changed_.clear();
}

// ---- the supervisor's messages --------------------------------------------------------------------

void Kernel::order_entry(const ports::SpawnOrder& order) {
  ports::EntryView& entry = entries_[order.entry];
  entry = ports::EntryView{};
  entry.run = order.run;
  orders_[order.entry] = {order.slot, order.role, *order.spec, order.label, {}};
  if (!is_hook(order.role)) return;
  orders_[order.entry].spec.command = *order.command;
  for (const auto& [name, value] : order.variables)
    if (name == "HEARTH_HOOK") orders_[order.entry].hook = value;
}

void Kernel::post(Message message) {
  const SpanNs takes = latency(200'000);
  if (!keeper_lives_) return;  // into a socket that nobody reads any more
  inbox_.push_back(message);
  time_.in(takes, [this] { handle_message(true); });
}

void Kernel::post_signal(EntryIndex entry, RunId run, OpId op, int signal) {
  post({Kind::signal, entry, run, op, signal});
}

void Kernel::post_reap(EntryIndex entry, RunId run) {
  post({Kind::reap, entry, run, 0, 0});
}

void Kernel::handle_everything_sent() {
  while (!inbox_.empty()) handle_message(false);
}

// One event per message, and each handles whatever is first: so their order holds, whatever their latencies.
void Kernel::handle_message(bool may_die) {
  if (inbox_.empty() || (may_die && keeper_dies_here())) return;
  const Message message = inbox_.front();
  inbox_.pop_front();
  ports::EntryView& entry = entries_[message.entry];
  if (entry.run != message.run) return;
  if (message.kind == Kind::adopt) return watch_adopted(message.entry, message.run);
  if (message.kind == Kind::follow) return follow(message.entry, message.signal);
  if (message.kind == Kind::reap) {
    if (entry.pid == 0 && entry.fail_stage == 0) {
      if (entry.claim != 0) return;
    } else if (entry.pid != 0 && !entry.exited) {
      return;
    }
    return free_entry(message.entry);
  }
  constexpr int sigkill = 9;
  if (entry.pid == 0) return;
  if (message.op <= entry.last_op && message.signal != sigkill) return;
  Process& process = *processes_.at(entry.run);
  if (process.foreign && !process.held) return;  // it cannot be reached: nothing has been sent
  if (message.op > entry.last_op) entry.last_op = message.op;
  if (!entry.watched && !entry.exited) watch(message.entry);
  notice(message.entry);
  deliver(process, message.signal);
}

void Kernel::free_entry(EntryIndex entry) {
  const RunId run = entries_[entry].run;
  if (Process* p = process(run)) p->life = Life::gone;
  trace_.note(time_.now.mono, "keeper: entry %u is free, run %lu is reaped", entry, run);
  entries_[entry] = ports::EntryView{};
  if (observer != nullptr) observer->entry_freed(entry, run);
  time_.in(latency(100'000), [this, entry] { notice(entry); });
}

void Kernel::deliver(Process& process, int signal) {
  if (!process.running()) return;
  // From a user, who alone knows what it does.
  if ((signal & to_leader_alone) != 0)
    return trace_.note(time_.now.mono, "keeper: signal %d to run %lu alone", signal & ~to_leader_alone, process.run);
  trace_.note(time_.now.mono, "keeper: signal %d to run %lu (%s), entry %u, operation %lu", signal, process.run,
              process.label.c_str(), process.entry, process.entry == no_entry ? 0 : entries_[process.entry].last_op);
  if (observer != nullptr) observer->signal_delivered(process, signal);
  const RunId run = process.run;
  const std::int32_t pid = process.pid;
  if (signal == 9) {
    process.killed = true;
    time_.in(latency(300'000), [this, run, pid] {
      if (Process* p = this->process(run, pid); p != nullptr && p->running()) exit(*p, 2, 9);
    });
    return;
  }
  ++process.stop_signals;
  // Blocked until the exec is over: a program hanging in its exec does not hear it, and one that begins does.
  const SpanNs takes = process.script.term_takes;
  if (takes == not_at_all || process.life == Life::in_exec) return;
  time_.in(takes + latency(100'000), [this, run, pid] {
    Process* p = this->process(run, pid);
    if (p != nullptr && p->running()) exit(*p, 1, p->script.term_status);
  });
}

// ---- the end of a process -------------------------------------------------------------------------

void Kernel::exit(Process& process, int code, int status) {
  if (!process.running()) return;
  if (this->process(process.run) != &process) {  // a daemon that nobody has followed ends as a stray does
    process.life = Life::gone;
    ++strays_reaped;
    return trace_.note(time_.now.mono, "run %lu (%s): its daemon ends", process.run, process.label.c_str());
  }
  process.life = Life::zombie;
  process.ended = time_.now.mono;
  process.exit_code = code;
  process.exit_status = status;
  trace_.note(time_.now.mono, "run %lu (%s) ends: %s %d", process.run, process.label.c_str(),
              code == 1 ? "exit code" : "signal", status);
  if (code == 1 && status == 0 && process.script.daemon) leave_daemon(process);
  const SpanNs noticed = latency(200'000);
  if (process.foreign) {
    if (init_ != Init::never_reaps) process.life = Life::gone;
    // Whoever has no pidfd of it finds it gone. What could not be executed has left why.
    const bool told = process.held ? init_ == Init::tells : failed_exec(process);
    if (!told) process.exit_known = false;
  }
  const auto look = [this, run = process.run, pid = process.pid] {
    if (const Process* p = this->process(run, pid)) record_exit(p->entry, run);
  };
  time_.in(noticed, look);
  if (process.foreign && init_ == Init::never_reaps) time_.in(noticed + unknown_after, look);
  if (process.script.heir_after != not_at_all)
    time_.in(process.script.heir_after, [this, run = process.run, pid = process.pid] {
      if (Process* p = this->process(run, pid)) say(*p, "READY=1");
    });
}

// Only a process that is watched is seen to end; one whose spawner has not told of it yet is seen when it does.
void Kernel::record_exit(EntryIndex index, RunId run) {
  if (index == no_entry) return;  // no hearth knows it any more
  ports::EntryView& entry = entries_[index];
  const Process* p = process(run);
  if (!keeper_lives_ || entry.run != run || entry.exited || p == nullptr || p->running()) return;
  if (p->foreign) return record_foreign_exit(index, run);
  if (!entry.watched || keeper_dies_here()) return;
  entry.exit_code = p->exit_code;
  entry.exit_status = p->exit_status;
  entry.exited_at = time_.now.mono;
  entry.exited = true;
  notice(index);
}

void Kernel::watch(EntryIndex index) {
  ports::EntryView& entry = entries_[index];
  if (!keeper_lives_ || entry.run == no_run || entry.pid == 0 || entry.watched) return;
  if (processes_.at(entry.run)->foreign) return;  // not its child: whoever wrote the pid hands a pidfd over
  entry.watched = true;
  if (processes_.at(entry.run)->life == Life::zombie) {
    record_exit(index, entry.run);
  } else {
    notice(index);
  }
}

// ---- what a run holds -----------------------------------------------------------------------------

void Kernel::end_output(RunId run) {
  if (Process* p = process(run)) p->output_ended = true;
}

void Kernel::release_run(SlotIndex, RunId run) {
  Process* p = process(run);
  if (p == nullptr) return;
  p->socket_open = false;  // closed when the last datagram is consumed
  p->released = true;
}

void Kernel::release_slot(SlotIndex slot) {
  for (auto& [run, p] : processes_) {
    if (p->slot != slot || p->running()) continue;
    p->socket_open = false;
    p->socket.clear();
  }
}

Process* Kernel::process(RunId run) {
  const auto found = processes_.find(run);
  return found == processes_.end() ? nullptr : found->second.get();
}

Process* Kernel::process(RunId run, std::int32_t pid) {
  Process* found = process(run);
  if (found != nullptr && found->daemon && found->daemon->pid == pid) return found->daemon.get();
  return found != nullptr && found->pid == pid ? found : nullptr;
}

Process* Kernel::live_process_of(SlotIndex slot) {
  for (auto& [run, p] : processes_)
    if (p->slot == slot && p->running() && !p->left_alone) return p.get();
  return nullptr;
}

unsigned Kernel::live_count() const {
  unsigned count = 0;
  for (const auto& [run, p] : processes_) {
    count += p->running() && !p->left_alone;
    count += p->daemon && p->daemon->running() && !p->daemon->left_alone;
  }
  return count;
}

}  // namespace hearth::sim
