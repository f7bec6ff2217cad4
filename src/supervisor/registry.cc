#include "supervisor/registry.h"

#include <algorithm>
#include <utility>

#include "base/glob.h"
#include "model/replica.h"

namespace hearth::supervisor {

Status Registry::add(Document document) {
  Result<lifecycle::Graph> graph = lifecycle::Graph::create(document.services);
  if (!graph) return failure(graph.error());
  auto applied = std::make_unique<AppliedDocument>(AppliedDocument{std::move(document), std::move(*graph)});
  std::uint32_t places = 0;
  for (const ServiceSpec& spec : applied->document.services) {
    applied->first.push_back(places);
    if (names_index(spec))
      for (std::uint32_t i = 0; i < spec.replicas; ++i) applied->replicas.emplace(places + i, replica_of(spec, i));
    places += spec.replicas;
  }
  applied->first.push_back(places);
  for (const SlotRole role : {SlotRole::service, SlotRole::ready_probe, SlotRole::live_probe})
    applied->slots_as(role).assign(places, no_slot);
  const std::uint64_t version = applied->document.version;
  documents_[version] = std::move(applied);
  return {};
}

AppliedDocument* Registry::find(std::uint64_t version) {
  const auto it = documents_.find(version);
  return it == documents_.end() ? nullptr : it->second.get();
}

const AppliedDocument* Registry::find(std::uint64_t version) const {
  const auto it = documents_.find(version);
  return it == documents_.end() ? nullptr : it->second.get();
}

std::string label_of(std::string_view project, std::string_view service, std::uint32_t replica) {
  std::string label;
  label.reserve(project.size() + service.size() + 6);
  label.append(project).append(".").append(service).append(".").append(std::to_string(replica));
  return label;
}

bool selects(std::string_view name, std::string_view project, const ServiceSpec& spec, std::uint32_t replica) {
  if (name.starts_with('@'))
    return std::ranges::any_of(spec.tags, [&](const std::string& tag) { return matches_glob(name.substr(1), tag); });
  const std::string full = label_of(project, spec.name, replica);
  const std::string_view view = full;
  const std::size_t without_index = full.rfind('.');
  const std::size_t from_service = project.size() + 1;
  return matches_glob(name, view) || matches_glob(name, view.substr(0, without_index)) ||
         matches_glob(name, view.substr(from_service)) || matches_glob(name, spec.name);
}

}  // namespace hearth::supervisor
