// What must come to be once nothing fails any more.
#pragma once

#include <string>

#include "sim/checker.h"
#include "sim/troupe.h"

namespace hearth::sim {

// "" when every slot stands where its service's behaviour says, every order is settled and nothing waits to be done;
// else what does not. To be asked again a while later: a service that is being restarted is on its way.
std::string not_at_rest(Machine& machine, const Checker& checker, const Troupe& troupe);

}  // namespace hearth::sim
