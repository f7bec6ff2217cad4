#include "os/plan_builder.h"

#include <cstring>
#include <set>
#include <sys/resource.h>

#include <gtest/gtest.h>

#include "unit/os/fake_keeper.h"
#include "wire/spawn_plan.h"

namespace hearth::os {
namespace {

struct PlanTest : ::testing::Test {
  test::OrderMaker maker;
  PlanContext context{
      .instance_directory = "/run/hearth/main", .notify_path = "", .passed = {}, .leaf = false, .nofile = {}};
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

TEST_F(PlanTest, limits_are_the_original_ones_unless_the_service_says_otherwise) {
  context.nofile = NofileLimit{1024, 4096};
  maker.spec().limits = {{"core", 0, 0}};
  EXPECT_EQ(2u, build(2).limits.count);
  maker.spec().limits = {{"nofile", 10, 20}};
  const wire::PlanHeader& plan = build(2);
  ASSERT_EQ(1u, plan.limits.count);
  wire::PlanLimit limit{};
  std::memcpy(&limit, bytes.data() + plan.limits.offset, sizeof limit);
  EXPECT_EQ(static_cast<std::uint32_t>(RLIMIT_NOFILE), limit.resource);
  EXPECT_EQ(10u, limit.soft);
}

TEST_F(PlanTest, what_cannot_be_is_refused_before_anything_is_made) {
  maker.spec().command = {"/bin/x", "{fd:none}"};
  EXPECT_FALSE(build_plan(maker.order(0, 1), context));
  maker.spec().command = {""};
  EXPECT_FALSE(build_plan(maker.order(0, 1), context));
  maker.spec().command = {"/bin/x", std::string(3u << 20, 'x')};
  EXPECT_FALSE(build_plan(maker.order(0, 1), context));
  maker.spec().command = {"/bin/x"};
  maker.spec().limits = {{"colour", 1, 1}};
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
