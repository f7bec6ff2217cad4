// Many names in one line.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>

namespace hearth {

// "web", "web and db", "web, db and 298 more".
inline std::string several(std::span<const std::string> names) {
  constexpr std::size_t most = 4;
  // "and 1 more" would be no shorter than its name.
  const std::size_t named = names.size() > most + 1 ? most : names.size();
  std::string text;
  for (std::size_t i = 0; i < named; ++i) {
    const bool last = i + 1 == names.size();
    text += (i == 0 ? "" : last ? " and " : ", ") + names[i];
  }
  if (named < names.size()) text += " and " + std::to_string(names.size() - named) + " more";
  return text;
}

}  // namespace hearth
