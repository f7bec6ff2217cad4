// KeeperClient: the TCP ports that a service says it listens on by itself are looked at before it is started. A port that
// somebody else has is told with his name, instead of a service that fails with "address in use" in its log.
//
// Whether a port is in use is tried, which is quick. Who has it is asked of a thread.
#include "os/clock.h"
#include "os/keeper_client.h"
#include "os/port_owner.h"

namespace hearth::os {

// True: they are free, or this service's own. False: that is not known yet, or a run of this service that has ended is still
// being cleared away.
Result<bool> KeeperClient::look_at_ports(const ports::SpawnOrder& order) {
  if (order.role != SlotRole::service) return true;
  std::vector<std::uint16_t> in_use;
  for (const std::uint16_t port : order.spec->around->ports)
    if (tcp_port_in_use(port)) in_use.push_back(port);
  if (in_use.empty()) return true;
  const std::optional<Result<PortLooks::Holders>> found = port_looks_.of(order.run, order.label, in_use, read_mono());
  if (!found) return false;
  if (!*found) return failure((*found).error());
  for (std::size_t i = 0; i < in_use.size(); ++i) {
    const PortHolder& holder = (**found)[i];
    if (holder.owner.text.empty()) continue;  // gone meanwhile
    const PortHolding holding = holding_of(order, holder);
    if (holding == PortHolding::living) continue;  // two runs at a time: they share it, or the new one waits for it
    if (holding == PortHolding::ending) return false;
    return failure(Remedy::conflict, "start", order.label,
                   "port " + std::to_string(in_use[i]) + " is in use by " + holder.owner.text,
                   "stop it, or change the port");
  }
  return true;
}

// Is the holder a run of the service that is to be started?
KeeperClient::PortHolding KeeperClient::holding_of(const ports::SpawnOrder& order, const PortHolder& holder) const {
  if (holder.run == no_run || holder.instance != options_.directory || holder.slot != order.label)
    return PortHolding::foreign;
  bool ending = false;
  for (std::uint32_t i = 0; i < wire::entries_per_slot; ++i) {
    const wire::RunEntry& entry = link_.table().entry[order.slot * wire::entries_per_slot + i];
    if (entry.run.load(std::memory_order_acquire) != holder.run) continue;
    if (wire::phase_of(entry) != wire::EntryPhase::exited) return PortHolding::living;
    ending = true;
  }
  return ending ? PortHolding::ending : PortHolding::foreign;
}

}  // namespace hearth::os
