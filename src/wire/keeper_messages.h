// Messages between keeper, supervisor, spawners and logger: SOCK_SEQPACKET socketpairs made by the keeper,
// one pair per start of a process, inherited by the child as descriptor `member_socket_fd`.
//
// One message = MessageHeader, then `count` records of the type's struct, then (SCM_RIGHTS) descriptors.
// Everything is idempotent: it may be repeated by a successor. A reader drops a message whose length does not
// fit its header. Byte order and layout are the machine's own: both ends come from one installation, and
// `hello` carries the version.
//
// keeper -> supervisor   hello, spawner, parked (windows, each answered by ack), ready
// keeper -> either       ask
// supervisor -> keeper   ack, signal, reap, park, unpark, adopt, replace_spawner, finish, follow, program, up, at_work
// keeper -> logger       hello, parked (class output only; answered by ack), unpark
// logger -> keeper       ack, up
// supervisor -> spawner  plan, short_plan
//
// When a supervisor dies the keeper first handles *all* that it had sent (a PARK may carry the only other
// copy of a descriptor whose datagram is consumed), then starts the successor. docs/formats/messages.md
#pragma once

#include <stdint.h>

#include "base/ids.h"

namespace hearth::wire {

// Also another plan_version is another message_version: it is what a keeper, and a trial, are asked for.
inline constexpr uint32_t message_version = 5;
inline constexpr int member_socket_fd = 3;
inline constexpr uint32_t records_per_message_max = 120;
// Of its limit (RLIMIT_NOFILE) the keeper parks nothing in the last so many, and counts what it refuses (parks_refused).
// Beside those and what is parked it has one descriptor per run.
inline constexpr uint32_t keeper_reserved_descriptors = 64;
inline constexpr uint32_t descriptors_per_message_max = 250;  // SCM_MAX_FD is 253

enum class MessageType : uint32_t {
  hello = 1,        // HelloRecord x1 + descriptors in the order of HelloDescriptor / LoggerDescriptor
  spawner,          // SpawnerRecord x1 + 1 descriptor: the supervisor's end to that spawner
  parked,           // ParkRecord xN + N descriptors
  ready,            // no record: everything parked has been handed over
  ack,              // no record: one `parked` message taken; the keeper sends the next
  signal,           // SignalRecord xN
  reap,             // RunRecord xN
  park,             // ParkRecord xN + N descriptors
  unpark,           // ParkRecord xN, no descriptors
  adopt,            // RunRecord xN + N pidfds: watch a run that is not the keeper's child
  replace_spawner,  // SpawnerRecord x1: kill that generation and start another
  finish,           // FinishRecord x1: the keeper ends
  plan,             // RunRecord x1 + descriptors: plan memfd first, then those the plan numbers from 0
  short_plan,       // RunRecord x1, then the bytes of the plan, at most short_plan_max + the plan's descriptors
  follow,           // FollowRecord xN + N pidfds: the main process that the run's leader has left
  program,          // ProgramRecord xN + N descriptors of programs: an upgrade (keeper/programs.cc has the model)
  up,               // no record: a supervisor has taken over and has committed; or the answer of either to `ask`
  ask,              // no record: of one on probation (keeper/probation.cc): says `up` when its next turn is done
  at_work,          // no record + 1 timerfd, which expires as long as a thread of it is at what may not return
};

struct MessageHeader {
  MessageType type;
  uint32_t count;
};

// Descriptors of `hello` to the supervisor, in this order.
enum class HelloDescriptor : uint32_t {
  slot_table = 0,  // of DIR/state (wire/state.h), else a memfd; read-write
  decision_page,   // the same
  log_page,        // memfd, read-write
  lock,            // the instance's flock descriptor
  directory,       // O_PATH|O_DIRECTORY of the instance directory
  to_supervisor,   // eventfd the supervisor waits on (keeper, spawners, logger write)
  to_keeper,       // eventfd the keeper waits on
  to_logger,       // eventfd the logger waits on
  log_pipe_read,   // the in-flight pipe and the batch buffer of the logger: held so that
  log_pipe_write,  //   they outlive the keeper
  log_buffer,
  count_,
};

// Descriptors of `hello` to the logger, in this order.
enum class LoggerDescriptor : uint32_t {
  log_page = 0,
  log_buffer,     // memfd
  log_pipe_read,  // in-flight pipe, non-blocking
  log_pipe_write,
  log_directory,  // O_PATH|O_DIRECTORY of the directory that holds the streams' directories
  to_supervisor,
  to_logger,
  count_,
};

struct HelloRecord {
  uint32_t version;  // message_version
  uint32_t keeper_generation;
  uint32_t generation;  // of the process that receives this
  uint32_t parked;      // descriptors that will follow
};

struct SpawnerRecord {
  uint32_t index;       // 0 .. spawner_count - 1
  uint32_t generation;  // as in SlotTable::spawner[index].generation
};

// Which of hearth's own processes a program is for. One of the keeper comes alone: it is tried, and then executed in
// the keeper's place; what has become of it stands in SlotTable::keeper_execs and keeper_refusal.
enum class ProgramRole : uint32_t { supervisor = 0, logger, keeper, count_ };

// One that has lived so long, and has answered what it was asked, is no reason any more to go back to the one before.
inline constexpr int64_t program_sound_after_ms = 10'000;

// The descriptor (O_PATH will do) is executed as it is, whatever becomes of its name: what was tried is what runs.
struct ProgramRecord {
  ProgramRole role;
  uint32_t reserved;
};

// What a parked descriptor is. Values stand in messages: never renumber.
enum class ParkClass : uint32_t {
  output = 1,   // read end of a run's FIFO; key = run. Forwarded to the logger.
  notify = 2,   // notify socket; key = run
  store = 3,    // FDSTORE; key = slot, bit 32 set when it is not watched (FDPOLL=0); name = FDNAME
  listen = 4,   // listening socket; key = slot; name = LISTEN_FDNAMES entry
  spec = 5,     // sealed memfd of a specification document; key = its version
  probe = 6,    // readiness pipe and the like; key = run
  program = 7,  // O_PATH, parked by the keeper itself; key = program_before_keeper
};
// What the keeper ran before the program that it has executed (keeper/exec.cc). A supervisor unparks it when that is
// sound, and hands it to no other keeper.
inline constexpr uint64_t program_before_keeper = 0;

// Identity of a parked descriptor: class, key, name and file. PARK of an equal identity replaces.
struct ParkRecord {
  ParkClass type;
  SlotIndex slot;  // no_slot where it does not apply
  uint64_t key;
  uint64_t file;   // for `store`: a hash of st_dev and st_ino, as one name may hold several; else 0
  char name[104];  // NUL-terminated
};
static_assert(sizeof(ParkRecord) == 128);
// So that it fits where the records of other messages do.
inline constexpr uint32_t short_plan_max = records_per_message_max * sizeof(ParkRecord) - 16;
inline constexpr uint32_t park_name_max = sizeof(ParkRecord::name) - 1;
inline constexpr uint32_t max_parked = 4 * 4096 + 1024;

struct RunRecord {
  EntryIndex entry;
  uint32_t reserved;
  RunId run;
};
static_assert(short_plan_max + sizeof(RunRecord) == records_per_message_max * sizeof(ParkRecord));

// The entry holds `run`, and its leader has exited with code 0, or nobody knows how; else it is ignored, and so it may be repeated: by a
// successor, or after another one was followed. The keeper makes sure that nobody is followed who is not the run's:
// `pid` is its own child (the leader was, and it is the reaper of orphans), no member of hearth and no other run's. Where
// the leader was adopted from a dead keeper, it has other parents: then the pidfd is what counts, as with `adopt`.
// What belongs to the run is looked up by the supervisor: in its cgroup, or by its environment (os/run_members.h).
struct FollowRecord {
  EntryIndex entry;
  int32_t pid;
  RunId run;
  uint64_t start_ticks;  // of that process
};

// Sent to the process group of the run's leader (or the leader alone, entry_flag_signal_leader_only), if the
// entry still holds `run`, its pid is known, and `op` is above last_op; `op` is recorded before the signal is
// sent, so that it is sent at most once. SIGKILL is sent whatever last_op says, as long as the entry holds the
// run: also to a group whose leader is a zombie. A main process that was followed need not lead a group: the one that it is
// in is signalled, which can only be of its run, as sessions are.
struct SignalRecord {
  EntryIndex entry;
  int32_t signal;
  RunId run;
  OpId op;
};

enum class FinishMode : uint32_t {
  all_stopped = 1,    // nothing runs: end members, then exit 0
  leave_running = 2,  // end members, leave runs alone (SIGQUIT); the next hearth adopts them
};

struct FinishRecord {
  FinishMode mode;
  uint32_t exit_status;  // of the keeper: 0, or 1 when a service with on_give_up = "exit" was given up
};

}  // namespace hearth::wire
