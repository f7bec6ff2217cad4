#include "lifecycle/graph.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hearth::lifecycle {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

ServiceSpec service(const std::string& name, const std::vector<std::string>& needs = {}) {
  ServiceSpec spec;
  spec.name = name;
  for (const std::string& need : needs) spec.depends_on.push_back({.service = need});
  return spec;
}

//        web
//       /   \      ranks: config 0, db 1, cache 1, api 2, web 3
//     api   cache
//      |    /
//      db  /
//       \ /
//      config
std::vector<ServiceSpec> diamond() {
  return {service("web", {"api", "cache"}), service("api", {"db"}), service("cache", {"config"}),
          service("db", {"config"}), service("config")};
}

TEST(Graph, RanksADiamondSoThatEveryServiceComesAfterAllThatItNeeds) {
  const auto graph = Graph::create(diamond());
  ASSERT_TRUE(graph);
  EXPECT_EQ(graph->rank(4), 0u);
  EXPECT_EQ(graph->rank(3), 1u);
  EXPECT_EQ(graph->rank(2), 1u);
  EXPECT_EQ(graph->rank(1), 2u);
  EXPECT_EQ(graph->rank(0), 3u);
}

TEST(Graph, KnowsBothDirections) {
  const auto graph = Graph::create(diamond());
  ASSERT_TRUE(graph);
  ASSERT_EQ(graph->dependencies(0).size(), 2u);
  EXPECT_EQ(graph->dependencies(0)[0].to, 1u);
  EXPECT_EQ(graph->dependencies(0)[1].to, 2u);
  EXPECT_THAT(graph->dependents(4), ElementsAre(2, 3));
  EXPECT_TRUE(graph->dependents(0).empty());
}

TEST(Graph, KeepsTwoConditionsOnOneServiceAsTwoEdgesAndOneDependent) {
  std::vector<ServiceSpec> services = {service("a"), service("b", {"a", "a"})};
  services[1].depends_on[1].condition = Condition::started;
  const auto graph = Graph::create(services);
  ASSERT_TRUE(graph);
  EXPECT_EQ(graph->dependencies(1).size(), 2u);
  EXPECT_THAT(graph->dependents(0), ElementsAre(1));
  EXPECT_EQ(graph->rank(1), 1u);
}

TEST(Graph, RefusesACycleAndNamesItInFull) {
  const auto graph =
      Graph::create({service("x", {"a"}), service("a", {"b"}), service("b", {"c"}), service("c", {"a"})});
  ASSERT_FALSE(graph);
  EXPECT_EQ(graph.error().remedy, Remedy::fix_input);
  EXPECT_THAT(graph.error().reason, HasSubstr("a -> b -> c -> a"));
}

TEST(Graph, RefusesAServiceThatDependsOnItself) {
  const auto graph = Graph::create({service("a", {"a"})});
  ASSERT_FALSE(graph);
  EXPECT_EQ(graph.error().subject, "a");
}

TEST(Graph, RefusesACycleOfEdgesThatOnlyOrder) {
  std::vector<ServiceSpec> services = {service("a", {"b"}), service("b", {"a"})};
  services[0].depends_on[0].required = services[1].depends_on[0].required = false;
  EXPECT_FALSE(Graph::create(services));
}

TEST(Graph, RefusesAnUnknownNameAndSaysWhichOneMayBeMeant) {
  const auto graph = Graph::create({service("redis"), service("web", {"rdeis"})});
  ASSERT_FALSE(graph);
  EXPECT_EQ(graph.error().subject, "web");
  EXPECT_THAT(graph.error().reason, HasSubstr("rdeis"));
  EXPECT_THAT(graph.error().hint, HasSubstr("redis"));
}

TEST(Graph, RefusesTwoServicesOfOneName) {
  EXPECT_FALSE(Graph::create({service("a"), service("a")}));
}

TEST(Graph, OfAChainOfTenThousandNeedsNoDeepStack) {
  constexpr std::uint32_t length = 10'000;
  std::vector<ServiceSpec> services;
  for (std::uint32_t i = 0; i < length; ++i) {
    services.push_back(service("s" + std::to_string(i)));
    if (i + 1 < length) services[i].depends_on.push_back({.service = "s" + std::to_string(i + 1)});
  }
  const auto graph = Graph::create(services);
  ASSERT_TRUE(graph);
  EXPECT_EQ(graph->rank(0), length - 1);
}

// Expected standing by phase. "+" met, "." unmet, "x" failed, in the order stopped, waiting, starting, running,
// stopping, backoff, failed, completed.
std::string standings(const Edge& edge, bool ready, bool ever_started, bool success) {
  std::string text;
  for (int phase = 0; phase < 8; ++phase) {
    const Standing s = standing(edge, static_cast<Phase>(phase), ready, ever_started, success);
    text += s == Standing::met ? '+' : s == Standing::unmet ? '.' : 'x';
  }
  return text;
}

TEST(Standing, OfARequiredDependencyFollowsItsCondition) {
  const Edge started{.condition = Condition::started};
  EXPECT_EQ(standings(started, false, false, false), "...+..x+");
  EXPECT_EQ(standings(started, false, true, false), "..++..x+");
  const Edge ready{.condition = Condition::ready};
  EXPECT_EQ(standings(ready, false, true, false), "......xx");
  EXPECT_EQ(standings(ready, true, true, false), "...+..xx");
  const Edge completed{.condition = Condition::completed};
  EXPECT_EQ(standings(completed, true, false, false), "......x+");
  EXPECT_EQ(standings(completed, true, true, false), "......++") << "ended is ended, well or not";
  const Edge successfully{.condition = Condition::completed_successfully};
  EXPECT_EQ(standings(successfully, true, true, true), "......x+");
  EXPECT_EQ(standings(successfully, true, true, false), "......xx");
}

TEST(Standing, OfADependencyThatOnlyOrdersToleratesFailureAndAbsence) {
  const Edge ready{.condition = Condition::ready, .required = false};
  EXPECT_EQ(standings(ready, false, true, false), "+.....++");
  EXPECT_EQ(standings(ready, true, true, false), "+..+..++");
}

TEST(Nearest, FindsWhatWasMeantAndNothingFarFetched) {
  const std::vector<std::string> valid = {"redis", "web", "worker"};
  EXPECT_EQ(nearest("rdeis", valid), "redis");
  EXPECT_EQ(nearest("wrker", valid), "worker");
  EXPECT_EQ(nearest("wb", valid), "web");
  EXPECT_EQ(nearest("postgres", valid), "");
  EXPECT_EQ(nearest("x", valid), "") << "as many changes as letters is no likeness";
  EXPECT_EQ(nearest("", valid), "");
}

}  // namespace
}  // namespace hearth::lifecycle
