// Users and groups of this machine, read from /etc/passwd and /etc/group themselves (passwd(5), group(5)).
//
// Not getpwnam(3): the programs that ask are linked statically, and for a name that is not in the files glibc would
// load modules of name services into them, made for another libc: at best nothing is found, at worst it crashes
// (seen with an unknown name on Debian 12, nss-systemd). Accounts of directory services are written as numbers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace hearth::os {

struct Account {
  std::string name, home;
  uid_t uid = 0;
  gid_t gid = 0;
};

std::optional<Account> find_user(const std::string& name);
std::optional<Account> find_user(uid_t uid);
std::optional<gid_t> find_group(const std::string& name);
// Groups that name the user as a member, and `primary`.
std::vector<std::uint32_t> groups_of(const std::string& user, gid_t primary);

}  // namespace hearth::os
