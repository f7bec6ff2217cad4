// Which transitions of the tables there are (lifecycle, health, restart policy), where each may lead in a simulated
// world, and which of them were met. Written from the prose at the top of lifecycle.h and health.h, not from the code.
#pragma once

#include "health/coverage.h"
#include "lifecycle/lifecycle.h"

namespace hearth::sim {

struct Coverage {
  lifecycle::Coverage lifecycle;
  health::Coverage health;
};

Coverage coverage_so_far();
void forget_coverage();

// Prints how much was met; with `details` what was not. True when every transition was met that can be. One that the
// tables below call impossible and that was met is printed always, and is false always.
bool print_coverage(const Coverage& coverage, bool details);
// None that is impossible was met.
bool is_possible(const Coverage& coverage);

}  // namespace hearth::sim
