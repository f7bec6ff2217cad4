#include "cli/changes.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace hearth::cli {
namespace {

// The keys, and of the number of replicas what it was and is.
std::string what(const ChangeNews& change) {
  if (change.measure == "stop") return "it has left the file";
  if (change.measure == "start") return change.replicas > 1 ? fmt::format("new, {} replicas", change.replicas) : "new";
  if (change.measure == "know") return "new, and not started by itself (autostart = false)";
  std::vector<std::string> keys = change.keys;
  for (std::string& key : keys)
    if (key == "replicas") key = fmt::format("replicas {} -> {}", change.replicas_before, change.replicas);
  return fmt::format("{}", fmt::join(keys, ", "));
}

std::string_view verb(const ChangeNews& change) {
  if (change.measure == "restart" && change.at_rest) return "next start";
  if (change.measure != "live") return change.measure;
  return change.replicas == change.replicas_before ? "live" : "scale";
}

}  // namespace

void mark_at_rest(std::vector<ChangeNews>& changes, const std::vector<SlotNews>& slots) {
  for (ChangeNews& change : changes) {
    const auto its = [&](const SlotNews& slot) { return slot.name == change.service; };
    const auto rests = [&](const SlotNews& slot) { return !its(slot) || (slot.state == "stopped" && !slot.want_up); };
    change.at_rest = std::ranges::any_of(slots, its) && std::ranges::all_of(slots, rests);
  }
}

std::string changes_table(const std::vector<ChangeNews>& changes, bool dry) {
  std::size_t name = 7, measure = 6;
  std::size_t rows = 0;
  for (const ChangeNews& change : changes) {
    if (change.measure == "none") continue;
    ++rows;
    name = std::max(name, change.service.size());
    measure = std::max(measure, verb(change).size());
  }
  if (rows == 0) return "nothing has changed\n";
  std::string out = fmt::format("{:<{}}  {:<{}}  WHAT\n", "SERVICE", name, "ACTION", measure);
  for (const ChangeNews& change : changes) {
    if (change.measure == "none") continue;
    out += fmt::format("{:<{}}  {:<{}}  {}\n", change.service, name, verb(change), measure, what(change));
  }
  if (const std::size_t same = changes.size() - rows; same > 0)
    out += fmt::format("{} service{} as {}\n", same, same == 1 ? " stays" : "s stay", same == 1 ? "it is" : "they are");
  if (dry) out += "nothing was done: --dry-run\n";
  return out;
}

std::vector<std::string> notes_of(const std::vector<ChangeNews>& changes) {
  std::vector<std::string> notes;
  for (const ChangeNews& change : changes) {
    if (change.measure == "live" || change.measure == "scale")
      notes.push_back(change.service + " goes on as it is; new is: " + what(change));
    if (change.measure == "know") notes.push_back(change.service + " is not started: autostart = false");
  }
  return notes;
}

std::string removal_note(const AcceptedNews& accepted, const SlotNews& slot) {
  const std::string why = why_removed(accepted, slot);
  return why.starts_with("it ") ? fmt::format("{} {}: it is stopped and removed", slot.name, why.substr(3))
                                : fmt::format("{}.{} is stopped and removed: {}", slot.name, slot.index, why);
}

std::string why_removed(const AcceptedNews& accepted, const SlotNews& slot) {
  const auto stays = [&](const ChangeNews& change) { return change.service == slot.name && change.replicas > 0; };
  const auto found = std::ranges::find_if(accepted.changes, stays);
  return found == accepted.changes.end() ? "it has left the file" : fmt::format("replicas is {}", found->replicas);
}

}  // namespace hearth::cli
