#include "importers/export_systemd.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <set>
#include <string_view>

#include "importers/systemd_text.h"
#include "model/capabilities.h"
#include "model/replica.h"
#include "model/system_calls.h"

namespace hearth::importers {
namespace {

constexpr const char* install = "\n[Install]\nWantedBy=default.target\n";

// How the replicas of a service are told apart.
struct Numbering {
  bool replicas = false;     // is there more than one
  bool by_template = false;  // one text with %i for all
  std::uint32_t first = 0;   // instance of replica 0
};

Numbering numbering_of(const ServiceSpec& spec) {
  if (spec.replicas < 2) return {};
  std::set<std::uint32_t> forms;
  replica_of(spec, [&forms](std::uint32_t more) {
    forms.insert(more);
    return std::string();
  });
  if (forms.size() > 1) return {true, false, 0};
  return {true, true, forms.empty() ? 0 : *forms.begin()};
}

std::string stem(const Document& document, const std::string& service) {
  return document.project + "-" + service;
}

// All units that are this service.
std::vector<std::string> units_of(const Document& document, const ServiceSpec& spec) {
  const Numbering numbering = numbering_of(spec);
  const std::string name = stem(document, spec.name);
  if (!numbering.replicas) return {name + ".service"};
  std::vector<std::string> units;
  for (std::uint32_t i = 0; i < spec.replicas; ++i)
    units.push_back(name + "@" + std::to_string(std::uint64_t{numbering.first} + i) + ".service");
  return units;
}

std::string joined(const std::vector<std::string>& texts, const char* between = " ") {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : between) + text;
  return out;
}

// The text of one unit. Its specification has no {index} any more: a number is there, or instance_sign.
class Unit {
 public:
  // `suffix` is the instance with its @, of the names of other units of this replica.
  Unit(const Document& document, const ServiceSpec& spec, std::string suffix, std::vector<Finding>& findings)
      : document_(document), spec_(spec), suffix_(std::move(suffix)), findings_(findings) {}

  std::string service(bool one_of_many) {
    unit_section(one_of_many);
    service_section();
    if (!one_of_many && spec_.autostart) text_ += install;
    return std::move(text_);
  }

  // "" when it has no such command.
  std::string on_give_up() {
    const Action& action = spec_.actions->on_give_up;
    if (action.command.empty()) return {};
    text_ = "# Made by `hearth export systemd`.\n[Unit]\n";
    line("Description", spec_.name + " of " + document_.project + " is given up");
    text_ += "\n[Service]\n";
    line("Type", "oneshot");
    line("ExecStart", hook_line(action.command));
    line("TimeoutStartSec", span_text(action.timeout));
    process();
    return std::move(text_);
  }

 private:
  void line(const std::string& key, const std::string& value) { text_ += key + "=" + value + "\n"; }
  void wanting(const std::string& what, const std::string& remedy) {
    findings_.push_back({document_.path, 0, "service " + spec_.name + ": " + what, remedy});
  }

  void unit_section(bool one_of_many) {
    text_ = "# Made by `hearth export systemd`.\n[Unit]\n";
    line("Description", spec_.name + (one_of_many ? " (%i)" : "") + " of " + document_.project);
    if (one_of_many) line("PartOf", stem(document_, spec_.name) + ".target");
    for (const Dependency& dependency : spec_.depends_on) {
      const auto other = std::find_if(document_.services.begin(), document_.services.end(),
                                      [&](const ServiceSpec& each) { return each.name == dependency.service; });
      if (other == document_.services.end()) continue;
      const std::string units = joined(units_of(document_, *other));
      const bool must = dependency.required && dependency.condition != Condition::completed;
      const char* key = must ? "Requires" : "Wants";
      line(key, units);
      // Requires= stops and restarts it with the other one. BindsTo= would stop it at each crash, too.
      const bool follows = dependency.stop || dependency.restart;
      if (follows && !must) line("PartOf", units), key = "PartOf";
      line("After", units);
      if (follows)
        wanting(std::string(dependency.stop ? "stop" : "restart") + " = true of " + other->name,
                std::string(key) + (dependency.stop
                                        ? "= stops it when that is stopped, and not when that has failed"
                                        : "= restarts it when that is restarted, and not when that has crashed"));
    }
    if (spec_.crash_limit.max_failed_starts > 0)
      wanting("max_failed_starts", "StartLimitBurst= counts all starts, and not those that have failed");
    if (spec_.crash_limit.max_restarts > 0) {
      line("StartLimitIntervalSec", span_text(spec_.crash_limit.window));
      line("StartLimitBurst", std::to_string(spec_.crash_limit.max_restarts + 1));
    } else {
      line("StartLimitIntervalSec", "0");
    }
    if (!spec_.actions->on_give_up.command.empty())
      line("OnFailure", plain_text(stem(document_, spec_.name) + ".on-give-up" + suffix_ + ".service"));
  }

