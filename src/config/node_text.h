// Nodes and texts as TOML, in one line, and as JSON.
#pragma once

#include <string>
#include <string_view>

#include "config/node.h"
#include "config/reader.h"

namespace hearth::config {

// A basic string of TOML, which is one of JSON, too. Bytes that are no UTF-8 become U+FFFD.
std::string quoted(std::string_view text);
// A key as it stands in a dotted path: plain where it can be.
std::string key_text(std::string_view key);

// `expansions` (may be null): the texts to write instead of those that the nodes have.
std::string toml_text(const Node& node, const Expansions* expansions);
std::string json_text(const Node& node, const Expansions* expansions);

}  // namespace hearth::config
