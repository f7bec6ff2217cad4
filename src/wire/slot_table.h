// The slot table: what hearth possesses. Shared memory, made by the keeper, mapped by keeper, spawners and
// supervisor, and held by keeper and supervisor, so that it outlives either; a file in DIR/state where there can
// be one (wire/state.h), so that it outlives all.
//
// Model
// -----
// An *entry* describes one run. Slot s owns entries 2s and 2s+1, so that two runs of a slot may overlap. Each
// field has one writer, and fields are level state: whoever comes later reads the truth without having seen
// the events. The life of an entry:
//
//   free        run == 0
//   ordered     supervisor fills stop_* and order fields, then stores run = R (release)
//   claimed     spawner: CAS claim 0 -> its generation. Who loses the race drops the plan.
//   spawned     kernel stores pid during clone (CLONE_PARENT_SETTID), before the child runs a single
//               instruction. A spawner that is killed at any moment leaves either pid == 0 and no child, or
//               pid and a child of the keeper.
//   failed      before clone: spawner stores fail_errno, then fail_stage, and pid stays 0. In the child:
//               the child stores them and exits with 127; the exit is recorded like any other.
//   watched     keeper holds a pidfd for pid (phase = watched)
//   exited      keeper: peeks with waitid(P_PIDFD, WNOWAIT), stores wait_code, wait_status, exited_at_ns,
//               then phase = exited (release). The process stays a zombie, so pid and process group id cannot
//               be reused by anybody.
//   followed    only where a leader has left a daemon (type = "forking") and has exited with code 0 (or unseen, after a keeper's death): the supervisor finds
//               the main process and tells the keeper (FOLLOW). The keeper stores start_ticks and pid of that one, then
//               phase = watched | phase_of_main (release), and reaps the leader. From there on everything is as before,
//               with another process: its exit is the entry's, stored as exited | phase_of_main. As pid is stored before
//               phase, an exited phase without phase_of_main always is the leader's, whatever pid says: who is killed
//               between the two leaves an entry whose main process is still to be followed, and it is followed again.
//   free        keeper, upon REAP(entry, run): takes the claim (claim_keeper), waits for the zombie, clears
//               the fields, stores run = 0 (release), and gives the claim back last. A REAP with another run is
//               ignored. An order that nobody has claimed is taken back by REAP, too; while a spawner is at
//               work on it, REAP does nothing. In this order a plan sent twice never starts a second process:
//               spawners look at run again after they have the claim, and wait for the keeper's claim to end.
//
// Change notices: after storing, writers set the entry's bit in `changed_for_supervisor` (keeper, spawner,
// supervisor's own child) or `changed_for_keeper` (spawner) and then write 1 to the reader's eventfd. Readers
// exchange a word with 0 *before* they read entries. A writer killed between store and bit loses only the
// notice: whoever reaps a spawner scans all entries, a new supervisor or keeper does too.
//
// Signals to a run go through the keeper: it stores last_op = op, then sends; an op at or below last_op is
// not sent again (KILL excepted). Ops grow monotonically over the whole instance.
//
// Limits: max_slots slots. In memory it is sparse: an entry never used costs nothing.
// Versions: see docs/formats/slot-table.md. Readers refuse another version.
#pragma once

#include <atomic>
#include <stddef.h>
#include <stdint.h>

#include "base/ids.h"
#include "wire/state.h"

