#include "api/names.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/glob.h"
#include "base/nearest.h"
#include "model/replica_names.h"

namespace hearth::api {
namespace {

bool selects(std::string_view name, const SlotStatus& s) {
  if (name.starts_with('@'))
    return std::ranges::any_of(s.tags, [&](const std::string& tag) { return matches_glob(name.substr(1), tag); });
  const std::string full = fmt::format("{}.{}.{}", s.project, s.name, s.index);
  const std::string_view view = full;
  const std::size_t from_service = s.project.size() + 1;
  return matches_glob(name, s.name) || matches_glob(name, view.substr(from_service)) ||
         matches_glob(name, view.substr(0, from_service + s.name.size())) || matches_glob(name, view);
}

// Of all slots that a name selects.
std::vector<std::uint32_t> indexes_of(std::string_view service, const InstanceStatus& status) {
  std::vector<std::uint32_t> there;
  for (const SlotStatus& s : status.services)
    if (selects(service, s)) there.push_back(s.index);
  return there;
}

std::string hint_for(std::string_view name, const InstanceStatus& status) {
  if (status.services.empty()) return "there are no services; `hearth up` starts those of ./hearth.toml";
  std::vector<std::string> full;
  for (const SlotStatus& s : status.services) {
    full.push_back(s.project + "." + s.name);
    for (const std::string& tag : s.tags) full.push_back("@" + tag);
  }
  std::vector<std::string_view> known;
  for (const SlotStatus& s : status.services) known.push_back(s.name);
  known.insert(known.end(), full.begin(), full.end());
  const std::string_view near = nearest(name, known);
  return near.empty() ? "`hearth status` lists the services" : fmt::format("did you mean \"{}\"?", near);
}

}  // namespace

Result<std::vector<std::size_t>> choose(const InstanceStatus& status, const std::vector<std::string>& names) {
  std::vector<bool> taken(status.services.size(), names.empty());
  for (const std::string& name : names) {
    bool any = false;
    for (std::size_t i = 0; i < status.services.size(); ++i) {
      if (!selects(name, status.services[i])) continue;
      taken[i] = true;
      any = true;
    }
    if (!any) {
      std::string others = other_indexes(name, [&](std::string_view service) { return indexes_of(service, status); });
      if (!others.empty())
        return failure(Remedy::not_found, "find service", name, "there is no replica of that index", std::move(others));
      return failure(Remedy::not_found, "find service", name, "no service has that name", hint_for(name, status));
    }
  }
  std::vector<std::size_t> chosen;
  for (std::size_t i = 0; i < taken.size(); ++i) {
    if (taken[i]) chosen.push_back(i);
  }
  return chosen;
}

}  // namespace hearth::api
