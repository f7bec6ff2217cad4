// Text to number for the small languages inside a hearth.toml: durations, sizes, signals. No messages
// here: nullopt means "not of this form".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace hearth::config {

// "500ms", "1.5s", "2m", "1h30m", "1d", "250us"; units descend, each at most once. Not above max_span.
std::optional<SpanNs> parse_duration(std::string_view text);
// The shortest text that parse_duration reads back: "1h30m", "500ms", "0s".
std::string duration_text(SpanNs span);

// Bytes: "65536", "64KiB", "10M", "1G" (powers of 1024), "10MB" (powers of 1000); upper or lower case.
std::optional<std::uint64_t> parse_size(std::string_view text);
std::string size_text(std::uint64_t bytes);

// "TERM", "SIGTERM", "sigterm", "RTMIN+3", "RTMAX-1": the number on Linux.
std::optional<int> parse_signal(std::string_view text);
// "TERM", or the number as text.
std::string signal_text(int signal);
// The known name nearest to `text`, without SIG; "" when none is near.
std::string nearest_signal(std::string_view text);

}  // namespace hearth::config
