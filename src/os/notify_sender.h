// Whether a notification comes from a process of the run whose socket it came through.
//
// The socket itself attributes (one per run, the service's user's alone), also what a sender said that has ended since. It
// does not tell apart services of one user, who may open each other's: with a cgroup leaf per run the sender's own does. As
// with systemd's NotifyAccess=all, every process in the leaf and below it may speak for the run, and nobody else.
//
// Refused is only who is proven to be a stranger. Believed are: the leader, by its PID alone, which is its own as long as
// its entry holds the run (the keeper has not reaped it): no system call. Who has ended: nothing is left to look at. Whoever
// comes from another PID namespace. Everybody, where the leader itself is in no leaf.
//
// A PID names the sender of a datagram only as long as that lives; it may have waited for us for long. So the same datagram
// is peeked once more with SO_PASSPIDFD (Linux 6.5): the message holds the sender's identity, and the pidfd is made of that.
// Before, a process that has the PID is taken for the sender when it began before our last look at the sockets.
#pragma once

#include <cstdint>
#include <string>
#include <sys/types.h>

#include "base/ids.h"

namespace hearth::os {

class NotifySenders {
 public:
  // False: as on a kernel without SO_PASSPIDFD. For tests.
  explicit NotifySenders(bool pidfd_messages = true) : pidfd_messages_(pidfd_messages) {}

  struct Stranger {
    std::string who;    // "PID 12 (sh forge.sh), a process of app.other.0"; "" = no stranger
    std::string label;  // of the run that it would speak for
  };
  // Of the datagram at the head of `socket`, which was peeked with these credentials.
  Stranger look(int socket, pid_t sender, pid_t leader, RunId run) const;

  // The sockets have been looked at.
  void looked();

 private:
  bool pidfd_messages_;
  std::uint64_t last_look_ticks_ = 0;
};

// The leaf of the run in a path of /proc/PID/cgroup: everything up to and with ".../hearth.HASH/LABEL.RUN"; "" = none.
std::string leaf_in(const std::string& path, RunId run);

}  // namespace hearth::os
