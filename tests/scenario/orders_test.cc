// What users order, and what comes of it.
#include <algorithm>
#include <cerrno>

#include "scenario/stage.h"

namespace hearth::scenario {
namespace {

class Orders : public Scenario {};

TEST_F(Orders, ASecondRunOfALiveNameIsRefused) {
  Request run;
  run.verb = Verb::apply;
  run.document.project = "run";
  run.document.services = {service("shell", ProbeType::none)};
  const sim::ClientCall& first = stage.machine().send(run);
  stage.run_ms(100);
  const sim::ClientCall& second = stage.machine().send(run);
  stage.run_ms(100);
  EXPECT_TRUE(first.answer->has_value());
  ASSERT_FALSE(second.answer->has_value());
  EXPECT_EQ(second.answer->error().remedy, Remedy::conflict);
  EXPECT_EQ(stage.runs_of("shell"), 1u);
}

TEST_F(Orders, NotesNameAServiceAsPeopleTypeItAndInFullWhereThatNamesTwo) {
  stage.up({service("db"), service("web")});
  stage.run_until([&] { return stage.is_ready("db") && stage.is_ready("web"); });
  Request other;
  other.verb = Verb::apply;
  other.document.project = "q";
  other.document.path = "/q";
  other.document.services = {service("db")};
  stage.machine().send(other);
  stage.run_ms(1'000);
  for (const sim::ClientCall* call : {&stage.order(Verb::start), &stage.machine().send(other)}) {
    stage.run_ms(100);
    std::vector<std::string> names;
    for (const std::string& note : (*call->answer)->notes)
      names.push_back(note.substr(0, note.find(" is already running")));
    std::ranges::sort(names);
    EXPECT_EQ(names, call->request.verb == Verb::start ? (std::vector<std::string>{"p.db.0", "q.db.0", "web"})
                                                       : std::vector<std::string>{"q.db.0"});
  }
}

TEST_F(Orders, StopAndDownSayOfWhichThereWasNothingToStop) {
  stage.up({service("db"), service("web")});
  stage.run_ms(100);
  stage.order(Verb::stop, {"db"});
  stage.run_ms(1'000);
  const sim::ClientCall& stop = stage.order(Verb::stop, {"db", "web"});
  stage.run_ms(1'000);
  EXPECT_EQ((*stop.answer)->notes, std::vector<std::string>{"db was not running"});
  stage.order(Verb::start, {"web"});
  stage.run_ms(100);
  const sim::ClientCall& down = stage.order(Verb::down, {"db", "web"});
  stage.run_ms(100);
  EXPECT_EQ((*down.answer)->notes, std::vector<std::string>{"db was not running"});
}

TEST_F(Orders, AFileThatIsUpUnderAnotherNameIsRefusedUntilThatIsDown) {
  stage.up({service("db")});
  stage.run_ms(100);
  Request renamed;
  renamed.verb = Verb::apply;
  renamed.document.project = "q";
  renamed.document.path = "/home/p/hearth.toml";
  renamed.document.services = {service("db")};
  const sim::ClientCall& refused = stage.machine().send(renamed);
  stage.run_ms(100);
  ASSERT_TRUE(refused.answered);
  ASSERT_FALSE(refused.answer->has_value());
  EXPECT_NE(std::string::npos, refused.answer->error().text().find("`hearth down -p p` first"));
  EXPECT_EQ(stage.runs_of("db"), 1u);
  stage.down();
  stage.run_ms(1'000);
  const sim::ClientCall& taken = stage.machine().send(renamed);
  stage.run_ms(100);
  EXPECT_TRUE(taken.answer->has_value());
}

TEST_F(Orders, WhoEndsWellAtOnceAndIsRunAgainIsNotWaitedForEver) {
  ServiceSpec tick = service("tick", ProbeType::none);
  tick.restart = RestartPolicy::always;
  tick.backoff.initial = seconds(5);
  stage.plays("tick", {ends(0, 0)});
  stage.machine().stop_supervisor(milliseconds(50));  // so that its begin and its end are seen together
  const sim::ClientCall& up = stage.up({tick});
  stage.run_ms(300);
  EXPECT_EQ(stage.status("tick").phase, Phase::backoff);
  const OrderReport report = *stage.machine().supervisor().order(up.request.key);
  EXPECT_TRUE(report.settled);
  ASSERT_EQ(report.slots.size(), 1u);
  EXPECT_EQ(report.slots[0].outcome, Outcome::done);
}

TEST_F(Orders, WhoWasReadyAndIsNotAnyMoreIsNotWaitedFor) {
  ServiceSpec db = service("db", ProbeType::exec);
  db.ready.edit().interval = milliseconds(100);
  db.ready.edit().failure_threshold = 1;
  stage.probe_plays("db", {ends(5, 0), ends(5, 1)});
  stage.plays("slow", {good(2'000)});
  const sim::ClientCall& up = stage.up({db, service("slow")});
  stage.run_ms(1'000);
  EXPECT_FALSE(stage.is_ready("db"));
  EXPECT_FALSE(stage.machine().supervisor().settled(up.request.key).value()) << "slow is starting";
  stage.run_ms(1'500);
  EXPECT_TRUE(stage.machine().supervisor().settled(up.request.key).value());
  EXPECT_FALSE(stage.is_ready("db"));
}

TEST_F(Orders, DownForgets) {
  Script keeps = good();
  keeps.says = {{milliseconds(20), "FDSTORE=1\nFDNAME=cache", 7}};
  stage.plays("db", {keeps});
  stage.up({service("db")});
  stage.run_ms(100);
  EXPECT_EQ(stage.machine().keeper_port.fd_store.size(), 1u);
  stage.down();
  stage.run_ms(1'000);
  EXPECT_EQ(stage.machine().kernel.live_count(), 0u);
  EXPECT_TRUE(stage.machine().keeper_port.fd_store.empty());
  EXPECT_TRUE(stage.machine().supervisor().status().services.empty());
  EXPECT_TRUE(stage.machine().store_port.on_disk().empty());
  const sim::ClientCall& again = stage.order(Verb::start, {"db"});
  stage.run_ms(100);
  ASSERT_TRUE(again.answered);
  EXPECT_EQ(again.answer->error().remedy, Remedy::not_found);
}

TEST_F(Orders, DownOfANameForgetsThatOneAndUpBringsItBack) {
  ServiceSpec web = service("web");
  web.depends_on = {on("db")};
  const std::vector<ServiceSpec> both = {service("db"), web};
  stage.up(both);
  stage.run_ms(100);
  const std::int32_t web_was = stage.status("web").pid;
  stage.order(Verb::down, {"db"});
  stage.run_ms(1'000);
  ASSERT_EQ(stage.machine().supervisor().status().services.size(), 1u);
  EXPECT_EQ(stage.machine().supervisor().instance().service_count, 1u);
  EXPECT_TRUE(stage.machine().supervisor().instance().services.empty());
  EXPECT_EQ(stage.status("web").pid, web_was) << "who depends on it runs on, as when it is stopped";
  stage.kill_supervisor(5);
  stage.run_ms(1'000);
  EXPECT_EQ(stage.machine().supervisor().status().services.size(), 1u) << "its successor has forgotten it too";
  stage.up(both);
  stage.run_until([&] { return stage.machine().supervisor().status().services.size() == 2 && stage.is_ready("db"); });
  EXPECT_EQ(stage.status("web").pid, web_was);
}

TEST_F(Orders, WhoFailedBecauseOfOneThatIsForgottenWaitsForItAgain) {
  ServiceSpec db = service("db"), web = service("web");
  db.restart = RestartPolicy::never;
  web.depends_on = {on("db")};
  stage.plays("db", {ends(5, 1)});
  stage.up({db, web});
  stage.run_until([&] { return stage.status("web").phase == Phase::failed; });
  stage.order(Verb::down, {"db"});
  stage.run_ms(100);
  EXPECT_EQ(stage.status("web").phase, Phase::waiting);
}

TEST_F(Orders, DownOfAllForgetsEveryProject) {
  stage.up({service("db"), service("web")});
  stage.run_ms(100);
  stage.order(Verb::down);
  stage.run_ms(1'000);
  EXPECT_TRUE(stage.machine().supervisor().status().services.empty());
  EXPECT_TRUE(stage.machine().store_port.on_disk().empty());
}

TEST_F(Orders, DownOfWhatIsNotHereNamesTheProjectsThatAre) {
  stage.up({service("db")});
  stage.run_ms(100);
  Request request;
  request.verb = Verb::down;
  request.project = request.document.project = "another";
  const sim::ClientCall& call = stage.machine().send(request);
  stage.run_ms(100);
  ASSERT_TRUE(call.answered && !*call.answer);
  EXPECT_NE(call.answer->error().hint.find("the project that is here: p"), std::string::npos);
}

TEST_F(Orders, AKeySentTwiceInOneTurnIsOneOrder) {
  sim::ClientCall& up = stage.up({service("db")});
  stage.machine().send_again(up);
  stage.run_ms(200);
  EXPECT_EQ(stage.machine().page().head.last_order, 1u);
  EXPECT_EQ(stage.runs_of("db"), 1u);
}

TEST_F(Orders, AStopBeforeTheSpawnIsSentTakesItBack) {
  stage.machine().stop_supervisor(milliseconds(50));
  stage.up({service("db")});
  stage.order(Verb::stop, {"db"});
  stage.run_ms(200);
  EXPECT_EQ(stage.status("db").phase, Phase::stopped);
  EXPECT_EQ(stage.runs_of("db"), 0u);
}

TEST_F(Orders, ARefusedSpawnIsTriedAgainUnderEveryPolicy) {
  ServiceSpec db = service("db");
  db.restart = RestartPolicy::never;
  stage.machine().keeper_port.refuse_next = 2;
  stage.up({db});
  stage.run_ms(50);
  EXPECT_EQ(stage.status("db").reason, Reason::refused);
  stage.run_until([&] { return stage.is_ready("db"); });
}

TEST_F(Orders, AStopSentAgainInsists) {
  Script deaf = good();
  deaf.term_takes = sim::not_at_all;
  stage.plays("db", {deaf});
  stage.up({service("db")});
  stage.run_until([&] { return stage.is_ready("db"); });
  stage.order(Verb::shutdown);
  stage.run_ms(1'000);
  EXPECT_TRUE(stage.process("db").running());
  stage.order(Verb::shutdown);
  stage.run_ms(100);
  EXPECT_TRUE(stage.process("db").killed);
}

TEST_F(Orders, WhoIgnoresTheStopSignalIsKilledAfterItsGracePeriod) {
  ServiceSpec db = service("db");
  db.stop_timeout = seconds(3);
  Script deaf = good();
  deaf.term_takes = sim::not_at_all;
  stage.plays("db", {deaf});
  stage.up({db});
  stage.run_until([&] { return stage.is_ready("db"); });
  stage.order(Verb::stop, {"db"});
  stage.run_ms(2'900);
  EXPECT_FALSE(stage.process("db").killed);
  stage.run_ms(200);
  EXPECT_TRUE(stage.process("db").killed);
}

TEST_F(Orders, ServicesThatALaterOrderTookOverAreCountedAndNotToldAsStopped) {
  stage.plays("db", {good(5'000)});
  const sim::ClientCall& first = stage.up({service("db"), service("web")});
  stage.run_ms(100);
  const sim::ClientCall& second = stage.order(Verb::stop, {"db"});
  stage.run_ms(100);
  const auto report = [&](const sim::ClientCall& call) {
    return *stage.machine().supervisor().order(call.request.key);
  };
  EXPECT_EQ(report(first).overtaken, 1u);
  EXPECT_EQ(report(first).slots.size(), 1u);
  EXPECT_EQ(report(second).overtaken, 0u);
}

TEST_F(Orders, TwoThatWantTheSameBothGetIt) {
  stage.plays("db", {good(1'000)});
  const sim::ClientCall& first = stage.up({service("db")});
  stage.run_ms(100);
  const sim::ClientCall& second = stage.up({service("db")});
  stage.run_ms(100);
  stage.kill_supervisor(1);
  stage.run_until([&] { return stage.is_ready("db"); });
  for (const sim::ClientCall* call : {&first, &second}) {
    const OrderReport report = *stage.machine().supervisor().order(call->request.key);
    EXPECT_TRUE(report.settled);
    EXPECT_EQ(report.overtaken, 0u);
    ASSERT_EQ(report.slots.size(), 1u);
    EXPECT_EQ(report.slots[0].outcome, Outcome::done);
  }
}

TEST_F(Orders, AStopOfAllLeavesAloneWhatIsStoppedOrHasCompleted) {
  ServiceSpec migrate = service("migrate", ProbeType::none);
  migrate.type = ServiceType::task;
  migrate.restart = RestartPolicy::never;
  stage.plays("migrate", {ends(20, 0)});
  stage.up({migrate, service("web"), service("db")});
  stage.run_until([&] { return stage.is_ready("web") && stage.status("migrate").phase == Phase::completed; });
  stage.order(Verb::stop, {"db"});
  stage.run_until([&] { return stage.status("db").phase == Phase::stopped; });
  const sim::ClientCall& stop = stage.order(Verb::stop);
  stage.run_until([&] { return stage.machine().kernel.live_count() == 0; });
  EXPECT_EQ((*stop.answer)->slots.size(), 1u);
  EXPECT_EQ(stage.status("migrate").phase, Phase::completed);
  const OrderReport report = *stage.machine().supervisor().order(stop.request.key);
  EXPECT_TRUE(report.settled);
  ASSERT_EQ(report.slots.size(), 1u);
  EXPECT_EQ(report.slots[0].status.name, "web");
  const sim::ClientCall& again = stage.order(Verb::stop);
  stage.run_ms(10);
  EXPECT_EQ((*again.answer)->notes, std::vector<std::string>{"nothing was up"});
  EXPECT_TRUE(stage.machine().supervisor().order(again.request.key)->settled);
}

// `up` said "running" of a program that had just crashed and was up again for a tenth of a second.
TEST_F(Orders, WhatCrashesAtOnceWithoutAProbeIsNotDoneBecauseItIsTriedAgain) {
  stage.plays("foo", {ends(60, 1), ends(300, 1)});
  const sim::ClientCall& up = stage.up({service("foo", ProbeType::none)});
  const auto report = [&] { return *stage.machine().supervisor().order(up.request.key); };
  stage.run_until([&] { return stage.runs_of("foo") == 2 && stage.status("foo").phase == Phase::running; });
  stage.run_ms(200);
  EXPECT_EQ(stage.status("foo").phase, Phase::running);
  EXPECT_FALSE(report().settled);
  stage.run_until([&] { return report().settled; });
  ASSERT_EQ(report().slots.size(), 1u);
  EXPECT_EQ(report().slots[0].outcome, Outcome::failed);
  EXPECT_EQ(stage.status("foo").phase, Phase::backoff) << "and it is tried on";
  EXPECT_EQ(stage.runs_of("foo"), 3u);
}

TEST_F(Orders, WhatCrashedOnceAndThenStaysIsDoneAfterASecond) {
  stage.plays("foo", {ends(60, 1), good()});
  const sim::ClientCall& up = stage.up({service("foo", ProbeType::none)});
  const auto report = [&] { return *stage.machine().supervisor().order(up.request.key); };
  stage.run_until([&] { return stage.runs_of("foo") == 2 && stage.status("foo").phase == Phase::running; });
  stage.run_ms(900);
  EXPECT_FALSE(report().settled);
  stage.run_ms(200);
  EXPECT_TRUE(report().settled);
  EXPECT_EQ(report().slots[0].outcome, Outcome::done);
}

// A newcomer's migration was made again by `restart --all`.
TEST_F(Orders, ARestartOfAllRunsNoCompletedTaskAgain) {
  ServiceSpec migrate = service("migrate", ProbeType::none), web = service("web");
  migrate.type = ServiceType::task;
  migrate.tags = web.tags = {"blue"};
  web.depends_on = {on("migrate", Condition::completed_successfully)};
  stage.plays("migrate", {ends(20, 0)});
  stage.up({migrate, web});
  stage.run_until([&] { return stage.is_ready("web"); });
  const std::vector<std::string> note = {
      "migrate has completed and is not run again: `hearth restart migrate` does that"};
  unsigned runs = 1;
  for (const std::vector<std::string>& names : std::vector<std::vector<std::string>>{{}, {"*"}, {"@blue"}}) {
    const sim::ClientCall& restart = stage.order(Verb::restart, names);
    stage.run_until([&] { return stage.runs_of("web") == runs + 1 && stage.is_ready("web"); });
    ++runs;
    EXPECT_EQ((*restart.answer)->notes, note);
    EXPECT_EQ((*restart.answer)->slots.size(), 1u);
    EXPECT_TRUE(stage.machine().supervisor().order(restart.request.key)->settled);
    EXPECT_EQ(stage.runs_of("migrate"), 1u);
  }
  const sim::ClientCall& nothing = stage.order(Verb::restart, {"migr*"});
  stage.run_ms(10);
  EXPECT_EQ((*nothing.answer)->notes, note);
  EXPECT_TRUE(stage.machine().supervisor().order(nothing.request.key)->settled);
  stage.order(Verb::restart, {"*", "migrate"});
  stage.run_until([&] { return stage.runs_of("migrate") == 2 && stage.status("migrate").phase == Phase::completed; });
}

TEST_F(Orders, WhatLeftTheDocumentIsNotOvertakenButGone) {
  stage.up({service("db"), service("web")});
  stage.run_until([&] { return stage.is_ready("web"); });
  const sim::ClientCall& call = stage.up({service("db")});
  stage.run_ms(500);
  const OrderReport report = *stage.machine().supervisor().order(call.request.key);
  EXPECT_TRUE(report.settled);
  EXPECT_EQ(report.overtaken, 0u);
  EXPECT_EQ(report.slots.size(), 1u);
  EXPECT_EQ((*call.answer)->removed, std::vector<std::string>{"p.web.0"});
}

TEST_F(Orders, HearthWithNothingToStopEndsAtOnce) {
  stage.run_ms(100);
  stage.order(Verb::shutdown);
  stage.run_ms(100);
  EXPECT_TRUE(stage.machine().keeper_port.finished);
}

TEST_F(Orders, LeavingEndsHearthAndNoService) {
  stage.up({service("db")});
  stage.run_until([&] { return stage.is_ready("db"); });
  stage.machine().inputs_port.post_keeper_signal(3);
  stage.run_ms(100);
  EXPECT_TRUE(stage.machine().keeper_port.finished);
  EXPECT_EQ(stage.machine().kernel.live_count(), 1u);
}

TEST_F(Orders, WhatHadCompletedIsToldAsThatAtAShutdown) {
  ServiceSpec task = service("initdb", ProbeType::none);
  task.type = ServiceType::task;
  task.restart = RestartPolicy::never;
  stage.plays("initdb", {ends(50, 0)});
  Script slow = good();
  slow.term_takes = milliseconds(300);
  stage.plays("web", {slow});
  stage.up({task, service("web")});
  stage.run_until([&] { return stage.status("initdb").phase == Phase::completed && stage.is_ready("web"); });
  const sim::ClientCall& shutdown = stage.order(Verb::shutdown);
  stage.run_ms(100);
  const auto report = stage.machine().supervisor().order(shutdown.request.key);
  ASSERT_EQ(report->slots.size(), 2u);
  for (const SlotOutcome& one : report->slots) {
    if (one.status.name != "initdb") continue;
    EXPECT_EQ(one.status.phase, Phase::completed);
    EXPECT_EQ(one.outcome, Outcome::done);
  }
  stage.run_until([&] { return stage.machine().keeper_port.finished; });
}

}  // namespace
}  // namespace hearth::scenario
