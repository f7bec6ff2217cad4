#include "model/capabilities.h"

#include <algorithm>
#include <array>

namespace hearth {
namespace {

constexpr std::array<std::string_view, 41> names = {"chown",
                                                    "dac_override",
                                                    "dac_read_search",
                                                    "fowner",
                                                    "fsetid",
                                                    "kill",
                                                    "setgid",
                                                    "setuid",
                                                    "setpcap",
                                                    "linux_immutable",
                                                    "net_bind_service",
                                                    "net_broadcast",
                                                    "net_admin",
                                                    "net_raw",
                                                    "ipc_lock",
                                                    "ipc_owner",
                                                    "sys_module",
                                                    "sys_rawio",
                                                    "sys_chroot",
                                                    "sys_ptrace",
                                                    "sys_pacct",
                                                    "sys_admin",
                                                    "sys_boot",
                                                    "sys_nice",
                                                    "sys_resource",
                                                    "sys_time",
                                                    "sys_tty_config",
                                                    "mknod",
                                                    "lease",
                                                    "audit_write",
                                                    "audit_control",
                                                    "setfcap",
                                                    "mac_override",
                                                    "mac_admin",
                                                    "syslog",
                                                    "wake_alarm",
                                                    "block_suspend",
                                                    "audit_read",
                                                    "perfmon",
                                                    "bpf",
                                                    "checkpoint_restore"};
static_assert(names[capability_setpcap] == "setpcap");

constexpr CapabilitySet with_names = capability_bit(names.size()) - 1;

}  // namespace

std::span<const std::string_view> capability_names() {
  return names;
}

std::string plain_capability(std::string_view name) {
  std::string plain(name);
  std::ranges::transform(plain, plain.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
  if (plain.starts_with("cap_")) plain.erase(0, 4);
  return plain;
}

std::optional<CapabilitySet> capabilities_of(std::string_view word) {
  const std::string plain = plain_capability(word);
  if (plain == "all") return all_capabilities;
  const auto found = std::ranges::find(names, plain);
  if (found == names.end()) return std::nullopt;
  return capability_bit(static_cast<unsigned>(found - names.begin()));
}

bool add_capability(std::string_view word, CapabilitySet& set) {
  const bool away = word.starts_with('-');
  const std::optional<CapabilitySet> meant = capabilities_of(away ? word.substr(1) : word);
  if (!meant || (away && (set & *meant) != *meant)) return false;
  set = away ? set & ~*meant : set | *meant;
  return true;
}

CapabilitySet named_capabilities(CapabilitySet set) {
  return (begins_with_all(set) ? ~set : set) & with_names;
}

std::vector<std::string> capability_words(CapabilitySet set) {
  std::vector<std::string> words;
  const bool all = begins_with_all(set);
  if (all) words.emplace_back("all");
  const CapabilitySet named = named_capabilities(set);
  for (unsigned i = 0; i < names.size(); ++i)
    if ((named & capability_bit(i)) != 0) words.push_back((all ? "-" : "") + std::string(names[i]));
  return words;
}

std::string capability_list(CapabilitySet set, std::size_t most) {
  std::vector<std::string_view> found;
  for (unsigned i = 0; i < names.size(); ++i)
    if ((set & capability_bit(i)) != 0) found.push_back(names[i]);
  if (found.empty() || found.size() == names.size()) return set == 0 ? "none" : "all";
  std::string list;
  const std::size_t shown = found.size() > most + 1 ? most : found.size();
  for (std::size_t i = 0; i < shown; ++i) {
    const bool last = i + 1 == found.size();
    list += (i == 0 ? "" : last ? " and " : ", ") + std::string(found[i]);
  }
  if (shown < found.size()) list += " and " + std::to_string(found.size() - shown) + " more";
  return list;
}

}  // namespace hearth
