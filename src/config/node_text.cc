#include "config/node_text.h"

#include <algorithm>
#include <cmath>

#include <fmt/core.h>

#include "config/text.h"

namespace hearth::config {
namespace {

enum class Form { toml, json };

std::string number_text(double number, Form form) {
  if (!std::isfinite(number)) {
    if (form == Form::json) return "null";
    return std::isnan(number) ? "nan" : number > 0 ? "inf" : "-inf";
  }
  std::string text = fmt::format("{}", number);
  // TOML tells 1.0 from 1.
  if (text.find_first_of(".e") == text.npos) text += ".0";
  return text;
}

std::string text_of(const Node& node, const Expansions* expansions, Form form) {
  const bool toml = form == Form::toml;
  switch (node.kind) {
    case Node::Kind::string: {
      const auto found = expansions != nullptr ? expansions->find(&node) : Expansions::const_iterator{};
      const bool replaced = expansions != nullptr && found != expansions->end();
      return quoted(replaced ? found->second : node.text);
    }
    case Node::Kind::integer: return std::to_string(node.integer);
    case Node::Kind::floating: return number_text(node.floating, form);
    case Node::Kind::boolean: return node.boolean ? "true" : "false";
    case Node::Kind::time: return "\"a date or time\"";  // no key takes one
    case Node::Kind::array: {
      std::string out = "[";
      for (const Node& item : node.items) {
        if (out.size() > 1) out += toml ? ", " : ",";
        out += text_of(item, expansions, form);
      }
      return out + "]";
    }
    case Node::Kind::table: {
      if (node.entries.empty()) return "{}";
      std::string out = toml ? "{ " : "{";
      for (const Entry& entry : node.entries) {
        if (&entry != node.entries.data()) out += toml ? ", " : ",";
        out += toml ? key_text(entry.key) + " = " : quoted(entry.key) + ":";
        out += text_of(entry.value, expansions, form);
      }
      return out + (toml ? " }" : "}");
    }
  }
  return {};
}

}  // namespace

std::string toml_text(const Node& node, const Expansions* expansions) {
  return text_of(node, expansions, Form::toml);
}

std::string json_text(const Node& node, const Expansions* expansions) {
  return text_of(node, expansions, Form::json);
}

}  // namespace hearth::config
