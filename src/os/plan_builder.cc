#include "os/plan_builder.h"

#include <algorithm>
#include <concepts>
#include <cstdio>
#include <cstring>
#include <deque>
#include <map>
#include <string_view>
#include <sys/resource.h>
#include <unistd.h>

#include "os/sandbox.h"
#include "wire/spawn_plan.h"

namespace hearth::os {
namespace {

// Appends strings and tables behind a header and keeps their offsets.
class PlanBytes {
 public:
  PlanBytes() {
    bytes_.reserve(4096);
    bytes_.assign(sizeof(wire::PlanHeader), '\0');
  }

  // The parts as one string.
  std::uint32_t string(std::convertible_to<std::string_view> auto... parts) {
    const std::uint32_t at = size();
    (bytes_.append(parts), ...);
    bytes_ += '\0';
    return at;
  }

  template <typename Record>
  wire::PlanTable table(const std::vector<Record>& records) {
    if (records.empty()) return {0, 0};
    bytes_.resize((bytes_.size() + alignof(Record) - 1) / alignof(Record) * alignof(Record), '\0');
    wire::PlanTable table{size(), static_cast<std::uint32_t>(records.size())};
    bytes_.append(reinterpret_cast<const char*>(records.data()), records.size() * sizeof(Record));
    return table;
  }

  wire::PlanTable strings(const std::vector<std::string>& texts) {
    std::vector<std::uint32_t> offsets;
    offsets.reserve(texts.size());
    for (const std::string& text : texts) offsets.push_back(string(text));
    return table(offsets);
  }

  std::uint32_t size() const { return static_cast<std::uint32_t>(bytes_.size()); }

  std::string finish(wire::PlanHeader& header) {
    header.size = size();
    std::memcpy(bytes_.data(), &header, sizeof header);
    return std::move(bytes_);
  }

 private:
  std::string bytes_;
};

// Sorted by name, each once. Views of the document, of the specification and of `own`: a restart builds one, so
// nothing is copied before it is in the plan.
struct Environment {
  struct Variable {
    std::string_view name, value;
  };
  std::vector<Variable> variables;
  std::deque<std::string> own;

  void add(std::string_view name, std::string value) {
    variables.push_back({name, own.emplace_back(std::move(value))});
  }
  // Of equal names the one that was added last holds.
  void settle() {
    std::stable_sort(variables.begin(), variables.end(),
                     [](const Variable& a, const Variable& b) { return a.name < b.name; });
    std::size_t kept = 0;
    for (std::size_t i = 0; i < variables.size(); ++i)
      if (i + 1 == variables.size() || variables[i + 1].name != variables[i].name) variables[kept++] = variables[i];
    variables.resize(kept);
  }
  // Before settle().
  std::string_view last(std::string_view name) const {
    std::string_view value;
    for (const Variable& variable : variables)
      if (variable.name == name) value = variable.value;
    return value;
  }
  // Sorted.
  const std::string_view* find(std::string_view name) const {
    for (const Variable& variable : variables)
      if (variable.name == name) return &variable.value;
    return nullptr;
  }
};

constexpr std::string_view pid_field = "0000000000";

bool ours(std::string_view name) {
  return name.starts_with("HEARTH_") || name.starts_with("LISTEN_") || name == "NOTIFY_SOCKET" ||
         name.starts_with("WATCHDOG_");
}

// Of directories that another service manager has made for whoever called us.
bool of_the_caller(std::string_view name) {
  return name == "CREDENTIALS_DIRECTORY" || name == "RUNTIME_DIRECTORY" || name == "STATE_DIRECTORY" ||
         name == "CACHE_DIRECTORY";
}

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ":") + name;
  return out;
}

