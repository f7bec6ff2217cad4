// The test of the test: what hearth-kill-anywhere is there to find, planted, and found.
//
//   evidence  -> judge() -> violations        each kind of evidence doctored once
//   program   -> exit status and words        a service that drops a line, a supervisor that takes nothing over
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <signal.h>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "good_evidence.h"
#include "invariants.h"
#include "logger/mover.h"
#include "members.h"
#include "places.h"
#include "points.h"

namespace hearth::kill_anywhere {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> found(const std::function<void(Evidence&)>& doctor) {
  Evidence evidence = good();
  doctor(evidence);
  return judge(evidence).violations;
}

TEST(KillAnywhereFaults, a_run_without_fault_has_no_violation) {
  EXPECT_THAT(judge(good()).violations, IsEmpty());
}

TEST(KillAnywhereFaults, each_doctored_piece_of_evidence_is_a_violation) {
  EXPECT_THAT(found([](Evidence& e) { e.processes.push_back({"a", 20, 7, 0, "-", "-"}); }),
              testing::Contains(HasSubstr("a was started 2 times")));
  EXPECT_THAT(found([](Evidence& e) { e.processes.push_back({"c", 20, 7, 0, "-", "-"}); }),
              ElementsAre(HasSubstr("c was started 3 times")));
  EXPECT_THAT(found([](Evidence& e) { e.processes.back().listen_fds = 0; }),
              ElementsAre(HasSubstr("stored descriptor")));
  EXPECT_THAT(found([](Evidence& e) { e.processes.back().content = "?"; }),
              ElementsAre(HasSubstr("stored descriptor")));
  EXPECT_THAT(found([](Evidence& e) { e.after_exit.services["c"].exit_code.reset(); }),
              ElementsAre(HasSubstr("exit code 7")));
  EXPECT_THAT(found([](Evidence& e) { e.after_exit.services["c"].restarts = 2; }),
              ElementsAre(HasSubstr("restarted 2 times")));
  EXPECT_THAT(found([](Evidence& e) { e.last.services["d"].exit_code = 0; }), ElementsAre(HasSubstr("exit code 9")));
  EXPECT_THAT(found([](Evidence& e) { e.after_ready.services["b"].status_text = ""; }),
              ElementsAre(HasSubstr("STATUS=")));
  EXPECT_THAT(found([](Evidence& e) { e.watchdog_at = e.watchdog_before; }), ElementsAre(HasSubstr("WATCHDOG=1")));
  EXPECT_THAT(found([](Evidence& e) { e.last.services["a"].pid = 99; }), ElementsAre(HasSubstr("status says that a")));
  EXPECT_THAT(found([](Evidence& e) { e.last.services["e"].pid = 99; }), ElementsAre(HasSubstr("status says that e")));
  EXPECT_THAT(found([](Evidence& e) { e.last.takeovers = 1; }), ElementsAre(HasSubstr("takeovers")));
  EXPECT_THAT(found([](Evidence& e) { e.orders[1].orders.insert(9); }), ElementsAre(HasSubstr("two orders")));
  EXPECT_THAT(found([](Evidence& e) { e.orders[1].report.clear(); }), ElementsAre(HasSubstr("no answer")));
  const auto failed = [](const char* name) {
    return std::string(R"({"order":1,"slots":[{"outcome":"reached","name":"b"},{"outcome":"failed","name":")") + name +
           R"("}]})";
  };
  EXPECT_THAT(found([&](Evidence& e) { e.orders[0].report = failed("d"); }), IsEmpty()) << "it ends on purpose";
  EXPECT_THAT(found([&](Evidence& e) { e.orders[0].report = failed("a"); }),
              ElementsAre(HasSubstr("\"apply\" failed")));
  EXPECT_THAT(found([&](Evidence& e) { e.orders[1].report = failed("d"); }), ElementsAre(HasSubstr("failed")));
  EXPECT_THAT(found([](Evidence& e) { e.doubled_keys = 1; }), ElementsAre(HasSubstr("twice in the decision page")));
  EXPECT_THAT(found([](Evidence& e) { e.left_over = {"o/7"}; }), ElementsAre(HasSubstr("left over: o/7")));
  EXPECT_THAT(found([](Evidence& e) { e.overlaps = {"two"}; }), ElementsAre("two"));
  EXPECT_THAT(found([](Evidence& e) { e.stuck = "x"; }), ElementsAre(HasSubstr("did not come to its end")));
  EXPECT_THAT(found([](Evidence& e) { e.keeper_status = 256; }), ElementsAre(HasSubstr("wait status")));
  EXPECT_THAT(found([](Evidence& e) { e.logs["b"].lost = 1; }), ElementsAre(HasSubstr("log of b")));
  for (const char* name : {"a", "b", "m", "o"})
    EXPECT_THAT(found([&](Evidence& e) { e.logs[name].files = 1; }), ElementsAre(HasSubstr("was not rotated")));
  EXPECT_THAT(found([](Evidence& e) { e.logs["o"].compressed = 0; }), ElementsAre(HasSubstr("was compressed")));
}

