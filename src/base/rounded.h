// A span in units of another, to the nearest, halves up: what people read as "0.8 s" is not 0.799 cut off. What has an
// age (`status`: SINCE, "2m 5s ago") counts complete units, and is cut.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace hearth {

constexpr std::int64_t rounded(SpanNs span, SpanNs unit) {
  return span <= 0 ? 0 : span / unit + (span % unit >= unit - unit / 2 ? 1 : 0);
}

}  // namespace hearth
