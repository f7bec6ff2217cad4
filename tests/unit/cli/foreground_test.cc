// The exit code of `up --foreground` counts who has failed, and not who was to end with another.
#include "cli/foreground.h"

#include <gtest/gtest.h>

namespace hearth::cli {
namespace {

SlotNews slot(const std::string& name, const std::string& state, const std::string& reason, std::uint64_t run = 1) {
  SlotNews news;
  news.project = "app";
  news.name = name;
  news.state = state;
  news.reason = reason;
  news.run = run;
  return news;
}

// web -> proxy -> tests: each stops with the next one, and web needs db, too.
Document document() {
  const auto with = [](std::string name, std::vector<Dependency> needs) {
    ServiceSpec spec;
    spec.name = std::move(name);
    spec.depends_on = std::move(needs);
    return spec;
  };
  Dependency on_tests{.service = "tests", .stop = true}, on_proxy{.service = "proxy", .stop = true};
  Document all;
  all.project = "app";
  all.services = {with("tests", {}), with("db", {}), with("proxy", {on_tests}),
                  with("web", {on_proxy, Dependency{.service = "db"}}), with("late", {Dependency{.service = "tests"}})};
  return all;
}

TEST(EndedWithDependency, who_stops_with_what_has_completed_has_not_failed) {
  const std::vector<SlotNews> all = {slot("tests", "completed", "exited"), slot("db", "running", "ordered"),
                                     slot("proxy", "failed", "dependency_failed"),
                                     slot("web", "failed", "dependency_failed")};
  EXPECT_TRUE(ended_with_dependency(all[2], all, document()));
  EXPECT_TRUE(ended_with_dependency(all[3], all, document())) << "through a chain";
}

TEST(EndedWithDependency, who_has_never_run_or_needs_what_has_failed_has_failed) {
  std::vector<SlotNews> all = {slot("tests", "completed", "exited"), slot("db", "running", "ordered"),
                               slot("proxy", "failed", "dependency_failed", 0),
                               slot("web", "failed", "dependency_failed"), slot("late", "failed", "dependency_failed")};
  EXPECT_FALSE(ended_with_dependency(all[2], all, document())) << "it could never start";
  EXPECT_FALSE(ended_with_dependency(all[3], all, document())) << "nor what needs it";
  EXPECT_FALSE(ended_with_dependency(all[4], all, document())) << "it does not stop with it";
  all[2].run = 1;
  all[1] = slot("db", "failed", "exited");
  EXPECT_FALSE(ended_with_dependency(all[3], all, document())) << "its db has failed";
  all[0] = slot("tests", "failed", "exited");
  EXPECT_FALSE(ended_with_dependency(all[2], all, document()));
  all[2].reason = "exited";
  EXPECT_FALSE(ended_with_dependency(all[2], all, document()));
}

}  // namespace
}  // namespace hearth::cli
