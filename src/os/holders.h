// Who has a file open for writing. Evidence of identity where nothing else is left: who holds an instance's lock file is its hearth,
// whatever it is called. Descriptors of strangers are compared without asking the servers of their files, which may hang.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "os/fd.h"

namespace hearth::os {

struct Holder {
  pid_t pid = 0;
  Fd pidfd;             // of the process that was seen with it
  std::string command;  // for people
};

// Other processes that have the file (not another one of the same name) open, as far as we may look: those of our user,
// all for root. Empty when there is no such file.
std::vector<Holder> holders_of(const std::string& path);

// Whether that process has the file open. Looks at no other one.
bool holds_file(pid_t pid, const std::string& path);

// Of a process: how many descriptors it has, may have now, and may let itself have (RLIMIT_NOFILE, soft and hard).
struct DescriptorUse {
  std::uint64_t open = 0, limit = 0, most = 0;
};
std::optional<DescriptorUse> descriptor_use(pid_t pid);  // nullopt: there is none, or we may not look

}  // namespace hearth::os
