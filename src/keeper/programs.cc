// The programs of supervisor and logger, and what an upgrade does to them.
//
// Model
// -----
// Both are held by descriptor from the keeper's start on, so that a file that is replaced under its name changes
// nothing until somebody has tried it and says so. `program` brings another one, which is on trial:
//
//   none     -- program --------------> ordered   the one before is kept
//   ordered  -- taken back -----------> none      its order was refused: `program` with no record
//   ordered  -- its first start ------> begun     the supervisor that sent it has ended
//   begun    -- `up` -----------------> up        supervisor: now the logger that came along has its turn: it is killed, and
//                                                 what is started in its place is begun, too
//   begun    -- death, or 15 s -------> none      the one before is executed again: returned
//   up       -- three deaths ---------> none      the same
//   up       -- 15 s without answer --> none      the same (probation.cc)
//   up       -- dies after 10 s ------> none      it is sound: the one before is dropped
//
// A supervisor that returns takes the logger of its upgrade along, if that is on trial: they were tried together, and what
// goes on is to be what ran together before. A logger returns alone: its supervisor works.
//
// One that comes while another that is up has not lived for 10 s goes back to that, and from there to the last that was
// sound: else two upgrades of one that soon dies would leave no other to go back to.
//
// SIGKILL is not what a program does to itself: such a death is no evidence, but for a supervisor that is killed again and
// again before it is up. Another `program` replaces one that is not up.
//
// Who has ordered an upgrade waits for its logger, too: the table says as long as that is neither up nor given up.

#include <fcntl.h>
#include <sys/syscall.h>

#include "keeper/state.h"
#include "wire/spawn_plan.h"

