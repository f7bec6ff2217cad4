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
//   begun    -- `up` -----------------> up        supervisor; now the logger that came along has its turn: it is killed, and
//                                                 what is started in its place is begun, too
//   begun    -- death, or 15 s -------> none      the one before is executed again: returned
//   up       -- three deaths ---------> none      the same
//   begun of a logger is as `up`, as it has nothing to say: only what cannot be executed returns at once
//   any      -- dies after 10 s ------> none      it is sound: the one before is dropped
//
// One that comes while another that is up has not lived for 10 s goes back to that, and from there to the last that was
// sound: else two upgrades of one that soon dies would leave no other to go back to.
//
// SIGKILL is not what a program does to itself: such a death is no evidence, but for a supervisor that is killed again and
// again before it is up. Another `program` replaces one that is not up.

#include <fcntl.h>
#include <sys/syscall.h>

#include "keeper/state.h"
#include "wire/spawn_plan.h"

namespace hearth::keeper {
namespace {

constexpr int64_t look_every = 1'000 * ms;  // while one is on trial
constexpr int64_t sound_after = 10'000 * ms;
constexpr uint32_t deaths_most = 3;  // by itself, when it was up; by SIGKILL, when it was not
constexpr int cannot_execute = 127;  // become_program()

ProgramState& program_of(Keeper& k, uint32_t role) {
  return k.programs.of[role];
}

void forget_older(ProgramState& program) {
  close_fd(program.older.fd);
  program.older = {-1, false};
  program.has_older = false;
}

void forget_before(ProgramState& program) {
  close_fd(program.before.fd);
  program.before = {-1, false};
  program.trial = Trial::none;
  forget_older(program);
}

void install(Keeper& k, uint32_t role, int fd) {
  ProgramState& program = program_of(k, role);
  const bool unproven = program.trial == Trial::ordered || (role == role_supervisor && program.trial == Trial::begun);
  const MemberState& member = k.member[role];
  const bool sound =
      program.trial == Trial::none || (member.pid != 0 && now_ns() - member.record->since_ns >= sound_after);
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
  program.now = {fd, true};
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
  program.older = {-1, false};
  program.has_older = false;
  if (role != role_supervisor) return;
  close_fd(k.programs.next_logger);
  k.programs.up_until = 0;
  drop_prepared_supervisor(k);
}

void go_back(Keeper& k, uint32_t role, wire::ReturnCause cause, int code, int status) {
  restore_before(k, role);
  if (role == role_supervisor) {
    k.table->return_cause = cause;
    k.table->return_wait_code = code;
    k.table->return_wait_status = status;
    k.table->supervisor_returns.fetch_add(1);
  } else {
    k.table->logger_return = {static_cast<uint8_t>(cause), static_cast<uint8_t>(code), static_cast<uint8_t>(status), 0};
    k.table->logger_returns.fetch_add(1);
  }
}

// A trial asks for the version of the messages alone; the plans that come with them are our spawners' to read.
static_assert(wire::message_version == 4 && wire::plan_version == 4, "another plan needs another message_version");

}  // namespace

void open_programs(Keeper& k) {
  const char* paths[] = {k.options.supervisor, k.options.logger};
  for (uint32_t role = 0; role < role_spawner; ++role) {
    program_of(k, role).before.fd = program_of(k, role).older.fd = -1;
    // None, or a script, which cannot be executed so: then it is the path.
    program_of(k, role).now.fd = own(open(paths[role], O_PATH | O_CLOEXEC));
  }
  k.programs.next_logger = -1;
  k.table->keeper_messages = wire::message_version;
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
  install(k, role_supervisor, taken[role_supervisor]);
  close_fd(k.programs.next_logger);
  k.programs.next_logger = taken[role_logger];
  k.programs.up_until = 0;
  return true;
}

void take_back_programs(Keeper& k) {
  if (program_of(k, role_supervisor).trial == Trial::ordered) restore_before(k, role_supervisor);
}

bool gives_way_to_another(const Keeper& k, int code, int status) {
  return k.programs.of[role_supervisor].trial == Trial::ordered && code == CLD_EXITED && status == 0;
}

void program_started(Keeper& k, uint32_t role, int64_t now) {
  ProgramState& program = program_of(k, role);
  if (program.trial == Trial::ordered) program.trial = Trial::begun;
  if (role == role_supervisor && program.trial == Trial::begun) {
    k.programs.up_until = now + k.options.up_within;
    k.programs.looked_at = now;
  }
}

void supervisor_is_up(Keeper& k) {
  ProgramState& program = program_of(k, role_supervisor);
  if (program.trial != Trial::begun) return;
  program.trial = Trial::up;
  program.deaths = 0;
  k.programs.up_until = 0;
  if (k.programs.next_logger < 0) return;
  install(k, role_logger, k.programs.next_logger);
  k.programs.next_logger = -1;
  k.member[role_logger].replaced = true;
  kill_member(k, role_logger, SIGKILL);
}

// Who was stopped has heard nothing, and has told it nothing of what it needs to come up: its time begins anew. And what
// it has said meanwhile counts before the clock does.
void silent_supervisor_due(Keeper& k, int64_t now) {
  Programs& programs = k.programs;
  if (programs.up_until == 0) return;
  const bool away = now - programs.looked_at > 2 * look_every;
  programs.looked_at = now;
  if (away) programs.up_until = now + k.options.up_within;
  if (programs.up_until > now) return;
  read_client(k, role_supervisor, false);
  if (programs.up_until == 0) return;
  programs.up_until = 0;
  if (k.member[role_supervisor].socket < 0) return;  // it has ended, or is killed for having closed it
  programs.silent = true;
  kill_member(k, role_supervisor, SIGKILL);
}

// More often than the trial's end asks for: that is how an absence is known.
int64_t programs_due(const Keeper& k) {
  if (k.programs.up_until == 0) return 0;
  return earlier(k.programs.up_until, k.programs.looked_at + look_every);
}

void program_died(Keeper& k, uint32_t role, int code, int status, int64_t lived) {
  ProgramState& program = program_of(k, role);
  const bool silent = role == role_supervisor && k.programs.silent;
  if (role == role_supervisor) {
    k.programs.silent = false;
    k.programs.up_until = 0;
  }
  if (program.trial == Trial::none || program.trial == Trial::ordered || k.ending.phase != Ending::no) return;
  const bool early = role == role_supervisor && program.trial == Trial::begun;
  const bool killed = code == CLD_KILLED && status == SIGKILL;
  if (silent && early) return go_back(k, role, wire::ReturnCause::silent, code, status);
  if (!early && lived >= sound_after) return forget_before(program);
  if (killed && !early) return;
  if (!killed && (early || (code == CLD_EXITED && status == cannot_execute)))
    return go_back(k, role, wire::ReturnCause::died, code, status);
  if (++program.deaths >= deaths_most)
    go_back(k, role, early ? wire::ReturnCause::died : wire::ReturnCause::kept_dying, code, status);
}

}  // namespace hearth::keeper
