// Of which run the process at the other end of a connection is, by its cgroup leaf.
//
// Landlock does not see connect(2), so the control socket is within reach of every service of hearth's user, and who may give
// orders there has others do what its own sandbox forbids. What the kernel says of the peer cannot be forged: its PID of the
// moment of connect(2), a pidfd made of the same identity (SO_PEERPIDFD, Linux 6.5), and the cgroup that it stands in. Its
// environment could be.
//
// A process that connects and ends leaves its connection to whoever has the descriptor, and no cgroup to look at: `gone`
// says so, and is no proof of anything. Before Linux 6.5 the pidfd is of whoever has the PID now, which may be another one
// by then: who can use up all PIDs in between is taken for it.
#pragma once

#include <string>
#include <string_view>

namespace hearth::os {

struct PeerRun {
  bool gone = false;  // it has ended: nothing is known of it
  int unseen = 0;     // errno: it cannot be looked at, for want of a descriptor, or because /proc hides it
  std::string label;  // "app.web.0", "app.web.0.hook"; "" = it is in no leaf of this tree, or in another PID namespace
};
// `tree`: the directory of the instance's leaves (CgroupTree::path()).
PeerRun run_of_peer(int socket, const std::string& tree);

// The label in a path of /proc/PID/cgroup, in or below a leaf of the tree with this name ("hearth.0a1b2c3d"); "" = none.
std::string label_below(std::string_view path, std::string_view tree_name);

}  // namespace hearth::os
