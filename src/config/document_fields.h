// Every field of a document, once: `describe` walks over a struct and tells the archive key, value, default and
// range of each field. JsonWriter and JsonReader are archives, so what is written is what is read.
//
// A new field is one line here. Keys are never renamed or reused within a format; docs/formats/document.md has
// the list.
#pragma once

#include <limits>

#include "config/limits.h"
#include "config/words.h"
#include "model/service_spec.h"

namespace hearth::config {

// T is the struct or its const; A has the member functions used below.
template <typename A, typename T>
void describe_backoff(A& a, T& v) {
  const Backoff d;
  a.span("initial_ns", v.initial, d.initial);
  a.span("max_ns", v.max, d.max);
  a.thousandths("factor", v.factor, d.factor, 1, 10);
  a.thousandths("jitter", v.jitter, d.jitter, 0, 1);
  a.span("reset_after_ns", v.reset_after, d.reset_after);
}

template <typename A, typename T>
void describe_crash_limit(A& a, T& v) {
  const CrashLimit d;
  a.number("max_restarts", v.max_restarts, d.max_restarts);
  a.span("window_ns", v.window, d.window);
  a.number("max_failed_starts", v.max_failed_starts, d.max_failed_starts);
}

template <typename A, typename T>
void describe_dependency(A& a, T& v) {
  const Dependency d;
  a.name("service", v.service);
  a.choice("condition", v.condition, d.condition, condition_words);
  a.flag("required", v.required, d.required);
  a.flag("restart", v.restart, d.restart);
  a.flag("stop", v.stop, d.stop);
}

template <typename A, typename T>
void describe_probe(A& a, T& v) {
  const Probe d;
  a.choice("type", v.type, d.type, probe_words);
  a.text("url", v.url);
  a.text("address", v.address);
  a.texts("command", v.command);
  a.text("target", v.target);
  a.number("expect_status", v.expect_status, d.expect_status, 0, 599);
  a.number("descriptor", v.descriptor, d.descriptor, 0, 1023);
  a.span("uptime_ns", v.uptime, d.uptime);
  a.number("max_memory", v.max_memory, d.max_memory);
  a.span("interval_ns", v.interval, d.interval);
  a.span("timeout_ns", v.timeout, d.timeout);
  a.number("success_threshold", v.success_threshold, d.success_threshold);
  a.number("failure_threshold", v.failure_threshold, d.failure_threshold);
}

template <typename A, typename T>
void describe_listen(A& a, T& v) {
  const ListenSocket d;
  a.text("name", v.name);
  a.text("address", v.address);
  a.number("backlog", v.backlog, d.backlog, 0, std::numeric_limits<int>::max());
}

template <typename A, typename T>
void describe_log(A& a, T& v) {
  const LogSpec d;
  a.word("format", v.format, d.format, log_formats);
  a.number("max_size", v.max_size, d.max_size);
  a.number("max_files", v.max_files, d.max_files);
  a.span("max_age_ns", v.max_age, d.max_age);
  a.number("max_total", v.max_total, d.max_total);
  a.flag("compress", v.compress, d.compress);
  a.flag("per_process", v.per_process, d.per_process);
  a.word("sink", v.sink, d.sink, log_sinks);
  a.span("full_wait_ns", v.full_wait, d.full_wait);
}

template <typename A, typename T>
void describe_limit(A& a, T& v) {
  a.word("name", v.name, "", limit_names);
  a.limit("soft", v.soft);
  a.limit("hard", v.hard);
}

template <typename A, typename T>
void describe_action(A& a, T& v) {
  const Action d;
  a.texts("command", v.command);
  a.span("timeout_ns", v.timeout, d.timeout);
}

template <typename A, typename T>
void describe_actions(A& a, T& v) {
  const Action d;
  const auto action = [&](const char* key, auto& its) {
    a.object(key, its, d, [](auto& b, auto& item) { describe_action(b, item); });
  };
  action("before_start", v.before_start);
  action("after_start", v.after_start);
  action("before_stop", v.before_stop);
  action("after_stop", v.after_stop);
  action("on_failure", v.on_failure);
  action("on_give_up", v.on_give_up);
  action("stop", v.stop);
  action("reload", v.reload);
}

template <typename A, typename T>
void describe_surroundings(A& a, T& v) {
  const Surroundings d;
  a.choice("io_class", v.io_class, d.io_class, io_class_words);
  a.number("io_level", v.io_level, d.io_level, 0, 7);
  a.numbers("cpus", v.cpus, d.cpus, 0, 4095);
  a.texts("library_path", v.library_path);
  a.texts("preload", v.preload);
  a.choice("stdin", v.stdin_from, d.stdin_from, stdin_words);
  a.text("stdin_path", v.stdin_path);
  a.variables("credentials", v.credentials);
  a.texts("runtime_directories", v.runtime_directories);
  a.texts("state_directories", v.state_directories);
  a.texts("cache_directories", v.cache_directories);
  a.texts("env_files", v.env_files);
  a.numbers("ports", v.ports, d.ports, 1);
  a.text("ready_file", v.ready_file);
  a.text("pid_file", v.pid_file);
}

template <typename A, typename T>
void describe_sandbox(A& a, T& v) {
  const Sandbox d;
  a.flag("limits_reading", v.limits_reading, d.limits_reading);
  a.texts("read_paths", v.read_paths);
  a.flag("limits_writing", v.limits_writing, d.limits_writing);
  a.texts("write_paths", v.write_paths);
  a.flag("limits_executing", v.limits_executing, d.limits_executing);
  a.texts("exec_paths", v.exec_paths);
  a.texts("deny_syscalls", v.deny_syscalls);
  a.flag("required", v.required, d.required);
}

template <typename A, typename T>
void describe_cgroup(A& a, T& v) {
  const CgroupLimits d;
  a.number("memory_high", v.memory_high, d.memory_high);
  a.number("memory_max", v.memory_max, d.memory_max);
  a.number("pids_max", v.pids_max, d.pids_max);
  a.number("cpu_max", v.cpu_max, d.cpu_max);
  a.number("cpu_weight", v.cpu_weight, d.cpu_weight, 0, 10000);
  a.number("io_weight", v.io_weight, d.io_weight, 0, 10000);
}

template <typename A, typename T>
void describe_process(A& a, T& v) {
  const ProcessSettings d;
  a.text("user", v.user);
  a.text("group", v.group);
  a.optional("uid", v.uid);
  a.optional("gid", v.gid);
  a.numbers("groups", v.groups, d.groups);
  a.optional("umask", v.umask, 0, 0777);
  a.optional("nice", v.nice, -20, 19);
  a.optional("oom_score_adj", v.oom_score_adj, -1000, 1000);
  a.list("limits", v.limits, [](auto& b, auto& item) { describe_limit(b, item); });
  a.flag("no_new_privs", v.no_new_privs, d.no_new_privs);
  a.capabilities("capabilities", v.capabilities);
  a.capabilities("capability_bounding_set", v.capability_bounding_set);
  a.boxed("sandbox", v.sandbox, [](auto& b, auto& item) { describe_sandbox(b, item); });
  a.object("cgroup", v.cgroup, d.cgroup, [](auto& b, auto& item) { describe_cgroup(b, item); });
}

template <typename A, typename T>
void describe_service(A& a, T& v) {
  const ServiceSpec d;
  a.name("name", v.name);
  a.texts("command", v.command);
  a.text("cwd", v.cwd);
  a.variables("env", v.env);
  a.part(v.process, [](auto& b, auto& item) { describe_process(b, item); });
  a.boxed("around", v.around, [](auto& b, auto& item) { describe_surroundings(b, item); });

  a.choice("type", v.type, d.type, type_words);
  a.number("replicas", v.replicas, d.replicas, 1, max_services);
  a.flag("autostart", v.autostart, d.autostart);
  a.texts("tags", v.tags);
  a.boxed("actions", v.actions, [](auto& b, auto& item) { describe_actions(b, item); });

  a.choice("restart", v.restart, d.restart, restart_words);
  a.object("backoff", v.backoff, d.backoff, [](auto& b, auto& item) { describe_backoff(b, item); });
  a.object("crash_limit", v.crash_limit, d.crash_limit, [](auto& b, auto& item) { describe_crash_limit(b, item); });
  a.choice("give_up", v.give_up, d.give_up, give_up_words);
  a.span("retry_after_ns", v.retry_after, d.retry_after);
  a.numbers("success_exit_codes", v.success_exit_codes, d.success_exit_codes, 0, 255);
  a.list("depends_on", v.depends_on, [](auto& b, auto& item) { describe_dependency(b, item); });

  a.boxed("ready", v.ready, [](auto& b, auto& item) { describe_probe(b, item); });
  a.boxed("live", v.live, [](auto& b, auto& item) { describe_probe(b, item); });
  a.span("start_timeout_ns", v.start_timeout, d.start_timeout);
  a.span("watchdog_ns", v.watchdog, d.watchdog);

  a.number("stop_signal", v.stop_signal, d.stop_signal, 1, max_signal);
  a.span("stop_timeout_ns", v.stop_timeout, d.stop_timeout);
  a.number("reload_signal", v.reload_signal, d.reload_signal, 1, max_signal);

  a.list("listen", v.listen, [](auto& b, auto& item) { describe_listen(b, item); });
  a.number("fdstore_max", v.fdstore_max, d.fdstore_max);
  a.boxed("log", v.log, [](auto& b, auto& item) { describe_log(b, item); });
}

template <typename A, typename T>
void describe_document(A& a, T& v) {
  const Document d;
  a.number("version", v.version, d.version);
  a.name("project", v.project);
  a.text("path", v.path);
  a.texts("environment", v.environment);
  a.number("start_concurrency", v.start_concurrency, d.start_concurrency);
  a.list("services", v.services, [](auto& b, auto& item) { describe_service(b, item); });
}

}  // namespace hearth::config
