// Another program in the keeper's own place: tried, executed, and gone back from.
//
// Model
// -----
//   none     -- `program` of role keeper --> ordered
//   ordered  -- fork ----------------------> trying   a child executes it with --dry-run and a record of what there is
//   trying   -- it says that it can -------> tried
//   trying   -- it cannot, dies, or 5 s ---> none     refused: SlotTable::keeper_refusal says why
//   tried    -- a supervisor is up --------> (exec)   the same process goes on in resume(), with a record of that moment
//   tried    -- it cannot be executed -----> none     refused
//   any      -- taken back ----------------> none     `program` with no record: its order was refused
//   resume   -- it cannot go on -----------> (exec)   of the program before, which goes on with the same record
//
// Through an exec the process stays our children's parent: no zombie, no pending signal and no exit status is lost, which
// a new keeper could not say. What the program had in memory goes by the record (hand_over.cc), descriptors by their
// numbers: close-on-exec is taken from those in the record for that one moment. Everything before that leaves the keeper
// as it was; so does an exec that fails. The first thing that another program does is to look whether it can go on, and
// until then it has changed nothing, so that the one before can be executed with what that had written.
//
// Killed in the middle, the keeper is one that has died: the supervisor starts another. So one has to be there, and be in
// possession of everything, when it is executed. A keeper that is ending executes nothing.
//
// The program before stays parked until a supervisor finds that the next one is sound: it has that executed when the
// keeper dies earlier (apps/held_programs.h). It goes to each that comes, and the one that is there has seen by itself
// what ran: by the time it is up, which who has given a program is. One that has been told everything, and is only just
// beginning, would find the new program and no other.
//
// Spawners are forks of the program before. They do their work and are replaced when they have none, one by one.

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "keeper/message.h"
#include "keeper/state.h"

