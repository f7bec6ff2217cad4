// The only translation unit that sees toml++ (3.3, header-only, without exceptions).
//
// toml++ 3.3 asserts that a table header goes on with a key, and "[[[" does not (marzer/tomlplusplus#301); with
// NDEBUG and clang the assertion becomes an assumption, which is worse. Without either, its next lines report the
// error properly. tests/fuzz/config_fuzz.cc found it and watches over the rest.
#undef NDEBUG
#define TOML_ASSERT(condition) static_cast<void>(0)
#define TOML_HEADER_ONLY       1
#define TOML_EXCEPTIONS        0
#define TOML_ENABLE_FORMATTERS 0
#include <algorithm>
#include <cctype>
#include <tuple>
#include <utility>

#include <toml++/toml.h>

#include "config/limits.h"
#include "config/node.h"
#include "config/text.h"

namespace hearth::config {
namespace {

// service.NAME.depends_on.NAME.condition is the deepest of ours.
constexpr int max_depth = 8;
constexpr std::size_t max_key_parts = 16;

Position position_of(const toml::source_position& at) {
  return {std::max<std::uint32_t>(at.line, 1), std::max<std::uint32_t>(at.column, 1)};
}

Node convert(const toml::node& from, int depth);

void convert_table(const toml::table& from, Node& node, int depth) {
  for (const auto& [key, value] : from) {
    node.entries.push_back(
        {std::string(key.str()), position_of(key.source().begin), convert(value, depth + 1)});
  }
  // toml++ keeps keys sorted by name; people read files from top to bottom.
  std::sort(node.entries.begin(), node.entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.at, a.key) < std::tie(b.at, b.key);
  });
}

Node convert(const toml::node& from, int depth) {
  Node node;
  node.at = position_of(from.source().begin);
  if (const toml::table* table = from.as_table()) {
    node.kind = Node::Kind::table;
    if (depth < max_depth) convert_table(*table, node, depth);
  } else if (const toml::array* array = from.as_array()) {
    node.kind = Node::Kind::array;
    if (depth < max_depth) {
      for (const toml::node& item : *array) node.items.push_back(convert(item, depth + 1));
    }
  } else if (const auto* string = from.as_string()) {
    node.kind = Node::Kind::string;
    node.text = string->get();
  } else if (const auto* integer = from.as_integer()) {
    node.kind = Node::Kind::integer;
    node.integer = integer->get();
  } else if (const auto* floating = from.as_floating_point()) {
    node.kind = Node::Kind::floating;
    node.floating = floating->get();
  } else if (const auto* boolean = from.as_boolean()) {
    node.kind = Node::Kind::boolean;
    node.boolean = boolean->get();
  } else {
    node.kind = Node::Kind::time;
  }
  return node;
}

// toml++ nests a table for each part of a dotted key and frees them recursively: a file of nothing but dots would
// end in a stack overflow. This walk finds such a key beforehand. It knows strings and comments, and nothing else.
class DotCounter {
 public:
  explicit DotCounter(std::string_view text) : text_(text) {}

  // Line of the first key with too many parts, or 0.
  std::uint32_t line_of_long_key() {
    std::size_t dots = 0;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"' || c == '\'') {
        skip_string(c);
        continue;
      }
      if (c == '#') {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
        continue;
      }
      if (c == '.' && ++dots >= max_key_parts) return line_;
      if (c == '\n' || c == '=' || c == ',' || c == '[' || c == ']' || c == '{' || c == '}')
        dots = 0;
      step();
    }
    return 0;
  }

 private:
  void step() {
    if (text_[at_] == '\n') ++line_;
    ++at_;
  }

  // A string that is not closed ends with its line, or with the text when it has three quotes.
  void skip_string(char quote) {
    const std::string closing(text_.substr(at_).starts_with(std::string(3, quote)) ? 3 : 1, quote);
    at_ += closing.size();
    while (at_ < text_.size() && !text_.substr(at_).starts_with(closing)) {
      if (closing.size() == 1 && text_[at_] == '\n') return;
      if (quote == '"' && text_[at_] == '\\' && at_ + 1 < text_.size()) step();
      step();
    }
    at_ = std::min(at_ + closing.size(), text_.size());
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::uint32_t line_ = 1;
};

std::string_view line_at(std::string_view text, std::uint32_t number) {
  while (number-- > 1) {
    const std::size_t end = text.find('\n');
    if (end == text.npos) return {};
    text.remove_prefix(end + 1);
  }
  return text.substr(0, text.find('\n'));
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// The slips that people coming from other formats make.
std::string remedy_for(std::string_view description, std::string_view line) {
  const auto says = [&](std::string_view words) {
    return description.find(words) != description.npos;
  };
  if (says("redefine existing table"))
    return "two headers name the same table: rename one, or put their keys together";
  if (says("redefine")) return "remove one of them";
  if (says("utf-8")) return "save the file as UTF-8";
  if (says("end-of-file") || says("control characters")) return "is a quote or a bracket missing?";
  line = trimmed(line);
  const std::size_t equals = line.find('=');
  const std::size_t colon = line.find(':');
  if (colon != line.npos && equals == line.npos && !line.starts_with('['))
    return "TOML is written key = value";
  if (equals == line.npos) return "TOML has [service.NAME] headers and key = value lines";
  const std::string_view value = trimmed(line.substr(equals + 1));
  const bool word =
      !value.empty() && (std::isalpha(static_cast<unsigned char>(value[0])) || value[0] == '/' ||
                         value[0] == '~' || value[0] == '$' || value[0] == '.');
  const bool duration = !value.empty() && value[0] >= '0' && value[0] <= '9' &&
                        std::isalpha(static_cast<unsigned char>(value.back()));
  if (word || duration) {
    return "text, durations and sizes stand in double quotes: " +
           quote(value.substr(0, value.find('#')));
  }
  return "see toml.io for how TOML is written";
}

Diagnostic syntax_error(Position at, std::string_view description, std::string_view text) {
  std::string message = "syntax error: ";
  constexpr std::string_view prefix = "Error while parsing ";
  if (description.starts_with(prefix)) description.remove_prefix(prefix.size());
  message += description;
  return Diagnostic{{}, at, std::move(message), remedy_for(description, line_at(text, at.line))};
}

}  // namespace

Tree parse_tree(std::string_view text) {
  Tree tree;
  if (text.size() > max_file_bytes) {
    tree.syntax_error = {{}, {}, "the file has more than 1 MiB", "is it the right file?"};
    return tree;
  }
  if (const std::uint32_t line = DotCounter(text).line_of_long_key()) {
    tree.syntax_error = {
        {}, {line, 1}, "a key with more than 16 parts", "no key of hearth is that deep"};
    return tree;
  }
  const toml::parse_result result = toml::parse(text);
  if (!result) {
    const toml::parse_error& error = result.error();
    tree.syntax_error = syntax_error(position_of(error.source().begin), error.description(), text);
    return tree;
  }
  tree.root = convert(result.table(), 0);
  tree.ok = true;
  return tree;
}

}  // namespace hearth::config
