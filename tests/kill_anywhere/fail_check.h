// What must hold after a run in which a call failed, beyond what holds after a death (invariants.h): nobody dies of it,
// or only as is written in docs/internals/out-of-memory.md and guarantees.md.
#pragma once

#include <string>

#include "invariants.h"
#include "tracer.h"

namespace hearth::kill_anywhere {

// Adds to `verdict`, and takes away what a hearth that refused to start could not do. `directory`: of the run, with
// what hearth's processes wrote to standard error, and the events.
void judge_failure(const Report& report, const Evidence& evidence, const std::string& directory, Verdict& verdict);

}  // namespace hearth::kill_anywhere
