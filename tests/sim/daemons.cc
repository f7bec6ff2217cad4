// Daemons: what a leader leaves in the background, until the keeper is told to follow it. The real ones: keeper/runs.cc,
// os/following.cc.
#include "sim/kernel.h"

namespace hearth::sim {

void Kernel::leave_daemon(Process& leader) {
  auto daemon = std::make_unique<Process>();
  daemon->run = leader.run;
  daemon->slot = leader.slot;
  daemon->entry = leader.entry;
  daemon->role = leader.role;
  daemon->service = leader.service;
  daemon->label = leader.label;
  daemon->pid = next_pid_++;
  daemon->script = *leader.script.daemon;
  daemon->born = time_.now.mono;
  daemon->foreign = leader.foreign;
  daemon->left_alone = leader.left_alone;
  trace_.note(time_.now.mono, "run %lu (%s) leaves a daemon, PID %d", leader.run, leader.label.c_str(), daemon->pid);
  leader.daemon = std::move(daemon);
  begin(*leader.daemon);
}

// Its names and what it has said go on with it.
Process& Kernel::promote(Process& leader) {
  std::unique_ptr<Process>& place = processes_[leader.run];
  std::unique_ptr<Process> daemon = std::move(leader.daemon);
  daemon->slot = leader.slot;
  daemon->entry = leader.entry;
  daemon->foreign = leader.foreign;
  daemon->socket = std::move(leader.socket);
  daemon->socket_open = leader.socket_open;
  daemon->released = leader.released;
  daemon->inherited = leader.inherited;
  daemon->unheard = daemon->unheard || leader.unheard;
  daemon->ready_heard = leader.ready_heard;
  daemon->stopping_heard = leader.stopping_heard;
  daemon->status_heard = leader.status_heard;
  forgotten_.push_back(std::move(place));
  place = std::move(daemon);
  return *place;
}

void Kernel::post_follow(EntryIndex entry, RunId run, std::int32_t pid) {
  post({Kind::follow, entry, run, 0, pid});
}

void Kernel::follow(EntryIndex index, std::int32_t pid) {
  ports::EntryView& entry = entries_[index];
  const bool unknown = entry.exit_code == wire::wait_code_unknown;
  if (!entry.exited || entry.main || (!unknown && (entry.exit_code != 1 || entry.exit_status != 0))) return;
  Process& leader = *processes_.at(entry.run);
  // One that has ended was a stray, and is reaped.
  if (!leader.daemon || leader.daemon->pid != pid || !leader.daemon->running()) return;
  Process& daemon = promote(leader);
  trace_.note(time_.now.mono, "keeper: run %lu (%s) is PID %d from here on", daemon.run, daemon.label.c_str(), pid);
  entry.pid = pid;
  entry.start_ticks = static_cast<std::uint64_t>(daemon.born / 10'000'000);
  entry.main = true;
  entry.exited = false;
  entry.exit_code = entry.exit_status = 0;
  entry.exited_at = 0;
  entry.watched = !daemon.foreign;
  daemon.held = daemon.foreign;
  if (daemon.foreign) watch_adopted(index, entry.run);
  notice(index);
}

// KILL to all of the run's tree, which is its leader's only as far as nobody has been followed.
void Kernel::end_tree(RunId run) {
  Process* leader = process(run);
  if (leader == nullptr || !leader->daemon || !leader->daemon->running()) return;
  leader->daemon->life = Life::gone;
  trace_.note(time_.now.mono, "run %lu (%s): its daemon is killed with its tree", run, leader->label.c_str());
}

}  // namespace hearth::sim
