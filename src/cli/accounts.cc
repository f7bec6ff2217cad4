#include "cli/accounts.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <unistd.h>
#include <utility>

#include "os/accounts.h"

namespace hearth::cli {
namespace {

std::optional<std::uint32_t> number_of(const std::string& text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value == UINT32_MAX) return std::nullopt;
  return value;
}

struct Problem {
  bool of_group = false;
  std::string message, remedy;
};

void set_default(ServiceSpec& spec, const char* name, const std::string& value) {
  const bool said = std::any_of(spec.env.begin(), spec.env.end(), [&](const auto& pair) { return pair.first == name; });
  if (!said) spec.env.emplace_back(name, value);
}

using Found = std::optional<Problem>;

Found wrong(bool of_group, std::string message, std::string remedy) {
  return Problem{of_group, std::move(message), std::move(remedy)};
}

Found resolve_user(ServiceSpec& spec) {
  ProcessSettings& who = spec.process.edit();
  const std::optional<std::uint32_t> number = number_of(who.user);
  const std::optional<os::Account> account = number ? os::find_user(*number) : os::find_user(who.user);
  if (!account && !number)
    return wrong(false, "there is no user \"" + who.user + "\" in /etc/passwd", "add it, or write its number");
  who.uid = account ? account->uid : *number;
  if (!account && who.group.empty())
    return wrong(false, "user " + who.user + " is not in /etc/passwd, so its group is unknown",
                 "say group = \"...\" as well");
  if (!account) return {};
  who.user = account->name;  // whichever way it was written: another way to write it is no change
  who.gid = account->gid;
  who.groups = os::groups_of(account->name, account->gid);
  set_default(spec, "HOME", account->home);
  set_default(spec, "USER", account->name);
  set_default(spec, "LOGNAME", account->name);
  return {};
}

Found resolve_group(ServiceSpec& spec) {
  ProcessSettings& who = spec.process.edit();
  const std::optional<std::uint32_t> number = number_of(who.group);
  const std::optional<gid_t> known = number ? std::optional<gid_t>(*number) : os::find_group(who.group);
  if (!known)
    return wrong(true, "there is no group \"" + who.group + "\" in /etc/group", "add it, or write its number");
  who.gid = *known;
  who.group = std::to_string(*known);  // as above
  return {};
}

Found resolve(ServiceSpec& spec, uid_t own) {
  const ProcessSettings& who = *spec.process;
  if (!who.user.empty())
    if (Found problem = resolve_user(spec)) return problem;
  if (!who.group.empty())
    if (Found problem = resolve_group(spec)) return problem;
  const bool other_user = who.uid && *who.uid != own;
  if (own != 0 && (other_user || (!who.group.empty() && *who.gid != ::getegid())))
    return wrong(!other_user, "only a hearth of root can start it as another user or group",
                 "remove user and group, or use a hearth of root");
  return {};
}

}  // namespace

void resolve_accounts(config::Parsed& parsed, uid_t own) {
  if (!parsed.document) return;
  std::vector<ServiceSpec>& services = parsed.document->services;
  for (std::size_t i = 0; i < services.size(); ++i) {
    ServiceSpec& spec = services[i];
    if (spec.process->user.empty() && spec.process->group.empty()) continue;
    const Found problem = resolve(spec, own);
    if (!problem) continue;
    const config::ServicePlaces& places = parsed.places.at(i);
    if (parsed.diagnostics.size() == config::max_diagnostics) {
      ++parsed.more;
      continue;
    }
    parsed.diagnostics.push_back(parsed.diagnostic(problem->of_group ? places.group : places.user,
                                                   "service " + spec.name + ": " + problem->message, problem->remedy));
  }
  if (!parsed.diagnostics.empty()) parsed.document.reset();
}

}  // namespace hearth::cli
