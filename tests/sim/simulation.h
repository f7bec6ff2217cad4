// One seed from beginning to end: services, orders and faults drawn by chance; then the faults stop, and everything
// must come to rest where its behaviour says; then hearth is shut down, and nothing may be left.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/machine.h"

namespace hearth::sim {

struct Plan {
  std::uint64_t seed = 0;
  Faults faults;
  std::uint32_t services_max = 6;
  bool keep_trace = false;
  const Sabotage* sabotage = nullptr;
  bool any_transition = false;  // what the tables of coverage.cc call impossible may be met
};

struct Outcome {
  bool failed = false;
  std::string what;  // which promise was broken
  std::uint64_t events = 0;
  std::uint64_t steps = 0;
  std::uint64_t hash = 0;  // of the trace
  std::uint32_t crashes = 0;
  std::uint32_t keepers = 0;    // killed
  std::uint32_t everybody = 0;  // killed at once
  std::uint32_t states = 0;     // lost with them
  std::uint64_t places = 0;     // where a crash could have happened
  double simulated_s = 0;
  std::vector<std::string> trace;
};

Outcome simulate(const Plan& plan);

}  // namespace hearth::sim
