// Liveness: watchdog and live probe; and what a service says of itself.
#include <string>

#include <gtest/gtest.h>

#include "unit/health/watched.h"

namespace hearth::health {
namespace {

struct Dog : Watched {
  Dog() { spec.watchdog = seconds(20); }
};

TEST(Watchdog, BeginsWithReadyAndBitesOnce) {
  Dog run;
  run.spec.start_timeout = 0;
  run.begin();
  run.say("WATCHDOG=1");
  EXPECT_EQ(next_deadline(run.health), never) << "loading is not hanging";
  run.say("READY=1");
  EXPECT_EQ(next_deadline(run.health), run.now.mono + seconds(20));
  run.pass(seconds(20));
  EXPECT_TRUE(run.verdict.unhealthy);
  EXPECT_EQ(run.verdict.reason, Reason::watchdog);
  run.pass(seconds(100));
  EXPECT_TRUE(silent(run.verdict));
}

TEST(Watchdog, WithoutAReadinessProbeBeginsWithTheRun) {
  Watched run(ProbeType::none);
  run.spec.watchdog = seconds(5);
  run.begin();
  EXPECT_EQ(next_deadline(run.health), run.now.mono + seconds(5));
}

TEST(Watchdog, IsKeptQuietByKeepAlives) {
  Dog run;
  run.begin();
  run.say("READY=1");
  for (int i = 0; i < 100; ++i) {
    run.pass(seconds(19));
    ASSERT_FALSE(run.verdict.unhealthy);
    run.say("WATCHDOG=1");
  }
}

TEST(Watchdog, BitesAtOnceWhenTheServiceAsksForIt) {
  Dog run;
  run.begin();
  run.say("READY=1");
  run.say("WATCHDOG=trigger");
  EXPECT_TRUE(run.verdict.unhealthy);
  EXPECT_TRUE(run.verdict.lost_ready);
  run.say("WATCHDOG=trigger");
  EXPECT_TRUE(silent(run.verdict));
}

TEST(Watchdog, TakesANewSpanFromTheService) {
  Dog run;
  run.begin();
  run.say("READY=1\nWATCHDOG_USEC=3000000");
  EXPECT_EQ(next_deadline(run.health), run.now.mono + seconds(3));
  run.say("WATCHDOG_USEC=0");
  EXPECT_EQ(next_deadline(run.health), never);
  run.say("WATCHDOG=1");
  EXPECT_EQ(next_deadline(run.health), never) << "off is off";
}

TEST(Watchdog, RemembersASpanThatCameBeforeReady) {
  Dog run;
  run.begin();
  run.say("WATCHDOG_USEC=3000000");
  run.pass(seconds(10));
  EXPECT_FALSE(run.verdict.unhealthy);
  run.say("READY=1");
  EXPECT_EQ(next_deadline(run.health), run.now.mono + seconds(3));
}

TEST(Watchdog, IsExtendedButNotShortened) {
  Dog run;
  run.begin();
  run.say("READY=1");
  run.say("EXTEND_TIMEOUT_USEC=1000000");
  EXPECT_EQ(next_deadline(run.health), run.now.mono + seconds(20));
  run.say("EXTEND_TIMEOUT_USEC=90000000");
  EXPECT_EQ(next_deadline(run.health), run.now.mono + seconds(90));
}

TEST(Watchdog, GoesOnWhileTheServiceStopsByItself) {
  Dog run;
  run.begin();
  run.say("READY=1");
  run.say("STOPPING=1");
  run.pass(seconds(20));
  EXPECT_TRUE(run.verdict.unhealthy) << "nothing else bounds a hang in its shutdown";
}

TEST(Watchdog, StartsAnewAfterOurAbsence) {
  Dog run;
  run.begin();
  run.say("READY=1");
  const MonoNs gone = run.now.mono;
  run.now.mono += seconds(1000);
  forgive_absence(run.health, gone, run.now.mono);
  run.pass(0);
  EXPECT_FALSE(run.verdict.unhealthy);
  EXPECT_EQ(next_deadline(run.health), run.now.mono + seconds(20));
}

TEST(Watchdog, DoesNotBiteARunThatIsBeingStopped) {
  Dog run;
  run.begin();
  run.say("READY=1");
  unwatch(run.health);
  EXPECT_EQ(next_deadline(run.health), never);
  run.say("WATCHDOG=trigger");
  EXPECT_TRUE(silent(run.verdict));
  run.say("READY=1");
  EXPECT_FALSE(run.health.ready);
}

struct Live : Watched {
  Live() : Watched(ProbeType::none) { spec.live.edit().type = ProbeType::http; }
};

TEST(LiveProbe, BeginsWhenReadyAndNotBefore) {
  Watched run;
  run.spec.live.edit().type = ProbeType::http;
  run.begin();
  EXPECT_FALSE(run.verdict.try_live);
  run.pass(seconds(30));
  EXPECT_FALSE(run.verdict.try_live);
  run.say("READY=1");
  EXPECT_TRUE(run.verdict.try_live);
}

TEST(LiveProbe, GivesUpAfterEnoughBadTriesInARow) {
  Live run;
  run.begin();
  run.answer(Which::live, false);
  run.next_answer(Which::live, false);
  run.next_answer(Which::live, true);
  run.next_answer(Which::live, false);
  run.next_answer(Which::live, false);
  EXPECT_FALSE(run.verdict.unhealthy);
  run.next_answer(Which::live, false);
  EXPECT_TRUE(run.verdict.unhealthy);
  EXPECT_EQ(run.verdict.reason, Reason::liveness);
  EXPECT_EQ(next_deadline(run.health), never);
}

TEST(LiveProbe, GivesUpForTheReasonOfTheLastBadTry) {
  for (const Reason last : {Reason::liveness, Reason::memory}) {
    Live run;
    run.spec.live.edit().max_memory = 1u << 30;
    run.begin();
    run.answer(Which::live, false, Reason::memory);
    run.next_answer(Which::live, false, Reason::liveness);
    run.next_answer(Which::live, false, last);
    EXPECT_TRUE(run.verdict.unhealthy);
    EXPECT_EQ(run.verdict.reason, last);
  }
}

TEST(LiveProbe, OfMemoryAloneIsTriedAsAnyOther) {
  Watched run(ProbeType::none);
  run.spec.live = memory_probe(1u << 30);
  run.begin();
  EXPECT_TRUE(run.verdict.try_live);
  run.answer(Which::live, false, Reason::memory);
  EXPECT_FALSE(run.verdict.unhealthy) << "it may have been a peak";
  run.next_answer(Which::live, true);
  run.next_answer(Which::live, false, Reason::memory);
  run.pass(run.health.live_probe.next.at - run.now.mono);
  run.verdict = try_refused(run.health, run.spec, Which::live, run.health.live_probe.attempt, run.now);
  EXPECT_FALSE(run.verdict.unhealthy) << "what cannot be seen counts neither way";
  run.next_answer(Which::live, false, Reason::memory);
  EXPECT_TRUE(run.verdict.unhealthy);
  EXPECT_EQ(run.verdict.reason, Reason::memory);
}

TEST(LiveProbe, CountsTriesThatNeverAnswer) {
  Live run;
  run.begin();
  bool unhealthy = false;
  for (int i = 0; i < 10 && !unhealthy; ++i) {
    run.pass(next_deadline(run.health) - run.now.mono);
    unhealthy = run.verdict.unhealthy;
  }
  EXPECT_TRUE(unhealthy);
}

TEST(LiveProbe, GoesOnWhenReadinessIsLost) {
  Watched run(ProbeType::http);
  run.spec.ready.edit().failure_threshold = 1;
  run.spec.live.edit().type = ProbeType::tcp;
  run.begin();
  run.answer(Which::ready, true);
  run.answer(Which::live, true);
  run.next_answer(Which::ready, false);
  ASSERT_FALSE(run.health.ready);
  EXPECT_TRUE(run.health.live_probe.next.set() || run.health.live_probe.in_flight);
}

TEST(LiveProbe, IsNotBegunTwiceWhenReadinessComesBack) {
  Watched run(ProbeType::http);
  run.spec.ready.edit().failure_threshold = 1;
  run.spec.live.edit().type = ProbeType::tcp;
  run.spec.live.edit().interval = seconds(100);
  run.begin();
  run.answer(Which::ready, true);
  run.answer(Which::live, true);
  run.next_answer(Which::ready, false);
  run.next_answer(Which::ready, true);
  EXPECT_TRUE(run.verdict.became_ready);
  EXPECT_FALSE(run.verdict.try_live);
}

TEST(LiveProbe, StopsWithStopping) {
  Live run;
  run.begin();
  run.say("STOPPING=1");
  EXPECT_EQ(next_deadline(run.health), never);
}

TEST(Words, OfTheServiceAreKeptAlsoWhileItIsBeingStopped) {
  Watched run;
  run.begin();
  run.say("STATUS=loading 3 of 7\nERRNO=2\nMAINPID=4711");
  EXPECT_STREQ(run.health.status, "loading 3 of 7");
  EXPECT_EQ(run.health.reported_errno, 2);
  EXPECT_EQ(run.health.main_pid, 4711);
  unwatch(run.health);
  EXPECT_STREQ(run.health.status, "loading 3 of 7");
  run.say("STATUS=writing back");
  EXPECT_STREQ(run.health.status, "writing back");
  EXPECT_TRUE(run.verdict.changed);
  run.say("STATUS=");
  EXPECT_STREQ(run.health.status, "");
}

TEST(Words, OfTheRunBeforeAreForgotten) {
  Watched run;
  run.begin();
  run.say("STATUS=old\nMAINPID=5\nERRNO=3\nSTOPPING=1");
  run.begin();
  EXPECT_STREQ(run.health.status, "");
  EXPECT_EQ(run.health.main_pid, 0);
  EXPECT_EQ(run.health.reported_errno, 0);
  EXPECT_FALSE(run.health.stopping);
}

TEST(Words, ThatAreTooLongAreCutBetweenTwoCharacters) {
  Watched run;
  run.begin();
  std::string text = "STATUS=";
  for (int i = 0; i < 100; ++i) text += "\xe2\x82\xac";  // the euro sign, three bytes
  run.say(text);
  EXPECT_EQ(std::string(run.health.status).size(), 159u / 3 * 3);
  run.say(text.insert(7, "x"));
  EXPECT_EQ(std::string(run.health.status).size(), 1 + 158u / 3 * 3);
}

}  // namespace
}  // namespace hearth::health
