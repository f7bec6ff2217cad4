// Names of a log's files. Inside the room.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "os/fd.h"

namespace hearth::logs {

std::string file_name(std::uint64_t number);
std::uint64_t file_number(std::string_view name);  // 0 = it is none of a log's files
// No descriptor when the file is missing.
Result<os::Fd> open_file(int directory, std::uint64_t number);

}  // namespace hearth::logs
