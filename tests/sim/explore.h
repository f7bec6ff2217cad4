// Many seeds, each guarded: a failed check of the supervisor ends its process, so seeds run in a child that the
// parent outlives. What fails is made shorter.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/coverage.h"
#include "sim/simulation.h"

namespace hearth::sim {

struct Failure {
  Plan plan;
  Outcome outcome;
};

struct Totals {
  std::uint64_t seeds = 0;
  std::uint64_t events = 0;
  std::uint64_t crashes = 0;
  std::uint64_t keepers = 0;
  std::uint64_t everybody = 0;
  std::uint64_t states = 0;
  std::uint64_t places = 0;
  double simulated_s = 0;
  std::uint64_t hash = 0;  // of all traces, in order
  Coverage coverage;
};

// Seeds from .. from + count - 1, and then these others, up to the first failure.
std::optional<Failure> explore(Plan plan, std::uint64_t from, std::uint64_t count, Totals& totals,
                               const std::vector<std::uint64_t>& others = {});

// One seed in a child. A supervisor that aborts is a failure, too.
Outcome run_guarded(const Plan& plan);

// The same failure with fewer kinds of faults, fewer services and fewer crashes, with its trace.
Failure shrink(Failure failure);

}  // namespace hearth::sim
