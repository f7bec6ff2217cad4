#include "supervisor/selection.h"

#include <algorithm>
#include <set>
#include <string>
#include <string_view>

#include "base/nearest.h"
#include "model/replica_names.h"
#include "supervisor/book.h"

namespace hearth::supervisor {
namespace {

std::vector<SlotIndex> select(const SlotBook& book, const Request& request) {
  std::vector<SlotIndex> found;
  for (const SlotIndex slot : book.services()) {
    const SlotState& state = book.slots[slot];
    if (state.removing) continue;
    const Document* document = book.document_of(slot);
    if (!request.project.empty() && document->project != request.project) continue;
    const ServiceSpec& service = document->services[state.service];
    const bool named = std::any_of(request.names.begin(), request.names.end(), [&](const std::string& name) {
      return selects(name, document->project, service, state.replica);
    });
    if (named || (request.all && request.names.empty())) found.push_back(slot);
  }
  return found;
}

// What was meant, perhaps: a service, one with its project, or a tag. "" = nothing is near.
std::string nearest_name(const SlotBook& book, const std::string& name) {
  std::set<std::string> names;
  for (const SlotIndex slot : book.services()) {
    if (book.slots[slot].removing) continue;
    const ServiceSpec& spec = book.spec_of(slot);
    names.insert(spec.name);
    names.insert(book.document_of(slot)->project + "." + spec.name);
    for (const std::string& tag : spec.tags) names.insert("@" + tag);
  }
  const std::vector<std::string_view> valid(names.begin(), names.end());
  return std::string(nearest(name, valid));
}

// Of all slots that a name selects.
std::vector<std::uint32_t> indexes_of(const SlotBook& book, std::string_view service) {
  std::vector<std::uint32_t> there;
  for (const SlotIndex slot : book.services()) {
    const SlotState& state = book.slots[slot];
    if (!state.removing && selects(service, book.document_of(slot)->project, book.spec_of(slot), state.replica))
      there.push_back(state.replica);
  }
  return there;
}

// The projects that have services here, for whoever meant one that has not. Of a file, whose project is not up, no
// command is proposed: it would take down somebody else's.
std::string projects_here(const SlotBook& book, bool of_file) {
  std::set<std::string> projects;
  for (const SlotIndex slot : book.services()) projects.insert(book.document_of(slot)->project);
  if (projects.empty()) return "there are no services at all";
  std::string text;
  for (const std::string& project : projects) text += (text.empty() ? "" : ", ") + project;
  if (of_file) return "nothing is to be done for it; what is here belongs to " + text;
  return (projects.size() == 1 ? "the project that is here: " : "the projects that are here: ") + text;
}

}  // namespace

Result<std::vector<SlotIndex>> named(const SlotBook& book, const Request& request) {
  // Each is compared with every service, and supervision waits for that.
  if (request.names.size() > wire::max_slots)
    return failure(Remedy::fix_input, "find", "services", "more are named than there can be",
                   "use a pattern, or --all");
  Request one = request;
  for (const std::string& name : request.names) {
    one.names = {name};
    if (!select(book, one).empty()) continue;
    std::string others = other_indexes(name, [&](std::string_view service) { return indexes_of(book, service); });
    if (!others.empty())
      return failure(Remedy::not_found, "find", name, "there is no replica of that index", std::move(others));
    const std::string near = nearest_name(book, name);
    return failure(Remedy::not_found, "find", name,
                   name.starts_with('@') ? "no service has that tag" : "no service has that name",
                   near.empty() ? "`hearth status` lists them" : "did you mean " + near + "?");
  }
  std::vector<SlotIndex> chosen = select(book, request);
  // Nothing is there to be stopped: the goal is reached.
  const bool ends = request.verb == Verb::down || request.verb == Verb::stop;
  if (chosen.empty() && !(request.all && ends))
    return failure(Remedy::not_found, "find", "services", "there are none",
                   "`hearth up` adds those of ./hearth.toml, `hearth run -- COMMAND` a single one");
  return chosen;
}

Result<std::vector<SlotIndex>> to_take_down(const SlotBook& book, const Request& request) {
  if (request.all || !request.names.empty()) return named(book, request);
  std::vector<SlotIndex> chosen;
  const std::string& path = request.document.path;
  for (const SlotIndex slot : book.services()) {
    const Document* document = book.document_of(slot);
    if (path.empty() ? document->project == request.project : document->path == path) chosen.push_back(slot);
  }
  if (chosen.empty())
    return failure(Remedy::not_found, "take down", path.empty() ? request.project : path, "nothing of it is here",
                   projects_here(book, !path.empty()));
  return chosen;
}

TypedNames::TypedNames(const SlotBook& book) : book_(book) {
  for (const SlotIndex slot : book.services()) {
    if (book.slots[slot].removing) continue;
    Bearers& all = bearers_[book.spec_of(slot).name];
    const std::string& project = book.document_of(slot)->project;
    ++all.slots;
    all.elsewhere = all.elsewhere || (!all.project.empty() && all.project != project);
    all.project = project;
  }
}

std::string TypedNames::of(SlotIndex slot) const {
  const std::string& name = book_.spec_of(slot).name;
  const auto found = bearers_.find(name);
  if (found == bearers_.end() || found->second.slots == 1) return name;
  return found->second.elsewhere ? book_.label(slot) : name + "." + std::to_string(book_.slots[slot].replica);
}

}  // namespace hearth::supervisor
