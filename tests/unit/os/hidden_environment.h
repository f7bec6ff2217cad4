// A process that shows no environment, and has one: as seen by others it is in the middle of execve(2), for good.
#pragma once

#include <cstring>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "os/fd.h"

namespace hearth::test {

// The texts stay where they are, in pages that are no anonymous memory: /proc/PID/environ shows no others. The caller's
// frame must not lie in these pages.
[[gnu::noinline]] inline bool replace_environment_pages() {
  const Result<std::string> stat = os::read_file("/proc/self/stat", 4096);
  if (!stat) return false;
  std::size_t at = stat->rfind(')');
  for (int field = 2; field < 50 && at != std::string::npos; ++field) at = stat->find(' ', at + 1);
  unsigned long start = 0;
  unsigned long end = 0;
  if (at == std::string::npos || std::sscanf(stat->c_str() + at, "%lu %lu", &start, &end) != 2) return false;
  const auto page = static_cast<unsigned long>(::sysconf(_SC_PAGESIZE));
  char* const begin = reinterpret_cast<char*>(start / page * page);
  const std::size_t size = (end + page - 1) / page * page - start / page * page;
  const std::vector<char> texts(begin, begin + size);
  if (::mmap(begin, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
    return false;
  std::memcpy(begin, texts.data(), size);
  return true;
}

// In a child of the test that executes nothing else.
inline void hide_environment() {
  volatile char distance[64 * 1024];  // from the end of the stack, where the environment is
  distance[0] = 0;
  if (!replace_environment_pages()) ::_exit(3);
  distance[1] = distance[0];
}

}  // namespace hearth::test
