#include "supervisor/registry.h"

#include <utility>

#include "base/glob.h"

namespace hearth::supervisor {

Status Registry::add(Document document) {
  Result<lifecycle::Graph> graph = lifecycle::Graph::create(document.services);
  if (!graph) return failure(graph.error());
  const std::size_t n = document.services.size();
  const std::uint64_t version = document.version;
  documents_[version] = std::make_unique<AppliedDocument>(
      AppliedDocument{std::move(document), std::move(*graph), std::vector<SlotIndex>(n, no_slot),
                      std::vector<SlotIndex>(n, no_slot), std::vector<SlotIndex>(n, no_slot)});
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

bool selects(std::string_view name, std::string_view project, std::string_view service, std::uint32_t replica) {
  const std::string full = label_of(project, service, replica);
  const std::string_view view = full;
  const std::size_t without_index = full.rfind('.');
  const std::size_t from_service = project.size() + 1;
  return matches_glob(name, view) || matches_glob(name, view.substr(0, without_index)) ||
         matches_glob(name, view.substr(from_service)) || matches_glob(name, service);
}

}  // namespace hearth::supervisor