namespace hearth::wire {

inline constexpr uint32_t slot_table_magic = 0x31425448;  // "HTB1"
inline constexpr uint32_t slot_table_version = 2;
inline constexpr uint32_t max_slots = 4096;
inline constexpr uint32_t entries_per_slot = 2;
inline constexpr uint32_t max_entries = max_slots * entries_per_slot;
inline constexpr uint32_t spawner_count = 2;
inline constexpr uint32_t change_words = max_entries / 64;
inline constexpr uint32_t claim_keeper = UINT32_MAX;  // RunEntry::claim while the keeper frees the entry

enum class EntryPhase : uint32_t {
  none = 0,     // free, ordered, or not yet seen by the keeper
  watched = 1,  // the keeper holds a pidfd and is the parent
  adopted = 2,  // the keeper holds a pidfd of a process that is not its child (an earlier keeper died)
  exited = 3,   // status is valid; zombie held until REAP (nothing to reap when it was adopted)
};
// Added to a phase: what the entry tells is of the main process that its leader has left behind.
inline constexpr uint32_t phase_of_main = 4;

constexpr EntryPhase without_main(EntryPhase phase) {
  return static_cast<EntryPhase>(static_cast<uint32_t>(phase) & ~phase_of_main);
}
constexpr bool is_of_main(EntryPhase phase) {
  return (static_cast<uint32_t>(phase) & phase_of_main) != 0;
}
constexpr EntryPhase with_main(EntryPhase phase) {
  return static_cast<EntryPhase>(static_cast<uint32_t>(phase) | phase_of_main);
}

// Stages of a spawn, in order but for the last three. Stored in RunEntry::fail_stage; 0 means no failure.
enum class SpawnStage : uint32_t {
  none = 0,
  plan,        // spawner: the plan does not hold together (fail_errno EINVAL)
  clone,       // spawner: clone failed
  cgroup,      // clone into the leaf failed
  session,     // setsid
  descriptor,  // dup2 of a descriptor to its place
  limits,      // prlimit
  priority,    // nice, io priority, oom score
  groups,      // setgroups, setresgid
  user,        // setresuid
  directory,   // chdir to cwd
  signals,     // mask and handlers
  exec,        // execve
  input,       // open of the file for descriptor 0; comes before `signals`
  privileges,  // capabilities and no_new_privs; around `groups` and `user`
  sandbox,     // Landlock and seccomp; between `signals` and `exec`
  count_,
};

// wait_code: as siginfo_t.si_code: CLD_EXITED (1), CLD_KILLED (2), CLD_DUMPED (3), or:
inline constexpr int32_t wait_code_unknown = -1;  // adopted, and the kernel could not tell

struct alignas(128) RunEntry {
  // Written by the supervisor before `run`.
  std::atomic<RunId> run;
  uint32_t stop_signal;    // 1..64; what the keeper sends when it must stop everything alone
  uint32_t stop_grace_ms;  // 500..3,600,000
  uint32_t stop_rank;      // the keeper stops greater ranks first; dependents have greater ranks
  uint32_t flags;          // entry_flag_*

  // Written by a spawner.
  std::atomic<uint32_t> claim;  // generation of the spawner at work, 0 = none

  // Written by the kernel; of a main process by the keeper.
  std::atomic<int32_t> pid;

  // Written by the spawner (pid == 0) or by the child.
  int32_t fail_errno;
  std::atomic<uint32_t> fail_stage;  // SpawnStage

  // Written by the keeper.
  std::atomic<EntryPhase> phase;
  int32_t wait_code;
  int32_t wait_status;   // exit code or signal number
  int64_t exited_at_ns;  // CLOCK_MONOTONIC
  std::atomic<OpId> last_op;

  // Written by the supervisor once it knows it (of a main process by the keeper, before pid); for adoption after the
  // keeper's death. Field 22 of /proc/PID/stat, in clock ticks since boot; 0 = not known yet.
  std::atomic<uint64_t> start_ticks;

  // Written by spawners: the greatest run of this entry whose child has become its program or has ended. Below
  // `run` in a watched entry: the spawner was killed or replaced before it saw that, and the exec may hang
  // still (/proc/PID/exe tells), or the run was adopted. Never goes back, so that a spawner that is late says
  // nothing about a later run.
  std::atomic<RunId> exec_over;

