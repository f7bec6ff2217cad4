// A change that cannot be made as a whole is not begun (F3): a test for each reason there is.
#include "scenario/stage.h"
#include "wire/slot_table.h"

namespace hearth::scenario {
namespace {

class AllOrNothing : public Scenario {
 protected:
  // web would be restarted, worker taken out, and fresh started: half of it would show.
  std::vector<ServiceSpec> changed() {
    ServiceSpec web = service("web");
    web.env = {{"A", "1"}};
    return {web, service("fresh")};
  }

  void SetUp() override {
    stage.up({service("web"), service("worker")});
    stage.run_until([&] { return stage.is_ready("web") && stage.is_ready("worker"); });
    version_ = stage.state("web").document;
  }

  void expect_refused(const sim::ClientCall& call, const std::string& why) {
    stage.run_ms(1'000);
    ASSERT_TRUE(call.answer);
    ASSERT_FALSE(call.answer->has_value()) << why;
    EXPECT_NE(call.answer->error().text().find(why), std::string::npos) << call.answer->error().text();
    expect_as_it_was();
    if (HasFailure()) return;
    // And it is no matter afterwards.
    const sim::ClientCall& later = stage.reload(changed());
    stage.run_until([&] { return stage.is_ready("fresh") && stage.runs_of("web") == 2 && stage.is_ready("web"); });
    EXPECT_TRUE(later.answer->has_value());
    EXPECT_TRUE(stage.replicas_of("worker").empty());
  }

  void expect_as_it_was() {
    for (const char* name : {"web", "worker"}) {
      EXPECT_TRUE(stage.is_ready(name)) << name;
      EXPECT_EQ(stage.runs_of(name), 1u) << name;
      EXPECT_EQ(stage.stop_signals_of(name), 0u) << name;
      EXPECT_EQ(stage.state(name).document, version_) << name;
    }
    EXPECT_TRUE(stage.replicas_of("fresh").empty());
  }

  std::uint64_t version_ = 0;
};

TEST_F(AllOrNothing, SomebodyElseHasTheAddressOfAServiceThatIsUp) {
  stage.machine().keeper_port.foreign_addresses = {"tcp:127.0.0.1:80"};
  std::vector<ServiceSpec> services = changed();
  services[0].listen = {{"http", "tcp:127.0.0.1:80", 16}};
  expect_refused(stage.reload(services), "it is in use by another (PID 7); nothing has changed");
}

TEST_F(AllOrNothing, SomebodyElseHasTheAddressOfAServiceThatIsNew) {
  stage.machine().keeper_port.foreign_addresses = {"tcp:127.0.0.1:81"};
  std::vector<ServiceSpec> services = changed();
  services[1].replicas = 2;
  services[1].listen = {{"http", "tcp:127.0.0.1:{index+80}", 16}};
  expect_refused(stage.up(services), "listen on tcp:127.0.0.1:81 for fresh");
}

TEST_F(AllOrNothing, ADryRunSaysSoToo) {
  stage.machine().keeper_port.foreign_addresses = {"tcp:127.0.0.1:80"};
  std::vector<ServiceSpec> services = changed();
  services[0].listen = {{"http", "tcp:127.0.0.1:80", 16}};
  expect_refused(stage.reload(services, true), "it is in use by another");
}

TEST_F(AllOrNothing, HearthHasNotTheCapabilityOfAServiceThatIsNew) {
  stage.machine().keeper_port.capabilities = 0;
  std::vector<ServiceSpec> services = changed();
  services[1].process.edit().capabilities = *capabilities_of("net_raw");
  expect_refused(stage.up(services), "cannot start fresh: hearth itself has not net_raw; nothing has changed");
}

TEST_F(AllOrNothing, AReplicaMoreFindsItsAddressTaken) {
  std::vector<ServiceSpec> services = {service("web"), service("worker")};
  services[0].listen = {{"http", "tcp:127.0.0.1:{index+80}", 16}};
  stage.reload(services);
  stage.run_until([&] { return stage.runs_of("web") == 2 && stage.is_ready("web"); });
  stage.machine().keeper_port.foreign_addresses = {"tcp:127.0.0.1:80", "tcp:127.0.0.1:82"};
  const sim::ClientCall& scale = stage.scale("web", 3);
  stage.run_ms(500);
  EXPECT_FALSE(scale.answer->has_value());
  EXPECT_EQ(stage.replicas_of("web"), std::vector<std::uint32_t>{0}) << "not even the second";
  const sim::ClientCall& less = stage.scale("web", 2);
  stage.run_until([&] { return stage.replicas_of("web").size() == 2 && stage.status("web", 1).ready; });
  EXPECT_TRUE(less.answer->has_value()) << "what it has itself is no matter";
}

TEST_F(AllOrNothing, WhatIsNotStartedNeedsNoAddress) {
  stage.machine().keeper_port.foreign_addresses = {"tcp:127.0.0.1:80"};
  std::vector<ServiceSpec> services = {service("web"), service("worker"), service("tool")};
  services[2].listen = {{"http", "tcp:127.0.0.1:80", 16}};
  services[2].autostart = false;
  const sim::ClientCall& reload = stage.reload(services);
  stage.run_ms(500);
  EXPECT_TRUE(reload.answer->has_value());
  EXPECT_EQ(stage.replicas_of("tool").size(), 1u);
}

TEST_F(AllOrNothing, TheNewProgramOfAServiceThatIsUpIsNotThere) {
  stage.machine().keeper_port.missing_programs = {"/bin/wbe"};
  std::vector<ServiceSpec> services = changed();
  services[0].command = {"/bin/wbe"};
  expect_refused(stage.reload(services), "cannot start p.web.0: /bin/wbe is not there; nothing has changed");
}

TEST_F(AllOrNothing, NorIsItWhenThatIsKnownOnlyLater) {
  stage.machine().keeper_port.missing_programs = {"/bin/wbe"};
  stage.machine().keeper_port.unanswered_looks = 20;
  std::vector<ServiceSpec> services = changed();
  services[0].command = {"/bin/wbe"};
  const sim::ClientCall& reload = stage.reload(services);
  stage.run_ms(15);
  EXPECT_FALSE(reload.answer) << "a disk may take its time";
  expect_as_it_was();
  expect_refused(reload, "/bin/wbe is not there");
}

// Whoever kills the supervisor meanwhile kills an order that has done nothing: its client sends it again.
TEST_F(AllOrNothing, AnOrderThatWaitsForALookOutlivesTheSupervisorAndHoldsUpNobody) {
  stage.machine().keeper_port.unanswered_looks = 100;
  const sim::ClientCall& reload = stage.reload(changed());
  stage.run_ms(20);
  EXPECT_FALSE(reload.answer);
  const sim::ClientCall& stop = stage.order(Verb::stop, {"worker"});
  stage.run_ms(50);
  EXPECT_TRUE(stop.answer && stop.answer->has_value()) << "others are answered";
  EXPECT_EQ(stage.status("worker").phase, Phase::stopped);
  stage.kill_supervisor(10);
  stage.run_until([&] { return stage.is_ready("fresh") && stage.runs_of("web") == 2 && stage.is_ready("web"); });
  EXPECT_TRUE(reload.answer && reload.answer->has_value());
}

TEST_F(AllOrNothing, DeadlinesPassWhileAnOrderWaitsForALook) {
  Script ignores = good();
  ignores.term_takes = sim::not_at_all;
  stage.plays("worker", {ignores});
  ServiceSpec worker = service("worker");
  worker.env = {{"B", "1"}};
  worker.stop_timeout = milliseconds(300);
  stage.reload({service("web"), worker});
  stage.run_until([&] { return stage.runs_of("worker") == 2 && stage.is_ready("worker"); });
  stage.machine().keeper_port.unanswered_looks = 1'000;
  stage.order(Verb::stop, {"worker"});
  ServiceSpec web = service("web");
  web.env = {{"A", "1"}};
  stage.reload({web, worker});
  stage.run_ms(500);
  EXPECT_EQ(stage.status("worker").phase, Phase::stopped) << "its grace period is over";
  EXPECT_EQ(stage.runs_of("web"), 1u);
  stage.machine().keeper_port.unanswered_looks = 0;
  stage.run_until([&] { return stage.runs_of("web") == 2 && stage.is_ready("web"); });
}

TEST_F(AllOrNothing, WhatIsNotUpOrMakesItsProgramItselfIsNotLookedFor) {
  stage.machine().keeper_port.missing_programs = {"/bin/made"};
  std::vector<ServiceSpec> services = {service("web"), service("worker"), service("fresh")};
  services[0].command = {"/bin/made"};
  services[0].actions.edit().before_start.command = {"make"};
  services[2].command = {"/bin/made"};
  const sim::ClientCall& reload = stage.reload(services);
  stage.run_until([&] { return stage.runs_of("web") == 2; });
  EXPECT_TRUE(reload.answer->has_value());
}

// A newcomer's typing error took a service down that had been up for long, because it had waited for a migration once.
TEST_F(AllOrNothing, ATaskThatHasCompletedLongAgoMakesNothingAnyMore) {
  ServiceSpec once = service("once", ProbeType::none), web = service("web"), worker = service("worker");
  once.type = ServiceType::task;
  stage.plays("once", {ends(5, 0)});
  web.depends_on = {on("once", Condition::completed_successfully)};
  stage.reload({once, web, worker});
  stage.run_until([&] { return stage.status("once").phase == Phase::completed && stage.is_ready("web"); });
  const unsigned runs = stage.runs_of("web");
  stage.machine().keeper_port.missing_programs = {"/bin/wbe"};
  web.command = {"/bin/wbe"};
  for (const sim::ClientCall* change : {&stage.reload({once, web, worker}), &stage.up({once, web, worker})}) {
    stage.run_ms(1'000);
    ASSERT_TRUE(change->answer);
    ASSERT_FALSE(change->answer->has_value());
    EXPECT_NE(change->answer->error().text().find("/bin/wbe is not there; nothing has changed"), std::string::npos);
  }
  EXPECT_TRUE(stage.is_ready("web"));
  EXPECT_EQ(stage.runs_of("web"), runs);
  EXPECT_EQ(stage.stop_signals_of("web"), 0u);
  // One that is itself changed is run again, and may be what makes it.
  once.env = {{"MAKE", "wbe"}};
  const sim::ClientCall& reload = stage.reload({once, web, worker});
  stage.run_until([&] { return stage.runs_of("once") == 2 && stage.runs_of("web") == runs + 1; });
  EXPECT_TRUE(reload.answer->has_value());
}

TEST_F(AllOrNothing, ATaskThatIsStillToRunMayMakeTheProgram) {
  ServiceSpec once = service("once", ProbeType::none), web = service("web");
  once.type = ServiceType::task;
  stage.plays("once", {ends(5, 0)});
  web.depends_on = {on("once", Condition::completed_successfully)};
  stage.machine().keeper_port.missing_programs = {"/bin/made"};
  web.command = {"/bin/made"};
  const sim::ClientCall& reload = stage.reload({once, web, service("worker")});
  stage.run_until([&] { return stage.runs_of("once") == 1 && stage.runs_of("web") == 2; });
  EXPECT_TRUE(reload.answer->has_value());
}

TEST_F(AllOrNothing, TheDocumentFindsNoRoom) {
  stage.machine().store_port.full_for = 1;
  expect_refused(stage.reload(changed()), "No space left on device");
}

TEST_F(AllOrNothing, TheSlotTableFindsNoRoom) {
  stage.machine().store_port.no_more_slots = true;
  const sim::ClientCall& reload = stage.reload(changed());
  stage.run_ms(500);
  EXPECT_FALSE(reload.answer->has_value());
  stage.machine().store_port.no_more_slots = false;
  expect_as_it_was();
}

TEST_F(AllOrNothing, NoSlotsAreLeft) {
  std::vector<ServiceSpec> services = changed();
  services[1].replicas = wire::max_slots;
  expect_refused(stage.reload(services), "fit in one hearth");
}

TEST_F(AllOrNothing, ItsDependenciesFormACycle) {
  std::vector<ServiceSpec> services = changed();
  services[0].depends_on = {on("fresh")};
  services[1].depends_on = {on("web")};
  expect_refused(stage.reload(services), "cycle");
}

TEST_F(AllOrNothing, ItsReplicasWouldShareWhatOnlyOneCanHave) {
  std::vector<ServiceSpec> services = changed();
  services[1].replicas = 2;
  services[1].around.edit().ready_file = "/run/fresh";
  expect_refused(stage.reload(services), "one file for 2 replicas");
}

}  // namespace
}  // namespace hearth::scenario
