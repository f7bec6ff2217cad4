// Who else moves output from a pipe to files: the bare loop that is the limit, and the programs people use. Each
// gets the same lines from the same writer, on the same file system, and is measured alone: what the writer costs
// is not counted.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <sys/types.h>
#include <vector>

namespace hearth::bench {

struct Load {
  std::size_t write_bytes = 0;  // of one write(2), lines of 100 bytes with their ends
  std::uint64_t total = 0;      // a multiple of write_bytes
  int pipe_bytes = 0;           // 0 = the default

  std::uint64_t lines() const { return total / write_bytes * (write_bytes / 100); }
};

struct Sample {
  double mb_per_s = 0;
  double cpu_ns = 0;          // of the reading process
  std::uint64_t missing = 0;  // line ends that are not in the files
};

using Clock = std::chrono::steady_clock;
double mb_per_s(std::uint64_t bytes, Clock::time_point begin);
// CPU of a process that lives.
double cpu_of(pid_t pid);
// Line ends in all files of a directory.
std::uint64_t count_lines(const std::string& directory);
void widen(int fd, int pipe_bytes);

// Writes the load and ends.
pid_t start_writer(int pipe, const Load& load);
// The writer as a program: waits for a byte from the FIFO `go`, then writes to its standard output.
int writer_main(const char* write_bytes, const char* total, const char* go);

struct Peer {
  const char* name;
  const char* program;  // what must be in PATH; nullptr = nothing
  Sample (*run)(const Load& load, const std::string& directory);

  bool installed() const;
};
// read and write with cat's buffer of 128 KiB, one file, nothing else. The limit of all rows.
extern const Peer bare_loop;
// Each beside the limit, with the lines as they come: cat, s6-log, supervisord.
extern const std::vector<Peer> raw_peers;
// With a time before each line: s6-log.
extern const std::vector<Peer> stamped_peers;

}  // namespace hearth::bench
