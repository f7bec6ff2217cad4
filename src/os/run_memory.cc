#include "os/run_memory.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <unistd.h>

#include "os/fd.h"

namespace hearth::os {

std::optional<std::uint64_t> proportional_kib(pid_t pid) {
  const std::string process = "/proc/" + std::to_string(pid);
  const Result<std::string> text = read_file(process + "/smaps_rollup");
  if (!text) {
    // A kernel may have been built without that file.
    const int code = text.error().code;
    const bool gone = code == ESRCH || (code == ENOENT && ::access(process.c_str(), F_OK) < 0);
    return gone ? std::optional<std::uint64_t>(0) : std::nullopt;
  }
  const std::size_t at = text->find("\nPss:");
  if (at == text->npos) return std::nullopt;
  return std::strtoull(text->c_str() + at + 5, nullptr, 10);
}

std::uint64_t memory_kib(const std::vector<RunMember>& members, std::uint64_t enough_kib) {
  std::uint64_t resident = 0;
  std::uint64_t greatest = 0;
  for (const RunMember& member : members) {
    resident += member.resident_kib;
    greatest = std::max(greatest, member.resident_kib);
  }
  if (resident <= enough_kib) return resident;
  if (greatest > enough_kib) return greatest;
  std::uint64_t sum = 0;
  for (const RunMember& member : members) sum += proportional_kib(member.pid).value_or(member.resident_kib);
  return sum;
}

Result<std::uint64_t> memory_kib(Census& census, const RunIdentity& run, std::uint64_t enough_kib, MonoNs asked) {
  const std::vector<RunMember> members = census.members_of(run, asked);
  if (members.empty())
    return failure(Remedy::try_later, "measure", "the memory of " + run.label, "no process of it can be seen in /proc");
  return memory_kib(members, enough_kib);
}

}  // namespace hearth::os
