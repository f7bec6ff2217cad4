// A filter of seccomp(2) that denies system calls, as instructions of classic BPF for a spawn plan.
//
// Model
// -----
// A list of what is denied, not of what is allowed: hearth starts programs that it knows nothing of, and a list of all that
// they need would be wrong for most, and with each new libc. So it takes away what daemons do not need and who breaks in
// does; it is no wall by itself.
//
//   foreign architecture   SIGSYS: the same machine takes 32-bit calls (int 0x80), whose numbers mean something else
//   x32 (x86-64)           EPERM, all of them
//   clone                  EPERM with a flag that makes a namespace; else as ever
//   clone3                 ENOSYS, also with clone alone: its flags are behind a pointer, where a filter cannot look; libraries then use clone
//   denied                 EPERM
//   else                   allowed; kernels from 5.11 on keep a bitmap of these and do not run the filter for them
//
// libseccomp does this for any policy on any machine; for a list of numbers it would be a library more in a process that
// lives for years. The numbers are those of <sys/syscall.h>; names that the machine has not are left out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::os {

// Each is one struct sock_filter, as wire::PlanHeader::filter has it.
using SeccompFilter = std::vector<std::uint64_t>;

// False: this program was built for a machine whose numbers it does not know, and filters are empty.
bool can_make_filters();
// Of the words of Sandbox::deny_syscalls; none for none. Unknown words count as nothing.
SeccompFilter deny_filter(const std::vector<std::string>& words);
// On this machine; nullopt: it has no such system call.
std::optional<long> system_call_number(std::string_view name);

}  // namespace hearth::os
