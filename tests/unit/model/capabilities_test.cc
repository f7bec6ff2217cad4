#include "model/capabilities.h"

#include <linux/capability.h>

#include <gtest/gtest.h>

namespace hearth {
namespace {

using Words = std::vector<std::string>;

std::optional<CapabilitySet> set_of(const Words& words) {
  CapabilitySet set = 0;
  for (const std::string& word : words)
    if (!add_capability(word, set)) return std::nullopt;
  return set;
}

TEST(Capabilities, HaveTheNumbersOfTheKernel) {
  EXPECT_EQ(capabilities_of("chown"), capability_bit(CAP_CHOWN));
  EXPECT_EQ(capabilities_of("net_bind_service"), capability_bit(CAP_NET_BIND_SERVICE));
  EXPECT_EQ(capabilities_of("sys_admin"), capability_bit(CAP_SYS_ADMIN));
  EXPECT_EQ(capabilities_of("setfcap"), capability_bit(CAP_SETFCAP));
  EXPECT_EQ(capabilities_of("syslog"), capability_bit(CAP_SYSLOG));
  EXPECT_EQ(capabilities_of("checkpoint_restore"), capability_bit(CAP_CHECKPOINT_RESTORE));
  EXPECT_EQ(capability_setpcap, static_cast<unsigned>(CAP_SETPCAP));
}

TEST(Capabilities, AreReadInAnyCaseWithTheirPrefixOrWithout) {
  for (const char* word : {"net_raw", "NET_RAW", "CAP_NET_RAW", "cap_Net_Raw"})
    EXPECT_EQ(capabilities_of(word), capability_bit(CAP_NET_RAW)) << word;
  for (const char* word : {"", "cap_", "net raw", "cap_cap_net_raw", "everything"})
    EXPECT_FALSE(capabilities_of(word)) << word;
}

TEST(Capabilities, AreTakenFromWhatStandsBeforeThem) {
  EXPECT_EQ(set_of({}), 0u);
  EXPECT_EQ(set_of({"all"}), all_capabilities);
  EXPECT_EQ(set_of({"all", "-net_raw"}), all_capabilities & ~capability_bit(CAP_NET_RAW));
  EXPECT_EQ(set_of({"net_raw", "chown", "-CAP_NET_RAW"}), capability_bit(CAP_CHOWN));
  EXPECT_FALSE(set_of({"-net_raw"})) << "there is nothing yet";
  EXPECT_FALSE(set_of({"chown", "-net_raw"}));
}

TEST(Capabilities, AreWrittenAsTheyAreRead) {
  for (const Words& words : {Words{}, Words{"all"}, Words{"chown", "net_raw"}, Words{"all", "-chown", "-sys_admin"}}) {
    const std::optional<CapabilitySet> set = set_of(words);
    ASSERT_TRUE(set);
    EXPECT_EQ(capability_words(*set), words);
  }
}

TEST(Capabilities, ThatSomebodyHasNamedAreKnown) {
  const CapabilitySet raw = capability_bit(CAP_NET_RAW);
  EXPECT_EQ(named_capabilities(raw), raw);
  EXPECT_EQ(named_capabilities(all_capabilities & ~raw), raw);
  EXPECT_EQ(named_capabilities(all_capabilities), 0u);
}

TEST(Capabilities, AreListedForPeople) {
  EXPECT_EQ(capability_list(0), "none");
  EXPECT_EQ(capability_list(all_capabilities), "all");
  EXPECT_EQ(capability_list(capability_bit(CAP_NET_RAW)), "net_raw");
  EXPECT_EQ(capability_list(*set_of({"kill", "chown", "lease"})), "chown, kill and lease");
  EXPECT_EQ(capability_list(*set_of({"kill", "chown", "lease", "bpf"}), 2), "chown, kill and 2 more");
}

}  // namespace
}  // namespace hearth
