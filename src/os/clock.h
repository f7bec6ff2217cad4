// Reads both clocks. Once per turn, so that time stands still within it.
#pragma once

#include "base/time.h"

namespace hearth::os {

Now read_clock();
MonoNs read_mono();

}  // namespace hearth::os
