// KeeperClient: the TCP ports that a service says it listens on by itself are looked at before it is started. A port that
// somebody else has is told with his name, instead of a service that fails with "address in use" in its log.
#include <cstdlib>

#include "os/keeper_client.h"
#include "os/port_owner.h"
#include "os/proc_stat.h"

namespace hearth::os {

// True: they are free, or this service's own. False: a run of this service that has ended is still being cleared away.
Result<bool> KeeperClient::look_at_ports(const ports::SpawnOrder& order) {
  if (order.role != SlotRole::service) return true;
  for (const std::uint16_t port : order.spec->around->ports) {
    if (!tcp_port_in_use(port)) continue;
    const PortOwner owner = find_port_owner(port);
    if (owner.text.empty()) continue;  // gone meanwhile
    // By the environment that it was started with: a descendant has the same.
    const bool own = owner.pid != 0 && environment_of(owner.pid, "HEARTH_INSTANCE") == options_.directory &&
                     environment_of(owner.pid, "HEARTH_SLOT") == order.label;
    const RunId run = own ? std::strtoull(environment_of(owner.pid, "HEARTH_RUN").c_str(), nullptr, 10) : no_run;
    bool ending = false;
    bool living = false;
    for (std::uint32_t i = 0; own && i < wire::entries_per_slot; ++i) {
      const wire::RunEntry& entry = link_.table().entry[order.slot * wire::entries_per_slot + i];
      if (entry.run.load(std::memory_order_acquire) != run) continue;
      (wire::phase_of(entry) == wire::EntryPhase::exited ? ending : living) = true;
    }
    if (living) continue;  // two runs at a time: they share it, or the new one waits for it
    if (ending) return false;
    return failure(Remedy::conflict, "start", order.label,
                   "port " + std::to_string(port) + " is in use by " + owner.text, "stop it, or change the port");
  }
  return true;
}

}  // namespace hearth::os
