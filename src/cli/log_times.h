// A point in time as people write it for --since and --until.
#pragma once

#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace hearth::cli {

//   2025-01-31T12:00:00Z   RFC 3339; with "+01:00", or without a zone: local time; a space for the T; with a fraction
//   2025-01-31             the beginning of that day
//   12:00, 12:00:30        the last time that the clock showed this
//   5m, 5m ago, 1h30m      so long before now
//   now, today, yesterday  the latter two: the beginning of that day; "yesterday 14:00"
//   @1738324800            seconds since 1970
// `option` is named in the error.
Result<WallNs> parse_moment(std::string_view option, std::string_view text, WallNs now);

// `end` is what `text` means. One before `begin` that says a time of the day alone means that of the next day: from
// "yesterday 22:00" to "06:00".
WallNs end_after(WallNs begin, std::string_view text, WallNs end);

}  // namespace hearth::cli
