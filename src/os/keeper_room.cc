// KeeperClient: whether the keeper can hold what a run needs. Asked before anything is made for it: what the keeper
// refuses afterwards it only counts, and output that it does not hold no logger reads. Once all is parked nothing is asked
// any more, since that run needs nothing that it has not got: it starts, however little room there is by then.
#include "os/keeper_client.h"
#include "os/run_files.h"

namespace hearth::os {
namespace {

using wire::ParkClass;

// Output, notify socket and, when they are used, the pidfd of the run.
constexpr std::size_t of_a_spare = 3;
// Beyond its own a run leaves this, so that it finds a spare when it is restarted: what it had is let go of only when it
// has been read.
constexpr std::size_t headroom = of_a_spare + 1;

}  // namespace

std::size_t KeeperClient::still_to_park(const ports::SpawnOrder& order) const {
  const ParkedTable& parked = link_.parked();
  std::size_t count = 0;
  // The output stands for the pidfd, too, as in KeeperLink::keeper_has_room.
  if (parked.find(ParkClass::output, order.run) == nullptr) count += 2 + headroom;
  count += order.notify && parked.find(ParkClass::notify, order.run) == nullptr;
  count += needs_ready_pipe(order) && parked.find(ParkClass::probe, order.run) == nullptr;
  count += wants_terminal(order) && parked.find(ParkClass::probe, order.run, terminal_name) == nullptr;
  if (order.role != SlotRole::service) return count;
  for (const ListenSocket& socket : order.spec->listen)
    count += parked.find(ParkClass::listen, order.slot, socket.name) == nullptr;
  return count;
}

Status KeeperClient::keeper_can_hold(const ports::SpawnOrder& order) const {
  const std::size_t count = still_to_park(order);
  if (count == 0 || link_.keeper_has_room(count)) return {};
  Error error = errno_error("have the keeper hold the output of", order.label, EMFILE);
  if (link_.parked().size() + count > wire::max_parked) {
    error.reason = "it holds " + std::to_string(link_.parked().size()) + " descriptors, and has places for " +
                   std::to_string(wire::max_parked);
    error.hint = "stop services that store many (fdstore_max), or start them in another hearth";
  } else {
    error.hint = "raise the limit of open files of the keeper (`prlimit --pid " +
                 std::to_string(link_.table().keeper_pid.load()) +
                 " --nofile=65536`, as root) and likewise of the supervisor (PID " + std::to_string(::getpid()) +
                 "), whose limit the next keeper has";
  }
  return failure(std::move(error));
}

bool KeeperClient::keeper_can_hold_a_spare() const {
  return link_.keeper_has_room(of_a_spare);
}

}  // namespace hearth::os
