// Slot table and decision page as files: what is needed to tell whether a pair of them is ours to go on with.
//
// Model
// -----
// The keeper makes both in DIR/state, a directory on tmpfs (os/state_directory.h says where it is). A SIGKILL of
// every process of hearth at once takes nothing from them: stores to a shared mapping belong to the file. The
// next keeper, which has the instance's lock, goes on with them as a keeper does that takes over, if
//
//   - both are whole: ordinary files of ours, of the right size, magic and versions, with a commit in the page
//   - they belong together (state_id)
//   - they are of this boot, PID namespace and instance directory: only then do PIDs and deadlines mean anything
//   - DIR/lock names them, or nobody: a hearth that found others in DIR/state, or none, and decided by those, knows better
//
// Else they are put aside under another name, and new ones are made. Where there is no such directory or no room
// in it, both are memfds, which end with the last process that holds them. docs/formats/state.md
#pragma once

#include <stdint.h>

namespace hearth::wire {

struct StateIdentity {
  char boot_id[40];        // /proc/sys/kernel/random/boot_id, without the line end
  uint64_t pid_namespace;  // inode of /proc/self/ns/pid
  // The instance directory: one that was removed and made again under the same path is another one.
  uint64_t device, inode;
  int64_t birth_ns;  // CLOCK_REALTIME; 0 where the file system does not know
};

enum class StateOrigin : uint32_t {
  memory = 0,  // memfds
  made,        // new files
  continued,   // files of a hearth that died as a whole
};

// Values stand in shared memory: never renumber.
enum class StateProblem : uint32_t {
  none = 0,
  no_directory,  // DIR/state is not there
  not_ours,      // it, or a file in it, is somebody else's, or others may look into it
  not_tmpfs,     // a page fault on another file system may wait for a disk
  no_room,       // the file system is full
  incomplete,    // one of the two is missing, or it has not been used yet
  damaged,       // wrong size or magic
  other_version,
  not_a_pair,
  other_boot,
  other_pid_namespace,
  other_directory,
  not_the_last,  // DIR/lock names another pair: a later hearth kept that one
};

inline constexpr char state_directory_name[] = "state";
inline constexpr char slot_table_file[] = "slot-table";
inline constexpr char decision_page_file[] = "decision-page";
inline constexpr char event_file_prefix[] = "events-";       // and the id of its first event; src/store
inline constexpr char document_file_prefix[] = "document-";  // and its version; src/store
inline constexpr char put_aside_suffix[] = ".put-aside";

// none: a pair with identity `theirs` is of the same boot, PID namespace and directory as `ours`.
StateProblem compare_identities(const StateIdentity& theirs, const StateIdentity& ours);

}  // namespace hearth::wire
