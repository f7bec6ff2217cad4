#include "supervisor/registry.h"

#include <utility>

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

bool glob_match(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0, star = std::string_view::npos, mark = 0;
  while (t < text.size()) {
    if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p, ++t;
    } else if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      mark = t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++mark;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
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
  return glob_match(name, view) || glob_match(name, view.substr(0, without_index)) ||
         glob_match(name, view.substr(from_service)) || glob_match(name, service);
}

}  // namespace hearth::supervisor
