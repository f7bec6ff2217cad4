#include "model/system_calls.h"

#include <algorithm>
#include <array>

namespace hearth {
namespace {

using Name = std::string_view;

constexpr std::array admin = {Name("acct"),     Name("bpf"),         Name("fanotify_init"), Name("open_by_handle_at"),
                              Name("quotactl"), Name("quotactl_fd"), Name("setdomainname"), Name("sethostname"),
                              Name("syslog"),   Name("userfaultfd"), Name("vhangup")};
constexpr std::array clock = {Name("adjtimex"), Name("clock_adjtime"), Name("clock_settime"), Name("settimeofday")};
constexpr std::array debug = {Name("kcmp"),
                              Name("lookup_dcookie"),
                              Name("perf_event_open"),
                              Name("pidfd_getfd"),
                              Name("prlimit64"),
                              Name("process_madvise"),
                              Name("process_mrelease"),
                              Name("process_vm_readv"),
                              Name("process_vm_writev"),
                              Name("ptrace")};
constexpr std::array io_uring = {Name("io_uring_enter"), Name("io_uring_register"), Name("io_uring_setup")};
constexpr std::array keyring = {Name("add_key"), Name("keyctl"), Name("request_key")};
constexpr std::array module = {Name("delete_module"), Name("finit_module"), Name("init_module")};
constexpr std::array mount = {Name("chroot"),    Name("fsconfig"),   Name("fsmount"),       Name("fsopen"),
                              Name("fspick"),    Name("mount"),      Name("mount_setattr"), Name("move_mount"),
                              Name("open_tree"), Name("pivot_root"), Name("umount2")};
constexpr std::array namespaces = {Name("clone"), Name("clone3"), Name("setns"), Name("unshare")};
constexpr std::array obsolete = {Name("_sysctl"),    Name("create_module"), Name("get_kernel_syms"),
                                 Name("nfsservctl"), Name("query_module"),  Name("sysfs"),
                                 Name("uselib"),     Name("ustat")};
constexpr std::array raw_io = {Name("ioperm"), Name("iopl")};
constexpr std::array reboot = {Name("kexec_file_load"), Name("kexec_load"), Name("reboot")};
// All that sends one by a call of its own. fcntl(2) has the kernel send one when a descriptor is ready (F_SETOWN, F_SETSIG):
// that can only be seen in its arguments, and programs need the rest of it. A limit of processor time that is set for another
// process kills it.
constexpr std::array signal = {Name("kill"),
                               Name("pidfd_send_signal"),
                               Name("prlimit64"),
                               Name("rt_sigqueueinfo"),
                               Name("rt_tgsigqueueinfo"),
                               Name("tgkill"),
                               Name("tkill")};
// What a process may have of the machine: most of these can be done to any process of the same user.
constexpr std::array resources = {Name("ioprio_set"),     Name("migrate_pages"),      Name("move_pages"),
                                  Name("prlimit64"),      Name("sched_setaffinity"),  Name("sched_setattr"),
                                  Name("sched_setparam"), Name("sched_setscheduler"), Name("setpriority")};
constexpr std::array swap = {Name("swapoff"), Name("swapon")};
// In no group: many programs use them, so who denies one names it.
constexpr std::array others = {Name("bind"),         Name("connect"),     Name("listen"),
                               Name("memfd_create"), Name("mknod"),       Name("mknodat"),
                               Name("mlockall"),     Name("personality"), Name("socket")};

constexpr std::array groups = {
    SystemCallGroup{"@admin", admin},          SystemCallGroup{"@clock", clock},
    SystemCallGroup{"@debug", debug},          SystemCallGroup{"@io-uring", io_uring},
    SystemCallGroup{"@keyring", keyring},      SystemCallGroup{"@module", module},
    SystemCallGroup{"@mount", mount},          SystemCallGroup{"@namespaces", namespaces},
    SystemCallGroup{"@obsolete", obsolete},    SystemCallGroup{"@raw-io", raw_io},
    SystemCallGroup{"@reboot", reboot},        SystemCallGroup{"@resources", resources, false},
    SystemCallGroup{"@signal", signal, false}, SystemCallGroup{"@swap", swap},
};

std::vector<Name> all_names(bool with_others) {
  std::vector<Name> names;
  for (const SystemCallGroup& group : groups)
    if (with_others || group.in_default) names.insert(names.end(), group.calls.begin(), group.calls.end());
  if (with_others) names.insert(names.end(), others.begin(), others.end());
  std::ranges::sort(names);
  names.erase(std::ranges::unique(names).begin(), names.end());
  return names;
}

}  // namespace

std::span<const SystemCallGroup> system_call_groups() {
  return groups;
}

std::span<const std::string_view> system_call_names() {
  static const std::vector<Name> names = all_names(true);
  return names;
}

std::vector<std::string_view> system_calls_of(std::string_view word) {
  if (word == "@default") return all_names(false);
  for (const SystemCallGroup& group : groups)
    if (group.name == word) return {group.calls.begin(), group.calls.end()};
  if (std::ranges::binary_search(system_call_names(), word)) return {word};
  return {};
}

}  // namespace hearth
