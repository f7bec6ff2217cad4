#include "config/diff.h"

#include <unordered_map>

namespace hearth::config {
namespace {

using ByName = std::unordered_map<std::string_view, const ServiceSpec*>;

ByName by_name(const Document& document) {
  ByName index;
  for (const ServiceSpec& service : document.services) index.emplace(service.name, &service);
  return index;
}

template <typename Compare>
void compare_process(const ProcessSettings& a, const ProcessSettings& b, const Compare& compare) {
  compare("user", a.user, b.user);
  compare("user", a.uid, b.uid);
  compare("group", a.group, b.group);
  compare("group", a.gid, b.gid);
  compare("group", a.groups, b.groups);
  compare("umask", a.umask, b.umask);
  compare("nice", a.nice, b.nice);
  compare("oom_score_adj", a.oom_score_adj, b.oom_score_adj);
  compare("limits", a.limits, b.limits);
  compare("no_new_privs", a.no_new_privs, b.no_new_privs);
  compare("capabilities", a.capabilities, b.capabilities);
  compare("capability_bounding_set", a.capability_bounding_set, b.capability_bounding_set);
  compare("sandbox", *a.sandbox, *b.sandbox);
  compare("cgroup", a.cgroup, b.cgroup);
}

template <typename Compare>
void compare_surroundings(const Surroundings& a, const Surroundings& b, const Compare& compare) {
  compare("io_priority", a.io_class, b.io_class);
  compare("io_priority", a.io_level, b.io_level);
  compare("cpus", a.cpus, b.cpus);
  compare("library_path", a.library_path, b.library_path);
  compare("preload", a.preload, b.preload);
  compare("stdin", a.stdin_from, b.stdin_from);
  compare("stdin", a.stdin_path, b.stdin_path);
  compare("credentials", a.credentials, b.credentials);
  compare("runtime_directory", a.runtime_directories, b.runtime_directories);
  compare("state_directory", a.state_directories, b.state_directories);
  compare("cache_directory", a.cache_directories, b.cache_directories);
  compare("env_files", a.env_files, b.env_files);
  compare("ports", a.ports, b.ports);
  compare("ready_file", a.ready_file, b.ready_file);
  compare("pid_file", a.pid_file, b.pid_file);
}

template <typename Compare>
void compare_actions(const Actions& a, const Actions& b, const Compare& compare) {
  compare("before_start", a.before_start, b.before_start);
  compare("after_start", a.after_start, b.after_start);
  compare("before_stop", a.before_stop, b.before_stop);
  compare("after_stop", a.after_stop, b.after_stop);
  compare("on_failure", a.on_failure, b.on_failure);
  compare("on_give_up", a.on_give_up, b.on_give_up);
  compare("stop_command", a.stop, b.stop);
  compare("reload_command", a.reload, b.reload);
}

// max_memory is told apart from `live`, also where there is no other probe.
Probe without_max_memory(Probe live) {
  if (live == memory_probe(live.max_memory)) return {};
  live.max_memory = 0;
  return live;
}

}  // namespace

Diff diff(const Document& old_document, const Document& new_document) {
  Diff result;
  const ByName before = by_name(old_document), after = by_name(new_document);
  for (const ServiceSpec& service : new_document.services) {
    const auto found = before.find(service.name);
    if (found == before.end()) {
      result.added.push_back(service.name);
    } else {
      (*found->second == service ? result.unchanged : result.changed).push_back(service.name);
    }
  }
  for (const ServiceSpec& service : old_document.services) {
    if (!after.contains(service.name)) result.removed.push_back(service.name);
  }
  result.environment = old_document.environment != new_document.environment;
  return result;
}

namespace {

// What hearth looks at while a program runs, in a specification that is the other one's otherwise.
void take_what_is_live(ServiceSpec& to, const ServiceSpec& from) {
  to.replicas = from.replicas;
  to.autostart = from.autostart;
  to.tags = from.tags;
  to.actions = from.actions;
  to.restart = from.restart;
  to.backoff = from.backoff;
  to.crash_limit = from.crash_limit;
  to.give_up = from.give_up;
  to.retry_after = from.retry_after;
  to.success_exit_codes = from.success_exit_codes;
  to.depends_on = from.depends_on;
  to.start_timeout = from.start_timeout;
  to.stop_signal = from.stop_signal;
  to.stop_timeout = from.stop_timeout;
  to.reload_signal = from.reload_signal;
  to.fdstore_max = from.fdstore_max;
  if (!(to.around->ports == from.around->ports)) to.around.edit().ports = from.around->ports;
  if (to.log == from.log) return;
  LogSpec& log = to.log.edit();
  log.max_size = from.log->max_size;
  log.max_files = from.log->max_files;
  log.max_age = from.log->max_age;
  log.max_total = from.log->max_total;
  log.compress = from.log->compress;
  log.full_wait = from.log->full_wait;
}

bool same_part_of_the_program(const Probe& a, const Probe& b) {
  const auto takes_part = [](const Probe& probe) {
    return probe.type == ProbeType::notify || probe.type == ProbeType::fd;
  };
  return !takes_part(b) || (a.type == b.type && a.descriptor == b.descriptor);
}

}  // namespace

bool needs_restart(const ServiceSpec& a, const ServiceSpec& b) {
  if (!same_part_of_the_program(a.ready, b.ready) || !same_part_of_the_program(a.live, b.live)) return true;
  ServiceSpec wanted = b;
  take_what_is_live(wanted, a);
  wanted.ready = a.ready;
  wanted.live = a.live;
  return !(wanted == a);
}

std::vector<ServiceChange> changes(const Document& old_document, const Document& new_document) {
  std::vector<ServiceChange> all;
  const ByName before = by_name(old_document), after = by_name(new_document);
  for (const ServiceSpec& service : new_document.services) {
    ServiceChange change{service.name, service.autostart ? Measure::start : Measure::know, {}, 0, service.replicas};
    if (const auto found = before.find(service.name); found != before.end()) {
      change.replicas_before = found->second->replicas;
      change.keys = changed_keys(*found->second, service);
      change.measure = change.keys.empty()                      ? Measure::none
                       : needs_restart(*found->second, service) ? Measure::restart
                                                                : Measure::live;
    }
    all.push_back(std::move(change));
  }
  for (const ServiceSpec& service : old_document.services)
    if (!after.contains(service.name)) all.push_back({service.name, Measure::stop, {}, service.replicas, 0});
  return all;
}

std::vector<std::string> changed_keys(const ServiceSpec& a, const ServiceSpec& b) {
  std::vector<std::string> keys;
  const auto compare = [&](const char* key, const auto& left, const auto& right) {
    if (!(left == right) && (keys.empty() || keys.back() != key)) keys.emplace_back(key);
  };
  compare("name", a.name, b.name);
  compare("command", a.command, b.command);
  compare("cwd", a.cwd, b.cwd);
  compare("env", a.env, b.env);
  compare_process(*a.process, *b.process, compare);
  compare_surroundings(*a.around, *b.around, compare);
  compare("type", a.type, b.type);
  compare("replicas", a.replicas, b.replicas);
  compare("autostart", a.autostart, b.autostart);
  compare("tags", a.tags, b.tags);
  compare_actions(*a.actions, *b.actions, compare);
  compare("restart", a.restart, b.restart);
  compare("backoff", a.backoff, b.backoff);
  compare("max_restarts", a.crash_limit.max_restarts, b.crash_limit.max_restarts);
  compare("max_failed_starts", a.crash_limit.max_failed_starts, b.crash_limit.max_failed_starts);
  compare("restart_window", a.crash_limit.window, b.crash_limit.window);
  compare("on_give_up", a.give_up, b.give_up);
  compare("retry_after", a.retry_after, b.retry_after);
  compare("success_exit_codes", a.success_exit_codes, b.success_exit_codes);
  compare("depends_on", a.depends_on, b.depends_on);
  compare("ready", a.ready, b.ready);
  compare("live", without_max_memory(*a.live), without_max_memory(*b.live));
  compare("max_memory", a.live->max_memory, b.live->max_memory);
  compare("start_timeout", a.start_timeout, b.start_timeout);
  compare("watchdog", a.watchdog, b.watchdog);
  compare("stop_signal", a.stop_signal, b.stop_signal);
  compare("stop_timeout", a.stop_timeout, b.stop_timeout);
  compare("reload_signal", a.reload_signal, b.reload_signal);
  compare("listen", a.listen, b.listen);
  compare("fdstore_max", a.fdstore_max, b.fdstore_max);
  compare("log", a.log, b.log);
  return keys;
}

}  // namespace hearth::config
