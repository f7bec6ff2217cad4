// Hearth's own processes: started, buried, started again.

#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "keeper/message.h"
#include "keeper/spawner.h"
#include "keeper/state.h"

namespace hearth::keeper {
namespace {

constexpr int64_t many_deaths_within = 10'000 * ms;
constexpr uint32_t delay_first_ms = 100, delay_most_ms = 5'000;
constexpr int64_t short_life = 20 * ms;  // between two starts of one that is killed
constexpr int64_t stop_waits_for_supervisor = 2'000 * ms;
constexpr uint32_t silent_deaths_most = 5;

// Generations of spawners grow together: one number names one spawner (it is what claims an entry).
uint32_t next_generation(const Keeper& k, uint32_t role) {
  uint32_t last = k.member[role].record->generation.load();
  if (role >= role_spawner)
    for (const wire::Member& spawner : k.table->spawner)
      if (spawner.generation.load() > last) last = spawner.generation.load();
  return last + 1;
}

// In the child, which is a copy of the keeper with all signals blocked.
[[noreturn]] void become_program(const Keeper& k, uint32_t role, int socket) {
  const bool supervisor = role == role_supervisor;
  const char* path = supervisor ? k.options.supervisor : k.options.logger;
  const char* argv[] = {
      supervisor ? "hearth-supervisor" : "hearth-logger", "--dir", k.options.dir, "--logs", k.options.logs, nullptr};
  // Not only a group of its own: when the keeper dies, stopped groups of its session would get SIGHUP.
  setsid();
  // Of the members only the logger has something to say there: lines of services whose log.sink is "stdout".
  if (supervisor) dup2(STDERR_FILENO, STDOUT_FILENO);
  dup2(socket, wire::member_socket_fd);
  const Program& program = k.programs.of[role].now;
  if (program.fd >= 0) dup3(program.fd, program_place_fd, O_CLOEXEC);
  close_range(program_place_fd + (program.fd >= 0 ? 1 : 0), ~0u, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execute_program(program, path, argv);
  const char* why = strerror(errno);
  for (const char* part : {"hearth-keeper: cannot execute ", path, ": ", why, "; is hearth installed completely?\n"})
    if (write(STDERR_FILENO, part, strlen(part)) < 0) break;
  _exit(127);
}

[[noreturn]] void become_spawner(const Keeper& k, uint32_t role, uint32_t generation, int socket, pid_t keeper) {
  setsid();
  SpawnerContext context = {k.table,
                            role - role_spawner,
                            generation,
                            wire::member_socket_fd,
                            wire::member_socket_fd + 1,
                            wire::member_socket_fd + 2,
                            k.nofile};
  dup2(socket, context.socket);
  dup2(descriptor(k, wire::HelloDescriptor::to_keeper), context.to_keeper);
  dup2(descriptor(k, wire::HelloDescriptor::to_supervisor), context.to_supervisor);
  close_range(static_cast<unsigned>(context.to_supervisor) + 1, ~0u, 0);
  prctl(PR_SET_NAME, "hearth-spawner");
  // Without the keeper a spawner's children would be children of PID 1.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != keeper) _exit(0);
  spawner_main(context);
}

Forked fork_member(const Keeper& k, uint32_t role, uint32_t generation) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) return {};
  tell_ends(ends[0]);
  const pid_t keeper = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    if (role < role_spawner) become_program(k, role, ends[1]);
    become_spawner(k, role, generation, ends[1], keeper);
  }
  close(ends[1]);
  if (pid > 0) return {pid, ends[0]};
  close(ends[0]);
  return {};
}

void drop_successor(Keeper& k) {
  close_fd(k.successor.socket);
  k.successor = {};
}

bool start_member(Keeper& k, uint32_t role, int64_t now) {
  MemberState& member = k.member[role];
  const uint32_t generation = next_generation(k, role);
  const bool inherits = role == role_supervisor && k.successor.pid != 0;
  Forked born = inherits ? k.successor : fork_member(k, role, generation);
  if (inherits) k.successor = {};
  if (born.pid == 0) return false;
  if (role < role_spawner && !watch_fd(k, born.socket, Source::member_socket, role, EPOLLIN)) {
    kill(born.pid, SIGKILL);  // reaped as a stray
    close(born.socket);
    return false;
  }
  // The other end of a supervisor blocks where it likes; we never do (MSG_DONTWAIT).
  (role < role_spawner ? member.socket : member.peer) = born.socket;
  member.pid = born.pid;
  member.replaced = false;
  member.record->since_ns = now;
  member.record->generation = generation;
  // Never the one of this start with the other of an earlier one.
  member.record->start_ticks = 0;
  member.record->pid = born.pid;
  member.record->start_ticks = start_ticks(born.pid);
  client_started(k, role);
  if (role < role_spawner) program_started(k, role, now);
  return true;
}

// Deaths that say something about the program delay the next start. SIGKILL is not what a program does to
// itself: who is killed starts again at once, however often, but for one that never got far: that may be a
// machine without memory, which a fast loop would not help.
void plan_restart(MemberState& member, int code, int status, int64_t lived, int64_t now) {
  member.restart_at = now;
  if (code == CLD_KILLED && status == SIGKILL) {
    if (!member.replaced && lived < short_life) member.restart_at += short_life - lived;
    return;
  }
  constexpr uint32_t last = sizeof member.died_at / sizeof member.died_at[0] - 1;
  const bool many = member.died_at[0] != 0 && now - member.died_at[0] < many_deaths_within;
  memmove(&member.died_at[0], &member.died_at[1], last * sizeof member.died_at[0]);
  member.died_at[last] = now;
  member.delay_ms = !many ? 0 : member.delay_ms == 0 ? delay_first_ms : member.delay_ms * 2;
  if (member.delay_ms > delay_most_ms) member.delay_ms = delay_most_ms;
  member.restart_at = now + member.delay_ms * ms;
}

}  // namespace

