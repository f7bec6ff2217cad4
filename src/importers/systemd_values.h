// Values of units, as systemd reads them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace hearth::importers {

// systemd.time(7), in milliseconds, rounded.
std::optional<std::int64_t> milliseconds_of(const std::string& text);
// The same: "5", "5s", "2min 30s", "500ms". TOML. nullopt: it is none, or has no end.
std::optional<std::string> span_of(const std::string& text);

// A number and nothing else. nullopt: it is none.
std::optional<std::int64_t> count_of(const std::string& text);

}  // namespace hearth::importers
