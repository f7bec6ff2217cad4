#include "config/merge.h"

#include <unordered_map>
#include <utility>

namespace hearth::config {
namespace {

constexpr std::size_t worth_an_index = 16;

bool replaces_as_a_whole(const Entry& over) {
  return (over.key == "ready" || over.key == "live") && over.value.find("type") != nullptr;
}

}  // namespace

void merge_table(Node& base, Node&& over) {
  std::unordered_map<std::string, std::size_t> index;
  if (base.entries.size() >= worth_an_index && over.entries.size() >= worth_an_index) {
    for (std::size_t i = 0; i < base.entries.size(); ++i) index.emplace(base.entries[i].key, i);
  }
  for (Entry& entry : over.entries) {
    Entry* there = nullptr;
    if (index.empty()) {
      there = base.find(entry.key);
    } else if (const auto found = index.find(entry.key); found != index.end()) {
      there = &base.entries[found->second];
    }
    const bool tables = there != nullptr && there->value.kind == Node::Kind::table &&
                        entry.value.kind == Node::Kind::table && !replaces_as_a_whole(entry);
    if (there == nullptr) {
      base.entries.push_back(std::move(entry));
    } else if (tables) {
      merge_table(there->value, std::move(entry.value));
    } else {
      *there = std::move(entry);
    }
  }
}

void mark_part(Node& tree, std::uint16_t part) {
  tree.at.part = part;
  for (Node& item : tree.items) mark_part(item, part);
  for (Entry& entry : tree.entries) {
    entry.at.part = part;
    mark_part(entry.value, part);
  }
}

}  // namespace hearth::config
