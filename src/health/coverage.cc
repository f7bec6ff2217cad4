#include "health/coverage.h"

namespace hearth::health {

State state_of(const Health& health) {
  if (!health.watching) return State::unwatched;
  if (health.forks && !health.stopping) return State::forks;
  if (health.stopping) return State::ending;
  if (health.ready) return State::ready;
  return health.ready_since == 0 ? State::starting : State::lost;
}

Coverage& coverage() {
  static Coverage instance;
  return instance;
}

}  // namespace hearth::health
