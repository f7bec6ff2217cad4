#include "model/replica_names.h"

#include <algorithm>
#include <utility>

namespace hearth {

std::string_view before_index(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  if (dot == name.npos || dot == 0 || name.starts_with('@') || name.find_first_of("*?[") != name.npos) return {};
  const std::string_view index = name.substr(dot + 1);
  if (index.empty() || index.find_first_not_of("0123456789") != index.npos) return {};
  return name.substr(0, dot);
}

std::string replicas_there(std::string_view service, std::vector<std::uint32_t> indexes) {
  const auto one = [&](std::uint32_t index) { return std::string(service) + "." + std::to_string(index); };
  std::sort(indexes.begin(), indexes.end());
  indexes.erase(std::unique(indexes.begin(), indexes.end()), indexes.end());
  if (indexes.size() == 1) return "there is " + one(indexes[0]) + " alone";
  const bool row = indexes.size() > 2 && indexes.back() - indexes.front() + 1 == indexes.size();
  if (row) return "there are " + one(indexes.front()) + " to " + one(indexes.back());
  constexpr std::size_t most = 8;
  std::string text = "there are ";
  for (std::size_t i = 0; i < indexes.size() && i < most; ++i) text += (i > 0 ? ", " : "") + one(indexes[i]);
  return indexes.size() > most ? text + ", ..." : text;
}

std::string other_indexes(std::string_view name,
                          const std::function<std::vector<std::uint32_t>(std::string_view service)>& indexes_of) {
  const std::string_view service = before_index(name);
  if (service.empty()) return "";
  std::vector<std::uint32_t> there = indexes_of(service);
  return there.empty() ? "" : replicas_there(service, std::move(there));
}

}  // namespace hearth
