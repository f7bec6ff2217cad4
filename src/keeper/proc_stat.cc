// /proc/PID/stat and /proc/PID/task/TID/stat: proc_pid_stat(5). Never waits: the kernel writes them under no lock that a
// held thread has.

#include <fcntl.h>
#include <stdlib.h>

#include "keeper/message.h"
#include "keeper/state.h"

namespace hearth::keeper {

bool read_stat(int directory, const char* name, ProcStat& stat) {
  char path[32], text[1024];
  stat = {};
  strcpy(stpcpy(path, name), "/stat");
  const int file = openat(directory, path, O_RDONLY | O_CLOEXEC);
  // Of one that cannot be looked at now nothing is known: it may be there.
  stat.there = file >= 0 || (errno != ENOENT && errno != ESRCH);
  if (file < 0) return false;
  const ssize_t got = read(file, text, sizeof text - 1);
  if (got < 0) stat.there = errno != ESRCH;
  close(file);
  if (got <= 0) return false;
  text[got] = 0;
  // The name may hold anything, and ends with the last parenthesis.
  const char* at = strrchr(text, ')');
  if (at == nullptr || at[1] == 0) return false;
  at += 2;
  stat.state = *at;
  for (int n = 3; n < stat_fields && at != nullptr; ++n) {
    stat.field[n] = strtoull(at, nullptr, 10);
    at = strchr(at, ' ');
    if (at != nullptr) ++at;
  }
  return true;
}

namespace {
bool stat_of(pid_t pid, ProcStat& stat) {
  char path[32] = "/proc/";
  *put_number(path + 6, static_cast<uint64_t>(pid)) = 0;
  return read_stat(AT_FDCWD, path, stat);
}
}  // namespace

uint64_t start_ticks(pid_t pid) {
  ProcStat stat;
  return stat_of(pid, stat) ? stat.field[22] : 0;
}

// "Pid:" in /proc/self/fdinfo/FD: proc_pid_fdinfo(5).
pid_t pid_of(int pidfd) {
  char path[48] = "/proc/self/fdinfo/", text[1024];
  *put_number(path + strlen(path), static_cast<uint64_t>(pidfd)) = 0;
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  const ssize_t got = read(file, text, sizeof text - 1);
  close(file);
  text[got < 0 ? 0 : got] = 0;
  const char* const at = strstr(text, "\nPid:");
  return at == nullptr ? 0 : static_cast<pid_t>(strtol(at + 5, nullptr, 10));
}

// Keeper, supervisor and logger are told "--dir DIRECTORY", and spawners are copies of a keeper. One that is dying has no
// arguments any more: it may be anybody.
bool is_of_instance(pid_t pid, const char* directory) {
  char path[32] = "/proc/";
  strcpy(put_number(path + 6, static_cast<uint64_t>(pid)), "/cmdline");
  static char text[8192];
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return true;
  const ssize_t got = read(file, text, sizeof text - 1);
  close(file);
  if (got <= 0) return true;
  text[got] = 0;
  const char* const end = text + got;
  for (const char* word = text; word < end; word += strlen(word) + 1) {
    const char* const next = word + strlen(word) + 1;
    if (strcmp(word, "--dir") == 0 && next < end && strcmp(next, directory) == 0) return true;
  }
  return false;
}

bool is_stopped(pid_t pid) {
  ProcStat stat;
  return stat_of(pid, stat) && (stat.state == 'T' || stat.state == 't');
}

}  // namespace hearth::keeper