TEST(KillAnywhereFaults, so_is_each_of_the_story_of_change) {
  const auto found = [](const std::function<void(Evidence&)>& doctor) {
    Evidence evidence = good_change();
    doctor(evidence);
    return judge(evidence).violations;
  };
  EXPECT_THAT(found([](Evidence&) {}), IsEmpty());
  for (const char* name : {"x", "w", "t", "f", "p", "r", "k", "n", "q", "s", "y"}) {
    EXPECT_THAT(found([&](Evidence& e) { e.last.services[name].ready = false; }), ElementsAre(HasSubstr("not ready")));
    EXPECT_THAT(found([&](Evidence& e) { e.last.services[name].restarts = 1; }), ElementsAre(HasSubstr("restarts")));
  }
  EXPECT_THAT(found([](Evidence& e) { e.last.services["v"].restarts = 2; }),
              ElementsAre(HasSubstr("v was restarted 2")));
  EXPECT_THAT(found([](Evidence& e) { e.last.services["v"].state = "stopping"; }),
              ElementsAre(HasSubstr("is stopping")));
  const auto lose_j = [](Evidence& e) {
    e.after_exit.services["j"].exit_code.reset();
    e.after_exit.services["j"].state = "failed";
    e.orders = {{"apply", {1}, R"({"slots":[{"outcome":"failed","name":"j"}]})", "", 0}};
  };
  EXPECT_THAT(found(lose_j), testing::Contains(HasSubstr("\"apply\" failed")));
  const auto killed = [](Evidence& e, Loss loss, Phase in) {
    e.loss = loss;
    e.killed_from = e.killed_to = in;
  };
  const auto lost = [&](const std::function<void(Evidence&)>& what, Loss loss, Phase in) {
    return found([&](Evidence& e) { what(e), killed(e, loss, in); });
  };
  EXPECT_THAT(lost(lose_j, Loss::keeper, Phase::probes), IsEmpty());
  EXPECT_THAT(lost(lose_j, Loss::keeper, Phase::hooks), ElementsAre(HasSubstr("the task j is failed")))
      << "its end had been told";
  EXPECT_THAT(found([](Evidence& e) { e.hooks += "after_stop\n"; }), ElementsAre(HasSubstr("hooks")));
  EXPECT_THAT(found([](Evidence& e) { e.hooks = "before_start\n"; }), ElementsAre(HasSubstr("hooks")));
  const auto twice = [](Evidence& e) { e.hooks = "before_start\nafter_stop\n" + e.hooks; };
  EXPECT_THAT(found(twice), ElementsAre(HasSubstr("tried twice")));
  EXPECT_THAT(lost(twice, Loss::keeper, Phase::probes), IsEmpty());
  EXPECT_THAT(lost(twice, Loss::keeper, Phase::hooks), ElementsAre(HasSubstr("tried twice")));
  const auto no_hooks = [](Evidence& e) { e.hooks = "before_start\n"; };
  EXPECT_THAT(lost(no_hooks, Loss::all_of_hearth, Phase::hooks), IsEmpty());
  EXPECT_THAT(lost(no_hooks, Loss::all_of_hearth, Phase::signal), ElementsAre(HasSubstr("hooks")));
  EXPECT_THAT(found([](Evidence& e) { e.hangups = "2"; }), ElementsAre(HasSubstr("SIGHUP 2 times")));
  const auto hangups = [](const char* count) { return [count](Evidence& e) { e.hangups = count; }; };
  EXPECT_THAT(found(hangups("0")), ElementsAre(HasSubstr("SIGHUP of r was lost")));
  EXPECT_THAT(lost(hangups("0"), Loss::keeper, Phase::signal), IsEmpty());
  EXPECT_THAT(lost(hangups("0"), Loss::keeper, Phase::probes), ElementsAre(HasSubstr("SIGHUP of r was lost")))
      << "the keeper that sent it was not killed";
  EXPECT_THAT(lost(hangups("2"), Loss::keeper, Phase::signal), ElementsAre(HasSubstr("SIGHUP 2 times")));
  const auto unheard = [](Evidence& e) { e.caller_heard = "k: failed 11"; };
  EXPECT_THAT(found(unheard), ElementsAre(HasSubstr("backlog")));
  EXPECT_THAT(lost(unheard, Loss::all_of_hearth, Phase::backlog), IsEmpty());
  EXPECT_THAT(lost(unheard, Loss::all_of_hearth, Phase::apply), ElementsAre(HasSubstr("backlog")));
  const auto again = [](Evidence& e) { e.last.services["v"].restarts = 0; };
  EXPECT_THAT(lost(again, Loss::all_of_hearth, Phase::live), IsEmpty());
  EXPECT_THAT(lost(again, Loss::all_of_hearth, Phase::hooks), ElementsAre(HasSubstr("v was restarted 0")));
  EXPECT_THAT(found([](Evidence& e) { e.last.services["l"] = {}; }), ElementsAre(HasSubstr("left the document")));
  EXPECT_THAT(found([](Evidence& e) { e.after_exit.services["j"].exit_code = 1; }),
              ElementsAre(HasSubstr("exit code 0 of j")));
  EXPECT_THAT(found([](Evidence& e) { e.after_exit.services["j"].state = "failed"; }),
              ElementsAre(HasSubstr("the task j is failed")));
  EXPECT_THAT(found([](Evidence& e) { e.events.begun[3] = 2; }),
              ElementsAre(HasSubstr("2 times that run 3 of t began")));
  EXPECT_THAT(found([](Evidence& e) { e.events.begun[99] = 1; }), ElementsAre(HasSubstr("nobody has seen it")));
  EXPECT_THAT(found([](Evidence& e) { e.events.ended.erase(3); }), ElementsAre(HasSubstr("0 times that it ended")));
  EXPECT_THAT(found([](Evidence& e) { e.events.wrong = {"x"}; }), ElementsAre(HasSubstr("in the event journal: x")));
}

