// KeeperClient: FIFO and notify socket that are made ahead. keeper_client.h says why and for whom.
#include <algorithm>

#include "os/crash_point.h"
#include "os/keeper_client.h"

namespace hearth::os {
namespace {

using wire::ParkClass;

constexpr ParkClass made_ahead[] = {ParkClass::output, ParkClass::notify};

}  // namespace

// Best effort: who finds no spare makes what it needs.
void KeeperClient::make_spare() {
  if (last_run_ == no_run || !outstanding_.empty() || link_.lost() || link_.handing_over()) return;
  const RunId run = std::exchange(last_run_, no_run) + 1;
  if (spare_.run == run) return;
  drop_spare();
  // After a take-over plans of old runs may be sent again: a number that exists is not the next one.
  for (ParkClass type : made_ahead)
    if (const std::vector<Parked>& all = link_.parked().all(type); !all.empty() && all.back().key >= run) return;
  if (!keeper_can_hold_a_spare()) return;
  Result<Fifo> fifo = open_fifo(directory(), run, {});
  if (!fifo) return;
  Result<Fd> output = open_fifo_for_service(directory(), run, fifo->reader.get());
  Result<Fd> notify = bind_notify(directory(), options_.directory, run, {});
  crash_point("spare made");
  const wire::ParkRecord records[] = {park_record(ParkClass::output, no_slot, run),
                                      park_record(ParkClass::notify, no_slot, run)};
  if (output && notify) {
    Fd descriptors[] = {std::move(fifo->reader), std::move(*notify)};
    if (link_.park(records, descriptors)) {
      spare_ = {run, std::move(*output)};
      crash_point("spare parked");
      return;
    }
  }
  remove_fifo(directory(), run);
  remove_notify(directory(), run);
}

void KeeperClient::drop_spare() {
  if (spare_.run == no_run) return;
  for (ParkClass type : made_ahead) link_.unpark(type, spare_.run);
  remove_fifo(directory(), spare_.run);
  remove_notify(directory(), spare_.run);
  spare_ = Spare{};
}

bool KeeperClient::is_spare(RunId run) const {
  const Parked* parked = link_.parked().find(ParkClass::output, run);
  return parked != nullptr && parked->slot == no_slot;
}

bool KeeperClient::is_unassigned(RunId run) const {
  return std::any_of(unassigned_.begin(), unassigned_.end(), [&](const Unassigned& u) { return u.run == run; });
}

// A successor finds its predecessor's: in use, when an entry holds its run. Of several that are not, which a kill between
// the parking of one and the dropping of another leaves, the newest may still be used.
void KeeperClient::find_spare() {
  std::vector<RunId> unused;
  const wire::RunEntry* const entries = link_.table().entry;
  const wire::RunEntry* const end = entries + wire::entries_end(link_.table());
  for (const Parked& output : link_.parked().all(ParkClass::output)) {
    if (output.slot != no_slot) continue;
    const wire::RunEntry* const holder =
        std::find_if(entries, end, [&](const wire::RunEntry& entry) { return entry.run.load() == output.key; });
    if (holder == end)
      unused.push_back(output.key);
    else
      unassigned_.push_back({output.key, static_cast<EntryIndex>(holder - entries)});
  }
  for (const RunId run : unused) {
    drop_spare();
    spare_.run = run;  // in ascending order, as the table has them
  }
}

// Not while the plan is on its way: it wakes keeper and logger, and somebody waits for the run to start.
void KeeperClient::assign_spares() {
  std::erase_if(unassigned_, [&](const Unassigned& unassigned) {
    const bool on_its_way = std::any_of(outstanding_.begin(), outstanding_.end(),
                                        [&](const Outstanding& plan) { return plan.run == unassigned.run; });
    if (on_its_way) return false;
    std::vector<wire::ParkRecord> records;
    std::vector<Fd> descriptors;
    for (ParkClass type : made_ahead) {
      const Parked* parked = link_.parked().find(type, unassigned.run);
      if (parked == nullptr || parked->slot != no_slot) continue;
      Result<Fd> copy = duplicate(parked->fd);
      if (!copy) {
        link_.wake_in(milliseconds(100));
        return false;
      }
      const SlotIndex slot =
          type == ParkClass::output ? slot_of_output(unassigned.entry) : unassigned.entry / wire::entries_per_slot;
      records.push_back(park_record(type, slot, unassigned.run));
      descriptors.push_back(std::move(*copy));
    }
    if (!link_.park(records, descriptors)) return false;
    ask_again_.push_back(unassigned.entry);
    return true;
  });
}

}  // namespace hearth::os
