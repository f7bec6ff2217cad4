// The lines that services write: a function of their number and their run, so that whoever reads a log knows
// what must be in it, byte by byte.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace hearth::support {

// In a file that service and test map. Lines 0 .. finished - 1 have been written; line `begun` - 1, where it is
// beyond these, perhaps.
struct Counters {
  std::atomic<std::uint64_t> begun;
  std::atomic<std::uint64_t> finished;
};

// Null when the file cannot be had.
inline Counters* open_counters(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || ftruncate(fd, sizeof(Counters)) < 0) return nullptr;
  void* at = mmap(nullptr, sizeof(Counters), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  return at == MAP_FAILED ? nullptr : static_cast<Counters*>(at);
}

inline std::uint64_t scrambled(std::uint64_t value) {
  // splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
  value += 0x9e3779b97f4a7c15u;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

// Most lines are short; some are longer than a pipe's atomic write (4,096 bytes).
inline std::string make_line(std::uint64_t number, std::uint64_t run) {
  std::uint64_t state = scrambled(number * 1'000'003 + run);
  std::size_t length = 10 + state % 150;
  if (number % 16 == 7) length = 1'000 + state % 2'000;
  if (number % 64 == 33) length = 5'000 + state % 1'000;
  char head[64];
  std::snprintf(head, sizeof head, "%08llu r%llu %zu ", static_cast<unsigned long long>(number),
                static_cast<unsigned long long>(run), length);
  std::string line = head;
  std::uint64_t sum = state;
  for (std::size_t i = 0; i < length; ++i) {
    if (i % 8 == 0) state = scrambled(state);
    line += static_cast<char>('a' + (state >> (i % 8 * 8) & 0xff) % 26);
    sum = sum * 31 + static_cast<unsigned char>(line.back());
  }
  std::snprintf(head, sizeof head, " %08llx\n", static_cast<unsigned long long>(sum & 0xffffffffu));
  return line + head;
}

inline std::string stored_content(const std::string& name) {
  return "stored-as-" + name;
}

}  // namespace hearth::support