namespace hearth::keeper {
namespace {

using wire::HandOverProblem;
using wire::KeeperRefusalCause;

constexpr int64_t dry_run_within = 5'000 * ms;
constexpr int exit_cannot_execute = 127;

void refuse(Keeper& k, KeeperRefusalCause cause, int detail) {
  wire::KeeperRefusal last = k.table->keeper_refusal.load();
  k.table->keeper_refusal = {static_cast<uint8_t>(last.count + 1), cause, static_cast<uint8_t>(detail),
                             k.exec.given_by};
  close_fd(k.exec.program);
  k.exec.phase = ExecPhase::none;
  k.ring_supervisor = true;
}

// What the program is started with: the options of this one, and a record.
struct Arguments {
  char up_within[24], record[24], problem[24];
  const char* argv[20];
};
void prepare(Arguments& a, const Options& options, const char* way, int record, int came_back) {
  const auto text = [](char* at, int64_t number) { *put_number(at, static_cast<uint64_t>(number)) = 0; };
  text(a.up_within, options.up_within / ms);
  text(a.record, record);
  text(a.problem, came_back < 0 ? 0 : came_back);
  int n = 0;
  for (const char* word :
       {"hearth-keeper", "--dir", options.dir, "--logs", options.logs, "--supervisor", options.supervisor, "--logger",
        options.logger, "--up-within", static_cast<const char*>(a.up_within), way, static_cast<const char*>(a.record)})
    a.argv[n++] = word;
  if (came_back >= 0) {
    a.argv[n++] = "--came-back";
    a.argv[n++] = a.problem;
  }
  a.argv[n] = nullptr;
}

void execute(int program, const Arguments& a) {
  syscall(SYS_execveat, program, "", const_cast<char**>(a.argv), environ, AT_EMPTY_PATH);
}

// It gets the record and the slot table, and nothing else that is ours: it may be any program.
[[noreturn]] void become_dry_run(const Keeper& k, int record, pid_t keeper) {
  setsid();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != keeper) _exit(0);
  fcntl(record, F_SETFD, 0);
  fcntl(descriptor(k, wire::HelloDescriptor::slot_table), F_SETFD, 0);
  Arguments a;
  prepare(a, k.options, "--dry-run", record, -1);
  execute(k.exec.program, a);
  _exit(exit_cannot_execute);
}

void begin_dry_run(Keeper& k, int64_t now) {
  int record = write_hand_over(k);
  if (record < 0) return refuse(k, KeeperRefusalCause::no_memory, errno);
  const pid_t keeper = getpid(), pid = fork();
  if (pid == 0) become_dry_run(k, record, keeper);
  const int error = errno;
  close_fd(record);
  if (pid < 0) return refuse(k, KeeperRefusalCause::no_memory, error);
  k.exec.dry_run = pid;
  k.exec.deadline = now + dry_run_within;
  k.exec.phase = ExecPhase::trying;
}

void judge(Keeper& k, const siginfo_t& end) {
  const bool exited = end.si_code == CLD_EXITED;
  const int problem = exited ? end.si_status - wire::hand_over_good : -1;
  if (problem == 0) {
    k.exec.phase = ExecPhase::tried;
  } else if (problem > 0 && problem < static_cast<int>(HandOverProblem::count_)) {
    refuse(k, KeeperRefusalCause::refused, problem);
  } else if (exited && end.si_status == exit_cannot_execute) {
    refuse(k, KeeperRefusalCause::cannot_execute, 0);  // a child's errno nobody has heard
  } else {
    refuse(k, KeeperRefusalCause::died, exited ? end.si_status : 128 + end.si_status);
  }
}

// With what it has started, as far as that has stayed in its session. It may not have made that yet.
void kill_dry_run(const Keeper& k) {
  kill(k.exec.dry_run, SIGKILL);
  kill(-k.exec.dry_run, SIGKILL);
}

void look_at_dry_run(Keeper& k, int64_t now) {
  siginfo_t info;
  if (const int ended = wait_now(P_PID, k.exec.dry_run, info, WNOWAIT); ended != 0) {
    if (ended > 0) kill_dry_run(k);  // while the number is its own
    siginfo_t end;
    wait_now(P_PID, k.exec.dry_run, end);
    k.exec.dry_run = 0;
    if (k.exec.phase == ExecPhase::trying) judge(k, info);
  } else if (k.exec.phase == ExecPhase::trying && now >= k.exec.deadline) {
    kill_dry_run(k);
    refuse(k, KeeperRefusalCause::silent, 0);
  }
}

// Never both at once. One that is being replaced wakes us when it ends.
bool has_all_spawners(const Keeper& k) {
  for (uint32_t i = 0; i < wire::spawner_count; ++i) {
    const MemberState& spawner = k.member[role_spawner + i];
    if (spawner.pid == 0 || spawner.replaced) return false;
  }
  return true;
}

// Idle ones.
void replace_old_spawners(Keeper& k) {
  for (uint32_t i = 0; i < wire::spawner_count; ++i)
    if (k.table->spawner[i].generation.load() != k.exec.old_spawner[i]) k.exec.old_spawner[i] = 0;
  if (!has_all_spawners(k)) return;
  for (uint32_t i = 0; i < wire::spawner_count; ++i) {
    if (k.exec.old_spawner[i] == 0 || k.table->work[i].entry_plus_1.load() != 0) continue;
    return replace_spawner(k, {i, k.exec.old_spawner[i]});
  }
}

bool supervisor_is_up(const Keeper& k) {
  const MemberState& supervisor = k.member[role_supervisor];
  if (supervisor.pid == 0 || supervisor.socket < 0 || !supervisor.ready_sent) return false;
  const uint32_t generation = supervisor.record->generation.load();
  return k.exec.supervisor_up == generation || k.exec.given_by == wire::giver_of(generation);
}

bool has_old_spawner(const Keeper& k) {
  for (uint32_t generation : k.exec.old_spawner)
    if (generation != 0) return true;
  return false;
}

// Nothing has been changed yet, and all that the record names is open: the program that wrote it can go on with it. Twice
// would be for ever.
bool go_back(const Keeper& k, HandOverProblem problem) {
  wire::HandOverHeader header;
  constexpr size_t in_all_versions = offsetof(wire::HandOverHeader, header_bytes);
  const int record = k.options.resume;
  const bool known = pread(record, &header, in_all_versions, 0) == static_cast<ssize_t>(in_all_versions) &&
                     header.magic == wire::hand_over_magic;
  if (known && k.options.came_back < 0) {
    Arguments a;
    prepare(a, k.options, "--resume", record, static_cast<int>(problem));
    execute(header.giver, a);
  }
  constexpr char text[] = "hearth-keeper: cannot go on with what the program before it has handed over\n";
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
  return false;
}

HandOverProblem map_table(Keeper& k, const HandOver& record, int protection, int kind) {
  const int fd = record.header->descriptor[static_cast<uint32_t>(wire::HelloDescriptor::slot_table)];
  struct stat file;
  if (fstat(fd, &file) != 0 || static_cast<uint64_t>(file.st_size) < sizeof(wire::SlotTable))
    return HandOverProblem::slot_table;
  void* at = mmap(nullptr, sizeof(wire::SlotTable), protection, kind, fd, 0);
  if (at == MAP_FAILED) return HandOverProblem::memory;
  k.table = static_cast<wire::SlotTable*>(at);
  return wire::slot_table_valid(*k.table, sizeof(wire::SlotTable)) ? HandOverProblem::none
                                                                   : HandOverProblem::slot_table;
}

HandOverProblem look_before(Keeper& k, HandOver& record) {
#ifdef HEARTH_TEST_CANNOT_RESUME
  return HandOverProblem::memory;
#endif
  HandOverProblem problem = open_hand_over(k.options.resume, record);
  if (problem == HandOverProblem::none && !keep_over_exec(record, true)) problem = HandOverProblem::descriptors;
  if (problem == HandOverProblem::none) problem = map_table(k, record, PROT_READ | PROT_WRITE, MAP_SHARED);
  return problem;
}

// For the supervisor, should we die of what we are: the one that has seen the exec may be gone by then. One that is
// parked already has not been given up: what came after it is on trial itself. Who came back has given it itself.
void hold_program_before(Keeper& k, int& giver) {
  const wire::ParkRecord record = {wire::ParkClass::program, no_slot, wire::program_before_keeper, 0, {}};
  if (k.options.came_back >= 0 || is_parked(k, record)) return close_fd(giver);
  park(k, record, giver, 0);
  giver = -1;
}

}  // namespace

