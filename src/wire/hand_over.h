// What a keeper that executes another program in its own place gives that one: all that it has in memory and that is
// not in the slot table. A sealed memfd, read once. docs/formats/hand-over.md
//
// The process stays what it is: its PID, children, zombies, descriptors with their numbers, blocked and pending signals,
// the instance's lock. So descriptors stand here as numbers. Times are of CLOCK_MONOTONIC, in ns, 0 = not at all.
//
//   HandOverHeader, then `runs` times HandOverRun, then `parked` times HandOverParked, in the order of their entry or index
//
// The epoll comes along with all that it watches: what its events mean (`watched` below) is part of this format.
#pragma once

#include <stdint.h>

#include "wire/keeper_messages.h"
#include "wire/slot_table.h"

namespace hearth::wire {

inline constexpr uint32_t hand_over_magic = 0x31484548;  // "HEH1"
inline constexpr uint32_t hand_over_version = 1;

// Why one cannot go on with a record. Exit code of a dry run: hand_over_good, or that and the problem. No other program
// ends with these by chance.
enum class HandOverProblem : uint8_t {
  none = 0,
  damaged,      // no record, or one that contradicts itself
  version,      // of the record
  slot_table,   // another version of it
  messages,     // another version of them
  descriptors,  // not all are there
  memory,       // the slot table cannot be mapped
  count_
};
inline constexpr int hand_over_good = 100;

// Upper half of the epoll's data; the lower half is the index within the kind.
enum class Watched : uint32_t { signals = 0, doorbell, member_socket, supervisor_pidfd, old_logger, at_work, run };

inline constexpr uint32_t hand_over_members = 2 + spawner_count;  // supervisor, logger, spawners

struct HandOverMember {
  int32_t pid;     // 0 = not running
  int32_t socket;  // -1 = none, as for all descriptors
  int32_t peer;
  uint32_t delay_ms;
  int64_t restart_at;
  int64_t died_at[5];
  uint32_t unacked, cursor;
  uint32_t announced[spawner_count];
  uint8_t spoke, replaced, wants_room, hello_sent, ready_sent, finish_heard, goodbye_said;
  uint8_t reserved;
};
static_assert(sizeof(HandOverMember) == 88);

// Of supervisor and logger (keeper/programs.cc has the model).
struct HandOverProgram {
  int32_t now, before, older;
  uint32_t trial;
  uint32_t deaths;
  uint8_t now_given, before_given, older_given, has_older;
  // Of the process that is executed from it (keeper/probation.cc): until when it must have said that it is up, when that was
  // looked at, and when it is asked again.
  int64_t until, looked_at, ask_at;
  uint8_t silent, ask;
  uint8_t reserved[2];
  uint32_t now_upgrade, before_upgrade, older_upgrade;  // with which upgrade each came, 0 = from the start on
};
static_assert(sizeof(HandOverProgram) == 64);

struct HandOverHeader {
  // These four stay where they are in all versions: who cannot read the rest can still go back.
  uint32_t magic, version;
  uint64_t size;          // bytes of the whole record
  int32_t giver;          // O_PATH of the program that wrote this: executed again by one that cannot go on
  uint32_t header_bytes;  // of this struct
  uint32_t slot_table_version, message_version;
  uint32_t runs, parked;

  int32_t descriptor[static_cast<uint32_t>(HelloDescriptor::count_)];
  int32_t log_directory, epoll, signals, children;
  int32_t supervisor_pidfd, at_work, old_logger;
  int32_t next_logger;
  uint64_t nofile_soft, nofile_hard;  // what services get
  uint32_t nofile_now;
  uint32_t silent_deaths;
  int64_t stop_wanted_at, scan_children_at, retry_at, unknown_at, kill_old_logger_at;
  uint32_t parked_end;              // items at and beyond it were never used
  uint32_t queue_head, queue_tail;  // index + 1 of parked items: what the logger is still to be told
  uint32_t upgrades;                // taken so far
  HandOverMember member[hand_over_members];
  HandOverProgram program[2];
};
static_assert(sizeof(HandOverHeader) % 8 == 0);

struct HandOverRun {
  EntryIndex entry;
  uint32_t kind;  // 0 unseen, 1 child, 2 foreign (keeper.h)
  int32_t pid;
  int32_t pidfd;
  int64_t unknown_at;
  uint32_t unwatched;
  uint32_t reserved;
};
static_assert(sizeof(HandOverRun) == 32);

struct HandOverParked {
  ParkRecord record;
  uint32_t index;  // its place in the keeper's table, which supervisor and queue go by
  int32_t fd;      // -1: dropped, and the logger is still to be told
  uint32_t by;     // generation of the supervisor that parked it
  uint16_t next;   // index + 1 of the next one in the logger's queue, 0 = none
  uint8_t queued, dropped;
};
static_assert(sizeof(HandOverParked) == 144);

}  // namespace hearth::wire
