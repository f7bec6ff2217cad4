// System calls that come back with an error, by seccomp(2): for the calling thread and whom it starts from then on, and for ever.
#pragma once

#include <cstddef>
#include <cstdint>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace hearth::support {

struct Refusal {
  int call;
  int error;
  // Only where this argument has one of these bits; 0 = whatever the arguments are.
  unsigned index = 0;
  unsigned mask = 0;
};

// Where there is no seccomp, the process ends with 126.
inline void refuse(const Refusal& refusal) {
  const unsigned argument = offsetof(seccomp_data, args) + refusal.index * sizeof(std::uint64_t);
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(refusal.call), 0, 4),
      BPF_JUMP(BPF_JMP | BPF_JA, refusal.mask == 0 ? 2u : 0u, 0, 0),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, refusal.mask, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(refusal.error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {sizeof code / sizeof code[0], code};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
    ::_exit(126);
}

}  // namespace hearth::support
