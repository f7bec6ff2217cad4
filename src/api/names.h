// Which services a list of names selects: "service", "project.service", "service.INDEX",
// "project.service.INDEX", each with the shell's * and ?; "@TAG": all that have the tag.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/status.h"

namespace hearth::api {

// Indices into status.services in its order, each once. No names: all. A name that selects nothing is
// not_found, with the nearest known one as hint.
Result<std::vector<std::size_t>> choose(const InstanceStatus& status, const std::vector<std::string>& names);

}  // namespace hearth::api