  void service_section() {
    text_ += "\n[Service]\n";
    const bool task = spec_.type == ServiceType::task;
    line("Type", task                                     ? "oneshot"
                 : spec_.type == ServiceType::forking     ? "forking"
                 : spec_.ready->type == ProbeType::notify ? "notify"
                                                          : "exec");
    if (task) line("RemainAfterExit", "yes");
    if (spec_.type == ServiceType::forking && !spec_.around->pid_file.empty())
      line("PIDFile", plain_text(spec_.around->pid_file));
    if (spec_.ready->type != ProbeType::none && spec_.ready->type != ProbeType::notify)
      wanting("its readiness probe has no counterpart", "who depends on it is started as soon as it runs");
    if (spec_.live->max_memory != 0)
      wanting("its max_memory has no counterpart", "MemoryMax= does not restart: from there on the kernel kills");
    if (spec_.live->type != ProbeType::none && spec_.live->type != ProbeType::memory)
      wanting("its liveness probe has no counterpart", "WatchdogSec= with WATCHDOG=1 of the service does it");
    const Actions& actions = *spec_.actions;
    hook("ExecStartPre", "", actions.before_start);
    note_program(spec_.command);
    line("ExecStart", command_line(with_whole_path(spec_.command)));
    hook("ExecStartPost", "-", actions.after_start);
    reloading(task);
    // Both are asked for in this order, and the stop signal follows.
    hook("ExecStop", "-", actions.before_stop);
    hook("ExecStop", "-", actions.stop);
    if (!actions.before_stop.command.empty() || !actions.stop.command.empty())
      wanting("systemd runs what stops it also when it has ended by itself", "let it look whether $MAINPID is set");
    hook("ExecStopPost", "-", actions.after_stop);
    if (!actions.on_failure.command.empty())
      wanting("on_failure has no counterpart", "ExecStopPost= sees in $SERVICE_RESULT whether it was a failure");
    process();
    restarts();
    line("TimeoutStartSec", spec_.start_timeout == 0 ? "infinity" : span_text(spec_.start_timeout));
    line("TimeoutStopSec", span_text(spec_.stop_timeout));
    if (spec_.stop_signal != 15) line("KillSignal", std::to_string(spec_.stop_signal));
    if (spec_.watchdog > 0) line("WatchdogSec", span_text(spec_.watchdog));
    if (!spec_.listen.empty()) wanting("its sockets are not carried over", "write a .socket unit for them");
    without_counterpart();
  }

  // systemd looks for programs in a PATH of its own, and that is what those have that it starts.
  void note_program(const std::vector<std::string>& command) {
    if (command.empty()) return;
    const bool shell = command.size() == 3 && command[0] == "/bin/sh" && command[1] == "-c";
    const bool own_path = std::ranges::any_of(spec_.env, [](const auto& each) { return each.first == "PATH"; });
    if (shell ? own_path : command[0].find('/') != std::string::npos) return;
    by_name_.insert(shell ? "those of a shell" : command[0]);
  }

  // systemd looks for no program in the working directory.
  std::vector<std::string> with_whole_path(std::vector<std::string> command) const {
    if (!command.empty() && !command[0].starts_with('/') && command[0].find('/') != std::string::npos)
      command[0] = (std::filesystem::path(spec_.cwd) / command[0]).lexically_normal().string();
    return command;
  }

  // What it is told under another name here.
  std::string hook_line(std::vector<std::string> command) {
    note_program(command);
    static constexpr std::pair<std::string_view, std::string_view> names[] = {{"HEARTH_PID", "MAINPID"},
                                                                              {"HEARTH_EXIT_CODE", "EXIT_STATUS"}};
    for (std::string& text : command) {
      for (const auto& [ours, theirs] : names)
        for (std::size_t at = text.find(ours); at != text.npos; at = text.find(ours, at + theirs.size()))
          text.replace(at, ours.size(), theirs);
      if (text.find("HEARTH_") != text.npos) wanting("a command of it asks for a variable of hearth: " + text, "");
    }
    return command_line(with_whole_path(std::move(command)));
  }

