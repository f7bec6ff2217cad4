#include "importers/unit_surroundings.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <iterator>
#include <string_view>

#include "importers/sizes.h"
#include "importers/systemd_values.h"
#include "importers/words.h"

namespace hearth::importers {
namespace {

constexpr unsigned greatest_cpu = 4'095;

std::optional<unsigned> unsigned_of(std::string_view text, int base = 10) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc() && !text.empty() && end == text.data() + text.size() ? std::optional(value)
                                                                                   : std::nullopt;
}

// One of the two of a limit. Units of memory and time, and "nice" as it is seen by people (+19 to -20), are systemd's own.
std::string limit_value(const std::string& name, const std::string& text) {
  if (text == "infinity") return quoted("unlimited");
  if (name == "nice" && (text.starts_with('+') || text.starts_with('-')))
    if (const auto nice = count_of(text.starts_with('+') ? text.substr(1) : text)) return std::to_string(20 - *nice);
  if (count_of(text)) return integer(text);
  if (name == "cpu" || name == "rttime") {
    const std::optional<std::int64_t> ms = milliseconds_of(text);
    if (!ms) return quoted(text);
    return std::to_string(name == "cpu" ? (*ms + 999) / 1'000 : *ms * 1'000);
  }
  const std::optional<std::uint64_t> bytes = text.empty() ? std::nullopt : bytes_of(text);
  return bytes ? std::to_string(*bytes) : integer(text);
}

void limit(Service& service, const std::string& key, const std::string& value) {
  std::string name = key.substr(5);
  std::transform(name.begin(), name.end(), name.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  const std::size_t colon = value.find(':');
  service.set_in("limits", name,
                 colon == value.npos ? limit_value(name, value)
                                     : "{ soft = " + limit_value(name, value.substr(0, colon)) +
                                           ", hard = " + limit_value(name, value.substr(colon + 1)) + " }");
}

std::string umask_of(const std::string& value) {
  const std::optional<unsigned> mask = unsigned_of(value, 8);
  if (!mask || *mask > 0777) return quoted(value);
  std::string digits;
  for (const unsigned shift : {6u, 3u, 0u}) digits += static_cast<char>('0' + (*mask >> shift & 7));
  return quoted(digits);
}

void standard_input(Service& service, const std::string& value, const Told& told) {
  if (value == "null") return;
  if (value.starts_with("file:")) return service.set("stdin", quoted(value));
  if (value.starts_with("tty"))
    return told("StandardInput=" + value + ": no terminal that is there is given to it",
                "stdin = \"pty\" is a terminal of its own, which says nothing");
  told("StandardInput=" + value + " is not carried over", "write it into a file: stdin = \"file:PATH\"");
}

// A key of a unit that is none of hearth, why, and what there is instead.
struct Row {
  std::string_view key, reason, remedy;
};
constexpr std::string_view no_view = "hearth makes no other view of the file system";
constexpr std::string_view no_key = "it is not a key here, but a list of system calls";
constexpr Row rows[] = {
    {"SendSIGHUP", "only stop_signal is sent", "a shell as main process: stop_signal = \"HUP\""},
    {"RestartPreventExitStatus", "no code keeps a failed run from being restarted",
     "success_exit_codes has codes after which restart = \"on-failure\" leaves it ended"},
    {"RestartForceExitStatus", "restart decides for all codes alike", "restart = \"always\" restarts after any"},
    {"RestartSteps", "backoff grows by a factor", "backoff = { initial = \"1s\", max = \"30s\", factor = 2 }"},
    {"RestartMaxDelaySec", "backoff grows by a factor", "backoff = { initial = \"1s\", max = \"30s\", factor = 2 }"},
    {"PassEnvironment", "the environment is that of who calls `hearth up`", "env = { NAME = \"${NAME}\" } says it"},
    {"UnsetEnvironment", "the environment is that of who calls `hearth up`, and nothing is taken out of it",
     "command = [\"env\", \"-u\", \"NAME\", \"program\"] does"},
    {"LogsDirectory", "no directory below /var/log is made",
     "before_start = [\"mkdir\", \"-p\", ...], or log to stdout"},
    {"ConfigurationDirectory", "no directory below /etc is made", "make it once, by hand"},
    {"RuntimeDirectoryMode", "directories are made with mode 0755", "before_start = [\"chmod\", ...]"},
    {"StateDirectoryMode", "directories are made with mode 0755", "before_start = [\"chmod\", ...]"},
    {"CacheDirectoryMode", "directories are made with mode 0755", "before_start = [\"chmod\", ...]"},
    {"RuntimeDirectoryPreserve", "the directory goes when no run is left", "state_directories stay"},
    {"DynamicUser", "hearth makes no users", "make one, as with `useradd --system`, and write user"},
    {"SupplementaryGroups", "a service has the groups of its user", "add the user to them: usermod -aG"},
    {"PAMName", "no session of PAM is opened", ""},
    {"Slice", "hearth has a cgroup of its own for each run",
     "put hearth's unit into the slice; for limits of the service alone: cgroup = { memory_max = \"2GiB\" }"},
    {"MemorySwapMax", "hearth limits memory, and no swap by itself", "cgroup = { memory_max = ... }"},
    {"MemoryMin", "hearth protects no memory", "memory_max in the cgroup of the others leaves it some"},
    {"MemoryLow", "hearth protects no memory", "memory_high in the cgroup of the others leaves it some"},
    {"AllowedCPUs", "hearth delegates no cpuset", "cpus = \"0-3\" says on which processors it runs"},
    {"CPUShares", "it is an older form", "cgroup = { cpu_weight = ... }, from 1 to 10000; 100 is usual"},
    {"BlockIOWeight", "it is an older form", "cgroup = { io_weight = ... }, from 1 to 10000; 100 is usual"},
    {"Sockets", "its sockets are not carried over", "listen = [\"tcp:HOST:PORT\"] in the service"},
    {"ExecCondition", "no command decides whether it is started",
     "before_start; when that fails, the start has failed"},
    {"FinalKillSignal", "what is left after stop_timeout is killed by KILL", ""},
    {"RestartKillSignal", "a restart stops it as a stop does", "stop_signal"},
    {"WatchdogSignal", "who misses watchdog is stopped by stop_signal", "stop_signal"},
    {"TimeoutAbortSec", "who misses watchdog is stopped as by a stop", "stop_timeout"},
    {"CPUSchedulingPolicy", "hearth sets no scheduler", "command = [\"chrt\", ...] does"},
    {"CPUSchedulingPriority", "hearth sets no scheduler", "command = [\"chrt\", ...] does"},
    {"NUMAPolicy", "hearth binds no memory to nodes", "command = [\"numactl\", ...] does"},
    {"RootDirectory", "hearth changes no root",
     "command = [\"chroot\", ...] does; sandbox = { read_paths = [...] } hides what is outside, under its usual name"},
    {"ReadOnlyPaths", no_view, "sandbox = { write_paths = [...] } names what may be written, and all else may not"},
    {"InaccessiblePaths", no_view, "sandbox = { read_paths = [...] } names what may be read, and all else may not"},
    {"ProtectHome", no_view, "sandbox = { read_paths = [...] } without /home and /root"},
    {"PrivateTmp", no_view, "runtime_directories gives it a directory of its own; sandbox can leave out /tmp"},
    {"RestrictNamespaces", no_key, "sandbox = { deny_syscalls = [\"@namespaces\"] }"},
    {"ProtectClock", no_key, "sandbox = { deny_syscalls = [\"@clock\"] }"},
    {"ProtectKernelModules", no_key, "sandbox = { deny_syscalls = [\"@module\"] }"},
    {"ProtectHostname", no_key, "sandbox = { deny_syscalls = [\"sethostname\", \"setdomainname\"] }"},
    {"ProtectKernelLogs", no_key, "sandbox = { deny_syscalls = [\"syslog\"] }, and read_paths without /dev/kmsg"},
    {"LockPersonality", no_key, "sandbox = { deny_syscalls = [\"personality\"] }"},
    {"ExecSearchPath", "programs are looked for in the PATH of who calls `hearth up`", "write whole paths"},
    {"SyslogFacility", "what it writes has no facility", ""},
    {"OOMPolicy", "a run whose process the kernel has killed ends when its main process does", ""},
};

bool is_false(const std::string& value) {
  static constexpr std::array<std::string_view, 6> no = {"0", "no", "n", "false", "f", "off"};
  return std::ranges::find(no, std::string_view(value)) != no.end();
}

}  // namespace

bool UnitSurroundings::has(std::string_view key) {
  static constexpr std::array<std::string_view, 13> keys = {"Nice",
                                                            "OOMScoreAdjust",
                                                            "UMask",
                                                            "CPUAffinity",
                                                            "StandardInput",
                                                            "IOSchedulingClass",
                                                            "LoadCredential",
                                                            "IOSchedulingPriority",
                                                            "SetCredential",
                                                            "LoadCredentialEncrypted",
                                                            "ImportCredential",
                                                            "SetCredentialEncrypted",
                                                            "FileDescriptorStoreMax"};
  return key.starts_with("Limit") || std::ranges::find(keys, key) != keys.end();
}

void UnitSurroundings::key(Service& service, const std::string& key, const std::string& value, const Told& told) {
  if (key == "Nice")
    service.set("nice", integer(value));
  else if (key == "OOMScoreAdjust")
    service.set("oom_score_adj", integer(value));
  else if (key == "UMask")
    service.set("umask", umask_of(value));
  else if (key.starts_with("Limit"))
    limit(service, key, value);
  else if (key == "CPUAffinity")
    affinity(value, told);
  else if (key == "IOSchedulingClass")
    io_class(value, told);
  else if (key == "IOSchedulingPriority")
    io_level_ = value;
  else if (key == "StandardInput")
    standard_input(service, value, told);
  else if (key == "FileDescriptorStoreMax")
    service.set("fdstore_max", integer(value));
  else
    credential(service, key, value, told);
}

// Several lines are put together; an empty one begins anew.
void UnitSurroundings::affinity(const std::string& value, const Told& told) {
  if (value.empty()) return cpus_.clear();
  for (const std::string& part : split_list(value, " \t,")) {
    const std::size_t dash = part.find('-');
    const std::optional<unsigned> first = unsigned_of(std::string_view(part).substr(0, dash));
    const std::optional<unsigned> last =
        dash == part.npos ? first : unsigned_of(std::string_view(part).substr(dash + 1));
    if (!first || !last || *first > *last || *last > greatest_cpu) {
      told("CPUAffinity: " + part + " is not carried over",
           part == "numa" ? "name the processors of the node: cpus = \"0-7\" (lscpu shows them)"
                          : "cpus names processors from 0 to 4095, as \"0-3,6\"");
      continue;
    }
    for (unsigned cpu = *first; cpu <= *last; ++cpu) cpus_.insert(cpu);
  }
}

void UnitSurroundings::io_class(const std::string& value, const Told& told) {
  static constexpr std::array<std::string_view, 4> names = {"none", "realtime", "best-effort", "idle"};
  const std::optional<unsigned> number = unsigned_of(value);
  const std::string name = number && *number < names.size() ? std::string(names[*number]) : value;
  if (std::ranges::find(names, std::string_view(name)) == names.end())
    return told("IOSchedulingClass=" + value + " is none that is known", "write io_priority = \"best-effort:4\"");
  io_class_ = name == "none" ? "" : name;
}

void UnitSurroundings::finish(Service& service) const {
  std::string ranges;
  for (auto first = cpus_.begin(); first != cpus_.end();) {
    auto next = std::next(first);
    unsigned last = *first;
    for (; next != cpus_.end() && *next == last + 1; ++next) last = *next;
    ranges += (ranges.empty() ? "" : ",") + std::to_string(*first);
    if (last != *first) ranges += "-" + std::to_string(last);
    first = next;
  }
  if (!ranges.empty()) service.set("cpus", quoted(ranges));
  const std::string io = io_class_.value_or(io_level_ ? "best-effort" : "");
  if (!io.empty()) service.set("io_priority", quoted(io + (io == "idle" || !io_level_ ? "" : ":" + *io_level_)));
}

// Nothing of what SetCredential= gives is shown: reports are pasted into tickets.
void UnitSurroundings::credential(Service& service, const std::string& key, const std::string& value,
                                  const Told& told) const {
  const bool load = key == "LoadCredential";
  if (value.empty()) return load ? service.remove("credentials") : void();
  const std::size_t colon = value.find(':');
  const bool is_secret = colon == value.npos && key.starts_with("Set");  // a value without a name
  const std::string name = is_secret ? "NAME" : value.substr(0, colon);
  const std::string path = colon == value.npos ? "" : value.substr(colon + 1);
  const std::string remedy = "credentials = { " + name + " = \"/etc/" + name + "\" }";
  if (load && path.starts_with('/'))
    service.set_in("credentials", name, quoted(path));
  else if (load)
    told(key + "=" + value + ": hearth looks into no store of credentials",
         "name its file, as credentials = { " + name + " = \"/etc/credstore/" + (path.empty() ? name : path) + "\" }");
  else if (key == "ImportCredential")
    told(key + "=" + value + ": hearth looks into no store of credentials", "name each file in credentials");
  else if (key == "LoadCredentialEncrypted")
    told(key + "=" + name + ": hearth decrypts nothing",
         "`systemd-creds decrypt` writes it into a file that only root reads; then " + remedy);
  else
    told(key + "=" + name + ": a value that stands in the unit is not carried over",
         "write it into a file that only root reads; then " + remedy);
}

std::string unit_section_remedy(std::string_view key) {
  if (key == "Before") return "the other one says it: depends_on = { NAME = { required = false } }";
  if (key == "Conflicts") return "stop the other one first: hearth stops nobody because another starts";
  if (key.starts_with("Condition") || key.starts_with("Assert"))
    return "before_start can look for it; when that fails, the start has failed";
  if (key == "OnFailure") return "on_failure and on_give_up are commands, as [\"systemctl\", \"start\", \"UNIT\"]";
  if (key == "RequiresMountsFor") return "order hearth's own unit after it (docs/guide/systemd.md)";
  if (key == "ReloadPropagatedFrom" || key == "PropagatesReloadTo")
    return "hearth reload takes several names, and @TAG";
  return "";
}

bool tell_without_counterpart(const std::string& key, const std::string& value, const Told& told) {
  if (key == "SendSIGKILL") {
    if (is_false(value)) told("SendSIGKILL=no: what is left after stop_timeout is killed, always", "");
    return true;
  }
  for (const Row& row : rows) {
    if (row.key != key) continue;
    const bool usual = key.ends_with("DirectoryMode") && (value == "0755" || value == "755");
    if (!value.empty() && !is_false(value) && !usual)
      told(key + "=" + value + " is not carried over: " + std::string(row.reason), std::string(row.remedy));
    return true;
  }
  return false;
}

}  // namespace hearth::importers
