// "it used 4.2 GiB of memory, and max_memory is 4 GiB": in the greatest unit in which both are not the same.
#pragma once

#include <cstdint>
#include <string>

namespace hearth {

std::string memory_words(std::uint64_t used, std::uint64_t most);  // bytes

}  // namespace hearth
