// A watched run with a clock of its own, for the tests of this room.
#pragma once

#include <string_view>

#include "health/health.h"

namespace hearth::health {

struct Watched {
  ServiceSpec spec;
  Health health;
  Verdict verdict;
  Now now{seconds(1000), seconds(1)};

  explicit Watched(ProbeType ready = ProbeType::notify) { spec.ready.edit().type = ready; }

  Watched& begin() {
    verdict = watch(health, spec, now);
    return *this;
  }
  void say(std::string_view text) { verdict = notify(health, spec, parse_notify(text.data(), text.size()), now); }
  void pass(SpanNs span) {
    now.mono += span;
    now.wall += span;
    verdict = time_passed(health, spec, now);
  }
  void answer(Which which, bool good, Reason bad = Reason::liveness) {
    const ProbeState& state = which == Which::ready ? health.ready_probe : health.live_probe;
    verdict = probe_result(health, spec, which, state.attempt, good, now, bad);
  }
  // Lets the interval pass, so that the next try is under way, and answers it.
  void next_answer(Which which, bool good, Reason bad = Reason::liveness) {
    const ProbeState& state = which == Which::ready ? health.ready_probe : health.live_probe;
    pass(state.next.at - now.mono);
    answer(which, good, bad);
  }
};

inline bool silent(const Verdict& v) {
  return !v.became_ready && !v.lost_ready && !v.start_timeout && !v.unhealthy && !v.try_ready && !v.try_live;
}

}  // namespace hearth::health
