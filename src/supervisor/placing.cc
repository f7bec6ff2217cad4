#include "supervisor/placing.h"

#include <algorithm>
#include <set>
#include <span>
#include <utility>

#include "base/check.h"
#include "base/several.h"
#include "config/diff.h"
#include "config/limits.h"
#include "model/document.h"
#include "supervisor/book.h"
#include "supervisor/dependencies.h"
#include "supervisor/goals.h"
#include "supervisor/selection.h"

namespace hearth::supervisor {
namespace {

bool differ_in_more_than_replicas(const ServiceSpec& a, const ServiceSpec& b) {
  if (a == b) return false;
  ServiceSpec as_many = b;
  as_many.replicas = a.replicas;
  return !(a == as_many);
}

// A scale brings nothing back of a service that it does not concern. Its document has the services of the one before.
bool stays_as_it_is(const Request& request, const AppliedDocument* before, const ServiceSpec& spec,
                    std::size_t service) {
  return request.verb == Verb::scale && spec.replicas == before->document.services[service].replicas;
}

bool contains(const std::vector<SlotIndex>& slots, SlotIndex slot) {
  return std::find(slots.begin(), slots.end(), slot) != slots.end();
}

}  // namespace

Result<Accepted> Placing::apply(const Request& request, Now now) {
  const Document& document = request.document;
  if (document.services.empty())
    return failure(Remedy::fix_input, "apply", document.project, "it has no services", "add a [service.NAME] table");
  const Result<const AppliedDocument*> before = predecessor_of(document);
  if (!before) return failure(before.error());
  if (request.reload && *before == nullptr)
    return failure(Remedy::not_found, "reload", document.project, "nothing of it is up", "`hearth up` starts it");
  return replace(document, *before, request, 0, now);
}

Result<Accepted> Placing::replace(Document document, const AppliedDocument* before, const Request& request,
                                  OrderId order, Now now) {
  const std::uint64_t version = book_.head.last_document + 1;
  document.version = version;
  if (const Status each = refuse_shared(document, request.verb); !each) return failure(each.error());
  if (const Status room = find_room(document); !room) return failure(room.error());
  if (const Status can = refuse_impossible(document); !can) return failure(can.error());
  if (const Status free = refuse_taken_addresses(document, before); !free) return failure(free.error());
  if (request.start)
    if (const Status found = refuse_missing(document, before, request); !found) return failure(found.error());
  if (const Status added = book_.registry.add(document); !added) return failure(added.error());
  Accepted accepted;
  if (before != nullptr || request.dry_run)
    accepted.changes = config::changes(before == nullptr ? Document{} : before->document, document);
  if (request.dry_run) {
    book_.registry.drop(version);
    return accepted;
  }
  // Kept last, when nothing can be refused any more: the number of a refused document is used again.
  if (const Status stored = store_.put_document(document); !stored) {
    book_.registry.drop(version);
    return failure(stored.error());
  }
  book_.head.last_document = version;
  accepted.order = order != 0 ? order : book_.next_order();
  AppliedDocument& applied = *book_.registry.find(version);
  const Change change = place_services(applied, before, request, now);
  start_services(applied, change, request, accepted, now);
  tell_what_is_open(applied, before, accepted, now);
  remove(change.removed, false, accepted, now);
  book_.drop_unused_documents();
  book_.runs_changed = true;
  return accepted;
}

// Restrictions that this machine does not hold: whoever applies is told, and the journal for those that are new. Status
// says it for as long as it is so.
void Placing::tell_what_is_open(const AppliedDocument& applied, const AppliedDocument* before, Accepted& accepted,
                                Now now) {
  std::vector<std::pair<std::string, std::vector<std::string>>> told;  // and of which services
  for (std::uint32_t i = 0; i < applied.services(); ++i) {
    const ServiceSpec& spec = applied.document.services[i];
    const std::string open = keeper_.not_held(spec);
    if (open.empty()) continue;
    auto same = std::ranges::find(told, open, &std::pair<std::string, std::vector<std::string>>::first);
    if (same == told.end()) same = told.insert(told.end(), {open, {}});
    same->second.push_back(spec.name);
    const ServiceSpec* was = before == nullptr ? nullptr : find_service(before->document, spec.name);
    if (was != nullptr && was->process == spec.process) continue;
    for (const SlotIndex slot : applied.slots_of(i)) {
      if (slot == no_slot) continue;
      EventRecord event;
      event.time = now.wall;
      event.service = book_.label(slot);
      event.text = open;
      book_.errands.happened.push_back(std::move(event));
    }
  }
  for (const auto& [open, names] : told) accepted.notes.push_back(several(names) + ": " + open);
}

Result<Accepted> Placing::scale(const Request& request, Now now) {
  const AppliedDocument* before = nullptr;
  Document document;
  std::string unchanged;
  for (const auto& [name, count] : request.replicas) {
    if (count == 0 || count > wire::max_slots)
      return failure(Remedy::fix_input, "scale", name, std::to_string(count) + " is no number of replicas",
                     count == 0 ? "`hearth stop " + name + "` stops all of them"
                                : "no more than " + std::to_string(wire::max_slots) + " fit in one hearth");
    Request one = request;
    one.names = {name};
    const Result<std::vector<SlotIndex>> chosen = named(book_, one);
    if (!chosen) return failure(chosen.error());
    for (const SlotIndex slot : *chosen) {
      const AppliedDocument* its = book_.applied(slot);
      if (before == nullptr) document = (before = its)->document;
      if (its != before)
        return failure(Remedy::fix_input, "scale", name, "it is of another project than those before it",
                       "scale one project at a time; PROJECT.SERVICE=N names one");
      document.services[book_.slots[slot].service].replicas = count;
    }
    if (document.services[book_.slots[chosen->front()].service] ==
        before->document.services[book_.slots[chosen->front()].service])
      unchanged += (unchanged.empty() ? "" : ", ") + name;
  }
  if (before == nullptr)
    return failure(Remedy::fix_input, "scale", "nothing", "no service is named", "`hearth scale web=4`");
  if (document.services != before->document.services) {
    Request gently = request;
    gently.reload = true;
    return replace(std::move(document), before, gently, 0, now);
  }
  Accepted accepted;
  accepted.order = book_.next_order();
  accepted.notes.push_back(unchanged + ": that many are there already");
  return accepted;
}

void Placing::reload_files(const std::vector<std::string>& client, OrderId order, Now now) {
  std::set<std::uint64_t> versions;
  for (const SlotIndex slot : book_.services())
    if (!book_.slots[slot].removing && !book_.document_of(slot)->path.empty())
      versions.insert(book_.slots[slot].document);
  for (const std::uint64_t version : versions) {
    const Document& file = book_.registry.find(version)->document;
    ClientCall call{"reload-" + file.project, client, file.environment};
    call.command.insert(call.command.end(), {"reload", "--no-wait", "-f", file.path});
    if (const Result<Accepted> accepted = run_client(std::move(call), order, now); !accepted)
      book_.add_note({now.wall, "SIGHUP did not reload project " + file.project + ": " + accepted.error().text()});
  }
}

void Placing::upgrade(const std::vector<std::string>& client, OrderId order, Now now) {
  ClientCall call{"upgrade", client, {}};
  call.command.emplace_back("upgrade");
  if (const Result<Accepted> accepted = run_client(std::move(call), order, now); !accepted)
    book_.add_note({now.wall, "SIGUSR2 did not upgrade hearth: " + accepted.error().text()}, Happening::upgrade);
}

Result<Accepted> Placing::run_client(ClientCall call, OrderId order, Now now) {
  Request request;
  request.verb = Verb::apply;
  request.document.project = "_hearth";
  request.document.environment = std::move(call.environment);
  ServiceSpec spec;
  spec.name = call.name.substr(0, config::max_name);
  spec.command = std::move(call.command);
  spec.cwd = "/";
  spec.restart = RestartPolicy::never;
  request.document.services.push_back(std::move(spec));
  return replace(request.document, nullptr, request, order, now);
}

// Slots that go on under the new document; those of `hearth run` that have ended give their names back.
Placing::Change Placing::move_slots(AppliedDocument& applied, const AppliedDocument* before, const Request& request) {
  Change change;
  change.fates.resize(applied.slots.size(), Fate::fresh);
  const std::vector<ServiceSpec>& services = applied.document.services;
  for (const SlotIndex slot : book_.services()) {
    SlotState& state = book_.slots[slot];
    if (state.document == applied.document.version) continue;
    const AppliedDocument* old = book_.applied(slot);
    if (old->document.project != applied.document.project) continue;
    const ServiceSpec& was = old->document.services[state.service];
    const ServiceSpec* same = find_service(applied.document, was.name);
    if (same == nullptr || state.replica >= same->replicas) {
      const bool ours = before != nullptr && state.document == before->document.version;
      if ((ours || same != nullptr) && !state.removing) change.removed.push_back(slot);
      continue;
    }
    if (state.removing && stays_as_it_is(request, before, *same, static_cast<std::size_t>(same - services.data())))
      continue;
    const bool differs = differ_in_more_than_replicas(was, *same);
    const bool adjusted = differs && !config::needs_restart(was, *same);
    if (adjusted) change.adjusted.emplace_back(slot, &old->spec(state.service, state.replica));
    state.document = applied.document.version;
    state.service = static_cast<std::uint32_t>(same - services.data());
    const bool comes_back = std::exchange(state.removing, false);
    applied.slots[applied.place(state)] = slot;
    change.fates[applied.place(state)] = comes_back ? Fate::fresh
                                         : adjusted ? Fate::adjusted
                                         : differs  ? Fate::restarted
                                                    : Fate::same;
    book_.touch(slot);
  }
  return change;
}

Placing::Change Placing::place_services(AppliedDocument& applied, const AppliedDocument* before, const Request& request,
                                        Now now) {
  Change change = move_slots(applied, before, request);
  const std::vector<Place> places = applied.places();
  const auto stays_down = [&](std::uint32_t service) {
    return stays_as_it_is(request, before, applied.document.services[service], service);
  };
  for (std::uint32_t i = 0; i < places.size(); ++i)
    if (applied.slots[i] == no_slot && !stays_down(places[i].service))
      applied.slots[i] = allocate(applied, places[i], SlotRole::service);
  place_probes(applied, now);
  for (std::uint32_t i = 0; i < places.size(); ++i) {
    const ServiceSpec& spec = applied.document.services[places[i].service];
    if (applied.slots[i] == no_slot && stays_down(places[i].service)) continue;
    HEARTH_CHECK(applied.slots[i] != no_slot, "find_room has counted it");
    HEARTH_CHECK(spec.ready->type != ProbeType::exec || applied.ready_probes[i] != no_slot, "find_room has counted it");
    HEARTH_CHECK(spec.live->type != ProbeType::exec || applied.live_probes[i] != no_slot, "find_room has counted it");
  }
  for (const SlotIndex slot : applied.slots) {
    if (slot == no_slot) continue;
    book_.touch(slot);
    book_.weigh(slot);
  }
  return change;
}

std::vector<SlotIndex> Placing::to_go_up(const AppliedDocument& applied, const Change& change,
                                         const Request& request) const {
  std::vector<SlotIndex> chosen;
  for (std::uint32_t service = 0; service < applied.services(); ++service) {
    const std::span<const SlotIndex> replicas = applied.slots_of(service);
    const auto fates = std::span(change.fates).subspan(applied.first[service], replicas.size());
    const bool is_new = std::all_of(fates.begin(), fates.end(), [](Fate fate) { return fate == Fate::fresh; });
    const bool one_is_up = std::any_of(replicas.begin(), replicas.end(), [this](SlotIndex slot) {
      return slot != no_slot && book_.slots[slot].life.want_up;
    });
    const bool by_itself = applied.document.services[service].autostart && (is_new || !request.reload);
    for (std::size_t i = 0; i < replicas.size(); ++i) {
      if (replicas[i] == no_slot || (request.reload && fates[i] == Fate::same)) continue;
      const bool wanted = fates[i] == Fate::fresh ? one_is_up : book_.slots[replicas[i]].life.want_up;
      if (by_itself || wanted) chosen.push_back(replicas[i]);
    }
  }
  return chosen;
}

// An `up` is a start of what its services need, as `start` is (docs/decisions/0014): who does not start by itself is started
// for those who do.
void Placing::add_needed(const AppliedDocument& applied, const Request& request, std::vector<SlotIndex>& chosen,
                         Accepted& accepted) const {
  const TypedNames names(book_);
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const SlotIndex slot = chosen[i];
    if (request.reload && book_.is_up(slot)) continue;
    for (const lifecycle::Edge& edge : applied.graph.dependencies(book_.slots[slot].service)) {
      if (!edge.required || applied.document.services[edge.to].autostart) continue;
      for (const SlotIndex other : applied.slots_of(edge.to)) {
        if (other == no_slot || contains(chosen, other)) continue;
        if (standing_of(book_, other, edge) == lifecycle::Standing::met) continue;
        chosen.push_back(other);
        accepted.notes.push_back(names.of(other) + " is started too: " + names.of(slot) + " needs it");
      }
    }
  }
}

