// Points in time as text: RFC 3339, in UTC.
#pragma once

#include <string>

#include "base/time.h"

namespace hearth {

// "2026-01-31T08:15:00.250Z", with `digits` of the second: 0 to 9. What comes after them is cut off, also before 1970.
// The status of a thousand services has thousands of these, so neither libc's calendar nor a format is asked. (The
// logger has one that allocates nothing for its lines: logger/line_format.h.)
std::string rfc3339(WallNs at, int digits = 3);

}  // namespace hearth
