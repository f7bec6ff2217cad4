// Single settings: HEARTH__SERVICE__web__NICE=5 in the environment, --set service.web.nice=5 on the command line.
//
// Names of variables are often written in capitals and cannot hold a dash. So each part of one is held against what is
// there: `service`, the services, their keys in small letters; "MY_DB" finds my-db. Below `env` and `vars` a part stands
// as it is.
#include <algorithm>

#include <fmt/core.h>

#include "base/nearest.h"
#include "config/layers.h"
#include "config/limits.h"
#include "config/merge.h"
#include "config/text.h"

namespace hearth::config {
namespace {

constexpr std::string_view prefix = "HEARTH__";

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

std::string folded(std::string_view name) {
  std::string out = lower(name);
  std::replace(out.begin(), out.end(), '-', '_');
  return out;
}

using Path = std::vector<std::string>;

struct Override {
  Path path;
  Node value;
  std::string shown;
};

const Node* table_of(const Node& root, std::string_view key) {
  const Entry* entry = root.find(key);
  return entry != nullptr && entry->value.kind == Node::Kind::table ? &entry->value : nullptr;
}

void stamp(Node& node, std::uint16_t source) {
  node.at = {0, 0, source, 0};
  for (Node& item : node.items) stamp(item, source);
  for (Entry& entry : node.entries) {
    entry.at = node.at;
    stamp(entry.value, source);
  }
}

class Overrides {
 public:
  explicit Overrides(Layers& layers) : layers_(layers) {}

  std::uint16_t source(std::string shown) {
    layers_.sources.push_back({std::move(shown), {}, {}});
    return static_cast<std::uint16_t>(layers_.sources.size() - 1);
  }

  void problem(std::uint16_t source, std::string message, std::string remedy) {
    layers_.problems.push_back({{}, {0, 0, source, 0}, std::move(message), std::move(remedy)});
  }

  // True when the service that the path names is there; or the problem has been noted. A setting adds none: a name that
  // is not there is a slip.
  bool known(const Path& path, std::uint16_t source) {
    if (path.size() < 2 || (path[0] != "service" && path[0] != "template")) return true;
    const Node* all = table_of(layers_.root, path[0]);
    if (all != nullptr && all->find(path[1]) != nullptr) return true;
    std::vector<std::string_view> names;
    if (all != nullptr) {
      for (const Entry& entry : all->entries) names.push_back(entry.key);
    }
    const std::string_view near = nearest(path[1], names);
    problem(source, fmt::format("there is no {} {}", path[0], quote(path[1])),
            near.empty() ? std::string("a setting changes what is there and adds nothing")
                         : fmt::format("did you mean \"{}\"?", near));
    return false;
  }

  void apply(const Path& path, Node value, std::uint16_t source) {
    stamp(value, source);
    for (auto key = path.rbegin(); key != path.rend(); ++key) {
      Node table;
      table.at = value.at;
      table.entries.push_back({*key, value.at, std::move(value)});
      value = std::move(table);
    }
    merge_table(layers_.root, std::move(value));
  }

  const Node& root() const { return layers_.root; }

 private:
  Layers& layers_;
};

// The parts of SERVICE__web__NICE as the tree calls them. Empty: the problem has been noted.
Path path_of_variable(std::string_view name, std::uint16_t source, Overrides& overrides) {
  Path path;
  bool as_it_is = false;
  while (true) {
    const std::size_t end = name.find("__");
    const std::string_view part = name.substr(0, end);
    if (part.empty()) {
      overrides.problem(source, "it is not of the form HEARTH__SERVICE__NAME__KEY",
                        "write for example HEARTH__SERVICE__web__NICE=5");
      return {};
    }
    std::string key = as_it_is ? std::string(part) : lower(part);
    const bool named = path.size() == 1 && (path[0] == "service" || path[0] == "template");
    if (named) {
      key = part;
      const Node* all = table_of(overrides.root(), path[0]);
      std::vector<std::string> alike;
      if (all != nullptr && all->find(part) == nullptr) {
        for (const Entry& entry : all->entries) {
          if (folded(entry.key) == folded(part)) alike.push_back(entry.key);
        }
      }
      if (alike.size() > 1) {
        overrides.problem(source, fmt::format("it may mean {} or {}", quote(alike[0]), quote(alike[1])),
                          "use --set, or rename one of them");
        return {};
      }
      if (alike.size() == 1) key = alike[0];
    }
    as_it_is = as_it_is || (!named && (key == "env" || key == "vars"));
    path.push_back(std::move(key));
    if (end == name.npos) return path;
    name.remove_prefix(end + 2);
  }
}

// Where KEY ends in KEY=VALUE: the first '=' outside of quotes.
std::size_t end_of_key(std::string_view text) {
  char quote_mark = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote_mark == 0 && c == '=') return i;
    if (c == quote_mark) {
      quote_mark = 0;
    } else if (quote_mark == 0 && (c == '"' || c == '\'')) {
      quote_mark = c;
    }
  }
  return text.npos;
}

}  // namespace

std::vector<std::string> path_of_key(std::string_view key) {
  if (key.find_first_of("\n=") != key.npos && key.find('"') == key.npos) return {};
  const Tree tree = parse_tree(std::string(key) + " = 0");
  Path path;
  const Node* node = &tree.root;
  while (tree.ok && node->kind == Node::Kind::table && node->entries.size() == 1) {
    path.push_back(node->entries[0].key);
    node = &node->entries[0].value;
  }
  return node->kind == Node::Kind::integer ? path : Path{};
}

void apply_environment(const Environment& env, Layers& layers) {
  Overrides overrides(layers);
  for (const auto& [name, value] : env.beginning_with(prefix)) {
    const std::uint16_t source = overrides.source(name);
    const Path path = path_of_variable(std::string_view(name).substr(prefix.size()), source, overrides);
    if (path.empty() || !overrides.known(path, source)) continue;
    overrides.apply(path, value_of_text(value), source);
  }
}

void apply_settings(std::span<const std::string> settings, Layers& layers) {
  Overrides overrides(layers);
  for (const std::string& setting : settings) {
    const std::uint16_t source = overrides.source("--set " + setting);
    const std::size_t equals = end_of_key(setting);
    const Path path = equals == setting.npos ? Path{} : path_of_key(std::string_view(setting).substr(0, equals));
    if (path.empty()) {
      overrides.problem(source, "it is not KEY=VALUE", "write for example --set service.web.nice=5");
      continue;
    }
    if (overrides.known(path, source)) overrides.apply(path, value_of_text(setting.substr(equals + 1)), source);
  }
}

}  // namespace hearth::config
