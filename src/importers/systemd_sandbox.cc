#include "importers/systemd_sandbox.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "importers/sizes.h"
#include "importers/systemd_values.h"
#include "importers/words.h"
#include "model/system_calls.h"

namespace hearth::importers {
namespace {

constexpr std::uint64_t most_processes = 1u << 22;

struct LimitKey {
  std::string_view theirs, ours;
};
constexpr std::array limit_keys = {
    LimitKey{"MemoryMax", "memory_max"}, LimitKey{"MemoryLimit", "memory_max"}, LimitKey{"MemoryHigh", "memory_high"},
    LimitKey{"TasksMax", "pids_max"},    LimitKey{"CPUQuota", "cpu_max"},       LimitKey{"CPUWeight", "cpu_weight"},
    LimitKey{"IOWeight", "io_weight"},
};

// As TOML; nullopt: hearth cannot say it.
std::optional<std::string> amount_of(std::string_view ours, const std::string& value) {
  if (ours.starts_with("memory")) {
    const std::optional<std::uint64_t> bytes = bytes_of(value);
    return bytes && *bytes >= least_max_memory ? std::optional(quoted(size_of_bytes(*bytes))) : std::nullopt;
  }
  const bool share = ours == "cpu_max";
  const std::optional<std::int64_t> count =
      count_of(share && value.ends_with('%') ? value.substr(0, value.size() - 1) : value);
  if (!count || *count < 1 || (share && !value.ends_with('%'))) return std::nullopt;
  const std::uint64_t most = share ? 1'000'000 : ours == "pids_max" ? most_processes : 10'000;
  if (static_cast<std::uint64_t>(*count) > most) return std::nullopt;
  return share ? quoted(std::to_string(*count) + "%") : std::to_string(*count);
}

}  // namespace

bool SandboxKeys::limit(Service& service, const IniEntry& entry, const Wanting& wanting) {
  const auto known = std::ranges::find(limit_keys, std::string_view(entry.key), &LimitKey::theirs);
  if (known == limit_keys.end()) return false;
  if (entry.value.empty() || entry.value == "infinity") return true;
  if (const std::optional<std::string> amount = amount_of(known->ours, entry.value))
    service.set_in("cgroup", known->ours, *amount);
  else
    wanting(
        entry.line, entry.key + "=" + entry.value + " is not carried over",
        "write cgroup = { " + std::string(known->ours) + " = ... }, in bytes, numbers or hundredths of a processor");
  return true;
}

void SandboxKeys::add_paths(std::vector<std::string>& paths, const IniEntry& entry, const std::string& value,
                            const Wanting& wanting) {
  if (value.empty()) return paths.clear();
  for (std::string path : split_list(value, " \t")) {
    const bool may_be_missing = path.find('-') < path.find('/');
    path.erase(0, std::min(path.find('/'), path.size()));
    if (path.empty()) continue;
    if (may_be_missing)
      wanting(entry.line, entry.key + "=-" + path + ": it has to be there in hearth", "take it out where it is not");
    paths.push_back(std::move(path));
  }
}

// Without '~' it is a list of what is allowed, which hearth does not have.
void SandboxKeys::deny(const IniEntry& entry, const Wanting& wanting) {
  if (entry.value.empty()) return denied_.clear();
  if (!entry.value.starts_with('~'))
    return wanting(entry.line, entry.key + "=" + entry.value + " is not carried over: hearth says what is denied",
                   "sandbox = { deny_syscalls = [\"@default\"] } is near to it");
  denied_line_ = entry.line;
  for (const std::string& word : split_list(std::string_view(entry.value).substr(1), " \t")) {
    if (word == "prlimit64")
      wanting(entry.line, entry.key + ": prlimit64 is denied only for the limits of other processes",
              "its own limits a program could set with setrlimit(2) as well; cap them with limits");
    // Some names are of groups that mean something else here or there; the others are alike.
    if (word != "@default" && word != "@resources" && word != "@signal" && !system_calls_of(word).empty())
      denied_.push_back(word);
    else
      wanting(entry.line, entry.key + ": " + word + " is nothing that hearth denies", "the reference has its groups");
  }
}

bool SandboxKeys::take(Service& service, const IniEntry& entry, const Expand& expand, const Wanting& wanting) {
  if (limit(service, entry, wanting)) return true;
  if (entry.key == "SystemCallFilter") return deny(entry, wanting), true;
  if (entry.key == "SystemCallErrorNumber") return answers_eperm_ = entry.value == "EPERM", true;
  if (entry.key == "SystemCallArchitectures" && entry.value == "native") return true;
  if (entry.key == "ProtectSystem" && entry.value == "strict") return strict_line_ = entry.line, true;
  if (entry.key == "ReadWritePaths" || entry.key == "ReadWriteDirectories") {
    written_line_ = entry.line;
    return add_paths(written_, entry, expand(entry), wanting), true;
  }
  if (entry.key == "ExecPaths") {
    executed_line_ = entry.line;
    return add_paths(executed_, entry, expand(entry), wanting), true;
  }
  if (entry.key == "NoExecPaths" && entry.value == "/") return nothing_executed_ = true, true;
  return false;
}

void SandboxKeys::finish(Service& service, const Wanting& wanting) const {
  if (strict_line_ != 0) {
    std::vector<std::string> paths = written_;
    for (const char* left : {"/dev", "/proc", "/sys"}) paths.emplace_back(left);  // by systemd, too
    service.set_in("sandbox", "write_paths", quoted_list(paths));
  } else if (!written_.empty()) {
    wanting(written_line_, "ReadWritePaths= says nothing where all may be written, and is left out",
            "sandbox = { write_paths = [...] } allows these and no others");
  }
  if (nothing_executed_)
    service.set_in("sandbox", "exec_paths", quoted_list(executed_));
  else if (!executed_.empty())
    wanting(executed_line_, "ExecPaths= says nothing without NoExecPaths=/, and is left out", "");
  if (denied_.empty()) return;
  service.set_in("sandbox", "deny_syscalls", quoted_list(denied_));
  if (!answers_eperm_)
    wanting(denied_line_, "a system call that is denied fails with EPERM, and the program is not killed", "");
}

}  // namespace hearth::importers
