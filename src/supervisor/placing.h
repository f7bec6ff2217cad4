// Gives the services of a document their slots.
//
// Model
// -----
// `apply` first does all that may refuse: the label is another file's, `hearth run` wants a name that is taken, there
// is no room, the document is nonsense, the disk is full, somebody else has an address on which a service that is up
// would have to listen now, its program or its directory is not there. That is looked for beside: until it is known the
// order is undecided (Errands), and asked again. Then nothing can fail any more: slots whose replica is still
// there go on under the new version, new ones are allocated, the others are stopped and removed, those of the highest
// index first. What goes on is restarted only where its program has to be told (config/diff.h, needs_restart); else it
// is adjusted, and its run does not notice. A dry run ends before the first change.
//
// `scale` is an apply of the document that is there, with other numbers of replicas. So the number outlives whatever a
// document outlives, until the next `up` applies what the file says. What somebody has taken down one by one comes back
// with its file, or when its own service is scaled.
//
// Who is started? By `up` all but those with autostart = false. By `scale` and `reload` what is new, and what has
// changed and is wanted up; what somebody has stopped stays stopped. A replica that joins others goes up when one of
// them is wanted up, whoever has started that. A task that has done its work is run again only where it would be
// restarted.
//
// Probes and hooks have slots of their own, each replica its own ones, and keep them as long as they are the same kind.
// Those of probes go at once when their replica does; those of hooks when nothing of the replica is left, because the
// last ones are run after its end (SlotBook::forget). A hook that is under way goes on with what it was begun with.
//
// The run of a client that rereads a file is a service of the project "_hearth", named after that file's project.
//
// A slot is vacant when nobody uses it and its entries are free: a run that is left alone because its specification is
// lost holds its entry, and nothing could ever be spawned there.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
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
struct Place;

class Placing {
 public:
  Placing(SlotBook& book, Goals& goals, ports::Keeper& keeper, ports::Store& store)
      : book_(book), goals_(goals), keeper_(keeper), store_(store) {}

  Result<Accepted> apply(const Request& request, Now now);
  Result<Accepted> scale(const Request& request, Now now);
  // Runs `client` for the file of each project that is up, on this order.
  void reload_files(const std::vector<std::string>& client, OrderId order, Now now);
  // Has `client` upgrade hearth.
  void upgrade(const std::vector<std::string>& client, OrderId order, Now now);

  // Stopped, those of the highest index first in `accepted`, and forgotten, their probes too.
  void remove(std::vector<SlotIndex> slots, bool force, Accepted& accepted, Now now);

  // References to slots do not outlive this. `wanted`: that one, and no other. no_slot: there is none left.
  SlotIndex allocate(const AppliedDocument& applied, Place place, SlotRole role, SlotIndex wanted = no_slot);
  // And its hooks.
  void place_probes(AppliedDocument& applied, Now now);

 private:
  struct ClientCall {
    std::string name;
    std::vector<std::string> command, environment;
  };
  Result<Accepted> run_client(ClientCall call, OrderId order, Now now);

  enum class Fate : std::uint8_t {
    fresh,      // was not there, or was going away
    same,       // goes on
    adjusted,   // goes on by another specification
    restarted,  // goes on, but not with the run that it has
  };
  struct Change {
    std::vector<Fate> fates;                                         // by place in the new document
    std::vector<std::pair<SlotIndex, const ServiceSpec*>> adjusted;  // and the specifications before
    std::vector<SlotIndex> removed;                                  // the new version does not have them
  };

  static constexpr SlotRole hook_roles[] = {SlotRole::hook, SlotRole::side_hook};

  // The version that it replaces, or none.
  Result<const AppliedDocument*> predecessor_of(const Document& document) const;
  const AppliedDocument* current_of(const std::string& project) const;
  static Status refuse_shared(const Document& document, Verb verb);
  Status refuse_conflicts(const Document& document) const;
  Status find_room(const Document& document) const;
  Status refuse_impossible(const Document& document) const;
  Status refuse_taken_addresses(const Document& document, const AppliedDocument* before) const;
  bool is_made_before(const Document& document, const AppliedDocument& before, const ServiceSpec& spec,
                      const Request& request) const;
  Status refuse_missing(const Document& document, const AppliedDocument* before, const Request& request) const;
  // order 0: the next one.
  Result<Accepted> replace(Document document, const AppliedDocument* before, const Request& request, OrderId order,
                           Now now);
  bool vacant(SlotIndex slot) const;
  // Of a replica that is in this slot; no_slot: it has none yet.
  std::size_t probe_slots_missing(const ServiceSpec& spec, SlotIndex slot) const;
  std::size_t hook_slots_missing(const ServiceSpec& spec, SlotIndex slot) const;
  void place_hooks(const AppliedDocument& applied);
  bool has_done_its_work(SlotIndex slot) const;
  void grow_to(SlotIndex size);
  Change move_slots(AppliedDocument& applied, const AppliedDocument* before, const Request& request);
  Change place_services(AppliedDocument& applied, const AppliedDocument* before, const Request& request, Now now);
  std::vector<SlotIndex> to_go_up(const AppliedDocument& applied, const Change& change, const Request& request) const;
  void add_needed(const AppliedDocument& applied, const Request& request, std::vector<SlotIndex>& chosen,
                  Accepted& accepted) const;
  void tell_what_is_open(const AppliedDocument& applied, const AppliedDocument* before, Accepted& accepted, Now now);
  void start_services(const AppliedDocument& applied, const Change& change, const Request& request, Accepted& accepted,
                      Now now);

  SlotBook& book_;
  Goals& goals_;
  ports::Keeper& keeper_;
  ports::Store& store_;
};

}  // namespace hearth::supervisor
