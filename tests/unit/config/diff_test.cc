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
  spec.gid = 5;
  spec.crash_limit.max_restarts = 3;
  EXPECT_THAT(changed_keys(service("a"), spec), ElementsAre("group", "max_restarts"));
}

}  // namespace
}  // namespace hearth::config
