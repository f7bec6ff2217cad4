// Everything a keeper has. One object, static, zero-initialised: its pages are touched only as they are used.
// Inside the room only; what each part does is said in keeper.h.
#pragma once

#include <fcntl.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "keeper/system.h"
#include "wire/hand_over.h"
#include "wire/keeper_messages.h"
#include "wire/slot_table.h"

namespace hearth::keeper {

inline constexpr int64_t retry_after = 100 * ms;
inline constexpr int first_own_descriptor = 16;  // the children's 3, 4 and 5 are never ours

enum Role : uint32_t { role_supervisor = 0, role_logger, role_spawner, role_end = role_spawner + wire::spawner_count };

struct Options {
  const char* dir = nullptr;
  const char* logs = nullptr;
  const char* supervisor = nullptr;
  const char* logger = nullptr;
  int take_over = -1;
  int program[role_spawner] = {-1, -1};  // by role, from who starts a keeper; -1: by its path
  int resume = -1, dry_run = -1;         // a hand-over record
  int came_back = -1;                    // HandOverProblem of the program that could not go on with it
  int64_t up_within = 15'000 * ms;       // what one on trial has to say `up`, and to answer
};

using Source = wire::Watched;

constexpr int64_t silent_life = 2'000'000'000;  // ns; alive longer, a supervisor is taken for sound

struct MemberState {
  wire::Member* record;
  pid_t pid;           // 0 = not running
  int socket;          // our end, -1 = none; a spawner's is never read
  int peer;            // spawners: the end that is handed to supervisors
  bool spoke;          // a message has come from it
  bool replaced;       // we killed it ourselves
  bool wants_room;     // its socket was full: EPOLLOUT is armed
  bool done;           // ending: it has exited with 0, and is not started again
  int64_t restart_at;  // 0 = no restart pending
  uint32_t delay_ms;   // of the last delayed restart, 0 = none
  int64_t died_at[5];  // the last deaths that count, oldest first

