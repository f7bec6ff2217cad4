#include "cli/sandbox_words.h"

#include <set>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "model/system_calls.h"

namespace hearth::cli {

std::string sandbox_words(const Sandbox& sandbox) {
  std::vector<std::string> parts;
  const auto paths = [&](bool limited, const char* does, const std::vector<std::string>& allowed) {
    if (!limited) return;
    parts.push_back(allowed.empty() ? fmt::format("{} nothing", does)
                                    : fmt::format("{} only below {}", does, fmt::join(allowed, ", ")));
  };
  paths(sandbox.limits_writing, "writes", sandbox.write_paths);
  paths(sandbox.limits_reading, "reads", sandbox.read_paths);
  paths(sandbox.limits_executing, "executes", sandbox.exec_paths);
  if (!sandbox.deny_syscalls.empty()) {
    std::set<std::string_view> calls;
    for (const std::string& word : sandbox.deny_syscalls)
      for (const std::string_view call : system_calls_of(word)) calls.insert(call);
    parts.push_back(fmt::format("denies {} ({} system call{})", fmt::join(sandbox.deny_syscalls, ", "), calls.size(),
                                calls.size() == 1 ? "" : "s"));
  }
  return fmt::format("{}", fmt::join(parts, "; "));
}

}  // namespace hearth::cli
