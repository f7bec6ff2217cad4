#include "cli/accounts.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <unistd.h>

#include "os/accounts.h"

namespace hearth::cli {
namespace {

std::optional<std::uint32_t> number_of(const std::string& text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value == UINT32_MAX) return std::nullopt;
  return value;
}

std::unexpected<Error> wrong(const std::string& file, const ServiceSpec& spec, std::string reason, std::string hint) {
  return failure(Remedy::fix_input, "apply", file, "service " + spec.name + ": " + std::move(reason),
                 std::move(hint) + "; nothing has changed");
}

void set_default(ServiceSpec& spec, const char* name, const std::string& value) {
  const bool said = std::any_of(spec.env.begin(), spec.env.end(), [&](const auto& pair) { return pair.first == name; });
  if (!said) spec.env.emplace_back(name, value);
}

Status resolve_user(ServiceSpec& spec, const std::string& file) {
  const std::optional<std::uint32_t> number = number_of(spec.user);
  const std::optional<os::Account> account = number ? os::find_user(*number) : os::find_user(spec.user);
  if (!account && !number)
    return wrong(file, spec, "there is no user \"" + spec.user + "\" in /etc/passwd", "add it, or write its number");
  spec.uid = account ? account->uid : *number;
  if (!account && spec.group.empty())
    return wrong(file, spec, "user " + spec.user + " is not in /etc/passwd, so its group is unknown",
                 "say group = \"...\" as well");
  if (!account) return {};
  spec.gid = account->gid;
  spec.groups = os::groups_of(account->name, account->gid);
  set_default(spec, "HOME", account->home);
  set_default(spec, "USER", account->name);
  set_default(spec, "LOGNAME", account->name);
  return {};
}

Status resolve_group(ServiceSpec& spec, const std::string& file) {
  const std::optional<std::uint32_t> number = number_of(spec.group);
  const std::optional<gid_t> known = number ? std::optional<gid_t>(*number) : os::find_group(spec.group);
  if (!known)
    return wrong(file, spec, "there is no group \"" + spec.group + "\" in /etc/group", "add it, or write its number");
  spec.gid = *known;
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