// While a keeper ends it still keeps its members: a logger that is killed in its last drain has a successor that
// finishes it, and a supervisor one that writes down what the next hearth shall know. Who exits with 0 is done.
bool member_wanted(const Keeper& k, uint32_t role) {
  if (k.ending.phase == Ending::no) return true;
  if (k.ending.out_of_time || k.member[role].done) return false;
  return role == role_logger || (role == role_supervisor && !k.ending.alone);
}

void prepare_successor(Keeper& k) {
  if (k.ending.phase == Ending::no && k.successor.pid == 0)
    k.successor = fork_member(k, role_supervisor, 0);  // programs know no generation
}

void start_members(Keeper& k, int64_t now) {
  if (k.successor.pid != 0 && !member_wanted(k, role_supervisor)) kill(k.successor.pid, SIGKILL);
  for (uint32_t role = 0; role < role_end; ++role) {
    MemberState& member = k.member[role];
    if (member.pid != 0 || member.restart_at > now || !member_wanted(k, role)) continue;
    if (role == role_logger && k.old_logger >= 0) continue;
    // What cannot be started for want of a process or a descriptor is tried again.
    member.restart_at = start_member(k, role, now) ? 0 : now + retry_after;
  }
}

int64_t members_due(const Keeper& k) {
  int64_t due = 0;
  for (uint32_t role = 0; role < role_end; ++role)
    if (k.member[role].pid == 0 && member_wanted(k, role)) due = earlier(due, k.member[role].restart_at);
  if (k.stop_wanted_at != 0 && k.silent_deaths > silent_deaths_most)
    due = earlier(due, k.stop_wanted_at + stop_waits_for_supervisor);
  return due;
}

void kill_member(Keeper& k, uint32_t role, int signal) {
  if (role == role_supervisor && k.supervisor_pidfd >= 0)
    pidfd_signal(k.supervisor_pidfd, signal);
  else if (k.member[role].pid > 0)
    kill(k.member[role].pid, signal);
}

void member_gone(Keeper& k, uint32_t role, int code, int status) {
  MemberState& member = k.member[role];
  const int64_t now = now_ns(), lived = now - member.record->since_ns;
  // What it said before it died holds, and may be the only copy of a descriptor.
  if (role < role_spawner) read_client(k, role, true);
  unwatch_and_close(k, member.socket);
  close_fd(member.peer);
  member.pid = 0;
  member.record->pid = 0;
  member.record->deaths.fetch_add(1);
  member.record->last_wait_code = code;
  member.record->last_wait_status = status;
  // The status of a supervisor that is not our child nobody tells; it was not ours to restart either.
  member.done =
      k.ending.phase == Ending::finishing && ((code == CLD_EXITED && status == 0) || code == wire::wait_code_unknown);
  if (role == role_supervisor) {
    unwatch_and_close(k, k.supervisor_pidfd);
    unwatch_and_close(k, k.at_work);
    // It takes over and says something before it has its own sockets, and may fail there.
    const bool failed = code == CLD_EXITED && status != 0;
    if ((!member.spoke || failed) && lived < silent_life)
      ++k.silent_deaths;
    else
      k.silent_deaths = 0;
  } else if (role >= role_spawner) {
    // Its last child may not have been announced; what it had claimed and not begun is free again.
    watch_unseen(k, member.record->generation.load());
    release_claims(k, member.record->generation.load());
    k.table->work[role - role_spawner].entry_plus_1 = 0;
  }
  const bool gives_way = role == role_supervisor && gives_way_to_another(k, code, status);
  if (role < role_spawner) program_died(k, role, code, status, lived);
  k.ring_supervisor = true;
  if (gives_way)
    member.restart_at = now;  // it did as it was told: no death that says something
  else
    plan_restart(member, code, status, lived, now);
}

void reap_members(Keeper& k) {
  siginfo_t info;
  for (uint32_t role = 0; role < role_end; ++role) {
    MemberState& member = k.member[role];
    if (member.pid == 0 || (role == role_supervisor && k.supervisor_pidfd >= 0)) continue;
    if (wait_now(P_PID, member.pid, info) == 1) member_gone(k, role, info.si_code, info.si_status);
  }
  if (k.successor.pid != 0 && wait_now(P_PID, k.successor.pid, info) == 1) drop_successor(k);
}

void replace_spawner(Keeper& k, const wire::SpawnerRecord& record) {
  if (record.index >= wire::spawner_count) return;
  MemberState& spawner = k.member[role_spawner + record.index];
  if (spawner.pid == 0 || spawner.record->generation.load() != record.generation) return;
  spawner.replaced = true;
  kill(spawner.pid, SIGKILL);
}

// TERM or INT is waiting, supervisors die without a word, and none has said anything since.
bool supervisor_fails(const Keeper& k, int64_t now) {
  return k.silent_deaths > silent_deaths_most && k.stop_wanted_at != 0 &&
         now - k.stop_wanted_at >= stop_waits_for_supervisor;
}

}  // namespace hearth::keeper
