// Reads both clocks. Once per turn, so that time stands still within it.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace hearth::os {

Now read_clock();
MonoNs read_mono();
// Since boot, in the unit of a process's start_ticks (proc_stat.h), rounded down as those are.
std::uint64_t read_boot_ticks();

}  // namespace hearth::os
