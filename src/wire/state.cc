#include "wire/state.h"

#include <string.h>

namespace hearth::wire {

StateProblem compare_identities(const StateIdentity& theirs, const StateIdentity& ours) {
  // Who cannot say which boot this is must not believe that it is the same.
  if (ours.boot_id[0] == 0 || memcmp(theirs.boot_id, ours.boot_id, sizeof ours.boot_id) != 0)
    return StateProblem::other_boot;
  if (ours.pid_namespace == 0 || theirs.pid_namespace != ours.pid_namespace) return StateProblem::other_pid_namespace;
  const bool same = theirs.device == ours.device && theirs.inode == ours.inode && theirs.birth_ns == ours.birth_ns;
  return same ? StateProblem::none : StateProblem::other_directory;
}

}  // namespace hearth::wire
