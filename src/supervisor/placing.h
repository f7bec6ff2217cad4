// Gives the services of a document their slots.
//
// Model
// -----
// `apply` first does all that may refuse: the label is another file's, `hearth run` wants a name that is taken, there
// is no room, the document is nonsense, the disk is full. Then nothing can fail any more: slots whose service is still
// there go on under the new version (restarted when its specification changed), new ones are allocated, the others are
// stopped and removed. Probes by exec get new slots each time, because the old ones may still be running. Hooks keep
// theirs, which go when their service does or has no hooks any more.
//
// A slot is vacant when nobody uses it and its entries are free: a run that is left alone because its specification is
// lost holds its entry, and nothing could ever be spawned there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "model/request.h"
#include "model/slot_state.h"
#include "ports/keeper.h"
#include "ports/store.h"

namespace hearth::supervisor {

class Goals;
class SlotBook;
struct AppliedDocument;

class Placing {
 public:
  Placing(SlotBook& book, Goals& goals, ports::Keeper& keeper, ports::Store& store)
      : book_(book), goals_(goals), keeper_(keeper), store_(store) {}

  Result<Accepted> apply(const Request& request, Now now);

  // References to slots do not outlive this. `wanted`: that one, and no other. no_slot: there is none left.
  SlotIndex allocate(const AppliedDocument& applied, std::uint32_t service, SlotRole role, SlotIndex wanted = no_slot);
  // And its hooks.
  void place_probes(AppliedDocument& applied, Now now);

 private:
  struct Change {
    std::vector<SlotIndex> changed;  // go on with another specification
    std::vector<SlotIndex> removed;  // the new version does not have them
  };

  // The version that it replaces, or none.
  Result<const AppliedDocument*> predecessor_of(const Document& document) const;
  const AppliedDocument* current_of(const std::string& project) const;
  Status refuse_conflicts(const Document& document) const;
  Status find_room(const Document& document) const;
  bool vacant(SlotIndex slot) const;
  std::size_t hook_slots_missing(const ServiceSpec& spec, SlotIndex slot) const;
  void place_hooks(const AppliedDocument& applied);
  bool has_done_its_work(SlotIndex slot) const;
  void grow_to(SlotIndex size);
  Change move_slots(AppliedDocument& applied, const AppliedDocument* before);
  void place_services(AppliedDocument& applied, const AppliedDocument* before, bool start, Accepted& accepted, Now now);
  void start_services(const AppliedDocument& applied, const std::vector<SlotIndex>& restarted,
                      const std::vector<SlotIndex>& changed, Accepted& accepted, Now now);

  SlotBook& book_;
  Goals& goals_;
  ports::Keeper& keeper_;
  ports::Store& store_;
};

}  // namespace hearth::supervisor
