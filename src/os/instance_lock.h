// Whether somebody has an instance's lock (flock(2) of DIR/lock, which keeper and supervisor share), asked without taking it:
// a keeper that starts and finds it taken, if only for a moment, takes itself for one too many and ends, and no service
// manager starts it again.
//
// Who has the lock has its file open for writing, or on its way in a socket. Of that the kernel tells whoever asks for a read
// lease of the file (fcntl(2), F_SETLEASE), wherever those who have it are. /proc/locks alone is blind: it shows no lock of
// another PID namespace, and in any but the first one none whose taker has died, as the keeper that a supervisor has
// outlived. And while somebody has the lease, whoever comes to open the file for writing waits in open(2) for its return,
// and fails in nothing.
//
// That the file is open for writing is not yet that it is locked: a supervisor that is killed while the kernel holds one of
// its threads has it open, after its keeper gave the lock up. Then, and when /proc/locks shows none, a shared lock is tried.
// A keeper that starts in that very microsecond, beside one that is dead and held, is all that may be disturbed.
//
// Where no lease can be had (the file is another user's, or on NFS) what /proc/locks shows is the answer.
#pragma once

#include <string>

#include "base/result.h"
#include "os/fd.h"

namespace hearth::os {

bool lock_is_held(const std::string& directory);

// Nobody has the lock, nor gets it until what is returned is dropped: who starts waits in open(2), for 45 s at most
// (/proc/sys/fs/lease-break-time). For work of milliseconds. Where there is no lease it is the lock itself, and who starts
// then ends. A lock file that is not there is made. Fails with Remedy::conflict when somebody has the lock, or its file open.
Result<Fd> hold_off_starts(const std::string& directory);

}  // namespace hearth::os
