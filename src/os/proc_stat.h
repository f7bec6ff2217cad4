// Who a process is. A PID alone names nobody: it is used again. PID and start time, within one boot and one PID
// namespace, name one process for good; a pidfd opened before the start time is compared pins it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include "os/fd.h"

namespace hearth::os {

// From /proc/PID/stat (proc_pid_stat(5)).
struct ProcStat {
  char state = 0;  // R, S, D, Z, T, t, X ...
  pid_t parent = 0;
  pid_t group = 0;
  pid_t session = 0;
  std::uint64_t ticks = 0;  // of CPU, user and system, with what it has waited for
  std::uint64_t threads = 0;
  std::uint64_t start_ticks = 0;      // field 22, clock ticks since boot
  std::uint64_t resident_kib = 0;     // field 24
  std::uint64_t pending_signals = 0;  // field 31, of its first thread
  bool only_forked = false;           // field 9: it has executed nothing since it was made
  std::string name;                   // comm, at most 15 characters

  bool stopped() const { return state == 'T' || state == 't'; }  // by a signal or a tracer
};

// False when the process is not there (any more) or cannot be read.
bool read_stat(pid_t pid, ProcStat& stat);
// Parses one line of /proc/PID/stat. comm may hold spaces and parentheses: its end is the last ')'.
bool parse_stat(const std::string& line, ProcStat& stat);

// How a process has ended, as wait(2) has it, once its parent has reaped it. None: nobody has yet, or the kernel does not
// tell (before Linux 6.15).
std::optional<int> end_of_reaped(int pidfd);

// 0 when it cannot be read.
std::uint64_t start_ticks(pid_t pid);

// /proc/sys/kernel/random/boot_id; "" when it cannot be read, as only read_boot_id() tells from another one.
std::string boot_id();
Result<std::string> read_boot_id();
// Inode of our PID namespace; 0 with errno when it cannot be read.
std::uint64_t pid_namespace();

// A process that was looked for: there, or gone, or neither. Then it cannot be opened now, for want of a descriptor or of
// memory, and is to be tried again: it must not be taken for gone.
struct OpenedProcess {
  Fd pidfd;
  bool gone = false;
};
// The one that has this PID *and* began at these ticks. A zombie counts as there.
OpenedProcess open_process(pid_t pid, std::uint64_t ticks);
// Whoever has this PID.
OpenedProcess open_process(pid_t pid);
// Alive and no zombie. Fails when nobody can tell now.
Result<bool> whether_lives(pid_t pid, std::uint64_t ticks);
// The same; false also when nobody can tell.
bool process_lives(pid_t pid, std::uint64_t ticks);

// All PIDs in /proc, in its order; none when it cannot be listed, as only read_process_list() tells.
std::vector<pid_t> list_processes();
Result<std::vector<pid_t>> read_process_list();
// The command line as people type it, cut at 200 bytes; "[name]" when there is none. "" when it is gone.
std::string command_of(pid_t pid);
// The value of NAME in the process's initial environment, "" when absent or unreadable. `found` may be null.
std::string environment_of(pid_t pid, const std::string& name, bool* found = nullptr);
// What the process began with, "" when that is nothing, and in the middle of execve(2); the same when it cannot be read, as
// only read_environment() tells.
std::string environment_text(pid_t pid);
Result<std::string> read_environment(pid_t pid);
// It was executed with no environment at all. In the middle of execve(2) the old environment is gone and the new one not
// there, and who ends has none: that is not the same, and this is false then, also when it cannot be read.
bool has_empty_environment(pid_t pid);
// Whether that line of /proc/PID/stat says so: fields 50 and 51 are equal, and not 0, which stands there without memory of
// its own (a kernel thread, one that ends), in the middle of execve(2) and for who may not ask.
bool says_empty_environment(const std::string& line);
// A value in the text of an environment, as /proc/PID/environ has it: for who asks for several.
std::string value_in(const std::string& environment, const std::string& name, bool* found = nullptr);

// Both execute the same file.
bool same_program(pid_t a, pid_t b);

int pidfd_open(pid_t pid);
int pidfd_signal(int pidfd, int signal);
// Reaped.
bool is_gone(int pidfd);

}  // namespace hearth::os
