#include "os/kernel_features.h"

#include <gtest/gtest.h>

namespace hearth::os {
namespace {

TEST(KernelFeaturesTest, what_hearth_needs_is_there_or_no_other_test_would_pass) {
  const auto features = kernel_features();
  ASSERT_GE(features.size(), 6u);
  for (const KernelFeature& feature : features) {
    EXPECT_FALSE(feature.without.empty()) << feature.name;
    if (feature.required) {
      EXPECT_TRUE(feature.there) << feature.name;
    }
  }
}

TEST(KernelFeaturesTest, a_newer_kernel_never_has_less) {
  // PIDFD_GET_INFO with the exit status came after SO_PASSPIDFD.
  bool exit_status = false, sender = false;
  for (const KernelFeature& feature : kernel_features()) {
    if (feature.since == "6.15") exit_status = feature.there;
    if (feature.since == "6.5") sender = feature.there;
  }
  EXPECT_TRUE(sender || !exit_status);
}

}  // namespace
}  // namespace hearth::os