Environment environment_of(const ports::SpawnOrder& order, const PlanContext& context) {
  Environment env;
  const auto given = [&](std::string_view name, std::string_view value) {
    if (!ours(name)) env.variables.push_back({name, value});
  };
  if (order.document != nullptr) {
    env.variables.reserve(order.document->environment.size() + order.spec->env.size() + 8);
    for (const std::string_view pair : order.document->environment) {
      const std::size_t equals = pair.find('=');
      if (equals == std::string_view::npos || equals == 0 || of_the_caller(pair.substr(0, equals))) continue;
      given(pair.substr(0, equals), pair.substr(equals + 1));
    }
  }
  for (const auto& [name, value] : order.spec->env) given(name, value);
  for (const auto& [name, value] : order.variables) env.add(name, value);
  const auto prepend = [&](std::string_view name, const std::vector<std::string>& paths) {
    if (paths.empty()) return;
    const std::string_view rest = env.last(name);
    env.add(name, joined(paths) + (rest.empty() ? "" : ":") + std::string(rest));
  };
  prepend("LD_LIBRARY_PATH", order.spec->around->library_path);
  prepend("LD_PRELOAD", order.spec->around->preload);
  for (const auto& [name, value] : context.own) env.add(name, value);
  env.add("HEARTH_RUN", std::to_string(order.run));
  env.add("HEARTH_SLOT", order.label);
  env.add("HEARTH_INSTANCE", context.instance_directory);
  if (!context.notify_path.empty()) env.add("NOTIFY_SOCKET", context.notify_path);
  if (order.watchdog > 0) {
    env.add("WATCHDOG_USEC", std::to_string(order.watchdog / ns_per_us));
    env.add("WATCHDOG_PID", std::string(pid_field));
  }
  if (!context.passed.empty()) {
    env.add("LISTEN_FDS", std::to_string(context.passed.size()));
    env.add("LISTEN_FDNAMES", joined(context.passed));
    env.add("LISTEN_PID", std::string(pid_field));
  }
  env.settle();
  return env;
}

void add_environment(const Environment& env, PlanBytes& bytes, wire::PlanHeader& header) {
  std::vector<std::uint32_t> offsets;
  std::vector<std::uint32_t> patches;
  for (const auto& [name, value] : env.variables) {
    const std::uint32_t at = bytes.string(name, "=", value);
    offsets.push_back(at);
    if (name == "LISTEN_PID" || name == "WATCHDOG_PID")
      patches.push_back(at + static_cast<std::uint32_t>(name.size()) + 1);
  }
  header.env = bytes.table(offsets);
  header.pid_patches = bytes.table(patches);
}

// execvp(3): an empty element of PATH is the working directory.
std::vector<std::string> candidates(const std::string& program, const Environment& env) {
  if (program.find('/') != std::string::npos) return {program};
  const std::string_view* const found = env.find("PATH");
  const std::string path(found == nullptr ? std::string_view(default_path) : *found);
  std::vector<std::string> out;
  std::size_t at = 0;
  while (at <= path.size()) {
    std::size_t end = path.find(':', at);
    if (end == std::string::npos) end = path.size();
    std::string directory = path.substr(at, end - at);
    out.push_back((directory.empty() ? "." : directory) + "/" + program);
    at = end + 1;
  }
  return out;
}

Result<std::string> expand(const std::string& argument, const std::vector<std::string>& passed) {
  std::string out;
  std::size_t at = 0;
  for (;;) {
    std::size_t open = argument.find("{fd:", at);
    std::size_t close = open == std::string::npos ? open : argument.find('}', open);
    if (close == std::string::npos) return out + argument.substr(at);
    const std::string name = argument.substr(open + 4, close - open - 4);
    out += argument.substr(at, open - at);
    std::size_t index = 0;
    while (index < passed.size() && passed[index] != name) ++index;
    if (index == passed.size())
      return failure(Remedy::fix_input, "expand", argument, "the service has no socket named \"" + name + "\"",
                     passed.empty() ? "add it under listen" : "it has " + joined(passed));
    out += std::to_string(3 + index);
    at = close + 1;
  }
}

struct LimitName {
  const char* name;
  std::uint32_t resource;
};
constexpr LimitName limit_names[] = {
    {"as", RLIMIT_AS},           {"core", RLIMIT_CORE},         {"cpu", RLIMIT_CPU},
    {"data", RLIMIT_DATA},       {"fsize", RLIMIT_FSIZE},       {"locks", RLIMIT_LOCKS},
    {"memlock", RLIMIT_MEMLOCK}, {"msgqueue", RLIMIT_MSGQUEUE}, {"nice", RLIMIT_NICE},
    {"nofile", RLIMIT_NOFILE},   {"nproc", RLIMIT_NPROC},       {"rss", RLIMIT_RSS},
    {"rtprio", RLIMIT_RTPRIO},   {"rttime", RLIMIT_RTTIME},     {"sigpending", RLIMIT_SIGPENDING},
    {"stack", RLIMIT_STACK},
};

