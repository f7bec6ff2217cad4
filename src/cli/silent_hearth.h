// A hearth that has its lock and does not answer: who that is, and what can be seen to keep it from it.
#pragma once

#include <string>

#include "cli/context.h"

namespace hearth::cli {

struct Silence {
  std::string who;   // "hearth-keeper (PID 7, stopped), hearth-supervisor (PID 9)"; "" = nobody that we may look at
  std::string hint;  // what to do, as this hearth is called
};

// Looks into each process of the machine (/proc/PID/fd): milliseconds, and more with thousands of processes.
Silence silence_of(const Context& context);

}  // namespace hearth::cli