  // What it has been told, for supervisor and logger.
  bool hello_sent;
  bool ready_sent;
  bool finish_heard;                        // supervisor: has said `finish` itself
  bool goodbye_said;                        // nothing more will be told: it reads the end
  uint32_t unacked;                         // `parked` windows on their way
  uint32_t cursor;                          // supervisor: next index of Parked to hand over
  uint32_t announced[wire::spawner_count];  // supervisor: generation of each spawner it knows
};

// A program of supervisor or logger (programs.cc has the model).
struct Program {
  int fd;            // O_PATH; -1: its path is executed
  bool given;        // came with a message: then it is this one or none, not the path where it cannot be executed
  uint32_t upgrade;  // counts those messages: who came together; 0 = from the start on
};
enum class Trial : uint32_t { none, ordered, begun, up };
struct ProgramState {
  Program now;
  Program before;  // what a trial goes back to
  Program older;   // ... and from there, when what it goes back to is on trial itself
  bool has_older;
  Trial trial;
  uint32_t deaths;  // that count, of the one on trial
};
// Of a process whose program is on trial (probation.cc has the model). Times are 0 = none.
struct Probation {
  int64_t until;      // it must have said `up` by then
  int64_t looked_at;  // when that was last compared with the clock
  int64_t ask_at;     // then it is asked again
  bool ask;           // to be told
  bool silent;        // it did not say it, and was killed
};
struct Programs {
  ProgramState of[role_spawner];
  Probation probation[role_spawner];
  int next_logger;    // -1 = none; waits until the supervisor that came with it is up
  uint32_t upgrades;  // taken by this keeper
};
inline constexpr int program_place_fd = wire::member_socket_fd + 1;  // in the child that executes it

// A process that is no member yet.
struct Forked {
  pid_t pid;   // 0 = none
  int socket;  // our end
};

enum class RunKind : uint8_t { unseen = 0, child, foreign };

struct RunState {
  int pidfd_plus_1;    // 0 = none
  int32_t pid;         // private copy: the shared one decides nothing once a run is watched
  int64_t unknown_at;  // foreign, dead, not yet reaped by its parent: when to give up; 0 = not so
  RunKind kind;
  bool unwatched;  // epoll had no room for its pidfd (foreign), or a tracer has its status (child); tried again
};

inline constexpr uint32_t pid_buckets = 2 * wire::max_entries;

// Identities of parked descriptors. The name is kept apart: most have none, and this halves the table.
struct Parked {
  wire::ParkClass type;
  SlotIndex slot;
  uint64_t key;
  uint64_t file;
  int fd;
  uint32_t by;    // generation of the supervisor that parked it
  uint16_t name;  // index in Names, 0 = ""
  uint16_t next;  // index + 1: free list, or the logger's queue
  bool used;
  bool queued;   // in the logger's queue
  bool dropped;  // unparked; kept until the logger has been told
};
// One place more than a supervisor may fill: of the program before ours (exec.cc).
inline constexpr uint32_t park_places = wire::max_parked + 1;
static_assert(park_places < UINT16_MAX);
inline constexpr uint32_t park_buckets = 32768;
static_assert(park_buckets > park_places * 3 / 2);

struct ParkedState {
  Parked item[park_places];
  char name[wire::max_parked + 1][sizeof(wire::ParkRecord::name)];
  uint16_t free_name[wire::max_parked];  // stack of names given back
  uint32_t free_names;
  uint32_t names_end;               // names never used begin here, less one
  uint16_t bucket[park_buckets];    // index + 1, 0 = empty; linear probing
  uint32_t end;                     // items at and beyond it were never used
  uint16_t free_item;               // index + 1
  uint32_t count;                   // used and not dropped
  uint16_t queue_head, queue_tail;  // what the logger must be told, in order
};

// Another program in the keeper's place (exec.cc has the model).
enum class ExecPhase : uint32_t { none, ordered, trying, tried };
struct ExecState {
  ExecPhase phase;
  int program;                                // O_PATH, of the one that was given; -1 = none
  uint8_t given_by;                           // wire::giver_of()
  uint32_t supervisor_up;                     // generation of the last one that has said so, to this program; 0 = none
  int own;                                    // of the one that runs
  pid_t dry_run;                              // 0 = none
  int64_t deadline;                           // of the dry run
  uint32_t old_spawner[wire::spawner_count];  // generations that are forks of the program before; 0 = none
};

enum class Ending : uint32_t { no, stopping_runs, finishing };

struct EndingState {
  Ending phase;
  bool rank_chosen;
  bool killed;       // this rank's groups have had SIGKILL
  int64_t rank;      // at work; before the first: above all
  int64_t deadline;  // of the rank's grace, or of the members' end
  bool alone;        // no supervisor is wanted any more
  bool out_of_time;  // the members have had SIGKILL
};

struct Keeper {
  Options options;
  wire::SlotTable* table;
  int fd[static_cast<uint32_t>(wire::HelloDescriptor::count_)];  // by HelloDescriptor
  int log_directory;
  int epoll, signals, children;
  rlimit nofile;        // as we were started; services get it
  uint32_t nofile_now;  // the soft limit, as last seen

  MemberState member[role_end];
  // A supervisor that waits for hello. Of a dying process the kernel closes the socket first, and tells its end when it has
  // closed all else: some milliseconds with the descriptors of a thousand services, in which the next one is executed.
  Forked successor;
  Programs programs;
  int supervisor_pidfd;    // of a supervisor that is not our child, else -1
  int at_work;             // the supervisor's timer (held.cc), else -1
  int old_logger;          // pidfd of the dead keeper's logger while it lives, else -1
  uint32_t silent_deaths;  // supervisors in a row that did not come up: died soon, without a word or by themselves
  int64_t stop_wanted_at;  // TERM or INT came since a supervisor that was up last spoke; 0 = neither
  // What the slot table of a dead hearth counts was for that one, as its successor's first supervisor takes it. What comes
  // before that has had a turn is for us, and is counted then.
  bool signals_held;
  uint32_t held_signal[NSIG];

  RunState run[wire::max_entries];
  uint16_t pid_bucket[pid_buckets];  // entry + 1, 0 = empty; linear probing
  uint32_t pidfds;
  ParkedState parked;
  EndingState ending;
  ExecState exec;