TEST(KillAnywhereFaults, so_is_each_of_the_story_of_an_upgrade) {
  const auto found = [](const std::function<void(Evidence&)>& doctor) {
    Evidence evidence = good_upgrade();
    doctor(evidence);
    return judge(evidence).violations;
  };
  EXPECT_THAT(found([](Evidence&) {}), IsEmpty());
  EXPECT_THAT(found([](Evidence& e) { e.upgraded = false; }), ElementsAre(HasSubstr("the programs before")));
  EXPECT_THAT(found([](Evidence& e) { e.last.returns = 1; }), ElementsAre(HasSubstr("taken back")));
  EXPECT_THAT(found([](Evidence& e) { e.orders[1].orders.insert(9); }), ElementsAre(HasSubstr("two orders")));
  EXPECT_THAT(found([](Evidence& e) { e.processes.back().listen_fds = 0; }),
              ElementsAre(HasSubstr("stored descriptor")));
}

TEST(KillAnywhereFaults, so_is_each_of_the_story_of_a_keeper_that_executes_another_program) {
  const auto found = [](const std::function<void(Evidence&)>& doctor) {
    Evidence evidence = good_exec();
    doctor(evidence);
    return judge(evidence).violations;
  };
  const std::string of_dry_run = R"(upgrade: 500: {"message":"the dry run of the program was killed by signal 9"})";
  const std::string of_keeper = R"(upgrade: 500: {"message":"the keeper died before it went on as that"})";
  EXPECT_THAT(found([](Evidence&) {}), IsEmpty());
  EXPECT_THAT(found([](Evidence& e) { e.processes.push_back({"a", 20, 7, 0, "-", "-"}); }),
              testing::Contains(HasSubstr("a was started 2 times")));
  EXPECT_THAT(found([](Evidence& e) { e.processes.back().listen_fds = 0; }),
              ElementsAre(HasSubstr("stored descriptor")));
  EXPECT_THAT(found([](Evidence& e) { e.last.services["d"].exit_code.reset(); }),
              ElementsAre(HasSubstr("exit code 9")));
  EXPECT_THAT(found([](Evidence& e) { e.last.takeovers = 1; }), ElementsAre(HasSubstr("takeovers")));
  EXPECT_THAT(found([](Evidence& e) { e.upgraded = false; }), ElementsAre(HasSubstr("the program before")));
  EXPECT_THAT(found([](Evidence& e) {
                e.upgraded = false;
                e.loss = Loss::keeper;
                e.died_as_next = true;
              }),
              IsEmpty())
      << "its successor has the program before";
  EXPECT_THAT(found([](Evidence& e) {
                e.upgraded = false;
                e.loss = Loss::keeper;
              }),
              ElementsAre(HasSubstr("the program before")))
      << "the order was done, and nobody had executed the other program";
  EXPECT_THAT(found([](Evidence& e) {
                e.upgraded = false;
                e.loss = Loss::keeper;
                e.died_as_next = e.done_after_death = true;
              }),
              ElementsAre(HasSubstr("the program before")))
      << "that was given to the successor";
  EXPECT_THAT(found([](Evidence& e) { e.refused_and_done = {"x"}; }), ElementsAre(HasSubstr("refused, and yet")));
  EXPECT_THAT(found([&](Evidence& e) { e.refusals = {{of_dry_run, true}}; }),
              ElementsAre(HasSubstr("without a death")));
  EXPECT_THAT(found([&](Evidence& e) { e.refusals = {{of_keeper, true}}; }), ElementsAre(HasSubstr("without a death")));
  EXPECT_THAT(found([&](Evidence& e) {
                e.refusals = {{of_keeper, true}};
                e.loss = Loss::keeper;
              }),
              IsEmpty());
  EXPECT_THAT(found([&](Evidence& e) {
                e.refusals = {{of_keeper, false}};
                e.loss = Loss::keeper;
              }),
              ElementsAre(HasSubstr("without a death")))
      << "it was still to die";
  const auto of_killed_dry_run = [&](const std::vector<std::string>& refusals) {
    return found([&](Evidence& e) {
      e.dry_run_killed = e.killed_alone = true;
      for (const std::string& refusal : refusals) e.refusals.push_back({refusal, true});
    });
  };
  EXPECT_THAT(of_killed_dry_run({of_dry_run}), IsEmpty());
  EXPECT_THAT(of_killed_dry_run({}), ElementsAre(HasSubstr("refused 0 times")));
  EXPECT_THAT(of_killed_dry_run({of_dry_run, of_dry_run}), ElementsAre(HasSubstr("refused 2 times")));
  EXPECT_THAT(of_killed_dry_run({of_keeper}), ElementsAre(HasSubstr("without a death")));
}

