// Probes that the supervisor's own process makes without blocking (http, tcp). exec probes are runs in slots of
// their own. Results come as inputs. A try that is not wanted any more may be cancelled; its result may come
// all the same.
#pragma once

#include <cstdint>

#include "base/ids.h"
#include "model/service_spec.h"

namespace hearth::ports {

class Probes {
 public:
  virtual ~Probes() = default;
  virtual void begin(SlotIndex slot, bool live, std::uint64_t attempt, const Probe& probe) = 0;
  virtual void cancel(SlotIndex slot) = 0;
};

}  // namespace hearth::ports