  bool ring_supervisor;  // once per wake-up
  // When they are due, 0 = not at all.
  int64_t scan_children_at, retry_at, unknown_at, kill_old_logger_at;
  bool exit_now;
  int exit_status;  // as the supervisor said it with `finish`
};

inline int64_t earlier(int64_t a, int64_t b) {
  return a == 0 ? b : b == 0 || a < b ? a : b;
}

inline wire::SlotTable& table(Keeper& k) {
  return *k.table;
}
inline int descriptor(const Keeper& k, wire::HelloDescriptor which) {
  return k.fd[static_cast<uint32_t>(which)];
}

// epoll. `events` 0 waits for EPOLLHUP and EPOLLERR, which are always reported. False: errno.
inline bool watch_fd(Keeper& k, int fd, Source source, uint32_t index, uint32_t events, int op = EPOLL_CTL_ADD) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = static_cast<uint64_t>(source) << 32 | index;
  return epoll_ctl(k.epoll, op, fd, &event) == 0;
}

// Removed by hand before each close: a child that has just been forked still holds a copy, and epoll goes by
// the open file, not by the number.
inline void unwatch_and_close(Keeper& k, int& fd) {
  if (fd < 0) return;
  epoll_ctl(k.epoll, EPOLL_CTL_DEL, fd, nullptr);
  close_fd(fd);
}

inline uint32_t entries_end(const Keeper& k) {
  return wire::entries_end(*k.table);
}

inline void tell_supervisor(Keeper& k, EntryIndex entry) {
  wire::mark_changed(k.table->changed_for_supervisor, entry);
  k.ring_supervisor = true;
}

// Moves a descriptor out of the way of the children's own.
inline int own(int fd) {
  if (fd < 0 || fd >= first_own_descriptor) return fd;
  const int moved = fcntl(fd, F_DUPFD_CLOEXEC, first_own_descriptor);
  const int error = errno;
  close(fd);
  errno = error;
  return moved;
}

inline constexpr int exit_basics = 71;  // EX_OSERR: it lacks what it cannot do without

// start.cc. False: a message has been written; exit with `status`.
bool start(Keeper& k, int argc, char** argv, int& status);
void bind_members(Keeper& k);  // to their records in the slot table

// pages.cc
bool open_pages(Keeper& k, const char*& at);  // sets table and both descriptors; false: errno, and of what
bool name_pages(Keeper& k);                   // in DIR/lock, as the pair that is kept last; false: errno

// keeper.cc
void release_signals(Keeper& k);  // those that are held are counted, and are held no more

// members.cc
void prepare_successor(Keeper& k);           // the supervisor is on its way out
void start_members(Keeper& k, int64_t now);  // those that are due
void reap_members(Keeper& k);                // whichever has died
void member_gone(Keeper& k, uint32_t role, int code, int status);
void kill_member(Keeper& k, uint32_t role, int signal);
bool member_wanted(const Keeper& k, uint32_t role);  // when it is not running, it is started
void replace_spawner(Keeper& k, const wire::SpawnerRecord& record);
bool supervisor_fails(const Keeper& k, int64_t now);
int64_t members_due(const Keeper& k);

// held.cc
void watch_work(Keeper& k, int timer);  // takes it
void work_goes_on(Keeper& k);           // the timer has expired
void give_up_lock(Keeper& k);           // at the very end

// programs.cc
void open_programs(Keeper& k);
// Writes into the table whether the logger of an upgrade has yet to come up, or to be given up.
void tell_of_logger(Keeper& k);
void execute_program(const Program& program, const char* path, const char* const* argv);
// Takes the descriptors. All of a message or none: who hears that it was taken has both.
bool take_programs(Keeper& k, const wire::ProgramRecord* record, const int* fd, uint32_t count);
void take_back_programs(Keeper& k);                           // those that were not started yet
void program_started(Keeper& k, uint32_t role, int64_t now);  // supervisor or logger
// Has a supervisor ended because its successor is another program?
bool gives_way_to_another(const Keeper& k, int code, int status);
void program_died(Keeper& k, uint32_t role, int code, int status, int64_t lived);
void program_is_up(Keeper& k, uint32_t role);

