#include "supervisor/waits.h"

#include <span>

#include "supervisor/book.h"
#include "supervisor/dependencies.h"

namespace hearth::supervisor {
namespace {

constexpr std::size_t named_most = 8;

// found(name of the service, its replicas, which of them): those that do not stand as the slot needs them, each once.
template <typename Found>
void each_missing(const SlotBook& book, SlotIndex slot, Found found) {
  const AppliedDocument* applied = book.applied(slot);
  if (applied == nullptr) return;
  // Relied on: edges to one service are neighbours, as its document names it once; so it is told once.
  auto last = static_cast<std::uint32_t>(applied->document.services.size());
  for (const lifecycle::Edge& edge : applied->graph.dependencies(book.slots[slot].service)) {
    if (edge.to == last || standing_of(book, *applied, edge) == lifecycle::Standing::met) continue;
    last = edge.to;
    const std::span<const SlotIndex> replicas = applied->slots_of(edge.to);
    for (std::uint32_t i = 0; i < replicas.size(); ++i)
      if (standing_of(book, replicas[i], edge) != lifecycle::Standing::met)
        found(applied->document.services[edge.to].name, replicas, i);
  }
}

}  // namespace

bool start_has_failed(const SlotState& state) {
  const Lifecycle& life = state.life;
  switch (life.phase) {
    case Phase::failed: return true;
    // One bad start may be a race with something outside; a program that is not there stays away.
    case Phase::backoff: return life.failures >= 3 || (life.failures > 0 && life.reason == Reason::spawn_failed);
    case Phase::starting: return life.failures >= 3;
    default: return false;
  }
}

void Waits::Missing::Names::add(const std::string& name) {
  if (++count <= named_most) first.push_back(name);
}

std::string Waits::Missing::Names::text(const char* between, const char* more) const {
  std::string text;
  for (const std::string& name : first) text += (text.empty() ? "" : between) + name;
  return count > first.size() ? text + more : text;
}

void Waits::Missing::add(const SlotBook& book, SlotIndex slot, const std::string& name) {
  only = all.count == 0 ? slot : no_slot;
  all.add(name);
  if (slot == no_slot || !book.slots[slot].used || book.slots[slot].removing)
    gone.add(name);
  else if (!book.slots[slot].life.want_up)
    stopped.add(name);
}

// What does not come up by itself is told with the command that ends the wait.
std::string Waits::Missing::words() const {
  const auto list = [](const Names& names) {
    return names.text(", ", (", and " + std::to_string(names.count - names.first.size()) + " more").c_str());
  };
  std::string text = list(all);
  const auto tell = [&](const Names& names, const char* state, const std::string& command) {
    if (names.count == 0) return;
    text += (names.count == all.count ? ", which" : "; of these " + list(names)) +
            (names.count == 1 ? " is " : " are ") + state + ": " + command;
  };
  tell(stopped, "stopped", "`hearth start " + stopped.text(" ", " ...") + "`");
  tell(gone, "down", "`hearth up`");
  return text;
}

Waits::Missing Waits::missing_of(SlotIndex slot) const {
  Missing missing;
  each_missing(book_, slot, [&](const std::string& service, std::span<const SlotIndex> replicas, std::uint32_t i) {
    missing.add(book_, replicas[i], replicas.size() == 1 ? service : service + "." + std::to_string(i));
  });
  return missing;
}

std::vector<std::string> Waits::labels(SlotIndex slot) const {
  std::vector<std::string> found;
  each_missing(book_, slot, [&](const std::string& service, std::span<const SlotIndex>, std::uint32_t i) {
    found.push_back(label_of(book_.applied(slot)->document.project, service, i));
  });
  return found;
}

SlotIndex Waits::next_of(const Missing& missing) const {
  const SlotIndex only = missing.only;
  return only != no_slot && book_.slots[only].used && book_.slots[only].life.phase == Phase::waiting ? only : no_slot;
}

SlotIndex Waits::last_of(SlotIndex slot) {
  std::vector<SlotIndex> passed;
  SlotIndex at = slot;
  for (SlotIndex next = slot; next != no_slot;) {
    at = next;
    // Noted as its own last one until that is known: a circle, which no graph has, would end here.
    const auto [known, fresh] = last_.try_emplace(at, at);
    if (!fresh) {
      at = known->second;
      break;
    }
    passed.push_back(at);
    next = next_of(missing_of(at));
  }
  for (const SlotIndex each : passed) last_[each] = at;
  return at;
}

const std::string& Waits::words_of_last(SlotIndex slot) {
  const auto [known, fresh] = words_of_last_.try_emplace(slot);
  if (fresh) known->second = missing_of(slot).words();
  return known->second;
}

std::string Waits::words(SlotIndex slot) {
  const Missing missing = missing_of(slot);
  const AppliedDocument* applied = book_.applied(slot);
  const std::string turn =
      applied == nullptr || applied->document.start_concurrency == 0
          ? "what is just coming up"
          : "its turn: " + std::to_string(applied->document.start_concurrency) + " may start at a time";
  if (missing.all.count == 0) return "waits for " + turn;
  const SlotIndex next = next_of(missing);
  if (next == no_slot) return "waits for " + missing.words();
  // One alone that waits itself: what ends that wait ends this one.
  const SlotIndex last = last_of(next);
  const std::string direct = "waits for " + missing.all.first.front();
  if (const std::string& its = words_of_last(last); !its.empty()) return direct + ", and so for " + its;
  if (last == next) return direct + ", which waits for " + turn;
  return direct + ", and so for " + book_.spec_of(last).name + ", which waits for " + turn;
}

bool Waits::for_a_failure(SlotIndex slot) {
  std::vector<SlotIndex> open = {slot};
  while (!open.empty()) {
    const SlotIndex at = open.back();
    const auto [known, fresh] = failure_.try_emplace(at, Failure::looked_for);
    if (!fresh && known->second != Failure::looked_for) {
      open.pop_back();
      continue;
    }
    bool found = false;
    const std::size_t before = open.size();
    const AppliedDocument* applied = book_.applied(at);
    if (applied != nullptr && book_.slots[at].role == SlotRole::service) {
      for (const lifecycle::Edge& edge : applied->graph.dependencies(book_.slots[at].service)) {
        for (const SlotIndex other : applied->slots_of(edge.to)) {
          if (!edge.required || other == no_slot || !book_.slots[other].used) continue;
          const auto looked = failure_.find(other);
          const bool waits = book_.slots[other].life.phase == Phase::waiting;
          found = found || start_has_failed(book_.slots[other]) ||
                  (waits && looked != failure_.end() && looked->second == Failure::found);
          // What is looked for already is above us, in a circle, which no graph has.
          if (fresh && waits && looked == failure_.end()) open.push_back(other);
        }
      }
    }
    if (found) open.resize(before);
    if (!found && open.size() > before) continue;  // it is looked at again when those are known
    failure_[at] = found ? Failure::found : Failure::none;
    open.pop_back();
  }
  return failure_[slot] == Failure::found;
}

}  // namespace hearth::supervisor
