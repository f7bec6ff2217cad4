// What services write down about themselves, outside of hearth: the truth that hearth is held against.
//
//   DIR/control         two words, mapped by everybody: whether writers pause, and how long they wait between lines
//   DIR/truth/SLOT      records, one a line, appended by one write(2) each:
//                         before                              its before_start has run
//                         start RUN PID NS BORN INODE...      main() of the main process; inodes of its sockets
//                         exit RUN CODE NS                    the next instruction is _exit(CODE)
//                         overlap RUN OTHER                   the run OTHER lived as RUN began: it held the slot's lock
//                         got RUN INODE OTHER                 a stored descriptor it was given, and whose that is by its text
//                         keeps RUN INODE NS                  it is about to leave its own with hearth ("kept": it has)
//                         drops RUN INODE NS                  it is about to have that one removed ("dropped": it has)
//   DIR/locks/SLOT      locked (flock(2)) by a main process from "start" to its very end; the run that has it
//   DIR/lines/SLOT.RUN  how many lines the run has begun, and how many finished (support/lines.h)
//
// NS is CLOCK_MONOTONIC. BORN is when the process was made, before it executed anything: kernels say that to a clock tick,
// rounded down. A run without "exit" that is gone was killed by a signal that it could not handle.
//
// The kernel lets go of a lock before the parent can see the end of its holder. So whoever finds the lock taken lives at
// the same time as another run, for however short a time; and a process that was born before one of an earlier run has
// said "exit" has done so, too. Descendants have no part in either: they are made before the lock is taken, and it is
// not kept over an exec.
#pragma once

#include <atomic>
#include <cstdint>
#include <fcntl.h>
#include <map>
#include <string>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>
#include <vector>

namespace hearth::chaos {

struct Control {
  std::atomic<std::uint32_t> paused;
  std::atomic<std::uint32_t> gap_us;
};

inline Control* open_control(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || ftruncate(fd, sizeof(Control)) < 0) return nullptr;
  void* at = mmap(nullptr, sizeof(Control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  return at == MAP_FAILED ? nullptr : static_cast<Control*>(at);
}

inline std::string truth_path(const std::string& directory, const std::string& slot) {
  return directory + "/truth/" + slot;
}
inline std::string lock_path(const std::string& directory, const std::string& slot) {
  return directory + "/locks/" + slot;
}
inline std::string lines_path(const std::string& directory, const std::string& slot, const std::string& run) {
  return directory + "/lines/" + slot + "." + run;
}

// A stored descriptor is told by the inode of its file, a memfd, and by the number of a run that is written in it.
struct Stored {
  std::uint64_t inode = 0;
  std::uint64_t run = 0;
};

struct TrueRun {
  std::uint64_t run = 0;
  pid_t pid = 0;
  std::int64_t started = 0;
  std::int64_t born = 0;
  std::vector<std::uint64_t> sockets;
  std::uint64_t overlaps = 0;  // a run that lived as this one began
  int befores = 0;             // records "before" since the run before
  std::vector<Stored> got;
  std::uint64_t keeps = 0;                        // inode of its own descriptor; 0 = it has not come so far
  std::int64_t kept = 0;                          // hearth has been told; 0 = perhaps not
  std::map<std::uint64_t, std::int64_t> drops;    // when it began to tell hearth to let go of that inode
  std::map<std::uint64_t, std::int64_t> dropped;  // when it had
  int exit_code = -1;
  std::int64_t ended = 0;  // with exit_code
  std::uint64_t lines_begun = 0;
  std::uint64_t lines_finished = 0;
};

// By slot, in the order in which they began.
using Truth = std::map<std::string, std::vector<TrueRun>>;
Truth read_truth(const std::string& directory, const std::vector<std::string>& slots);

}  // namespace hearth::chaos
