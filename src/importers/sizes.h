// Amounts of memory, as other supervisors write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hearth::importers {

inline constexpr std::uint64_t least_max_memory = 1u << 20;  // of max_memory

// "300M", "1.5GB", "2 GiB", "2048": units in 1024s, in small letters too. nullopt: it is none, or is not for 64 bits.
std::optional<std::uint64_t> bytes_of(std::string_view text);
// In its greatest whole unit, as hearth reads it: "1536MiB", "1000".
std::string size_of_bytes(std::uint64_t bytes);
// `max_memory = "1536MiB"`, for a remedy; of less than hearth takes the least, of what is none an example.
std::string max_memory_remedy(std::optional<std::uint64_t> bytes);

}  // namespace hearth::importers
