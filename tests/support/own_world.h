// A PID namespace and a mount namespace of one's own, where one may have them: with its first process all of it ends,
// whoever kills that; and a scan of /proc sees nothing of the rest of the machine.
#pragma once

namespace hearth::support {

struct World {
  bool own = false;        // false: the machine's; the caller is the process that it was
  bool can_mount = false;  // tmpfs
};

// Returns in the first process of the new world, which is a child: the caller itself waits for it, passes INT and TERM
// on, and ends as it did. Root needs nothing for it; others a user namespace, in which they stay who they are, and which
// `user_namespace` allows. Has to be called by a process of one thread.
World enter_own_world(bool user_namespace);

}  // namespace hearth::support