Result<std::vector<wire::PlanLimit>> limits_of(const ProcessSettings& process, const PlanContext& context) {
  std::map<std::uint32_t, wire::PlanLimit> limits;
  if (context.nofile) limits[RLIMIT_NOFILE] = {RLIMIT_NOFILE, 0, context.nofile->soft, context.nofile->hard};
  rlimit locks{};
  if (context.mark != 0 && ::getrlimit(RLIMIT_LOCKS, &locks) == 0 && context.mark < locks.rlim_max)
    limits[RLIMIT_LOCKS] = {RLIMIT_LOCKS, 0, context.mark, locks.rlim_max};
  for (const ResourceLimit& limit : process.limits) {
    const std::optional<std::uint32_t> resource = resource_of(limit.name);
    if (!resource) return failure(Remedy::fix_input, "set the limit", limit.name, "there is no limit of that name");
    limits[*resource] = {*resource, 0, limit.soft, limit.hard};
  }
  std::vector<wire::PlanLimit> out;
  for (const auto& [resource, limit] : limits) out.push_back(limit);
  return out;
}

// `ready`: the number of the readiness pipe, which follows those that are passed; -1 = none.
std::vector<wire::PlanDescriptor> descriptors_of(std::size_t passed, int ready) {
  std::vector<wire::PlanDescriptor> out = {{0, 0}, {1, 1}, {1, 2}};
  for (std::uint32_t i = 0; i < passed; ++i) out.push_back({2 + i, static_cast<std::int32_t>(3 + i)});
  if (ready >= 0) out.push_back({static_cast<std::uint32_t>(2 + passed), ready});
  return out;
}

int io_priority_of(const Surroundings& around) {
  if (around.io_class == IoClass::none) return wire::plan_keep;
  const int level = around.io_class == IoClass::idle ? 0 : around.io_level;
  return static_cast<int>(around.io_class) << 13 | level;
}

std::vector<std::uint64_t> mask_of(const std::vector<std::uint32_t>& cpus) {
  std::vector<std::uint64_t> words;
  for (const std::uint32_t cpu : cpus) {
    if (words.size() <= cpu / 64) words.resize(cpu / 64 + 1);
    words[cpu / 64] |= std::uint64_t{1} << cpu % 64;
  }
  return words;
}

// Without root nobody can become somebody else; asking to be who we are already is no change.
void set_user(const ProcessSettings& process, PlanBytes& bytes, wire::PlanHeader& header) {
  const bool same = (!process.uid || *process.uid == ::geteuid()) && (!process.gid || *process.gid == ::getegid());
  header.uid = wire::plan_keep_id;
  header.gid = wire::plan_keep_id;
  if (same && ::geteuid() != 0) return;
  if (process.uid) header.uid = *process.uid;
  if (process.gid) header.gid = *process.gid;
  if (process.uid || process.gid) header.groups = bytes.table(process.groups);
}

// Most services say nothing, and pay for no system call.
Result<PrivilegePlan> privileges_of(const ports::SpawnOrder& order, const PlanContext& context) {
  const ProcessSettings& process = *order.spec->process;
  const bool asks = process.capabilities || process.capability_bounding_set;
  const Privileges own = context.privileges ? *context.privileges : asks ? own_privileges() : Privileges();
  return plan_privileges(process, own, order.label);
}

}  // namespace

std::optional<NofileLimit> parse_nofile(const char* text) {
  if (text == nullptr) return std::nullopt;
  unsigned long long soft = 0;
  unsigned long long hard = 0;
  int used = 0;
  if (std::sscanf(text, "%llu:%llu%n", &soft, &hard, &used) != 2 || text[used] != 0 || soft > hard) return std::nullopt;
  return NofileLimit{soft, hard};
}

std::optional<std::uint32_t> resource_of(std::string_view name) {
  for (const LimitName& known : limit_names)
    if (name == known.name) return known.resource;
  return std::nullopt;
}

