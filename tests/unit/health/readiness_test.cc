// Startup and readiness.
#include <string_view>

#include <gtest/gtest.h>

#include "unit/health/watched.h"

namespace hearth::health {
namespace {

TEST(Startup, EndsWithOneVerdictWhenTheTimePasses) {
  Watched run;
  run.begin();
  EXPECT_TRUE(silent(run.verdict));
  EXPECT_EQ(next_deadline(run.health), run.now.mono + seconds(60));
  run.pass(seconds(60) - 1);
  EXPECT_FALSE(run.verdict.start_timeout);
  run.pass(1);
  EXPECT_TRUE(run.verdict.start_timeout);
  run.pass(seconds(1000));
  EXPECT_TRUE(silent(run.verdict));
  EXPECT_EQ(next_deadline(run.health), never);
}

TEST(Startup, WithoutALimitHasNoClock) {
  Watched run;
  run.spec.start_timeout = 0;
  run.begin();
  EXPECT_EQ(next_deadline(run.health), never);
  run.say("EXTEND_TIMEOUT_USEC=1");
  EXPECT_EQ(next_deadline(run.health), never);
}

TEST(Startup, TakesAnHourWhenTheServiceKeepsAskingForMore) {
  Watched run;
  run.begin();
  for (int minute = 0; minute < 120; ++minute) {
    run.pass(seconds(30));
    ASSERT_FALSE(run.verdict.start_timeout);
    run.say("EXTEND_TIMEOUT_USEC=60000000\nSTATUS=loading");
  }
  run.say("READY=1");
  EXPECT_TRUE(run.verdict.became_ready);
  EXPECT_EQ(next_deadline(run.health), never);
}

TEST(Startup, IsNeverShortenedByAnExtension) {
  Watched run;
  run.begin();
  const MonoNs before = next_deadline(run.health);
  run.say("EXTEND_TIMEOUT_USEC=1000000");
  EXPECT_EQ(next_deadline(run.health), before);
  run.say("EXTEND_TIMEOUT_USEC=18446744073709551615");
  EXPECT_EQ(next_deadline(run.health), never) << "for ever is an answer too";
}

Watched after_uptime(SpanNs span) {
  Watched run(ProbeType::uptime);
  run.spec.ready.edit().uptime = span;
  return run.begin();
}

TEST(Readiness, ByUptimeComesWhenItHasRunSoLongAndStays) {
  Watched run = after_uptime(seconds(2));
  EXPECT_TRUE(silent(run.verdict)) << "nothing is tried";
  EXPECT_EQ(next_deadline(run.health), run.now.mono + seconds(2));
  run.pass(seconds(2) - 1);
  EXPECT_FALSE(run.health.ready);
  run.pass(1);
  EXPECT_TRUE(run.verdict.became_ready);
  EXPECT_EQ(next_deadline(run.health), never) << "an idle service wakes nobody";
  EXPECT_EQ(run.health.load, seconds(2));
  run.say("READY=1");
  EXPECT_TRUE(silent(run.verdict));
}

TEST(Readiness, ByUptimeHasNoStartClockBecauseNothingCanBeLate) {
  Watched run = after_uptime(seconds(100));
  run.pass(seconds(99));
  EXPECT_TRUE(silent(run.verdict)) << "60 s, says start_timeout";
  run.pass(seconds(1));
  EXPECT_TRUE(run.verdict.became_ready);
}

TEST(Readiness, ByUptimeIsNotForWhoIsEnding) {
  Watched run = after_uptime(seconds(2));
  run.say("STOPPING=1");
  run.pass(seconds(10));
  EXPECT_FALSE(run.health.ready);
}

TEST(Readiness, ByUptimeCountsFromTheMainProcess) {
  Watched run(ProbeType::uptime);
  run.spec.type = ServiceType::forking;
  run.spec.ready.edit().uptime = seconds(2);
  run.begin();
  EXPECT_EQ(next_deadline(run.health), run.now.mono + seconds(60)) << "its main process may be late";
  run.pass(seconds(59));
  EXPECT_FALSE(run.health.ready);
  run.verdict = found_main(run.health, run.spec, run.now);
  EXPECT_FALSE(run.health.ready);
  run.pass(seconds(2));
  EXPECT_TRUE(run.verdict.became_ready);
}

TEST(Readiness, ByUptimeOfOneThatWasFoundAliveIsThere) {
  Watched run(ProbeType::uptime);
  run.spec.ready.edit().uptime = seconds(2);
  run.verdict = adopt(run.health, run.spec, false, run.now);
  EXPECT_TRUE(run.verdict.became_ready);
  EXPECT_EQ(next_deadline(run.health), never);
}

TEST(Readiness, WithoutAProbeComesWithTheRun) {
  Watched run(ProbeType::none);
  run.begin();
  EXPECT_TRUE(run.verdict.became_ready);
  EXPECT_TRUE(run.health.ready);
  EXPECT_EQ(next_deadline(run.health), never) << "an idle service needs no clock";
}

TEST(Readiness, ByNotifyComesOnce) {
  Watched run;
  run.begin();
  run.say("READY=1");
  EXPECT_TRUE(run.verdict.became_ready);
  EXPECT_EQ(run.health.ready_since, run.now.wall);
  run.say("READY=1");
  EXPECT_TRUE(silent(run.verdict));
  EXPECT_FALSE(run.verdict.changed);
}

TEST(Readiness, ByNotifyIsNotForServicesThatAreProbed) {
  Watched run(ProbeType::http);
  run.begin();
  run.say("READY=1");
  EXPECT_FALSE(run.health.ready);
}

TEST(Readiness, StaysDuringAReloadWhichTheNextReadyEnds) {
  Watched run;
  run.begin();
  run.say("READY=1");
  run.say("RELOADING=1\nMONOTONIC_USEC=12");
  EXPECT_TRUE(run.health.reloading);
  EXPECT_TRUE(run.health.ready);
  EXPECT_FALSE(run.verdict.lost_ready);
  run.say("READY=1");
  EXPECT_FALSE(run.health.reloading);
  EXPECT_TRUE(silent(run.verdict));
}

TEST(Readiness, EndsForGoodWithStopping) {
  Watched run;
  run.begin();
  run.say("READY=1");
  run.say("STOPPING=1");
  EXPECT_TRUE(run.verdict.lost_ready);
  run.say("READY=1");
  EXPECT_FALSE(run.health.ready) << "what is ending does not become ready again";
  EXPECT_EQ(next_deadline(run.health), never);
}

TEST(Readiness, OfAServiceThatStopsBeforeItWasReadyStillHasItsClock) {
  Watched run;
  run.begin();
  const MonoNs begun = run.now.mono;
  run.pass(seconds(59));
  run.say("STOPPING=1\nREADY=1");
  run.say("STOPPING=1");
  EXPECT_TRUE(silent(run.verdict));
  EXPECT_EQ(next_deadline(run.health), begun + seconds(60)) << "whoever says that it ends has no more time for that";
  run.say("EXTEND_TIMEOUT_USEC=5000000");
  EXPECT_EQ(next_deadline(run.health), run.now.mono + seconds(5)) << "unless it asks for it";
  run.pass(seconds(5));
  EXPECT_TRUE(run.verdict.start_timeout);
}

TEST(Readiness, OfOneByUptimeThatStopsBeforeItHasAClockFromThenOn) {
  Watched run = after_uptime(seconds(100));
  run.pass(seconds(90));
  run.say("STOPPING=1");
  run.pass(seconds(30));
  run.say("STOPPING=1");
  EXPECT_TRUE(silent(run.verdict));
  run.pass(seconds(30));
  EXPECT_TRUE(run.verdict.start_timeout);
}

TEST(ReadyProbe, TriesAtOnceAndBecomesReadyAfterEnoughGoodTriesInARow) {
  Watched run(ProbeType::http);
  run.spec.ready.edit().success_threshold = 2;
  run.begin();
  EXPECT_TRUE(run.verdict.try_ready);
  run.answer(Which::ready, true);
  EXPECT_FALSE(run.verdict.became_ready);
  run.next_answer(Which::ready, false);
  run.next_answer(Which::ready, true);
  EXPECT_FALSE(run.verdict.became_ready) << "a bad try begins the row anew";
  run.next_answer(Which::ready, true);
  EXPECT_TRUE(run.verdict.became_ready);
}

TEST(ReadyProbe, WaitsTheIntervalAfterTheEndOfATry) {
  Watched run(ProbeType::tcp);
  run.spec.ready.edit().interval = seconds(3);
  run.begin();
  run.answer(Which::ready, true);
  run.pass(seconds(3));
  run.pass(seconds(2));
  run.answer(Which::ready, false);
  EXPECT_EQ(next_deadline(run.health), run.now.mono + seconds(3));
  run.pass(seconds(3) - 1);
  EXPECT_FALSE(run.verdict.try_ready);
  run.pass(1);
  EXPECT_TRUE(run.verdict.try_ready);
  EXPECT_EQ(run.health.ready_probe.attempt, 3u);
}

TEST(ReadyProbe, IsTriedAgainQuicklyUntilTheRunWasReadyOnce) {
  Watched run(ProbeType::http);
  run.begin();
  for (const std::int64_t ms : {50, 100, 200, 400, 800, 1000, 1000}) {
    run.answer(Which::ready, false);
    EXPECT_EQ(next_deadline(run.health), run.now.mono + milliseconds(ms));
    run.pass(milliseconds(ms));
    EXPECT_TRUE(run.verdict.try_ready);
  }
  run.answer(Which::ready, true);
  EXPECT_TRUE(run.verdict.became_ready);
  run.next_answer(Which::ready, false);
  EXPECT_EQ(next_deadline(run.health), run.now.mono + seconds(1)) << "a service that is up is not hurried";
}

TEST(ReadyProbe, IsNeverTriedMoreRarelyThanItsInterval) {
  Watched run(ProbeType::tcp);
  run.spec.ready.edit().interval = milliseconds(20);
  run.begin();
  for (int i = 0; i < 100; ++i) {
    run.answer(Which::ready, false);
    ASSERT_EQ(next_deadline(run.health), run.now.mono + milliseconds(20));
    run.pass(milliseconds(20));
  }
}

TEST(ReadyProbe, LosesReadinessAfterEnoughBadTriesInARowAndFindsItAgain) {
  Watched run(ProbeType::http);
  run.begin();
  run.answer(Which::ready, true);
  run.next_answer(Which::ready, false);
  run.next_answer(Which::ready, false);
  EXPECT_TRUE(run.health.ready);
  run.next_answer(Which::ready, false);
  EXPECT_TRUE(run.verdict.lost_ready);
  EXPECT_TRUE(run.health.watching) << "not ready is not dead";
  run.next_answer(Which::ready, true);
  EXPECT_TRUE(run.verdict.became_ready);
  EXPECT_FALSE(run.health.start.set()) << "the start clock does not run twice";
}

TEST(ReadyProbe, CountsATryThatNeverAnswersAsBad) {
  Watched run(ProbeType::http);
  run.spec.ready.edit().timeout = seconds(5);
  run.begin();
  const std::uint64_t attempt = run.health.ready_probe.attempt;
  run.pass(seconds(5));
  EXPECT_EQ(run.health.ready_probe.failures, 1u);
  EXPECT_FALSE(run.health.ready_probe.in_flight);
  run.verdict = probe_result(run.health, run.spec, Which::ready, attempt, true, run.now);
  EXPECT_FALSE(run.verdict.changed) << "too late";
}

TEST(ReadyProbe, IgnoresResultsThatAreLateDoubleOrForeign) {
  Watched run(ProbeType::http);
  run.spec.ready.edit().success_threshold = 3;
  run.begin();
  const std::uint64_t first = run.health.ready_probe.attempt;
  run.answer(Which::ready, true);
  const Health once = run.health;
  for (const std::uint64_t attempt : {first, first + 1, first - 1, std::uint64_t{77}}) {
    run.verdict = probe_result(run.health, run.spec, Which::ready, attempt, true, run.now);
    EXPECT_FALSE(run.verdict.changed);
    EXPECT_TRUE(run.health == once);
  }
  run.pass(seconds(1));
  run.verdict = probe_result(run.health, run.spec, Which::ready, first, true, run.now);
  EXPECT_FALSE(run.verdict.changed) << "the first try's result during the second";
  run.verdict = probe_result(run.health, run.spec, Which::live, first + 1, true, run.now);
  EXPECT_FALSE(run.verdict.changed) << "the other probe's result";
}

TEST(ReadyProbe, DoesNotTakeAResultOfTheRunBefore) {
  Watched run(ProbeType::http);
  run.begin();
  const std::uint64_t old = run.health.ready_probe.attempt;
  unwatch(run.health);
  run.verdict = probe_result(run.health, run.spec, Which::ready, old, true, run.now);
  EXPECT_FALSE(run.verdict.changed);
  run.begin();
  EXPECT_GT(run.health.ready_probe.attempt, old);
  run.verdict = probe_result(run.health, run.spec, Which::ready, old, true, run.now);
  EXPECT_FALSE(run.verdict.changed);
  EXPECT_FALSE(run.health.ready);
}

TEST(ReadyProbe, IsDueAgainAtOnceAfterATakeoverWithoutABadMark) {
  Watched run(ProbeType::http);
  run.begin();
  const std::uint64_t lost = run.health.ready_probe.attempt;
  forget_tries(run.health, run.now);
  EXPECT_EQ(next_deadline(run.health), run.now.mono);
  run.pass(0);
  EXPECT_TRUE(run.verdict.try_ready);
  EXPECT_EQ(run.health.ready_probe.attempt, lost + 1);
  EXPECT_EQ(run.health.ready_probe.failures, 0u);
}

TEST(ReadyProbe, WithIntervalAndLimitOfZeroStillTakesTurns) {
  Watched run(ProbeType::http);
  run.spec.ready.edit().interval = run.spec.ready.edit().timeout = 0;
  run.begin();
  for (int i = 0; i < 100; ++i) {
    const MonoNs due = next_deadline(run.health);
    ASSERT_GT(due, run.now.mono);
    run.pass(due - run.now.mono);
  }
}

TEST(Adoption, TakesANotifyingServiceForReadyAndHasNoStartClock) {
  Watched run;
  run.verdict = adopt(run.health, run.spec, false, run.now);
  EXPECT_TRUE(run.verdict.became_ready);
  EXPECT_EQ(next_deadline(run.health), never);
}

TEST(Adoption, GivesOneThatWasNeverReadyItsWholeTimeAgain) {
  Watched run(ProbeType::http);
  run.spec.ready.edit().timeout = seconds(100);
  run.verdict = adopt(run.health, run.spec, false, run.now);
  EXPECT_TRUE(run.verdict.try_ready);
  run.pass(seconds(60) - 1);
  EXPECT_TRUE(silent(run.verdict));
  run.pass(1);
  EXPECT_TRUE(run.verdict.start_timeout);
}

TEST(Adoption, ProbesAsEverButEndsNobodyWhoHadBeenReadyForBeingSlow) {
  Watched run(ProbeType::http);
  run.verdict = adopt(run.health, run.spec, true, run.now);
  EXPECT_TRUE(run.verdict.try_ready);
  EXPECT_FALSE(run.health.ready);
  for (int i = 0; i < 1000; ++i) {
    run.pass(seconds(10));
    EXPECT_FALSE(run.verdict.start_timeout);
  }
}

TEST(Absence, GivesTheWholeStartTimeAgain) {
  Watched run;
  run.begin();
  const MonoNs gone = run.now.mono + seconds(1);
  run.now.mono += seconds(500);
  forgive_absence(run.health, gone, run.now.mono);
  run.pass(0);
  EXPECT_TRUE(silent(run.verdict));
  EXPECT_EQ(next_deadline(run.health), run.now.mono + seconds(60));
}

TEST(Absence, GivesTheWholeExtensionAgainWhenThatIsWhatRanOut) {
  Watched run;
  run.begin();
  run.say("EXTEND_TIMEOUT_USEC=3600000000");
  const MonoNs gone = run.now.mono;
  run.now.mono += seconds(10'000);
  forgive_absence(run.health, gone, run.now.mono);
  EXPECT_EQ(next_deadline(run.health), run.now.mono + seconds(3600));
}

TEST(Absence, RenewsOnlyWhatRanOutDuringIt) {
  Watched run;
  run.begin();
  const MonoNs deadline = next_deadline(run.health);
  forgive_absence(run.health, run.now.mono, deadline - 1);
  EXPECT_EQ(next_deadline(run.health), deadline);
  forgive_absence(run.health, deadline + 1, deadline + seconds(9));
  EXPECT_EQ(next_deadline(run.health), deadline);
}

TEST(Absence, MarksNoTryBad) {
  Watched run(ProbeType::http);
  run.begin();
  const MonoNs gone = run.now.mono;
  run.now.mono += seconds(30);
  forgive_absence(run.health, gone, run.now.mono);
  run.pass(0);
  EXPECT_EQ(run.health.ready_probe.failures, 0u);
  run.answer(Which::ready, true);
  EXPECT_TRUE(run.verdict.became_ready);
}

TEST(Descriptor, a_newline_is_readiness_and_nothing_else_is) {
  Watched w(ProbeType::fd);
  w.begin();
  EXPECT_FALSE(w.health.ready);
  EXPECT_FALSE(w.verdict.try_ready);
  w.say("READY=1");
  EXPECT_FALSE(w.health.ready);
  w.verdict = said_ready(w.health, w.spec, w.now);
  EXPECT_TRUE(w.verdict.became_ready);
  const Health before = w.health;
  w.verdict = said_ready(w.health, w.spec, w.now);
  EXPECT_TRUE(silent(w.verdict));
  EXPECT_EQ(before, w.health);
  w.pass(seconds(3600));
  EXPECT_TRUE(w.health.ready);
}

TEST(Descriptor, of_a_run_with_another_probe_or_of_none_a_newline_says_nothing) {
  Watched other(ProbeType::notify);
  other.begin();
  EXPECT_TRUE(silent(said_ready(other.health, other.spec, other.now)));
  Watched unwatched(ProbeType::fd);
  EXPECT_TRUE(silent(said_ready(unwatched.health, unwatched.spec, unwatched.now)));
}

TEST(Descriptor, without_a_newline_the_start_times_out) {
  Watched w(ProbeType::fd);
  w.begin();
  w.pass(w.spec.start_timeout);
  EXPECT_TRUE(w.verdict.start_timeout);
}

TEST(LogProbe, is_tried_until_it_is_good_and_then_not_any_more) {
  Watched w(ProbeType::log);
  w.begin();
  EXPECT_TRUE(w.verdict.try_ready);
  w.answer(Which::ready, false);
  w.next_answer(Which::ready, true);
  EXPECT_TRUE(w.verdict.became_ready);
  EXPECT_FALSE(w.health.ready_probe.next.set());
  w.pass(seconds(3600));
  EXPECT_TRUE(silent(w.verdict));
  EXPECT_TRUE(w.health.ready);
}

TEST(LogProbe, of_an_adopted_run_counts_as_answered) {
  Watched w(ProbeType::log);
  w.verdict = adopt(w.health, w.spec, false, w.now);
  EXPECT_TRUE(w.health.ready);
  EXPECT_FALSE(w.verdict.try_ready);
}

TEST(OtherProbes, of_files_sockets_and_frames_are_tried_like_http) {
  for (const ProbeType type : {ProbeType::unix_socket, ProbeType::file, ProbeType::frame}) {
    Watched w(type);
    w.begin();
    EXPECT_TRUE(w.verdict.try_ready);
    w.answer(Which::ready, true);
    EXPECT_TRUE(w.health.ready);
    EXPECT_TRUE(w.health.ready_probe.next.set());
  }
}

TEST(Work, is_kept_as_it_was_last_said_and_idle_ends_the_item) {
  Watched w;
  w.begin();
  w.say(
      "X_HEARTH_STATE=busy\nX_HEARTH_ITEM=a long item that is cut at a character boundary, like a status\n"
      "X_HEARTH_DONE=1\nX_HEARTH_TOTAL=3");
  EXPECT_EQ(w.health.work, Work::busy);
  EXPECT_EQ(std::string_view(w.health.item), "a long item that is cut at a character boundary");
  w.say("X_HEARTH_DONE=2");
  EXPECT_EQ(w.health.work_done, 2u);
  EXPECT_EQ(w.health.work_total, 3u);
  const Health before = w.health;
  w.say("X_HEARTH_DONE=2");
  EXPECT_EQ(before, w.health);
  w.say("X_HEARTH_STATE=idle");
  EXPECT_EQ(w.health.work, Work::idle);
  EXPECT_EQ(std::string_view(w.health.item), "");
  w.begin();
  EXPECT_EQ(w.health.work, Work::unsaid) << "the next run has said nothing";
}

TEST(Load, is_the_time_until_a_run_was_ready_for_the_first_time) {
  Watched w;
  w.begin();
  w.pass(seconds(38));
  EXPECT_EQ(w.health.load, 0);
  w.say("READY=1");
  EXPECT_EQ(w.health.load, seconds(38));
  w.pass(seconds(38));
  w.say("RELOADING=1");
  w.say("READY=1");
  EXPECT_EQ(w.health.load, seconds(38));
  Watched adopted;
  adopted.verdict = adopt(adopted.health, adopted.spec, false, adopted.now);
  EXPECT_EQ(adopted.health.load, 0) << "nobody knows";
}

}  // namespace
}  // namespace hearth::health