  void hook(const char* key, const char* prefix, const Action& action) {
    if (action.command.empty()) return;
    line(key, prefix + hook_line(action.command));
    const SpanNs usual = Action().timeout;
    if (action.timeout != usual)
      wanting(std::string(key) + ": a command has no time of its own",
              "TimeoutStartSec= and TimeoutStopSec= hold for each");
  }

  void reloading(bool task) {
    if (!spec_.actions->reload.command.empty())
      hook("ExecReload", "", spec_.actions->reload);
    else if (!task)
      line("ExecReload", "/bin/kill -" + std::to_string(spec_.reload_signal) + " $MAINPID");
  }

  // As whom, where, and with what it runs.
  void process() {
    if (!spec_.cwd.empty()) line("WorkingDirectory", plain_text(spec_.cwd));
    if (!spec_.process->user.empty()) line("User", spec_.process->user);
    if (!spec_.process->group.empty()) line("Group", spec_.process->group);
    const Surroundings& around = *spec_.around;
    const auto variable = [&](const char* name, const std::vector<std::string>& first) {
      std::string value = joined(first, ":");
      for (const auto& [key, rest] : spec_.env)
        if (key == name && !rest.empty()) value += (value.empty() ? "" : ":") + rest;
      if (!first.empty()) line("Environment", assignment(name, value));
    };
    for (const auto& [name, value] : spec_.env)
      if (!(name == "LD_LIBRARY_PATH" && !around.library_path.empty()) &&
          !(name == "LD_PRELOAD" && !around.preload.empty()))
        line("Environment", assignment(name, value));
    variable("LD_LIBRARY_PATH", around.library_path);
    variable("LD_PRELOAD", around.preload);
    for (const auto& [name, path] : around.credentials) line("LoadCredential", name + ":" + plain_text(path));
    directories("RuntimeDirectory", around.runtime_directories);
    directories("StateDirectory", around.state_directories);
    directories("CacheDirectory", around.cache_directories);
    if (around.stdin_from == StdinFrom::file) line("StandardInput", "file:" + plain_text(around.stdin_path));
    limits();
    privileges();
  }

  void directories(const char* key, const std::vector<std::string>& names) {
    if (!names.empty()) line(key, plain_text(joined(names)));
  }

  void restarts() {
    const bool task = spec_.type == ServiceType::task;
    if (spec_.restart == RestartPolicy::never || (task && spec_.restart == RestartPolicy::always))
      line("Restart", "no");
    else
      line("Restart", spec_.restart == RestartPolicy::always ? "always" : "on-failure");
    line("RestartSec", span_text(spec_.backoff.initial));
    if (!(spec_.backoff == Backoff()) && spec_.backoff.factor > 1 && spec_.backoff.max > spec_.backoff.initial)
      wanting("its backoff grows to " + span_text(spec_.backoff.max) + ", and RestartSec does not",
              "RestartSteps and RestartMaxDelaySec of systemd 254 are alike");
    std::string codes;
    for (const int code : spec_.success_exit_codes)
      if (code != 0) codes += (codes.empty() ? "" : " ") + std::to_string(code);
    if (!codes.empty()) line("SuccessExitStatus", codes);
  }

  void limits() {
    if (spec_.process->umask) {
      std::string digits;
      for (int shift = 6; shift >= 0; shift -= 3)
        digits += static_cast<char>('0' + ((*spec_.process->umask >> shift) & 7));
      line("UMask", "0" + digits);
    }
    if (spec_.process->nice) line("Nice", std::to_string(*spec_.process->nice));
    if (spec_.process->oom_score_adj) line("OOMScoreAdjust", std::to_string(*spec_.process->oom_score_adj));
    const Surroundings& around = *spec_.around;
    if (around.io_class != IoClass::none) {
      const bool levels = around.io_class != IoClass::idle;
      line("IOSchedulingClass", !levels ? "idle" : around.io_class == IoClass::realtime ? "realtime" : "best-effort");
      if (levels) line("IOSchedulingPriority", std::to_string(around.io_level));
    }
    std::string cpus;
    for (const std::uint32_t cpu : around.cpus) cpus += (cpus.empty() ? "" : " ") + std::to_string(cpu);
    if (!cpus.empty()) line("CPUAffinity", cpus);
    const auto amount = [](std::uint64_t value) { return value == UINT64_MAX ? "infinity" : std::to_string(value); };
    for (const ResourceLimit& limit : spec_.process->limits) {
      std::string name = limit.name;
      std::transform(name.begin(), name.end(), name.begin(),
                     [](char c) { return static_cast<char>(std::toupper(static_cast<unsigned char>(c))); });
      line("Limit" + name, amount(limit.soft) + ":" + amount(limit.hard));
    }
  }

