// Limits in a leaf, on files that stand for those of cgroup v2: no machine of ours delegates controllers.
#include <fcntl.h>
#include <set>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "os/cgroup.h"
#include "os/fd.h"
#include "unit/os/temp_directory.h"

namespace hearth::os {
namespace {

using ::testing::HasSubstr;

class CgroupLimitsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    write(directory / "cgroup.procs", "");
    path = CgroupTree::open_below(directory.path(), "/i").path();
    write(path + "/cgroup.procs", "");
  }
  CgroupTree tree() { return CgroupTree::open_below(directory.path(), "/i"); }
  void write(const std::string& name, const std::string& text) {
    const Fd file(::open(name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    ASSERT_TRUE(file) << name;
    ASSERT_TRUE(write_all(file.get(), text, name));
  }
  std::string text_of(const std::string& name) {
    const Result<std::string> text = read_file(name);
    return text ? *text : "none";
  }
  test::TempDirectory directory;
  std::string path;
};

TEST_F(CgroupLimitsTest, are_written_as_the_kernel_wants_them) {
  write(path + "/cgroup.subtree_control", "cpu io memory pids\n");
  CgroupTree cgroups = tree();
  ASSERT_TRUE(cgroups.usable()) << cgroups.why();
  const Result<Fd> leaf = cgroups.make_leaf("a.b.0", 7);
  ASSERT_TRUE(leaf);
  const std::string at = path + "/a.b.0.7/";
  for (const char* file : {"memory.high", "memory.max", "pids.max", "cpu.max", "cpu.weight", "io.weight"})
    write(at + file, "");
  const CgroupLimits limits{1u << 20, 2u << 20, 512, 150, 50, 200};
  cgroups.limit(*leaf, limits, 1);
  EXPECT_EQ("", cgroups.missing(limits));
  EXPECT_EQ("1048576", text_of(at + "memory.high"));
  EXPECT_EQ("2097152", text_of(at + "memory.max"));
  EXPECT_EQ("512", text_of(at + "pids.max"));
  EXPECT_EQ("150000 100000", text_of(at + "cpu.max"));
  EXPECT_EQ("50", text_of(at + "cpu.weight"));
  EXPECT_EQ("200", text_of(at + "io.weight"));
}

TEST_F(CgroupLimitsTest, what_could_be_had_is_told_without_asking_for_it) {
  EXPECT_EQ(tree().not_handed_on(), (std::vector<std::string>{"cpu", "io", "memory", "pids"}));
  write(path + "/cgroup.controllers", "cpuset cpu memory pids hugetlb\n");
  EXPECT_EQ(tree().not_handed_on(), std::vector<std::string>{"io"});
}

TEST_F(CgroupLimitsTest, what_nobody_said_is_not_touched) {
  write(path + "/cgroup.subtree_control", "memory\n");
  CgroupTree cgroups = tree();
  const Result<Fd> leaf = cgroups.make_leaf("a.b.0", 7);
  write(path + "/a.b.0.7/memory.max", "max");
  cgroups.limit(*leaf, {}, 1);
  EXPECT_EQ("max", text_of(path + "/a.b.0.7/memory.max"));
  EXPECT_EQ("", cgroups.missing({}));
}

TEST_F(CgroupLimitsTest, a_controller_that_is_not_given_is_named_and_asked_for_once_a_minute) {
  const std::string control = path + "/cgroup.subtree_control";
  const CgroupLimits wanted{0, 1u << 30, 100, 0, 0, 0};
  write(control, "");  // takes what is written, and gives nothing of it: it then says "+memory"
  CgroupTree cgroups = tree();
  const MonoNs now = seconds(1000);
  cgroups.want(wanted, now);
  EXPECT_EQ("+pids", text_of(control).substr(0, 5)) << "the last one that was asked for";
  const std::string missing = cgroups.missing(wanted);
  EXPECT_THAT(
      missing,
      HasSubstr("memory_max is not held: the controller \"memory\" is not delegated to hearth (`hearth doctor` says "
                "why)"));
  EXPECT_THAT(missing, HasSubstr("pids_max is not held: the controller \"pids\" is not delegated"));
  write(control, "memory pids\n");
  cgroups.want(wanted, now + CgroupTree::asks_again_after - 1);
  EXPECT_EQ("memory pids\n", text_of(control)) << "nothing is asked for";
  EXPECT_EQ(missing, cgroups.missing(wanted)) << "and nothing is read";
  EXPECT_EQ("", tree().missing(wanted)) << "whoever opens it finds what is given";
  cgroups.want(wanted, now + CgroupTree::asks_again_after);
  EXPECT_EQ("", cgroups.missing(wanted));
  EXPECT_EQ("memory pids\n", text_of(control)) << "what is given is not asked for";
}

TEST_F(CgroupLimitsTest, what_is_told_of_them_touches_no_file) {
  const std::string control = path + "/cgroup.subtree_control";
  write(control, "memory\n");
  const CgroupTree cgroups = tree();
  ASSERT_EQ(0, ::unlink(control.c_str()));
  EXPECT_EQ("", cgroups.missing({0, 1u << 30, 0, 0, 0, 0}));
  EXPECT_THAT(cgroups.missing({0, 0, 100, 0, 0, 0}), HasSubstr("pids_max is not held"));
  EXPECT_EQ("none", text_of(control));
}

// What is asked, in which order, when the writes to these fail.
std::vector<std::string> asked_when_refused(std::set<std::size_t> refused, bool got) {
  std::vector<std::string> asked;
  EXPECT_EQ(got, ask_for_controller([&](const std::string& file) {
              asked.push_back(file);
              return !refused.contains(asked.size());
            }));
  return asked;
}

TEST(CgroupControllers, are_asked_for_here_then_above_and_then_here_again) {
  const std::string own = "cgroup.subtree_control", above = "../cgroup.subtree_control";
  using Files = std::vector<std::string>;
  EXPECT_EQ(Files({own}), asked_when_refused({}, true)) << "nobody above is asked for what is there";
  EXPECT_EQ(Files({own, above, own}), asked_when_refused({1}, true));
  EXPECT_EQ(Files({own, above}), asked_when_refused({1, 2}, false)) << "somebody is in the cgroup above";
  EXPECT_EQ(Files({own, above, own}), asked_when_refused({1, 3}, false));
}

TEST(CgroupControllers, the_tree_stands_beside_a_subgroup_of_what_is_delegated_and_else_below_our_cgroup) {
  const auto delegated = [](const std::string& which) {
    return [which](const std::string& directory) { return directory == which; };
  };
  EXPECT_EQ("/cg/a.service", above_subgroup("/cg/a.service/hearth", delegated("/cg/a.service")));
  EXPECT_EQ("/cg/a.service/hearth", above_subgroup("/cg/a.service/hearth", delegated("/cg/a.service/hearth")))
      << "it is ours that is marked: what is above is not";
  EXPECT_EQ("/cg/a.service/hearth", above_subgroup("/cg/a.service/hearth", delegated("/cg"))) << "one step, no more";
  EXPECT_EQ("/cg", above_subgroup("/cg", delegated(""))) << "nothing is above the root";
  EXPECT_EQ("", above_subgroup("", delegated("")));
}

TEST_F(CgroupLimitsTest, what_the_kernel_refuses_is_named_until_it_takes_it) {
  write(path + "/cgroup.subtree_control", "io\n");
  CgroupTree cgroups = tree();
  const Result<Fd> leaf = cgroups.make_leaf("a.b.0", 7);
  const CgroupLimits limits{0, 0, 0, 0, 0, 100};
  cgroups.limit(*leaf, limits, 1);  // io.weight is not there: as without io.cost and bfq
  EXPECT_THAT(cgroups.missing(limits),
              HasSubstr("io_weight is not held: the kernel refuses it (io.weight: No such file"));
  write(path + "/a.b.0.7/io.weight", "");
  cgroups.limit(*leaf, limits, 1);
  EXPECT_EQ("", cgroups.missing(limits));
}

TEST(CgroupLimits, without_a_tree_all_are_named_with_why_there_is_none) {
  test::TempDirectory directory;
  CgroupTree cgroups = CgroupTree::open_below(directory / "none", "/i");
  const std::string missing = cgroups.missing({0, 1u << 30, 100, 0, 0, 0});
  EXPECT_THAT(missing, HasSubstr("memory_max, pids_max are not held: it has no cgroup ("));
  EXPECT_THAT(missing, HasSubstr("No such file or directory"));
}

}  // namespace
}  // namespace hearth::os