namespace hearth::keeper {
namespace {

constexpr int64_t sound_after = wire::program_sound_after_ms * ms;
constexpr uint32_t deaths_most = 3;  // by itself, when it was up; by SIGKILL, when it was not

ProgramState& program_of(Keeper& k, uint32_t role) {
  return k.programs.of[role];
}

void forget_older(ProgramState& program) {
  close_fd(program.older.fd);
  program.older = {-1, false, 0};
  program.has_older = false;
}

void forget_before(ProgramState& program) {
  close_fd(program.before.fd);
  program.before = {-1, false, 0};
  program.trial = Trial::none;
  forget_older(program);
}

// Has lived long enough, and has answered what it was asked meanwhile.
bool proves_sound(const Keeper& k, uint32_t role, int64_t lived) {
  return lived >= sound_after && k.programs.probation[role].until == 0;
}

void install(Keeper& k, uint32_t role, int fd, uint32_t upgrade) {
  ProgramState& program = program_of(k, role);
  const bool unproven = program.trial == Trial::ordered || program.trial == Trial::begun;
  const MemberState& member = k.member[role];
  const bool sound =
      program.trial == Trial::none || (member.pid != 0 && proves_sound(k, role, now_ns() - member.record->since_ns));
  if (unproven) {
    close_fd(program.now.fd);
  } else {
    if (sound) {
      forget_before(program);
    } else if (program.has_older) {
      close_fd(program.before.fd);
    } else {
      program.older = program.before;
      program.has_older = true;
    }
    program.before = program.now;
  }
  program.now = {fd, true, upgrade};
  program.trial = Trial::ordered;
  program.deaths = 0;
}

// Executed already, of a program that is given up.
void drop_prepared_supervisor(Keeper& k) {
  if (k.successor.pid == 0) return;
  kill(k.successor.pid, SIGKILL);  // reaped as a stray
  close_fd(k.successor.socket);
  k.successor = {};
}

void restore_before(Keeper& k, uint32_t role) {
  ProgramState& program = program_of(k, role);
  close_fd(program.now.fd);
  program.now = program.before;
  program.before = program.older;
  program.trial = program.has_older ? Trial::up : Trial::none;
  program.deaths = 0;
  program.older = {-1, false, 0};
  program.has_older = false;
  if (role != role_supervisor) return;
  close_fd(k.programs.next_logger);
  drop_prepared_supervisor(k);
}

// One that has returned already is of an earlier upgrade by now.
void take_logger_along(Keeper& k, uint32_t upgrade) {
  const ProgramState& program = program_of(k, role_logger);
  if (program.trial == Trial::none || program.now.upgrade != upgrade) return;
  restore_before(k, role_logger);
  k.programs.probation[role_logger] = {};
  k.member[role_logger].replaced = true;
  kill_member(k, role_logger, SIGKILL);
}

void go_back(Keeper& k, uint32_t role, wire::ReturnCause cause, int code, int status) {
  const uint32_t upgrade = program_of(k, role).now.upgrade;
  restore_before(k, role);
  if (role == role_supervisor) {
    take_logger_along(k, upgrade);
    k.table->return_cause = cause;
    k.table->return_wait_code = code;
    k.table->return_wait_status = status;
    k.table->supervisor_returns.fetch_add(1);
  } else {
    k.table->logger_return = {static_cast<uint8_t>(cause), static_cast<uint8_t>(code), static_cast<uint8_t>(status)};
    k.table->logger_returns.fetch_add(1);
  }
  tell_of_logger(k);
}

// A trial asks for the version of the messages alone; the plans that come with them are our spawners' to read.
static_assert(wire::message_version == 5 && wire::plan_version == 4, "another plan needs another message_version");

}  // namespace

void tell_of_logger(Keeper& k) {
  const Trial trial = program_of(k, role_logger).trial;
  const bool awaited = k.programs.next_logger >= 0 || trial == Trial::ordered || trial == Trial::begun;
  k.table->logger_awaited.store(awaited ? 1 : 0);
}

void open_programs(Keeper& k) {
  const char* paths[] = {k.options.supervisor, k.options.logger};
  for (uint32_t role = 0; role < role_spawner; ++role) {
    ProgramState& program = program_of(k, role);
    program.before.fd = program.older.fd = -1;
    if (const int given = k.options.program[role]; given >= 0) {
      fcntl(given, F_SETFD, FD_CLOEXEC);
      program.now = {given, false, 0};
    } else {
      // None, or a script, which cannot be executed so: then it is the path.
      program.now.fd = own(open(paths[role], O_PATH | O_CLOEXEC));
    }
  }
  k.programs.next_logger = -1;
  k.table->keeper_messages = wire::message_version;
  tell_of_logger(k);
}

// In the child: socket and program have their places. Only returns where there is none, or it is not one.
void execute_program(const Program& program, const char* path, const char* const* argv) {
  if (program.fd >= 0) syscall(SYS_execveat, program_place_fd, "", const_cast<char**>(argv), environ, AT_EMPTY_PATH);
  if (!program.given) execve(path, const_cast<char**>(argv), environ);
}

bool take_programs(Keeper& k, const wire::ProgramRecord* record, const int* fd, uint32_t count) {
  int taken[role_spawner] = {-1, -1};  // by role
  bool good = k.ending.phase == Ending::no;
  for (uint32_t i = 0; i < count; ++i) {
    // Ours go beyond what the children's own descriptors are.
    int mine = own(fd[i]);
    const bool known = record[i].role <= wire::ProgramRole::logger;
    int* const place = known ? &taken[static_cast<uint32_t>(record[i].role)] : nullptr;
    if (mine < 0 || place == nullptr || *place >= 0) {
      good = false;
      close_fd(mine);
    } else {
      *place = mine;
    }
  }
  if (!good || taken[role_supervisor] < 0) {
    for (int& mine : taken) close_fd(mine);
    return false;
  }
  install(k, role_supervisor, taken[role_supervisor], ++k.programs.upgrades);
  k.programs.probation[role_supervisor] = {};  // of the one that has sent it, and ends
  close_fd(k.programs.next_logger);
  k.programs.next_logger = taken[role_logger];
  tell_of_logger(k);
  return true;
}

void take_back_programs(Keeper& k) {
  if (program_of(k, role_supervisor).trial != Trial::ordered) return;
  restore_before(k, role_supervisor);
  tell_of_logger(k);
  // It stays, and may be on trial itself.
  if (program_of(k, role_supervisor).trial != Trial::none) ask_again(k, role_supervisor);
}

bool gives_way_to_another(const Keeper& k, int code, int status) {
  return k.programs.of[role_supervisor].trial == Trial::ordered && code == CLD_EXITED && status == 0;
}

void program_started(Keeper& k, uint32_t role, int64_t now) {
  ProgramState& program = program_of(k, role);
  if (program.trial == Trial::ordered) program.trial = Trial::begun;
  if (program.trial != Trial::none) await_member(k, role, now);
}

void program_is_up(Keeper& k, uint32_t role) {
  ProgramState& program = program_of(k, role);
  if (k.programs.probation[role].silent) return;  // said too late: it is killed already
  member_heard(k, role);
  if (program.trial != Trial::begun) return;
  program.trial = Trial::up;
  program.deaths = 0;
  if (role == role_logger) tell_of_logger(k);
  if (role != role_supervisor || k.programs.next_logger < 0) return;
  install(k, role_logger, k.programs.next_logger, program.now.upgrade);
  k.programs.next_logger = -1;
  k.programs.probation[role_logger] = {};
  k.member[role_logger].replaced = true;
  kill_member(k, role_logger, SIGKILL);
}

void program_died(Keeper& k, uint32_t role, int code, int status, int64_t lived) {
  ProgramState& program = program_of(k, role);
  const bool sound = proves_sound(k, role, lived), silent = k.programs.probation[role].silent;
  k.programs.probation[role] = {};
  // Killed by us for another program: its life and its end say nothing of that.
  if (k.member[role].replaced) return;
  if (program.trial == Trial::none || program.trial == Trial::ordered || k.ending.phase != Ending::no) return;
  const bool early = program.trial == Trial::begun;
  const bool killed = code == CLD_KILLED && status == SIGKILL;
  if (silent) return go_back(k, role, early ? wire::ReturnCause::silent : wire::ReturnCause::hung, code, status);
  if (!early && sound) return forget_before(program);
  if (killed && !early) return;
  if (!killed && early) return go_back(k, role, wire::ReturnCause::died, code, status);
  if (++program.deaths >= deaths_most)
    go_back(k, role, early ? wire::ReturnCause::died : wire::ReturnCause::kept_dying, code, status);
}

}  // namespace hearth::keeper
