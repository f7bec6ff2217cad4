// Another specification while the run goes on.
#include <gtest/gtest.h>

#include "health/health.h"

namespace hearth::health {
namespace {

class Respecify : public testing::Test {
 protected:
  static ServiceSpec with(ProbeType ready, ProbeType live = ProbeType::none) {
    ServiceSpec spec;
    spec.ready.edit().type = ready;
    spec.live.edit().type = live;
    return spec;
  }
  void begin(const ServiceSpec& spec) { (void)watch(health, spec, now); }
  Verdict change(const ServiceSpec& from, const ServiceSpec& to) { return respecify(health, from, to, now); }

  Health health;
  Now now{seconds(100), seconds(1'700'000'000)};
};

TEST_F(Respecify, who_was_ready_is_ready_until_the_new_probe_says_otherwise) {
  const ServiceSpec none = with(ProbeType::none), http = with(ProbeType::http);
  begin(none);
  ASSERT_TRUE(health.ready);
  const Verdict verdict = change(none, http);
  EXPECT_TRUE(verdict.try_ready);
  EXPECT_FALSE(verdict.lost_ready);
  EXPECT_TRUE(health.ready);
  for (std::uint32_t i = 0; i < http.ready->failure_threshold; ++i) {
    health.ready_probe.in_flight = true;
    (void)probe_result(health, http, Which::ready, health.ready_probe.attempt, false, now);
  }
  EXPECT_FALSE(health.ready);
}

TEST_F(Respecify, by_uptime_who_was_ready_is_ready_and_who_was_not_is_when_it_has_run_so_long) {
  ServiceSpec none = with(ProbeType::none), http = with(ProbeType::http), uptime = with(ProbeType::uptime);
  uptime.ready.edit().uptime = seconds(3);
  begin(none);
  (void)change(none, uptime);
  EXPECT_TRUE(health.ready);
  EXPECT_EQ(next_deadline(health), never);
  begin(http);
  now.mono += seconds(2);
  EXPECT_FALSE(change(http, uptime).try_ready);
  EXPECT_EQ(next_deadline(health), now.mono + seconds(1)) << "since it was begun, and no start clock";
  ServiceSpec longer = uptime;
  longer.ready.edit().uptime = seconds(100);
  (void)change(uptime, longer);
  EXPECT_EQ(next_deadline(health), now.mono + seconds(98));
  (void)change(longer, http);
  EXPECT_EQ(health.start.at, now.mono + seconds(60)) << "from now on it may be late";
  (void)change(http, uptime);
  now.mono += seconds(1);
  EXPECT_TRUE(time_passed(health, uptime, now).became_ready);
}

TEST_F(Respecify, without_a_probe_it_is_ready_at_once) {
  const ServiceSpec http = with(ProbeType::http), none = with(ProbeType::none);
  begin(http);
  const Verdict verdict = change(http, none);
  EXPECT_TRUE(verdict.became_ready);
  EXPECT_FALSE(health.ready_probe.in_flight);
}

TEST_F(Respecify, a_try_of_the_probe_before_counts_no_more) {
  ServiceSpec http = with(ProbeType::http), other = http;
  other.ready.edit().url = "http://127.0.0.1:2/";
  begin(http);
  const std::uint64_t before = health.ready_probe.attempt;
  (void)change(http, other);
  EXPECT_FALSE(probe_result(health, other, Which::ready, before, true, now).became_ready);
  EXPECT_TRUE(probe_result(health, other, Which::ready, health.ready_probe.attempt, true, now).became_ready);
}

TEST_F(Respecify, a_liveness_probe_begins_and_ends) {
  const ServiceSpec without = with(ProbeType::none), live = with(ProbeType::none, ProbeType::tcp);
  begin(without);
  EXPECT_TRUE(change(without, live).try_live);
  EXPECT_TRUE(health.live_probe.in_flight);
  EXPECT_FALSE(change(live, without).try_live);
  EXPECT_EQ(next_deadline(health), never);
}

TEST_F(Respecify, another_start_timeout_begins_anew_and_none_ends_it) {
  ServiceSpec slow = with(ProbeType::notify), slower = slow, endless = slow;
  slower.start_timeout = seconds(600);
  endless.start_timeout = 0;
  begin(slow);
  now.mono = after(now.mono, seconds(30));
  (void)change(slow, slower);
  EXPECT_EQ(health.start.at, after(now.mono, seconds(600)));
  (void)change(slower, endless);
  EXPECT_FALSE(health.start.set());
}

TEST_F(Respecify, what_is_not_watched_is_left_alone) {
  const Verdict verdict = change(with(ProbeType::none), with(ProbeType::http));
  EXPECT_FALSE(verdict.changed);
}

}  // namespace
}  // namespace hearth::health
