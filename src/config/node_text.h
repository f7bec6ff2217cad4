// Nodes and texts as TOML, in one line, and as JSON.
#pragma once

#include <string>

#include "base/toml_text.h"
#include "config/node.h"
#include "config/reader.h"

namespace hearth::config {

// `expansions` (may be null): the texts to write instead of those that the nodes have.
std::string toml_text(const Node& node, const Expansions* expansions);
std::string json_text(const Node& node, const Expansions* expansions);

}  // namespace hearth::config