void Placing::start_services(const AppliedDocument& applied, const Change& change, const Request& request,
                             Accepted& accepted, Now now) {
  std::vector<SlotIndex> chosen = request.start ? to_go_up(applied, change, request) : applied.slots;
  std::erase(chosen, no_slot);
  if (request.start) add_needed(applied, request, chosen, accepted);
  accepted.slots = chosen;
  for (const SlotIndex slot : chosen) goals_.enlist(slot, accepted.order, request.start);
  for (const auto& [slot, before] : change.adjusted) goals_.adjust(slot, *before, now);
  if (!request.start) return;
  const auto fate_of = [&](SlotIndex slot) { return change.fates[applied.place(book_.slots[slot])]; };
  std::vector<SlotIndex> running;  // and not to go on; the others of them are merely started
  for (const SlotIndex slot : chosen)
    if (fate_of(slot) == Fate::restarted && book_.comes_up(slot)) running.push_back(slot);
  const std::vector<SlotIndex> restarted = goals_.restart(running, accepted, now);
  const TypedNames names(book_);
  for (const SlotIndex slot : dependencies_first(book_, chosen)) {
    if (contains(restarted, slot)) continue;
    if (book_.is_up(slot) && request.reload) continue;
    if (has_done_its_work(slot) && (fate_of(slot) == Fate::same || fate_of(slot) == Fate::adjusted)) {
      if (!request.reload)
        accepted.notes.push_back(names.of(slot) + " has completed and is not run again: `hearth start " +
                                 names.of(slot) + "` does that");
      continue;
    }
    if (book_.is_up(slot))
      accepted.notes.push_back(names.of(slot) + " is already running (PID " +
                               std::to_string(book_.slots[slot].run().pid) + ")");
    goals_.raise(slot, lifecycle::EventKind::order_start, now);
  }
}

void Placing::remove(std::vector<SlotIndex> slots, bool force, Accepted& accepted, Now now) {
  std::stable_sort(slots.begin(), slots.end(),
                   [this](SlotIndex a, SlotIndex b) { return book_.slots[a].replica > book_.slots[b].replica; });
  for (const SlotIndex slot : slots) {
    book_.slots[slot].removing = true;
    accepted.removed.push_back(book_.label(slot));
  }
  for (const SlotIndex slot : book_.used()) {
    SlotState& state = book_.slots[slot];
    if (!is_probe(state.role) || !contains(slots, state.parent)) continue;
    state.removing = true;
    goals_.stop({slot}, accepted.order, true, now);
  }
  goals_.stop(slots, accepted.order, force, now);
}

}  // namespace hearth::supervisor
