// What the API needs of the supervisor. Calls come between turns, on the supervisor's thread.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "model/request.h"
#include "model/service_spec.h"
#include "model/status.h"
#include "ports/store.h"

namespace hearth::ports {

class Control {
 public:
  virtual ~Control() = default;
  virtual InstanceStatus status() const = 0;
  // The same without services: whoever asks for hearth itself does not wait for a thousand of them.
  virtual InstanceStatus instance() const = 0;
  // What the one service that `name` selects is started from, as the only one of its document: its texts are those of
  // the replica, its environment is not merged. not_found, or fix_input when several are meant.
  virtual Result<Document> specification(const std::string& name) const {
    return failure(Remedy::not_found, "find", name, "no service has that name");
  }
  // How the order behind `key` stands; nullopt when the key is unknown.
  virtual std::optional<OrderReport> order(const OperationKey& key) const = 0;
  // order(key)->settled, without the report.
  virtual std::optional<bool> settled(const OperationKey& key) const {
    const std::optional<OrderReport> report = order(key);
    return report ? std::optional(report->settled) : std::nullopt;
  }
  // Is any service restricted by a sandbox? Then it is asked of whom clients are (os/peer_run.h).
  virtual bool has_sandboxes() const { return false; }
  // Are runs of the slot with this label (PROJECT.SERVICE.INDEX, also .hook and the like) in a sandbox? Also of one that is
  // not known any more: what it was is not known then.
  virtual bool is_sandboxed(const std::string& label) const {
    (void)label;
    return false;
  }
  // As Store::read_events.
  virtual EventLines events(EventId after, std::size_t most_bytes) const {
    (void)after, (void)most_bytes;
    return {};
  }
};

}  // namespace hearth::ports
