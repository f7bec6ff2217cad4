// A simulated service that did not do what its specification says would be taken for a fault of the supervisor's.
#include "sim/troupe.h"

#include <gtest/gtest.h>

namespace hearth::sim {
namespace {

// Two documents were drawn, and the first one was applied last: users' orders overtake each other (seed 35177).
TEST(Troupe, AServiceFeedsTheWatchdogOfTheSpecificationItWasStartedFrom) {
  for (std::uint64_t seed = 1; seed < 1'000; ++seed) {
    Troupe troupe(seed, false);
    const Document first = troupe.document("p", "/p", 6, 0);
    const Document second = troupe.document("p", "/p", 6, 1);
    for (std::size_t i = 0; i < 6; ++i) {
      const SpanNs watchdog = first.services[i].watchdog;
      if (watchdog == 0 || second.services[i].watchdog != 0) continue;
      const Script script = troupe.script(first.services[i], SlotRole::service, 0, false);
      ASSERT_GT(script.watchdog_every, 0);
      ASSERT_LT(script.watchdog_every, watchdog);
      return;
    }
  }
  FAIL() << "no seed has such a pair";
}

}  // namespace
}  // namespace hearth::sim
