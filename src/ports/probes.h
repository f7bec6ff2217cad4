// Probes that the supervisor's own process makes without blocking (http, tcp, unix, frame, file, log, memory). exec probes
// are runs in slots of their own, notify and fd are said by the service (inputs.h). Results come as inputs. A try that is
// not wanted any more may be cancelled; its result may come all the same.
//
// With max_memory a try of liveness that was answered well is good only when the run does not use more memory than that.
#pragma once

#include <cstdint>
#include <string>

#include "base/ids.h"
#include "base/time.h"
#include "model/service_spec.h"

namespace hearth::ports {

// One try. Borrowed for the call.
struct ProbeTry {
  SlotIndex slot = no_slot;
  bool live = false;
  std::uint64_t attempt = 0;
  const Probe* probe = nullptr;
  RunId run = no_run;  // whom it asks about
  WallNs started = 0;  // of the run. file: what has not changed since then does not count
  MonoNs until = 0;    // by then it counts as bad; 0: by the timeout of the probe
  // memory: whose processes count.
  std::string label;  // of the slot
  std::uint64_t start_ticks = 0;
  // log: how the output is written, and how many bytes of the slot's output had been when the run began.
  const LogSpec* log = nullptr;
  std::uint64_t output_from = 0;
};

class Probes {
 public:
  virtual ~Probes() = default;
  virtual void begin(const ProbeTry& order) = 0;
  virtual void cancel(SlotIndex slot) = 0;
};

}  // namespace hearth::ports