void open_own_program(Keeper& k) {
  k.exec.own = own(open("/proc/self/exe", O_PATH | O_CLOEXEC));
}

void order_exec(Keeper& k, int program) {
  const int mine = own(program);
  close_fd(k.exec.program);
  k.exec.program = mine;
  k.exec.given_by = wire::giver_of(k.member[role_supervisor].record->generation.load());
  // Whoever is being tried is not the one that counts any more.
  if (k.exec.dry_run != 0) kill_dry_run(k);
  if (mine < 0 || k.exec.own < 0 || k.ending.phase != Ending::no) return refuse(k, KeeperRefusalCause::not_now, 0);
  k.exec.phase = ExecPhase::ordered;
}

void take_back_exec(Keeper& k) {
  if (k.exec.phase == ExecPhase::none) return;
  if (k.exec.dry_run != 0) kill_dry_run(k);
  close_fd(k.exec.program);
  k.exec.phase = ExecPhase::none;
}

void exec_step(Keeper& k, int64_t now) {
  if (k.exec.dry_run != 0) look_at_dry_run(k, now);
  if (k.ending.phase != Ending::no) {
    if (k.exec.phase != ExecPhase::none) refuse(k, KeeperRefusalCause::not_now, 0);
    return;
  }
  if (k.exec.phase == ExecPhase::ordered && k.exec.dry_run == 0) begin_dry_run(k, now);
  if (has_old_spawner(k)) replace_old_spawners(k);
}

int64_t exec_due(const Keeper& k) {
  const int64_t tried = k.exec.dry_run != 0 && k.exec.phase == ExecPhase::trying ? k.exec.deadline : 0;
  return has_old_spawner(k) && has_all_spawners(k) ? earlier(tried, now_ns() + retry_after) : tried;
}

void exec_if_tried(Keeper& k) {
  if (k.exec.phase != ExecPhase::tried || k.ending.phase != Ending::no || k.successor.pid != 0) return;
  if (!supervisor_is_up(k)) return;
  release_signals(k);  // whoever gave the order may not have said `up` yet, and the record has no place for them
  int fd = write_hand_over(k);
  if (fd < 0) return refuse(k, KeeperRefusalCause::no_memory, errno);
  HandOver record;
  if (open_hand_over(fd, record) != HandOverProblem::none) {
    close_fd(fd);
    return refuse(k, KeeperRefusalCause::no_memory, ENOMEM);
  }
  int error = EBADF;
  if (keep_over_exec(record, true) && fcntl(fd, F_SETFD, 0) == 0) {
    Arguments a;
    prepare(a, k.options, "--resume", fd, -1);
    execute(k.exec.program, a);
    error = errno;
  }
  keep_over_exec(record, false);
  close_hand_over(record);
  close_fd(fd);
  refuse(k, KeeperRefusalCause::cannot_execute, error);
}

int dry_run(const Options& options) {
  static Keeper tried;
  HandOver record;
  HandOverProblem problem = open_hand_over(options.dry_run, record);
  // Private: nothing that is done here is seen.
  if (problem == HandOverProblem::none) problem = map_table(tried, record, PROT_READ, MAP_PRIVATE);
  return wire::hand_over_good + static_cast<int>(problem);
}

bool resume(Keeper& k, int& status) {
  status = exit_basics;
  HandOver record;
  const HandOverProblem problem = look_before(k, record);
  if (problem != HandOverProblem::none) return go_back(k, problem);
  // From here on it is ours.
  load_hand_over(k, record);
  bind_members(k);
  keep_over_exec(record, false);
  int giver = record.header->giver;
  close_hand_over(record);
  close_fd(k.options.resume);
  hold_program_before(k, giver);
  open_own_program(k);
  k.table->keeper_messages = wire::message_version;
  tell_of_logger(k);  // the program before may not have known of it
  if (k.options.came_back >= 0) {
    refuse(k, KeeperRefusalCause::came_back, k.options.came_back);
  } else {
    k.table->keeper_execs.fetch_add(1);
  }
  // Forks of the program before. Of one that came back some may be its own, and are replaced for nothing.
  for (uint32_t i = 0; i < wire::spawner_count; ++i) k.exec.old_spawner[i] = k.table->spawner[i].generation.load();
  // Signals that came meanwhile wait in their descriptor; those that had merged before are looked for.
  k.scan_children_at = now_ns();
  k.ring_supervisor = true;
  return true;
}

}  // namespace hearth::keeper
