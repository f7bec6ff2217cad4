// Arbitrary documents for property tests: every field takes values other than its default, strings hold any
// byte but NUL, and everything is within the bounds that the JSON reader enforces.
#pragma once

#include <cstdint>
#include <iterator>
#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <rapidcheck.h>

#include "config/limits.h"
#include "config/words.h"
#include "model/capabilities.h"
#include "model/service_spec.h"

namespace hearth::config {

inline std::string any_text() {
  return *rc::gen::container<std::string>(rc::gen::oneOf(rc::gen::inRange<char>(1, 127), rc::gen::nonZero<char>()));
}
inline std::string some_text() {
  std::string text = any_text();
  return text.empty() ? "x" : text;
}
inline std::string any_name() {
  static const std::string letters = "abcXYZ019_-";
  std::string name = *rc::gen::container<std::string>(rc::gen::elementOf(letters));
  if (name.empty()) name = "n";
  if (name.size() > max_name) name.resize(max_name);
  return name;
}
template <typename T>
T any_from(T least, T greatest) {
  // inRange excludes its end, and the ends are what breaks.
  return *rc::gen::oneOf(rc::gen::just(least), rc::gen::just(greatest), rc::gen::inRange<T>(least, greatest));
}
inline SpanNs any_span() {
  return any_from<SpanNs>(0, max_span);
}
inline double any_thousandths(int least, int greatest) {
  return any_from(least * 1000, greatest * 1000) / 1000.0;
}
inline bool any_flag() {
  return *rc::gen::arbitrary<bool>();
}
inline std::uint32_t any_u32() {
  return any_from<std::uint32_t>(0, UINT32_MAX);
}
inline std::uint64_t any_u64() {
  return any_from<std::uint64_t>(0, UINT64_MAX);
}
template <typename Words>
auto any_word(const Words& words) {
  return words[any_from<std::size_t>(0, words.size() - 1)];
}
// 0 to 3 of what `make` makes.
template <typename Make>
auto any_list(Make make) {
  std::vector<decltype(make())> list;
  const int count = any_from(0, 3);
  for (int i = 0; i < count; ++i) list.push_back(make());
  return list;
}
template <typename Make>
auto perhaps(Make make) {
  return any_flag() ? std::optional(make()) : std::nullopt;
}

inline Probe any_probe() {
  Probe probe;
  probe.type = any_word(probe_words).value;
  probe.url = any_text();
  probe.address = any_text();
  probe.command = any_list(any_text);
  probe.target = any_text();
  probe.descriptor = any_from(0, 1023);
  probe.uptime = any_span();
  probe.max_memory = any_u64();
  probe.expect_status = any_from(0, 599);
  probe.interval = any_span();
  probe.timeout = any_span();
  probe.success_threshold = any_u32();
  probe.failure_threshold = any_u32();
  return probe;
}

inline ResourceLimit any_limit() {
  ResourceLimit limit{std::string(any_word(limit_names)), any_u64(), any_u64()};
  if (limit.soft > limit.hard) std::swap(limit.soft, limit.hard);
  return limit;
}

inline CapabilitySet any_capabilities() {
  CapabilitySet set = 0;
  const bool all = any_flag();
  if (all) add_capability("all", set);
  for (const std::string_view name : any_list([] { return any_word(capability_names()); }))
    add_capability((all ? "-" : "") + std::string(name), set);
  return set;
}

inline std::pair<std::string, std::string> any_variable() {
  std::string name = some_text();
  for (char& c : name) c = c == '=' ? '_' : c;
  return {name, any_text()};
}

inline void fill_identity(ServiceSpec& spec) {
  spec.command = any_list(any_text);
  spec.command.insert(spec.command.begin(), some_text());
  spec.cwd = any_text();
  spec.env = any_list(any_variable);
  spec.process.edit().user = any_text();
  spec.process.edit().group = any_text();
  spec.process.edit().uid = perhaps(any_u32);
  spec.process.edit().gid = perhaps(any_u32);
  spec.process.edit().groups = any_list(any_u32);
  spec.process.edit().umask = perhaps([] { return any_from(0, 0777); });
  spec.process.edit().nice = perhaps([] { return any_from(-20, 19); });
  spec.process.edit().oom_score_adj = perhaps([] { return any_from(-1000, 1000); });
  spec.process.edit().limits = any_list(any_limit);
  spec.process.edit().no_new_privs = any_flag();
  spec.process.edit().capabilities = perhaps(any_capabilities);
  spec.process.edit().capability_bounding_set = perhaps(any_capabilities);
  Sandbox& box = spec.process.edit().sandbox.edit();
  for (bool* limits : {&box.limits_reading, &box.limits_writing, &box.limits_executing, &box.required})
    *limits = any_flag();
  for (auto* texts : {&box.read_paths, &box.write_paths, &box.exec_paths, &box.deny_syscalls})
    *texts = any_list(any_text);
  CgroupLimits& limits = spec.process.edit().cgroup;
  limits.memory_high = any_u32();
  limits.memory_max = any_u32();
  limits.pids_max = any_u32();
  limits.cpu_max = any_u32();
  limits.cpu_weight = any_from<std::uint32_t>(0, 10000);
  limits.io_weight = any_from<std::uint32_t>(0, 10000);
}

inline Action any_action() {
  return {any_list(any_text), any_span()};
}

inline Actions any_actions() {
  return {any_action(), any_action(), any_action(), any_action(),
          any_action(), any_action(), any_action(), any_action()};
}

inline Surroundings any_surroundings() {
  Surroundings around;
  around.io_class = any_word(io_class_words).value;
  around.io_level = any_from(0, 7);
  around.cpus = any_list([] { return any_from<std::uint32_t>(0, 4095); });
  around.library_path = any_list(any_text);
  around.preload = any_list(any_text);
  around.stdin_from = any_word(stdin_words).value;
  around.stdin_path = any_text();
  around.credentials = any_list(any_variable);
  around.runtime_directories = any_list(any_text);
  around.state_directories = any_list(any_text);
  around.cache_directories = any_list(any_text);
  around.env_files = any_list(any_text);
  around.ports = any_list([] { return any_from<std::uint16_t>(1, UINT16_MAX); });
  around.ready_file = any_text();
  around.pid_file = any_text();
  return around;
}

inline ServiceSpec any_service(const std::string& name) {
  ServiceSpec spec;
  spec.name = name;
  fill_identity(spec);
  if (any_flag()) spec.around.edit() = any_surroundings();
  if (any_flag()) spec.actions.edit() = any_actions();
  spec.type = any_word(type_words).value;
  spec.replicas = any_from<std::uint32_t>(1, max_services);
  spec.autostart = any_flag();
  spec.tags = any_list(any_text);
  spec.give_up = any_word(give_up_words).value;
  spec.retry_after = any_span();
  spec.restart = any_word(restart_words).value;
  spec.backoff = Backoff{any_span(), any_span(), any_thousandths(1, 10), any_thousandths(0, 1), any_span()};
  spec.crash_limit = CrashLimit{any_u32(), any_span(), any_u32()};
  spec.success_exit_codes = any_list([] { return any_from(0, 255); });
  spec.depends_on =
      any_list([] { return Dependency{any_name(), any_word(condition_words).value, any_flag(), any_flag()}; });
  spec.ready = any_probe();
  if (spec.ready->type == ProbeType::memory) spec.ready.edit().type = ProbeType::none;  // of `live` only
  spec.live = any_probe();
  spec.start_timeout = any_span();
  spec.watchdog = any_span();
  spec.stop_signal = any_from(1, 64);
  spec.stop_timeout = any_span();
  spec.reload_signal = any_from(1, 64);
  spec.listen =
      any_list([] { return ListenSocket{any_text(), any_text(), any_from(0, std::numeric_limits<int>::max())}; });
  spec.fdstore_max = any_u32();
  spec.log =
      LogSpec{std::string(any_word(log_formats)), any_u64(), any_u32(), any_span(), any_u64(), any_flag(), any_flag(),
              std::string(any_word(log_sinks)),   any_span()};
  return spec;
}

inline Document any_document() {
  Document document;
  document.version = any_u64();
  document.project = any_name();
  document.path = any_text();
  document.start_concurrency = any_u32();
  document.environment = any_list([] { return "V" + std::to_string(any_u32()) + "=" + any_text(); });
  std::set<std::string> names;
  for (const std::string& name : any_list(any_name)) names.insert(name);
  for (const std::string& name : names) document.services.push_back(any_service(name));
  return document;
}

inline bool equal(const Document& a, const Document& b) {
  return a.version == b.version && a.project == b.project && a.path == b.path && a.environment == b.environment &&
         a.services == b.services;
}

}  // namespace hearth::config
