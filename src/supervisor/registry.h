// Documents and slots by name. Holds specifications; decides nothing.
//
// A project has one current document; all its slots follow that version, those that are being removed the one before.
// A document stays as long as a slot names it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "lifecycle/graph.h"
#include "model/service_spec.h"
#include "model/slot_state.h"

namespace hearth::supervisor {

struct AppliedDocument {
  Document document;
  lifecycle::Graph graph;
  std::vector<SlotIndex> slots;         // by service index; no_slot while none follows it
  std::vector<SlotIndex> ready_probes;  // slots of exec probes, by service index; no_slot = none
  std::vector<SlotIndex> live_probes;
};

class Registry {
 public:
  // Fails when its dependencies do not form a graph.
  Status add(Document document);
  AppliedDocument* find(std::uint64_t version);
  const AppliedDocument* find(std::uint64_t version) const;
  void drop(std::uint64_t version) { documents_.erase(version); }
  const std::map<std::uint64_t, std::unique_ptr<AppliedDocument>>& all() const { return documents_; }

 private:
  std::map<std::uint64_t, std::unique_ptr<AppliedDocument>> documents_;
};

// Does `name` ("service", "project.service", "service.INDEX", "project.service.INDEX", each with globs) select
// this slot?
bool selects(std::string_view name, std::string_view project, std::string_view service, std::uint32_t replica);

// "project.service.index"
std::string label_of(std::string_view project, std::string_view service, std::uint32_t replica);

}  // namespace hearth::supervisor
