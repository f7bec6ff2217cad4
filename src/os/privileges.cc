#include "os/privileges.h"

#include <cerrno>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/sandbox.h"
#include "wire/spawn_plan.h"

namespace hearth::os {
namespace {

struct Sets {
  CapabilitySet effective = 0, permitted = 0, inheritable = 0;
};

bool read_sets(Sets& sets) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct words[_LINUX_CAPABILITY_U32S_3] = {};
  if (::syscall(SYS_capget, &header, words) < 0) return false;
  for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; ++i) {
    sets.effective |= CapabilitySet{words[i].effective} << 32 * i;
    sets.permitted |= CapabilitySet{words[i].permitted} << 32 * i;
    sets.inheritable |= CapabilitySet{words[i].inheritable} << 32 * i;
  }
  return true;
}

bool write_sets(const Sets& sets) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct words[_LINUX_CAPABILITY_U32S_3] = {};
  for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; ++i)
    words[i] = {static_cast<std::uint32_t>(sets.effective >> 32 * i),
                static_cast<std::uint32_t>(sets.permitted >> 32 * i),
                static_cast<std::uint32_t>(sets.inheritable >> 32 * i)};
  return ::syscall(SYS_capset, &header, words) == 0;
}

int in_bound(unsigned capability) {
  return ::prctl(PR_CAPBSET_READ, static_cast<unsigned long>(capability), 0UL, 0UL, 0UL);
}

std::unexpected<Error> refused(Remedy remedy, const std::string& subject, std::string reason, std::string hint,
                               int code = 0) {
  return failure(Error{remedy, "start", subject, std::move(reason), std::move(hint), code});
}

std::unexpected<Error> unknown_to_kernel(const std::string& subject, CapabilitySet unknown) {
  return refused(Remedy::environment, subject, "this kernel does not know the capability " + capability_list(unknown),
                 "leave it out: older kernels count what perfmon, bpf and checkpoint_restore allow to sys_admin");
}

std::unexpected<Error> not_ours_to_give(const std::string& subject, CapabilitySet missing, bool root) {
  return refused(Remedy::no_access, subject,
                 "hearth itself has not " + capability_list(missing) + ", which it is to have",
                 root ? "give it to hearth first (in a container: --cap-add), or take it out of capabilities"
                      : "take it out of capabilities, or use a hearth of root",
                 EPERM);
}

std::unexpected<Error> bound_is_not_ours(const std::string& subject) {
  return refused(
      Remedy::no_access, subject,
      "hearth may not lower the bounding set of capabilities: that takes setpcap, which it has not",
      "write no_new_privs = true besides, with which no program gets more than it has, or use a hearth of root", EPERM);
}

}  // namespace

Privileges own_privileges() {
  Privileges own;
  own.user = ::geteuid();
  own.no_new_privs = ::prctl(PR_GET_NO_NEW_PRIVS, 0UL, 0UL, 0UL, 0UL) == 1;
  Sets sets;
  if (read_sets(sets)) own.permitted = sets.permitted;
  for (unsigned i = 0; i < 63; ++i) {
    const int bound = in_bound(i);
    if (bound < 0) break;
    own.known |= capability_bit(i);
    if (bound > 0) own.bounding |= capability_bit(i);
    if (::prctl(PR_CAP_AMBIENT, static_cast<unsigned long>(PR_CAP_AMBIENT_IS_SET), static_cast<unsigned long>(i), 0UL,
                0UL) == 1)
      own.ambient |= capability_bit(i);
  }
  return own;
}

Result<PrivilegePlan> plan_privileges(const ProcessSettings& process, const Privileges& own,
                                      const std::string& subject) {
  PrivilegePlan plan;
  const bool no_new_privs = process.no_new_privs || is_sandboxed(*process.sandbox);
  if (no_new_privs) plan.flags |= wire::plan_no_new_privs;
  const auto& said = process.capabilities;
  const auto& bound_said = process.capability_bounding_set;
  if (!said && !bound_said) return plan;
  const CapabilitySet named = named_capabilities(said.value_or(0)) | named_capabilities(bound_said.value_or(0));
  if ((named & ~own.known) != 0) return unknown_to_kernel(subject, named & ~own.known);
  CapabilitySet bound = bound_said.value_or(said.value_or(0));
  if (said && (*said & ~bound) != 0)
    return refused(Remedy::fix_input, subject,
                   "capabilities has " + capability_list(*said & ~bound) + ", and capability_bounding_set has not",
                   "add it there, or leave one of the keys out");

  const std::uint32_t user = process.uid.value_or(own.user);
  const CapabilitySet ours = own.permitted & own.bounding;
  if (said) {
    if (!begins_with_all(*said) && (*said & ~ours) != 0) return not_ours_to_give(subject, *said & ~ours, own.user == 0);
    plan.flags |= wire::plan_capabilities;
    plan.capabilities = *said & ours;
    if (user == 0)
      bound = plan.capabilities;
    else
      plan.ambient = plan.capabilities;
  }
  bound &= own.known;
  if ((own.bounding & ~bound) == 0 || (own.permitted & capability_bit(capability_setpcap)) != 0) {
    plan.flags |= wire::plan_bounds;
    plan.bounding = bound;
    return plan;
  }
  if (!no_new_privs && !own.no_new_privs) return bound_is_not_ours(subject);
  if (!said) {
    plan.flags |= wire::plan_capabilities;
    const bool same = user == own.user;
    plan.capabilities = (same ? (user == 0 ? own.permitted : own.ambient) : 0) & bound;
    plan.ambient = user == 0 ? 0 : plan.capabilities;
  }
  return plan;
}

Status begin_privileges(const PrivilegePlan& plan) {
  for (unsigned i = 0; (plan.flags & wire::plan_bounds) != 0 && i < 63; ++i) {
    if ((plan.bounding & capability_bit(i)) != 0) continue;
    const int there = in_bound(i);
    if (there < 0) break;
    if (there > 0 && ::prctl(PR_CAPBSET_DROP, static_cast<unsigned long>(i), 0UL, 0UL, 0UL) < 0)
      return errno_failure("lower", "the bounding set of capabilities", errno);
  }
  if (plan.ambient != 0 && ::prctl(PR_SET_KEEPCAPS, 1UL, 0UL, 0UL, 0UL) < 0)
    return errno_failure("keep", "capabilities", errno);
  return {};
}

Status finish_privileges(const PrivilegePlan& plan) {
  const bool given = (plan.flags & wire::plan_capabilities) != 0;
  if (given || (plan.flags & wire::plan_bounds) != 0) {
    Sets sets;
    bool done = read_sets(sets);
    if (given)
      sets = {plan.capabilities, plan.capabilities, plan.ambient};
    else
      sets = {sets.effective & plan.bounding, sets.permitted & plan.bounding, sets.inheritable & plan.bounding};
    done = done && write_sets(sets);
    for (unsigned i = 0; done && i < 63; ++i)
      if ((plan.ambient & capability_bit(i)) != 0)
        done = ::prctl(PR_CAP_AMBIENT, static_cast<unsigned long>(PR_CAP_AMBIENT_RAISE), static_cast<unsigned long>(i),
                       0UL, 0UL) == 0;
    if (!done) return errno_failure("set", "capabilities", errno);
  }
  if ((plan.flags & wire::plan_no_new_privs) != 0 && ::prctl(PR_SET_NO_NEW_PRIVS, 1UL, 0UL, 0UL, 0UL) < 0)
    return errno_failure("set", "no_new_privs", errno);
  return {};
}

}  // namespace hearth::os
