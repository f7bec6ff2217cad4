// A supervisor that is dead, and whose end does not come.
//
// Model
// -----
// A thread that follows a user's path may be held in the kernel where no signal reaches it: a request that a file server
// has read and does not answer, a disk that is dead. When its process is killed, or exits, all other threads end, the first
// one becomes a zombie, and stays one until the last has come back: no SIGCHLD, no event on a pidfd (nor on one of the
// thread, PIDFD_THREAD, when that is the first), and its descriptors stay open, since the threads share them.
//
// But it is over. A thread with SIGKILL pending, or on its way out, executes no instruction of its program any more: what
// it can still do is to finish the system call that it is in. So it is buried before its end, a successor started, and what
// is left reaped as a stray.
//
// No event tells of it, and looking each second would wake an idle machine. So the supervisor gives us a timer that it sets
// when a thread begins something that may not return, and clears when it has returned. It expires each 20 ms meanwhile:
// normally never, as what is done takes less; while a disk hangs it has us look, and it goes on when its maker is dead.
//
// A core dump waits for all threads, for a held one, too. Then the thread that crashed does not end, whichever it is, and
// nothing is dumped until that one comes back: the dump is given up, by SIGKILL.

#include <dirent.h>
#include <stdlib.h>
#include <sys/file.h>

#include "keeper/message.h"
#include "keeper/state.h"

namespace hearth::keeper {
namespace {

// Of <linux/sched.h>: PF_EXITING; PF_POSTCOREDUMP, of one that waits for the dump that others make; PF_DUMPCORE.
constexpr uint64_t exiting = 0x4, waiting_for_dump = 0x8, dumping = 0x200;
constexpr uint64_t kill_pending = 1u << (SIGKILL - 1);

struct Task {
  bool there, on_its_way_out, killed, dumps;
  bool exits;     // else it may be on its way out, and has no code yet
  int exit_code;  // as wait(2) has it
};

Task read_task(int tasks, const char* name) {
  ProcStat stat;
  const bool known = read_stat(tasks, name, stat);
  Task task = {};
  task.there = stat.there;  // not known: it counts as one that goes on
  if (!known) return task;
  const uint64_t flags = stat.field[9];
  task.exits = (flags & exiting) != 0;
  task.on_its_way_out = task.exits || (flags & waiting_for_dump) != 0;
  // Running, it may be in its program for some microseconds more. I is a D that does not count as load.
  task.killed = (stat.field[31] & kill_pending) != 0 && (stat.state == 'D' || stat.state == 'I');
  task.dumps = (flags & dumping) != 0;
  task.exit_code = static_cast<int>(stat.field[52]);
  return task;
}

bool is_over(const Task& task) {
  return task.on_its_way_out || task.killed;
}

struct Process {
  bool over;          // none of its threads comes back to its program
  bool held_dumping;  // it would be, but for a core dump that waits for one of them
  Task leader;
};

Process look_at(pid_t pid) {
  char path[48] = "/proc/", name[24];
  strcpy(put_number(path + 6, static_cast<uint64_t>(pid)), "/task");
  *put_number(name, static_cast<uint64_t>(pid)) = 0;
  const int tasks = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (tasks < 0) return {};
  Process process = {};
  process.leader = read_task(tasks, name);
  bool dumps = process.leader.dumps && !is_over(process.leader), held = false;
  bool goes_on = !dumps && !is_over(process.leader);
  alignas(dirent64) static char entries[4096];
  while (!goes_on) {
    const long got = syscall(SYS_getdents64, tasks, entries, sizeof entries);
    goes_on = got < 0;
    if (got <= 0) break;
    for (long i = 0; i < got;) {
      const auto* entry = reinterpret_cast<const dirent64*>(entries + i);
      i += entry->d_reclen;
      if (entry->d_name[0] == '.' || strcmp(entry->d_name, name) == 0) continue;
      const Task task = read_task(tasks, entry->d_name);
      held = held || (task.killed && !task.on_its_way_out);
      if (!task.there || is_over(task)) continue;
      dumps = dumps || task.dumps;
      goes_on = goes_on || !task.dumps;
    }
  }
  process.over = !goes_on && !dumps;
  process.held_dumping = !goes_on && dumps && held;
  close(tasks);
  return process;
}

// Before the process has ended: what it would have told.
void bury(Keeper& k, const Task& leader) {
  int code = CLD_KILLED, status = SIGKILL;
  if (k.supervisor_pidfd >= 0) {
    code = wire::wait_code_unknown;  // no child of ours: as when its end is seen
    status = 0;
  } else if (leader.exits) {
    const int how = leader.exit_code;
    code = WIFEXITED(how) ? CLD_EXITED : WCOREDUMP(how) ? CLD_DUMPED : CLD_KILLED;
    status = WIFEXITED(how) ? WEXITSTATUS(how) : WTERMSIG(how);
  }
  // Its end of the socket stays open. Nothing comes from there any more, and nobody reads ours.
  member_gone(k, role_supervisor, code, status);
}

}  // namespace

void watch_work(Keeper& k, int timer) {
  unwatch_and_close(k, k.at_work);
  k.at_work = own(timer);
  if (k.at_work < 0) return;
  fcntl(k.at_work, F_SETFL, O_NONBLOCK);
  if (!watch_fd(k, k.at_work, Source::at_work, 0, EPOLLIN)) close_fd(k.at_work);
}

void work_goes_on(Keeper& k) {
  uint64_t expired;
  if (k.at_work < 0) return;
  const ssize_t got = read(k.at_work, &expired, sizeof expired);
  const bool again = got < 0 && (errno == EAGAIN || errno == EINTR);
  if (got != sizeof expired && !again) return unwatch_and_close(k, k.at_work);  // no timer
  reap_members(k);                                                              // whoever has ended as others do
  const pid_t pid = k.member[role_supervisor].pid;
  if (pid <= 0) return;
  const Process process = look_at(pid);
  if (process.held_dumping) kill_member(k, role_supervisor, SIGKILL);
  if (process.over) bury(k, process.leader);
}

// The lock is on an open file, of which a dead supervisor that is held has a descriptor: the next hearth would wait for its
// disk. Of those who live nobody needs it any more. What cannot be told to be over keeps it.
void give_up_lock(Keeper& k) {
  const pid_t pid = k.member[role_supervisor].pid;
  if (pid == 0 || look_at(pid).over) flock(descriptor(k, wire::HelloDescriptor::lock), LOCK_UN);
}

}  // namespace hearth::keeper
