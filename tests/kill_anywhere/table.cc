#include <algorithm>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "campaign.h"

namespace hearth::kill_anywhere {
namespace {

double percent(const Row& row) {
  return row.tried == 0 ? 0 : 100.0 * static_cast<double>(row.reached) / static_cast<double>(row.tried);
}

std::size_t kinds_hit(const Row& row) {
  std::size_t hit = 0;
  for (const auto& [kind, count] : row.kinds) hit += count > 0 ? 1 : 0;
  return hit;
}

}  // namespace

bool is_reached(const Row& row, double percent_needed) {
  const auto missed = static_cast<double>(row.tried - row.reached);
  const double by_chance = static_cast<double>(row.tried) * (100 - percent_needed) / 100;
  return (row.reached > 0 || row.tried < 3) && missed <= std::max(2.0, by_chance);
}

std::string text_of(const Table& table) {
  std::string text = fmt::format("{:<11} {:>7} {:>8} {:>7} {:>8} {:>8} {:>10} {:>11} {:>9}\n", "ROLE", "CALLS",
                                 "POINTS", "TRIED", "REACHED", "PERCENT", "KINDS", "VIOLATIONS", "MS/POINT");
  for (const auto& [role, row] : table) {
    text += fmt::format("{:<11} {:>7} {:>8} {:>7} {:>8} {:>8.1f} {:>10} {:>11} {:>9.0f}\n", role, row.calls, row.points,
                        row.tried, row.reached, percent(row), fmt::format("{}/{}", kinds_hit(row), row.kinds.size()),
                        row.violations, row.tried == 0 ? 0 : 1000 * row.seconds / static_cast<double>(row.tried));
  }
  for (const auto& [role, row] : table) {
    std::string missing;
    for (const auto& [kind, count] : row.kinds)
      if (count == 0) missing += " " + call_name(kind);
    if (!missing.empty()) text += role + ": not hit:" + missing + "\n";
  }
  return text;
}

std::string json_of(const Table& table) {
  boost::json::array rows;
  for (const auto& [role, row] : table) {
    boost::json::object out;
    out["role"] = role;
    out["calls"] = row.calls;
    out["points"] = row.points;
    out["tried"] = row.tried;
    out["reached"] = row.reached;
    out["percent"] = percent(row);
    out["kinds"] = row.kinds.size();
    out["kinds_hit"] = kinds_hit(row);
    out["violations"] = row.violations;
    out["seconds"] = row.seconds;
    rows.push_back(std::move(out));
  }
  return boost::json::serialize(rows) + "\n";
}

}  // namespace hearth::kill_anywhere
