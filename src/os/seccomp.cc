#include "os/seccomp.h"

#include <bit>
#include <cerrno>
#include <cstddef>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <set>
#include <sys/syscall.h>

#include "model/system_calls.h"

namespace hearth::os {
namespace {

#if defined(__x86_64__)
constexpr std::uint32_t own_architecture = AUDIT_ARCH_X86_64;
constexpr std::uint32_t foreign_bit = 0x40000000;  // __X32_SYSCALL_BIT
#elif defined(__aarch64__)
constexpr std::uint32_t own_architecture = AUDIT_ARCH_AARCH64;
constexpr std::uint32_t foreign_bit = 0;
#else
constexpr std::uint32_t own_architecture = 0;
constexpr std::uint32_t foreign_bit = 0;
#endif

struct Numbered {
  std::string_view name;
  long number;
};
// What only some machines have stands in an #ifdef.
constexpr Numbered numbers[] = {
#ifdef SYS__sysctl
    {"_sysctl", SYS__sysctl},
#endif
    {"acct", SYS_acct},
    {"add_key", SYS_add_key},
    {"adjtimex", SYS_adjtimex},
    {"bind", SYS_bind},
    {"bpf", SYS_bpf},
    {"chroot", SYS_chroot},
    {"clock_adjtime", SYS_clock_adjtime},
    {"clock_settime", SYS_clock_settime},
    {"clone", SYS_clone},
    {"clone3", SYS_clone3},
    {"connect", SYS_connect},
#ifdef SYS_create_module
    {"create_module", SYS_create_module},
#endif
    {"delete_module", SYS_delete_module},
    {"fanotify_init", SYS_fanotify_init},
    {"finit_module", SYS_finit_module},
    {"fsconfig", SYS_fsconfig},
    {"fsmount", SYS_fsmount},
    {"fsopen", SYS_fsopen},
    {"fspick", SYS_fspick},
#ifdef SYS_get_kernel_syms
    {"get_kernel_syms", SYS_get_kernel_syms},
#endif
    {"init_module", SYS_init_module},
    {"io_uring_enter", SYS_io_uring_enter},
    {"io_uring_register", SYS_io_uring_register},
    {"io_uring_setup", SYS_io_uring_setup},
    {"ioprio_set", SYS_ioprio_set},
#ifdef SYS_ioperm
    {"ioperm", SYS_ioperm},
#endif
#ifdef SYS_iopl
    {"iopl", SYS_iopl},
#endif
    {"kcmp", SYS_kcmp},
    {"kexec_file_load", SYS_kexec_file_load},
    {"kexec_load", SYS_kexec_load},
    {"keyctl", SYS_keyctl},
    {"kill", SYS_kill},
    {"listen", SYS_listen},
    {"lookup_dcookie", SYS_lookup_dcookie},
    {"memfd_create", SYS_memfd_create},
    {"migrate_pages", SYS_migrate_pages},
#ifdef SYS_mknod
    {"mknod", SYS_mknod},
#endif
    {"mknodat", SYS_mknodat},
    {"mlockall", SYS_mlockall},
    {"mount", SYS_mount},
    {"mount_setattr", SYS_mount_setattr},
    {"move_mount", SYS_move_mount},
    {"move_pages", SYS_move_pages},
    {"nfsservctl", SYS_nfsservctl},
    {"open_by_handle_at", SYS_open_by_handle_at},
    {"open_tree", SYS_open_tree},
    {"perf_event_open", SYS_perf_event_open},
    {"personality", SYS_personality},
    {"pidfd_getfd", SYS_pidfd_getfd},
    {"pidfd_send_signal", SYS_pidfd_send_signal},
    {"pivot_root", SYS_pivot_root},
    {"prlimit64", SYS_prlimit64},
#ifdef SYS_process_madvise
    {"process_madvise", SYS_process_madvise},
#endif
#ifdef SYS_process_mrelease
    {"process_mrelease", SYS_process_mrelease},
#endif
    {"process_vm_readv", SYS_process_vm_readv},
    {"process_vm_writev", SYS_process_vm_writev},
    {"ptrace", SYS_ptrace},
#ifdef SYS_query_module
    {"query_module", SYS_query_module},
#endif
    {"quotactl", SYS_quotactl},
    {"quotactl_fd", SYS_quotactl_fd},
    {"reboot", SYS_reboot},
    {"request_key", SYS_request_key},
    {"rt_sigqueueinfo", SYS_rt_sigqueueinfo},
    {"rt_tgsigqueueinfo", SYS_rt_tgsigqueueinfo},
    {"sched_setaffinity", SYS_sched_setaffinity},
    {"sched_setattr", SYS_sched_setattr},
    {"sched_setparam", SYS_sched_setparam},
    {"sched_setscheduler", SYS_sched_setscheduler},
    {"setdomainname", SYS_setdomainname},
    {"sethostname", SYS_sethostname},
    {"setns", SYS_setns},
    {"setpriority", SYS_setpriority},
    {"settimeofday", SYS_settimeofday},
    {"socket", SYS_socket},
    {"swapoff", SYS_swapoff},
    {"swapon", SYS_swapon},
#ifdef SYS_sysfs
    {"sysfs", SYS_sysfs},
#endif
    {"syslog", SYS_syslog},
    {"tgkill", SYS_tgkill},
    {"tkill", SYS_tkill},
    {"umount2", SYS_umount2},
    {"unshare", SYS_unshare},
#ifdef SYS_uselib
    {"uselib", SYS_uselib},
#endif
    {"userfaultfd", SYS_userfaultfd},
#ifdef SYS_ustat
    {"ustat", SYS_ustat},
#endif
    {"vhangup", SYS_vhangup},
};

// The kinds that are made by flags of clone: CLONE_NEWTIME is for unshare alone, and of clone it is part of the exit signal.
constexpr std::uint32_t new_namespaces =
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

static_assert(sizeof(sock_filter) == sizeof(std::uint64_t));

class Program {
 public:
  void load(std::size_t offset) { add(BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<std::uint32_t>(offset)); }
  // What follows is done when the accumulator is `value`; otherwise the next `length` instructions are skipped.
  void if_equal(std::uint32_t value, std::uint8_t length) { add(BPF_JMP | BPF_JEQ | BPF_K, 0, length, value); }
  void unless_equal(std::uint32_t value, std::uint8_t length) { add(BPF_JMP | BPF_JEQ | BPF_K, length, 0, value); }
  void if_any_bit(std::uint32_t bits, std::uint8_t length) { add(BPF_JMP | BPF_JSET | BPF_K, 0, length, bits); }
  void give(std::uint32_t answer) { add(BPF_RET | BPF_K, 0, 0, answer); }
  SeccompFilter take() { return std::move(words_); }