TEST(KillAnywhereFaults, so_is_each_of_what_goes_on_beside_every_story) {
  const auto found = [](const std::function<void(Evidence&)>& doctor, Loss loss = Loss::nothing) {
    Evidence evidence = good_change();
    evidence.loss = loss;
    doctor(evidence);
    return judge(evidence).violations;
  };
  const auto u = [](Evidence& e, std::size_t which) -> SeenProcess& {
    return *std::ranges::find_if(e.processes, [&](const SeenProcess& one) { return one.name == "u" && which-- == 0; });
  };
  EXPECT_THAT(found([](Evidence&) {}), IsEmpty());
  EXPECT_THAT(found([](Evidence& e) { e.asked.wrong = {"x"}; }), ElementsAre("who asks status all the time: x"));
  EXPECT_THAT(found([](Evidence& e) { e.asked.answered = 0; }), ElementsAre(HasSubstr("had no answer")));
  for (const char* name : {"m", "o"}) {
    EXPECT_THAT(found([&](Evidence& e) { e.logs[name].lines = 0; }), ElementsAre(HasSubstr("has written nothing")));
    EXPECT_THAT(found([&](Evidence& e) { e.logs[name].lost = 1; }), ElementsAre(HasSubstr("log of ")));
    EXPECT_THAT(found([&](Evidence& e) { e.last.services[name].pid = 99; }), ElementsAre(HasSubstr("status says")));
    EXPECT_THAT(found([&](Evidence& e) { e.last.services[name].restarts = 1; }), ElementsAre(HasSubstr("restarts")));
  }
  EXPECT_THAT(found([](Evidence& e) { e.logs["u"].doubled = 1; }), ElementsAre(HasSubstr("log of u")));
  EXPECT_THAT(found([&](Evidence& e) { u(e, 0).told_exit.reset(); }), ElementsAre(HasSubstr("had not been told")));
  EXPECT_THAT(found([](Evidence& e) { e.last.services["u"].restarts = 2; }), ElementsAre(HasSubstr("2 restarts of u")));
  EXPECT_THAT(found([](Evidence& e) { e.events.codes[52] = 73; }), ElementsAre(HasSubstr("another end is")));
  const auto forget = [](Evidence& e) { e.events.codes.erase(52); };
  EXPECT_THAT(found(forget), ElementsAre(HasSubstr("exit code 72 of run 52 of u is not in the events")));
  EXPECT_THAT(found(forget, Loss::keeper), IsEmpty());
  EXPECT_THAT(found([&](Evidence& e) { e.events.signals[52] = SIGTERM, forget(e); }),
              ElementsAre(HasSubstr("another end is")));
  EXPECT_THAT(found([&](Evidence& e) { u(e, 1).told_exit = 73; }), IsEmpty()) << "the shutdown was faster";
  const auto unseen = [](Evidence& e) {
    e.events.begun[99] = e.events.ended[99] = 1;
    e.events.services[99] = "ka1l.u.0";
    e.events.signals[99] = SIGTERM;
  };
  EXPECT_THAT(found(unseen), IsEmpty()) << "it was stopped before it greeted";
  EXPECT_THAT(found([&](Evidence& e) {
                unseen(e);
                e.events.services[99] = "ka1.k.0";
              }),
              ElementsAre(HasSubstr("nobody has seen it")));
}

