// Planted bugs: what a supervisor with a typical mistake would look like to the world. Each takes hold outside the
// supervisor, as a decorator around a port or a hand in the page, so that no production code knows of them. A
// simulator that does not find them proves nothing by finding nothing.
#pragma once

#include <vector>

#include "sim/machine.h"

namespace hearth::sim {

// All of them; the names are what `hearth-sim --plant` takes.
const std::vector<Sabotage>& plants();
void add_plants_of_deaths(std::vector<Sabotage>& all);    // plants_deaths.cc
void add_plants_of_hooks(std::vector<Sabotage>& all);     // plants_hooks.cc
void add_plants_of_mistakes(std::vector<Sabotage>& all);  // plants_mistakes.cc

}  // namespace hearth::sim
