// "worker.7", where there are only worker.0 to worker.3: what is said to whoever asks for it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth {

// What stands before the index: "worker", "shop.worker". Empty when the name does not end with one, or is a pattern.
std::string_view before_index(std::string_view name);

// "there are worker.0 to worker.3", "there is worker.0 alone", "there are worker.0, worker.2". Indexes in any order, one
// at least.
std::string replicas_there(std::string_view service, std::vector<std::uint32_t> indexes);

// The same of "worker.7", by what `indexes_of` knows of "worker": "" when that is nothing, or the name has no index.
std::string other_indexes(std::string_view name,
                          const std::function<std::vector<std::uint32_t>(std::string_view service)>& indexes_of);

}  // namespace hearth