TEST(KillAnywhereFaults, who_asks_status_all_the_time_notices_a_wrong_answer_and_a_connection_that_ends_for_nothing) {
  const auto wrong = [](const std::function<void(StatusWitness&)>& what) {
    StatusWitness witness;
    witness.take(200, R"({"services":[{"name":"a","run":7}]})", false);
    what(witness);
    return witness.asked().wrong;
  };
  EXPECT_THAT(wrong([](StatusWitness&) {}), IsEmpty());
  EXPECT_THAT(wrong([](StatusWitness& w) { w.take(200, R"({"services":[{"name":"a","run":8}]})", false); }), IsEmpty());
  EXPECT_THAT(wrong([](StatusWitness& w) { w.take(200, R"({"services":[{"name":"a","run":6}]})", false); }),
              ElementsAre("run 6 of a was told after run 7"));
  EXPECT_THAT(wrong([](StatusWitness& w) { w.take(200, R"({"services":[)", false); }),
              ElementsAre(HasSubstr("no status")));
  const std::string refusal = R"({"message":"no memory"})";
  EXPECT_THAT(wrong([&](StatusWitness& w) { w.take(503, refusal, false); }), ElementsAre(HasSubstr("answered 503")));
  EXPECT_THAT(wrong([&](StatusWitness& w) { w.take(503, refusal, true); }), IsEmpty());
  EXPECT_THAT(wrong([](StatusWitness& w) { w.take(503, "{}", true); }), ElementsAre(HasSubstr("answered 503")))
      << "without a reason";
  EXPECT_THAT(wrong([&](StatusWitness& w) { w.take(404, refusal, true); }), ElementsAre(HasSubstr("answered 404")));
  EXPECT_THAT(wrong([](StatusWitness& w) { w.lose_connection("x", true); }), IsEmpty());
  EXPECT_THAT(wrong([](StatusWitness& w) { w.lose_connection("x", false); }),
              ElementsAre("its connection ended, and nobody had died: x"));
}