// proc_stat.cc
inline constexpr int stat_fields = 53;
struct ProcStat {
  bool there;  // or nobody can say
  char state;
  uint64_t field[stat_fields];  // by the numbers of proc_pid_stat(5); 1 to 3 are no numbers
};
bool read_stat(int directory, const char* name, ProcStat& stat);  // `name`: of a process or thread; false: not known
uint64_t start_ticks(pid_t pid);                                  // field 22; 0 = not known
pid_t pid_of(int pidfd);                                          // -1: it is gone; 0: not known
bool is_of_instance(pid_t pid, const char* directory);            // one of hearth's own, or nobody can say
bool is_stopped(pid_t pid);                                       // by a signal or a tracer

// probation.cc
void await_member(Keeper& k, uint32_t role, int64_t now);  // it has been started, and is on trial
void member_heard(Keeper& k, uint32_t role);               // it has said `up`
void ask_again(Keeper& k, uint32_t role);                  // in a second, while it is young enough
void probation_due(Keeper& k, int64_t now);
int64_t probation_ends(const Keeper& k);  // when that has something to do

// clients.cc
void client_started(Keeper& k, uint32_t role);  // a new one has been told nothing
void pump_clients(Keeper& k);                   // tells what there is room for
void read_client(Keeper& k, uint32_t role, bool to_the_end);

// parked.cc
bool is_parked(const Keeper& k, const wire::ParkRecord& record);
void park(Keeper& k, const wire::ParkRecord& record, int fd, uint32_t by);
void unpark(Keeper& k, const wire::ParkRecord& record);
void queue_outputs(Keeper& k);       // a new logger must be told of all of them
Parked* next_for_logger(Keeper& k);  // null when there is none
void told_logger(Keeper& k);         // takes that one from the queue
void fill_record(const Keeper& k, const Parked& item, wire::ParkRecord& record);

void restore_parked(Keeper& k, const wire::HandOverHeader& header, const wire::HandOverParked* item);

// hand_over.cc
struct HandOver {  // mapped
  const wire::HandOverHeader* header;
  const wire::HandOverRun* run;
  const wire::HandOverParked* parked;
};
int write_hand_over(const Keeper& k);  // a sealed memfd; -1: errno
wire::HandOverProblem open_hand_over(int fd, HandOver& record);
void close_hand_over(HandOver& record);
// All that the record names: kept over an exec, or not. False: one is not open.
bool keep_over_exec(const HandOver& record, bool kept);
void load_hand_over(Keeper& k, const HandOver& record);

// exec.cc
void order_exec(Keeper& k, int program);  // takes the descriptor
void take_back_exec(Keeper& k);           // unless it has been executed
void exec_step(Keeper& k, int64_t now);
void exec_if_tried(Keeper& k);  // does not return when it could be executed
int64_t exec_due(const Keeper& k);
int dry_run(const Options& options);  // exit status
bool resume(Keeper& k, int& status);  // in the place of start()'s own ways
void open_own_program(Keeper& k);

// runs.cc
void doorbell(Keeper& k);
bool watch_run(Keeper& k, EntryIndex entry);        // true when the run's process is our child
void watch_unseen(Keeper& k, uint32_t generation);  // what a dead spawner has made
void run_event(Keeper& k, EntryIndex entry, uint32_t events);
void unknown_due(Keeper& k, int64_t now);
void adopt_run(Keeper& k, const wire::RunRecord& record, int pidfd);
void follow_run(Keeper& k, const wire::FollowRecord& record, int pidfd);
void reap_run(Keeper& k, EntryIndex entry, RunId run);
void signal_run(Keeper& k, const wire::SignalRecord& record);
void forget_watching(Keeper& k);  // of the keeper before us: its runs are to be adopted
bool send_signal(Keeper& k, EntryIndex entry, int signal);
void release_claims(Keeper& k, uint32_t generation);  // of a dead spawner; 0 = of all

// strays.cc
void remember_pid(Keeper& k, EntryIndex entry);
void forget_pid(Keeper& k, EntryIndex entry);
// Hearth's own, or of a run that is watched.
bool is_ours_already(const Keeper& k, pid_t pid);
// Hearth's own, or of another entry's run: also of one that has not been watched yet.
bool is_known(const Keeper& k, pid_t pid, EntryIndex but);
void child_died(Keeper& k, pid_t pid);
void scan_children(Keeper& k);

// ending.cc
void finish(Keeper& k, wire::FinishMode mode);
void stop_alone(Keeper& k);
void ending_step(Keeper& k, int64_t now);

}  // namespace hearth::keeper
