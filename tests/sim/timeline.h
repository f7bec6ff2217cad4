// Both clocks, and what is going to happen. Time moves only here.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "base/time.h"
#include "sim/trace.h"

namespace hearth::sim {

class Timeline {
 public:
  Now now{Trace::origin, seconds(1'700'000'000)};

  void at(MonoNs when, std::function<void()> what) {
    events_.emplace(std::pair{when < now.mono ? now.mono : when, ++sequence_}, std::move(what));
  }
  void in(SpanNs span, std::function<void()> what) { at(after(now.mono, span), std::move(what)); }

  MonoNs next() const { return events_.empty() ? never : events_.begin()->first.first; }
  void advance_to(MonoNs to) {
    if (to <= now.mono) return;
    now.wall += to - now.mono;
    now.mono = to;
  }
  void run_next() {
    const auto first = events_.begin();
    advance_to(first->first.first);
    const std::function<void()> what = std::move(first->second);
    events_.erase(first);
    what();
  }
  // Everybody is stopped until then: what was to happen meanwhile happens when they go on, in its order, one thing every
  // `apart`.
  void hold(MonoNs until, SpanNs apart) {
    std::vector<std::function<void()>> held;
    while (!events_.empty() && events_.begin()->first.first < until) {
      held.push_back(std::move(events_.begin()->second));
      events_.erase(events_.begin());
    }
    for (std::function<void()>& what : held) {
      at(until, std::move(what));
      until = after(until, apart);
    }
  }
  // CLOCK_REALTIME is set, or the machine was suspended: CLOCK_MONOTONIC does not see either.
  void step_wall(SpanNs span) { now.wall += span; }

 private:
  std::map<std::pair<MonoNs, std::uint64_t>, std::function<void()>> events_;
  std::uint64_t sequence_ = 0;
};

}  // namespace hearth::sim
