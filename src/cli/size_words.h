// Amounts of memory for people.
#pragma once

#include <cstdint>
#include <string>

namespace hearth::cli {

// "9000 KiB", "12 MiB", "10 GiB": whole numbers, of two digits at least before the unit grows.
std::string size_words(std::uint64_t kib);

}  // namespace hearth::cli