TEST(KillAnywhereFaults, what_only_the_death_of_everything_may_cost_is_tolerated_only_then) {
  Evidence evidence = good();
  evidence.logs["a"].lost = 3;
  evidence.logs["a"].gaps = 1;
  evidence.loss = Loss::keeper;
  EXPECT_EQ(judge(evidence).violations.size(), 1u);
  evidence.loss = Loss::all_of_hearth;
  EXPECT_THAT(judge(evidence).violations, IsEmpty());
  evidence.logs["a"].gaps = 2;
  EXPECT_EQ(judge(evidence).violations.size(), 1u) << "one batch has no two gaps";
  evidence.logs["a"].gaps = 1;
  evidence.logs["a"].prefix = 40;
  evidence.settled["a"] = 40;
  EXPECT_THAT(judge(evidence).violations, IsEmpty());
  evidence.settled["a"] = 41;
  EXPECT_EQ(judge(evidence).violations.size(), 1u) << "the 41st line had been in the file before";
  evidence.settled.clear();
  evidence.logs["a"].lost_bytes = logger::largest_batch + 1;
  EXPECT_EQ(judge(evidence).violations.size(), 1u) << "no batch is as large";
  evidence.logs["a"].lost_bytes = 0;
  evidence.logs["b"].lost = 1;
  evidence.logs["b"].gaps = 1;
  EXPECT_EQ(judge(evidence).violations.size(), 1u)
      << "one batch is of one service, and two runs of b make no difference";
  evidence.killed_at_ticks = 1000;
  evidence.answered_at_ticks = 1100;
  const auto b = std::ranges::find(evidence.processes, "b", &SeenProcess::name);
  b->ended_ticks = 800;
  EXPECT_EQ(judge(evidence).violations.size(), 1u) << "what it wrote had been read long ago";
  b->ended_ticks = 1050;
  EXPECT_THAT(judge(evidence).violations, IsEmpty()) << "it ended while nobody lived";
  b->ended_ticks = 1200;
  EXPECT_EQ(judge(evidence).violations.size(), 1u) << "there was a logger again";
  evidence.killed_in_shutdown = true;
  EXPECT_THAT(judge(evidence).violations, IsEmpty()) << "they end while nobody lives";
  evidence.logs["u"].lost = evidence.logs["u"].gaps = 2;
  EXPECT_THAT(judge(evidence).violations, IsEmpty()) << "the batch, and what its last run had written";
  evidence.logs["u"].gaps = 3;
  EXPECT_EQ(judge(evidence).violations.size(), 1u);
}

TEST(KillAnywhereFaults, a_kill_excuses_nothing_that_was_made_later_or_had_been_looked_at) {
  const auto found = [](const std::function<void(Evidence&)>& doctor, Phase from, Phase to) {
    Evidence evidence = good();
    doctor(evidence);
    evidence.loss = Loss::all_of_hearth;
    evidence.killed_from = from;
    evidence.killed_to = to;
    return judge(evidence).violations.size();
  };
  const auto descriptor = [](Evidence& e) { e.processes.back().listen_fds = 0; };
  EXPECT_EQ(found(descriptor, Phase::up, Phase::up), 1u);
  EXPECT_EQ(found(descriptor, Phase::up, Phase::say), 0u) << "it may have been either";
  EXPECT_EQ(found(descriptor, Phase::restart, Phase::restart), 0u);
  EXPECT_EQ(found(descriptor, Phase::end, Phase::end), 1u);
  const auto text = [](Evidence& e) { e.after_ready.services["b"].status_text = ""; };
  EXPECT_EQ(found(text, Phase::up, Phase::up), 0u);
  EXPECT_EQ(found(text, Phase::exit, Phase::exit), 1u);
  const auto beat = [](Evidence& e) { e.watchdog_at = e.watchdog_before; };
  EXPECT_EQ(found(beat, Phase::say, Phase::say), 0u);
  EXPECT_EQ(found(beat, Phase::up, Phase::up), 1u);
}

TEST(KillAnywhereFaults, an_exit_code_may_be_unknown_of_what_began_before_the_keeper_was_killed) {
  Evidence evidence = good();
  evidence.loss = Loss::keeper;
  evidence.last.services["d"].exit_code.reset();
  evidence.killed_at_ticks = 100;
  const auto d = std::ranges::find(evidence.processes, "d", &SeenProcess::name);
  d->start_ticks = 99;
  EXPECT_THAT(judge(evidence).violations, IsEmpty());
  d->start_ticks = 101;
  EXPECT_THAT(judge(evidence).violations, ElementsAre(HasSubstr("it began after the kill")));
}