 private:
  void add(int code, std::uint8_t yes, std::uint8_t no, std::uint32_t k) {
    words_.push_back(std::bit_cast<std::uint64_t>(sock_filter{static_cast<std::uint16_t>(code), yes, no, k}));
  }
  SeccompFilter words_;
};

constexpr std::uint32_t with_errno(int code) {
  return SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(code);
}

// Both machines are little-endian.
constexpr std::size_t low_half(std::size_t argument) {
  return offsetof(seccomp_data, args) + argument * sizeof(std::uint64_t);
}
constexpr std::size_t high_half(std::size_t argument) {
  return low_half(argument) + sizeof(std::uint32_t);
}

// prlimit(pid, resource, new, old) sets where there is a new limit, and its own where pid is 0: getrlimit(3) and setrlimit(3)
// are made of it. A process that names itself by its number is refused as well.
void add_limits_of_others(Program& program) {
  program.if_equal(static_cast<std::uint32_t>(SYS_prlimit64), 10);
  program.load(low_half(0));
  program.if_equal(0, 1);
  program.give(SECCOMP_RET_ALLOW);
  for (const std::size_t half : {low_half(2), high_half(2)}) {
    program.load(half);
    program.unless_equal(0, 1);
    program.give(with_errno(EPERM));
  }
  program.give(SECCOMP_RET_ALLOW);
}

}  // namespace

bool can_make_filters() {
  return own_architecture != 0;
}

std::optional<long> system_call_number(std::string_view name) {
  for (const Numbered& call : numbers)
    if (call.name == name) return call.number;
  return std::nullopt;
}

SeccompFilter deny_filter(const std::vector<std::string>& words) {
  std::set<long> denied;
  for (const std::string& word : words)
    for (const std::string_view name : system_calls_of(word))
      if (const std::optional<long> number = system_call_number(name)) denied.insert(*number);
  if (denied.empty() || !can_make_filters()) return {};
  // Who may not make a namespace by clone may not make one by the call that does the same.
  if (denied.contains(SYS_clone)) denied.insert(SYS_clone3);
  Program program;
  program.load(offsetof(seccomp_data, arch));
  program.unless_equal(own_architecture, 1);
  program.give(SECCOMP_RET_KILL_PROCESS);
  program.load(offsetof(seccomp_data, nr));
  if (foreign_bit != 0) {
    program.if_any_bit(foreign_bit, 1);
    program.give(with_errno(EPERM));
  }
  // Of clone and prlimit64 the number alone says nothing: their arguments are looked at, and they come last.
  for (const long number : denied) {
    if (number == SYS_clone || number == SYS_prlimit64) continue;
    program.if_equal(static_cast<std::uint32_t>(number), 1);
    program.give(with_errno(number == SYS_clone3 ? ENOSYS : EPERM));
  }
  if (denied.contains(SYS_clone)) {
    program.if_equal(static_cast<std::uint32_t>(SYS_clone), 4);
    program.load(low_half(0));
    program.if_any_bit(new_namespaces, 1);
    program.give(with_errno(EPERM));
    program.give(SECCOMP_RET_ALLOW);
  }
  if (denied.contains(SYS_prlimit64)) add_limits_of_others(program);
  program.give(SECCOMP_RET_ALLOW);
  return program.take();
}

}  // namespace hearth::os