  // The same for who is not root. Root has its bounding set there, as here.
  void privileges() {
    const ProcessSettings& process = *spec_.process;
    const auto list = [](CapabilitySet set) {
      const bool all = begins_with_all(set);
      std::string text;
      for (std::string name : capability_words(set)) {
        if (name == "all") continue;
        if (all) name.erase(0, 1);
        for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
        text += (text.empty() ? "CAP_" : " CAP_") + name;
      }
      return (all ? "~" : "") + text;
    };
    const bool root = process.user.empty() || process.user == "root" || process.user == "0";
    const auto& bound = root && process.capabilities ? process.capabilities : process.capability_bounding_set;
    if (bound || process.capabilities)
      line("CapabilityBoundingSet", list(bound.value_or(process.capabilities.value_or(0))));
    if (process.capabilities && *process.capabilities != 0 && !root)
      line("AmbientCapabilities", list(*process.capabilities));
    if (process.no_new_privs) line("NoNewPrivileges", "yes");
    sandbox(*process.sandbox);
    resources(process.cgroup);
  }

  // systemd makes another view of the file system where hearth has rules for paths: the same for who writes and executes.
  void sandbox(const Sandbox& box) {
    if (box.limits_writing) {
      line("ProtectSystem", "strict");
      if (!box.write_paths.empty()) line("ReadWritePaths", plain_text(joined(box.write_paths)));
    }
    if (box.limits_executing) {
      line("NoExecPaths", "/");
      if (!box.exec_paths.empty()) line("ExecPaths", plain_text(joined(box.exec_paths)));
    }
    if (box.limits_reading)
      wanting("sandbox.read_paths has no counterpart",
              "TemporaryFileSystem=/ with BindReadOnlyPaths= comes near to it");
    std::set<std::string_view> denied;
    for (const std::string& word : box.deny_syscalls)
      for (const std::string_view call : system_calls_of(word)) denied.insert(call);
    if (denied.empty()) return;
    // There the whole of clone would be denied; its flags are this key's.
    if (denied.erase("clone") + denied.erase("clone3") > 0) line("RestrictNamespaces", "yes");
    // Nor of prlimit64, with which a program reads its own limits as it begins.
    if (denied.erase("prlimit64") > 0)
      wanting("sandbox.deny_syscalls: prlimit64 is left out",
              "a unit would deny all of it, and not only limits that are set for others");
    std::string calls;
    for (const std::string_view call : denied) calls += (calls.empty() ? "~" : " ") + std::string(call);
    if (!calls.empty()) line("SystemCallFilter", calls);
    line("SystemCallErrorNumber", "EPERM");
    line("SystemCallArchitectures", "native");
  }

  void resources(const CgroupLimits& limits) {
    const auto amount = [&](const char* key, std::uint64_t value, const char* unit = "") {
      if (value != 0) line(key, std::to_string(value) + unit);
    };
    amount("MemoryHigh", limits.memory_high);
    amount("MemoryMax", limits.memory_max);
    amount("TasksMax", limits.pids_max);
    amount("CPUQuota", limits.cpu_max, "%");
    amount("CPUWeight", limits.cpu_weight);
    amount("IOWeight", limits.io_weight);
  }