TEST(KillAnywhereFaults, a_keeper_that_was_not_killed_is_the_same_process_at_the_end) {
  Evidence evidence = good();
  evidence.keeper = 2;
  evidence.last.keeper = 2;
  EXPECT_THAT(judge(evidence).violations, IsEmpty());
  evidence.last.keeper = 3;
  EXPECT_THAT(judge(evidence).violations, ElementsAre(HasSubstr("the keeper was not killed, and is PID 3")));
  evidence.loss = Loss::keeper;
  EXPECT_THAT(judge(evidence).violations, IsEmpty());
}

TEST(KillAnywhereFaults, whoever_is_started_once_more_than_somebody_was_killed_is_noticed) {
  const auto found_of = [](const char* point, Story story, const std::function<void(Starts&)>& more) {
    Evidence evidence = story == Story::keeper ? good_exec() : story == Story::upgrade ? good_upgrade() : good();
    evidence.takeovers_known = false;
    evidence.starts_known = true;
    const Deaths deaths = *point == '\0' ? Deaths{} : deaths_of(story, *parse_point(point));
    evidence.starts = evidence.allowed = allowed_starts(story, deaths, 0);
    more(evidence.starts);
    return judge(evidence).violations;
  };
  for (const char* point : {"", "0:9:exit", "1:9:exit", "2:9:exit", "3:9:exit", "1:9:exit:with-keeper"}) {
    EXPECT_THAT(found_of(point, Story::life, [](Starts&) {}), IsEmpty());
    EXPECT_THAT(found_of(point, Story::life, [](Starts& s) { ++s.keepers; }), ElementsAre(HasSubstr("keepers")));
    EXPECT_THAT(found_of(point, Story::life, [](Starts& s) { ++s.supervisors; }),
                ElementsAre(HasSubstr("supervisors")));
    EXPECT_THAT(found_of(point, Story::life, [](Starts& s) { ++s.loggers; }), ElementsAre(HasSubstr("loggers")));
    EXPECT_THAT(found_of(point, Story::life, [](Starts& s) { ++s.spawners; }), ElementsAre(HasSubstr("spawners")));
  }
  Evidence evidence = good();
  evidence.starts_known = true;
  evidence.allowed.spawners = evidence.least_spawners = 3;
  EXPECT_THAT(judge(evidence).violations, ElementsAre(HasSubstr("nobody has replaced")));
  evidence.starts.spawners = 3;
  EXPECT_THAT(judge(evidence).violations, IsEmpty());
  EXPECT_TRUE(is_followed(Story::life, Phase::exit, Phase::restart));
  EXPECT_FALSE(is_followed(Story::life, Phase::exit, Phase::stop)) << "the last status may be of before";
  EXPECT_FALSE(is_followed(Story::upgrade, Phase::after, Phase::down));
  const auto allowed = [](const char* point, Story story) {
    return allowed_starts(story, deaths_of(story, *parse_point(point)), 0);
  };
  EXPECT_EQ(allowed("2:9:exit", Story::life).loggers, 2u);
  EXPECT_EQ(allowed("2:9:exit", Story::life).supervisors, 1u);
  EXPECT_EQ(allowed("3:9:exit", Story::life).spawners, 3u);
  EXPECT_EQ(allowed("0:9:exit", Story::life).loggers, 2u) << "its successor starts its own";
  EXPECT_EQ(allowed("5:9:exit", Story::upgrade).supervisors, 3u);
  EXPECT_EQ(allowed("5:9:exit", Story::keeper).spawners, 4u) << "that is the dry run";
  EXPECT_EQ(allowed("1:9:exit", Story::keeper).spawners, 6u) << "its successor may execute the keeper once more";
}

