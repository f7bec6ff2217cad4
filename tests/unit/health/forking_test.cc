// A run whose leader is to leave a daemon.
#include <gtest/gtest.h>

#include "unit/health/watched.h"

namespace hearth::health {
namespace {

struct Forking : Watched {
  explicit Forking(ProbeType ready) : Watched(ready) {
    spec.type = ServiceType::forking;
    spec.start_timeout = seconds(60);
    begin();
  }
  void find() { verdict = found_main(health, spec, now); }
};

TEST(Forking, WithoutAProbeIsReadyWhenItsMainProcessIsFound) {
  Forking run(ProbeType::none);
  EXPECT_TRUE(silent(run.verdict));
  EXPECT_FALSE(run.health.ready);
  EXPECT_TRUE(run.health.start.set()) << "that it is found has its time, too";
  run.find();
  EXPECT_TRUE(run.verdict.became_ready);
  EXPECT_FALSE(run.health.start.set());
}

TEST(Forking, IsGivenUpWhenItIsNotFoundInTime) {
  Forking run(ProbeType::none);
  run.pass(seconds(60));
  EXPECT_TRUE(run.verdict.start_timeout);
  run.find();
  EXPECT_TRUE(silent(run.verdict)) << "too late";
}

TEST(Forking, IsNotProbedBeforeAndTheClockGoesOn) {
  Forking run(ProbeType::http);
  EXPECT_TRUE(silent(run.verdict));
  run.pass(seconds(40));
  run.find();
  EXPECT_TRUE(run.verdict.try_ready);
  EXPECT_FALSE(run.verdict.became_ready);
  run.find();
  EXPECT_FALSE(run.verdict.changed) << "twice is once";
  run.spec.ready.edit().timeout = seconds(60);
  run.pass(seconds(20));
  EXPECT_TRUE(run.verdict.start_timeout);
}

TEST(Forking, ReadinessThatIsSaidBeforeIsRemembered) {
  for (const ProbeType type : {ProbeType::notify, ProbeType::fd}) {
    Forking run(type);
    if (type == ProbeType::notify)
      run.say("READY=1");
    else
      run.verdict = said_ready(run.health, run.spec, run.now);
    EXPECT_TRUE(silent(run.verdict));
    EXPECT_TRUE(run.verdict.changed);
    EXPECT_FALSE(run.health.ready);
    run.find();
    EXPECT_TRUE(run.verdict.became_ready);
  }
}

TEST(Forking, WhoSaysThatItEndsIsStillGivenUpInTime) {
  Forking run(ProbeType::notify);
  run.say("STOPPING=1");
  run.say("READY=1");
  EXPECT_TRUE(run.health.start.set());
  run.find();
  EXPECT_TRUE(silent(run.verdict));
  EXPECT_TRUE(run.health.start.set()) << "it is not ready, and will never be";
}

TEST(Forking, WhoSaysThatItEndsAndNeedsNotBeReadyHasNoClockOnceItIsFound) {
  Forking run(ProbeType::none);
  run.say("STOPPING=1");
  EXPECT_TRUE(run.health.start.set());
  run.find();
  EXPECT_FALSE(run.health.start.set());
}

TEST(Forking, MainpidStaysWhenItIsFound) {
  Forking run(ProbeType::none);
  run.say("MAINPID=77\nWATCHDOG_USEC=1000000");
  run.find();
  EXPECT_EQ(run.health.main_pid, 77);
  EXPECT_TRUE(run.health.watchdog.set());
}

}  // namespace
}  // namespace hearth::health
