#include "config/node.h"

#include <utility>

#include <fmt/core.h>

#include "config/text.h"

namespace hearth::config {

std::string Node::described() const {
  switch (kind) {
    case Kind::string: return quote(text);
    case Kind::integer: return std::to_string(integer);
    case Kind::floating: return fmt::format("{}", floating);
    case Kind::boolean: return boolean ? "true" : "false";
    case Kind::time: return "a date or time";
    case Kind::array: return items.empty() ? "an empty array" : "an array";
    case Kind::table: return "a table";
  }
  return {};
}

const Entry* Node::find(std::string_view key) const {
  for (const Entry& entry : entries) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

Entry* Node::find(std::string_view key) {
  return const_cast<Entry*>(std::as_const(*this).find(key));
}

}  // namespace hearth::config
