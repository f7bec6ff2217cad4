// What services write down about themselves, outside of hearth: the truth that hearth is held against.
//
//   DIR/control         two words, mapped by everybody: whether writers pause, and how long they wait between lines
//   DIR/truth/SLOT      records, one a line, appended by one write(2) each:
//                         before                              its before_start has run
//                         start RUN PID NS INODE              main() of the main process; inode of its socket, or 0
//                         exit RUN CODE NS                    the next instruction is _exit(CODE)
//   DIR/lines/SLOT.RUN  how many lines the run has begun, and how many finished (support/lines.h)
//
// NS is CLOCK_MONOTONIC. A run without "exit" that is gone was killed by a signal that it could not handle.
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
inline std::string lines_path(const std::string& directory, const std::string& slot, const std::string& run) {
  return directory + "/lines/" + slot + "." + run;
}

struct TrueRun {
  std::uint64_t run = 0;
  pid_t pid = 0;
  std::int64_t started = 0;
  std::uint64_t socket = 0;
  int befores = 0;  // records "before" since the run before
  int exit_code = -1;
  std::int64_t ended = 0;  // with exit_code
  std::uint64_t lines_begun = 0;
  std::uint64_t lines_finished = 0;
};

// By slot, in the order in which they began.
using Truth = std::map<std::string, std::vector<TrueRun>>;
Truth read_truth(const std::string& directory, const std::vector<std::string>& slots);

}  // namespace hearth::chaos
