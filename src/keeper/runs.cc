// Runs: watched from their pid to their end, signalled, and reaped when the supervisor says so.

#include "keeper/state.h"

namespace hearth::keeper {
namespace {

using wire::EntryPhase;

// Of a child's pidfd. Once: the zombie keeps the pid, so its pidfd has done its work then, and goes when the run is reaped.
constexpr uint32_t child_events = EPOLLIN | EPOLLONESHOT;

// How long a dead process of an earlier keeper may wait for its new parent, before its status is given up.
constexpr int64_t unknown_after = 1'000 * ms;

wire::RunEntry& shared(Keeper& k, EntryIndex entry) {
  return k.table->entry[entry];
}

void drop_pidfd(Keeper& k, EntryIndex entry) {
  int fd = k.run[entry].pidfd_plus_1 - 1;
  if (fd < 0) return;
  unwatch_and_close(k, fd);
  k.run[entry].pidfd_plus_1 = 0;
  --k.pidfds;
}

void keep_pidfd(Keeper& k, EntryIndex entry, int fd) {
  drop_pidfd(k, entry);
  k.run[entry].pidfd_plus_1 = fd + 1;
  ++k.pidfds;
}

void record_exit(Keeper& k, EntryIndex entry, int code, int status) {
  wire::RunEntry& e = shared(k, entry);
  e.wait_code = code;
  e.wait_status = status;
  e.exited_at_ns = now_ns();
  wire::store_phase(e, EntryPhase::exited);
  tell_supervisor(k, entry);
}

void try_again(Keeper& k, EntryIndex entry) {
  wire::mark_changed(k.table->changed_for_keeper, entry);
  k.retry_at = earlier(k.retry_at, now_ns() + retry_after);
}

int64_t microseconds(const timeval& time) {
  return int64_t{time.tv_sec} * 1'000'000 + time.tv_usec;
}

void child_exited(Keeper& k, EntryIndex entry, const siginfo_t& info, const rusage& use) {
  wire::RunEntry& e = shared(k, entry);
  e.cpu_user_us = microseconds(use.ru_utime);
  e.cpu_system_us = microseconds(use.ru_stime);
  e.max_rss_kib = use.ru_maxrss;
  record_exit(k, entry, info.si_code, info.si_status);
}

// `status` as of wait(2).
void foreign_exited(Keeper& k, EntryIndex entry, bool known, int status) {
  k.run[entry].unknown_at = 0;
  epoll_ctl(k.epoll, EPOLL_CTL_DEL, k.run[entry].pidfd_plus_1 - 1, nullptr);
  if (!known)
    record_exit(k, entry, wire::wait_code_unknown, 0);
  else if (WIFEXITED(status))
    record_exit(k, entry, CLD_EXITED, WEXITSTATUS(status));
  else
    record_exit(k, entry, WCOREDUMP(status) ? CLD_DUMPED : CLD_KILLED, WTERMSIG(status));
}

// The kernel tells the status once the process has been reaped by its new parent, which EPOLLHUP announces.
void foreign_event(Keeper& k, EntryIndex entry, uint32_t events) {
  const int fd = k.run[entry].pidfd_plus_1 - 1;
  PidfdInfo info{};
  info.mask = pidfd_info_exit;
  const bool asked = ioctl(fd, pidfd_get_info, &info) == 0;
  if (asked && (info.mask & pidfd_info_exit) != 0) return foreign_exited(k, entry, true, info.exit_code);
  if ((events & EPOLLHUP) != 0) return foreign_exited(k, entry, false, 0);
  if ((events & EPOLLIN) == 0 || k.run[entry].unknown_at != 0) return;
  k.run[entry].unknown_at = now_ns() + unknown_after;
  k.unknown_at = earlier(k.unknown_at, k.run[entry].unknown_at);
  watch_fd(k, fd, Source::run, entry, 0, EPOLL_CTL_MOD);
}

void watch_adopted(Keeper& k, EntryIndex entry) {
  wire::RunEntry& e = shared(k, entry);
  k.run[entry].unwatched = false;
  if (wire::phase_of(e) == EntryPhase::exited) return;
  if (watch_fd(k, k.run[entry].pidfd_plus_1 - 1, Source::run, entry, EPOLLIN)) {
    wire::store_phase(e, EntryPhase::adopted);
    tell_supervisor(k, entry);
  } else if (errno == ENOMEM || errno == ENOSPC) {
    k.run[entry].unwatched = true;  // it can be signalled, and its end is found later
    try_again(k, entry);
  } else {
    drop_pidfd(k, entry);  // not a pidfd
  }
}

void watch_again(Keeper& k, EntryIndex entry) {
  if (k.run[entry].kind != RunKind::child) return watch_adopted(k, entry);
  k.run[entry].unwatched = !watch_fd(k, k.run[entry].pidfd_plus_1 - 1, Source::run, entry, child_events, EPOLL_CTL_MOD);
  if (k.run[entry].unwatched) try_again(k, entry);
}

// A leader has made the group of its number; a main process may be in any of its session's. 0: none that may be signalled.
pid_t group_of_main(pid_t pid) {
  const pid_t group = getpgid(pid);
  return group > 1 && group != getpgrp() ? group : 0;
}

// Gives the entry back. The keeper has its claim.
void free_entry(Keeper& k, EntryIndex entry) {
  wire::RunEntry& e = shared(k, entry);
  if (k.run[entry].kind == RunKind::child) forget_pid(k, entry);
  drop_pidfd(k, entry);
  k.run[entry] = RunState{};
  e.stop_signal = e.stop_grace_ms = e.stop_rank = e.flags = 0;
  e.pid = 0;
  e.fail_errno = 0;
  e.fail_stage = 0;
  e.phase = EntryPhase::none;
  e.wait_code = e.wait_status = 0;
  e.exited_at_ns = 0;
  e.cpu_user_us = e.cpu_system_us = e.max_rss_kib = 0;
  e.last_op = 0;
  e.start_ticks = 0;
  e.run.store(no_run, std::memory_order_release);
  e.claim.store(0, std::memory_order_release);
  tell_supervisor(k, entry);
}

// Whoever it names, nobody is followed who is not of this run, as far as that shows from here.
bool may_follow(const Keeper& k, const wire::FollowRecord& record, int pidfd) {
  const EntryIndex entry = record.entry;
  if (entry >= wire::max_entries || record.run == no_run || record.pid <= 1) return false;
  const wire::RunEntry& e = k.table->entry[entry];
  if (e.run.load(std::memory_order_acquire) != record.run || e.phase.load() != EntryPhase::exited) return false;
  const bool unknown = e.wait_code == wire::wait_code_unknown;
  if (!unknown && (e.wait_code != CLD_EXITED || e.wait_status != 0)) return false;
  if (is_known(k, record.pid, entry)) return false;
  siginfo_t info;
  switch (k.run[entry].kind) {
    case RunKind::child: return wait_now(P_PIDFD, pidfd, info, WNOWAIT) >= 0;
    case RunKind::unseen:
      if (!unknown) break;
      [[fallthrough]];
    case RunKind::foreign: return pidfd_signal(pidfd, 0) == 0 || errno == EPERM;
  }
  return false;
}

}  // namespace

bool watch_run(Keeper& k, EntryIndex entry) {
  wire::RunEntry& e = shared(k, entry);
  const pid_t pid = e.pid.load(std::memory_order_acquire);
  if (e.run.load(std::memory_order_acquire) == no_run || pid <= 0) return false;
  if (k.run[entry].kind != RunKind::unseen) return k.run[entry].kind == RunKind::child;
  if (is_ours_already(k, pid)) return false;  // whoever wrote it: one of us is no run, and one process is no two
  siginfo_t info;
  rusage use;
  const int dead = wait_now(P_PID, pid, info, WNOWAIT, &use);
  if (dead < 0) return false;  // not our child: whoever wrote the pid will hand over a pidfd (adopt)
  k.run[entry].pid = pid;
  if (dead == 0) {
    const int fd = pidfd_open(pid);
    if (fd < 0 || !watch_fd(k, fd, Source::run, entry, child_events)) {
      if (fd >= 0) close(fd);
      try_again(k, entry);  // no descriptor, no memory: it can be signalled, and its end is found later
      return true;
    }
    keep_pidfd(k, entry, fd);
    wire::store_phase(e, EntryPhase::watched);
    tell_supervisor(k, entry);
  }
  k.run[entry].kind = RunKind::child;
  remember_pid(k, entry);
  if (dead == 1) child_exited(k, entry, info, use);
  return true;
}

void watch_unseen(Keeper& k, uint32_t generation) {
  const uint32_t end = entries_end(k);
  for (EntryIndex i = 0; i < end; ++i)
    if (k.table->entry[i].claim.load(std::memory_order_acquire) == generation) watch_run(k, i);
}

void doorbell(Keeper& k) {
  drain(descriptor(k, wire::HelloDescriptor::to_keeper));
  k.ring_supervisor = true;  // spawners leave that to us, also for what has failed
  for (uint32_t word = 0; word < wire::change_words; ++word) {
    std::atomic<uint64_t>& bits = k.table->changed_for_keeper[word];
    if (bits.load(std::memory_order_relaxed) == 0) continue;
    for (uint64_t left = bits.exchange(0, std::memory_order_acquire); left != 0; left &= left - 1) {
      const EntryIndex entry = word * 64 + static_cast<uint32_t>(__builtin_ctzll(left));
      if (k.run[entry].unwatched)
        watch_again(k, entry);
      else
        watch_run(k, entry);
    }
  }
}

// Events may be of a pidfd that is closed already: what holds is asked again.
void run_event(Keeper& k, EntryIndex entry, uint32_t events) {
  if (entry >= wire::max_entries || k.run[entry].pidfd_plus_1 == 0) return;
  if (wire::phase_of(shared(k, entry)) == EntryPhase::exited) return;
  if (k.run[entry].kind == RunKind::foreign) return foreign_event(k, entry, events);
  siginfo_t info;
  rusage use;
  const int dead = wait_now(P_PIDFD, k.run[entry].pidfd_plus_1 - 1, info, WNOWAIT, &use);
  if (dead == 1) {
    child_exited(k, entry, info, use);
  } else if (dead == 0) {  // a tracer has the status until it lets go, and nothing need tell us of that
    k.run[entry].unwatched = true;
    try_again(k, entry);
  } else {  // cannot be: only we reap
    drop_pidfd(k, entry);
    record_exit(k, entry, wire::wait_code_unknown, 0);
  }
}

void unknown_due(Keeper& k, int64_t now) {
  k.unknown_at = 0;
  for (EntryIndex i = 0; i < wire::max_entries; ++i) {
    if (k.run[i].unknown_at == 0) continue;
    // Asked once more: we may have been stopped since, and it was reaped meanwhile.
    if (k.run[i].unknown_at <= now)
      foreign_event(k, i, EPOLLHUP);
    else
      k.unknown_at = earlier(k.unknown_at, k.run[i].unknown_at);
  }
}

// The supervisor may record an end meanwhile.
void forget_watching(Keeper& k) {
  const uint32_t end = entries_end(k);
  for (EntryIndex i = 0; i < end; ++i) wire::forget_watching(shared(k, i));
}

void adopt_run(Keeper& k, const wire::RunRecord& record, int pidfd) {
  const EntryIndex entry = record.entry;
  const bool fits = entry < wire::max_entries && record.run != no_run &&
                    shared(k, entry).run.load(std::memory_order_acquire) == record.run;
  if (!fits) return close_fd(pidfd);
  wire::RunEntry& e = shared(k, entry);
  // Who is handed over has been looked at; what the entry says may have been changed since, by whoever has it mapped.
  const pid_t pid = e.pid.load(), its = pid_of(pidfd);
  if (pid <= 0 || (its > 0 && its != pid)) return close_fd(pidfd);
  // A supervisor that is not sure. One that is our child, or was handed over before, needs no adoption; but it is told.
  const bool child = watch_run(k, entry);
  if (child || k.run[entry].pidfd_plus_1 != 0) {
    const EntryPhase sure = child ? EntryPhase::watched : EntryPhase::adopted;
    EntryPhase unsure = wire::is_of_main(e) ? wire::with_main(EntryPhase::none) : EntryPhase::none;
    if (!k.run[entry].unwatched && k.run[entry].pidfd_plus_1 != 0 &&
        e.phase.compare_exchange_strong(unsure, wire::is_of_main(unsure) ? wire::with_main(sure) : sure))
      tell_supervisor(k, entry);
    return close_fd(pidfd);
  }
  wire::raise_entries_end(*k.table, entry + 1);
  k.run[entry].kind = RunKind::foreign;
  k.run[entry].pid = pid;
  keep_pidfd(k, entry, pidfd);
  watch_adopted(k, entry);
}

// The leader is reaped last: whoever comes after a keeper that was killed here finds it still to be followed, or followed.
void follow_run(Keeper& k, const wire::FollowRecord& record, int pidfd) {
  const EntryIndex entry = record.entry;
  if (!may_follow(k, record, pidfd)) return close_fd(pidfd);
  wire::RunEntry& e = shared(k, entry);
  RunState& run = k.run[entry];
  const bool child = run.kind == RunKind::child;
  if (child && !watch_fd(k, pidfd, Source::run, entry, child_events)) return close_fd(pidfd);  // it is asked for again
  const pid_t leader = run.pid;
  if (child)
    forget_pid(k, entry);
  else
    run.kind = RunKind::foreign;
  run.pid = record.pid;
  run.unknown_at = 0;
  if (child) remember_pid(k, entry);
  keep_pidfd(k, entry, pidfd);
  e.start_ticks = record.start_ticks;
  e.pid.store(record.pid, std::memory_order_release);
  e.phase.store(wire::with_main(child ? EntryPhase::watched : EntryPhase::none), std::memory_order_release);
  siginfo_t info;
  if (child)
    wait_now(P_PID, leader, info);
  else
    watch_adopted(k, entry);
  tell_supervisor(k, entry);
}

void reap_run(Keeper& k, EntryIndex entry, RunId run) {
  if (entry >= wire::max_entries || run == no_run) return;
  wire::RunEntry& e = shared(k, entry);
  if (e.run.load(std::memory_order_acquire) != run) return;
  if (e.pid.load(std::memory_order_acquire) == 0 && e.fail_stage.load(std::memory_order_acquire) == 0) {
    // An order nobody has begun is taken back; a spawner at work keeps it.
    uint32_t unclaimed = 0;
    if (!e.claim.compare_exchange_strong(unclaimed, wire::claim_keeper)) return;
  } else {
    if (e.pid.load() != 0 && wire::phase_of(e) != EntryPhase::exited) return;
    e.claim = wire::claim_keeper;
  }
  siginfo_t info;
  if (k.run[entry].kind == RunKind::child) wait_now(P_PID, k.run[entry].pid, info);
  free_entry(k, entry);
}

// To the group; to the leader alone where the entry says so, or while it has not made its group yet (then the
// signal is pending in it, because all signals are blocked until it executes its program).
bool send_signal(Keeper& k, EntryIndex entry, int signal) {
  wire::RunEntry& e = shared(k, entry);
  const bool alone = (e.flags & wire::entry_flag_signal_leader_only) != 0;
  if (watch_run(k, entry)) {
    const pid_t pid = k.run[entry].pid;
    const pid_t group = wire::is_of_main(e) ? group_of_main(pid) : pid;
    if (alone || group == 0 || (kill(-group, signal) < 0 && errno == ESRCH)) kill(pid, signal);
    return true;
  }
  // Not ours. The pid may be somebody else's by now, but a pidfd names that process and its group for ever.
  const int fd = k.run[entry].pidfd_plus_1 - 1;
  if (fd < 0) return false;
  if (wire::is_of_main(e)) {
    // The group is that of whoever has the number: asked before it is known that this still is our process.
    const pid_t group = alone ? 0 : group_of_main(k.run[entry].pid);
    if (group == 0 || pidfd_signal(fd, 0) < 0 || kill(-group, signal) < 0) pidfd_signal(fd, signal);
    return true;
  }
  if (pidfd_signal(fd, signal, alone ? 0 : pidfd_signal_group) < 0 && errno == EINVAL &&
      wire::phase_of(e) != EntryPhase::exited)
    kill(-k.run[entry].pid, signal);  // before Linux 6.9
  return true;
}

void signal_run(Keeper& k, const wire::SignalRecord& record) {
  if (record.entry >= wire::max_entries || record.run == no_run || record.signal < 1 || record.signal > 64) return;
  wire::RunEntry& e = shared(k, record.entry);
  if (e.run.load(std::memory_order_acquire) != record.run || e.pid.load() <= 0) return;
  const OpId last = e.last_op.load();
  if (record.op <= last && record.signal != SIGKILL) return;
  // One that cannot be reached now (not adopted yet, no descriptor left) has not been sent anything.
  if (!watch_run(k, record.entry) && k.run[record.entry].pidfd_plus_1 == 0) return;
  if (record.op > last) e.last_op = record.op;
  send_signal(k, record.entry, record.signal);
  e.flags &= ~wire::entry_flag_signal_leader_only;  // it was of this one: what ends the run goes to all of it
  tell_supervisor(k, record.entry);
}

void release_claims(Keeper& k, uint32_t generation) {
  const uint32_t end = entries_end(k);
  for (EntryIndex i = 0; i < end; ++i) {
    wire::RunEntry& e = k.table->entry[i];
    const uint32_t claim = e.claim.load(std::memory_order_acquire);
    if (claim == 0 || (generation != 0 && claim != generation)) continue;
    if (claim == wire::claim_keeper) {  // our predecessor was killed while it freed this one
      free_entry(k, i);
      continue;
    }
    if (e.pid.load() != 0 || e.fail_stage.load() != 0) continue;
    e.claim = 0;
    tell_supervisor(k, i);
  }
}

}  // namespace hearth::keeper