  void without_counterpart() {
    const Surroundings& around = *spec_.around;
    note_program(spec_.actions->on_give_up.command);
    if (!by_name_.empty())
      wanting("programs without a path (" + joined({by_name_.begin(), by_name_.end()}, ", ") +
                  ") are looked for in systemd's PATH, and not in that of who calls `hearth up`",
              "write whole paths; for what a shell runs, env = { PATH = \"...\" }");
    if (!spec_.tags.empty())
      wanting("tags (" + joined(spec_.tags, ", ") + ") have no counterpart",
              "a target that wants its units, or a pattern: systemctl restart '" + document_.project + "-*'");
    logging();
    if (spec_.give_up == GiveUp::exit)
      wanting("on_give_up = \"exit\" has no counterpart", "FailureAction= acts on the whole machine");
    if (spec_.retry_after > 0)
      wanting("retry_after has no counterpart", "a timer that runs systemctl reset-failed and start does it");
    if (around.stdin_from == StdinFrom::pty)
      wanting("stdin = \"pty\" has no counterpart", "StandardInput=tty takes a terminal that is there");
    if (!around.ports.empty()) wanting("nobody looks whether its ports are free", "");
    if (!around.ready_file.empty()) wanting("ready_file has no counterpart", "ExecStartPost= can write it");
    if (!around.pid_file.empty() && spec_.type != ServiceType::forking)
      wanting("pid_file is written by nobody", "ExecStartPost= can write $MAINPID into it");
  }

  // What it writes goes to the journal, which keeps it by rules of its own.
  void logging() {
    const LogSpec& log = *spec_.log;
    if (log.format != "raw")
      wanting("log.format = \"" + log.format + "\" has no counterpart",
              "the journal has the time of each line: journalctl -o short-iso-precise, or -o json");
    LogSpec usual;
    usual.format = log.format;
    usual.sink = log.sink;
    if (log != usual)
      wanting("sizes, numbers and ages of its log files have no counterpart",
              "journald.conf(5) bounds the journal as a whole");
    if (log.sink == "stdout" || log.sink == "syslog")
      wanting("log.sink = \"" + log.sink + "\" has no counterpart",
              "StandardOutput=journal+console, or ForwardToSyslog= of journald.conf(5)");
  }

  const Document& document_;
  const ServiceSpec& spec_;
  std::set<std::string> by_name_;  // programs that are looked for in PATH
  std::string suffix_;
  std::vector<Finding>& findings_;
  std::string text_;
};

// Starts and stops all replicas. It wants them and does not require them: one that fails leaves the others alone.
Exported target_of(const Document& document, const ServiceSpec& spec) {
  const std::string name = stem(document, spec.name) + ".target";
  std::string text = "# Made by `hearth export systemd`.\n[Unit]\n";
  text += "Description=" + spec.name + " of " + document.project + ", " + std::to_string(spec.replicas) + " of it\n";
  text += "Wants=" + joined(units_of(document, spec)) + "\n";
  if (spec.autostart) text += install;
  return {name, std::move(text)};
}

void add_units(const Document& document, const ServiceSpec& spec, const std::string& suffix, bool one_of_many,
               std::vector<Exported>& units, std::vector<Finding>& findings) {
  const std::string name = stem(document, spec.name);
  const std::string file_suffix = suffix == std::string("@") + instance_sign ? "@" : suffix;
  units.push_back({name + file_suffix + ".service", Unit(document, spec, suffix, findings).service(one_of_many)});
  if (std::string text = Unit(document, spec, suffix, findings).on_give_up(); !text.empty())
    units.push_back({name + ".on-give-up" + file_suffix + ".service", std::move(text)});
}

void add_service(const Document& document, const ServiceSpec& spec, std::vector<Exported>& units,
                 std::vector<Finding>& findings) {
  const Numbering numbering = numbering_of(spec);
  if (!numbering.replicas) return add_units(document, replica_of(spec, 0), "", false, units, findings);
  if (numbering.by_template) {
    const std::string sign(1, instance_sign);
    const ServiceSpec any = replica_of(spec, [&sign](std::uint32_t) { return sign; });
    add_units(document, any, "@" + sign, true, units, findings);
  } else {
    for (std::uint32_t i = 0; i < spec.replicas; ++i) {
      std::vector<Finding> again;  // of all but the first
      add_units(document, replica_of(spec, i), "@" + std::to_string(i), true, units, i == 0 ? findings : again);
    }
  }
  units.push_back(target_of(document, spec));
}

}  // namespace

std::vector<Exported> export_systemd(const Document& document, const std::function<bool(const ServiceSpec&)>& wanted,
                                     std::vector<Finding>& findings) {
  std::vector<Exported> units;
  for (const ServiceSpec& spec : document.services)
    if (wanted(spec)) add_service(document, spec, units, findings);
  if (document.start_concurrency > 0)
    findings.push_back({document.path, 0, "start_concurrency has no counterpart", "systemd starts all at once"});
  return units;
}

}  // namespace hearth::importers
