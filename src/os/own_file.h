// Files that hearth has made in its own directories, and what may have taken their place.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "base/result.h"

namespace hearth::os {

// As read_file(). What has taken the place of a regular file is not followed (a link), not waited for (a FIFO) and not read.
Result<std::string> read_own_file(const std::string& path, std::size_t most);
// A regular file that has no second name: what is written to it is written to nothing else. None: nobody can tell (errno).
std::optional<bool> is_plain_file(int fd);

}  // namespace hearth::os
