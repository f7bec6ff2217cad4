// What the kernel lets it touch and use: `sandbox` and `cgroup`. What they mean: os/sandbox.h, os/cgroup.h
#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <fmt/core.h>

#include "base/nearest.h"
#include "config/numbers.h"
#include "config/service_keys.h"
#include "config/text.h"
#include "model/system_calls.h"

namespace hearth::config {
namespace {

constexpr std::size_t max_paths = 256;

// Relative ones become absolute when the working directory is known.
void read_paths(Reader& r, const Node& value, std::string_view key, bool& said, std::vector<std::string>& out) {
  std::vector<std::string> paths;
  if (value.kind != Node::Kind::array) {
    const bool text = value.kind == Node::Kind::string;
    return r.wrong_type(
        value, key, "an array of paths",
        fmt::format("write {} = [{}]", key.substr(key.rfind('.') + 1), quote(text ? value.text : std::string("/usr"))));
  }
  if (!r.expanded_list(value, key, paths)) return;
  if (paths.size() > max_paths)
    return r.problem(value.at, fmt::format("{} has {} paths, more than {}", key, paths.size(), max_paths),
                     "name the directory that they are in");
  for (std::size_t i = 0; i < paths.size(); ++i) {
    const std::string name = fmt::format("{}[{}]", key, i);
    if (paths[i].find_first_of("*?") != std::string::npos)
      return r.problem(value.items[i].at,
                       fmt::format("{} is {}, and patterns are not for a sandbox", name, quote(paths[i])),
                       "name a directory: all that is below it is meant, also what comes later");
    if (!r.at_home(value.items[i], name, paths[i])) return;
    if (paths[i].empty()) return r.problem(value.items[i].at, fmt::format("{} is empty", name), "write a path");
  }
  said = true;
  out = std::move(paths);
}

std::string syscall_remedy(std::string_view word) {
  if (word.starts_with('~')) return "leave the ~ out: what is named is denied";
  std::vector<std::string_view> words(system_call_names().begin(), system_call_names().end());
  for (const SystemCallGroup& group : system_call_groups()) words.push_back(group.name);
  words.emplace_back("@default");
  std::string_view near = nearest(word, words);
  if (near.empty() && !word.starts_with('@')) near = nearest("@" + std::string(word), words);
  if (!near.empty()) return fmt::format("did you mean {}?", quote(near));
  return "\"@default\" is what most services can do without; the reference has all names and groups";
}

void read_syscalls(Reader& r, const Node& value, std::string_view key, Sandbox& box) {
  if (value.kind != Node::Kind::array) {
    const bool text = value.kind == Node::Kind::string;
    return r.wrong_type(value, key, "an array of system calls",
                        fmt::format("write deny_syscalls = [{}]", quote(text ? value.text : std::string("@default"))));
  }
  std::vector<std::string> words;
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    const std::string name = fmt::format("{}[{}]", key, i);
    std::string word;
    if (!r.text(value.items[i], name, word)) return;
    if (system_calls_of(word).empty())
      return r.problem(value.items[i].at,
                       fmt::format("{} is {}, not a system call or group that can be denied", name, quote(word)),
                       syscall_remedy(word));
    if (std::ranges::find(words, word) == words.end()) words.push_back(std::move(word));
  }
  box.deny_syscalls = std::move(words);
}

std::string syscalls_json() {
  std::string words = R"("@default")";
  for (const SystemCallGroup& group : system_call_groups()) words += fmt::format(R"(,"{}")", group.name);
  for (const std::string_view name : system_call_names()) words += fmt::format(R"(,"{}")", name);
  return fmt::format(R"("type":"array","items":{{"enum":[{}]}})", words);
}

void read_sandbox(Reader& r, const Node& value, std::string_view key, ServiceDraft& draft) {
  static const std::string of_syscalls = syscalls_json();
  static const std::array<KeyRule<Sandbox>, 5> rules = {{
      {"read_paths",
       [](Reader& q, const Node& v, std::string_view k, Sandbox& t) {
         read_paths(q, v, k, t.limits_reading, t.read_paths);
       },
       "It reads (and executes) only these, what is below them, and what it may write.",
       R"("type":"array","items":{"type":"string"})"},
      {"write_paths",
       [](Reader& q, const Node& v, std::string_view k, Sandbox& t) {
         read_paths(q, v, k, t.limits_writing, t.write_paths);
       },
       "It changes files only here and below.", R"("type":"array","items":{"type":"string"})"},
      {"exec_paths",
       [](Reader& q, const Node& v, std::string_view k, Sandbox& t) {
         read_paths(q, v, k, t.limits_executing, t.exec_paths);
       },
       "It executes programs, their loaders and interpreters only from here.",
       R"("type":"array","items":{"type":"string"})"},
      {"deny_syscalls", read_syscalls, "System calls that fail with EPERM: names, groups, or [\"@default\"].",
       of_syscalls},
      {"required", [](Reader& q, const Node& v, std::string_view k, Sandbox& t) { q.flag(v, k, t.required); },
       "Where the kernel cannot hold all of it: refused, instead of started with a note in status."},
  }};
  r.table<Sandbox>(value, key, rules, Scope::sandbox, draft.spec.process.edit().sandbox.edit());
}

// "150%" of one processor.
void read_cpu_max(Reader& r, const Node& value, std::string_view key, CgroupLimits& limits) {
  constexpr std::uint64_t most = 1'000'000;
  std::string_view text = value.kind == Node::Kind::string ? std::string_view(value.text) : "";
  std::optional<std::uint64_t> number;
  if (text.ends_with('%')) number = parse_number(text.substr(0, text.size() - 1));
  if (!number || *number > most)
    return r.problem(value.at, fmt::format("{} is {}, not a share of a processor", key, value.described()),
                     "write \"150%\" for one and a half processors, \"0%\" for no limit");
  limits.cpu_max = static_cast<std::uint32_t>(*number);
}

// 0 is no limit, also where a template has one.
void read_cgroup(Reader& r, const Node& value, std::string_view key, ServiceDraft& draft) {
  static constexpr SizeRange memory{std::uint64_t{1} << 20, std::uint64_t{1} << 50, true};
  static constexpr std::array<KeyRule<CgroupLimits>, 6> rules = {{
      {"memory_high",
       [](Reader& q, const Node& v, std::string_view k, CgroupLimits& t) { q.size(v, k, memory, t.memory_high); },
       "Beyond it a run is slowed down, and memory is taken back from it."},
      {"memory_max",
       [](Reader& q, const Node& v, std::string_view k, CgroupLimits& t) { q.size(v, k, memory, t.memory_max); },
       "Beyond it the kernel kills in the run."},
      {"pids_max",
       [](Reader& q, const Node& v, std::string_view k, CgroupLimits& t) {
         q.integer(v, k, 0, std::uint32_t{1} << 22, t.pids_max);
       },
       "Processes and threads of a run."},
      {"cpu_max", read_cpu_max, "Processor time at most: \"150%\" is one and a half processors.",
       R"("type":"string","pattern":"^[0-9]+%$")", R"("0%")"},
      {"cpu_weight",
       [](Reader& q, const Node& v, std::string_view k, CgroupLimits& t) { q.integer(v, k, 0, 10000, t.cpu_weight); },
       "Its part of the processors beside others of the same hearth; 100 is usual."},
      {"io_weight",
       [](Reader& q, const Node& v, std::string_view k, CgroupLimits& t) { q.integer(v, k, 0, 10000, t.io_weight); },
       "Its part of the disks beside others of the same hearth; 100 is usual."},
  }};
  CgroupLimits& limits = draft.spec.process.edit().cgroup;
  if (!r.table<CgroupLimits>(value, key, rules, Scope::cgroup, limits)) return;
  if (limits.memory_max == 0 || limits.memory_high <= limits.memory_max) return;
  const Entry* high = value.find("memory_high");
  r.problem(high != nullptr ? high->at : value.at, fmt::format("{}: memory_high is above memory_max", key),
            "exchange them: memory_high slows down before memory_max kills");
}

void finish_sandbox(Reader&, ServiceDraft& draft) {
  if (draft.spec.process->sandbox.is_usual()) return;
  Sandbox& box = draft.spec.process.edit().sandbox.edit();
  for (auto* paths : {&box.read_paths, &box.write_paths, &box.exec_paths})
    for (std::string& path : *paths) {
      path = (std::filesystem::path(draft.spec.cwd) / path).lexically_normal().string();
      if (path.size() > 1 && path.ends_with('/')) path.pop_back();
    }
}

constexpr std::array rules = {
    ServiceRule{"sandbox", read_sandbox, "What it may touch: files by Landlock, system calls by seccomp."},
    ServiceRule{"cgroup", read_cgroup, "What a run may use, by its cgroup."},
};

}  // namespace

KeyGroup sandbox_keys() {
  return {rules, finish_sandbox};
}

}  // namespace hearth::config
