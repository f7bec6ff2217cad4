#include "os/kernel_features.h"

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/fd.h"
#include "os/proc_stat.h"
#include "os/sandbox.h"

namespace hearth::os {
namespace {

constexpr unsigned signal_process_group = 1u << 2;  // PIDFD_SIGNAL_PROCESS_GROUP
constexpr int so_passpidfd = 76;                    // SO_PASSPIDFD

bool has_clone3() {
  // Without arguments: EINVAL where there is one. Seccomp of containers answers ENOSYS or EPERM.
  return ::syscall(SYS_clone3, nullptr, 0) < 0 && errno != ENOSYS && errno != EPERM;
}

bool has_close_range() {
  return ::syscall(SYS_close_range, ~0u, ~0u, 0) == 0;
}

bool has_group_signals(int self) {
  // ESRCH when we lead no group.
  return ::syscall(SYS_pidfd_send_signal, self, 0, nullptr, signal_process_group) == 0 || errno != EINVAL;
}

bool has_sender_pidfd() {
  const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  return socket && ::setsockopt(socket.get(), SOL_SOCKET, so_passpidfd, &on, sizeof on) == 0;
}

// The status of a process that somebody has reaped already.
bool tells_exit_of_the_reaped() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(7);
  if (child < 0) return false;
  const Fd pidfd(pidfd_open(child));
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  const std::optional<int> end = end_of_reaped(pidfd.get());
  return end && WEXITSTATUS(*end) == 7;
}

bool has_sealed_memory() {
  const Fd memory(::memfd_create("hearth-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  return memory && ::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) == 0;
}

}  // namespace

std::vector<KernelFeature> kernel_features() {
  const Fd self(pidfd_open(::getpid()));
  std::vector<KernelFeature> all;
  const auto add = [&](bool there, const char* name, const char* since, const char* without, bool required = false) {
    all.push_back({name, since, without, required, there});
  };
  add(static_cast<bool>(self), "pidfd_open(2)", "5.3", "hearth does not work", true);
  add(has_sealed_memory(), "memfd_create(2) with seals", "3.17", "hearth does not work", true);
  add(has_close_range(), "close_range(2)", "5.9", "descriptors of a new process are closed one by one");
  add(has_clone3(), "clone3(2)", "5.3",
      "services cannot be started in their cgroups: what they leave is found by a sweep of /proc");
  add(::access("/proc/thread-self/children", R_OK) == 0, "/proc/PID/task/TID/children", "3.5",
      "a stray that ends together with a service may stay a zombie until the next one ends");
  add(has_sender_pidfd(), "SO_PASSPIDFD of unix(7)", "6.5",
      "a notification is attributed by its socket alone, not checked against its sender");
  add(self && has_group_signals(self.get()), "PIDFD_SIGNAL_PROCESS_GROUP of pidfd_send_signal(2)", "6.9",
      "after the keeper's death, signals to a service's group go by number");
  add(tells_exit_of_the_reaped(), "PIDFD_GET_INFO with the exit status", "6.15",
      "after the keeper's death, the exit status of a service is unknown, which counts as a failure");
  const SandboxSupport& sandboxes = sandbox_support();
  add(sandboxes.seccomp, "seccomp(2) filters", "4.14", "sandbox.deny_syscalls is not held, and status says so");
  add(sandboxes.landlock > 0, "landlock(7)", "5.13", "the paths of a sandbox are not held, and status says so");
  if (sandboxes.landlock > 0)
    add(sandboxes.landlock >= 3, "landlock(7) of version 3", "6.2",
        "files beyond sandbox.write_paths can be truncated");
  return all;
}

std::string kernel_release() {
  utsname name{};
  return ::uname(&name) == 0 ? name.release : "";
}

}  // namespace hearth::os
