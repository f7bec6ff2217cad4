#include "story.h"

#include <algorithm>
#include <map>
#include <string>

namespace hearth::kill_anywhere {
namespace {

constexpr std::pair<Story, std::string_view> story_names[] = {{Story::life, "life"},
                                                              {Story::change, "change"},
                                                              {Story::upgrade, "upgrade"},
                                                              {Story::keeper, "keeper"},
                                                              {Story::revival, "revival"}};

}  // namespace

std::string_view name_of(Story story) {
  for (const auto& [one, name] : story_names)
    if (one == story) return name;
  return "";
}

std::optional<Story> story_named(std::string_view name) {
  for (const auto& [story, known] : story_names)
    if (known == name) return story;
  return std::nullopt;
}

std::vector<std::uint32_t> ordinals_of(Story story, std::string_view role) {
  // The upgrade's own supervisor and logger come behind the two spawners, who have nothing to do in it.
  static const std::map<std::string, std::vector<std::uint32_t>, std::less<>> usual = {
      {"keeper", {0}}, {"supervisor", {1}}, {"commit", {1}}, {"logger", {2}}, {"spawner", {3, 4}}};
  static const std::map<std::string, std::vector<std::uint32_t>, std::less<>> upgrading = {
      {"keeper", {0}}, {"supervisor", {1, 5}}, {"logger", {2, 6}}};
  // The dry run is a child, too, and both spawners are replaced after the exec, one by one.
  static const std::map<std::string, std::vector<std::uint32_t>, std::less<>> executing = {
      {"keeper", {0}}, {"supervisor", {1}}, {"dry-run", {5}}, {"spawner", {6, 7}}};
  const auto& of_role = story == Story::upgrade ? upgrading : story == Story::keeper ? executing : usual;
  if (const auto found = of_role.find(role); found != of_role.end()) return found->second;
  if (!role.empty() && role != "all") return {};
  std::vector<std::uint32_t> everybody;
  for (const auto& [name, ordinals] : of_role)
    if (name != "commit") everybody.insert(everybody.end(), ordinals.begin(), ordinals.end());
  std::ranges::sort(everybody);
  return everybody;
}

bool is_attacked(Story story, Phase phase) {
  switch (story) {
    case Story::life: return true;
    case Story::change: return phase != Phase::launch && phase != Phase::down;
    case Story::upgrade:
    case Story::keeper: return phase == Phase::upgrade || phase == Phase::after;
    case Story::revival: return phase == Phase::launch || phase == Phase::after;
  }
  return false;
}

bool is_followed(Story story, Phase from, Phase to) {
  const bool life = story == Story::life, change = story == Story::change;
  const Phase last = life ? Phase::stop : change ? Phase::backlog : Phase::after;
  return from != Phase::launch && to < last && to != Phase::down;
}

}  // namespace hearth::kill_anywhere
