// What a program may do: from what its service asks for, and what hearth itself may do, to what a plan says.
//
// Model (capabilities(7), prctl(2) PR_SET_NO_NEW_PRIVS)
// -----
// A process has five sets of capabilities. What it can do is the effective one, within the permitted one. An exec makes
// them anew: a program of root has then all of the bounding set, one of another user the ambient set, and files with
// capabilities or a setuid bit add to it, within the bounding set. So two things have to be said of a service, and the keys
// say them:
//
//   capabilities             what it has, exactly: permitted and effective. Across the exec this is done by the ambient
//                            set for who is not root, and by the bounding set for root, who gets back what it has not
//                            lost there. A root program with `capabilities` therefore never has a wider bounding set.
//   capability_bounding_set  what it, and whatever it starts, can ever have. Unless it is said: `capabilities`.
//
//   said                     permitted, effective      inheritable, ambient     bounding
//   nothing                  as ever                   as ever                  as ever
//   B                        as ever, within B         as ever, within B        B
//   C, root                  C                         none                     C
//   C, another user          C                         C                        C, or B when it is said
//
// "As ever": root has all of the bounding set; who became another user has nothing; who is what hearth is has what
// hearth has. Nobody can be given what hearth has not.
//
// no_new_privs takes setuid bits and files with capabilities their effect, for it and all that it starts, and needs no
// privilege; a sandbox brings it (sandbox.h). With it nobody gets more than he has, whatever the bounding set says, root included (tried on 6.18).
//
// What the kernel, or the one who started hearth, does not allow
// -----
// A service whose restrictions cannot be had is not started, nor its document applied: who writes `capabilities = []`
// relies on it. There is one case in which less is done and nothing is lost: lowering the bounding set takes CAP_SETPCAP,
// which a hearth of an ordinary user has not. With no_new_privs, the service's or hearth's own, the bounding set decides
// nothing any more, so it is left alone then; without, the error names that key. A capability that the kernel does not
// know cannot be given, and cannot be withheld either: older kernels count what it allows to another one. It is refused
// by its name; "all" means those that there are.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "model/capabilities.h"
#include "model/service_spec.h"

namespace hearth::os {

// What a process may do itself.
struct Privileges {
  std::uint32_t user = 0;   // effective
  CapabilitySet known = 0;  // to the kernel
  CapabilitySet permitted = 0;
  CapabilitySet bounding = 0;
  CapabilitySet ambient = 0;
  bool no_new_privs = false;  // and so all that it starts
};
Privileges own_privileges();

// As in wire::PlanHeader.
struct PrivilegePlan {
  std::uint32_t flags = 0;
  CapabilitySet bounding = 0;
  CapabilitySet capabilities = 0;
  CapabilitySet ambient = 0;
};
// `subject`: of the error, which says what to do; its code is EPERM where hearth may not.
Result<PrivilegePlan> plan_privileges(const ProcessSettings& process, const Privileges& own,
                                      const std::string& subject);

// The same for this process, as keeper/child.cc does it in a run: one before, the other after the change of user.
Status begin_privileges(const PrivilegePlan& plan);
Status finish_privileges(const PrivilegePlan& plan);

}  // namespace hearth::os
