// Services with several replicas: what they have in common, and how many there are.
#include "scenario/stage.h"

namespace hearth::scenario {
namespace {

using Indices = std::vector<std::uint32_t>;

class Replicas : public Scenario {
 protected:
  static ServiceSpec several(const std::string& name, std::uint32_t replicas) {
    ServiceSpec spec = service(name);
    spec.replicas = replicas;
    return spec;
  }
  bool all_ready(const std::string& name, std::uint32_t replicas) {
    for (std::uint32_t i = 0; i < replicas; ++i)
      if (!stage.status(name, i).ready) return false;
    return stage.replicas_of(name).size() == replicas;
  }
};

TEST_F(Replicas, AServiceHasASlotForEach) {
  stage.up({several("web", 3)});
  stage.run_until([&] { return all_ready("web", 3); });
  EXPECT_EQ(stage.runs_of("web"), 3u);
  EXPECT_EQ(stage.machine().kernel.live_count(), 3u);
}

TEST_F(Replicas, TheirTextsNameTheIndex) {
  ServiceSpec web = several("web", 2);
  web.command = {"/bin/web", "{index+8001}"};
  stage.up({web});
  stage.run_until([&] { return all_ready("web", 2); });
  std::vector<std::string> ports;
  for (const auto& [run, process] : stage.machine().kernel.processes()) ports.push_back(process->label);
  EXPECT_EQ(ports, (std::vector<std::string>{"p.web.0", "p.web.1"}));
}

TEST_F(Replicas, WhoDependsOnAServiceWaitsForAllOfThem) {
  ServiceSpec web = service("web");
  web.depends_on = {on("db")};
  stage.plays("db", {good(300)});
  stage.up({several("db", 2), web});
  stage.run_ms(200);
  stage.order(Verb::stop, {"db.1"});
  stage.run_ms(1'000);
  EXPECT_TRUE(stage.status("db", 0).ready);
  EXPECT_EQ(stage.runs_of("web"), 0u);
  EXPECT_EQ(stage.status("web").reason_text, "waits for db.1, which is stopped: `hearth start db.1`");
  stage.order(Verb::start, {"db.1"});
  stage.run_until([&] { return stage.is_ready("web"); });
}

TEST_F(Replicas, AllOfThemEndBeforeWhatTheyDependOn) {
  ServiceSpec web = several("web", 2);
  web.depends_on = {on("db")};
  Script slow = good();
  slow.term_takes = milliseconds(500);
  stage.plays("web", {slow});
  stage.up({service("db"), web});
  stage.run_until([&] { return all_ready("web", 2); });
  stage.down();
  stage.run_ms(300);
  EXPECT_EQ(stage.stop_signals_of("web"), 2u);
  EXPECT_EQ(stage.stop_signals_of("db"), 0u);
  stage.run_until([&] { return stage.machine().kernel.live_count() == 0; });
}

TEST_F(Replicas, ScaleUpStartsOnlyTheNewOnes) {
  stage.up({several("web", 2)});
  stage.run_until([&] { return all_ready("web", 2); });
  const sim::ClientCall& scale = stage.scale("web", 4);
  stage.run_until([&] { return all_ready("web", 4); });
  EXPECT_EQ(stage.runs_of("web"), 4u);
  EXPECT_EQ((*scale.answer)->slots.size(), 2u);
  EXPECT_TRUE(stage.machine().supervisor().order(scale.request.key)->settled);
}

// What `replicas` of the file refuses, scale and the API refuse as well; nothing has changed then.
TEST_F(Replicas, WhatOnlyOneCanHaveIsRefusedByScaleAndApply) {
  ServiceSpec fixed = service("fixed"), file = service("file"), probed = service("probed");
  fixed.listen = {{"web", "tcp:127.0.0.1:8080", 16}};
  file.around.edit().pid_file = "/run/file.pid";
  probed.around.edit().ports = {8081};
  stage.up({fixed, file, probed});
  stage.run_until([&] { return stage.is_ready("fixed") && stage.is_ready("file") && stage.is_ready("probed"); });
  const std::uint64_t version = stage.state("fixed").document;
  for (const auto& [name, reason] : {std::pair("fixed", "all 2 replicas would listen on \"tcp:127.0.0.1:8080\""),
                                     std::pair("file", "pid_file is one file for 2 replicas"),
                                     std::pair("probed", "all 2 replicas would listen on port 8081")}) {
    const sim::ClientCall& scale = stage.scale(name, 2);
    stage.run_ms(100);
    ASSERT_FALSE(scale.answer->has_value()) << name;
    EXPECT_NE(scale.answer->error().text().find(reason), std::string::npos) << scale.answer->error().text();
    EXPECT_NE(scale.answer->error().text().find("in its file, "), std::string::npos) << "what to do";
    EXPECT_EQ(stage.replicas_of(name), Indices{0});
  }
  fixed.replicas = 2;
  file.env = {{"A", "1"}};
  const sim::ClientCall& up = stage.up({fixed, file, probed});
  stage.run_ms(500);
  EXPECT_FALSE(up.answer->has_value());
  EXPECT_EQ(stage.runs_of("file"), 1u) << "refused as a whole";
  EXPECT_EQ(stage.state("fixed").document, version);
}

TEST_F(Replicas, ScaleDownRemovesTheHighestIndices) {
  stage.up({several("web", 4)});
  stage.run_until([&] { return all_ready("web", 4); });
  const sim::ClientCall& scale = stage.scale("web", 2);
  stage.run_until([&] { return stage.replicas_of("web") == Indices{0, 1}; });
  EXPECT_EQ((*scale.answer)->removed, (std::vector<std::string>{"p.web.3", "p.web.2"}));
  EXPECT_TRUE(all_ready("web", 2));
  EXPECT_EQ(stage.runs_of("web"), 4u);
  EXPECT_EQ(stage.stop_signals_of("web"), 2u);
}

TEST_F(Replicas, ADependentIsNotRestartedForAReplicaThatJoins) {
  ServiceSpec web = service("web");
  web.depends_on = {on("db")};
  web.depends_on[0].restart = true;
  stage.up({several("db", 1), web});
  stage.run_until([&] { return stage.is_ready("web"); });
  stage.scale("db", 2);
  stage.run_until([&] { return all_ready("db", 2); });
  stage.run_ms(1'000);
  EXPECT_EQ(stage.runs_of("web"), 1u);
  stage.order(Verb::restart, {"db.1"});
  stage.run_until([&] { return stage.runs_of("web") == 2 && stage.is_ready("web"); });
}

TEST_F(Replicas, WhatIsStoppedIsNotStartedByScale) {
  stage.up({several("web", 2)});
  stage.run_until([&] { return all_ready("web", 2); });
  stage.order(Verb::stop, {"web"});
  stage.run_until([&] { return stage.machine().kernel.live_count() == 0; });
  stage.scale("web", 3);
  stage.run_ms(500);
  EXPECT_EQ(stage.replicas_of("web"), (Indices{0, 1, 2}));
  EXPECT_EQ(stage.runs_of("web"), 2u);
}

TEST_F(Replicas, AScaleOutlivesItsSupervisorAndEndsWithTheNextUp) {
  stage.up({several("web", 1)});
  stage.run_until([&] { return all_ready("web", 1); });
  stage.scale("web", 3);
  stage.run_until([&] { return all_ready("web", 3); });
  stage.kill_supervisor(10);
  stage.run_ms(500);
  EXPECT_TRUE(all_ready("web", 3));
  EXPECT_EQ(stage.runs_of("web"), 3u);
  stage.up({several("web", 1)});
  stage.run_until([&] { return stage.replicas_of("web") == Indices{0}; });
  EXPECT_EQ(stage.runs_of("web"), 3u);
}

TEST_F(Replicas, AScaleBackBringsTheReplicaThatIsEndingBack) {
  Script slow = good();
  slow.term_takes = seconds(1);
  stage.plays("web", {slow});
  stage.up({several("web", 2)});
  stage.run_until([&] { return all_ready("web", 2); });
  stage.scale("web", 1);
  stage.run_ms(200);
  stage.scale("web", 2);
  stage.run_until([&] { return all_ready("web", 2) && stage.runs_of("web") == 3; });
}

TEST_F(Replicas, ScaleRefusesWhatItCannotMean) {
  stage.up({service("web"), service("db")});
  stage.run_until([&] { return stage.is_ready("web"); });
  EXPECT_FALSE(stage.scale("web", 0).answer->has_value());
  EXPECT_FALSE(stage.scale("wbe", 2).answer->has_value());
  EXPECT_FALSE(stage.scale("web", 5'000).answer->has_value());
  stage.run_ms(100);
  EXPECT_EQ(stage.replicas_of("web"), Indices{0});
}

TEST_F(Replicas, EachHasAProbeOfItsOwn) {
  ServiceSpec web = service("web", ProbeType::exec);
  web.replicas = 2;
  web.ready.edit().interval = milliseconds(200);
  stage.up({web});
  stage.run_until([&] { return all_ready("web", 2); });
  stage.scale("web", 3);
  stage.run_until([&] { return all_ready("web", 3); });
  stage.scale("web", 1);
  stage.run_until([&] { return stage.replicas_of("web") == Indices{0}; });
  stage.run_ms(1'000);
  EXPECT_TRUE(all_ready("web", 1));
  EXPECT_EQ(stage.runs_of("web"), 3u);
}

}  // namespace
}  // namespace hearth::scenario
