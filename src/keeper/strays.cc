// Children that have died: whose they were. Runs are told by their pid, through an index of watched ones and,
// for one not yet watched, through the entries themselves.

#include "keeper/state.h"

namespace hearth::keeper {
namespace {

uint32_t home(int32_t pid) {
  return (static_cast<uint32_t>(pid) * 2654435761u >> 8) % pid_buckets;
}

// Bucket of `pid`, or the empty one where it belongs.
uint32_t find(const Keeper& k, int32_t pid) {
  uint32_t at = home(pid);
  while (k.pid_bucket[at] != 0 && k.run[k.pid_bucket[at] - 1].pid != pid) at = (at + 1) % pid_buckets;
  return at;
}

bool is_member(const Keeper& k, pid_t pid) {
  for (const MemberState& member : k.member)
    if (member.pid == pid) return true;
  return k.successor.pid == pid || k.exec.dry_run == pid;
}

// `pid` is known to have died. A run that nobody has announced yet is watched from here on.
bool is_run(Keeper& k, pid_t pid) {
  if (k.pid_bucket[find(k, pid)] != 0) return true;
  const uint32_t end = entries_end(k);
  for (EntryIndex i = 0; i < end; ++i) {
    const wire::RunEntry& entry = k.table->entry[i];
    if (entry.pid.load(std::memory_order_acquire) != pid || entry.run.load() == no_run) continue;
    // A process of an earlier keeper is not our child: the number has been given to somebody else since.
    if (k.run[i].kind == RunKind::foreign) continue;
    watch_run(k, i);
    return true;
  }
  return false;
}

}  // namespace

void remember_pid(Keeper& k, EntryIndex entry) {
  k.pid_bucket[find(k, k.run[entry].pid)] = static_cast<uint16_t>(entry + 1);
}

void forget_pid(Keeper& k, EntryIndex entry) {
  uint32_t hole = find(k, k.run[entry].pid);
  if (k.pid_bucket[hole] == 0) return;
  k.pid_bucket[hole] = 0;
  for (uint32_t at = (hole + 1) % pid_buckets; k.pid_bucket[at] != 0; at = (at + 1) % pid_buckets) {
    const uint32_t wanted = home(k.run[k.pid_bucket[at] - 1].pid);
    const bool stays = hole < at ? wanted > hole && wanted <= at : wanted > hole || wanted <= at;
    if (stays) continue;
    k.pid_bucket[hole] = k.pid_bucket[at];
    k.pid_bucket[at] = 0;
    hole = at;
  }
}

bool is_ours_already(const Keeper& k, pid_t pid) {
  return is_member(k, pid) || k.pid_bucket[find(k, pid)] != 0;
}

bool is_known(const Keeper& k, pid_t pid, EntryIndex but) {
  if (is_member(k, pid) || pid == getpid()) return true;
  const uint16_t watched = k.pid_bucket[find(k, pid)];
  if (watched != 0 && watched != but + 1) return true;
  const uint32_t end = entries_end(k);
  for (EntryIndex i = 0; i < end; ++i) {
    const wire::RunEntry& entry = k.table->entry[i];
    if (i != but && entry.run.load(std::memory_order_acquire) != no_run && entry.pid.load() == pid) return true;
  }
  return false;
}

void child_died(Keeper& k, pid_t pid) {
  siginfo_t info;
  if (pid <= 0 || is_member(k, pid)) return;
  // Seen dead first, looked for afterwards: in this order no run is taken for a stray.
  if (wait_now(P_PID, pid, info, WNOWAIT) != 1 || is_run(k, pid)) return;
  if (wait_now(P_PID, pid, info) == 1) k.table->strays_reaped.fetch_add(1);
}

// SIGCHLDs merge, so some time after one all children are looked at. The list may skip somebody when it
// changes while it is read, and only reaping changes it other than at its end: then it is read again later.
void scan_children(Keeper& k) {
  const uint32_t before = k.table->strays_reaped.load();
  char text[4096];
  pid_t pid = 0;
  if (k.children < 0 || lseek(k.children, 0, SEEK_SET) != 0) return;
  for (;;) {
    const ssize_t got = read(k.children, text, sizeof text);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    for (ssize_t i = 0; i < got; ++i) {
      if (text[i] >= '0' && text[i] <= '9') {
        pid = pid * 10 + (text[i] - '0');
      } else {
        if (pid > 0 && k.pid_bucket[find(k, pid)] == 0) child_died(k, pid);
        pid = 0;
      }
    }
  }
  if (k.table->strays_reaped.load() != before) k.scan_children_at = now_ns() + retry_after;
}

}  // namespace hearth::keeper
