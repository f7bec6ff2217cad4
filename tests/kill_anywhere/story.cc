#include "story.h"

#include <map>
#include <string>

namespace hearth::kill_anywhere {
namespace {

constexpr std::pair<Story, std::string_view> story_names[] = {
    {Story::life, "life"}, {Story::change, "change"}, {Story::upgrade, "upgrade"}};

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
  const auto& of_role = story == Story::upgrade ? upgrading : usual;
  if (const auto found = of_role.find(role); found != of_role.end()) return found->second;
  if (!role.empty() && role != "all") return {};
  return story == Story::upgrade ? std::vector<std::uint32_t>{0, 1, 2, 5, 6}
                                 : std::vector<std::uint32_t>{0, 1, 2, 3, 4};
}

bool is_attacked(Story story, Phase phase) {
  switch (story) {
    case Story::life: return true;
    case Story::change: return phase != Phase::launch && phase != Phase::down;
    case Story::upgrade: return phase == Phase::upgrade || phase == Phase::after;
  }
  return false;
}

}  // namespace hearth::kill_anywhere
