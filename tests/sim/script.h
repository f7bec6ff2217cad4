// What one simulated process does with its life. Drawn from the seed by the simulator, written by hand in the
// scenarios.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/time.h"
#include "model/service_spec.h"
#include "model/slot_state.h"
#include "wire/slot_table.h"

namespace hearth::sim {

inline constexpr SpanNs not_at_all = -1;

// A notify datagram, `after` the program began. `file` names an open file that comes with it; 0 = none.
struct Saying {
  SpanNs after = 0;
  std::string data;
  std::uint64_t file = 0;
};

struct Script {
  // The stage that fails and why; stages before `session` fail in the spawner, later ones in the child.
  wire::SpawnStage fails = wire::SpawnStage::none;
  int fail_errno = 0;
  SpanNs exec_takes = 0;

  SpanNs ready_after = not_at_all;  // READY=1, or probes are answered well from then on
  SpanNs sick_after = not_at_all;   // probes are answered badly from then on
  bool memory_unseen = false;       // nobody can tell how much it uses
  SpanNs exit_after = not_at_all;   // by itself:
  int exit_code = 1;                // CLD_EXITED, CLD_KILLED
  int exit_status = 0;
  SpanNs term_takes = milliseconds(2);      // from the stop signal to the end; not_at_all: ignores it
  int term_status = 0;                      // exit code after the stop signal
  SpanNs watchdog_every = 0;                // WATCHDOG=1 from the beginning on
  SpanNs watchdog_until = never;            // ... until it hangs
  SpanNs heir_after = not_at_all;           // a descendant says READY=1, so long after the process has ended
  SpanNs stray_after = not_at_all;          // a descendant whose parent has died ends
  SpanNs closes_output_after = not_at_all;  // its output pipes are at EOF, and it lives on
  std::vector<Saying> says;

  // What its end with code 0 leaves in the background (type = "forking"): a process with a life of its own, in which these
  // say how it can be found.
  std::shared_ptr<Script> daemon;
  SpanNs pid_file_after = 0;   // not_at_all: it never writes one
  bool pid_file_lies = false;  // it names somebody else's process
  bool has_siblings = false;   // it is not the only one that is left
};

// Whom the world asks when a process begins: the specification it was started from (of a probe: its service's; of a
// hook too, with the hook's command), what for, how many runs of it were before, and the label of its slot.
using Casting = std::function<Script(const ServiceSpec& spec, SlotRole role, unsigned nth, const std::string& label)>;

}  // namespace hearth::sim
