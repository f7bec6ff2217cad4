// Documents and slots by name. Holds specifications; decides nothing.
//
// A project has one current document; all its slots follow that version, those that are being removed the one before.
// A document stays as long as a slot names it.
//
// A service has as many slots as replicas. The lists of slots have a place for each, those of a service side by side;
// how many there are is fixed with the document: another number is another version of it.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "lifecycle/graph.h"
#include "model/service_spec.h"
#include "model/slot_state.h"

namespace hearth::supervisor {

// Which of a document's slots.
struct Place {
  std::uint32_t service = 0;
  std::uint32_t replica = 0;
};

// One whose start waits for nothing but its turn (start_concurrency), since then.
struct Turn {
  WallNs since = 0;
  std::uint32_t place = 0;
  SlotIndex slot = no_slot;
  auto operator<=>(const Turn&) const = default;
};

struct AppliedDocument {
  Document document;
  lifecycle::Graph graph;
  std::vector<std::uint32_t> first;     // place of each service's replica 0, and behind the last one the end
  std::vector<SlotIndex> slots;         // by place; no_slot while none follows it
  std::vector<SlotIndex> ready_probes;  // slots of exec probes, by place; no_slot = none
  std::vector<SlotIndex> live_probes;
  std::set<Turn> turns;  // the longest waiting first; some may have gone meanwhile (propagate.cc)
  std::unordered_map<std::uint32_t, ServiceSpec> replicas;  // by place: of services whose texts name the index

  std::uint32_t services() const { return static_cast<std::uint32_t>(document.services.size()); }
  bool has(std::uint32_t service, std::uint32_t replica) const {
    return service < services() && replica < first[service + 1] - first[service];
  }
  std::uint32_t place(std::uint32_t service, std::uint32_t replica) const { return first[service] + replica; }
  std::uint32_t place(const SlotState& state) const { return place(state.service, state.replica); }
  // All of them, in order.
  std::vector<Place> places() const {
    std::vector<Place> all;
    for (std::uint32_t i = 0; i < services(); ++i)
      for (std::uint32_t k = first[i]; k < first[i + 1]; ++k) all.push_back({i, k - first[i]});
    return all;
  }
  // Of all replicas of a service, by their index.
  std::span<const SlotIndex> slots_of(std::uint32_t service) const {
    return std::span(slots).subspan(first[service], first[service + 1] - first[service]);
  }
  // The list in which slots of this role stand.
  std::vector<SlotIndex>& slots_as(SlotRole role) {
    return role == SlotRole::service ? slots : role == SlotRole::ready_probe ? ready_probes : live_probes;
  }
  const ServiceSpec& spec(std::uint32_t service, std::uint32_t replica) const {
    const auto own = replicas.find(place(service, replica));
    return own == replicas.end() ? document.services[service] : own->second;
  }
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

// Does `name` ("service", "project.service", "service.INDEX", "project.service.INDEX", each with globs; "@TAG") select
// this slot?
bool selects(std::string_view name, std::string_view project, const ServiceSpec& spec, std::uint32_t replica);

// "project.service.index"
std::string label_of(std::string_view project, std::string_view service, std::uint32_t replica);

}  // namespace hearth::supervisor
