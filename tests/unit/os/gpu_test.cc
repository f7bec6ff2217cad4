#include "os/gpu.h"

#include <gtest/gtest.h>

namespace hearth::os {
namespace {

TEST(GpuTest, compute_apps_are_told_by_pid_gpu_and_mebibytes) {
  const auto uses = parse_compute_apps("4711, GPU-8f2c, 18432\n12, GPU-8f2c, 512\n");
  ASSERT_EQ(2u, uses.size());
  EXPECT_EQ(4711, uses[0].pid);
  EXPECT_EQ("GPU-8f2c", uses[0].gpu);
  EXPECT_EQ(std::uint64_t{18432} << 20, uses[0].bytes);
  EXPECT_EQ(12, uses[1].pid);
}

TEST(GpuTest, what_is_no_such_line_is_left_out) {
  EXPECT_TRUE(parse_compute_apps("").empty());
  EXPECT_TRUE(parse_compute_apps("No devices were found\n").empty());
  EXPECT_TRUE(parse_compute_apps("x, y\n-4, GPU, 3\n,,\n").empty());
  EXPECT_EQ(0u, parse_compute_apps("7, GPU-1, [N/A]\n").at(0).bytes);
}

}  // namespace
}  // namespace hearth::os
