// Names, patterns and documents.
#include "supervisor/registry.h"

#include <gtest/gtest.h>

namespace hearth::supervisor {
namespace {

Document document(std::uint64_t version, std::vector<std::string> names) {
  Document out;
  out.version = version;
  out.project = "shop";
  for (const std::string& name : names) {
    ServiceSpec spec;
    spec.name = name;
    spec.command = {"/bin/" + name};
    out.services.push_back(spec);
  }
  return out;
}

TEST(Selects, EveryFormOfANameNamesTheSlot) {
  ServiceSpec web;
  web.name = "web";
  web.tags = {"front", "slow"};
  for (const char* name :
       {"web", "shop.web", "web.0", "shop.web.0", "*", "shop.*", "w*", "*.0", "@front", "@slow", "@s*"})
    EXPECT_TRUE(selects(name, "shop", web, 0)) << name;
  for (const char* name : {"shop", "we", "web.1", "other.web", "shop.web.1", "0", "front", "@web", "@", "@fron"})
    EXPECT_FALSE(selects(name, "shop", web, 0)) << name;
}

TEST(LabelOf, IsProjectServiceAndIndex) {
  EXPECT_EQ(label_of("shop", "web", 12), "shop.web.12");
}

TEST(Registry, KeepsADocumentUntilItIsDropped) {
  Registry registry;
  ASSERT_TRUE(registry.add(document(3, {"web", "db"})));
  ASSERT_NE(registry.find(3), nullptr);
  EXPECT_EQ(registry.find(3)->slots, (std::vector<SlotIndex>{no_slot, no_slot}));
  EXPECT_EQ(registry.find(4), nullptr);
  registry.drop(3);
  EXPECT_EQ(registry.find(3), nullptr);
}

TEST(Registry, RefusesADocumentWhoseDependenciesFormACycle) {
  Document cyclic = document(1, {"a", "b"});
  cyclic.services[0].depends_on = {{.service = "b"}};
  cyclic.services[1].depends_on = {{.service = "a"}};
  Registry registry;
  const Status added = registry.add(cyclic);
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().remedy, Remedy::fix_input);
  EXPECT_EQ(registry.find(1), nullptr);
}

}  // namespace
}  // namespace hearth::supervisor
