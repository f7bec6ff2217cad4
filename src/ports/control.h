// What the API needs of the supervisor. Calls come between turns, on the supervisor's thread.
#pragma once

#include <optional>

#include "model/request.h"
#include "model/status.h"

namespace hearth::ports {

class Control {
 public:
  virtual ~Control() = default;
  virtual InstanceStatus status() const = 0;
  // How the order behind `key` stands; nullopt when the key is unknown.
  virtual std::optional<OrderReport> order(const OperationKey& key) const = 0;
};

}  // namespace hearth::ports
