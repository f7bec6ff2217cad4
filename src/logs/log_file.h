// A log's files: their names, and what stands in one. Inside the room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "os/fd.h"

namespace hearth::logs {

std::string file_name(std::uint64_t number);
std::string index_name(std::uint64_t number);
std::uint64_t file_number(std::string_view name);  // 0 = it is none of a log's files
// No descriptor when there is nothing of that name.
Result<os::Fd> open_named(int directory, const std::string& name);
// No descriptor when the file is missing.
Result<os::Fd> open_file(int directory, std::uint64_t number);

// `size` bytes from `offset` on, fewer where the file ends before; through interruptions.
Result<std::size_t> read_at(int file, void* data, std::size_t size, std::uint64_t offset, const std::string& name);

}  // namespace hearth::logs