TEST(KillAnywhereFaults, a_death_by_another_signal_is_noticed_and_so_are_words_of_a_failed_check) {
  EXPECT_EQ(crash_of({{7, SIGABRT}, "hearth-logger"}), "hearth-logger (PID 7) died of signal 6");
  EXPECT_EQ(crash_of({{7, SIGKILL}, "hearth-logger"}), "");
  EXPECT_EQ(crash_of({{7, SIGTERM}, "hearth-ka-servi"}), "") << "services are stopped";
  EXPECT_EQ(crash_of({{7, 0}, "hearth-spawner"}), "");
  EXPECT_EQ(crash_of({{7, SIGTERM}, "hearth-spawner"}), "") << "a service before its exec";
  EXPECT_NE(crash_of({{7, SIGSEGV}, "hearth-spawner"}), "");
  const std::string died = R"({"time":"t","event":"died","process":"logger","pid":7,"code":)";
  const std::string killed = died + "null,\"signal\":9,\"deaths\":1}\n",
                    aborted = died + "null,\"signal\":6,\"deaths\":2}";
  EXPECT_THAT(crashes_in(killed + "{}\nno json\n" + died + "0,\"signal\":null,\"deaths\":1}\n"), IsEmpty());
  EXPECT_THAT(crashes_in(killed + aborted + "\n"), ElementsAre(HasSubstr("\"signal\":6")));
  EXPECT_THAT(crashes_in(died + "1,\"signal\":null,\"deaths\":1}\n"), ElementsAre(HasSubstr("\"code\":1")));
  EXPECT_THAT(bugs_in("x\nhearth: bug: it is so\n"), ElementsAre("hearth: bug: it is so"));
}

// Exit status and output of hearth-kill-anywhere with these arguments.
std::pair<int, std::string> run_tool(const std::string& arguments) {
  FILE* tool = popen((std::string(HEARTH_BIN_DIR) + "/hearth-kill-anywhere " + arguments + " 2>&1").c_str(), "r");
  std::string output;
  char bytes[4096];
  while (const std::size_t n = std::fread(bytes, 1, sizeof bytes, tool)) output.append(bytes, n);
  return {pclose(tool), output};
}

TEST(KillAnywhereFaults, a_service_that_drops_a_line_is_noticed) {
  const auto [status, output] = run_tool("--point 4:8:entry --service-mode drops-a-line");
  EXPECT_NE(status, 0);
  for (const char* name : {"a", "m", "o"}) EXPECT_THAT(output, HasSubstr(std::string("log of ") + name));
  EXPECT_THAT(output, HasSubstr("line 3 is not there"));
}

TEST(KillAnywhereFaults, a_service_that_exits_untold_is_noticed) {
  const auto [status, output] = run_tool("--point 4:8:entry --service-mode leaves");
  EXPECT_NE(status, 0);
  EXPECT_THAT(output, testing::AnyOf(HasSubstr("of u is not in the events: another end is"),
                                     HasSubstr("had not been told to exit")));
}

TEST(KillAnywhereFaults, a_supervisor_that_takes_nothing_over_is_noticed) {
  const auto [status, output] =
      run_tool("--point 1:700:entry --deadline 4 --supervisor " HEARTH_BIN_DIR "/hearth-ka-refusing-supervisor");
  EXPECT_NE(status, 0);
  EXPECT_THAT(output, HasSubstr("did not come to its end"));
}

TEST(KillAnywhereFaults, a_supervisor_that_dies_with_its_keeper_is_noticed) {
  const auto [status, output] =
      run_tool("--point 0:restart/0:entry --supervisor " HEARTH_BIN_DIR "/hearth-ka-deserting-supervisor");
  EXPECT_NE(status, 0);
  EXPECT_THAT(output, HasSubstr("all of hearth ended by itself"));
}

TEST(KillAnywhereFaults, a_second_logger_that_aborts_is_noticed_though_the_third_one_works) {
  const auto [status, output] =
      run_tool("--point 2:exit/0:entry --logger " HEARTH_BIN_DIR "/hearth-ka-aborting-logger");
  EXPECT_NE(status, 0);
  EXPECT_THAT(output, HasSubstr("hearth started 3 loggers"));
  EXPECT_THAT(output, HasSubstr("\"signal\":6"));
}

TEST(KillAnywhereFaults, a_keeper_that_goes_on_with_another_stored_descriptor_is_noticed) {
  const auto [status, output] =
      run_tool("--story keeper --point 1:after/0:entry --next-keeper " HEARTH_BIN_DIR "/hearth-ka-forgetful-keeper");
  EXPECT_NE(status, 0);
  EXPECT_THAT(output, HasSubstr("the stored descriptor did not come back"));
}

}  // namespace
}  // namespace hearth::kill_anywhere
