// The whole table of health.h, state by event, against an expected one that was written from the prose and not from
// the code. A cell says how the run stands afterwards:
//
//   the state, then +ready or -ready, a verdict of death (timeout, watchdog, liveness, memory), tries that are to begin
//   (try-ready, try-live), clocks that begin anew (start!, watchdog!) or are taken away (no-start, no-watchdog), and
//   tries that are over, so that the next one is waited for (waits-ready, waits-live). "." = nothing has changed.
#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "unit/health/watched.h"

namespace hearth::health {
namespace {

constexpr SpanNs late = seconds(1'000);  // after every clock

Watched fresh(ProbeType ready) {
  Watched run(ready);
  run.spec.live.edit().type = ProbeType::http;
  for (Probe* probe : {&run.spec.ready.edit(), &run.spec.live.edit()}) {
    probe->interval = seconds(1);
    probe->timeout = seconds(20);
    probe->success_threshold = probe->failure_threshold = 1;
  }
  run.spec.start_timeout = seconds(60);
  run.spec.watchdog = seconds(30);
  return run;
}

Watched notified(const std::vector<const char*>& says) {
  Watched run = fresh(ProbeType::notify).begin();
  for (const char* text : says) run.say(text);
  return run;
}

// With a try of each probe under way, where there is one.
Watched probed(const std::vector<bool>& answers, const char* then = "") {
  Watched run = fresh(ProbeType::http).begin();
  for (const bool good : answers) {
    run.answer(Which::ready, good);
    run.pass(seconds(1));
  }
  run.say(then);
  return run;
}

// The columns: those of a service that tells by itself when it is ready, and of one that is asked ("... asked").
const std::vector<std::pair<std::string, Watched>>& states() {
  static const std::vector<std::pair<std::string, Watched>> all = {
      {"unwatched", fresh(ProbeType::notify)},
      {"starting", notified({})},
      {"ready", notified({"READY=1"})},
      {"reloading", notified({"READY=1", "RELOADING=1"})},
      {"ending", notified({"READY=1", "STOPPING=1"})},
      {"ending unready", notified({"STOPPING=1"})},
      {"starting asked", probed({})},
      {"ready asked", probed({true})},
      {"lost asked", probed({true, false})},
      {"ending asked", probed({true}, "STOPPING=1")},
  };
  return all;
}

std::string state_of(const Health& health) {
  if (!health.watching) return "unwatched";
  const char* state = health.stopping           ? "ending"
                      : health.ready            ? "ready"
                      : health.ready_since == 0 ? "starting"
                                                : "lost";
  return state + std::string(health.reloading ? " reloading" : "");
}

std::string shown(const Health& before, const Watched& run) {
  const Health& after = run.health;
  const Verdict& verdict = run.verdict;
  EXPECT_EQ(verdict.changed, !(before == after));
  if (before == after && silent(verdict)) return ".";
  std::string text = state_of(after);
  const auto add = [&](bool holds, const char* word) {
    if (holds) text += std::string(" ") + word;
  };
  const auto clock = [&](const Deadline& was, const Deadline& is, bool matters, const char* anew, const char* gone) {
    add(is.set() && is.at != was.at, anew);
    add(matters && was.set() && !is.set(), gone);
  };
  const auto over = [&](const ProbeState& was, const ProbeState& is) {
    return was.in_flight && !is.in_flight && is.next.set();
  };
  add(verdict.became_ready, "+ready");
  add(verdict.lost_ready, "-ready");
  add(verdict.start_timeout, "timeout");
  add(verdict.unhealthy, verdict.reason == Reason::watchdog ? "watchdog"
                         : verdict.reason == Reason::memory ? "memory"
                                                            : "liveness");
  add(verdict.try_ready, "try-ready");
  add(verdict.try_live, "try-live");
  clock(before.start, after.start, after.watching && !after.ready, "start!", "no-start");
  clock(before.watchdog, after.watchdog, after.watching, "watchdog!", "no-watchdog");
  add(over(before.ready_probe, after.ready_probe), "waits-ready");
  add(over(before.live_probe, after.live_probe), "waits-live");
  return text;
}

using Do = std::function<void(Watched&)>;
using Cells = std::map<std::string, std::string>;

struct Row {
  std::string name;
  Do event;
  Cells expected;  // states that are not named: "."
};

Do says(const char* text) {
  return [text](Watched& run) { run.say(text); };
}

Do result(Which which, bool good) {
  return [=](Watched& run) { run.answer(which, good); };
}

Do too_much_memory() {
  return [](Watched& run) { run.answer(Which::live, false, Reason::memory); };
}

Do refused(Which which) {
  return [=](Watched& run) {
    const ProbeState& state = which == Which::ready ? run.health.ready_probe : run.health.live_probe;
    run.verdict = try_refused(run.health, run.spec, which, state.attempt, run.now);
  };
}

// What says nothing of itself.
Do silently(const std::function<void(Watched&)>& what) {
  return [what](Watched& run) {
    const Health before = run.health;
    what(run);
    run.verdict = Verdict{};
    run.verdict.changed = !(before == run.health);
  };
}

Cells all_watched(const std::string& text) {
  Cells cells;
  for (const auto& [name, run] : states())
    if (run.health.watching) cells[name] = text;
  return cells;
}

Cells operator+(Cells a, const Cells& b) {
  a.insert(b.begin(), b.end());
  return a;
}

const Cells watchdog_anew = {{"ready", "ready watchdog!"},     {"reloading", "ready reloading watchdog!"},
                             {"ending", "ending watchdog!"},   {"ready asked", "ready watchdog!"},
                             {"lost asked", "lost watchdog!"}, {"ending asked", "ending watchdog!"}};
const Cells start_anew = {
    {"starting", "starting start!"}, {"ending unready", "ending start!"}, {"starting asked", "starting start!"}};
const Cells live_over = {{"ready", "ready waits-live"},
                         {"reloading", "ready reloading waits-live"},
                         {"ready asked", "ready waits-live"},
                         {"lost asked", "lost waits-live"}};
const Cells unhealthy = {{"ready", "unwatched -ready liveness"},
                         {"reloading", "unwatched -ready liveness"},
                         {"ready asked", "unwatched -ready liveness"},
                         {"lost asked", "unwatched liveness"}};
const Cells too_great = {{"ready", "unwatched -ready memory"},
                         {"reloading", "unwatched -ready memory"},
                         {"ready asked", "unwatched -ready memory"},
                         {"lost asked", "unwatched memory"}};
const Cells span_noted = {{"starting", "starting"}, {"ending unready", "ending"}, {"starting asked", "starting"}};
const Cells stopping = {{"starting", "ending"},       {"ready", "ending -ready"},       {"reloading", "ending -ready"},
                        {"starting asked", "ending"}, {"ready asked", "ending -ready"}, {"lost asked", "ending"}};

const std::vector<Row>& rows() {
  static const std::vector<Row> all = {
      {"READY=1", says("READY=1"), {{"starting", "ready +ready try-live watchdog!"}, {"reloading", "ready"}}},
      {"RELOADING=1",
       says("RELOADING=1"),
       {{"starting", "starting reloading"},
        {"ready", "ready reloading"},
        {"starting asked", "starting reloading"},
        {"ready asked", "ready reloading"},
        {"lost asked", "lost reloading"}}},
      {"STOPPING=1", says("STOPPING=1"), stopping},
      {"STOPPING=1 and READY=1", says("READY=1\nSTOPPING=1"), stopping},
      {"WATCHDOG=1", says("WATCHDOG=1"), watchdog_anew},
      {"WATCHDOG=trigger", says("WATCHDOG=trigger"),
       Cells{{"ready", "unwatched -ready watchdog"},
             {"reloading", "unwatched -ready watchdog"},
             {"ready asked", "unwatched -ready watchdog"}} +
           all_watched("unwatched watchdog")},
      {"WATCHDOG_USEC", says("WATCHDOG_USEC=5000000"), watchdog_anew + span_noted},
      {"WATCHDOG_USEC=0", says("WATCHDOG_USEC=0"),
       span_noted + Cells{{"ready", "ready no-watchdog"},
                          {"reloading", "ready reloading no-watchdog"},
                          {"ending", "ending no-watchdog"},
                          {"ready asked", "ready no-watchdog"},
                          {"lost asked", "lost no-watchdog"},
                          {"ending asked", "ending no-watchdog"}}},
      {"EXTEND_TIMEOUT_USEC", says("EXTEND_TIMEOUT_USEC=3600000000"), start_anew + watchdog_anew},
      {"EXTEND_TIMEOUT_USEC, shorter than what is left", says("EXTEND_TIMEOUT_USEC=1"), {}},
      {"STATUS",
       says("STATUS=loading"),
       {{"unwatched", "unwatched"},
        {"starting", "starting"},
        {"ready", "ready"},
        {"reloading", "ready reloading"},
        {"ending", "ending"},
        {"ending unready", "ending"},
        {"starting asked", "starting"},
        {"ready asked", "ready"},
        {"lost asked", "lost"},
        {"ending asked", "ending"}}},
      {"a good try of readiness",
       result(Which::ready, true),
       {{"starting asked", "ready +ready try-live watchdog! waits-ready"},
        {"ready asked", "ready waits-ready"},
        {"lost asked", "ready +ready waits-ready"}}},
      {"a bad try of readiness",
       result(Which::ready, false),
       {{"starting asked", "starting waits-ready"},
        {"ready asked", "lost -ready waits-ready"},
        {"lost asked", "lost waits-ready"}}},
      {"a try of readiness was refused",
       refused(Which::ready),
       {{"starting asked", "starting start! waits-ready"},
        {"ready asked", "ready waits-ready"},
        {"lost asked", "lost waits-ready"}}},
      {"a good try of liveness", result(Which::live, true), live_over},
      {"a bad try of liveness", result(Which::live, false), unhealthy},
      {"a try of liveness, too much memory", too_much_memory(), too_great},
      {"a try of liveness was refused", refused(Which::live), live_over},
      {"a bad try of another number",
       [](Watched& run) {
         for (const Which which : {Which::ready, Which::live})
           run.verdict = probe_result(run.health, run.spec, which, 1'000, false, run.now);
       },
       {}},
      {"time, nothing due", [](Watched& run) { run.pass(0); }, {}},
      {"time, all due", [](Watched& run) { run.pass(late); },
       unhealthy + Cells{{"starting", "unwatched timeout"},
                         {"starting asked", "unwatched timeout"},
                         {"ending unready", "unwatched timeout"},
                         {"ending", "unwatched watchdog"},
                         {"ending asked", "unwatched watchdog"}}},
      {"time after an absence", silently([](Watched& run) { forgive_absence(run.health, 1, run.now.mono + late); }),
       start_anew + watchdog_anew},
      {"tries are forgotten", silently([](Watched& run) { forget_tries(run.health, run.now); }),
       Cells{{"starting asked", "starting waits-ready"},
             {"ready asked", "ready waits-ready waits-live"},
             {"lost asked", "lost waits-ready waits-live"}} +
           live_over},
      {"unwatch", silently([](Watched& run) { unwatch(run.health); }), all_watched("unwatched")},
      {"watch",
       [](Watched& run) { run.begin(); },
       {{"unwatched", "starting start!"},
        {"starting", "starting start!"},
        {"ready", "starting start! no-watchdog"},
        {"reloading", "starting start! no-watchdog"},
        {"ending", "starting start! no-watchdog"},
        {"ending unready", "starting start!"},
        {"starting asked", "starting try-ready start!"},
        {"ready asked", "starting try-ready start! no-watchdog"},
        {"lost asked", "starting try-ready start! no-watchdog"},
        {"ending asked", "starting try-ready start! no-watchdog"}}},
      {"adopt", [](Watched& run) { run.verdict = adopt(run.health, run.spec, false, run.now); },
       Cells{{"unwatched", "ready +ready try-live watchdog!"},
             {"starting asked", "starting try-ready start!"},
             {"ready asked", "starting try-ready start! no-watchdog"},
             {"lost asked", "starting try-ready start! no-watchdog"},
             {"ending asked", "starting try-ready start! no-watchdog"}} +
           all_watched("ready +ready try-live watchdog!")},
      {"adopt one that had been ready", [](Watched& run) { run.verdict = adopt(run.health, run.spec, true, run.now); },
       Cells{{"unwatched", "ready +ready try-live watchdog!"},
             {"starting asked", "starting try-ready no-start"},
             {"ready asked", "starting try-ready no-watchdog"},
             {"lost asked", "starting try-ready no-watchdog"},
             {"ending asked", "starting try-ready no-watchdog"}} +
           all_watched("ready +ready try-live watchdog!")},
  };
  return all;
}

TEST(HealthTable, EveryStateAnswersEveryEventAsTheProseSays) {
  for (const Row& row : rows()) {
    for (const auto& [name, state] : states()) {
      Watched run = state;
      run.now.mono += milliseconds(10);  // so that a clock that begins anew differs
      run.now.wall += milliseconds(10);
      run.verdict = Verdict{};
      const Health before = run.health;
      row.event(run);
      const auto cell = row.expected.find(name);
      EXPECT_EQ(shown(before, run), cell == row.expected.end() ? "." : cell->second)
          << "in state \"" << name << "\" at event \"" << row.name << "\"";
    }
  }
}

// A cell under a name that no state has would hold nothing.
TEST(HealthTable, NamesNoStateThatIsNotThere) {
  for (const Row& row : rows())
    for (const auto& [name, text] : row.expected) {
      const bool known =
          std::any_of(states().begin(), states().end(), [&](const auto& state) { return state.first == name; });
      EXPECT_TRUE(known) << name << " at " << row.name;
    }
}

// The columns are what their names say.
TEST(HealthTable, BeginsInTheStatesItNames) {
  const std::map<std::string, std::string> words = {{"reloading", "ready reloading"}, {"ending unready", "ending"},
                                                    {"starting asked", "starting"},   {"ready asked", "ready"},
                                                    {"lost asked", "lost"},           {"ending asked", "ending"}};
  for (const auto& [name, run] : states()) {
    const auto other = words.find(name);
    EXPECT_EQ(state_of(run.health), other == words.end() ? name : other->second);
  }
}

}  // namespace
}  // namespace hearth::health
