#include "os/plan_builder.h"

#include <cstring>
#include <set>
#include <sys/resource.h>

#include <gtest/gtest.h>

#include "os/sandbox.h"
#include "unit/os/fake_keeper.h"
#include "wire/spawn_plan.h"

namespace hearth::os {
namespace {

struct PlanTest : ::testing::Test {
  test::OrderMaker maker;
  PlanContext context{.instance_directory = "/run/hearth/main",
                      .notify_path = "",
                      .passed = {},
                      .own = {},
                      .ready_descriptor = -1,
                      .leaf = false,
                      .nofile = {}};
  std::string bytes;

  const wire::PlanHeader& build(std::uint32_t descriptors) {
    Result<std::string> plan = build_plan(maker.order(3, 77), context);
    EXPECT_TRUE(plan) << plan.error().text();
    bytes = plan ? *plan : "";
    EXPECT_EQ(nullptr, wire::plan_problem(bytes.data(), bytes.size(), descriptors));
    return *reinterpret_cast<const wire::PlanHeader*>(bytes.data());
  }
  std::vector<std::string> strings(wire::PlanTable table) {
    std::vector<std::string> out;
    for (std::uint32_t i = 0; i < table.count; ++i) {
      std::uint32_t offset = 0;
      std::memcpy(&offset, bytes.data() + table.offset + i * 4, 4);
      out.emplace_back(bytes.data() + offset);
    }
    return out;
  }
  bool has(const wire::PlanHeader& plan, const std::string& line) {
    for (const std::string& pair : strings(plan.env))
      if (pair == line) return true;
    return false;
  }
};

TEST_F(PlanTest, names_the_run_and_the_program) {
  const wire::PlanHeader& plan = build(2);
  EXPECT_EQ(6u, plan.entry);
  EXPECT_EQ(77u, plan.run);
  EXPECT_EQ((std::vector<std::string>{"/bin/sleep"}), strings(plan.paths));
  EXPECT_EQ((std::vector<std::string>{"/bin/sleep", "1000"}), strings(plan.argv));
  EXPECT_EQ(-1, plan.cgroup);
  EXPECT_EQ(022, plan.umask);
  EXPECT_EQ(wire::plan_keep, plan.nice);
}

TEST_F(PlanTest, the_service_overrides_the_document_and_ours_overrides_both) {
  maker.document.environment = {"A=document", "B=document", "HEARTH_RUN=1", "LISTEN_FDS=4", "NOTIFY_SOCKET=/x", "=odd"};
  maker.spec().env = {{"A", "service"}, {"HEARTH_INSTANCE", "/other"}};
  const wire::PlanHeader& plan = build(2);
  EXPECT_TRUE(has(plan, "A=service"));
  EXPECT_TRUE(has(plan, "B=document"));
  EXPECT_TRUE(has(plan, "HEARTH_RUN=77"));
  EXPECT_TRUE(has(plan, "HEARTH_SLOT=shop.web.3"));
  EXPECT_TRUE(has(plan, "HEARTH_INSTANCE=/run/hearth/main"));
  EXPECT_EQ(5u, plan.env.count) << "LISTEN_FDS and NOTIFY_SOCKET of somebody else are gone";
  EXPECT_EQ(0u, plan.pid_patches.count);
}

TEST_F(PlanTest, a_command_without_slash_is_looked_for_where_its_own_PATH_says) {
  maker.spec().command = {"server"};
  maker.spec().env = {{"PATH", "/opt/bin::/usr/bin"}};
  EXPECT_EQ((std::vector<std::string>{"/opt/bin/server", "./server", "/usr/bin/server"}), strings(build(2).paths));
  maker.spec().env.clear();
  maker.document.environment.clear();
  EXPECT_EQ("/usr/local/sbin/server", strings(build(2).paths)[0]);
}

TEST_F(PlanTest, sockets_and_stored_descriptors_follow_3_with_names_and_patched_pids) {
  context.passed = {"http", "cache"};
  context.leaf = true;
  context.notify_path = "/run/hearth/main/n/77";
  maker.spec().command = {"/bin/server", "--listen", "fd:{fd:http}", "{fd:cache}{fd:http}", "{fd", "{fd:http"};
  const wire::PlanHeader& plan = build(5);
  EXPECT_EQ((std::vector<std::string>{"/bin/server", "--listen", "fd:3", "43", "{fd", "{fd:http"}), strings(plan.argv));
  EXPECT_TRUE(has(plan, "LISTEN_FDS=2"));
  EXPECT_TRUE(has(plan, "LISTEN_FDNAMES=http:cache"));
  EXPECT_TRUE(has(plan, "LISTEN_PID=0000000000"));
  EXPECT_TRUE(has(plan, "NOTIFY_SOCKET=/run/hearth/main/n/77"));
  EXPECT_EQ(1u, plan.pid_patches.count);
  EXPECT_EQ(4, plan.cgroup);
  EXPECT_EQ(5u, plan.descriptors.count);
}

TEST_F(PlanTest, a_readiness_pipe_stands_before_the_leaf_and_gets_the_number_it_was_asked_for) {
  context.passed = {"http"};
  context.ready_descriptor = 9;
  context.leaf = true;
  const wire::PlanHeader& plan = build(5);
  EXPECT_EQ(4, plan.cgroup);
  ASSERT_EQ(5u, plan.descriptors.count);
  wire::PlanDescriptor last{};
  std::memcpy(&last, bytes.data() + plan.descriptors.offset + 4 * sizeof last, sizeof last);
  EXPECT_EQ(3u, last.index);
  EXPECT_EQ(9, last.target);
  EXPECT_FALSE(has(plan, "LISTEN_FDS=2")) << "it is no socket";
  context.ready_descriptor = 3;
  EXPECT_FALSE(build_plan(maker.order(3, 77), context)) << "the socket is there";
}

TEST_F(PlanTest, surroundings_stand_in_the_plan) {
  Surroundings& around = maker.spec().around.edit();
  around.io_class = IoClass::best_effort;
  around.io_level = 6;
  around.cpus = {0, 2, 65};
  around.stdin_from = StdinFrom::file;
  around.stdin_path = "/etc/input";
  const wire::PlanHeader& plan = build(2);
  EXPECT_EQ(2 << 13 | 6, plan.io_priority);
  ASSERT_EQ(2u, plan.cpus.count);
  std::uint64_t words[2];
  std::memcpy(words, bytes.data() + plan.cpus.offset, sizeof words);
  EXPECT_EQ(5u, words[0]);
  EXPECT_EQ(2u, words[1]);
  EXPECT_STREQ("/etc/input", bytes.data() + plan.input);
  around = Surroundings{};
  const wire::PlanHeader& usual = build(2);
  EXPECT_EQ(wire::plan_keep, usual.io_priority);
  EXPECT_EQ(0u, usual.cpus.count);
  EXPECT_EQ(0u, usual.input);
}

TEST_F(PlanTest, libraries_stand_before_those_of_the_environment_and_directories_of_the_caller_are_gone) {
  maker.document.environment = {"LD_LIBRARY_PATH=/caller", "STATE_DIRECTORY=/var/lib/caller"};
  maker.spec().around.edit().library_path = {"/a", "/b"};
  maker.spec().around.edit().preload = {"/x.so"};
  context.own = {{"CREDENTIALS_DIRECTORY", "/run/hearth/main/c/77"}};
  const wire::PlanHeader& plan = build(2);
  EXPECT_TRUE(has(plan, "LD_LIBRARY_PATH=/a:/b:/caller"));
  EXPECT_TRUE(has(plan, "LD_PRELOAD=/x.so"));
  EXPECT_TRUE(has(plan, "CREDENTIALS_DIRECTORY=/run/hearth/main/c/77"));
  EXPECT_FALSE(has(plan, "STATE_DIRECTORY=/var/lib/caller"));
}

TEST_F(PlanTest, limits_are_the_original_ones_unless_the_service_says_otherwise) {
  context.nofile = NofileLimit{1024, 4096};
  maker.spec().process.edit().limits = {{"core", 0, 0}};
  EXPECT_EQ(2u, build(2).limits.count);
  maker.spec().process.edit().limits = {{"nofile", 10, 20}};
  const wire::PlanHeader& plan = build(2);
  ASSERT_EQ(1u, plan.limits.count);
  wire::PlanLimit limit{};
  std::memcpy(&limit, bytes.data() + plan.limits.offset, sizeof limit);
  EXPECT_EQ(static_cast<std::uint32_t>(RLIMIT_NOFILE), limit.resource);
  EXPECT_EQ(10u, limit.soft);
}

TEST_F(PlanTest, what_it_may_do_stands_in_the_plan) {
  const wire::PlanHeader& usual = build(2);
  EXPECT_EQ(0u, usual.flags);
  context.privileges = Privileges{0, 0xfff, 0xfff, 0xfff, 0};
  ProcessSettings& process = maker.spec().process.edit();
  process.no_new_privs = true;
  process.capabilities = 0x401;
  process.capability_bounding_set = 0xc01;
  process.uid = process.gid = 65534;
  const wire::PlanHeader& plan = build(2);
  EXPECT_EQ(wire::plan_no_new_privs | wire::plan_bounds | wire::plan_capabilities, plan.flags);
  EXPECT_EQ(0xc01u, plan.bounding);
  EXPECT_EQ(0x401u, plan.capabilities);
  EXPECT_EQ(0x401u, plan.ambient);
  context.privileges->permitted = 0x100;
  const Result<std::string> refused = build_plan(maker.order(3, 77), context);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text().find("hearth itself has not chown and net_bind_service"), std::string::npos)
      << refused.error().text();
}

TEST_F(PlanTest, its_sandbox_stands_in_the_plan_and_brings_no_new_privs) {
  const wire::PlanHeader& usual = build(2);
  EXPECT_EQ(-1, usual.ruleset);
  EXPECT_EQ(0u, usual.filter.count);
  Sandbox& box = maker.spec().process.edit().sandbox.edit();
  box.limits_writing = true;
  box.deny_syscalls = {"@mount"};
  context.ruleset = context.leaf = true;
  const wire::PlanHeader& plan = build(4);
  EXPECT_EQ(2, plan.cgroup);
  EXPECT_EQ(3, plan.ruleset) << "the last descriptor";
  EXPECT_EQ(wire::plan_no_new_privs, plan.flags);
  const SeccompFilter filter = sandbox_support().seccomp ? deny_filter({"@mount"}) : SeccompFilter();
  ASSERT_EQ(filter.size(), plan.filter.count);
  EXPECT_EQ(0, std::memcmp(filter.data(), bytes.data() + plan.filter.offset, filter.size() * sizeof filter[0]));
}

TEST_F(PlanTest, what_cannot_be_is_refused_before_anything_is_made) {
  maker.spec().command = {"/bin/x", "{fd:none}"};
  EXPECT_FALSE(build_plan(maker.order(0, 1), context));
  maker.spec().command = {""};
  EXPECT_FALSE(build_plan(maker.order(0, 1), context));
  maker.spec().command = {"/bin/x", std::string(3u << 20, 'x')};
  EXPECT_FALSE(build_plan(maker.order(0, 1), context));
  maker.spec().command = {"/bin/x"};
  maker.spec().process.edit().limits = {{"colour", 1, 1}};
  EXPECT_FALSE(build_plan(maker.order(0, 1), context));
}

TEST(Nofile, is_read_strictly) {
  EXPECT_EQ(256u, parse_nofile("256:1024")->soft);
  EXPECT_EQ(1024u, parse_nofile("256:1024")->hard);
  for (const char* text : {"", "256", "a:b", "1024:256", "1:2x"}) EXPECT_FALSE(parse_nofile(text)) << text;
  EXPECT_FALSE(parse_nofile(nullptr));
}

}  // namespace
}  // namespace hearth::os
