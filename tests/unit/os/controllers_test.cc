// Which of the controllers that limits need are not there, and who has them.
#include "os/controllers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hearth::os {
namespace {

using ::testing::HasSubstr;

constexpr const char* hybrid =
    "#subsys_name\thierarchy\tnum_cgroups\tenabled\n"
    "cpu\t0\t1\t1\nblkio\t7\t1\t1\nmemory\t4\t50\t1\npids\t0\t1\t0\n";

MissingController one(const std::string& name, const char* offered, const std::string& mount = "/sys/fs/cgroup") {
  const std::vector<MissingController> all = why_missing({name}, hybrid, offered, mount);
  EXPECT_EQ(all.size(), 1u);
  EXPECT_EQ(all.at(0).name, name);
  return all.at(0);
}

TEST(Controllers, what_version_1_has_is_told_with_its_hierarchy) {
  EXPECT_EQ(one("memory", "").why, "cgroup v1 has it, as /proc/cgroups says");
  EXPECT_EQ(one("memory", "").detail, "hierarchy 4");
  EXPECT_EQ(one("io", "").detail, "hierarchy 7") << "it is blkio there";
  EXPECT_THAT(one("memory", "").remedy, HasSubstr("cgroup_no_v1=all"));
}

TEST(Controllers, what_was_switched_off_at_the_boot_is_told_as_that) {
  EXPECT_THAT(one("pids", "").why, HasSubstr("started without it"));
  EXPECT_THAT(one("pids", "").remedy, HasSubstr("cgroup_enable=pids"));
}

TEST(Controllers, what_is_offered_and_not_handed_on_lacks_a_delegation) {
  EXPECT_THAT(one("cpu", "cpuset cpu\n").why, HasSubstr("it is not delegated to hearth"));
  EXPECT_TRUE(one("cpu", "cpuset cpu\n").may_be_given);
  EXPECT_FALSE(one("memory", "memory\n").may_be_given) << "version 1 has it";
  EXPECT_THAT(one("cpu", "cpuset cpu\n").remedy, HasSubstr("DelegateSubgroup=hearth"));
  EXPECT_EQ(one("cpu", "cpuset\n").why, "/sys/fs/cgroup/cgroup.controllers does not have it");
  EXPECT_EQ(one("cpu", "", "").why, "no cgroup v2 hierarchy is mounted here");
}

// Linux of today lists in /proc/cgroups only what version 1 knows.
TEST(Controllers, an_empty_list_of_version_1_says_nothing) {
  const auto all = why_missing({"memory", "io"}, "#subsys_name\thierarchy\tnum_cgroups\tenabled\n", "memory", "/c");
  ASSERT_EQ(all.size(), 2u);
  EXPECT_THAT(all[0].why, HasSubstr("it is not delegated to hearth"));
  EXPECT_EQ(all[1].why, "/c/cgroup.controllers does not have it");
}

}  // namespace
}  // namespace hearth::os
