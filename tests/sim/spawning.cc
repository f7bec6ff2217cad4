// Spawners, and the lives of the processes they make.
#include <cerrno>

#include "sim/kernel.h"

namespace hearth::sim {

namespace {
constexpr SpanNs stuck_after = seconds(1);
}

void Kernel::forget_port_memory() {
  sent_to_.clear();
}

bool Kernel::plan_on_its_way(EntryIndex entry, RunId run) const {
  if (entries_[entry].run != run) return false;
  const auto sent = sent_to_.find(run);
  if (sent == sent_to_.end()) return false;
  for (const Spawner& spawner : spawner_)
    if (spawner.generation == sent->second) return spawner.alive;
  return false;
}

bool Kernel::send_plan(EntryIndex entry, RunId run) {
  for (int tries = 0; tries < 2; ++tries) {
    const std::uint32_t index = next_spawner_++ % 2;
    Spawner& spawner = spawner_[index];
    if (!spawner.alive) continue;
    sent_to_[run] = spawner.generation;
    spawner.inbox.push_back({entry, run});
    if (!spawner.busy) spawner_next(index);
    return true;
  }
  return false;
}

SpanNs Kernel::stuck_for(EntryIndex entry) const {
  for (const Spawner& spawner : spawner_)
    if (spawner.alive && spawner.busy && spawner.at_work == entry) return time_.now.mono - spawner.since;
  return 0;
}

// ---- a spawner's work ------------------------------------------------------------------------------

void Kernel::spawner_next(std::uint32_t index) {
  Spawner& spawner = spawner_[index];
  spawner.busy = !spawner.inbox.empty();
  spawner.at_work = no_entry;
  if (!spawner.busy) return;
  const Plan plan = spawner.inbox.front();
  time_.in(latency(150'000), [this, index, plan, generation = spawner.generation] {
    Spawner& mine = spawner_[index];
    if (!mine.alive || mine.generation != generation) return;
    mine.inbox.pop_front();
    spawner_claims(index, plan);
  });
}

void Kernel::spawner_claims(std::uint32_t index, Plan plan) {
  Spawner& spawner = spawner_[index];
  const bool dies_before = deaths_.one_in(60), dies_after = deaths_.one_in(60);
  if (faults_.spawners && dies_before) return kill_spawner(index);
  ports::EntryView& entry = entries_[plan.entry];
  if (entry.run != plan.run || entry.claim != 0) return spawner_next(index);
  entry.claim = spawner.generation;
  spawner.at_work = plan.entry;
  spawner.since = time_.now.mono;
  if (faults_.spawners && dies_after) return kill_spawner(index);
  time_.in(latency(100'000), [this, index, plan, generation = spawner.generation] {
    if (spawner_[index].alive && spawner_[index].generation == generation) spawner_clones(index, plan);
  });
}

void Kernel::spawner_clones(std::uint32_t index, Plan plan) {
  Spawner& spawner = spawner_[index];
  const ports::EntryView& entry = entries_[plan.entry];
  const Order& order = orders_[plan.entry];
  const Script script = casting_(order.spec, order.role, runs_of_[order.label + order.hook]++, order.label);
  const bool dies = deaths_.one_in(60);
  if (finds_no_room(plan.entry) || fails_in_spawner(plan.entry, script)) return spawner_next(index);
  make_child(plan.entry, script);
  const SpanNs takes = script.exec_takes + latency(300'000);
  const std::uint32_t generation = spawner.generation;
  time_.in(takes,
           [this, run = plan.run, pid = entry.pid, index, generation] { exec_over(run, pid, index, generation); });
  if (faults_.spawners && dies) return kill_spawner(index);
  // Blocked by its child's exec: after a second it is replaced.
  if (takes > stuck_after)
    time_.in(stuck_after, [this, index, generation] {
      if (spawner_[index].alive && spawner_[index].generation == generation) kill_spawner(index);
    });
}

// Before the clone: the spawner says so, and there is no process.
bool Kernel::fails_in_spawner(EntryIndex at, const Script& script) {
  if (script.fails == wire::SpawnStage::none || script.fails >= wire::SpawnStage::session) return false;
  tell_failure(at, script.fails, script.fail_errno);
  return true;
}

bool Kernel::finds_no_room(EntryIndex at) {
  if (!shortage.resources || scarce_.one_in(3)) return false;
  tell_failure(at, wire::SpawnStage::clone, scarce_.one_in(2) ? EAGAIN : ENOMEM);
  return true;
}

void Kernel::tell_failure(EntryIndex at, wire::SpawnStage stage, int code) {
  ports::EntryView& entry = entries_[at];
  entry.fail_errno = code;
  entry.fail_stage = static_cast<std::uint32_t>(stage);
  trace_.note(time_.now.mono, "spawner: run %lu (%s) fails at stage %u", entry.run, orders_[at].label.c_str(),
              entry.fail_stage);
  time_.in(latency(100'000), [this, at] { notice(at); });
}

Process& Kernel::make_child(EntryIndex at, const Script& script) {
  ports::EntryView& entry = entries_[at];
  const Order& order = orders_[at];
  entry.pid = next_pid_++;
  entry.start_ticks = static_cast<std::uint64_t>(time_.now.mono / 10'000'000);
  auto child = std::make_unique<Process>();
  child->run = entry.run;
  child->slot = order.slot;
  child->entry = at;
  child->role = order.role;
  child->service = order.spec.name;
  child->label = order.label;
  child->hook = order.hook;
  child->pid = entry.pid;
  child->script = script;
  child->born = time_.now.mono;
  trace_.note(time_.now.mono, "spawner: run %lu (%s) is PID %d", entry.run, order.label.c_str(), entry.pid);
  if (observer != nullptr) observer->cloned(*child);
  std::unique_ptr<Process>& place = processes_[entry.run];
  place = std::move(child);
  return *place;
}

// The child has become its program, or has ended. Its spawner, if that still lives, tells the keeper.
void Kernel::exec_over(RunId run, std::int32_t pid, std::uint32_t index, std::uint32_t generation) {
  Process* child = this->process(run, pid);
  if (child == nullptr) return;
  Process& process = *child;
  const EntryIndex at = process.entry;
  if (process.life == Life::in_exec) {
    if (process.script.fails != wire::SpawnStage::none) {
      if (at != no_entry) entries_[at].fail_errno = process.script.fail_errno;
      if (at != no_entry) entries_[at].fail_stage = static_cast<std::uint32_t>(process.script.fails);
      exit(process, 1, 127);
    } else {
      begin(process);
    }
  }
  if (!spawner_[index].alive || spawner_[index].generation != generation) return;
  time_.in(latency(100'000), [this, at, run] {
    if (entries_[at].run == run) watch(at);
  });
  spawner_next(index);
}

void Kernel::kill_spawner(std::uint32_t index) {
  Spawner& spawner = spawner_[index];
  if (!spawner.alive) return;
  spawner.alive = false;
  trace_.note(time_.now.mono, "spawner %u dies", spawner.generation);
  time_.in(latency(500'000), [this, index, generation = spawner.generation] { spawner_reaped(index, generation); });
}

// A writer that died may have lost its notice: everything is looked at.
void Kernel::spawner_reaped(std::uint32_t index, std::uint32_t generation) {
  if (!keeper_lives_ || spawner_[index].generation != generation) return;
  spawner_[index] = Spawner{};
  spawner_[index].generation = ++generations_;
  for (EntryIndex i = 0; i < entries_.size(); ++i) {
    ports::EntryView& entry = entries_[i];
    if (entry.run == no_run) continue;
    if (entry.claim == generation && entry.pid == 0 && entry.fail_stage == 0) entry.claim = 0;
    watch(i);
    notice(i);
  }
}

// ---- a program's life ------------------------------------------------------------------------------

void Kernel::begin(Process& process) {
  process.life = Life::alive;
  process.began = time_.now.mono;
  const Script& script = process.script;
  const RunId run = process.run;
  const std::int32_t pid = process.pid;
  const auto later = [&](SpanNs span, auto what) {
    if (span == not_at_all) return;
    time_.in(span, [this, run, pid, what] {
      Process* p = this->process(run, pid);
      if (p != nullptr && p->life == Life::alive) what(*p);
    });
  };
  // What came before there was a program was pending in it.
  if (process.stop_signals > 0 && script.term_takes != not_at_all)
    later(script.term_takes, [this](Process& p) { exit(p, 1, p.script.term_status); });
  for (const Saying& saying : script.says)
    later(saying.after, [this, saying](Process& p) { say(p, saying.data, saying.file); });
  later(script.ready_after, [this](Process& p) { say(p, "READY=1"); });
  later(script.exit_after, [this](Process& p) { exit(p, p.script.exit_code, p.script.exit_status); });
  later(script.closes_output_after, [this](Process& p) {
    if (p.entry != no_entry) notice(p.entry);
  });
  later(script.stray_after, [this](Process& p) {
    ++strays_reaped;
    if (!strays_are_taken_for_runs || p.foreign) return;
    ports::EntryView& entry = entries_[p.entry];
    if (entry.run != p.run || !entry.watched || entry.exited) return;
    entry.exit_code = 1;
    entry.exited = true;
    notice(p.entry);
  });
  if (script.watchdog_every > 0) later(0, [this](Process& p) { ping(p.run, p.pid); });
}

void Kernel::ping(RunId run, std::int32_t pid) {
  Process* p = process(run, pid);
  if (p == nullptr || p->life != Life::alive || time_.now.mono - p->began > p->script.watchdog_until) return;
  say(*p, "WATCHDOG=1");
  time_.in(p->script.watchdog_every, [this, run, pid] { ping(run, pid); });
}

void Kernel::say(Process& process, std::string data, std::uint64_t file) {
  constexpr std::size_t queue_max = 512;
  Process& holder = *this->process(process.run);  // of a daemon's socket: its leader, until it is followed
  if (!holder.socket_open || holder.socket.size() >= queue_max || process.role != SlotRole::service) return;
  Datagram datagram;
  datagram.token = next_token_++;
  datagram.run = process.run;
  datagram.slot = holder.slot;
  datagram.data = data == "MAINPID=self" ? "MAINPID=" + std::to_string(process.pid) : std::move(data);
  datagram.file = file;
  datagram.sent = time_.now.mono;
  if (datagram.data == "READY=1") process.ready_said = true;
  if (datagram.data == "WATCHDOG=trigger") process.gave_itself_up = holder.gave_itself_up = true;
  trace_.note(time_.now.mono, "run %lu (%s) says %s", process.run, process.label.c_str(), datagram.data.c_str());
  holder.socket.push_back(std::move(datagram));
  wake();
}

}  // namespace hearth::sim
