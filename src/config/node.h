// A TOML value with its place, free of toml++: so that one translation unit pays for that header, and keys come
// in the order of the file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/diagnostic.h"

namespace hearth::config {

struct Entry;

struct Node {
  enum class Kind : std::uint8_t { string, integer, floating, boolean, time, array, table };
  Kind kind = Kind::table;
  bool boolean = false;
  std::int64_t integer = 0;
  double floating = 0;
  Position at;
  std::string text;            // string
  std::vector<Node> items;     // array
  std::vector<Entry> entries;  // table

  // For messages: "\"x\"", "5", "1.5", "true", "a date or time", "an array", "a table".
  std::string described() const;
  // Null when the table has no such key.
  const Entry* find(std::string_view key) const;
  Entry* find(std::string_view key);
};

struct Entry {
  std::string key;
  Position at;  // of the key
  Node value;
};

// The tree of a TOML text, or one diagnostic without file name. What is nested deeper than any key of ours is left
// out, so that nobody downstream recurses without bound.
struct Tree {
  bool ok = false;
  Node root;
  Diagnostic syntax_error;
};
// `source` goes into every position.
Tree parse_tree(std::string_view text, std::uint16_t source = 0);

}  // namespace hearth::config