  // Written by the keeper with the end of its own child, as wait4(2) tells them. max_rss_kib 0: nobody knows.
  int64_t cpu_user_us;
  int64_t cpu_system_us;
  int64_t max_rss_kib;
};
static_assert(sizeof(RunEntry) == 128);

inline EntryPhase phase_of(const RunEntry& entry) {
  return without_main(entry.phase.load(std::memory_order_acquire));
}
inline bool is_of_main(const RunEntry& entry) {
  return is_of_main(entry.phase.load(std::memory_order_acquire));
}
// Of the same process as before. One writer at a time.
inline void store_phase(RunEntry& entry, EntryPhase phase) {
  const bool main = is_of_main(entry.phase.load(std::memory_order_relaxed));
  entry.phase.store(main ? with_main(phase) : phase, std::memory_order_release);
}
// Nobody watches it any more; an end that has been recorded stays.
inline void forget_watching(RunEntry& entry) {
  EntryPhase old = entry.phase.load();
  while (without_main(old) != EntryPhase::exited &&
         !entry.phase.compare_exchange_weak(old, is_of_main(old) ? with_main(EntryPhase::none) : EntryPhase::none)) {
  }
}

inline constexpr uint32_t entry_flag_signal_leader_only = 1u << 0;  // else the whole process group
// Bits 8..31: 1 + the slot to whose log the output goes, when that is not the entry's own. For the supervisor alone.
inline constexpr uint32_t entry_log_shift = 8;

// One of hearth's own processes, kept alive by the keeper. Written by the keeper alone.
struct alignas(64) Member {
  std::atomic<int32_t> pid;          // 0 = not running
  std::atomic<uint32_t> generation;  // counts starts, from 1; spawners count together, so that a
                                     // generation names one of them
  int64_t since_ns;                  // CLOCK_MONOTONIC of the last start
  std::atomic<uint32_t> deaths;
  int32_t last_wait_code;
  int32_t last_wait_status;
  uint64_t start_ticks;  // field 22 of /proc/PID/stat; 0 = not known: the PID alone names nobody
};
static_assert(sizeof(Member) == 64);

// What a spawner is doing, so that a stuck one can be named. Written by the spawner.
struct alignas(64) SpawnerWork {
  std::atomic<uint32_t> entry_plus_1;  // 0 = idle
  std::atomic<int64_t> since_ns;       // CLOCK_MONOTONIC
  std::atomic<uint32_t> entries_end;   // 1 + the greatest entry a spawner of this index has claimed (of the first:
                                       // or that was ordered or adopted): where scans may stop
};

// Why an upgrade was taken back. Values stand in shared memory: never renumber.
enum class ReturnCause : uint32_t {
  none = 0,
  died,        // before it said `up`
  silent,      // it did not say `up` in time, and was killed
  kept_dying,  // it came up, and then died by itself several times
  hung         // it came up, then did not answer in time, and was killed
};

// The same of a logger, whose programs come and go on their own.
struct LoggerReturn {
  uint8_t cause;  // ReturnCause
  uint8_t wait_code, wait_status;
};

// Why another keeper was not executed, or could not go on. Values stand in shared memory: never renumber.
enum class KeeperRefusalCause : uint8_t {
  none = 0,
  not_now,         // the keeper is ending, or has no descriptor for it
  no_memory,       // for the hand-over record, or for the process that tries it
  cannot_execute,  // detail: errno; 0 = not known, in the dry run
  refused,         // in its dry run; detail: HandOverProblem
  died,            // in its dry run; detail: the exit code, or 128 and the signal
  silent,          // its dry run had no end in time
  came_back,       // it was executed, could not go on, and executed the one before; detail: HandOverProblem
};
struct KeeperRefusal {
  uint8_t count;  // of them all, modulo 256: another one has come when it is another
  KeeperRefusalCause cause;
  uint8_t detail;
  uint8_t given_by;  // giver_of() the program; 0 = nobody knows
};
// Which supervisor that was: by its generation, as far as a byte tells. Never 0.
inline uint8_t giver_of(uint32_t generation) {
  return static_cast<uint8_t>(1 + generation % 255);
}

struct alignas(128) SlotTable {
  uint32_t magic;
  uint32_t version;
  uint64_t size;                            // bytes of the whole table
  std::atomic<uint32_t> keeper_generation;  // 1 for the first keeper, +1 for each that took over
  std::atomic<int32_t> keeper_pid;
  int64_t created_wall_ns;  // CLOCK_REALTIME of the instance's start

  // The keeper's own signals, counted; the supervisor compares with what it has handled.
  std::atomic<uint32_t> signals_term;
  std::atomic<uint32_t> signals_int;
  std::atomic<uint32_t> signals_hup;
  std::atomic<uint32_t> signals_usr1;
  std::atomic<uint32_t> signals_usr2;
  std::atomic<uint32_t> signals_quit;
  std::atomic<uint32_t> strays_reaped;  // children of the keeper that were no run
  std::atomic<uint32_t> parks_refused;  // descriptors the keeper could not take: its limit is reached

