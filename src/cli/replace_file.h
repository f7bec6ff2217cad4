// A user's file replaced as a whole.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace hearth::cli {

// Writes beside `path` and renames over it, so that nobody ever sees half a file: also after a power cut. Mode and, where
// allowed, owner stay. `conflict` when the file does not say `before` any more: somebody else has written meanwhile.
Status replace_file(const std::string& path, std::string_view before, std::string_view text);

}  // namespace hearth::cli
