// Who is started, stopped and restarted before whom, and what a dependency's fate does to its dependents.
#include <algorithm>
#include <cerrno>

#include "scenario/stage.h"

namespace hearth::scenario {
namespace {

class StartOrder : public Scenario {};

TEST_F(StartOrder, DependenciesStartFirst) {
  ServiceSpec web = service("web");
  web.depends_on = {on("db")};
  stage.plays("db", {good(400)});
  stage.up({web, service("db")});
  stage.run_ms(300);
  EXPECT_EQ(stage.runs_of("web"), 0u);
  EXPECT_EQ(stage.status("web").phase, Phase::waiting);
  EXPECT_EQ(stage.status("web").reason_text, "waits for db");
  stage.run_until([&] { return stage.is_ready("web"); });
}

TEST_F(StartOrder, DependentsStopFirst) {
  ServiceSpec web = service("web");
  web.depends_on = {on("db")};
  Script slow = good();
  slow.term_takes = milliseconds(700);
  stage.plays("web", {slow});
  stage.up({service("db"), web});
  stage.run_until([&] { return stage.is_ready("web"); });
  stage.down();
  stage.run_ms(600);
  EXPECT_TRUE(stage.process("db").running());
  EXPECT_EQ(stage.stop_signals_of("db"), 0u);
  stage.run_until([&] { return stage.machine().kernel.live_count() == 0; });
}

TEST_F(StartOrder, AFailedDependencyThatRecoversBringsItsDependentsUp) {
  ServiceSpec db = service("db");
  db.restart = RestartPolicy::never;
  ServiceSpec web = service("web");
  web.depends_on = {on("db")};
  stage.plays("db", {ends(20, 1), good()});
  stage.up({db, web});
  stage.run_until([&] { return stage.status("web").phase == Phase::failed; });
  EXPECT_EQ(stage.status("web").reason, Reason::dependency_failed);
  stage.order(Verb::start, {"db"});
  stage.run_until([&] { return stage.is_ready("web"); });
}

TEST_F(StartOrder, WhoOnlyNeedsAFailedDependencyStartedComesUpWithItsNextStart) {
  ServiceSpec db = service("db");
  db.restart = RestartPolicy::never;
  ServiceSpec web = service("web");
  web.depends_on = {on("db", Condition::started)};
  Script missing = good();
  missing.fails = wire::SpawnStage::clone;
  missing.fail_errno = EPERM;
  stage.plays("db", {missing, good(500)});
  ServiceSpec gate = service("gate");
  stage.plays("gate", {good(300)});
  web.depends_on.push_back(on("gate"));
  stage.up({db, gate, web});
  stage.run_until([&] { return stage.status("web").phase == Phase::failed; });
  stage.run_ms(500);
  stage.order(Verb::start, {"db"});
  stage.run_until([&] { return stage.is_ready("web"); });
  EXPECT_EQ(stage.runs_of("web"), 1u);
}

// web is looked at first, when its dependency is still thought to be there.
TEST_F(StartOrder, NobodyIsStartedOverWhatHasEndedInTheSameMoment) {
  ServiceSpec web = service("web"), db = service("db");
  web.depends_on = {on("db")};
  web.backoff.initial = db.backoff.initial = 0;
  stage.plays("db", {good(), good(300)});
  stage.up({web, db});
  stage.run_until([&] { return stage.is_ready("web"); });
  stage.machine().stop_supervisor(milliseconds(50));
  for (const char* name : {"web", "db"})
    stage.machine().kernel.exit(*stage.machine().kernel.process(stage.process(name).run), 2, 9);
  stage.run_ms(200);
  EXPECT_EQ(stage.runs_of("db"), 2u);
  EXPECT_EQ(stage.runs_of("web"), 1u) << "db is not ready yet";
  EXPECT_EQ(stage.status("web").phase, Phase::waiting);
  EXPECT_EQ(stage.status("web").reason_text, "waits for db");
  stage.run_until([&] { return stage.is_ready("web"); });
  EXPECT_EQ(stage.runs_of("web"), 2u);
  EXPECT_EQ(stage.status("web").restarts, 1u);
}

TEST_F(StartOrder, WhoIsRestartedWithItsDependencyEndsBeforeItAndComesUpAfterIt) {
  ServiceSpec web = service("web"), page = service("page"), bystander = service("bystander");
  web.depends_on = {restarted_with("db")};
  page.depends_on = {restarted_with("web")};
  bystander.depends_on = {on("db")};
  Script slow = good();
  slow.term_takes = milliseconds(300);
  stage.plays("web", {slow});
  stage.plays("page", {slow});
  stage.up({page, web, service("db"), bystander});
  stage.run_until([&] { return stage.is_ready("page"); });
  const sim::ClientCall& restart = stage.order(Verb::restart, {"db"});
  stage.run_ms(400);
  EXPECT_EQ(stage.stop_signals_of("page") + stage.stop_signals_of("web"), 2u);
  EXPECT_EQ(stage.stop_signals_of("db"), 0u) << "web is still ending";
  EXPECT_EQ(stage.status("page").phase, Phase::waiting);
  stage.run_until([&] { return stage.is_ready("page"); });
  EXPECT_EQ((*restart.answer)->slots.size(), 3u);
  EXPECT_GT(stage.state("web").run().run, stage.state("db").run().run);
  EXPECT_GT(stage.state("page").run().run, stage.state("web").run().run);
  stage.run_ms(5'000);
  EXPECT_EQ(stage.runs_of("db") + stage.runs_of("web") + stage.runs_of("page"), 6u);
  EXPECT_EQ(stage.runs_of("bystander"), 1u);
  EXPECT_TRUE(stage.machine().supervisor().order(restart.request.key)->settled);
}

TEST_F(StartOrder, WhoIsRestartedWithItsDependencyStaysUpUntilThatIsBackFromItsCrash) {
  ServiceSpec db = service("db"), web = service("web");
  db.backoff.initial = seconds(2);
  web.depends_on = {restarted_with("db")};
  stage.plays("db", {[] {
                       Script once = good();
                       once.exit_after = milliseconds(500);
                       once.exit_status = 1;
                       return once;
                     }(),
                     good()});
  stage.up({db, web});
  stage.run_until([&] { return stage.status("db").phase == Phase::backoff; });
  stage.run_ms(1'900);
  EXPECT_TRUE(stage.is_ready("web"));
  EXPECT_EQ(stage.runs_of("web"), 1u);
  stage.run_until([&] { return stage.runs_of("web") == 2; });
  EXPECT_TRUE(stage.is_ready("db"));
  stage.run_until([&] { return stage.is_ready("web"); });
  EXPECT_EQ(stage.status("web").reason, Reason::dependency_restarted);
  EXPECT_EQ(stage.status("web").failures + stage.status("web").restarts, 0u) << "it has not failed";
  stage.run_ms(5'000);
  EXPECT_EQ(stage.runs_of("web"), 2u);
}

TEST_F(StartOrder, AnApplyThatChangesADependencyRestartsWhoIsRestartedWithIt) {
  ServiceSpec db = service("db"), web = service("web");
  web.depends_on = {restarted_with("db")};
  stage.up({web, db});
  stage.run_until([&] { return stage.is_ready("web"); });
  db.env = {{"A", "1"}};
  stage.up({web, db});
  stage.run_ms(1'000);
  EXPECT_TRUE(stage.is_ready("web"));
  EXPECT_EQ(stage.runs_of("db") + stage.runs_of("web"), 4u);
}

TEST_F(StartOrder, AStopThatIsTakenBackBeforeItBeganIsARestartLikeAnyOther) {
  ServiceSpec slow = service("slow"), web = service("web");
  slow.depends_on = {on("db")};
  web.depends_on = {restarted_with("db")};
  Script takes_its_time = good();
  takes_its_time.term_takes = milliseconds(300);
  stage.plays("slow", {takes_its_time});
  stage.plays("web", {takes_its_time});
  stage.up({service("db"), slow, web});
  stage.run_until([&] { return stage.is_ready("web") && stage.is_ready("slow"); });
  stage.order(Verb::stop, {"db", "slow"});
  stage.run_ms(100);
  stage.order(Verb::start, {"db"});
  stage.run_ms(400);
  EXPECT_EQ(stage.stop_signals_of("web"), 1u);
  EXPECT_EQ(stage.stop_signals_of("db"), 0u) << "web is still ending";
  stage.run_until([&] { return stage.runs_of("web") == 2 && stage.is_ready("web"); });
  EXPECT_EQ(stage.runs_of("db"), 2u);
}

TEST_F(StartOrder, WhoMerelyComesAfterAnotherWaitsForItWhereverItIsListed) {
  ServiceSpec web = service("web");
  web.depends_on = {on("db")};
  web.depends_on[0].required = false;
  stage.plays("db", {good(300)});
  stage.up({web, service("db")});
  stage.run_ms(200);
  EXPECT_EQ(stage.runs_of("web"), 0u);
  stage.run_until([&] { return stage.is_ready("web"); });
  stage.order(Verb::stop);
  stage.run_ms(500);
  stage.order(Verb::start);
  stage.run_ms(200);
  EXPECT_EQ(stage.runs_of("web"), 1u);
  stage.run_until([&] { return stage.runs_of("web") == 2; });
}

// Every place that such a restart passes.
TEST(KilledAnywhereWhileRestarting, ADependencyAndItsDependentComeOutTheSame) {
  for (unsigned place = 1;; ++place) {
    Stage stage;
    ServiceSpec web = service("web");
    web.depends_on = {restarted_with("db")};
    stage.up({service("db"), web});
    stage.run_until([&] { return stage.is_ready("web"); });
    stage.machine().crash.arm(place);
    stage.order(Verb::restart, {"db"});
    stage.run_until([&] { return stage.machine().alive() && stage.runs_of("web") == 2 && stage.is_ready("web"); });
    stage.run_ms(1'000);
    EXPECT_EQ(stage.runs_of("db") + stage.runs_of("web"), 4u) << "killed at place " << place;
    ASSERT_EQ(stage.problems(), "") << "killed at place " << place << "\n" << stage.trace();
    if (stage.machine().crashes == 0) {
      EXPECT_GT(place, 100u) << "fewer places than there should be";
      break;
    }
  }
}

}  // namespace
}  // namespace hearth::scenario
