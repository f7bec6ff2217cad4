// "@TAG" for commands that read files, where nobody knows tags.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cli/context.h"

namespace hearth::cli {

// `names` with each "@TAG" replaced by the full names of those that have it, which is asked of hearth. Fails as that does,
// and when it does not run.
Result<std::vector<std::string>> without_tags(const Context& context, const std::vector<std::string>& names);

}  // namespace hearth::cli
