// Processes of a run, reached only through what nobody else can have: they are our children, or become ours when
// their parent dies, because we are a subreaper. A child's number is not given away before we have waited for it.
#pragma once

#include <string>
#include <sys/types.h>
#include <vector>

namespace hearth::support {

struct Ended {
  pid_t pid = 0;
  int status = 0;  // as of wait(2)
};

// From here on orphans below this process come to it.
void become_reaper();

// Children of all our threads, zombies too.
std::vector<pid_t> children();

// Waits for those of the calling thread's children that have ended. A traced one belongs to its tracer's thread.
std::vector<Ended> reap();

// False for a zombie. True also for one that has been killed and still has descriptors open, and so locks.
bool lives(pid_t pid);

// Base name of the program, "" for one that is dying or dead.
std::string program_of(pid_t pid);

// "hearth-logger (PID 12): command line", for messages.
std::string describe(pid_t pid);

// Kills and reaps everything below us, generation after generation. False when something is left after 10 s.
bool kill_all_below();

}  // namespace hearth::support
