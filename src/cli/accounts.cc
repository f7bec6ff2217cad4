#include "cli/accounts.h"

#include <grp.h>
#include <unistd.h>
#include <pwd.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace hearth::cli {
namespace {

std::optional<std::uint32_t> number_of(const std::string& text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value == UINT32_MAX) return std::nullopt;
  return value;
}

std::unexpected<Error> wrong(const std::string& file, const ServiceSpec& spec, std::string reason, std::string hint) {
  return failure(Remedy::fix_input, "apply", file, "service " + spec.name + ": " + std::move(reason), std::move(hint));
}

void set_default(ServiceSpec& spec, const char* name, const char* value) {
  const bool said = std::any_of(spec.env.begin(), spec.env.end(), [&](const auto& pair) { return pair.first == name; });
  if (!said && value != nullptr) spec.env.emplace_back(name, value);
}

Status resolve_user(ServiceSpec& spec, const std::string& file) {
  const std::optional<std::uint32_t> number = number_of(spec.user);
  const passwd* entry = number ? ::getpwuid(*number) : ::getpwnam(spec.user.c_str());
  if (entry == nullptr) {
    if (!number) return wrong(file, spec, "there is no user \"" + spec.user + "\" here", "add it, or write a number");
    spec.uid = number;
    if (spec.group.empty())
      return wrong(file, spec, "user " + spec.user + " has no entry among the users, so its group is unknown",
                   "say group = \"...\" as well");
    return {};
  }
  spec.uid = entry->pw_uid;
  spec.gid = entry->pw_gid;
  set_default(spec, "HOME", entry->pw_dir);
  set_default(spec, "USER", entry->pw_name);
  set_default(spec, "LOGNAME", entry->pw_name);
  const std::string name = entry->pw_name;
  gid_t list[1024];
  int count = 1024;
  if (::getgrouplist(name.c_str(), *spec.gid, list, &count) >= 0) spec.groups.assign(list, list + count);
  return {};
}

Status resolve_group(ServiceSpec& spec, const std::string& file) {
  const std::optional<std::uint32_t> number = number_of(spec.group);
  const group* entry = number ? nullptr : ::getgrnam(spec.group.c_str());
  if (!number && entry == nullptr)
    return wrong(file, spec, "there is no group \"" + spec.group + "\" here", "add it, or write a number");
  spec.gid = number ? *number : entry->gr_gid;
  return {};
}

}  // namespace

Status resolve_accounts(Document& document, uid_t own, const std::string& file) {
  for (ServiceSpec& spec : document.services) {
    if (spec.user.empty() && spec.group.empty()) continue;
    if (!spec.user.empty())
      if (const Status user = resolve_user(spec, file); !user) return user;
    if (!spec.group.empty())
      if (const Status group = resolve_group(spec, file); !group) return group;
    if (own != 0 && ((spec.uid && *spec.uid != own) || (!spec.group.empty() && *spec.gid != ::getegid())))
      return wrong(file, spec, "only a hearth of root can start it as another user or group",
                   "remove user and group, or use a hearth of root");
  }
  return {};
}

}  // namespace hearth::cli
