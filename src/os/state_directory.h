// DIR/state, the directory of what must outlive a SIGKILL of everything and never wait for a disk (wire/state.h): a
// real one where the instance directory is on tmpfs, as /run is; else a link to /dev/shm/hearth-UID/HASH, where HASH is
// of path, device and inode of the instance directory, so that a copy of a directory has a state of its own. By another path
// of the same directory (a bind mount, say) it keeps the one that it has.
//
// It is made by who starts a keeper, and stays as long as the instance directory; a deliberate end removes the files in
// it. What is in memory goes with its instance directory only by our doing: in HASH, the link `instance` names mount
// namespace and path that it was made for, and whoever makes a state looks through its siblings. One is removed when
// in this mount namespace its instance directory is gone or another one, on a file system that is mounted, and nobody has
// its files open. So that nobody makes again what is being removed, both are done under flock(2) of /dev/shm/hearth-UID.
#pragma once

#include <string>

#include "base/result.h"
#include "os/instance.h"
#include "wire/slot_table.h"

namespace hearth::os {

// Makes DIR/state, below an instance directory that make_instance() has made. Safe to repeat, also while a hearth lives
// there; where it fails, what was there is left, hearth works all the same, and status says what is at risk.
Status make_state_directory(const Instance& instance, const HostFacts& host);

// What people should know of how slot table and decision page are kept; "" = as it should be. Where the directory is missing,
// it is made for the next keeper, or what is in the way is named.
std::string state_risk(const wire::SlotTable& table, const Instance& instance, const HostFacts& host);

// A hearth that ends on purpose leaves none.
bool state_is_left(const std::string& directory);

// Removes the files in it; `directory` is the instance's. At a deliberate end.
void remove_state(int directory);

// The same, and the directory: before the instance's is removed.
void remove_state_directory(int directory);

}  // namespace hearth::os
