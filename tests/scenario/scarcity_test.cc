// A kernel that has nothing left to give, and everything that stands still: what runs goes on, and nobody is blamed.
#include <cerrno>

#include "scenario/stage.h"

namespace hearth::scenario {
namespace {

class Scarcity : public Scenario {
 protected:
  static Script without_room(int code) {
    Script script = good();
    script.fails = wire::SpawnStage::clone;
    script.fail_errno = code;
    return script;
  }
};

TEST_F(Scarcity, AStartTimeThatCouldNotBeReadIsKnownOnceItsEntryHasIt) {
  stage.machine().keeper_port.hides_start_times = true;
  stage.up({service("db")});
  stage.run_until([&] { return stage.is_ready("db"); });
  EXPECT_NE(stage.state("db").run().start_ticks, 0u) << "the list of runs would name a process of no start time";
}

TEST_F(Scarcity, AStartThatFindsNoRoomForAProcessIsMadeLaterUnderEveryPolicy) {
  ServiceSpec once = service("once"), limited = service("limited");
  once.restart = RestartPolicy::never;
  limited.crash_limit.max_restarts = 1;
  limited.crash_limit.max_failed_starts = 1;
  for (const char* name : {"once", "limited"})
    stage.plays(name, {without_room(EAGAIN), without_room(ENOMEM), without_room(EAGAIN), good()});
  stage.up({once, limited});
  stage.run_until([&] { return stage.status("once").phase == Phase::backoff; });
  EXPECT_EQ(stage.status("once").reason, Reason::refused);
  EXPECT_EQ(stage.status("once").reason_text,
            "cannot make a process for p.once.0: Resource temporarily unavailable; no more processes are allowed: see "
            "ulimit -u, and pids.max of hearth's cgroup");
  stage.run_until([&] { return stage.is_ready("once") && stage.is_ready("limited"); });
}

// The kernel says the same of a limit of the service's own, and that does not pass.
TEST_F(Scarcity, AProgramForWhichThereIsNoRoomIsExecutedLaterUnlessItsOwnLimitsMayBeWhy) {
  ServiceSpec once = service("once"), bounded = service("bounded");
  once.restart = bounded.restart = RestartPolicy::never;
  bounded.process.edit().limits = {{"nproc", 10, 10}};
  const auto without_memory = [](int code) {
    Script script = good();
    script.fails = wire::SpawnStage::exec;
    script.fail_errno = code;
    return script;
  };
  stage.plays("once", {without_memory(EAGAIN), without_memory(ENOMEM), without_memory(ENFILE), good()});
  stage.plays("bounded", {without_memory(EAGAIN), good()});
  stage.up({once, bounded});
  stage.run_until([&] { return stage.status("once").phase == Phase::backoff; });
  EXPECT_EQ(stage.status("once").reason, Reason::refused);
  EXPECT_NE(stage.status("once").reason_text.find("cannot execute the program of p.once.0: Resource temporarily"),
            std::string::npos)
      << stage.status("once").reason_text;
  stage.run_until([&] { return stage.is_ready("once"); });
  EXPECT_EQ(stage.status("bounded").phase, Phase::failed);
  EXPECT_EQ(stage.status("bounded").reason, Reason::spawn_failed);
}

// EPERM does not pass.
TEST_F(Scarcity, AStartThatIsForbiddenIsAFailedOne) {
  ServiceSpec once = service("once");
  once.restart = RestartPolicy::never;
  stage.plays("once", {without_room(EPERM)});
  stage.up({once});
  stage.run_until([&] { return stage.status("once").phase == Phase::failed; });
  EXPECT_EQ(stage.status("once").reason, Reason::spawn_failed);
}

// A credential that is not there was tried for ever, whatever max_failed_starts said.
TEST_F(Scarcity, WhatTheServiceAsksForAndIsNotThereIsAFailedStart) {
  ServiceSpec limited = service("limited"), once = service("once", ProbeType::none);
  limited.crash_limit.max_failed_starts = 3;
  once.restart = RestartPolicy::never;
  stage.machine().keeper_port.refuse_next = 4;
  stage.machine().keeper_port.refuse_with = ENOENT;
  const sim::ClientCall& up = stage.up({limited, once});
  stage.run_until([&] { return stage.status("once").phase == Phase::failed; });
  EXPECT_EQ(stage.status("once").reason, Reason::spawn_failed);
  EXPECT_EQ(stage.status("once").reason_text, "cannot start p.once.0: No such file or directory");
  stage.run_until([&] { return stage.status("limited").phase == Phase::failed; });
  EXPECT_EQ(stage.status("limited").reason_text,
            "3 starts in a row have failed; last: cannot start p.limited.0: No such file or directory");
  EXPECT_TRUE(stage.machine().supervisor().order(up.request.key)->settled);
  stage.machine().keeper_port.refuse_with = 0;
  stage.order(Verb::start, {"limited", "once"});
  stage.run_until([&] { return stage.is_ready("limited") && stage.is_ready("once"); });
}

// It is not tried again until its timeout has passed, which would be told as the reason.
TEST_F(Scarcity, WhatAHookAsksForAndIsNotThereFailsTheStart) {
  ServiceSpec web = service("web");
  web.restart = RestartPolicy::never;
  hooks(web, {Hook::before_start});
  stage.machine().keeper_port.refuse_next = 1;
  stage.machine().keeper_port.refuse_with = ENOENT;
  stage.up({web});
  stage.run_ms(1'000);
  EXPECT_EQ(stage.status("web").phase, Phase::failed);
  EXPECT_EQ(stage.status("web").reason, Reason::hook_failed);
}

TEST_F(Scarcity, AStartThatWasMissingSomethingIsHistoryOnceItIsUp) {
  stage.machine().keeper_port.refuse_next = 1;
  stage.machine().keeper_port.refuse_with = ENOENT;
  stage.up({service("web")});
  stage.run_until([&] { return stage.is_ready("web"); });
  EXPECT_EQ(stage.status("web").reason_text, "the start before: cannot start p.web.0: No such file or directory");
}

TEST_F(Scarcity, WhatIsShortIsNoFailedStart) {
  ServiceSpec limited = service("limited");
  limited.crash_limit.max_failed_starts = 1;
  stage.machine().keeper_port.refuse_next = 3;
  stage.machine().keeper_port.refuse_with = EMFILE;
  stage.up({limited});
  stage.run_until([&] { return stage.status("limited").failures == 3; });
  EXPECT_EQ(stage.status("limited").reason, Reason::refused);
  stage.run_until([&] { return stage.is_ready("limited"); });
}

TEST_F(Scarcity, AProbeThatFindsNoRoomForItsProcessIsNoBadAnswer) {
  ServiceSpec db = service("db", ProbeType::exec);
  db.live.edit().type = ProbeType::exec;
  db.live.edit().command = {"/bin/check"};
  db.live.edit().failure_threshold = 1;
  db.live.edit().interval = db.ready.edit().interval = milliseconds(100);
  db.ready.edit().failure_threshold = 1;
  stage.probe_plays("db", {ends(5, 0), ends(5, 0), without_room(EAGAIN), without_room(ENOMEM)});
  stage.up({db});
  stage.run_until([&] { return stage.is_ready("db"); });
  stage.run_ms(5'000);
  EXPECT_TRUE(stage.is_ready("db"));
  EXPECT_EQ(stage.runs_of("db"), 1u);
}

// It ended and was forgotten in one turn, and what had waited for its end waited for ever.
TEST_F(Scarcity, WhoseAfterStopFindsNoRoomIsForgottenAllTheSameAndHoldsNobodyUp) {
  ServiceSpec web = service("web");
  web.depends_on = {on("db")};
  hooks(web, {Hook::after_stop});
  web.actions.edit().after_stop.timeout = milliseconds(50);
  stage.up({service("db"), web});
  stage.run_until([&] { return stage.is_ready("web"); });
  stage.machine().keeper_port.refuse_next = 1'000;
  stage.down();
  stage.run_until([&] { return stage.machine().supervisor().status().services.empty(); });
}

TEST_F(Scarcity, EverythingThatIsStoppedForAnHourGoesOnAsIfNothingHadBeen) {
  ServiceSpec db = service("db"), slow = service("slow");
  db.watchdog = seconds(1);
  slow.start_timeout = seconds(5);
  Script barks = good();
  barks.watchdog_every = milliseconds(250);
  stage.plays("db", {barks});
  stage.plays("slow", {good(4'000)});
  stage.up({db, slow});
  stage.run_until([&] { return stage.is_ready("db"); });
  stage.machine().freeze(seconds(3'600), milliseconds(1));
  stage.run_until([&] { return stage.is_ready("slow"); }, 4'000'000);
  stage.run_ms(5'000);
  EXPECT_TRUE(stage.is_ready("db"));
  EXPECT_EQ(stage.runs_of("db") + stage.runs_of("slow"), 2u);
}

TEST_F(Scarcity, WhileTheWallClockLeapsNothingIsLateOrEarly) {
  ServiceSpec db = service("db"), flaky = service("flaky");
  db.watchdog = seconds(1);
  Script barks = good();
  barks.watchdog_every = milliseconds(250);
  flaky.backoff.initial = seconds(2);
  flaky.backoff.jitter = 0;
  stage.plays("db", {barks});
  stage.plays("flaky", {ends(50, 1), good()});
  stage.up({db, flaky});
  stage.run_until([&] { return stage.status("flaky").phase == Phase::backoff; });
  const MonoNs since = stage.now();
  for (const std::int64_t year : {-30, 40, -20}) {
    stage.machine().time.step_wall(seconds(year * 31'536'000));
    stage.run_ms(300);
  }
  stage.run_until([&] { return stage.is_ready("flaky"); });
  EXPECT_GE(stage.now() - since, milliseconds(1'900));
  EXPECT_EQ(stage.runs_of("db"), 1u);
}

}  // namespace
}  // namespace hearth::scenario
