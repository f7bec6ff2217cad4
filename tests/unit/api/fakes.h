// A supervisor for the API's tests: tells what it was told to tell, and remembers what it was asked for.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/request.h"
#include "model/status.h"
#include "ports/control.h"

namespace hearth::api {

class FakeControl final : public ports::Control {
 public:
  InstanceStatus told;
  std::map<OperationKey, OrderReport> orders;
  mutable int looks = 0;

  std::vector<std::string> journal;  // lines without their ends; ids from 1 + dropped
  EventId dropped = 0;

  ports::EventLines events(EventId after, std::size_t most_bytes) const override {
    ports::EventLines out;
    out.oldest = dropped + 1;
    out.newest = dropped + journal.size();
    for (EventId id = std::max(after, dropped); id < out.newest && after != UINT64_MAX; ++id) {
      const std::string& line = journal[id - dropped];
      if (!out.text.empty() && out.text.size() + line.size() >= most_bytes) break;
      out.text += line + "\n";
    }
    return out;
  }
  bool sandboxes = false;
  bool has_sandboxes() const override { return sandboxes; }
  bool is_sandboxed(const std::string&) const override { return sandboxes; }
  InstanceStatus status() const override { return told; }
  InstanceStatus instance() const override {
    InstanceStatus alone = told;
    alone.service_count = alone.services.size();
    alone.services.clear();
    return alone;
  }
  std::optional<OrderReport> order(const OperationKey& key) const override {
    ++looks;
    const auto it = orders.find(key);
    if (it == orders.end()) return std::nullopt;
    return it->second;
  }
};

inline SlotStatus slot(std::string project, std::string name, Phase phase) {
  SlotStatus s;
  s.project = std::move(project);
  s.name = std::move(name);
  s.phase = phase;
  s.want_up = phase != Phase::stopped;
  return s;
}

inline OperationKey key_of(unsigned char fill) {
  OperationKey key;
  key.fill(fill);
  return key;
}

}  // namespace hearth::api