std::vector<std::string> program_paths(const ports::SpawnOrder& order) {
  const std::vector<std::string>& command = *order.command;
  if (command.empty() || command[0].empty() || command[0].find("{fd:") != std::string::npos) return {};
  return candidates(command[0], environment_of(order, PlanContext{}));
}

Result<std::string> build_plan(const ports::SpawnOrder& order, const PlanContext& context) {
  const ServiceSpec& spec = *order.spec;
  const ProcessSettings& process = *spec.process;
  const std::vector<std::string>& command = *order.command;
  if (command.empty() || command[0].empty())
    return failure(Remedy::fix_input, "start", order.label, "its command is empty");
  if (context.passed.size() + 3 > wire::plan_descriptors_max)
    return failure(Remedy::fix_input, "start", order.label, "it would get too many descriptors",
                   "lower fdstore_max or the number of sockets");
  if (context.ready_descriptor >= 0 && static_cast<std::size_t>(context.ready_descriptor) < 3 + context.passed.size())
    return failure(Remedy::fix_input, "start", order.label,
                   "its readiness descriptor " + std::to_string(context.ready_descriptor) +
                       " is the number of a socket or of a stored descriptor",
                   "write a greater number in ready = \"fd:NUMBER\"");
  // A client that left the name for us to look up: never as root instead.
  if ((!process.user.empty() && !process.uid) || (!process.group.empty() && !process.gid))
    return failure(Remedy::fix_input, "start", order.label, "its user or group was not resolved to a number",
                   "apply it with `hearth up`");
  PlanBytes bytes;
  wire::PlanHeader header{};
  header.magic = wire::plan_magic;
  header.version = wire::plan_version;
  header.entry = order.entry;
  header.run = order.run;

  const Environment env = environment_of(order, context);
  std::vector<std::string> arguments;
  for (const std::string& argument : command) {
    Result<std::string> expanded = expand(argument, context.passed);
    if (!expanded) return expanded;
    arguments.push_back(std::move(*expanded));
  }
  Result<std::vector<wire::PlanLimit>> limits = limits_of(process, context);
  if (!limits) return failure(limits.error());
  const Result<PrivilegePlan> privileges = privileges_of(order, context);
  if (!privileges) return failure(privileges.error());

  header.paths = bytes.strings(candidates(arguments[0], env));
  header.argv = bytes.strings(arguments);
  add_environment(env, bytes, header);
  header.descriptors = bytes.table(descriptors_of(context.passed.size(), context.ready_descriptor));
  header.limits = bytes.table(*limits);
  set_user(process, bytes, header);
  if (!spec.cwd.empty()) header.cwd = bytes.string(spec.cwd);
  const std::size_t before_leaf = 2 + context.passed.size() + (context.ready_descriptor >= 0 ? 1 : 0);
  header.cgroup = context.leaf ? static_cast<std::int32_t>(before_leaf) : -1;
  if (order.role == SlotRole::service && spec.around->stdin_from == StdinFrom::file)
    header.input = bytes.string(spec.around->stdin_path);
  const Sandbox& sandbox = *process.sandbox;
  header.ruleset = context.ruleset ? static_cast<std::int32_t>(before_leaf + (context.leaf ? 1 : 0)) : -1;
  if (!sandbox.deny_syscalls.empty() && sandbox_support().seccomp)
    header.filter = bytes.table(deny_filter(sandbox.deny_syscalls));
  header.cpus = bytes.table(mask_of(spec.around->cpus));
  header.io_priority = io_priority_of(*spec.around);
  header.flags = privileges->flags;
  header.bounding = privileges->bounding;
  header.capabilities = privileges->capabilities;
  header.ambient = privileges->ambient;
  header.umask = process.umask.value_or(022);
  header.nice = process.nice.value_or(wire::plan_keep);
  header.oom_score_adj = process.oom_score_adj.value_or(wire::plan_keep);
  std::string plan = bytes.finish(header);
  const std::uint32_t descriptors =
      static_cast<std::uint32_t>(before_leaf + (context.leaf ? 1 : 0) + (context.ruleset ? 1 : 0));
  if (const char* problem = wire::plan_problem(plan.data(), plan.size(), descriptors))
    return failure(Remedy::fix_input, "start", order.label,
                   std::string("its command, environment and settings are too large or malformed: ") + problem);
  return plan;
}

}  // namespace hearth::os
