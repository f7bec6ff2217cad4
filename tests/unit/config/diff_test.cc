#include "config/diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/config/arbitrary.h"

namespace hearth::config {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Document with(std::vector<ServiceSpec> services) {
  Document document;
  document.project = "p";
  document.services = std::move(services);
  return document;
}
ServiceSpec service(std::string name, std::string program = "x") {
  return {.name = std::move(name), .command = {std::move(program)}};
}

TEST(Diff, every_service_is_in_one_list) {
  const Diff result = diff(with({service("gone"), service("same"), service("other", "old")}),
                           with({service("other", "new"), service("fresh"), service("same")}));
  EXPECT_THAT(result.added, ElementsAre("fresh"));
  EXPECT_THAT(result.removed, ElementsAre("gone"));
  EXPECT_THAT(result.changed, ElementsAre("other"));
  EXPECT_THAT(result.unchanged, ElementsAre("same"));
}

TEST(Diff, the_order_of_services_is_no_change) {
  EXPECT_TRUE(diff(with({service("a"), service("b")}), with({service("b"), service("a")})).empty());
}

TEST(Diff, another_environment_changes_no_service) {
  Document later = with({service("a")});
  later.environment = {"LANG=C"};
  const Diff result = diff(with({service("a")}), later);
  EXPECT_TRUE(result.environment);
  EXPECT_THAT(result.changed, IsEmpty());
  EXPECT_FALSE(result.empty());
}

TEST(Diff, a_document_does_not_differ_from_itself) {
  EXPECT_TRUE(rc::check("reflexive", [] {
    const Document document = any_document();
    RC_ASSERT(diff(document, document).empty());
  }));
}

TEST(ChangedKeys, are_named_exactly_when_specs_differ) {
  EXPECT_TRUE(rc::check("complete", [] {
    const ServiceSpec a = any_service("a"), b = any_service("a");
    RC_ASSERT(changed_keys(a, b).empty() == (a == b));
    RC_ASSERT(changed_keys(a, a).empty());
  }));
  ServiceSpec spec = service("a");
  spec.process.edit().gid = 5;
  spec.crash_limit.max_restarts = 3;
  EXPECT_THAT(changed_keys(service("a"), spec), ElementsAre("group", "max_restarts"));
}

TEST(NeedsRestart, only_what_the_program_has_to_be_told) {
  const ServiceSpec spec = service("a");
  const auto needs = [&](auto change) {
    ServiceSpec other = spec;
    change(other);
    EXPECT_FALSE(changed_keys(spec, other).empty());
    return needs_restart(spec, other);
  };
  EXPECT_FALSE(needs_restart(spec, spec));
  EXPECT_FALSE(needs([](ServiceSpec& s) { s.replicas = 4; }));
  EXPECT_FALSE(needs([](ServiceSpec& s) { s.restart = RestartPolicy::always; }));
  EXPECT_FALSE(needs([](ServiceSpec& s) { s.actions.edit().stop.command = {"x"}; }));
  EXPECT_FALSE(needs([](ServiceSpec& s) { s.around.edit().ports = {80}; }));
  EXPECT_FALSE(needs([](ServiceSpec& s) { s.log.edit().max_size = 5; }));
  EXPECT_FALSE(needs([](ServiceSpec& s) { s.depends_on = {{.service = "b"}}; }));
  EXPECT_TRUE(needs([](ServiceSpec& s) { s.log.edit().format = "json"; }));
  EXPECT_TRUE(needs([](ServiceSpec& s) { s.command = {"y"}; }));
  EXPECT_TRUE(needs([](ServiceSpec& s) { s.env = {{"A", "1"}}; }));
  EXPECT_TRUE(needs([](ServiceSpec& s) { s.watchdog = seconds(1); })) << "it is told in WATCHDOG_USEC";
  EXPECT_TRUE(needs([](ServiceSpec& s) { s.around.edit().cpus = {0}; }));
  EXPECT_TRUE(needs([](ServiceSpec& s) { s.process.edit().no_new_privs = true; }));
  EXPECT_TRUE(needs([](ServiceSpec& s) { s.process.edit().capability_bounding_set = all_capabilities; }));
  EXPECT_TRUE(needs([](ServiceSpec& s) { s.process.edit().capabilities = 0; }))
      << "none is not the same as nothing said";
  EXPECT_TRUE(needs([](ServiceSpec& s) { s.process.edit().sandbox.edit().limits_writing = true; }));
  EXPECT_TRUE(needs([](ServiceSpec& s) { s.process.edit().sandbox.edit().deny_syscalls = {"@mount"}; }));
  EXPECT_TRUE(needs([](ServiceSpec& s) { s.process.edit().cgroup.pids_max = 100; }));
}

TEST(NeedsRestart, another_max_memory_is_seen_by_the_run_that_is_there) {
  ServiceSpec none = service("a"), memory = none, more = none, http = none, both = none;
  memory.live = memory_probe(1u << 30);
  more.live = memory_probe(2u << 30);
  http.live.edit().type = ProbeType::http;
  both.live = http.live;
  both.live.edit().max_memory = 1u << 30;
  for (const ServiceSpec* from : {&none, &memory, &more, &http, &both})
    for (const ServiceSpec* to : {&none, &memory, &more, &http, &both}) EXPECT_FALSE(needs_restart(*from, *to));
  EXPECT_THAT(changed_keys(none, memory), ElementsAre("max_memory"));
  EXPECT_THAT(changed_keys(memory, more), ElementsAre("max_memory"));
  EXPECT_THAT(changed_keys(http, both), ElementsAre("max_memory"));
  EXPECT_THAT(changed_keys(memory, both), ElementsAre("live"));
}

TEST(NeedsRestart, a_probe_in_which_the_program_takes_part_cannot_begin_later) {
  ServiceSpec none = service("a"), notify = none, http = none;
  notify.ready.edit().type = ProbeType::notify;
  http.ready.edit().type = ProbeType::http;
  EXPECT_TRUE(needs_restart(http, notify));
  EXPECT_FALSE(needs_restart(notify, http));
  EXPECT_FALSE(needs_restart(none, http));
  EXPECT_FALSE(needs_restart(http, none));
}

TEST(Changes, every_service_is_told_with_what_becomes_of_it) {
  ServiceSpec more = service("more"), many = service("more"), lazy = service("lazy");
  many.replicas = 3;
  lazy.autostart = false;
  const std::vector<ServiceChange> all =
      changes(with({service("gone"), service("same"), service("other", "old"), more}),
              with({service("same"), service("other", "new"), many, service("new"), lazy}));
  std::vector<std::pair<std::string, Measure>> told;
  for (const ServiceChange& one : all) told.emplace_back(one.service, one.measure);
  EXPECT_THAT(told, ElementsAre(std::pair("same", Measure::none), std::pair("other", Measure::restart),
                                std::pair("more", Measure::live), std::pair("new", Measure::start),
                                std::pair("lazy", Measure::know), std::pair("gone", Measure::stop)));
  EXPECT_THAT(all[1].keys, ElementsAre("command"));
  EXPECT_EQ(all[2].replicas_before, 1u);
  EXPECT_EQ(all[2].replicas, 3u);
}

}  // namespace
}  // namespace hearth::config