  // Written by a keeper that was started without a living supervisor.
  StateIdentity identity;
  uint64_t state_id;  // the decision page that goes with this table has the same
  StateOrigin origin;
  StateProblem problem;   // in memory: why; new: why the one that was there could not be used
  int32_t problem_errno;  // 0 = there is none
  // Generation of the last keeper that did not start its own supervisor's commits: it found these files after everybody's
  // death, or was handed them by a living supervisor, which commits that generation when the keeper has everything. A
  // page below it is of a supervisor that did not come so far. 0 = none.
  uint32_t continued_by;

  // Of the supervisor that committed last; written by itself. All zero: it does not say so.
  char supervisor_version[24];

  // Written by the keeper, of programs of its own that it was given. Each exec is the same keeper, with its PID.
  std::atomic<uint32_t> keeper_execs;
  std::atomic<KeeperRefusal> keeper_refusal;

  Member supervisor;
  Member logger;
  Member spawner[spawner_count];
  SpawnerWork work[spawner_count];

  // Breadcrumb of the input in hand (hash of source and content, 0 = none), written by the supervisor before
  // it steps; the same value at two deaths in a row makes the successor discard that input.
  std::atomic<uint64_t> breadcrumb;
  std::atomic<uint64_t> breadcrumb_at_death;  // written by the successor: value found, and
  std::atomic<uint32_t> breadcrumb_deaths;    // how many times in a row

  // Upgrades. Written by the keeper, but for the two that tell what has been told. Messages of another version are no
  // messages; 0: its keeper takes no programs.
  std::atomic<uint32_t> keeper_messages;                     // message_version
  std::atomic<uint32_t> upgrades;                            // `program` messages that it has taken, whole
  std::atomic<uint32_t> supervisor_returns, logger_returns;  // programs that did not get up: the one before runs again
  ReturnCause return_cause;                                  // of the supervisor's last one
  int32_t return_wait_code, return_wait_status;              // how its process ended
  std::atomic<uint32_t> supervisor_returns_told, logger_returns_told;  // supervisor: events of it are committed
  LoggerReturn logger_return;                                          // of the logger's last one
  std::atomic<uint8_t> logger_awaited;     // 1: the logger of an upgrade has yet to come up, or to be given up
  std::atomic<uint32_t> upgrades_refused;  // `program` messages of which it took nothing

  alignas(64) std::atomic<uint64_t> changed_for_supervisor[change_words];
  alignas(64) std::atomic<uint64_t> changed_for_keeper[change_words];

  RunEntry entry[max_entries];
};

static_assert(std::atomic<uint64_t>::is_always_lock_free);
// Fields that came later lie in what was padding, and zero, before: the version stays.
static_assert(offsetof(SlotTable, keeper_execs) == 184 && std::atomic<KeeperRefusal>::is_always_lock_free);
static_assert(offsetof(SlotTable, supervisor) == 192);
static_assert(offsetof(SlotTable, logger_awaited) == 635 && std::atomic<uint8_t>::is_always_lock_free);
static_assert(offsetof(SlotTable, changed_for_supervisor) == 640);

// Sets the entry's bit in a change map. Release: what was stored before is visible to who takes the bit.
inline void mark_changed(std::atomic<uint64_t>* words, EntryIndex entry) {
  words[entry / 64].fetch_or(uint64_t{1} << (entry % 64), std::memory_order_release);
}

// Where scans may stop: what lies behind has never been used, and to look at it would bring it into memory.
inline uint32_t entries_end(const SlotTable& table) {
  uint32_t end = 0;
  for (const SpawnerWork& work : table.work) {
    const uint32_t theirs = work.entries_end.load(std::memory_order_acquire);
    if (theirs > end) end = theirs;
  }
  return end < max_entries ? end : max_entries;
}

// Who orders or adopts an entry that no spawner has claimed says so here, for later scans and later keepers.
inline void raise_entries_end(SlotTable& table, uint32_t end) {
  std::atomic<uint32_t>& known = table.work[0].entries_end;
  uint32_t old = known.load();
  while (old < end && !known.compare_exchange_weak(old, end)) {
  }
}

// True when magic, version and size are ours. `mapped` is the size of the mapping in bytes.
bool slot_table_valid(const SlotTable& table, uint64_t mapped);

}  // namespace hearth::wire
