#include "importers/unit_privileges.h"

#include <ranges>
#include <string_view>

#include "importers/words.h"

namespace hearth::importers {

// systemd.exec(5) "Capabilities". A list may begin with '~', which means all others; several are put together: with '~'
// each takes away, without each adds. An empty one begins anew.
bool UnitPrivileges::key(Service& service, const IniEntry& entry, const Told& told) {
  if (entry.key == "NoNewPrivileges") {
    static constexpr std::string_view yes[] = {"1", "yes", "y", "true", "t", "on"};
    if (std::ranges::find(yes, std::string_view(entry.value)) != std::ranges::end(yes))
      service.set("no_new_privs", "true");
    return true;
  }
  const bool ambient = entry.key == "AmbientCapabilities";
  if (!ambient && entry.key != "CapabilityBoundingSet") return false;
  std::string_view text = entry.value;
  const bool inverted = text.starts_with("~");
  if (inverted) text.remove_prefix(1);
  CapabilitySet named = 0;
  for (const std::string& name : split_list(text, " \t"))
    if (name.starts_with("-") || !add_capability(name, named))
      told(entry.key + ": " + name + " is no capability that hearth knows", "capabilities(7) has their names");
  std::optional<CapabilitySet>& set = ambient ? ambient_ : bounding_;
  if (!set || named == 0)
    set = inverted ? all_capabilities & ~named : named;
  else
    set = inverted ? *set & ~named : *set | named;
  if (ambient) ambient_line_ = entry.line;
  return true;
}

// What is ambient there is what it has here. There it leaves the bounding set alone, here it is the bounding set unless that
// is said. Root has its bounding set, and nothing of the ambient one besides.
void UnitPrivileges::finish(Service& service, const std::string& user, const Placed& placed) {
  const auto list = [](CapabilitySet set) { return quoted_list(capability_words(set)); };
  if (ambient_ && *ambient_ == 0) ambient_.reset();
  if (ambient_ && (user.empty() || user == "root" || user == "0")) {
    placed(ambient_line_, "AmbientCapabilities changes nothing for root, and is left out", "say user, or capabilities");
    ambient_.reset();
  }
  if (ambient_) service.set("capabilities", list(*ambient_ & bounding_.value_or(all_capabilities)));
  if (ambient_ || bounding_) service.set("capability_bounding_set", list(bounding_.value_or(all_capabilities)));
}

}  // namespace hearth::importers
