#include "os/accounts.h"

#include <algorithm>
#include <cstdio>
#include <grp.h>
#include <memory>
#include <pwd.h>

namespace hearth::os {
namespace {

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Close>;

template <typename Wanted>
std::optional<Account> find(Wanted wanted) {
  const File file(std::fopen("/etc/passwd", "re"));
  while (const passwd* entry = file ? ::fgetpwent(file.get()) : nullptr)
    if (wanted(*entry)) return Account{entry->pw_name, entry->pw_dir, entry->pw_uid, entry->pw_gid};
  return std::nullopt;
}

}  // namespace

std::optional<Account> find_user(const std::string& name) {
  return find([&](const passwd& entry) { return name == entry.pw_name; });
}

std::optional<Account> find_user(uid_t uid) {
  return find([&](const passwd& entry) { return uid == entry.pw_uid; });
}

std::optional<gid_t> find_group(const std::string& name) {
  const File file(std::fopen("/etc/group", "re"));
  while (const group* entry = file ? ::fgetgrent(file.get()) : nullptr)
    if (name == entry->gr_name) return entry->gr_gid;
  return std::nullopt;
}

std::vector<std::uint32_t> groups_of(const std::string& user, gid_t primary) {
  std::vector<std::uint32_t> groups = {primary};
  const File file(std::fopen("/etc/group", "re"));
  while (const group* entry = file ? ::fgetgrent(file.get()) : nullptr) {
    bool member = false;
    for (char** name = entry->gr_mem; *name != nullptr; ++name) member |= user == *name;
    if (member && std::find(groups.begin(), groups.end(), entry->gr_gid) == groups.end())
      groups.push_back(entry->gr_gid);
  }
  return groups;
}

}  // namespace hearth::os
